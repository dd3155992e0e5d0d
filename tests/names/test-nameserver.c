/* SPDX-License-Identifier: MIT */
/*
 * The scripted name server does what its names say. It is asked over sockets on loopback, on a port
 * that was free; its answers are read by the C library's parser, not by its own code.
 */
#include "nameserver.h"
#include "script.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { MOST = 65535, PATIENCE_MS = 20000 };

struct asker {
    struct nameserver *server;
    int fd; /* UDP, connected */
    unsigned char bytes[MOST];
    size_t length; /* of the latest answer */
};

static int connect_to(struct nameserver *server, int type)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t) nameserver_port(server)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

    assert_int_equal(connect(fd, (void *) &address, sizeof address), 0);
    return fd;
}

static struct asker *ask_open(const struct nameserver_options *options)
{
    struct asker *asker = calloc(1, sizeof *asker);

    assert_non_null(asker);
    asker->server = nameserver_start(options);
    assert_non_null(asker->server);
    asker->fd = connect_to(asker->server, SOCK_DGRAM);
    return asker;
}

static void ask_close(struct asker *asker)
{
    close(asker->fd);
    nameserver_stop(asker->server);
    free(asker);
}

/* Writes a question without EDNS; gives its length. */
static size_t make_question(const char *name, unsigned type, unsigned char ret[512])
{
    unsigned char *at = ret + 12;

    memcpy(ret, "\x12\x34\1\0\0\1\0\0\0\0\0\0", 12);
    while (*name != '\0') {
        size_t length = strcspn(name, ".");
        *at++ = (unsigned char) length;
        memcpy(at, name, length);
        at += length;
        name += length + (name[length] == '.');
    }
    *at++ = 0;
    *at++ = (unsigned char) (type >> 8);
    *at++ = (unsigned char) type;
    *at++ = 0;
    *at++ = 1;
    return (size_t) (at - ret);
}

static void ask(struct asker *asker, const char *name, unsigned type)
{
    unsigned char question[512];
    size_t length = make_question(name, type, question);

    assert_int_equal(send(asker->fd, question, length, 0), (ssize_t) length);
}

/* Waits for the next datagram. False: none has come in this time. */
static bool hear(struct asker *asker, int ms)
{
    struct pollfd poll_fd = {.fd = asker->fd, .events = POLLIN};

    if (poll(&poll_fd, 1, ms) != 1)
        return false;
    ssize_t size = recv(asker->fd, asker->bytes, sizeof asker->bytes, 0);
    assert_true(size >= 0);
    asker->length = (size_t) size;
    return true;
}

/* Parses the latest answer. */
static ns_msg parse(const struct asker *asker)
{
    ns_msg message;

    assert_int_equal(ns_initparse(asker->bytes, (int) asker->length, &message), 0);
    assert_int_equal(ns_msg_id(message), 0x1234);
    assert_int_equal(ns_msg_getflag(message, ns_f_qr), 1);
    return message;
}

static ns_msg exchange(struct asker *asker, const char *name, unsigned type)
{
    ask(asker, name, type);
    assert_true(hear(asker, PATIENCE_MS));
    return parse(asker);
}

static ns_rr record_of(ns_msg *message, int number)
{
    ns_rr record;

    assert_int_equal(ns_parserr(message, ns_s_an, number, &record), 0);
    return record;
}

static void assert_address(ns_msg *message, int number, const char *expected)
{
    char text[INET6_ADDRSTRLEN];
    ns_rr record = record_of(message, number);
    int family = ns_rr_type(record) == ns_t_a ? AF_INET : AF_INET6;

    assert_non_null(inet_ntop(family, ns_rr_rdata(record), text, sizeof text));
    assert_string_equal(text, expected);
}

static const struct nameserver_options anywhere = {.port = NAMESERVER_ANY_PORT};

static void test_addresses_by_number_and_written_out(void **state)
{
    struct asker *asker = ask_open(&anywhere);

    (void) state;
    ns_msg four = exchange(asker, "A-2.v4-10-0-0-9.ttl-7.test", ns_t_a);
    assert_int_equal(ns_msg_count(four, ns_s_an), 3);
    assert_address(&four, 0, "10.0.0.9");
    assert_address(&four, 1, "127.0.0.1");
    assert_address(&four, 2, "127.0.0.2");
    assert_int_equal(ns_rr_ttl(record_of(&four, 0)), 7);
    ns_msg six = exchange(asker, "a-2.aaaa-1.v6-fd000000000000000000000000000001.test", ns_t_aaaa);
    assert_int_equal(ns_msg_count(six, ns_s_an), 2);
    assert_address(&six, 0, "fd00::1");
    assert_address(&six, 1, "2001:db8::1");
    ns_msg later = exchange(asker, "aaaa-2.from-256.test", ns_t_aaaa);
    assert_address(&later, 0, "2001:db8::101");
    assert_address(&later, 1, "2001:db8::102");
    ask_close(asker);
}

static void test_errors_and_conditions(void **state)
{
    static const struct {
        const char *name;
        int type, rcode;
    } rows[] = {
        {"nx.test", ns_t_a, ns_r_nxdomain},
        {"servfail.test", ns_t_a, ns_r_servfail},
        {"refused.test", ns_t_a, ns_r_refused},
        {"formerr.test", ns_t_a, ns_r_formerr},
        {"notimp.test", ns_t_a, ns_r_notimpl},
        {"nothing.test", ns_t_a, ns_r_noerror},
        {"6-nx.one.test", ns_t_a, ns_r_noerror},
        {"6-nx.one.test", ns_t_aaaa, ns_r_nxdomain},
        {"s2-nx.s1-refused.test", ns_t_a, ns_r_refused},
        {"first-nx.two.test", ns_t_a, ns_r_nxdomain},
        {"first-nx.two.test", ns_t_a, ns_r_noerror},
        {"later-4-udp-nx.three.test", ns_t_a, ns_r_noerror},
        {"later-4-udp-nx.three.test", ns_t_a, ns_r_nxdomain},
        {"tcp-nx.test", ns_t_a, ns_r_noerror},
    };
    struct asker *asker = ask_open(&anywhere);

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ns_msg message = exchange(asker, rows[i].name, (unsigned) rows[i].type);
        if ((int) ns_msg_getflag(message, ns_f_rcode) != rows[i].rcode)
            fail_msg("row %zu, %s", i, rows[i].name);
        assert_int_equal(ns_msg_count(message, ns_s_an), 0);
    }
    ask_close(asker);
}

static void test_aliases(void **state)
{
    char target[NS_MAXDNAME];
    struct asker *asker = ask_open(&anywhere);

    (void) state;
    ns_msg chain = exchange(asker, "a-1.cname-8.chainttl-3.test", ns_t_a);
    assert_int_equal(ns_msg_count(chain, ns_s_an), 9);
    for (int i = 0; i < 8; i++) {
        ns_rr alias = record_of(&chain, i), next = record_of(&chain, i + 1);
        assert_int_equal(ns_rr_type(alias), ns_t_cname);
        assert_int_equal(ns_rr_ttl(alias), 3);
        assert_true(ns_name_uncompress(ns_msg_base(chain), ns_msg_end(chain), ns_rr_rdata(alias),
                                       target, sizeof target) > 0);
        assert_string_equal(target, ns_rr_name(next));
    }
    assert_address(&chain, 8, "127.0.0.1");
    ns_msg loop = exchange(asker, "loop.a-1.test", ns_t_a);
    assert_int_equal(ns_msg_count(loop, ns_s_an), 2);
    assert_string_equal(ns_rr_name(record_of(&loop, 0)), "loop.a-1.test");
    ask_close(asker);
}

static void test_noise_comes_before_the_answer(void **state)
{
    struct asker *asker = ask_open(&anywhere);
    unsigned bad_ids = 0, bad_names = 0, junk = 0, headers = 0, empties = 0;

    (void) state;
    ask(asker, "a-1.badid-5.badname-4.badfrom-3.junk-2.header-6.empty-7.test", ns_t_a);
    for (int i = 0; i < 5 + 4 + 2 + 6 + 7; i++) {
        assert_true(hear(asker, PATIENCE_MS));
        bool has_id = asker->length >= 2 && memcmp(asker->bytes, "\x12\x34", 2) == 0;
        empties += asker->length == 0;
        headers += asker->length == 12 && has_id;
        junk += asker->length == 64;
        bad_ids += asker->length > 64 && !has_id;
        bad_names += asker->length > 64 && has_id;
    }
    assert_int_equal(bad_ids, 5);
    assert_int_equal(bad_names, 4);
    assert_int_equal(junk, 2);
    assert_int_equal(headers, 6);
    assert_int_equal(empties, 7);
    assert_true(hear(asker, PATIENCE_MS)); /* the other address is not the connected one */
    ns_msg message = parse(asker);
    assert_address(&message, 0, "127.0.0.1");
    ask_close(asker);
}

static void test_late_twice_and_never(void **state)
{
    struct asker *asker = ask_open(&anywhere);

    (void) state;
    ask(asker, "a-3.delay-400.test", ns_t_a);
    ask(asker, "a-2.delay-200.test", ns_t_a);
    ask(asker, "a-9.silent.test", ns_t_a);
    for (int expected = 1; expected <= 3; expected++) {
        ns_msg message = expected == 1 ? exchange(asker, "a-1.test", ns_t_a)
                                       : (assert_true(hear(asker, PATIENCE_MS)), parse(asker));
        assert_int_equal(ns_msg_count(message, ns_s_an), expected);
    }
    ask(asker, "twice.a-4.test", ns_t_a);
    for (int i = 0; i < 2; i++) {
        assert_true(hear(asker, PATIENCE_MS));
        ns_msg message = parse(asker);
        assert_int_equal(ns_msg_count(message, ns_s_an), 4);
    }
    assert_false(hear(asker, 50));
    ask_close(asker);
}

/* Reads so many bytes; gives how many came before the end. */
static size_t read_whole(int fd, unsigned char *bytes, size_t length)
{
    size_t done = 0;
    ssize_t size;

    while (done < length && (size = recv(fd, bytes + done, length - done, 0)) > 0)
        done += (size_t) size;
    return done;
}

/* Asks by TCP, the question cut in two; gives the length of the answer, 0: the server closed. */
static size_t ask_by_tcp(struct asker *asker, const char *name, unsigned type)
{
    unsigned char question[2 + 512], size[2];
    size_t length = make_question(name, type, question + 2);
    int fd = connect_to(asker->server, SOCK_STREAM);

    question[0] = (unsigned char) (length >> 8);
    question[1] = (unsigned char) length;
    assert_int_equal(send(fd, question, 5, 0), 5);
    assert_int_equal(send(fd, question + 5, length - 3, 0), (ssize_t) length - 3);
    asker->length = 0;
    if (read_whole(fd, size, sizeof size) == sizeof size) {
        asker->length = (size_t) size[0] << 8 | size[1];
        assert_int_equal(read_whole(fd, asker->bytes, asker->length), asker->length);
    }
    close(fd);
    return asker->length;
}

static void test_what_is_too_long_comes_by_tcp(void **state)
{
    static const char *const names[] = {"a-2000.test", "truncate.a-1.test"};
    struct asker *asker = ask_open(&anywhere);

    (void) state;
    for (size_t i = 0; i < 2; i++) {
        ns_msg cut = exchange(asker, names[i], ns_t_a);
        assert_int_equal(ns_msg_getflag(cut, ns_f_tc), 1);
        assert_int_equal(ns_msg_count(cut, ns_s_an), 0);
        assert_true(ask_by_tcp(asker, names[i], ns_t_a) > 0);
        ns_msg whole = parse(asker);
        assert_int_equal(ns_msg_getflag(whole, ns_f_tc), 0);
        assert_int_equal(ns_msg_count(whole, ns_s_an), i == 0 ? 2000 : 1);
    }
    assert_int_equal(ask_by_tcp(asker, "hangup.a-1.test", ns_t_a), 0);
    ask_close(asker);
}

static void test_without_tcp_connections_are_refused(void **state)
{
    struct asker *asker =
        ask_open(&(struct nameserver_options){.port = NAMESERVER_ANY_PORT, .no_tcp = 1});
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t) nameserver_port(asker->server)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    (void) state;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (void *) &address, sizeof address), -1);
    close(fd);
    ask_close(asker);
}

static void test_the_log_has_every_question(void **state)
{
    struct asker *asker = ask_open(&anywhere);
    struct sockaddr_in mine;
    socklen_t size = sizeof mine;
    struct nameserver_asked asked;

    (void) state;
    assert_int_equal(getsockname(asker->fd, (void *) &mine, &size), 0);
    exchange(asker, "a-1.test", ns_t_a);
    exchange(asker, "A-1.Test", ns_t_aaaa);
    exchange(asker, "other.test", ns_t_a);
    assert_true(ask_by_tcp(asker, "a-1.test", ns_t_a) > 0);
    assert_int_equal(nameserver_count(asker->server, NULL, 0), 4);
    assert_int_equal(nameserver_count(asker->server, "a-1.test", 0), 3);
    assert_int_equal(nameserver_count(asker->server, "a-1.test", ns_t_a), 2);
    assert_true(nameserver_asked(asker->server, 1, &asked));
    assert_string_equal(asked.name, "A-1.Test");
    assert_int_equal(asked.type, ns_t_aaaa);
    assert_int_equal(asked.id, 0x1234);
    assert_int_equal(asked.port, ntohs(mine.sin_port));
    assert_false(asked.tcp);
    assert_true(nameserver_asked(asker->server, 3, &asked) && asked.tcp);
    assert_false(nameserver_asked(asker->server, 4, &asked));
    nameserver_forget(asker->server);
    assert_int_equal(nameserver_count(asker->server, NULL, 0), 0);
    ask_close(asker);
}

/* Datagrams that are no questions, whole and cut at each place, get no answer and do no harm. */
static void test_what_is_no_question_is_ignored(void **state)
{
    struct asker *asker = ask_open(&anywhere);
    unsigned char question[512];
    size_t length = make_question("a-1.some.labels.test", ns_t_a, question);

    (void) state;
    for (size_t cut = 0; cut < length; cut++)
        assert_int_equal(send(asker->fd, question, cut, 0), (ssize_t) cut);
    question[2] |= 0x80; /* an answer */
    assert_int_equal(send(asker->fd, question, length, 0), (ssize_t) length);
    question[2] = 1;
    question[12] = 0xc0; /* a pointer where a label begins */
    assert_int_equal(send(asker->fd, question, length, 0), (ssize_t) length);
    ns_msg message = exchange(asker, "a-1.test", ns_t_a);
    assert_int_equal(ns_msg_count(message, ns_s_an), 1);
    assert_int_equal(nameserver_count(asker->server, NULL, 0), 1);
    ask_close(asker);
}

static void test_an_address_that_cannot_be_is_told(void **state)
{
    char message[200] = "";

    (void) state;
    assert_null(nameserver_start(&(struct nameserver_options){
        .address = "192.0.2.300", .message = message, .message_size = sizeof message}));
    assert_string_equal(message, "the name server at 192.0.2.300: Invalid argument");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_addresses_by_number_and_written_out),
    cmocka_unit_test(test_errors_and_conditions),
    cmocka_unit_test(test_aliases),
    cmocka_unit_test(test_noise_comes_before_the_answer),
    cmocka_unit_test(test_late_twice_and_never),
    cmocka_unit_test(test_what_is_too_long_comes_by_tcp),
    cmocka_unit_test(test_without_tcp_connections_are_refused),
    cmocka_unit_test(test_the_log_has_every_question),
    cmocka_unit_test(test_what_is_no_question_is_ignored),
    cmocka_unit_test(test_an_address_that_cannot_be_is_told),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
