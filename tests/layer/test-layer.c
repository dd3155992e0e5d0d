/* SPDX-License-Identifier: MIT */
/*
 * The test layer as a kind of layer, over one end of a pair of sockets; the test holds the other
 * end and sees the wire.
 */
#include "support.h"

#include "identity.h"
#include "layer.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SIZE = 300000 };

struct scene {
    uv_loop_t loop;
    struct scarce scarce;
    struct tcpm__network network;
    struct tcpm__socket socket;
    struct tcpm__layer *layer;
    int peer;
    struct identity_writer writer; /* of the peer */
    struct identity_reader reader;
};

static const struct tcpm__socket_events no_events;

static void begin(struct scene *scene)
{
    const int small = 1;
    int fds[2];

    scarce_init(&scene->scarce);
    assert_int_equal(uv_loop_init(&scene->loop), 0);
    assert_int_equal(
        tcpm__network_open(&scene->network, &scene->loop, &scene->scarce.memory, &no_events, 1024),
        0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    assert_int_equal(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
    scene->socket = (struct tcpm__socket){.fd = fds[0], .readable = true};
    scene->peer = fds[1];
    scene->writer = identity_writer(IDENTITY_PEER);
    scene->reader = identity_reader(IDENTITY_CLIENT);
    assert_int_equal(identity_open(&scene->network, &scene->layer), 0);
}

static void end(struct scene *scene)
{
    tcpm__layer_free(scene->layer);
    close(scene->socket.fd);
    close(scene->peer);
    tcpm__network_close(&scene->network);
    assert_int_equal(uv_run(&scene->loop, UV_RUN_DEFAULT), 0);
    tcpm__network_free(&scene->network);
    assert_int_equal(uv_loop_close(&scene->loop), 0);
    assert_int_equal(scene->scarce.blocks, 0);
}

static void peer_writes(struct scene *scene, const void *wire, size_t length)
{
    assert_int_equal(write(scene->peer, wire, length), length);
    scene->socket.readable = true;
}

static void peer_greets(struct scene *scene)
{
    char greeting[IDENTITY_GREETING];

    identity_greet(&scene->writer, greeting);
    peer_writes(scene, greeting, sizeof greeting);
}

static void peer_says(struct scene *scene, const char *text)
{
    char wire[64];

    peer_writes(scene, wire, identity_encode(&scene->writer, text, strlen(text), wire));
}

static void peer_ends(struct scene *scene)
{
    char mark[IDENTITY_MARK];

    identity_end(mark);
    peer_writes(scene, mark, sizeof mark);
}

/* Gives the bytes of plain text that the peer has got. */
static size_t peer_reads(struct scene *scene, char *text, size_t size)
{
    ssize_t got = read(scene->peer, text, size);

    return got < 0 ? 0 : identity_decode(&scene->reader, text, (size_t) got, text);
}

static void open_layer(struct scene *scene)
{
    char nothing[8];

    begin(scene);
    peer_greets(scene);
    assert_int_equal(scene->layer->kind->handshake(scene->layer, &scene->socket), 1);
    assert_int_equal(peer_reads(scene, nothing, sizeof nothing), 0);
    assert_int_equal(scene->reader.state, IDENTITY_OPEN);
}

static void expect_read(struct scene *scene, const char *text)
{
    char *bytes;
    ssize_t length = tcpm__stream_read(scene->layer, &scene->network, &scene->socket, &bytes);

    assert_int_equal(length, strlen(text));
    assert_memory_equal(bytes, text, strlen(text));
    assert_ptr_equal(bytes, scene->network.plain_buffer);
}

static ssize_t read_code(struct scene *scene)
{
    char *bytes;

    return tcpm__stream_read(scene->layer, &scene->network, &scene->socket, &bytes);
}

static void test_the_handshake_waits_for_the_whole_greeting(void **state)
{
    struct scene scene;

    (void) state;
    begin(&scene);
    assert_int_equal(scene.layer->kind->handshake(scene.layer, &scene.socket), 0);
    peer_writes(&scene, "p", 1);
    assert_int_equal(scene.layer->kind->handshake(scene.layer, &scene.socket), 0);
    peer_writes(&scene, "L", 1);
    assert_int_equal(scene.layer->kind->handshake(scene.layer, &scene.socket), 1);
    assert_int_equal(scene.layer->carried, IDENTITY_GREETING);
    end(&scene);
}

static void test_a_wrong_greeting_and_an_early_end_fail_the_handshake(void **state)
{
    struct scene scene;

    (void) state;
    begin(&scene);
    peer_writes(&scene, "SSH-2.0", 7);
    assert_int_equal(scene.layer->kind->handshake(scene.layer, &scene.socket), -EPROTO);
    end(&scene);
    begin(&scene);
    assert_int_equal(shutdown(scene.peer, SHUT_WR), 0);
    assert_int_equal(scene.layer->kind->handshake(scene.layer, &scene.socket), -EPROTO);
    end(&scene);
}

static void test_what_comes_with_the_greeting_is_kept_for_the_first_read(void **state)
{
    struct scene scene;

    (void) state;
    begin(&scene);
    peer_greets(&scene);
    peer_says(&scene, "hello");
    peer_ends(&scene);
    assert_int_equal(scene.layer->kind->handshake(scene.layer, &scene.socket), 1);
    assert_true(scene.socket.readable);
    expect_read(&scene, "hello");
    assert_true(scene.socket.readable); /* the end is still to be told */
    assert_int_equal(read_code(&scene), 0);
    assert_false(scene.socket.readable);
    end(&scene);
}

static void test_half_of_an_escape_is_progress_without_text(void **state)
{
    struct scene scene;
    char mark[IDENTITY_MARK];

    (void) state;
    open_layer(&scene);
    peer_says(&scene, "abc");
    identity_end(mark);
    peer_writes(&scene, mark, 1);
    expect_read(&scene, "abc");
    peer_writes(&scene, mark + 1, 1);
    assert_int_equal(read_code(&scene), 0);
    end(&scene);
    open_layer(&scene);
    peer_writes(&scene, mark, 1);
    assert_int_equal(read_code(&scene), -EINPROGRESS);
    assert_int_equal(read_code(&scene), -EAGAIN);
    end(&scene);
}

static void test_a_cut_stream_and_a_bad_byte_are_told_behind_their_text(void **state)
{
    struct scene scene;

    (void) state;
    open_layer(&scene);
    peer_says(&scene, "abc");
    assert_int_equal(shutdown(scene.peer, SHUT_WR), 0);
    expect_read(&scene, "abc");
    scene.socket.readable = true;
    assert_int_equal(read_code(&scene), -EPROTO);
    end(&scene);
    open_layer(&scene);
    peer_says(&scene, "abc");
    peer_writes(&scene, "\xe1", 1);
    expect_read(&scene, "abc");
    assert_true(scene.socket.readable);
    assert_int_equal(read_code(&scene), -EPROTO);
    end(&scene);
}

/* While the wire is longer than what the kernel takes, text is unsent, and the socket blocked. */
static void test_text_is_sent_when_its_wire_is_in_the_kernel(void **state)
{
    static char text[SIZE], back[SIZE + 1000];
    struct scene scene;
    size_t sent = 0, got = 0;

    (void) state;
    for (size_t i = 0; i < SIZE; i++)
        text[i] = (char) (i * 31 + (i >> 8));
    open_layer(&scene);
    while (sent < SIZE) {
        ssize_t result = tcpm__stream_send(scene.layer, &scene.socket, text + sent, SIZE - sent);

        assert_true(result >= 0);
        sent += (size_t) result;
        assert_int_equal(scene.layer->wire != NULL, scene.socket.blocked);
        assert_true(tcpm__stream_unsent(scene.layer) <= SIZE - sent);
        while (got < sent) {
            size_t length = peer_reads(&scene, back + got, 1000);
            assert_true(length > 0 || scene.reader.escaped);
            got += length;
        }
        assert_int_equal(got, sent);
        scene.socket.blocked = false;
    }
    assert_memory_equal(back, text, SIZE);
    end(&scene);
}

static void test_the_mark_follows_the_text(void **state)
{
    struct scene scene;
    char back[64];
    size_t got;

    (void) state;
    open_layer(&scene);
    assert_int_equal(tcpm__stream_send(scene.layer, &scene.socket, "bye", 3), 3);
    assert_int_equal(tcpm__stream_finish(scene.layer, &scene.socket), 1);
    assert_int_equal(tcpm__stream_finish(scene.layer, &scene.socket), 1); /* once */
    got = peer_reads(&scene, back, sizeof back);
    assert_int_equal(got, 3);
    assert_memory_equal(back, "bye", 3);
    assert_int_equal(scene.reader.state, IDENTITY_ENDED);
    end(&scene);
}

static void test_a_write_error_is_told_again(void **state)
{
    struct scene scene;

    (void) state;
    open_layer(&scene);
    close(scene.peer);
    assert_int_equal(tcpm__stream_send(scene.layer, &scene.socket, "x", 1), -EPIPE);
    assert_int_equal(tcpm__stream_unsent(scene.layer), 1);
    assert_int_equal(tcpm__stream_send(scene.layer, &scene.socket, "x", 1), -EPIPE);
    scene.peer = dup(scene.socket.fd);
    end(&scene);
}

/* Memory is needed only for what the kernel does not take. */
static void test_without_memory_a_blocked_stream_is_broken(void **state)
{
    static char text[SIZE];
    struct scene scene;

    (void) state;
    open_layer(&scene);
    scene.scarce.left = 0;
    scene.scarce.for_good = true;
    assert_int_equal(tcpm__stream_send(scene.layer, &scene.socket, "one", 3), 3);
    assert_true(tcpm__stream_send(scene.layer, &scene.socket, text, SIZE) > 0);
    assert_int_equal(tcpm__stream_send(scene.layer, &scene.socket, text, SIZE), -ENOMEM);
    end(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_the_handshake_waits_for_the_whole_greeting),
    cmocka_unit_test(test_a_wrong_greeting_and_an_early_end_fail_the_handshake),
    cmocka_unit_test(test_what_comes_with_the_greeting_is_kept_for_the_first_read),
    cmocka_unit_test(test_half_of_an_escape_is_progress_without_text),
    cmocka_unit_test(test_a_cut_stream_and_a_bad_byte_are_told_behind_their_text),
    cmocka_unit_test(test_text_is_sent_when_its_wire_is_in_the_kernel),
    cmocka_unit_test(test_the_mark_follows_the_text),
    cmocka_unit_test(test_a_write_error_is_told_again),
    cmocka_unit_test(test_without_memory_a_blocked_stream_is_broken),
};

RUN_TESTS(tests)
