/* SPDX-License-Identifier: MIT */
/*
 * One queue over all sessions: among the connects that their sessions' limits let start, the oldest
 * starts first, and as soon as there is a place. A model of the queue learns from the trace what
 * starts and ends, and knows what should have.
 */
#include "host.h"

enum { SESSIONS = 6, CONNECTS = 600, ENGINE_LIMIT = 9 };

struct entry {
    struct track track;
    uint64_t id;
    size_t session;
    enum tcpm_phase phase;
};

struct model {
    struct host host;
    struct tcpm_session *sessions[SESSIONS];
    unsigned limits[SESSIONS], places[SESSIONS], all_places;
    struct entry entries[CONNECTS]; /* in the order of their connects */
    size_t count;
    uint32_t random;
};

static unsigned random_below(struct model *model, unsigned limit)
{
    model->random = model->random * 1103515245 + 12345;
    return (model->random >> 16) % limit;
}

static struct entry *find(struct model *model, uint64_t id)
{
    for (size_t i = 0; i < model->count; i++)
        if (model->entries[i].id == id)
            return &model->entries[i];
    return &model->entries[model->count]; /* the one whose connect has not returned */
}

static bool may_start(const struct model *model, const struct entry *entry)
{
    return entry->phase == TCPM_PHASE_WAITING && model->all_places < ENGINE_LIMIT &&
           model->places[entry->session] < model->limits[entry->session];
}

static const struct entry *oldest_that_may_start(const struct model *model)
{
    for (size_t i = 0; i < model->count; i++)
        if (may_start(model, &model->entries[i]))
            return &model->entries[i];
    return NULL;
}

static void take_start(struct model *model, struct entry *entry)
{
    const struct entry *oldest = oldest_that_may_start(model);

    if (oldest != NULL && oldest < entry)
        fail_msg("number %zu starts before number %zu", (size_t) (entry - model->entries),
                 (size_t) (oldest - model->entries));
    assert_true(model->all_places < ENGINE_LIMIT);
    assert_true(model->places[entry->session] < model->limits[entry->session]);
    model->all_places++;
    model->places[entry->session]++;
}

/* "ID ADDRESS:PORT PHASE -> PHASE": what starts, and what gives a place back. */
static void on_trace(const char *line, void *user)
{
    struct model *model = user;
    struct entry *entry = find(model, strtoull(line, NULL, 10));

    if (strstr(line, "waiting -> connecting") != NULL) {
        take_start(model, entry);
        entry->phase = TCPM_PHASE_CONNECTING;
    } else if (strstr(line, "-> closed") != NULL) {
        model->all_places -= entry->phase == TCPM_PHASE_CONNECTING;
        model->places[entry->session] -= entry->phase == TCPM_PHASE_CONNECTING;
        entry->phase = TCPM_PHASE_CLOSED;
    } else if (strstr(line, "waiting -> shutting") != NULL) {
        entry->phase = TCPM_PHASE_SHUTTING;
    }
}

/* What has room starts at once, and what has none does not. */
static void connect_one(struct model *model, int port)
{
    struct entry *entry = &model->entries[model->count];
    struct tcpm_info info = {.size = sizeof info};

    entry->session = random_below(model, SESSIONS);
    entry->phase = TCPM_PHASE_WAITING;
    struct tcpm_session *session = model->sessions[entry->session];
    int room = tcpm_has_room(session);
    track_connect(&entry->track, session, port);
    entry->id = entry->track.id.n;
    model->count++;
    assert_int_equal(tcpm_info_get(session, entry->track.id, &info), 0);
    if (entry->phase != TCPM_PHASE_SHUTTING) /* by on_event */
        assert_int_equal(room, info.phase == TCPM_PHASE_CONNECTING);
}

static void cancel_one(struct model *model)
{
    struct entry *entry = &model->entries[random_below(model, (unsigned) model->count)];

    if (entry->phase == TCPM_PHASE_WAITING)
        assert_int_equal(tcpm_shutdown(model->sessions[entry->session], entry->track.id), 0);
}

static void on_event(struct track *track, enum event event)
{
    struct model *model = track->user;

    if (event == EVENT_INITIALIZE && random_below(model, 16) == 0)
        assert_int_equal(tcpm_shutdown(track->session, track->id), 0);
    if (event == EVENT_DISCONNECTED && model->count > 0 && random_below(model, 8) == 0)
        cancel_one(model);
}

static void test_the_oldest_that_may_start_does(void **state)
{
    static struct model model;
    struct tcpm_engine_options options = {
        .size = sizeof options, .max_connections = ENGINE_LIMIT, .trace = on_trace, .user = &model};

    (void) state;
    host_open(&model.host, &options);
    struct peer *refused = peer_start("", &(struct peer_options){.refuse = 1});
    for (unsigned i = 0; i < SESSIONS; i++) {
        struct tcpm_session_options limit = {.max_connections = i < 5 ? i + 1 : 0};
        model.limits[i] = i < 5 ? i + 1 : UINT32_MAX;
        model.sessions[i] = track_session(&model.host, &limit);
    }
    while (model.count < CONNECTS) {
        model.entries[model.count].track.hook = on_event;
        model.entries[model.count].track.user = &model;
        connect_one(&model, peer_port(refused));
        if (random_below(&model, 20) != 0)
            continue;
        uv_run(&model.host.loop, UV_RUN_NOWAIT);
        assert_null(oldest_that_may_start(&model));
    }
    host_run(&model.host);
    for (size_t i = 0; i < CONNECTS; i++)
        assert_int_equal(model.entries[i].phase, TCPM_PHASE_CLOSED);
    peer_stop(refused);
    host_close(&model.host);
}

/* ---- sessions that are slow ---- */

struct pair {
    struct track tracks[2][60];
    char order[121];
    size_t started;
};

static void note_start(struct track *track, enum event event)
{
    struct pair *pair = track->user;

    if (event == EVENT_SUCCESS) {
        pair->order[pair->started++] = track < pair->tracks[1] ? 'A' : 'B';
        assert_int_equal(tcpm_timeout(track->session, track->id, 10), 0);
    }
}

/* Both have the same rate, and the engine is slower: what waits for its rate does not come before
   what is older. */
static void test_sessions_with_rates_take_turns(void **state)
{
    struct host host;
    static struct pair pair;
    const struct tcpm_engine_options options = {.size = sizeof options, .max_connections = 4};
    const struct tcpm_session_options rate = {.connect_rate = 400};

    (void) state;
    host_open(&host, &options);
    struct peer *peer = peer_start("freeze", NULL);
    struct tcpm_session *sessions[2] = {track_session(&host, &rate), track_session(&host, &rate)};
    for (size_t i = 0; i < COUNT(pair.tracks[0]); i++)
        for (size_t which = 0; which < 2; which++) {
            pair.tracks[which][i].hook = note_start;
            pair.tracks[which][i].user = &pair;
            track_connect(&pair.tracks[which][i], sessions[which], peer_port(peer));
        }
    host_run(&host);
    int lead = 0; /* of A, which is asked first */
    for (size_t i = 0; i < pair.started; i++) {
        lead += pair.order[i] == 'A' ? 1 : -1;
        if (lead < -2 || lead > 2)
            fail_msg("%s", pair.order);
    }
    assert_int_equal(pair.started, 2 * COUNT(pair.tracks[0]));
    peer_stop(peer);
    host_close(&host);
}

/* A rate that allows one now and then holds up nobody else. */
static void test_a_slow_session_is_not_in_the_way(void **state)
{
    struct host *host = *state;
    struct track slow[3] = {{.hook = NULL}}, quick[20] = {{.hook = NULL}};
    const struct tcpm_session_options rate = {.connect_interval_ns = 10 * INT64_C(1000000000)};

    struct peer *peer = host_peer(host, "close", NULL);
    struct tcpm_session *one = track_session(host, &rate), *other = track_session(host, NULL);
    for (size_t i = 0; i < COUNT(slow); i++)
        track_connect(&slow[i], one, peer_port(peer));
    assert_int_equal(tcpm_has_room(one), 0);
    for (size_t i = 0; i < COUNT(quick); i++) {
        assert_int_equal(tcpm_has_room(other), 1);
        track_connect(&quick[i], other, peer_port(peer));
    }
    for (size_t i = 0; i < COUNT(quick); i++)
        host_run_until(host, track_ended, &quick[i]);
    host_run_until(host, track_ended, &slow[0]);
    assert_log(&slow[1], "initialize");
    assert_int_equal(tcpm_die(one), 0);
    host_run(host);
    assert_log(&slow[1], "initialize disconnected(die)");
    host_close(host);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_the_oldest_that_may_start_does),
    cmocka_unit_test(test_sessions_with_rates_take_turns),
    HOST_TEST(test_a_slow_session_is_not_in_the_way),
};

RUN_TESTS(tests)
