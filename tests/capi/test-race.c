/* SPDX-License-Identifier: MIT */
/*
 * The race of several addresses (REACH N43 to N53): an address that is silent holds up the next one
 * for 250 ms and is not given up; one that fails holds up nobody; one connection comes of it.
 */
#include "racing.h"

#include <sys/epoll.h>
#include <sys/socket.h>

static const char good[] = "initialize success error(read,EOF) disconnected(eof)";

/* Time by which a busy machine may be late. */
enum { BUSY_MS = 150 };

/* Notes what there was at success. */
struct moment {
    struct host *host;
    int64_t began_ns;
    int ms;          /* from the connect to success */
    unsigned places; /* in success */
};

static void note_success(struct track *track, enum event event)
{
    struct moment *moment = track->user;

    if (event != EVENT_SUCCESS)
        return;
    moment->ms = racing_ms_since(moment->began_ns);
    moment->places = racing_places(moment->host);
}

static void begin(struct moment *moment, struct host *host, struct track *track,
                  struct tcpm_session *session, const char *addresses, int port)
{
    *moment = (struct moment){.host = host, .began_ns = tcpm_now_ns()};
    *track = (struct track){.hook = note_success, .user = moment};
    racing_connect(track, session, racing_new_name(addresses), port);
}

static bool has_input(void *track)
{
    return ((struct track *) track)->count[EVENT_INPUT] > 0;
}

/* REACH N43. */
static void test_N43_a_silent_address_holds_up_the_next_one_for_250_ms(void **state)
{
    struct host *host = *state;
    struct crowd silent;
    struct moment moment;
    struct track track;

    int port = crowds_open(&silent, "::1");
    host_peer(host, "send \"hi\\n\"; recv all", &(struct peer_options){.port = port});
    struct tcpm_session *session = racing_session(host, (struct tcpm_session_options){0});
    begin(&moment, host, &track, session, "127.0.0.1 ::1", port); /* IPv6 first nonetheless */
    racing_run_for(host, 200);
    assert_log(&track, "initialize");
    assert_int_equal(racing_places(host), 1);
    int before = host_descriptors();
    host_run_until(host, track_open, &track);
    assert_in_range(moment.ms, 250, 300 + BUSY_MS);
    assert_string_equal(track.addr, "127.0.0.1");
    assert_int_equal(moment.places, 1); /* the other attempt is closed */
    host_run_until(host, has_input, &track);
    assert_int_equal(host_descriptors(), before + 1); /* that of the peer, which is in here */
    assert_int_equal(tcpm_shutdown(session, track.id), 0);
    host_run(host);
    assert_log(&track, "initialize success input(hi) disconnected(shutdown)");
    crowd_close(&silent);
    host_close(host);
}

/* REACH N44: the first address connects after one second, by the second SYN. The second address has
   failed meanwhile. */
static void test_N44_a_live_attempt_is_not_given_up(void **state)
{
    struct host *host = *state;
    struct crowd slow;
    struct moment moment;
    struct track track;

    int port = crowds_open(&slow, "127.0.0.2");
    struct tcpm_session *session = racing_session(host, (struct tcpm_session_options){0});
    begin(&moment, host, &track, session, "127.0.0.2 127.0.0.3", port);
    racing_run_for(host, 300);
    crowd_accept(&slow);
    host_run_until(host, track_open, &track);
    assert_in_range(moment.ms, 900, 1300 + BUSY_MS);
    assert_string_equal(track.addr, "127.0.0.2");
    assert_int_equal(tcpm_reset(session, track.id), 0);
    host_run(host);
    assert_log(&track, "initialize success disconnected(shutdown)");
    crowd_close(&slow);
    host_close(host);
}

/* REACH N46. */
static void test_N46_without_a_route_the_next_address_begins_at_once(void **state)
{
    struct host *host = *state;
    struct moment moment;
    struct track track;

    struct peer *peer = host_peer(host, "close", NULL);
    racing_unroute("2001:db8::1", ENETUNREACH);
    racing_unroute("2001:db8::2", EHOSTUNREACH);
    struct tcpm_session *session = racing_session(host, (struct tcpm_session_options){0});
    begin(&moment, host, &track, session, "2001:db8::1 2001:db8::2 127.0.0.1", peer_port(peer));
    host_run(host);
    assert_log(&track, good);
    assert_true(moment.ms < 200);
    racing_unroute(NULL, 0);
    host_close(host);
}

/* REACH N50. */
static void test_N50_only_the_family_of_the_session_is_asked(void **state)
{
    static const struct {
        int64_t domain;
        int family;
        const char *addr;
    } rows[] = {{4, AF_INET, "127.0.0.1"}, {6, AF_INET6, "::1"}, {0, AF_UNSPEC, "::1"}};
    struct host *host = *state;
    struct peer *four, *six;

    peers_of_both_families("close", &four, &six);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct track track = {.hook = NULL};
        racing_connect(
            &track, racing_session(host, (struct tcpm_session_options){.domain = rows[i].domain}),
            racing_new_name("127.0.0.1 ::1"), peer_port(four));
        host_run(host);
        assert_log(&track, good);
        assert_string_equal(track.addr, rows[i].addr);
        assert_int_equal(racing_family(), rows[i].family);
    }
    peer_stop(six);
    peer_stop(four);
    host_close(host);
}

/* "127.0.0.2 127.0.0.3 …": so many. */
static void list_addresses(char *ret, size_t size, int count)
{
    size_t length = 0;

    for (int i = 0; i < count; i++)
        length += (size_t) snprintf(ret + length, size - length, "127.0.0.%d ", i + 2);
}

/* REACH N48, the first half. */
static void test_N48_63_of_64_addresses_refuse(void **state)
{
    struct host *host = *state;
    struct moment moment;
    struct track track;
    char addresses[1024];

    list_addresses(addresses, sizeof addresses, 64);
    struct peer *peer = host_peer(host, "close", &(struct peer_options){.address = "127.0.0.65"});
    begin(&moment, host, &track, racing_session(host, (struct tcpm_session_options){0}), addresses,
          peer_port(peer));
    host_run(host);
    assert_log(&track, good);
    assert_string_equal(track.addr, "127.0.0.65");
    assert_true(moment.ms < 1000);
    host_close(host);
}

/* REACH N48, the second half. */
static void test_N48_63_of_64_addresses_are_silent(void **state)
{
    static struct crowd silent[63];
    struct host *host = *state;
    struct moment moment;
    struct track track;
    char addresses[1024];

    list_addresses(addresses, sizeof addresses, 63);
    int port = crowds_open(silent, addresses);
    host_peer(host, "close", &(struct peer_options){.address = "127.0.0.65", .port = port});
    list_addresses(addresses, sizeof addresses, 64);
    begin(&moment, host, &track, racing_session(host, (struct tcpm_session_options){0}), addresses,
          port);
    racing_run_for(host, 15700);
    /* On a busy machine each start is a little late. */
    assert_in_range(racing_places(host), 60, 63);
    host_run(host);
    assert_log(&track, good);
    assert_string_equal(track.addr, "127.0.0.65");
    assert_in_range(moment.ms, 15750, 17000);
    crowds_close(silent, COUNT(silent));
    host_close(host);
}

/* ---- two results in one batch of events ---- */

/* Lets both addresses connect while the loop sleeps: the first by its SYN after 1 s, or after 3 s
   if it is late; the second by its SYN after 1.25 s. */
static void race_while_asleep(struct host *host, bool is_late, const char *winner)
{
    struct crowd crowds[2];
    struct moment moment;
    struct track track;

    int port = crowds_open(crowds, "127.0.0.2 127.0.0.3");
    struct tcpm_session *session = racing_session(host, (struct tcpm_session_options){0});
    begin(&moment, host, &track, session, "127.0.0.2 127.0.0.3", port);
    uint64_t id = track.id.n;
    racing_run_for(host, 500);
    assert_int_equal(racing_places(host), 2);
    crowd_accept(&crowds[1]);
    usleep(is_late ? 650000 : 0);
    crowd_accept(&crowds[0]);
    usleep(is_late ? 2200000 : 1100000);
    host_run_until(host, track_open, &track);
    racing_run_for(host, 20);
    assert_log(&track, "initialize success");
    assert_string_equal(track.addr, winner);
    assert_int_equal(track.id.n, id);
    assert_int_equal(tcpm_send(session, track.id, "hello", 5), 0);
    assert_int_equal(tcpm_shutdown(session, track.id), 0);
    crowds_close(crowds, 2);
    host_run(host);
    assert_int_equal(track.count[EVENT_DISCONNECTED], 1);
}

/* REACH N52. */
static void test_N52_the_loser_is_in_the_batch_of_the_winner(void **state)
{
    struct host *host = *state;

    race_while_asleep(host, false, "127.0.0.2"); /* the connection's own socket wins */
    race_while_asleep(host, true, "127.0.0.3");  /* a racer does */
    host_close(host);
}

/* REACH N53. */
static void test_N53_racer_number_5_wins(void **state)
{
    static const char silent[] = "127.0.0.2 127.0.0.3 127.0.0.4 127.0.0.5 127.0.0.6";
    struct host *host = *state;
    struct crowd crowds[5];
    struct moment moment;
    struct track track;

    int port = crowds_open(crowds, silent);
    struct peer *peer =
        host_peer(host, "send \"one\\n\"; wait more; send \"two\\n\"; recv line; rst",
                  &(struct peer_options){.address = "127.0.0.7", .port = port});
    struct tcpm_session *session = racing_session(host, (struct tcpm_session_options){0});
    begin(&moment, host, &track, session,
          "127.0.0.2 127.0.0.3 127.0.0.4 127.0.0.5 127.0.0.6 127.0.0.7", port);
    host_run_until(host, track_open, &track);
    assert_in_range(moment.ms, 1250, 1400 + BUSY_MS);
    assert_int_equal(moment.places, 1);
    racing_run_for(host, 50);
    assert_log(&track, "initialize success input(one)");
    peer_go(peer, "more");
    racing_run_for(host, 50);
    assert_int_equal(tcpm_send(session, track.id, "three", 5), 0);
    host_run(host);
    assert_log(&track, "initialize success input(one) input(two) error(read,ECONNRESET) "
                       "disconnected(error)");
    crowds_close(crowds, COUNT(crowds));
    host_close(host);
}

/* Shut down, reset or dead in the middle of a race: all of its sockets are closed, and no event
   comes but the last. */
static void test_a_race_ends_with_its_connection(void **state)
{
    struct host *host = *state;
    struct crowd crowds[3];
    struct track tracks[3];
    struct moment moment;

    int port = crowds_open(crowds, "127.0.0.2 127.0.0.3 127.0.0.4");
    struct tcpm_session *session = racing_session(host, (struct tcpm_session_options){0});
    for (size_t i = 0; i < COUNT(tracks); i++)
        begin(&moment, host, &tracks[i], session, "127.0.0.2 127.0.0.3 127.0.0.4", port);
    racing_run_for(host, 650);
    assert_int_equal(racing_places(host), 9);
    int before = host_descriptors() - 9;
    assert_int_equal(tcpm_shutdown(session, tracks[0].id), 0);
    assert_int_equal(tcpm_reset(session, tracks[1].id), 0);
    uv_run(&host->loop, UV_RUN_NOWAIT);
    assert_int_equal(racing_places(host), 3);
    assert_int_equal(host_descriptors(), before + 3);
    assert_int_equal(tcpm_die(session), 0);
    host_run(host);
    assert_int_equal(host_descriptors(), before);
    assert_log(&tracks[0], "initialize disconnected(shutdown)");
    assert_log(&tracks[2], "initialize disconnected(die)");
    crowds_close(crowds, COUNT(crowds));
    host_close(host);
}

/* The timeout of the connect ends all sockets at once. */
static void test_a_race_that_times_out(void **state)
{
    struct host *host = *state;
    struct crowd crowds[2];
    struct track track;
    struct moment moment;

    int port = crowds_open(crowds, "127.0.0.2 127.0.0.3");
    begin(&moment, host, &track,
          racing_session(host, (struct tcpm_session_options){.connect_timeout_ms = 600}),
          "127.0.0.2 127.0.0.3", port);
    host_run(host);
    assert_log(&track, "initialize timeout(connect) disconnected(timeout)");
    assert_in_range(racing_ms_since(moment.began_ns), 600, 700 + BUSY_MS);
    crowds_close(crowds, COUNT(crowds));
    host_close(host);
}

/* REACH trap 34: the race relies on it that a change of a socket's tag tells again what the old tag
   was told. */
static void test_trap_34_a_change_of_the_tag_tells_again(void **state)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.u64 = 1};
    int ends[2], set = epoll_create1(EPOLL_CLOEXEC);

    (void) state;
    assert_true(set >= 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_int_equal(epoll_ctl(set, EPOLL_CTL_ADD, ends[0], &event), 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    assert_int_equal(epoll_wait(set, &event, 1, 0), 1);
    assert_int_equal(epoll_wait(set, &event, 1, 0), 0);
    event = (struct epoll_event){.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.u64 = 2};
    assert_int_equal(epoll_ctl(set, EPOLL_CTL_MOD, ends[0], &event), 0);
    assert_int_equal(epoll_wait(set, &event, 1, 0), 1);
    assert_int_equal(event.data.u64, 2);
    assert_int_equal(event.events, EPOLLIN | EPOLLOUT);
    close(ends[0]);
    close(ends[1]);
    close(set);
}

static const struct CMUnitTest tests[] = {
    HOST_TEST(test_N43_a_silent_address_holds_up_the_next_one_for_250_ms),
    HOST_TEST(test_N44_a_live_attempt_is_not_given_up),
    HOST_TEST(test_N46_without_a_route_the_next_address_begins_at_once),
    HOST_TEST(test_N48_63_of_64_addresses_refuse),
    HOST_TEST(test_N48_63_of_64_addresses_are_silent),
    HOST_TEST(test_N50_only_the_family_of_the_session_is_asked),
    HOST_TEST(test_N52_the_loser_is_in_the_batch_of_the_winner),
    HOST_TEST(test_N53_racer_number_5_wins),
    HOST_TEST(test_a_race_ends_with_its_connection),
    HOST_TEST(test_a_race_that_times_out),
    cmocka_unit_test(test_trap_34_a_change_of_the_tag_tells_again),
};

RUN_TESTS(tests)
