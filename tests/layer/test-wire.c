/* SPDX-License-Identifier: MIT */
/* What the scripted peers read and write through the code of the test layer, on a pair of sockets
   that takes little at a time. */
#include "support.h"

#include "wire.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BYTES = 300000, PIECE = 3000 };

struct pair {
    struct wire wire; /* of the peer */
    int client;       /* the other end */
    struct identity_reader reader;
    struct identity_writer writer;
};

static void open_pair(struct pair *pair)
{
    const int small = 1;
    char greeting[IDENTITY_GREETING];
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    assert_int_equal(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
    wire_open(&pair->wire, fds[0]);
    pair->client = fds[1];
    pair->reader = identity_reader(IDENTITY_PEER);
    pair->writer = identity_writer(IDENTITY_CLIENT);
    identity_greet(&pair->writer, greeting);
    assert_int_equal(write(pair->client, greeting, sizeof greeting), sizeof greeting);
}

static void close_pair(struct pair *pair)
{
    close(pair->wire.fd);
    close(pair->client);
}

static char byte_at(size_t offset)
{
    return (char) (offset * 31 + (offset >> 8));
}

static size_t client_reads(struct pair *pair, size_t size, size_t at)
{
    char bytes[PIECE];
    ssize_t got = read(pair->client, bytes, size);
    size_t length = got < 0 ? 0 : identity_decode(&pair->reader, bytes, (size_t) got, bytes);

    for (size_t i = 0; i < length; i++)
        assert_int_equal(bytes[i], byte_at(at + i));
    return length;
}

static size_t peer_sends(struct pair *pair, size_t at)
{
    char bytes[PIECE];
    ssize_t sent;

    for (size_t i = 0; i < PIECE; i++)
        bytes[i] = byte_at(at + i);
    sent = wire_send(&pair->wire, bytes, BYTES - at < PIECE ? BYTES - at : PIECE, MSG_NOSIGNAL);
    assert_true(sent >= 0 || errno == EAGAIN);
    return sent < 0 ? 0 : (size_t) sent;
}

static void test_sends_that_the_kernel_takes_in_part(void **state)
{
    struct randomness random = {5};
    struct pair pair;
    size_t sent = 0, read = 0;

    (void) state;
    open_pair(&pair);
    while (sent < BYTES) {
        sent += peer_sends(&pair, sent);
        read += client_reads(&pair, 1 + random_below(&random, PIECE), read);
    }
    for (size_t before = read + 1; before != read;) {
        before = read;
        read += client_reads(&pair, PIECE, read);
    }
    assert_in_range(read, BYTES - 1, BYTES); /* the half of an escape may be left to the end */
    wire_finish(&pair.wire);
    read += client_reads(&pair, PIECE, read);
    assert_int_equal(read, BYTES);
    assert_int_equal(pair.reader.state, IDENTITY_ENDED);
    close_pair(&pair);
}

static void client_writes(struct pair *pair, const char *text)
{
    char wire[64];
    size_t length = identity_encode(&pair->writer, text, strlen(text), wire);

    for (size_t i = 0; i < length; i++)
        assert_int_equal(write(pair->client, wire + i, 1), 1);
}

static void test_reads_wait_for_the_greeting_and_end_behind_the_mark(void **state)
{
    char end[IDENTITY_MARK], bytes[16];
    struct pair pair;

    (void) state;
    open_pair(&pair);
    client_writes(&pair, "hello");
    assert_int_equal(wire_await_greeting(&pair.wire), 0);
    assert_int_equal(wire_receive(&pair.wire, bytes, sizeof bytes, 0), 5);
    assert_memory_equal(bytes, "hello", 5);
    identity_end(end);
    assert_int_equal(write(pair.client, end, sizeof end), sizeof end);
    assert_int_equal(wire_receive(&pair.wire, bytes, sizeof bytes, 0), -1);
    assert_int_equal(errno, EAGAIN); /* FIN is still to come */
    assert_int_equal(shutdown(pair.client, SHUT_WR), 0);
    assert_int_equal(wire_receive(&pair.wire, bytes, sizeof bytes, 0), 0);
    close_pair(&pair);
}

static void test_an_end_without_the_mark_is_refused(void **state)
{
    char bytes[16];
    struct pair pair;

    (void) state;
    open_pair(&pair);
    client_writes(&pair, "x");
    assert_int_equal(shutdown(pair.client, SHUT_WR), 0);
    assert_int_equal(wire_receive(&pair.wire, bytes, sizeof bytes, 0), 1);
    assert_int_equal(wire_receive(&pair.wire, bytes, sizeof bytes, 0), -1);
    assert_int_equal(errno, EPROTO);
    close_pair(&pair);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_sends_that_the_kernel_takes_in_part),
    cmocka_unit_test(test_reads_wait_for_the_greeting_and_end_behind_the_mark),
    cmocka_unit_test(test_an_end_without_the_mark_is_refused),
};

RUN_TESTS(tests)
