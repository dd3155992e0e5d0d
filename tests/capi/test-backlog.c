/* SPDX-License-Identifier: MIT */
/*
 * Connections with more to read than a turn of the loop allows: each has its turn, and whatever is
 * done to one that waits for it works as for any other.
 */
#include "plain.h"

enum { MUCH = 1 << 20, BLAST = 2 << 20, CROWD = 4, SHARE = 20 << 20 };

/* ---- who goes on for ever ---- */

static void enlarge_when_open(struct track *track, enum event event)
{
    if (event == EVENT_SUCCESS)
        enlarge_buffer(track->fd);
}

static uint64_t least_of(const struct track *tracks)
{
    uint64_t least = UINT64_MAX;

    for (size_t i = 0; i < CROWD; i++)
        least = tracks[i].received < least ? tracks[i].received : least;
    return least;
}

static bool each_has_its_share(void *tracks)
{
    return least_of(tracks) >= SHARE;
}

static void test_peers_that_send_for_ever_all_have_their_turn(void **state)
{
    struct host *host = *state;
    struct track tracks[CROWD] = {0};

    struct peer *peer = host_peer(host, "blast 0", NULL);
    struct tcpm_session *session = stream_session(host, (struct tcpm_session_options){0});
    for (size_t i = 0; i < CROWD; i++) {
        tracks[i].hook = enlarge_when_open;
        track_connect(&tracks[i], session, peer_port(peer));
    }
    host_run_until(host, each_has_its_share, tracks);
    assert_int_equal(tcpm_die(session), 0);
    host_run(host);
    for (size_t i = 0; i < CROWD; i++) {
        print_message("# %zu: %llu MiB\n", i, (unsigned long long) tracks[i].received >> 20);
        assert_int_equal(tracks[i].reason, TCPM_REASON_DIE);
    }
    host_close(host);
}

/* ---- what is done to one that waits ---- */

/* Two connections that have much to read before the loop looks at either; the slow one spends 10 ms
   on each record, 80 ms on what it may take in a turn, and the other one waits for that. */
struct pair {
    struct track slow, other;
    void (*act)(struct track *other); /* in its first input; NULL: nothing */
};

static void take_slowly(struct track *track, enum event event)
{
    enlarge_when_open(track, event);
    if (event == EVENT_INPUT)
        stall_ms(10);
}

static void act_once(struct track *track, enum event event)
{
    const struct pair *pair = track->user;

    enlarge_when_open(track, event);
    if (event == EVENT_INPUT && track->count[EVENT_INPUT] == 1 && pair->act != NULL)
        pair->act(track);
}

static bool both_open(void *argument)
{
    struct pair *pair = argument;

    return track_open(&pair->slow) && track_open(&pair->other);
}

static void run_pair(struct pair *pair, struct tcpm_session_options options)
{
    struct host host;

    host_open(&host, NULL);
    struct peer *peer = peer_start("wait go; blast 2m; shutwr; discard", NULL);
    struct tcpm_session *session = stream_session(&host, options);
    pair->slow.hook = take_slowly;
    pair->other.hook = act_once;
    pair->other.user = pair;
    track_connect(&pair->slow, session, peer_port(peer));
    track_connect(&pair->other, session, peer_port(peer));
    host_run_until(&host, both_open, pair);
    peer_go(peer, "go");
    wait_readable(pair->slow.fd, MUCH);
    wait_readable(pair->other.fd, MUCH);
    host_run(&host);
    assert_int_equal(pair->slow.received, BLAST);
    assert_int_equal(pair->slow.reason, TCPM_REASON_EOF);
    peer_stop(peer);
    host_close(&host);
}

static void assert_got_all(const struct track *track)
{
    assert_int_equal(track->received, BLAST);
    assert_int_equal(track->reason, TCPM_REASON_EOF);
    assert_int_equal(track->count[EVENT_TIMEOUT], 0);
}

/* What has come counts as come, however long its turn takes. */
static void test_who_waits_for_its_turn_does_not_time_out(void **state)
{
    struct pair pair = {.act = NULL};

    (void) state;
    run_pair(&pair, (struct tcpm_session_options){.input_timeout_ms = 30});
    assert_got_all(&pair.other);
}

static void resume(struct tcpm_session *session, void *user, void *argument)
{
    struct track *track = argument;

    (void) user;
    assert_int_equal(track->count[EVENT_INPUT], 1);
    assert_int_equal(tcpm_resume(session, track->id), 0);
}

static void pause_for_a_while(struct track *track)
{
    struct tcpm_task task = {.run = resume, .argument = track};

    assert_int_equal(tcpm_pause(track->session, track->id), 0);
    assert_int_equal(tcpm_delay(track->session, track->id, 200, task, NULL), 0);
}

static void test_who_is_paused_loses_its_turn_but_nothing_else(void **state)
{
    struct pair pair = {.act = pause_for_a_while};

    (void) state;
    run_pair(&pair, (struct tcpm_session_options){0});
    assert_got_all(&pair.other);
}

static void shut_down(struct track *track)
{
    assert_int_equal(tcpm_shutdown(track->session, track->id), 0);
}

static void reset(struct track *track)
{
    assert_int_equal(tcpm_reset(track->session, track->id), 0);
}

static void test_who_waits_can_be_ended(void **state)
{
    void (*const ends[])(struct track *) = {shut_down, reset};

    (void) state;
    for (size_t i = 0; i < COUNT(ends); i++) {
        struct pair pair = {.act = ends[i]};

        run_pair(&pair, (struct tcpm_session_options){0});
        assert_int_equal(pair.other.count[EVENT_INPUT], 1);
        assert_int_equal(pair.other.reason, TCPM_REASON_SHUTDOWN);
    }
}

/* ---- what is sent meanwhile ---- */

static void send_much(struct track *track)
{
    static char bytes[MUCH];

    assert_true(tcpm_send(track->session, track->id, bytes, sizeof bytes) >= 0);
}

/* Sending does not wait for the turn to read. */
static void test_who_waits_to_read_may_send(void **state)
{
    struct pair pair = {.act = send_much};

    (void) state;
    run_pair(&pair, (struct tcpm_session_options){0});
    assert_got_all(&pair.other);
    assert_true(pair.other.count[EVENT_FLUSHED] >= 1);
}

/* ---- a busy host ---- */

enum { MANY = 20 };

static bool many_open(void *tracks)
{
    size_t open = 0;

    for (size_t i = 0; i < MANY; i++)
        open += track_open(&((struct track *) tracks)[i]);
    return open == MANY;
}

static void take_a_turn(uv_prepare_t *prepare)
{
    unsigned *turns = prepare->data;

    ++*turns;
    stall_ms(5);
}

/* 2 MiB each, at most 256 KiB in a turn; where turns are long, they do not wait for each other. */
static void test_in_long_turns_all_read(void **state)
{
    struct host host;
    struct track *tracks = calloc(MANY, sizeof *tracks);
    unsigned turns = 0;
    uv_prepare_t prepare = {.data = &turns};

    (void) state;
    assert_non_null(tracks);
    host_open(&host, NULL);
    struct peer *peer = peer_start("wait go; blast 2m; shutwr; discard", NULL);
    struct tcpm_session *session = stream_session(&host, (struct tcpm_session_options){0});
    for (size_t i = 0; i < MANY; i++) {
        tracks[i].hook = enlarge_when_open;
        track_connect(&tracks[i], session, peer_port(peer));
    }
    host_run_until(&host, many_open, tracks);
    peer_go(peer, "go");
    for (size_t i = 0; i < MANY; i++)
        wait_readable(tracks[i].fd, MUCH);
    uv_prepare_init(&host.loop, &prepare);
    uv_prepare_start(&prepare, take_a_turn);
    uv_unref((uv_handle_t *) &prepare);
    host_run(&host);
    print_message("# %u turns\n", turns);
    /* Of at least 160 reads. 40 without a sanitizer, up to 116 with one and with the test layer,
       where the reads of one turn take all the time that it has. */
    assert_true(turns < 140);
    for (size_t i = 0; i < MANY; i++)
        assert_got_all(&tracks[i]);
    uv_close((uv_handle_t *) &prepare, NULL);
    peer_stop(peer);
    host_close(&host);
    free(tracks);
}

/* ---- a shutdown behind others ---- */

static void say_bye(struct track *track, enum event event)
{
    enlarge_when_open(track, event);
    if (event != EVENT_INPUT)
        return;
    assert_true(tcpm_send(track->session, track->id, "bye\r\n", 3 + 2) >= 0);
    assert_int_equal(tcpm_shutdown(track->session, track->id), 0);
}

/* What is thrown away waits for nobody: with unread input the close would be a reset. */
static void test_a_shutdown_does_not_wait_for_those_who_read(void **state)
{
    struct host host;
    struct track *tracks = calloc(MANY, sizeof *tracks);
    struct track ending = {.hook = say_bye};
    struct peer_connection seen;

    (void) state;
    assert_non_null(tracks);
    host_open(&host, NULL);
    struct peer *firehose = peer_start("blast 0", NULL);
    struct peer *peer = peer_start("wait go; blast 600k; count", NULL);
    struct tcpm_session *session = stream_session(&host, (struct tcpm_session_options){0});
    track_connect(&ending, session, peer_port(peer));
    for (size_t i = 0; i < MANY; i++) {
        tracks[i].hook = enlarge_when_open;
        track_connect(&tracks[i], session, peer_port(firehose));
    }
    host_run_until(&host, many_open, tracks);
    host_run_until(&host, track_open, &ending);
    peer_go(peer, "go");
    wait_readable(ending.fd, 600 * 1024);
    host_run_until(&host, track_ended, &ending);
    assert_int_equal(ending.reason, TCPM_REASON_SHUTDOWN);
    assert_int_equal(peer_wait_ended(peer, 1, 30), 0);
    assert_int_equal(peer_connection(peer, 0, &seen), 0);
    assert_int_equal(seen.end, PEER_EOF);
    assert_int_equal(seen.received, 3 + 2);
    assert_int_equal(tcpm_die(session), 0);
    host_run(&host);
    peer_stop(firehose);
    peer_stop(peer);
    host_close(&host);
    free(tracks);
}

/* ---- the order of events ---- */

struct order {
    char events[200]; /* s: a send of the next turn, f: flushed, i: input */
    size_t length;
};

static void write_down(struct order *order, char event)
{
    if (order->length + 1 < sizeof order->events)
        order->events[order->length++] = event;
}

static void send_one(struct tcpm_session *session, void *user, void *argument)
{
    struct track *track = argument;

    (void) user;
    if (tcpm_send(session, track->id, "x", 1) == 0)
        write_down(track->user, 's');
}

static void post_again(struct tcpm_session *session, void *user, void *argument)
{
    (void) user;
    assert_int_equal(tcpm_post(session, (struct tcpm_task){.run = send_one, .argument = argument}),
                     0);
}

static void send_in_the_next_turn(struct track *track, enum event event)
{
    enlarge_when_open(track, event);
    if (event == EVENT_FLUSHED)
        write_down(track->user, 'f');
    if (event != EVENT_INPUT)
        return;
    write_down(track->user, 'i');
    if (track->count[EVENT_INPUT] % 8 == 1)
        assert_int_equal(
            tcpm_post(track->session, (struct tcpm_task){.run = post_again, .argument = track}), 0);
}

static void test_flushed_comes_before_what_is_read_after_it(void **state)
{
    struct host *host = *state;
    struct order order = {.length = 0};
    struct track track = {.hook = send_in_the_next_turn, .user = &order};

    struct peer *peer = host_peer(host, "wait go; blast 2m; shutwr; discard", NULL);
    track_connect(&track, stream_session(host, (struct tcpm_session_options){0}), peer_port(peer));
    host_run_until(host, track_open, &track);
    peer_go(peer, "go");
    wait_readable(track.fd, MUCH);
    host_run(host);
    assert_non_null(strchr(order.events, 's'));
    assert_null(strstr(order.events, "si"));
    host_close(host);
}

static const struct CMUnitTest tests[] = {
    HOST_TEST(test_peers_that_send_for_ever_all_have_their_turn),
    cmocka_unit_test(test_who_waits_for_its_turn_does_not_time_out),
    cmocka_unit_test(test_who_is_paused_loses_its_turn_but_nothing_else),
    cmocka_unit_test(test_who_waits_can_be_ended),
    cmocka_unit_test(test_who_waits_to_read_may_send),
    cmocka_unit_test(test_in_long_turns_all_read),
    cmocka_unit_test(test_a_shutdown_does_not_wait_for_those_who_read),
    HOST_TEST(test_flushed_comes_before_what_is_read_after_it),
};

RUN_TESTS(tests)
