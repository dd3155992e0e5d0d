/* SPDX-License-Identifier: MIT */
/*
 * The promise one-last-event: for each connect that returned 0, disconnected comes once, and last;
 * after a negative result nothing comes. The grammar itself is checked by every track.
 */
#include "refused.h"

/* BEHAVIOUR E16: many connections of random fate at once. */
enum fate { ECHOED, CLOSED, RESET, GREETED, REFUSED, SILENT, LOST, FATES };

struct plan {
    enum fate fate;
    unsigned action; /* what the client does, and in which event */
    uint64_t random;
};

static void act(struct track *track, unsigned action)
{
    switch (action) {
    case 0:
        tcpm_shutdown(track->session, track->id);
        break;
    case 1:
        tcpm_reset(track->session, track->id);
        break;
    case 2:
        tcpm_fail(track->session, track->id, -EPROTO, "enough");
        break;
    case 3:
        tcpm_shutdown_output(track->session, track->id);
        break;
    case 4:
        tcpm_pause(track->session, track->id);
        break;
    case 5:
        tcpm_send(track->session, track->id, "more", 4);
        break;
    default:
        break;
    }
}

static void follow_plan(struct track *track, enum event event)
{
    struct plan *plan = track->user;

    if (event == EVENT_SUCCESS)
        tcpm_send(track->session, track->id, "hello", 5);
    plan->random = plan->random * UINT64_C(6364136223846793005) + 1442695040888963407u;
    if (plan->random >> 60 < 5)
        act(track, (unsigned) (plan->random >> 40) % 12);
}

static void run_random_fates(struct tcpm_session_options options)
{
    enum { CONNECTIONS = 600 };
    static const char *const programs[FATES] = {
        "echo", "close", "rst", "send \"hi\\nho\\npart\"; close", "", "freeze", ""};
    struct host host;
    struct peer *peers[FATES];
    struct track *tracks = calloc(CONNECTIONS, sizeof *tracks);
    struct plan *plans = calloc(CONNECTIONS, sizeof *plans);
    unsigned reasons[TCPM_REASON_DIE + 1] = {0};

    options.input_timeout_ms = 150;
    options.connect_timeout_ms = 200;
    options.deadline_ms = 1000;
    host_open(&host, NULL);
    for (int fate = 0; fate < FATES; fate++) {
        struct peer_options peer = {.refuse = fate == REFUSED, .blackhole = fate == LOST};
        peers[fate] = peer_start(programs[fate], &peer);
        assert_non_null(peers[fate]);
    }
    struct tcpm_session *session = track_session(&host, &options);
    for (size_t i = 0; i < CONNECTIONS; i++) {
        plans[i] = (struct plan){.fate = (enum fate)(i % FATES), .random = i * 7919 + 1};
        tracks[i].hook = follow_plan;
        tracks[i].user = &plans[i];
        track_connect(&tracks[i], session, peer_port(peers[plans[i].fate]));
    }
    host_run(&host);
    for (size_t i = 0; i < CONNECTIONS; i++) {
        assert_int_equal(tracks[i].count[EVENT_DISCONNECTED], 1);
        assert_int_equal(tracks[i].last, EVENT_DISCONNECTED);
        reasons[tracks[i].reason]++;
    }
    for (int reason = TCPM_REASON_SHUTDOWN; reason < TCPM_REASON_DIE; reason++)
        assert_true(reasons[reason] > 0);
    assert_int_equal(tcpm_next(session, (struct tcpm_id){0}).n, 0);
    for (int fate = 0; fate < FATES; fate++)
        peer_stop(peers[fate]);
    host_close(&host);
    free(tracks);
    free(plans);
}

static void test_many_connections_of_random_fate(void **state)
{
    (void) state;
    run_random_fates((struct tcpm_session_options){0});
}

static void test_many_half_open_connections_of_random_fate(void **state)
{
    (void) state;
    run_random_fates((struct tcpm_session_options){.events = track_events_eof(), .half_open = 1});
}

struct reason_case {
    const char *program;
    void (*hook)(struct track *track, enum event event);
    struct peer_options peer;
    const char *log;
};

static void shut_at_success(struct track *track, enum event event)
{
    if (event == EVENT_SUCCESS)
        assert_int_equal(tcpm_shutdown(track->session, track->id), 0);
}

static void reset_at_input(struct track *track, enum event event)
{
    if (event == EVENT_INPUT)
        assert_int_equal(tcpm_reset(track->session, track->id), 0);
}

static void fail_at_input(struct track *track, enum event event)
{
    if (event == EVENT_INPUT)
        assert_int_equal(tcpm_fail(track->session, track->id, TCPM_EFILTER, "bad\nreply"), 0);
    if (event == EVENT_ERROR)
        assert_string_equal(track->message, "bad?reply");
}

static void fail_at_once(struct track *track, enum event event)
{
    if (event == EVENT_INITIALIZE)
        assert_int_equal(tcpm_fail(track->session, track->id, -EPROTO, NULL), 0);
}

static void die_at_success(struct track *track, enum event event)
{
    if (event == EVENT_SUCCESS)
        assert_int_equal(tcpm_die(track->session), 0);
}

static void shut_at_once(struct track *track, enum event event)
{
    if (event == EVENT_INITIALIZE)
        assert_int_equal(tcpm_shutdown(track->session, track->id), 0);
}

static void give_it_little_time(struct track *track, enum event event)
{
    if (event == EVENT_SUCCESS)
        assert_int_equal(tcpm_timeout(track->session, track->id, 20), 0);
}

static void give_it_a_short_life(struct track *track, enum event event)
{
    if (event == EVENT_SUCCESS)
        assert_int_equal(tcpm_deadline(track->session, track->id, 20), 0);
}

/* BEHAVIOUR E15: each of the reasons, with the events before it. */
static const struct reason_case reason_cases[] = {
    {"recv all", shut_at_success, {.port = 0}, "initialize success disconnected(shutdown)"},
    {"send \"a\\nb\\n\"; recv all",
     reset_at_input,
     {.port = 0},
     "initialize success input(a) disconnected(shutdown)"},
    {"send \"a\\nb\\n\"; recv all",
     fail_at_input,
     {.port = 0},
     "initialize success input(a) error(fail,EFILTER) disconnected(error)"},
    {"", fail_at_once, {.port = 0}, "initialize failure(fail,EPROTO) disconnected(failure)"},
    {"", shut_at_once, {.port = 0}, "initialize disconnected(shutdown)"},
    {"", NULL, {.refuse = 1}, "initialize failure(connect,ECONNREFUSED) disconnected(failure)"},
    {"send \"a\\nb\"; close",
     NULL,
     {.port = 0},
     "initialize success input(a) error(read,EOF) disconnected(eof)"},
    {"send \"a\\n\"; rst",
     NULL,
     {.port = 0},
     "initialize success input(a) error(read,ECONNRESET) disconnected(error)"},
    {"freeze",
     give_it_little_time,
     {.port = 0},
     "initialize success timeout(input) disconnected(timeout)"},
    {"freeze",
     give_it_a_short_life,
     {.port = 0},
     "initialize success timeout(deadline) disconnected(timeout)"},
    {"recv all", die_at_success, {.port = 0}, "initialize success disconnected(die)"},
};

static void test_every_reason_and_what_comes_before_it(void **state)
{
    (void) state;
    for (size_t i = 0; i < COUNT(reason_cases); i++) {
        const struct reason_case *row = &reason_cases[i];
        struct host host;
        struct track track = {.hook = row->hook};
        host_open(&host, NULL);
        struct peer *peer = peer_start(row->program, &row->peer);
        track_connect(&track, track_session(&host, NULL), peer_port(peer));
        host_run(&host);
        assert_log(&track, row->log);
        peer_stop(peer);
        host_close(&host);
    }
}

static void test_after_a_negative_result_nothing_comes(void **state)
{
    struct host *host = *state;
    struct track track = {.hook = NULL};
    const struct tcpm_connect_options rows[] = {
        {.address = NULL, .port = 1},
        {.address = "", .port = 1},
        {.address = "127.0.0.1"},
        {.address = "127.0.0.1", .port = -1},
        {.address = "127.0.0.1", .port = 65536},
        {.address = "127.0.0.1", .service = "no-such-service-there-is"},
        {.address = "127.0.0.1", .service = ""},
        {.address = "a b", .port = 1},
        {.address = "a\nb", .port = 1},
        {.address = "a\x01", .port = 1},
        {.address = "127.0.0.1", .port = 1, .bind_port = -1},
        {.address = "127.0.0.1", .port = 1, .bind_port = 65536},
        {.address = "127.0.0.1", .port = 1, .bind_address = "no address"},
        {.address = "127.0.0.1", .port = 1, .connect_timeout_ms = -2},
        {.address = "127.0.0.1", .port = 1, .input_timeout_ms = INT64_C(1) << 32},
        {.address = "127.0.0.1", .port = 1, .shutdown_timeout_ms = INT64_MIN},
        {.address = "127.0.0.1", .port = 1, .deadline_ms = INT64_MAX},
    };

    struct tcpm_session *session = track_session(host, NULL);
    assert_no_connection(session, rows, COUNT(rows), &track);
    char longest[255];
    memset(longest, 'a', sizeof longest - 1);
    longest[254] = '\0';
    struct tcpm_connect_options options = {
        .size = sizeof options, .address = longest, .port = 1, .heap = &track};
    assert_int_equal(tcpm_connect(session, &options, NULL), -EINVAL);
    assert_int_equal(tcpm_connect(session, NULL, NULL), -EINVAL);
    options.size = 3;
    assert_int_equal(tcpm_connect(session, &options, NULL), -EINVAL);
    host_run(host);
    assert_int_equal(track.last, 0);
    struct tcpm_stats stats = {.size = sizeof stats};
    assert_int_equal(tcpm_stats_get(session, &stats), 0);
    assert_int_equal(stats.waiting + stats.connecting + stats.open + stats.shutting, 0);
    host_close(host);
}

struct again {
    struct track tracks[40];
    size_t next;
    int port;
};

static void connect_again(struct track *track, enum event event)
{
    struct again *again = track->user;

    if (event != EVENT_DISCONNECTED || again->next == COUNT(again->tracks))
        return;
    struct track *next = &again->tracks[again->next++];
    next->hook = connect_again;
    next->user = again;
    track_connect(next, track->session, again->port);
    assert_log(next, "initialize"); /* it has just begun, inside the end of the other */
}

/* BEHAVIOUR L10, FAULTS C22. */
static void test_a_connect_from_disconnected_begins_a_life_of_its_own(void **state)
{
    struct host *host = *state;
    struct again again = {.next = 1};
    struct tcpm_session_options options = {.max_connections = 1};

    struct peer *peer = host_peer(host, "close", NULL);
    again.port = peer_port(peer);
    again.tracks[0].hook = connect_again;
    again.tracks[0].user = &again;
    track_connect(&again.tracks[0], track_session(host, &options), again.port);
    host_run(host);
    for (size_t i = 0; i < COUNT(again.tracks); i++)
        assert_log(&again.tracks[i], "initialize success error(read,EOF) disconnected(eof)");
    host_close(host);
}

static void test_missing_handlers_are_not_called(void **state)
{
    static const struct tcpm_events none = {.size = sizeof none};
    struct tcpm_session_options options = {.events = &none, .input_timeout_ms = 30};
    struct host *host = *state;

    struct peer *greeter = host_peer(host, "send \"hello\\nand\"; close", NULL);
    struct peer *silent = host_peer(host, "freeze", NULL);
    struct peer *refused = host_peer(host, "", &(struct peer_options){.refuse = 1});
    struct tcpm_session *session = track_session(host, &options);
    const int ports[] = {peer_port(greeter), peer_port(silent), peer_port(refused)};
    for (size_t i = 0; i < COUNT(ports); i++) {
        struct tcpm_connect_options target = {
            .size = sizeof target, .address = "127.0.0.1", .port = ports[i]};
        struct tcpm_id id;
        assert_int_equal(tcpm_connect(session, &target, &id), 0);
        assert_int_equal(tcpm_send(session, id, "x", 1), 0);
    }
    host_run(host);
    assert_int_equal(tcpm_next(session, (struct tcpm_id){0}).n, 0);
    host_close(host);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_many_connections_of_random_fate),
    cmocka_unit_test(test_many_half_open_connections_of_random_fate),
    cmocka_unit_test(test_every_reason_and_what_comes_before_it),
    HOST_TEST(test_after_a_negative_result_nothing_comes),
    HOST_TEST(test_a_connect_from_disconnected_begins_a_life_of_its_own),
    HOST_TEST(test_missing_handlers_are_not_called),
};

RUN_TESTS(tests)
