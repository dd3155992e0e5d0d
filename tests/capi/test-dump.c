/* SPDX-License-Identifier: MIT */
/* The dump: the state of an engine and of its connections, one line each. */
#include "host.h"

#include <sys/wait.h>

enum { LINES = 16 };

struct dump {
    char lines[LINES][512];
    size_t count;
};

static void keep_line(const char *line, void *user)
{
    struct dump *dump = user;

    assert_true(dump->count < LINES && strlen(line) < sizeof dump->lines[0]);
    for (const char *byte = line; *byte != '\0'; byte++)
        assert_true(*byte >= ' ' && *byte <= '~');
    snprintf(dump->lines[dump->count++], sizeof dump->lines[0], "%s", line);
}

static struct dump dump_of(struct host *host)
{
    struct dump dump = {.count = 0};

    assert_int_equal(tcpm_engine_dump(host->engine, keep_line, &dump), 0);
    return dump;
}

/* The line of a connection; fails without it. */
static const char *line_of(const struct dump *dump, const struct track *track)
{
    char beginning[40];

    snprintf(beginning, sizeof beginning, "%llu ", (unsigned long long) track->id.n);
    for (size_t i = 1; i < dump->count; i++)
        if (strncmp(dump->lines[i], beginning, strlen(beginning)) == 0)
            return dump->lines[i];
    fail_msg("no line of connection %s", beginning);
    return NULL;
}

static void assert_has(const char *line, const char *part)
{
    if (strstr(line, part) == NULL)
        fail_msg("no \"%s\" in: %s", part, line);
}

static void test_an_engine_without_sessions_is_one_line(void **state)
{
    struct host host;

    (void) state;
    host_open(&host, &(struct tcpm_engine_options){.size = sizeof(struct tcpm_engine_options),
                                                   .max_connections = 7,
                                                   .max_memory = 1000});
    struct dump dump = dump_of(&host);
    assert_int_equal(dump.count, 1);
    assert_string_equal(dump.lines[0], "engine sessions 0 waiting 0 connecting 0 open 0 shutting 0 "
                                       "places 0 of 7 memory 0 of 1000 work 0");
    host_close(&host);
}

static void test_a_line_tells_phase_flags_times_and_bytes(void **state)
{
    struct host host;
    struct track talker = {.hook = NULL}, dark = {.hook = NULL}, waiter = {.hook = NULL},
                 shutting = {.hook = NULL};
    struct tcpm_session_options options = {.max_connections = 3, .deadline_ms = 60000};
    char part[200];

    (void) state;
    host_open(&host, NULL);
    struct peer *peer = peer_start("send \"line\\npart\"; recv all", NULL);
    struct peer *silent = peer_start("", &(struct peer_options){.blackhole = 1});
    struct tcpm_session *session = track_session(&host, &options);
    track_connect(&talker, session, peer_port(peer));
    track_connect(&shutting, session, peer_port(peer));
    track_connect(&dark, session, peer_port(silent));
    track_connect(&waiter, session, peer_port(peer));
    assert_int_equal(tcpm_send(session, dark.id, "queued", 6), 0);
    while (talker.count[EVENT_INPUT] == 0 || shutting.count[EVENT_INPUT] == 0)
        uv_run(&host.loop, UV_RUN_ONCE);
    assert_int_equal(tcpm_send(session, talker.id, "hello", 5), 0);
    assert_int_equal(tcpm_pause(session, talker.id), 0);
    assert_int_equal(tcpm_shutdown(session, shutting.id), 0);

    struct dump dump = dump_of(&host);
    assert_int_equal(dump.count, 5);
    assert_has(dump.lines[0],
               "engine sessions 1 waiting 1 connecting 1 open 1 shutting 1 places 3 of ");
    const char *line = line_of(&dump, &talker);
    snprintf(part, sizeof part, " 127.0.0.1:%d open ", peer_port(peer));
    assert_has(line, part);
    assert_has(line, "paused");
    assert_has(line, " timeout none deadline ");
    assert_has(line, "ms received 9 sent 7 queued 0 held 4");
    line = line_of(&dump, &dark);
    assert_has(line, " connecting ");
    assert_has(line, " received 0 sent 0 queued 8 held 0");
    assert_null(strstr(line, "none"));
    assert_has(line_of(&dump, &waiter), " waiting ");
    assert_has(line_of(&dump, &waiter), " timeout none deadline 60000ms received 0 sent 0 ");
    assert_has(line_of(&dump, &shutting), " shutting:flushing ");

    struct track *all[] = {&talker, &shutting, &dark, &waiter};
    for (size_t i = 0; i < COUNT(all); i++)
        tcpm_shutdown(session, all[i]->id);
    host_run(&host);
    peer_stop(silent);
    peer_stop(peer);
    dump = dump_of(&host);
    assert_int_equal(dump.count, 1);
    host_close(&host);
}

static void test_the_oldest_of_a_session_comes_first(void **state)
{
    struct host host;
    struct track tracks[4] = {{.hook = NULL}};

    (void) state;
    host_open(&host, NULL);
    struct peer *peer = peer_start("recv all", NULL);
    struct tcpm_session *first = track_session(&host, NULL), *second = track_session(&host, NULL);
    for (size_t i = 0; i < COUNT(tracks); i++)
        track_connect(&tracks[i], i < 2 ? first : second, peer_port(peer));
    struct dump dump = dump_of(&host);
    assert_int_equal(dump.count, 1 + COUNT(tracks));
    for (size_t i = 0; i < COUNT(tracks); i++)
        assert_ptr_equal(line_of(&dump, &tracks[i]), dump.lines[1 + i]);
    for (size_t i = 0; i < COUNT(tracks); i++)
        tcpm_reset(tracks[i].session, tracks[i].id);
    host_run(&host);
    peer_stop(peer);
    host_close(&host);
}

static void test_a_name_has_its_address_beside_it(void **state)
{
    struct host host;
    struct track track = {.hook = NULL};
    char part[80];

    (void) state;
    host_open(&host, NULL);
    struct peer *peer = peer_start("recv all", NULL);
    track_connect_with(
        &track, track_session(&host, &(struct tcpm_session_options){.domain = 4}),
        (struct tcpm_connect_options){.address = "localhost", .port = peer_port(peer)});
    host_run_until(&host, track_open, &track);
    struct dump dump = dump_of(&host);
    snprintf(part, sizeof part, " localhost:%d (127.0.0.1) open ", peer_port(peer));
    assert_has(line_of(&dump, &track), part);
    tcpm_reset(track.session, track.id);
    host_run(&host);
    peer_stop(peer);
    host_close(&host);
}

static void dump_in_event(struct track *track, enum event event)
{
    static const char *const phases[] = {
        [EVENT_INITIALIZE] = " waiting ",
        [EVENT_SUCCESS] = " open ",
        [EVENT_INPUT] = " open ",
        [EVENT_FLUSHED] = " open ",
        [EVENT_ERROR] = " shutting:ending ",
        [EVENT_DISCONNECTED] = " closed ",
    };
    struct host *host = track->user;
    struct dump dump = dump_of(host);

    if (event == EVENT_INITIALIZE)
        return; /* the track does not know its id yet */
    assert_has(line_of(&dump, track), phases[event]);
    if (event == EVENT_SUCCESS)
        assert_int_equal(tcpm_send(track->session, track->id, "x", 1), 0);
}

static void test_every_handler_may_call_it(void **state)
{
    struct host host;
    struct track track = {.hook = dump_in_event, .user = &host};

    (void) state;
    host_open(&host, NULL);
    struct peer *peer = peer_start("send \"hello\\n\"; recv 3; close", NULL);
    track_connect(&track, track_session(&host, NULL), peer_port(peer));
    host_run(&host);
    assert_int_equal(track.count[EVENT_INPUT], 1);
    assert_int_equal(track.count[EVENT_ERROR], 1);
    peer_stop(peer);
    host_close(&host);
}

static void test_nothing_to_dump_or_to_write_with_is_einval(void **state)
{
    struct host host;
    struct dump dump = {.count = 0};

    (void) state;
    host_open(&host, NULL);
    assert_int_equal(tcpm_engine_dump(NULL, keep_line, &dump), -EINVAL);
    assert_int_equal(tcpm_engine_dump(host.engine, NULL, &dump), -EINVAL);
    assert_int_equal(dump.count, 0);
    host_close(&host);
}

static void test_a_forked_process_may_call_it(void **state)
{
    struct host host;
    struct track track = {.hook = NULL};
    int status = 0;

    (void) state;
    host_open(&host, NULL);
    struct peer *peer = peer_start("recv all", NULL);
    track_connect(&track, track_session(&host, NULL), peer_port(peer));
    host_run_until(&host, track_open, &track);
    pid_t child = fork();
    if (child == 0) {
        struct dump dump = {.count = 0};
        int result = tcpm_engine_dump(host.engine, keep_line, &dump);

        _exit(result == 0 && dump.count == 2 && strstr(dump.lines[1], " open ") != NULL ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    tcpm_reset(track.session, track.id);
    host_run(&host);
    peer_stop(peer);
    host_close(&host);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_an_engine_without_sessions_is_one_line),
    cmocka_unit_test(test_a_line_tells_phase_flags_times_and_bytes),
    cmocka_unit_test(test_the_oldest_of_a_session_comes_first),
    cmocka_unit_test(test_a_name_has_its_address_beside_it),
    cmocka_unit_test(test_every_handler_may_call_it),
    cmocka_unit_test(test_nothing_to_dump_or_to_write_with_is_einval),
    cmocka_unit_test(test_a_forked_process_may_call_it),
};

RUN_TESTS(tests)
