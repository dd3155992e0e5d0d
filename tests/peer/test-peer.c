/* SPDX-License-Identifier: MIT */
/*
 * The scripted peer itself, against a plain blocking client: what its verbs do on the wire, and
 * that it notices how a connection ended.
 */
#include "peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define SECONDS 10.0

static int dial(struct peer *peer)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_port = htons((uint16_t) peer_port(peer));
    assert_int_equal(inet_pton(AF_INET, peer_address(peer), &address.sin_addr), 1);
    assert_int_equal(connect(fd, (struct sockaddr *) &address, sizeof address), 0);
    return fd;
}

/* Reads to the end; the length, and in *error 0 for FIN or the errno. */
static size_t slurp(int fd, char *bytes, size_t size, int *error)
{
    size_t have = 0;
    ssize_t length;

    while ((length = recv(fd, bytes + have, size - have, 0)) > 0) {
        have += (size_t) length;
    }
    *error = length == 0 ? 0 : errno;
    return have;
}

static struct peer *start(const char *program)
{
    struct peer *peer = peer_start(program, NULL);

    assert_non_null(peer);
    return peer;
}

static void test_sends_what_the_program_says_and_then_fin(void **state)
{
    struct peer *peer = start("send \"a\\r\\n\\x00\\\"\"; sendhex 62 63 # words\nsendn 3 \"z\"");
    char bytes[64];
    int error, fd = dial(peer);

    (void) state;
    assert_int_equal(slurp(fd, bytes, sizeof bytes, &error), 10);
    assert_memory_equal(bytes, "a\r\n\0\"bczzz", 10);
    assert_int_equal(error, 0);
    close(fd);
    peer_stop(peer);
}

static void test_data_then_rst_is_a_reset(void **state)
{
    struct peer *peer = start("send \"one\"; mark sent; rst");
    char bytes[64];
    int error, fd = dial(peer);

    (void) state;
    assert_int_equal(peer_wait_mark(peer, "sent", 1, SECONDS), 0);
    assert_int_equal(peer_wait_ended(peer, 1, SECONDS), 0);
    (void) slurp(fd, bytes, sizeof bytes, &error);
    assert_int_equal(error, ECONNRESET);
    close(fd);
    peer_stop(peer);
}

static void test_close_unread_resets(void **state)
{
    struct peer *peer = start("send \"421 busy\"; close_unread");
    char bytes[64];
    int error, fd = dial(peer);

    (void) state;
    assert_int_equal(send(fd, "x", 1, 0), 1);
    assert_int_equal(peer_wait_ended(peer, 1, SECONDS), 0);
    (void) slurp(fd, bytes, sizeof bytes, &error);
    assert_int_equal(error, ECONNRESET);
    close(fd);
    peer_stop(peer);
}

static void test_tells_eof_from_reset(void **state)
{
    struct linger now = {1, 0};
    struct peer *peer = start("recv all");
    struct peer_connection seen;
    int fd = dial(peer);

    (void) state;
    assert_int_equal(send(fd, "hello", 5, 0), 5);
    close(fd);
    assert_int_equal(peer_wait_ended(peer, 1, SECONDS), 0);
    assert_int_equal(peer_connection(peer, 0, &seen), 0);
    assert_int_equal(seen.end, PEER_EOF);
    assert_int_equal(seen.content_length, 5);
    assert_memory_equal(seen.content, "hello", 5);
    assert_true(seen.checksum == peer_checksum(PEER_CHECKSUM, "hello", 5));
    fd = dial(peer);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
    close(fd);
    assert_int_equal(peer_wait_ended(peer, 2, SECONDS), 0);
    assert_int_equal(peer_connection(peer, 1, &seen), 0);
    assert_int_equal(seen.end, PEER_RESET);
    assert_int_equal(peer_connection(peer, 2, &seen), -1);
    peer_stop(peer);
}

static void test_expect_notes_what_came_instead(void **state)
{
    struct peer *peer = start("expect \"EHLO\"; discard");
    struct peer_report report;
    int fd = dial(peer);

    (void) state;
    assert_int_equal(send(fd, "HELO", 4, 0), 4);
    close(fd);
    assert_int_equal(peer_wait_ended(peer, 1, SECONDS), 0);
    peer_report(peer, &report);
    assert_int_equal(report.failures, 1);
    assert_string_equal(report.failure, "expected \"EHLO\", got \"HELO\"");
    peer_stop(peer);
}

static void test_gates_loops_and_successive_programs(void **state)
{
    struct peer *peer = start(
        "mark up; wait go; loop 3; send \"a\"; loop 2; send \"b\"; end; end; next; send \"2\"");
    char bytes[64];
    int error, fd = dial(peer);

    (void) state;
    assert_int_equal(peer_wait_mark(peer, "up", 1, SECONDS), 0);
    assert_int_equal(peer_marks(peer, "down"), 0);
    assert_int_equal(recv(fd, bytes, 1, MSG_DONTWAIT), -1);
    peer_go(peer, "go");
    assert_int_equal(slurp(fd, bytes, sizeof bytes, &error), 9);
    assert_memory_equal(bytes, "abbabbabb", 9);
    close(fd);
    for (int i = 0; i < 2; i++) {
        fd = dial(peer);
        assert_int_equal(slurp(fd, bytes, sizeof bytes, &error), 1);
        assert_int_equal(bytes[0], '2');
        close(fd);
    }
    peer_stop(peer);
}

static void test_stop_ends_threads_wherever_they_are(void **state)
{
    static const char *const programs[] = {
        "freeze",  "recv 5",       "wait never",           "sleep 60000",
        "blast 0", "close_unread", "loop 0; sleep 1; end", "dribble \"abc\" 30000000",
    };

    (void) state;
    for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++) {
        struct peer *peer = start(programs[i]);
        int fd = dial(peer);

        assert_int_equal(peer_wait_accepted(peer, 1, SECONDS), 0);
        peer_stop(peer);
        close(fd);
    }
}

static void test_prng_is_the_same_however_it_is_cut(void **state)
{
    struct peer *peer = start("prng 7 40000");
    char *expected = malloc(40000), *bytes = malloc(50000);
    uint64_t seed = 7;
    int error, fd = dial(peer);

    (void) state;
    assert_non_null(expected);
    assert_non_null(bytes);
    peer_prng(&seed, expected, 39999);
    peer_prng(&seed, expected + 39999, 1);
    assert_int_equal(slurp(fd, bytes, 50000, &error), 40000);
    assert_memory_equal(bytes, expected, 40000);
    close(fd);
    peer_stop(peer);
    free(bytes);
    free(expected);
}

static void test_refuse_and_blackhole(void **state)
{
    const struct peer_options refuse = {.refuse = 1}, blackhole = {.blackhole = 1};
    struct peer *peer = peer_start("", &refuse);
    struct sockaddr_in address = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct pollfd writable = {-1, POLLOUT, 0};

    (void) state;
    assert_non_null(peer);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t) peer_port(peer));
    assert_int_equal(connect(fd, (struct sockaddr *) &address, sizeof address), -1);
    assert_int_equal(errno, ECONNREFUSED);
    close(fd);
    peer_stop(peer);

    peer = peer_start("", &blackhole);
    assert_non_null(peer);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    address.sin_port = htons((uint16_t) peer_port(peer));
    assert_int_equal(connect(fd, (struct sockaddr *) &address, sizeof address), -1);
    assert_int_equal(errno, EINPROGRESS);
    writable.fd = fd;
    assert_int_equal(poll(&writable, 1, 100), 0);
    close(fd);
    peer_stop(peer);
}

static void test_misspelt_programs_do_not_start(void **state)
{
    static const char *const programs[] = {
        "sned \"a\"",    "send a", "send \"a", "send \"\\q\"", "sendhex 0", "recv some",
        "send \"a\" 12", "loop 2", "end",      "sleep",        "wait",
    };

    (void) state;
    for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++) {
        char message[128] = "";
        struct peer_options options = {.message = message, .message_size = sizeof message};

        assert_null(peer_start(programs[i], &options));
        assert_true(strncmp(message, "peer program: ", 14) == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sends_what_the_program_says_and_then_fin),
        cmocka_unit_test(test_data_then_rst_is_a_reset),
        cmocka_unit_test(test_close_unread_resets),
        cmocka_unit_test(test_tells_eof_from_reset),
        cmocka_unit_test(test_expect_notes_what_came_instead),
        cmocka_unit_test(test_gates_loops_and_successive_programs),
        cmocka_unit_test(test_stop_ends_threads_wherever_they_are),
        cmocka_unit_test(test_prng_is_the_same_however_it_is_cut),
        cmocka_unit_test(test_refuse_and_blackhole),
        cmocka_unit_test(test_misspelt_programs_do_not_start),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("peer", tests, NULL, NULL);
}
