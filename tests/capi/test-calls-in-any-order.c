/* SPDX-License-Identifier: MIT */
/*
 * Calls in any order (FAULTS R23): every event of many connections makes random calls on itself and
 * on others, ended ones included; so does the host between turns. Whatever happens, the grammar
 * holds, all end, what was received and sent is accounted for, and nothing is left. The seed of a
 * run is printed; TCPM_SEED repeats it, TCPM_ROUNDS makes more of them.
 */
#include "calls.h"

#include <signal.h>

enum { CONNECTIONS = 60, CALLS_PER_EVENT = 3, PEERS = 7 };

struct chaos {
    struct host host;
    struct tcpm_session *sessions[2];
    bool dead[2];
    struct track *tracks;
    size_t begun;
    int ports[PEERS];
    uint64_t random;
    struct tcpm_events own; /* of one connection */
    struct tcpm_filter *filters[5];
    int tasks, posted; /* run or dropped; taken */
    bool over;         /* no new ones */
    bool scarce;       /* memory fails now and then */
    long blocks;       /* of the engine, not freed */
};

static uint64_t draw(struct chaos *chaos, uint64_t limit)
{
    chaos->random ^= chaos->random << 13;
    chaos->random ^= chaos->random >> 7;
    chaos->random ^= chaos->random << 17;
    return (chaos->random >> 20) % limit;
}

/* The engine's memory: one allocation in forty fails, if it is scarce. */
static void *reallocate(void *block, size_t size, void *user)
{
    struct chaos *chaos = user;

    if (size == 0) {
        chaos->blocks -= block != NULL;
        free(block);
        return NULL;
    }
    if (chaos->scarce && draw(chaos, 40) == 0)
        return NULL;
    chaos->blocks += block == NULL;
    return realloc(block, size);
}

static void act_at_random(struct chaos *chaos);

static void act_in_event(struct track *track, enum event event)
{
    struct chaos *chaos = track->user;

    if (event == EVENT_FLUSHED && draw(chaos, 4) > 0)
        return;
    for (uint64_t i = draw(chaos, CALLS_PER_EVENT); i > 0; i--)
        act_at_random(chaos);
}

static void connect_one(struct chaos *chaos)
{
    size_t which = draw(chaos, 2);

    if (chaos->begun == CONNECTIONS || chaos->dead[which] || chaos->over)
        return;
    struct track *track = &chaos->tracks[chaos->begun++];
    track->hook = act_in_event;
    track->user = chaos;
    struct tcpm_connect_options options = {.size = sizeof options,
                                           .address =
                                               draw(chaos, 10) > 0 ? "127.0.0.1" : "localhost",
                                           .port = chaos->ports[draw(chaos, PEERS)],
                                           .heap = track,
                                           .input_filter = chaos->filters[draw(chaos, 5)],
                                           .deadline_ms = 250};
    if (draw(chaos, 3) == 0)
        options.events = &chaos->own;
    if (options.events != NULL && draw(chaos, 2) == 0)
        options.half_open = 1;
    if (draw(chaos, 20) == 0)
        options.refused = "not this one";
    int result = tcpm_connect(chaos->sessions[which], &options, NULL);
    assert_true(result == 0 || result == -ESHUTDOWN || (chaos->scarce && result == -ENOMEM));
    assert_int_equal(track->count[EVENT_INITIALIZE], result == 0);
}

static void count_run(struct tcpm_session *session, void *user, void *argument)
{
    (void) session;
    (void) user;
    struct chaos *chaos = argument;
    chaos->tasks++;
    act_at_random(chaos);
}

static void count_drop(void *argument)
{
    ((struct chaos *) argument)->tasks++;
}

static void add_task(struct chaos *chaos, struct tcpm_session *session, struct tcpm_id id)
{
    struct tcpm_task task = {.run = count_run, .drop = count_drop, .argument = chaos};
    struct tcpm_alarm alarm = {0};
    int result = 0;

    if (chaos->posted > 4000)
        return;
    if (draw(chaos, 2) == 0)
        result = tcpm_post(session, task);
    else if (draw(chaos, 2) == 0)
        result = tcpm_delay_ns(session, id, (int64_t) draw(chaos, 50000000), task, &alarm);
    else
        result = tcpm_delay(session, id, (int64_t) draw(chaos, 50), task, &alarm);
    chaos->posted += result == 0;
    if (result == 0 && alarm.n != 0 && draw(chaos, 3) == 0)
        assert_int_equal(tcpm_alarm_remove(session, alarm), 0);
    else if (result == 0 && alarm.n != 0 && draw(chaos, 3) == 0)
        assert_int_equal(tcpm_delay_adjust(session, alarm, (int64_t) draw(chaos, 50)), 0);
}

static void send_some(struct chaos *chaos, struct tcpm_session *session, struct tcpm_id id)
{
    static char bytes[300000];
    size_t length = draw(chaos, draw(chaos, 8) == 0 ? sizeof bytes : 50);

    memset(bytes, draw(chaos, 5) == 0 ? '\n' : 'x', length);
    int result = tcpm_send(session, id, bytes, length);
    assert_true(result >= 0 || result == -ESTALE || result == -ESHUTDOWN || result == -ENOBUFS ||
                result == -EMSGSIZE || (chaos->scarce && result == -ENOMEM));
}

static void act_at_random(struct chaos *chaos)
{
    size_t which = draw(chaos, 2);

    if (chaos->dead[which])
        return;
    struct tcpm_session *session = chaos->sessions[which];
    struct tcpm_id id = {0};
    if (chaos->begun > 0)
        id = chaos->tracks[draw(chaos, chaos->begun)].id;
    switch (draw(chaos, 10)) {
    case 0:
        connect_one(chaos);
        break;
    case 1:
    case 2:
        send_some(chaos, session, id);
        break;
    case 3:
        add_task(chaos, session, id);
        break;
    case 4:
        tcpm_filter_set(session, id, chaos->filters[draw(chaos, 5)],
                        chaos->filters[draw(chaos, 5)]);
        break;
    case 5:
        tcpm_timeout(session, id, (int64_t) draw(chaos, 60));
        break;
    case 6:
        tcpm_take(session, id, (int64_t) draw(chaos, 40) - 1);
        break;
    default:
        /* those that end a connection stand last in the table, and are drawn less often */
        calls[draw(chaos, draw(chaos, 3) == 0 ? call_count : call_count - 7)].make(session, id);
        break;
    }
}

static void make_filters(struct chaos *chaos)
{
    struct tcpm_block_options u8 = {.size = sizeof u8, .length = "u8"};
    struct tcpm_line_options automatic = {.size = sizeof automatic, .ends = TCPM_ENDS_AUTO};

    chaos->filters[0] = stream_filter();
    assert_int_equal(tcpm_filter_line(NULL, &chaos->filters[1]), 0);
    assert_int_equal(tcpm_filter_line(&automatic, &chaos->filters[2]), 0);
    assert_int_equal(tcpm_filter_block(&u8, &chaos->filters[3]), 0);
    assert_int_equal(tcpm_filter_netstring(0, &chaos->filters[4]), 0);
}

static void check_all(const struct chaos *chaos)
{
    for (size_t i = 0; i < chaos->begun; i++)
        assert_int_equal(chaos->tracks[i].count[EVENT_DISCONNECTED],
                         chaos->tracks[i].count[EVENT_INITIALIZE]);
    for (size_t s = 0; s < 2; s++) {
        struct tcpm_stats stats = {.size = sizeof stats};
        assert_int_equal(tcpm_stats_get(chaos->sessions[s], &stats), 0);
        assert_int_equal(stats.waiting + stats.connecting + stats.open + stats.shutting, 0);
        assert_int_equal(stats.queued, 0);
        assert_int_equal(stats.held, 0);
    }
}

static void run_chaos(uint64_t seed, bool scarce)
{
    static const char *const programs[PEERS] = {
        "echo",   "send \"a\\nb\\n3:abc,\\x02xy\"; recv all",         "rst", "close",
        "freeze", "loop 5; send \"line\\r\\n\"; sleep 5; end; close", ""};
    struct chaos *chaos = calloc(1, sizeof *chaos);
    struct peer *peers[PEERS];

    assert_non_null(chaos);
    chaos->random = seed;
    chaos->tracks = calloc(CONNECTIONS, sizeof *chaos->tracks);
    assert_non_null(chaos->tracks);
    struct tcpm_engine_options engine = {
        .size = sizeof engine, .reallocate = reallocate, .user = chaos};
    host_open(&chaos->host, &engine);
    for (size_t i = 0; i < PEERS; i++) {
        peers[i] = peer_start(programs[i], &(struct peer_options){.refuse = i == PEERS - 1});
        chaos->ports[i] = peer_port(peers[i]);
    }
    make_filters(chaos);
    struct tcpm_session_options options = {.max_connections = (int64_t) (seed % 30) + 5,
                                           .max_queued = 2000000};
    chaos->own = (struct tcpm_events){.size = sizeof chaos->own, .eof = track_events_eof()->eof};
    for (size_t s = 0; s < 2; s++) {
        options.cork = s == 1 && seed % 2 == 0;
        options.connect_interval_ns = s == 1 && seed % 3 == 0 ? 700000 : 0;
        if (s == 1) {
            options.events = track_events_eof();
            options.half_open = seed % 2;
        }
        chaos->sessions[s] = track_session(&chaos->host, &options);
    }
    chaos->scarce = scarce;
    while (chaos->begun < CONNECTIONS / 2)
        connect_one(chaos);
    for (int turn = 0; turn < 100; turn++) {
        uv_run(&chaos->host.loop, UV_RUN_NOWAIT);
        act_at_random(chaos);
    }
    chaos->over = true;
    host_run(&chaos->host);
    check_all(chaos);
    for (size_t i = 0; i < 5; i++)
        tcpm_filter_free(chaos->filters[i]);
    for (size_t i = 0; i < PEERS; i++)
        peer_stop(peers[i]);
    host_close(&chaos->host);
    assert_int_equal(chaos->blocks, 0);
    assert_int_equal(chaos->tasks, chaos->posted); /* each has run or was dropped, once */
    free(chaos->tracks);
    free(chaos);
}

static uint64_t number_of(const char *name, uint64_t standard)
{
    const char *text = getenv(name);

    return text != NULL ? strtoull(text, NULL, 10) : standard;
}

static void run_rounds(bool scarce)
{
    uint64_t seed = number_of("TCPM_SEED", 1), rounds = number_of("TCPM_ROUNDS", 8);

    for (uint64_t round = 0; round < rounds; round++) {
        print_message("# seed %llu\n", (unsigned long long) (seed + round));
        run_chaos((seed + round) * UINT64_C(0x9e3779b97f4a7c15), scarce);
    }
}

static void test_R23_random_calls_from_everywhere(void **state)
{
    (void) state;
    run_rounds(false);
}

static void test_R23_the_same_while_memory_fails_now_and_then(void **state)
{
    (void) state;
    run_rounds(true);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_R23_random_calls_from_everywhere),
    cmocka_unit_test(test_R23_the_same_while_memory_fails_now_and_then),
};

RUN_TESTS(tests)
