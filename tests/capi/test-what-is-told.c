/* SPDX-License-Identifier: MIT */
/* Numbers and words about sessions and connections: stats, info, the trace, and the heap. */
#include "host.h"

static void test_stats_count_phases_and_bytes(void **state)
{
    struct host *host = *state;
    struct track talker = {.hook = NULL}, dark = {.hook = NULL}, waiter = {.hook = NULL};
    struct tcpm_session_options options = {.max_connections = 2};
    struct tcpm_stats stats = {.size = sizeof stats};

    struct peer *peer = host_peer(host, "send \"line\\npart\"; recv 7; mark got; recv all", NULL);
    struct peer *silent = host_peer(host, "", &(struct peer_options){.blackhole = 1});
    struct tcpm_session *session = track_session(host, &options);
    track_connect(&talker, session, peer_port(peer));
    track_connect(&dark, session, peer_port(silent));
    track_connect(&waiter, session, peer_port(peer));
    assert_int_equal(tcpm_send(session, dark.id, "queued", 6), 0);
    while (talker.count[EVENT_INPUT] == 0)
        uv_run(&host->loop, UV_RUN_ONCE);
    assert_int_equal(tcpm_send(session, talker.id, "hello", 5), 0);
    assert_int_equal(tcpm_stats_get(session, &stats), 0);
    assert_int_equal(stats.waiting, 1);
    assert_int_equal(stats.connecting, 1);
    assert_int_equal(stats.open, 1);
    assert_int_equal(stats.shutting, 0);
    assert_int_equal(stats.received, 9);
    assert_int_equal(stats.sent, 7);
    assert_int_equal(stats.queued, 8);
    assert_int_equal(stats.held, 4);
    assert_int_equal(tcpm_shutdown(session, talker.id), 0);
    assert_int_equal(tcpm_stats_get(session, &stats), 0);
    assert_int_equal(stats.open, 0);
    assert_int_equal(stats.shutting, 1);
    assert_int_equal(tcpm_shutdown(session, dark.id), 0);
    assert_int_equal(tcpm_shutdown(session, waiter.id), 0);
    host_run(host);
    assert_int_equal(tcpm_stats_get(session, &stats), 0);
    assert_int_equal(stats.waiting + stats.connecting + stats.open + stats.shutting, 0);
    assert_int_equal(stats.queued + stats.held, 0); /* of those that live */
    assert_int_equal(stats.sent, 7);
    host_close(host);
}

static struct tcpm_info info_of(struct track *track)
{
    struct tcpm_info info = {.size = sizeof info};

    assert_int_equal(tcpm_info_get(track->session, track->id, &info), 0);
    return info;
}

/* Only an open connection has them. */
static void check_endpoints(const struct track *track, const char *address)
{
    struct tcpm_endpoints endpoints = track_endpoints(track);
    bool open = address[0] != '\0';

    assert_string_equal(endpoints.peer, address);
    assert_int_equal(endpoints.peer_port, open ? track->port : 0);
    assert_string_equal(endpoints.local, address);
    assert_int_equal(endpoints.local_port > 0, open);
}

static void check_info(struct track *track, enum event event)
{
    struct tcpm_info info = info_of(track);

    assert_string_equal(info.address, "127.0.0.1");
    assert_int_equal(info.port, track->port);
    switch (event) {
    case EVENT_INITIALIZE:
        assert_int_equal(info.phase, TCPM_PHASE_WAITING);
        check_endpoints(track, "");
        break;
    case EVENT_SUCCESS:
    case EVENT_INPUT:
        assert_int_equal(info.phase, TCPM_PHASE_OPEN);
        check_endpoints(track, "127.0.0.1");
        assert_int_equal(info.cause.code, 0);
        break;
    case EVENT_FAILURE:
    case EVENT_ERROR:
        assert_int_equal(info.phase, TCPM_PHASE_SHUTTING);
        assert_int_equal(info.cause.code, track->code);
        assert_int_equal(info.cause.op, track->op);
        assert_string_equal(info.cause.message, track->message);
        break;
    case EVENT_DISCONNECTED:
        assert_int_equal(info.phase, TCPM_PHASE_CLOSED);
        check_endpoints(track, "");
        if (track->count[EVENT_ERROR] + track->count[EVENT_FAILURE] > 0)
            assert_int_equal(info.cause.code, track->code);
        break;
    default:
        break;
    }
}

static void test_info_in_every_event(void **state)
{
    struct host *host = *state;
    struct track tracks[3] = {{.hook = NULL}};

    struct peer *peer = host_peer(host, "send \"a\\n\"; close", NULL);
    struct peer *hasty = host_peer(host, "rst", NULL);
    struct peer *refused = host_peer(host, "", &(struct peer_options){.refuse = 1});
    struct tcpm_session *session = track_session(host, NULL);
    const int ports[] = {peer_port(peer), peer_port(hasty), peer_port(refused)};
    for (size_t i = 0; i < COUNT(tracks); i++) {
        tracks[i].hook = check_info;
        track_connect(&tracks[i], session, ports[i]);
    }
    host_run(host);
    for (size_t i = 0; i < COUNT(tracks); i++)
        assert_int_equal(tracks[i].count[EVENT_DISCONNECTED], 1);
    host_close(host);
}

struct log {
    char text[4000];
};

static void keep_line(const char *line, void *user)
{
    struct log *log = user;
    size_t length = strlen(log->text);

    for (const char *at = line; *at != '\0'; at++)
        assert_true(*at >= 0x20 && *at < 0x7f);
    snprintf(log->text + length, sizeof log->text - length, "%s\n", line);
}

static void shut_at_input(struct track *track, enum event event)
{
    if (event == EVENT_INPUT)
        assert_int_equal(tcpm_shutdown(track->session, track->id), 0);
}

static void test_the_trace_is_a_line_for_each_change_of_phase(void **state)
{
    struct host host;
    struct log log = {.text = ""};
    struct track track = {.hook = shut_at_input};
    struct tcpm_engine_options options = {.size = sizeof options, .trace = keep_line, .user = &log};
    static const char *const steps[] = {"waiting -> connecting", "connecting -> open",
                                        "open -> shutting", "shutting -> closed"};

    (void) state;
    host_open(&host, &options);
    struct peer *peer = peer_start("send \"a\\n\"; recv all", NULL);
    track_connect(&track, track_session(&host, NULL), peer_port(peer));
    host_run(&host);
    const char *at = log.text;
    for (size_t i = 0; i < COUNT(steps); i++) {
        at = strstr(at, steps[i]);
        if (at == NULL)
            fail_msg("no \"%s\" in its place in:\n%s", steps[i], log.text);
    }
    peer_stop(peer);
    host_close(&host);
}

/* One connection to a peer, with all lines of its trace; gives the port. */
static int run_traced(struct log *log, const char *address, const char *program,
                      struct tcpm_session_options options,
                      void (*hook)(struct track *track, enum event event))
{
    struct host host;
    struct track track = {.hook = hook};
    struct tcpm_engine_options engine = {.size = sizeof engine, .trace = keep_line, .user = log};

    log->text[0] = '\0';
    host_open(&host, &engine);
    struct peer *peer = peer_start(program, &(struct peer_options){.refuse = *program == '\0'});
    int port = peer_port(peer);
    track_connect_with(&track, track_session(&host, &options),
                       (struct tcpm_connect_options){.address = address, .port = port});
    host_run(&host);
    peer_stop(peer);
    host_close(&host);
    return port;
}

static void expect_line(const struct log *log, const char *part)
{
    if (strstr(log->text, part) == NULL)
        fail_msg("no \"%s\" in:\n%s", part, log->text);
}

static void test_the_trace_tells_failed_attempts_and_how_it_ended(void **state)
{
    struct log log;
    char part[200];

    (void) state;
    int port = run_traced(&log, "localhost", "", (struct tcpm_session_options){.domain = 4}, NULL);
    snprintf(part, sizeof part,
             "localhost:%d (127.0.0.1) attempt at 127.0.0.1:%d failed: connect ECONNREFUSED", port,
             port);
    expect_line(&log, part);
    expect_line(&log, "connecting -> shutting, failure: connect ECONNREFUSED, ");
    expect_line(&log, "shutting -> closed, failure: connect ECONNREFUSED, ");
    port = run_traced(&log, "::1", "", (struct tcpm_session_options){0}, NULL);
    snprintf(part, sizeof part, " [::1]:%d connecting", port);
    expect_line(&log, part);
    run_traced(&log, "127.0.0.1", "freeze", (struct tcpm_session_options){.input_timeout_ms = 30},
               NULL);
    expect_line(&log, "open -> shutting, timeout (input): read ETIMEDOUT, ");
}

static void cancel_at_once(struct track *track, enum event event)
{
    if (event == EVENT_INITIALIZE)
        assert_int_equal(tcpm_reset(track->session, track->id), 0);
}

/* A name may be UTF-8; its bytes 0x80 to 0x9f are control characters for some terminals. */
static void test_the_trace_is_printable_whatever_the_name(void **state)
{
    struct log log;

    (void) state;
    run_traced(&log, "\xc3\x84\xc2\x9b[31m.example", "", (struct tcpm_session_options){0},
               cancel_at_once);
    expect_line(&log, "????[31m.example:");
    expect_line(&log, " waiting -> shutting, shutdown\n");
}

/* ---- the heap ---- */

struct pair {
    struct track first, second;
};

static void change_heap(struct track *track, enum event event)
{
    struct pair *pair = track->user;

    if (event != EVENT_INPUT || track != &pair->first)
        return;
    /* the second takes over in the middle of the same life */
    pair->second = pair->first;
    assert_int_equal(tcpm_heap_set(track->session, track->id, &pair->second), 0);
}

static void test_the_heap_may_be_another_one(void **state)
{
    struct host *host = *state;
    struct pair pair = {.first = {.hook = change_heap}};

    pair.first.user = &pair;
    struct peer *peer = host_peer(host, "send \"a\\nb\\n\"; close", NULL);
    track_connect(&pair.first, track_session(host, NULL), peer_port(peer));
    host_run(host);
    assert_log(&pair.first, "initialize success input(a)");
    assert_log(&pair.second,
               "initialize success input(a) input(b) error(read,EOF) disconnected(eof)");
    host_close(host);
}

static void test_words_and_codes_fit_each_other(void **state)
{
    (void) state;
    assert_string_equal(tcpm_op_name(TCPM_OP_CONNECT), "connect");
    assert_string_equal(tcpm_phase_name(TCPM_PHASE_OPEN), "open");
    assert_string_equal(tcpm_timer_name(TCPM_TIMER_DEADLINE), "deadline");
    assert_string_equal(tcpm_reason_name(TCPM_REASON_EOF), "eof");
    assert_string_equal(tcpm_error_name(-ECONNREFUSED), "ECONNREFUSED");
    assert_string_equal(tcpm_error_text(TCPM_EOF), "end of file");
    assert_int_equal(tcpm_error_code("EOF"), TCPM_EOF);
    assert_int_equal(tcpm_error_code("ECONNRESET"), -ECONNRESET);
    assert_int_equal(tcpm_error_code("no such"), 0);
}

/* VERSION is the build's. */
static void test_the_version_is_the_same_everywhere(void **state)
{
    char text[40];

    (void) state;
    assert_string_equal(tcpm_version(), VERSION);
    snprintf(text, sizeof text, "%d.%d.%d", TCPM_VERSION_NUMBER / 10000,
             TCPM_VERSION_NUMBER / 100 % 100, TCPM_VERSION_NUMBER % 100);
    assert_string_equal(text, VERSION);
#if TCPM_VERSION_NUMBER < 100
    fail_msg("a number that #if cannot use");
#endif
}

static void keep_heap(struct track *track, enum event event)
{
    void *heap = NULL;

    (void) event;
    assert_int_equal(tcpm_heap_get(track->session, track->id, &heap), 0);
    assert_ptr_equal(heap, track);
    assert_int_equal(tcpm_heap_get(track->session, track->id, NULL), -EINVAL);
}

static void test_who_belongs_to_whom(void **state)
{
    struct host *host = *state;
    struct track track = {.hook = keep_heap};
    void *heap = host;
    int mine = 0;

    struct peer *peer = host_peer(host, "close", NULL);
    struct tcpm_session *session =
        track_session(host, &(struct tcpm_session_options){.user = &mine});
    assert_ptr_equal(tcpm_session_user(session), &mine);
    assert_ptr_equal(tcpm_session_engine(session), host->engine);
    assert_ptr_equal(tcpm_engine_loop(host->engine), &host->loop);
    assert_null(tcpm_session_user(NULL));
    assert_null(tcpm_session_engine(NULL));
    assert_null(tcpm_engine_loop(NULL));
    track_connect(&track, session, peer_port(peer));
    host_run(host);
    assert_int_equal(track.count[EVENT_DISCONNECTED], 1);
    assert_int_equal(tcpm_heap_get(session, track.id, &heap), -ESTALE);
    assert_int_equal(tcpm_heap_get(NULL, track.id, &heap), -ESTALE);
    assert_ptr_equal(heap, host);
    host_close(host);
}

static const struct CMUnitTest tests[] = {
    HOST_TEST(test_stats_count_phases_and_bytes),
    HOST_TEST(test_info_in_every_event),
    cmocka_unit_test(test_the_trace_is_a_line_for_each_change_of_phase),
    cmocka_unit_test(test_the_trace_tells_failed_attempts_and_how_it_ended),
    cmocka_unit_test(test_the_trace_is_printable_whatever_the_name),
    HOST_TEST(test_the_heap_may_be_another_one),
    cmocka_unit_test(test_words_and_codes_fit_each_other),
    cmocka_unit_test(test_the_version_is_the_same_everywhere),
    HOST_TEST(test_who_belongs_to_whom),
};

RUN_TESTS(tests)
