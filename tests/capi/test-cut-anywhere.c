/* SPDX-License-Identifier: MIT */
/*
 * However a stream is cut on its way, the same records come of it, the last one at its end too:
 * with any filter, and with handlers that order bytes, put some back, pause and change the filter.
 * A handler decides by the number of its record alone. The same stream comes in one piece and byte
 * by byte.
 */
#include "host.h"

enum { SEEDS = 40, FILTERS = 7, MOST = 300, PROGRAM = 4 * MOST + 100, TEXT = 1 << 16 };

struct scene {
    struct tcpm_filter *filters[FILTERS];
    uint64_t seed;
    uint64_t records; /* delivered */
    char text[TEXT];  /* all of them, with their lengths */
    size_t length;
};

static uint64_t mix(uint64_t value)
{
    value += UINT64_C(0x9e3779b97f4a7c15);
    value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
    return value ^ value >> 31;
}

static void note(struct scene *scene, const char *name, const void *bytes, size_t length)
{
    scene->length += (size_t) snprintf(scene->text + scene->length, TEXT - scene->length,
                                       "%s[%zu] ", name, length);
    assert_true(scene->length + length < TEXT);
    memcpy(scene->text + scene->length, bytes, length);
    scene->length += length;
}

static void resume(struct tcpm_session *session, void *user, void *argument)
{
    (void) user;
    tcpm_resume(session, ((struct track *) argument)->id);
}

static void act(struct track *track)
{
    struct scene *scene = track->user;
    struct tcpm_session *session = track->session;
    struct tcpm_id id = track->id;
    uint64_t choice = mix(scene->seed * 100000 + scene->records++), amount = mix(choice);
    struct tcpm_filter *filter = scene->filters[amount / 16 % FILTERS];
    struct tcpm_task task = {.run = resume, .argument = track};
    const void *record = NULL;
    size_t length = 0;

    switch (choice % 14) {
    case 0:
        tcpm_take(session, id, (int64_t) (amount % 9));
        break;
    case 1:
        tcpm_filter_set(session, id, filter, NULL);
        break;
    case 2:
        tcpm_unread(session, id, "zzzz", amount % 5);
        break;
    case 3:
        tcpm_pause(session, id);
        tcpm_delay_ns(session, id, (int64_t) (amount % 3) * 100000, task, NULL);
        break;
    case 4:
        tcpm_take(session, id, (int64_t) (amount % 9));
        tcpm_filter_set(session, id, filter, NULL);
        break;
    case 5:
        tcpm_take(session, id, 3);
        tcpm_unread(session, id, "yy", 2);
        break;
    case 6:
        tcpm_take(session, id, 5);
        tcpm_take(session, id, TCPM_NONE);
        break;
    case 7:
        while (tcpm_input_next(session, id, &record, &length) == 1) {
            note(scene, "record", record, length);
            act(track);
        }
        break;
    default:
        break;
    }
}

static void write_down(struct track *track, enum event event)
{
    struct scene *scene = track->user;
    const void *bytes = NULL;
    size_t length = 0;

    if (event == EVENT_INPUT) {
        note(scene, "record", track->record, track->length);
        act(track);
    } else if (event == EVENT_ERROR) {
        note(scene, tcpm_error_name(track->code), track->message, strlen(track->message));
    } else if (event == EVENT_DISCONNECTED) {
        assert_int_equal(tcpm_pending(track->session, track->id, &bytes, &length), 0);
        note(scene, "pending", bytes, length);
    }
}

/* Records up to a "c", to which a CR may belong; at the end most of what is left. */
static int get_c(void *self, const char *bytes, size_t length, struct tcpm_cut *cut)
{
    const char *end = length == 0 ? NULL : memchr(bytes, 'c', length);

    (void) self;
    if (end == NULL)
        return 0;
    cut->record = bytes;
    cut->length = (size_t) (end - bytes);
    cut->used = cut->length + 1;
    cut->swallow = '\r';
    return 1;
}

static int finish_c(void *self, const char *bytes, size_t length, struct tcpm_cut *cut)
{
    (void) self;
    cut->record = bytes;
    cut->length = length - length / 3;
    cut->used = cut->length;
    return length > 0;
}

static int put_c(void *self, const void *record, size_t length, struct tcpm_out *out)
{
    (void) self;
    return tcpm_out_write(out, record, length);
}

static void make_filters(struct scene *scene)
{
    static const struct tcpm_filter_kind c = {
        .size = sizeof c, .name = "c", .get_one = get_c, .put = put_c, .finish = finish_c};
    const struct tcpm_line_options lf = {.size = sizeof lf, .ends = TCPM_ENDS_LF};
    const struct tcpm_line_options automatic = {.size = sizeof automatic, .ends = TCPM_ENDS_AUTO};
    const struct tcpm_line_options literal = {.size = sizeof literal, .input_literal = "ab"};
    const struct tcpm_block_options four = {.size = sizeof four, .block_size = 4};
    const struct tcpm_block_options u8 = {.size = sizeof u8, .length = "u8", .adjust = -10};

    assert_int_equal(tcpm_filter_line(NULL, &scene->filters[0]), 0);
    assert_int_equal(tcpm_filter_line(&lf, &scene->filters[1]), 0);
    assert_int_equal(tcpm_filter_line(&automatic, &scene->filters[2]), 0);
    assert_int_equal(tcpm_filter_line(&literal, &scene->filters[3]), 0);
    assert_int_equal(tcpm_filter_block(&four, &scene->filters[4]), 0);
    assert_int_equal(tcpm_filter_block(&u8, &scene->filters[5]), 0);
    assert_int_equal(tcpm_filter_custom(&c, NULL, &scene->filters[6]), 0);
}

/* A program of the peer that says the stream of the seed. */
static void make_program(uint64_t seed, bool in_pieces, char program[PROGRAM])
{
    static const char bytes[] = "ab\r\n\r\nc\r\n\r\n";
    size_t count = 50 + (size_t) (mix(seed) % (MOST - 50));
    int used = snprintf(program, PROGRAM, in_pieces ? "dribble \"" : "send \"");

    for (size_t i = 0; i < count; i++)
        used += snprintf(program + used, PROGRAM - (size_t) used, "\\x%02x",
                         bytes[mix(seed + i * 1000) % (sizeof bytes - 1)]);
    snprintf(program + used, PROGRAM - (size_t) used, in_pieces ? "\" 20" : "\"");
}

static void play(struct scene *scene, bool in_pieces)
{
    struct host host;
    struct track track = {.hook = write_down, .user = scene};
    static char program[PROGRAM];

    scene->records = scene->length = 0;
    make_program(scene->seed, in_pieces, program);
    host_open(&host, NULL);
    struct peer *peer = peer_start(program, NULL);
    assert_non_null(peer);
    struct tcpm_session_options options = {.input_filter = scene->filters[scene->seed % FILTERS]};
    track_connect(&track, track_session(&host, &options), peer_port(peer));
    host_run(&host);
    peer_stop(peer);
    host_close(&host);
}

static void test_I20_records_do_not_depend_on_the_cuts(void **state)
{
    static struct scene whole, pieces;

    (void) state;
    make_filters(&whole);
    memcpy(pieces.filters, whole.filters, sizeof whole.filters);
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        whole.seed = pieces.seed = seed;
        play(&whole, false);
        play(&pieces, true);
        if (whole.length != pieces.length || memcmp(whole.text, pieces.text, whole.length) != 0)
            fail_msg("seed %d", (int) seed);
    }
    for (size_t i = 0; i < FILTERS; i++)
        tcpm_filter_free(whole.filters[i]);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_I20_records_do_not_depend_on_the_cuts),
};

RUN_TESTS(tests)
