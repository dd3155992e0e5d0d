/*
 * Embedding: two sessions on a host's own loop, beside the host's own handles, which go on as if
 * nothing else were there; and teardown in the middle of everything.
 */
#include "host.h"

#include <signal.h>

/* What the host does besides: a timer that ticks, a pipe that carries a byte around, an async that
   another thread wakes, a signal, and a TCP server and client of its own. */
struct others {
    uv_timer_t timer;
    uv_pipe_t ends[2];
    uv_async_t async;
    uv_tcp_t server, accepted, client;
    uv_connect_t connect;
    uv_write_t write;
    uv_thread_t waker;
    int ticks, bytes, wakes, accepts, greeted;
    bool stop;
    char buffer[64];
};

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

static void others_start(struct others *others, uv_loop_t *loop)
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

static void others_stop(struct others *others)
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

static bool others_went_on(void *argument)
{
    const struct others *others = argument;

    return others->ticks > 5 && others->bytes > 50 && others->wakes > 5 && others->greeted == 1;
}

static void talk(struct track *track, enum event event)
{
    int *wanted = track->user;

    if (event == EVENT_SUCCESS ||
        (event == EVENT_INPUT && track->count[EVENT_INPUT] < (unsigned) *wanted))
        assert_true(tcpm_send(track->session, track->id, "hello", 5) >= 0);
    else if (event == EVENT_INPUT)
        assert_int_equal(tcpm_shutdown(track->session, track->id), 0);
}

struct pair {
    struct track tracks[2][30];
};

static bool all_ended(void *argument)
{
    struct pair *pair = argument;

    for (size_t s = 0; s < 2; s++)
        for (size_t i = 0; i < COUNT(pair->tracks[s]); i++)
            if (pair->tracks[s][i].count[EVENT_DISCONNECTED] == 0)
                return false;
    return true;
}

/* N1: each session sees its own; the host's handles go on meanwhile. */
static void test_two_sessions_beside_the_hosts_own_handles(void **state)
{
    struct host host;
    struct others *others = calloc(1, sizeof *others);
    struct pair *pair = calloc(1, sizeof *pair);
    int wanted = 40;

    (void) state;
    assert_non_null(others);
    assert_non_null(pair);
    host_open(&host, NULL);
    struct peer *peer = peer_start("echo", NULL);
    others_start(others, &host.loop);
    struct tcpm_session *sessions[2] = {track_session(&host, NULL), track_session(&host, NULL)};
    for (size_t i = 0; i < COUNT(pair->tracks[0]); i++)
        for (size_t s = 0; s < 2; s++) {
            pair->tracks[s][i].hook = talk;
            pair->tracks[s][i].user = &wanted;
            track_connect(&pair->tracks[s][i], sessions[s], peer_port(peer));
        }
    host_run_until(&host, all_ended, pair);
    for (size_t s = 0; s < 2; s++)
        for (size_t i = 0; i < COUNT(pair->tracks[s]); i++) {
            assert_int_equal(pair->tracks[s][i].count[EVENT_INPUT], wanted);
            assert_int_equal(pair->tracks[s][i].reason, TCPM_REASON_SHUTDOWN);
        }
    host_run_until(&host, others_went_on, others);
    others_stop(others);
    host_run(&host);
    peer_stop(peer);
    host_close(&host);
    free(pair);
    free(others);
}

/* ---- teardown ---- */

struct demolition {
    struct host host;
    struct others others;
    struct track tracks[60];
    struct peer *peers[5];
    struct tcpm_session *sessions[2];
    unsigned events_left; /* until the engine is closed, from inside a handler */
    int closed, drops;
};

static void on_closed(void *user)
{
    ((struct demolition *) user)->closed++;
}

static void count_down(struct track *track, enum event event)
{
    struct demolition *all = track->user;

    if (event == EVENT_SUCCESS)
        tcpm_send(track->session, track->id, "hello", 5);
    if (all->events_left > 0 && --all->events_left == 0) {
        tcpm_engine_close(all->host.engine, on_closed, all);
        assert_int_equal(all->closed, 0);
    }
}

static void run_nothing(struct tcpm_session *session, void *user, void *argument)
{
    (void) session;
    (void) user;
    (void) argument;
}

static void count_drop(void *argument)
{
    ((struct demolition *) argument)->drops++;
}

static void start_peers(struct demolition *all)
{
    static const char *const programs[] = {"echo", "blast 0", "freeze", "", ""};

    for (size_t i = 0; i < COUNT(programs); i++) {
        struct peer_options options = {.blackhole = i == 3, .refuse = i == 4};
        all->peers[i] = peer_start(programs[i], &options);
        assert_non_null(all->peers[i]);
    }
}

/* Connections in every phase, some of them waiting, one name being looked up, alarms, a signal. */
static void start_all(struct demolition *all)
{
    struct tcpm_session_options options = {.max_connections = 25};
    struct tcpm_filter *stream = stream_filter();
    struct tcpm_task task = {.run = run_nothing, .drop = count_drop, .argument = all};
    char *large = calloc(1, 3000000);

    assert_non_null(large);
    options.input_filter = options.output_filter = stream;
    for (size_t s = 0; s < 2; s++) {
        all->sessions[s] = track_session(&all->host, &options);
        assert_int_equal(tcpm_delay(all->sessions[s], (struct tcpm_id){0}, 1000000, task, NULL), 0);
        assert_int_equal(tcpm_sig(all->sessions[s], SIGUSR1, task), 0);
    }
    tcpm_filter_free(stream);
    for (size_t i = 0; i < COUNT(all->tracks); i++) {
        struct track *track = &all->tracks[i];
        track->hook = count_down;
        track->user = all;
        if (i == 7)
            track_connect_with(
                track, all->sessions[0],
                (struct tcpm_connect_options){.address = "no-such.invalid", .port = 1});
        else
            track_connect(track, all->sessions[i % 2], peer_port(all->peers[i % 5]));
        if (i % 5 == 2)
            assert_true(tcpm_send(track->session, track->id, large, 3000000) >= 0);
        if (i % 10 == 3)
            assert_int_equal(tcpm_delay(track->session, track->id, 1000000, task, NULL), 0);
    }
    free(large);
}

/* Closed after so many events, from a handler; after so many turns, from outside, if 0. */
static void demolish(unsigned events, int turns)
{
    struct demolition *all = calloc(1, sizeof *all);

    assert_non_null(all);
    host_open(&all->host, NULL);
    start_peers(all);
    others_start(&all->others, &all->host.loop);
    all->events_left = events;
    start_all(all);
    for (int turn = 0; turn < turns; turn++)
        uv_run(&all->host.loop, UV_RUN_NOWAIT);
    if (events == 0)
        tcpm_engine_close(all->host.engine, on_closed, all);
    others_stop(&all->others);
    host_run(&all->host);
    assert_int_equal(all->closed, 1);
    for (size_t i = 0; i < COUNT(all->tracks); i++)
        assert_int_equal(all->tracks[i].count[EVENT_DISCONNECTED], 1);
    assert_int_equal(all->drops, 4 + (int) COUNT(all->tracks) / 10);
    for (size_t i = 0; i < COUNT(all->peers); i++)
        peer_stop(all->peers[i]);
    host_loop_close(&all->host);
    free(all);
}

static void test_teardown_after_any_number_of_turns(void **state)
{
    (void) state;
    for (int turns = 0; turns < 12; turns++)
        demolish(0, turns);
    demolish(0, 100);
}

static void test_teardown_after_any_number_of_events(void **state)
{
    (void) state;
    for (unsigned events = 1; events < 200; events += 1 + events / 4)
        demolish(COUNT(((struct demolition *) 0)->tracks) + events, 0);
}

static void die_in_turn(struct track *track, enum event event)
{
    if (event == EVENT_SUCCESS)
        assert_true(tcpm_send(track->session, track->id, "the last word", 13) >= 0);
}

struct graceful {
    int stopped;
};

static void on_stopped(struct tcpm_session *session, void *user)
{
    (void) session;
    ((struct graceful *) user)->stopped++;
}

static bool both_stopped(void *argument)
{
    return ((struct graceful *) argument)->stopped == 2;
}

/* The graceful way that the header names: die for each session, wait for stopped, close. */
static void test_a_graceful_end_delivers_what_was_sent(void **state)
{
    struct host host;
    struct track tracks[20] = {{.hook = NULL}};
    struct graceful graceful = {0};
    struct tcpm_events events = *track_events();
    struct tcpm_session_options options = {.events = &events, .user = &graceful};

    (void) state;
    events.stopped = on_stopped;
    host_open(&host, NULL);
    struct peer *peer = peer_start("recv all", NULL);
    struct tcpm_session *sessions[2] = {track_session(&host, &options),
                                        track_session(&host, &options)};
    for (size_t i = 0; i < COUNT(tracks); i++) {
        tracks[i].hook = die_in_turn;
        track_connect(&tracks[i], sessions[i % 2], peer_port(peer));
    }
    for (size_t i = 0; i < COUNT(tracks); i++)
        host_run_until(&host, track_open, &tracks[i]);
    assert_int_equal(tcpm_die(sessions[0]), 0);
    assert_int_equal(tcpm_die(sessions[0]), -ESHUTDOWN);
    assert_int_equal(tcpm_die(sessions[1]), 0);
    host_run_until(&host, both_stopped, &graceful);
    assert_int_equal(peer_wait_ended(peer, COUNT(tracks), 20), 0);
    struct peer_report report;
    peer_report(peer, &report);
    assert_int_equal(report.received, 15 * COUNT(tracks));
    for (size_t i = 0; i < COUNT(tracks); i++)
        assert_log(&tracks[i], "initialize success disconnected(die)");
    peer_stop(peer);
    host_close(&host);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_two_sessions_beside_the_hosts_own_handles),
    cmocka_unit_test(test_teardown_after_any_number_of_turns),
    cmocka_unit_test(test_teardown_after_any_number_of_events),
    cmocka_unit_test(test_a_graceful_end_delivers_what_was_sent),
};

RUN_TESTS(tests)
