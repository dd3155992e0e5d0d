/* SPDX-License-Identifier: MIT */
/*
 * The promise memory-is-an-error: when the engine's reallocate fails, that is -ENOMEM from the call
 * that needed it, or an error of the one connection that needed it. In each scenario every
 * allocation fails in turn, once and from then on; whatever happens then, the grammar holds (each
 * track checks it), everything ends, and not a block is left.
 */
#include "host.h"

#include <signal.h>

struct memory {
    long calls;   /* of reallocate for more */
    long fail_at; /* this one fails; -1: none does */
    bool for_good;
    long blocks;
};

static void *reallocate(void *block, size_t size, void *user)
{
    struct memory *memory = user;

    if (size == 0) {
        memory->blocks -= block != NULL;
        free(block);
        return NULL;
    }
    long call = memory->calls++;
    if (memory->fail_at >= 0 &&
        (call == memory->fail_at || (memory->for_good && call > memory->fail_at)))
        return NULL;
    void *made = realloc(block, size);
    assert_non_null(made);
    memory->blocks += block == NULL;
    return made;
}

struct scene {
    struct host host;
    struct tcpm_session *session;
    struct track tracks[4];
    struct peer *peer;
    int tasks, drops;
};

/* Results that an honest call may have while memory fails. */
static int allow(int result)
{
    if (result < 0 && result != -ENOMEM && result != -ESTALE && result != -ESHUTDOWN)
        fail_msg("%d (%s)", result, tcpm_error_name(result));
    return result;
}

static bool connect_one(struct scene *scene, size_t which, const char *address, int port)
{
    struct tcpm_connect_options options = {
        .size = sizeof options, .address = address, .port = port, .heap = &scene->tracks[which]};
    unsigned before = scene->tracks[which].count[EVENT_INITIALIZE];
    int result = allow(tcpm_connect(scene->session, &options, NULL));

    assert_int_equal(scene->tracks[which].count[EVENT_INITIALIZE] - before, result == 0);
    return result == 0;
}

/* ---- the scenarios ---- */

static void talk(struct track *track, enum event event)
{
    if (event == EVENT_SUCCESS && allow(tcpm_send(track->session, track->id, "hello", 5)) < 0)
        tcpm_reset(track->session, track->id); /* nobody will answer */
    if (event == EVENT_INPUT && track->count[EVENT_INPUT] == 3)
        tcpm_shutdown(track->session, track->id);
}

static void play_lines(struct scene *scene)
{
    for (size_t i = 0; i < 3; i++) {
        scene->tracks[i].hook = talk;
        connect_one(scene, i, "127.0.0.1", peer_port(scene->peer));
    }
}

static void send_much(struct track *track, enum event event)
{
    char *large = NULL;

    if (event != EVENT_SUCCESS)
        return;
    large = calloc(1, 6000000);
    assert_non_null(large);
    const struct tcpm_record records[] = {{"first", 5}, {large, 6000000}, {"last", 4}};
    allow(tcpm_send_many(track->session, track->id, records, COUNT(records)));
    free(large);
    allow(tcpm_shutdown(track->session, track->id));
}

static void play_large_send(struct scene *scene)
{
    scene->tracks[0].hook = send_much;
    connect_one(scene, 0, "127.0.0.1", peer_port(scene->peer));
}

static void count_task(struct tcpm_session *session, void *user, void *argument)
{
    (void) session;
    (void) user;
    ((struct scene *) argument)->tasks++;
}

static void count_drop(void *argument)
{
    ((struct scene *) argument)->drops++;
}

static void play_tasks(struct scene *scene)
{
    struct tcpm_task task = {.run = count_task, .drop = count_drop, .argument = scene};
    struct tcpm_id none = {0};
    int taken = 0;

    scene->tracks[0].hook = talk;
    taken += allow(tcpm_post(scene->session, task)) == 0;
    taken += allow(tcpm_delay(scene->session, none, 1, task, NULL)) == 0;
    taken += allow(tcpm_sig(scene->session, SIGUSR2, task)) == 0;
    if (connect_one(scene, 0, "127.0.0.1", peer_port(scene->peer))) {
        struct tcpm_id id = scene->tracks[0].id;
        taken += allow(tcpm_delay(scene->session, id, 100000, task, NULL)) == 0;
        taken += allow(tcpm_delay(scene->session, id, 2, task, NULL)) == 0;
    }
    host_run(&scene->host);
    tcpm_die(scene->session); /* drops the signal */
    scene->session = NULL;
    host_run(&scene->host);
    assert_int_equal(scene->tasks + scene->drops, taken);
}

static void put_back(struct track *track, enum event event)
{
    if (event == EVENT_INPUT && track->count[EVENT_INPUT] == 1) {
        allow(tcpm_unread(track->session, track->id, "again\nand again\n", 16));
        allow(tcpm_pause(track->session, track->id));
        allow(tcpm_resume(track->session, track->id));
    }
}

static void play_unread(struct scene *scene)
{
    scene->tracks[0].hook = put_back;
    connect_one(scene, 0, "127.0.0.1", peer_port(scene->peer));
}

static void play_names_and_binds(struct scene *scene)
{
    struct tcpm_connect_options bound = {.size = sizeof bound,
                                         .address = "127.0.0.1",
                                         .port = peer_port(scene->peer),
                                         .bind_address = "127.0.0.3",
                                         .heap = &scene->tracks[1]};

    connect_one(scene, 0, "::ffff:127.0.0.1", peer_port(scene->peer));
    allow(tcpm_connect(scene->session, &bound, NULL));
    connect_one(scene, 2, "localhost", peer_port(scene->peer));
}

static void play_own_handlers(struct scene *scene)
{
    struct tcpm_connect_options own = {.size = sizeof own,
                                       .address = "127.0.0.1",
                                       .port = peer_port(scene->peer),
                                       .events = track_events(),
                                       .heap = &scene->tracks[0]};

    allow(tcpm_connect(scene->session, &own, NULL));
    own.address = "localhost";
    own.heap = &scene->tracks[1];
    allow(tcpm_connect(scene->session, &own, NULL));
}

static void break_it(struct track *track, enum event event)
{
    if (event == EVENT_INPUT)
        allow(tcpm_fail(track->session, track->id, -EPROTO, "a message of its own"));
}

static void play_failures(struct scene *scene)
{
    scene->tracks[0].hook = break_it;
    connect_one(scene, 0, "127.0.0.1", peer_port(scene->peer));
    connect_one(scene, 1, "127.0.0.1", 1);
    connect_one(scene, 2, "no-such-name.invalid", 1);
    if (connect_one(scene, 3, "127.0.0.1", peer_port(scene->peer)))
        allow(tcpm_fail(scene->session, scene->tracks[3].id, -EPROTO, "at once"));
}

static const struct scenario {
    const char *name, *program;
    void (*play)(struct scene *scene);
} scenarios[] = {
    {"lines", "send \"a\\nbc\"; recv line; send \"d\\ne\\nf\\n\"; recv all", play_lines},
    {"a large send", "discard", play_large_send},
    {"tasks", "send \"a\\nb\\nc\\n\"; recv all", play_tasks},
    {"unread", "send \"a\\nbcd\"; close", play_unread},
    {"names and binds", "send \"a\\n\"; close", play_names_and_binds},
    {"handlers of one connection", "send \"a\\n\"; close", play_own_handlers},
    {"failures", "send \"a\\n\"; recv all", play_failures},
};

/* Plays it once; how many allocations it made. */
static long play(const struct scenario *scenario, long fail_at, bool for_good)
{
    struct memory memory = {.fail_at = fail_at, .for_good = for_good};
    struct tcpm_engine_options engine = {
        .size = sizeof engine, .reallocate = reallocate, .user = &memory};
    struct tcpm_session_options session = {
        .size = sizeof session, .events = track_events(), .deadline_ms = 20000};
    /* No name server is there: none is waited for. */
    const struct tcpm_names_options names = {.size = sizeof names, .timeout_ms = 1, .tries = 1};
    struct scene *scene = calloc(1, sizeof *scene);

    assert_non_null(scene);
    host_loop_open(&scene->host);
    scene->peer = peer_start(scenario->program, NULL);
    int result = allow(tcpm_engine_create(&scene->host.loop, &engine, &scene->host.engine));
    if (result == 0) {
        allow(tcpm_names_set(scene->host.engine, &names));
        if (allow(tcpm_session_create(scene->host.engine, &session, &scene->session)) == 0)
            scenario->play(scene);
        host_run(&scene->host);
        for (size_t i = 0; i < COUNT(scene->tracks); i++)
            assert_int_equal(scene->tracks[i].count[EVENT_DISCONNECTED],
                             scene->tracks[i].count[EVENT_INITIALIZE]);
        host_engine_close(&scene->host);
    }
    peer_stop(scene->peer);
    host_loop_close(&scene->host);
    assert_int_equal(memory.blocks, 0);
    free(scene);
    return memory.calls;
}

static void test_every_allocation_fails_in_turn(void **state)
{
    (void) state;
    for (size_t i = 0; i < COUNT(scenarios); i++) {
        long calls = play(&scenarios[i], -1, false);
        assert_true(calls > 5);
        print_message("# %s: %ld allocations\n", scenarios[i].name, calls);
        for (long at = 0; at <= calls; at++) {
            play(&scenarios[i], at, false);
            play(&scenarios[i], at, true);
        }
    }
}

/* The one connection that needed it fails; the others do not notice. */
static void test_only_the_one_that_needed_memory_fails(void **state)
{
    struct memory memory = {.fail_at = -1};
    struct tcpm_engine_options engine = {
        .size = sizeof engine, .reallocate = reallocate, .user = &memory};
    struct host host;
    struct track greedy = {.hook = NULL}, modest = {.hook = talk};

    (void) state;
    host_open(&host, &engine);
    struct peer *half = peer_start("mark there; wait go; send \"half a line\"; recv all", NULL);
    struct peer *lines = peer_start("recv line; wait go; send \"a\\nb\\nc\\n\"; recv all", NULL);
    struct tcpm_session *session = track_session(&host, NULL);
    track_connect(&greedy, session, peer_port(half));
    track_connect(&modest, session, peer_port(lines));
    host_run_until(&host, track_open, &greedy);
    host_run_until(&host, track_open, &modest);
    memory.fail_at = memory.calls;
    memory.for_good = true;
    peer_go(half, "go");
    host_run_until(&host, track_ended, &greedy);
    assert_log(&greedy, "initialize success error(read,ENOMEM) disconnected(error)");
    assert_string_equal(greedy.message, tcpm_error_text(-ENOMEM));
    peer_go(lines, "go");
    host_run(&host);
    assert_log(&modest, "initialize success input(a) input(b) input(c) disconnected(shutdown)");
    peer_stop(half);
    peer_stop(lines);
    host_close(&host);
    assert_int_equal(memory.blocks, 0);
}

/* max_memory is a bound on what is received or unsent, not on the process. */
static void test_more_than_max_memory_is_refused(void **state)
{
    struct tcpm_engine_options engine = {.size = sizeof engine, .max_memory = 100000};
    struct host host;
    struct track sender = {.hook = NULL}, receiver = {.hook = NULL};
    struct tcpm_line_options unlimited = {.size = sizeof unlimited, .max_length = TCPM_NONE};
    struct tcpm_session_options options = {.size = 0};
    char *large = calloc(1, 100001);

    (void) state;
    assert_non_null(large);
    host_open(&host, &engine);
    struct peer *silent = peer_start("freeze", NULL);
    struct peer *blaster = peer_start("recv 1; sendn 400k \"x\"; recv all", NULL);
    assert_int_equal(tcpm_filter_line(&unlimited, &options.input_filter), 0);
    struct tcpm_session *session = track_session(&host, &options);
    tcpm_filter_free(options.input_filter);
    track_connect(&sender, session, peer_port(silent));
    assert_int_equal(tcpm_send(session, sender.id, large, 100001), -ENOBUFS);
    assert_int_equal(tcpm_send(session, sender.id, large, 50000), 0);
    assert_int_equal(tcpm_send(session, sender.id, large, 50000), -ENOBUFS);
    track_connect(&receiver, session, peer_port(blaster));
    assert_int_equal(tcpm_send(session, receiver.id, "x", 1), 0);
    host_run_until(&host, track_ended, &receiver);
    assert_log(&receiver, "initialize success error(read,ENOBUFS) disconnected(error)");
    assert_int_equal(sender.count[EVENT_ERROR], 0);
    assert_int_equal(tcpm_reset(session, sender.id), 0);
    host_run(&host);
    peer_stop(silent);
    peer_stop(blaster);
    host_close(&host);
    free(large);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_every_allocation_fails_in_turn),
    cmocka_unit_test(test_only_the_one_that_needed_memory_fails),
    cmocka_unit_test(test_more_than_max_memory_is_refused),
};

RUN_TESTS(tests)
