/* SPDX-License-Identifier: MIT */
/* See others.h. */
#include "others.h"

static void on_tick(uv_timer_t *timer)
{
    ((struct others *) timer->data)->ticks++;
}

static void give_small_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct others *others = handle->data;

    (void) suggested;
    *buf = uv_buf_init(others->buffer, sizeof others->buffer);
}

static void on_byte(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf)
{
    struct others *others = stream->data;
    uv_buf_t back = uv_buf_init(buf->base, 1);

    if (nread <= 0)
        return;
    others->bytes++;
    if (uv_try_write((uv_stream_t *) &others->ends[1], &back, 1) != 1)
        fail_msg("the host's pipe is broken");
}

static void on_wake(uv_async_t *async)
{
    ((struct others *) async->data)->wakes++;
}

static void wake_often(void *argument)
{
    struct others *others = argument;

    while (!__atomic_load_n(&others->stop, __ATOMIC_ACQUIRE)) {
        uv_async_send(&others->async);
        usleep(500);
    }
}

static void on_accept(uv_stream_t *server, int status)
{
    struct others *others = server->data;
    uv_buf_t greeting = uv_buf_init(others->buffer, 1);

    assert_int_equal(status, 0);
    assert_int_equal(uv_tcp_init(server->loop, &others->accepted), 0);
    assert_int_equal(uv_accept(server, (uv_stream_t *) &others->accepted), 0);
    others->accepts++;
    assert_int_equal(uv_try_write((uv_stream_t *) &others->accepted, &greeting, 1), 1);
}

static void on_greeting(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf)
{
    (void) buf;
    if (nread > 0)
        ((struct others *) stream->data)->greeted++;
}

static void on_host_connected(uv_connect_t *request, int status)
{
    if (status == UV_ECANCELED)
        return; /* the host has closed it */
    assert_int_equal(status, 0);
    assert_int_equal(uv_read_start(request->handle, give_small_buffer, on_greeting), 0);
}

static void start_server(struct others *others, uv_loop_t *loop)
{
    struct sockaddr_in address;
    int size = sizeof address;

    assert_int_equal(uv_ip4_addr("127.0.0.1", 0, &address), 0);
    assert_int_equal(uv_tcp_init(loop, &others->server), 0);
    assert_int_equal(uv_tcp_init(loop, &others->client), 0);
    others->server.data = others->client.data = others;
    assert_int_equal(uv_tcp_bind(&others->server, (struct sockaddr *) &address, 0), 0);
    assert_int_equal(uv_listen((uv_stream_t *) &others->server, 5, on_accept), 0);
    assert_int_equal(uv_tcp_getsockname(&others->server, (struct sockaddr *) &address, &size), 0);
    assert_int_equal(uv_tcp_connect(&others->connect, &others->client, (struct sockaddr *) &address,
                                    on_host_connected),
                     0);
}

void others_start(struct others *others, uv_loop_t *loop)
{
    uv_file pair[2];
    uv_buf_t first = uv_buf_init(others->buffer, 1);

    memset(others, 0, sizeof *others);
    others->timer.data = others->ends[0].data = others->ends[1].data = others->async.data = others;
    assert_int_equal(uv_timer_init(loop, &others->timer), 0);
    assert_int_equal(uv_timer_start(&others->timer, on_tick, 1, 1), 0);
    assert_int_equal(uv_pipe(pair, UV_NONBLOCK_PIPE, UV_NONBLOCK_PIPE), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(uv_pipe_init(loop, &others->ends[i], 0), 0);
        assert_int_equal(uv_pipe_open(&others->ends[i], pair[i]), 0);
    }
    assert_int_equal(uv_read_start((uv_stream_t *) &others->ends[0], give_small_buffer, on_byte),
                     0);
    assert_int_equal(uv_try_write((uv_stream_t *) &others->ends[1], &first, 1), 1);
    assert_int_equal(uv_async_init(loop, &others->async, on_wake), 0);
    start_server(others, loop);
    assert_int_equal(uv_thread_create(&others->waker, wake_often, others), 0);
}

void others_stop(struct others *others)
{
    __atomic_store_n(&others->stop, true, __ATOMIC_RELEASE);
    uv_thread_join(&others->waker);
    uv_close((uv_handle_t *) &others->timer, NULL);
    uv_close((uv_handle_t *) &others->ends[0], NULL);
    uv_close((uv_handle_t *) &others->ends[1], NULL);
    uv_close((uv_handle_t *) &others->async, NULL);
    uv_close((uv_handle_t *) &others->server, NULL);
    uv_close((uv_handle_t *) &others->client, NULL);
    if (others->accepts > 0)
        uv_close((uv_handle_t *) &others->accepted, NULL);
}

bool others_went_on(void *argument)
{
    const struct others *others = argument;

    return others->ticks > 5 && others->bytes > 50 && others->wakes > 5 && others->greeted == 1;
}
