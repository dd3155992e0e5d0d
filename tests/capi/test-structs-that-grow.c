/* SPDX-License-Identifier: MIT */
/*
 * Structs that begin with their size: an older program's shorter ones are read as if completed with
 * zeros, a newer one's longer ones are accepted if what this library does not know is zero, and
 * -E2BIG otherwise: no option is ever ignored.
 */
#include "host.h"

/* Any struct of the header, with room behind it. */
union grown {
    size_t size;
    struct tcpm_engine_options engine;
    struct tcpm_session_options session;
    struct tcpm_connect_options connect;
    struct tcpm_events events;
    struct tcpm_line_options line;
    struct tcpm_block_options block;
    struct tcpm_filter_kind kind;
    struct tcpm_stats stats;
    struct tcpm_info info;
    struct tcpm_endpoints endpoints;
    struct tcpm_names_options names;
    struct tcpm_names_stats names_stats;
    struct tcpm_times times;
    struct tcpm_tried tried;
    char bytes[1024];
};

struct place {
    struct host *host;
    struct tcpm_session *session;
};

static int try_engine(struct place *place, union grown *grown)
{
    struct tcpm_engine *engine = NULL;
    int result = tcpm_engine_create(&place->host->loop, &grown->engine, &engine);

    tcpm_engine_close(engine, NULL, NULL);
    return result;
}

static int try_session(struct place *place, union grown *grown)
{
    struct tcpm_session *session = NULL;
    int result = tcpm_session_create(place->host->engine, &grown->session, &session);

    if (result == 0)
        assert_int_equal(tcpm_die(session), 0);
    return result;
}

static int try_events(struct place *place, union grown *grown)
{
    struct tcpm_session_options options = {.size = sizeof options, .events = &grown->events};
    struct tcpm_session *session = NULL;
    int result = tcpm_session_create(place->host->engine, &options, &session);

    if (result == 0) {
        assert_int_equal(tcpm_die(session), 0);
        host_run(place->host);
    }
    return result;
}

static int try_connect(struct place *place, union grown *grown)
{
    struct tcpm_id id;
    int result = tcpm_connect(place->session, &grown->connect, &id);

    if (result == 0)
        assert_int_equal(tcpm_shutdown(place->session, id), 0);
    return result;
}

static int try_names(struct place *place, union grown *grown)
{
    return tcpm_names_set(place->host->engine, &grown->names);
}

static int try_line(struct place *place, union grown *grown)
{
    struct tcpm_filter *filter = NULL;
    int result = tcpm_filter_line(&grown->line, &filter);

    (void) place;
    tcpm_filter_free(filter);
    return result;
}

static int try_block(struct place *place, union grown *grown)
{
    struct tcpm_filter *filter = NULL;
    int result = tcpm_filter_block(&grown->block, &filter);

    (void) place;
    tcpm_filter_free(filter);
    return result;
}

static int get_nothing(void *self, const char *bytes, size_t length, struct tcpm_cut *cut)
{
    (void) self;
    (void) bytes;
    (void) length;
    (void) cut;
    return 0;
}

static int put_nothing(void *self, const void *record, size_t length, struct tcpm_out *out)
{
    (void) self;
    return tcpm_out_write(out, record, length);
}

static int try_kind(struct place *place, union grown *grown)
{
    struct tcpm_filter *filter = NULL;
    int result = tcpm_filter_custom(&grown->kind, NULL, &filter);

    (void) place;
    tcpm_filter_free(filter);
    return result;
}

/* A struct that is read: how to try it, a good one, its size now and the shortest that is good. */
struct row {
    const char *name;
    int (*try)(struct place *place, union grown *grown);
    union grown good;
    size_t size, shortest;
};

static void check_row(struct place *place, const struct row *row)
{
    for (size_t size = row->shortest; size <= row->size + 64; size++) {
        union grown grown = row->good;
        grown.size = size;
        int result = row->try(place, &grown);
        if (result != 0)
            fail_msg("%s with a size of %zu: %d", row->name, size, result);
    }
    for (size_t at = row->size; at < row->size + 64; at++) {
        union grown grown = row->good;
        grown.size = row->size + 64;
        grown.bytes[at] = 1;
        int result = row->try(place, &grown);
        if (result != -E2BIG)
            fail_msg("%s with byte %zu set: %d", row->name, at, result);
    }
    static const size_t impossible[] = {0, 1, sizeof(size_t) - 1, SIZE_MAX, SIZE_MAX / 2};
    for (size_t i = 0; i < COUNT(impossible); i++) {
        union grown grown = row->good;
        grown.size = impossible[i];
        assert_int_equal(row->try(place, &grown), -EINVAL);
    }
}

static void test_structs_that_are_read(void **state)
{
    const struct row rows[] = {
        {"engine options",
         try_engine,
         {.engine = {.size = 0}},
         sizeof(struct tcpm_engine_options),
         sizeof(size_t)},
        {"session options",
         try_session,
         {.session = {.events = track_events()}},
         sizeof(struct tcpm_session_options),
         offsetof(struct tcpm_session_options, user)},
        {"events", try_events, {.events = {.size = 0}}, sizeof(struct tcpm_events), sizeof(size_t)},
        {"connect options",
         try_connect,
         {.connect = {.address = "127.0.0.1", .port = 1}},
         sizeof(struct tcpm_connect_options),
         offsetof(struct tcpm_connect_options, bind_address)},
        {"names options",
         try_names,
         {.names = {.timeout_ms = 1000}},
         sizeof(struct tcpm_names_options),
         sizeof(size_t)},
        {"line options",
         try_line,
         {.line = {.size = 0}},
         sizeof(struct tcpm_line_options),
         sizeof(size_t)},
        {"block options",
         try_block,
         {.block = {.block_size = 4}},
         sizeof(struct tcpm_block_options),
         offsetof(struct tcpm_block_options, length)},
        {"filter kind",
         try_kind,
         {.kind = {.name = "nothing", .get_one = get_nothing, .put = put_nothing}},
         sizeof(struct tcpm_filter_kind),
         offsetof(struct tcpm_filter_kind, finish)},
    };
    struct host *host = *state;
    struct tcpm_events events = {.size = sizeof events};
    struct tcpm_session_options silent = {.events = &events};

    struct place place = {host, track_session(host, &silent)};
    for (size_t i = 0; i < COUNT(rows); i++)
        check_row(&place, &rows[i]);
    host_close(host);
}

/* A struct that is filled: as far as the caller's reaches, and not a byte more. */
static void check_filled(struct place *place, struct tcpm_id id, size_t known,
                         int (*fill)(struct place *place, struct tcpm_id id, union grown *grown))
{
    union grown full = {.size = sizeof(union grown)};

    assert_int_equal(fill(place, id, &full), 0);
    for (size_t size = sizeof(size_t); size <= known + 64; size++) {
        union grown grown;
        memset(&grown, 0x5a, sizeof grown);
        grown.size = size;
        assert_int_equal(fill(place, id, &grown), 0);
        assert_int_equal(grown.size, size);
        /* what it fills it fills with the same, what is not its own it leaves */
        for (size_t at = sizeof(size_t); at < sizeof grown; at++)
            if (at >= size && grown.bytes[at] != 0x5a)
                fail_msg("size %zu: byte %zu was written", size, at);
            else if (at < size && at >= known && grown.bytes[at] != 0)
                fail_msg("size %zu: byte %zu is not zero", size, at);
    }
    union grown wrong = {.size = 3};
    assert_int_equal(fill(place, id, &wrong), -EINVAL);
}

static int fill_info(struct place *place, struct tcpm_id id, union grown *grown)
{
    return tcpm_info_get(place->session, id, &grown->info);
}

static int fill_endpoints(struct place *place, struct tcpm_id id, union grown *grown)
{
    return tcpm_endpoints_get(place->session, id, &grown->endpoints);
}

static int fill_stats(struct place *place, struct tcpm_id id, union grown *grown)
{
    (void) id;
    return tcpm_stats_get(place->session, &grown->stats);
}

static int fill_times(struct place *place, struct tcpm_id id, union grown *grown)
{
    return tcpm_times_get(place->session, id, &grown->times);
}

static int fill_names_stats(struct place *place, struct tcpm_id id, union grown *grown)
{
    (void) id;
    return tcpm_names_stats_get(place->host->engine, &grown->names_stats);
}

static void test_structs_that_are_filled(void **state)
{
    struct host *host = *state;
    struct track track = {.hook = NULL};

    struct peer *peer = host_peer(host, "recv all", NULL);
    const struct tcpm_session_options timed = {.times = 1};
    struct place place = {host, track_session(host, &timed)};
    track_connect(&track, place.session, peer_port(peer));
    host_run_until(host, track_open, &track);
    check_filled(&place, track.id, sizeof(struct tcpm_info), fill_info);
    check_filled(&place, track.id, sizeof(struct tcpm_endpoints), fill_endpoints);
    check_filled(&place, track.id, sizeof(struct tcpm_stats), fill_stats);
    check_filled(&place, track.id, sizeof(struct tcpm_times), fill_times);
    check_filled(&place, track.id, sizeof(struct tcpm_names_stats), fill_names_stats);
    assert_int_equal(tcpm_info_get(place.session, track.id, NULL), -EINVAL);
    assert_int_equal(tcpm_endpoints_get(place.session, track.id, NULL), -EINVAL);
    assert_int_equal(tcpm_stats_get(place.session, NULL), -EINVAL);
    assert_int_equal(tcpm_times_get(place.session, track.id, NULL), -EINVAL);
    assert_int_equal(tcpm_tried_get(place.session, track.id, 0, NULL), -EINVAL);
    assert_int_equal(tcpm_names_stats_get(host->engine, NULL), -EINVAL);
    assert_int_equal(tcpm_names_stats_get(NULL, &(struct tcpm_names_stats){.size = 64}), -EINVAL);
    assert_int_equal(tcpm_shutdown(place.session, track.id), 0);
    host_run(host);
    host_close(host);
}

static const struct CMUnitTest tests[] = {
    HOST_TEST(test_structs_that_are_read),
    HOST_TEST(test_structs_that_are_filled),
};

RUN_TESTS(tests)
