/* SPDX-License-Identifier: MIT */
/*
 * The promise one-process: an engine belongs to the process that made it. Whatever a forked child
 * does with its copy, the parent's connections go on, and the child is told.
 */
#include "calls.h"

#include <sys/wait.h>

enum { CONNECTIONS = 20 };

struct family {
    struct host host;
    struct peer *peer;
    struct tcpm_session *session;
    struct track tracks[CONNECTIONS];
    unsigned answers, events; /* in all */
};

static void on_event(struct track *track, enum event event)
{
    struct family *family = track->user;

    family->events++;
    family->answers += event == EVENT_INPUT;
}

static bool all_answered(void *argument)
{
    const struct family *family = argument;

    return family->answers == CONNECTIONS;
}

/* Says something on each connection, and awaits the echoes. */
static void talk(struct family *family)
{
    family->answers = 0;
    for (size_t i = 0; i < CONNECTIONS; i++)
        assert_int_equal(tcpm_send(family->session, family->tracks[i].id, "hello", 5), 0);
    host_run_until(&family->host, all_answered, family);
}

static void open_family(struct family *family)
{
    memset(family, 0, sizeof *family);
    host_open(&family->host, NULL);
    family->peer = peer_start("echo", NULL);
    family->session = track_session(&family->host, NULL);
    for (size_t i = 0; i < CONNECTIONS; i++) {
        family->tracks[i].hook = on_event;
        family->tracks[i].user = family;
        track_connect(&family->tracks[i], family->session, peer_port(family->peer));
    }
    talk(family);
}

static void close_family(struct family *family)
{
    talk(family);
    assert_int_equal(tcpm_die(family->session), 0);
    host_run(&family->host);
    for (size_t i = 0; i < CONNECTIONS; i++)
        assert_int_equal(family->tracks[i].reason, TCPM_REASON_DIE);
    peer_stop(family->peer);
    host_close(&family->host);
}

/* Runs a function in a child; what it gives is the exit status, 0 for good. */
static void in_child(struct family *family, int (*run)(struct family *family))
{
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        alarm(HOST_PATIENCE);
        _exit(uv_loop_fork(&family->host.loop) < 0 ? 99 : run(family));
    }
    assert_true(child > 0);
    talk(family); /* while the child is at it */
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* Nothing but what only tells works; a beat, an alarm and a deadline are due, and do not come. */
static int call_everything(struct family *family)
{
    static const char *const tell[] = {"stats", "next",    "info",     "endpoints", "times",
                                       "tried", "pending", "heap_get", "tally"};
    unsigned events = family->events;

    for (size_t i = 0; i < call_count; i++) {
        bool tells = false;
        for (size_t t = 0; t < COUNT(tell); t++)
            tells = tells || strcmp(calls[i].name, tell[t]) == 0;
        if (strcmp(calls[i].name, "heap_set") == 0)
            continue; /* expects another answer itself */
        int result = calls[i].make(family->session, family->tracks[i % CONNECTIONS].id);
        if (strcmp(calls[i].name, "has_room") == 0)
            result = tcpm_has_room(family->session);
        if (result != (tells ? 0 : -ECHILD))
            return 10 + (int) i;
    }
    struct tcpm_session_options options = {.size = sizeof options, .events = track_events()};
    struct tcpm_session *session = NULL;
    if (tcpm_session_create(family->host.engine, &options, &session) != -ECHILD)
        return 1;
    if (tcpm_die(family->session) != -ECHILD)
        return 2;
    if (uv_run(&family->host.loop, UV_RUN_DEFAULT) != 0) /* it does not wait for anything */
        return 3;
    usleep(30000);
    uv_run(&family->host.loop, UV_RUN_NOWAIT);
    return family->events == events ? 0 : 4;
}

static void note_close(void *user)
{
    *(bool *) user = true;
}

/* The engine ends in the child, and the child has one of its own on the same loop. */
static int start_again(struct family *family)
{
    bool closed = false;
    struct tcpm_engine *engine = NULL;
    struct tcpm_session *session = NULL;
    struct tcpm_session_options options = {.size = sizeof options, .events = track_events()};

    tcpm_engine_close(family->host.engine, note_close, &closed);
    uv_run(&family->host.loop, UV_RUN_DEFAULT);
    if (!closed)
        return 1;
    for (size_t i = 0; i < CONNECTIONS; i++)
        if (family->tracks[i].reason != TCPM_REASON_DIE)
            return 2;
    if (tcpm_engine_create(&family->host.loop, NULL, &engine) < 0 ||
        tcpm_session_create(engine, &options, &session) < 0)
        return 3;
    struct track track = {.hook = NULL};
    track_connect(&track, session, peer_port(family->peer));
    tcpm_send(session, track.id, "child", 5);
    while (track.count[EVENT_INPUT] == 0)
        uv_run(&family->host.loop, UV_RUN_ONCE);
    tcpm_reset(session, track.id);
    uv_run(&family->host.loop, UV_RUN_DEFAULT);
    tcpm_engine_close(engine, NULL, NULL);
    uv_close((uv_handle_t *) &family->host.watchdog, NULL);
    uv_run(&family->host.loop, UV_RUN_DEFAULT);
    return uv_loop_close(&family->host.loop) == 0 ? 0 : 4;
}

/* The loop first, which lets go of everything, then the end. */
static int rest_and_close(struct family *family)
{
    bool closed = false;

    uv_run(&family->host.loop, UV_RUN_DEFAULT);
    tcpm_engine_close(family->host.engine, note_close, &closed);
    uv_run(&family->host.loop, UV_RUN_DEFAULT);
    return closed ? 0 : 1;
}

static void test_a_forked_child_is_told_and_harms_nobody(void **state)
{
    static struct family family;
    static int (*const runs[])(struct family *) = {call_everything, start_again, rest_and_close};

    (void) state;
    for (size_t i = 0; i < COUNT(runs); i++) {
        open_family(&family);
        assert_int_equal(tcpm_deadline(family.session, family.tracks[0].id, 60000), 0);
        in_child(&family, runs[i]);
        close_family(&family);
    }
}

static void count_beat(struct tcpm_session *session, void *user, void *argument, int64_t due_ns,
                       uint64_t ticks)
{
    (void) session;
    (void) user;
    (void) due_ns;
    *(uint64_t *) argument += ticks;
}

static uint64_t beats;

static bool has_beaten(void *argument)
{
    return beats >= *(uint64_t *) argument;
}

static int sleep_in_child(struct family *family)
{
    uint64_t before = beats;

    for (int i = 0; i < 20; i++) {
        uv_run(&family->host.loop, UV_RUN_NOWAIT);
        usleep(2000);
    }
    return beats == before ? 0 : 1;
}

/* The timer of alarms is shared too. */
static void test_the_parents_alarms_go_on(void **state)
{
    static struct family family;
    struct tcpm_beat beat = {.run = count_beat, .argument = &beats};

    (void) state;
    open_family(&family);
    assert_int_equal(tcpm_every(family.session, 2000000, beat, NULL), 0);
    in_child(&family, sleep_in_child);
    uint64_t wanted = beats + 10;
    host_run_until(&family.host, has_beaten, &wanted);
    close_family(&family);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_a_forked_child_is_told_and_harms_nobody),
    cmocka_unit_test(test_the_parents_alarms_go_on),
};

RUN_TESTS(tests)
