/* SPDX-License-Identifier: MIT */
/*
 * Where a line ends, and what comes in front of the next one. The byte that ends a line is not
 * waited for twice; the LF of a line end that was cut in two is the network's: what a handler puts
 * in front of it is never that byte.
 */
#include "refilter.h"

/* ---- the first line end decides, and nobody waits for it ---- */

static void answer(struct track *track, enum event event)
{
    if (event != EVENT_INPUT)
        return;
    if (track->count[EVENT_INPUT] < 3)
        assert_true(tcpm_send(track->session, track->id, "HELO", 4) >= 0);
    else
        assert_int_equal(tcpm_shutdown(track->session, track->id), 0);
}

/* A server that greets and waits for an answer sends no byte that would tell. */
static void test_auto_delivers_the_first_line_before_anything_follows_it(void **state)
{
    static const char *const ends[] = {"\\n", "\\r\\n", "\\r", "\\n\\r"};
    static const char format[] = "send \"220 ready%s\"; recv 6; send \"250 hello%s\"; recv 6; "
                                 "send \"221 bye%s\"; recv all";

    (void) state;
    for (size_t i = 0; i < COUNT(ends); i++) {
        struct track track = {.hook = answer};
        char program[256];

        assert_true(snprintf(program, sizeof program, format, ends[i], ends[i], ends[i]) > 0);
        run(&track, TCPM_ENDS_AUTO, program);
        assert_log(&track, "initialize success input(220 ready) input(250 hello) input(221 bye) "
                           "disconnected(shutdown)");
    }
}

/* BEHAVIOUR X7: the byte behind it settles it, whenever that comes. */
static void test_X7_auto_is_settled_by_the_byte_that_follows(void **state)
{
    static const struct {
        const char *first, *then, *log;
    } rows[] = {
        {"a\\r", "\\nb\\nc\\r\\n", "input(a) input(b\nc)"},
        {"a\\r", "b\\nc\\r", "input(a) input(b\nc)"},
        {"a\\n", "b\\rc\\n", "input(a) input(b\rc)"},
        {"a\\n", "\\rb\\nc\\n\\r", "input(a) input(b\nc)"},
        {"a\\r", "\\rb\\nc\\r", "input(a) input() input(b\nc)"},
    };

    (void) state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct track track = {.hook = go_at_first};
        char program[256], log[256];

        snprintf(program, sizeof program, "send \"%s\"; wait on; send \"%s\"; close", rows[i].first,
                 rows[i].then);
        snprintf(log, sizeof log,
                 "initialize success %s error(read,EOF) "
                 "disconnected(eof)",
                 rows[i].log);
        run(&track, TCPM_ENDS_AUTO, program);
        assert_log(&track, log);
    }
}

static void stream_at_first(struct track *track, enum event event)
{
    if (event == EVENT_INPUT && track->count[EVENT_INPUT] == 1)
        set_input(track, stream_filter());
    go_at_first(track, event);
}

static void test_the_other_byte_of_autos_first_end_is_dropped_across_filters(void **state)
{
    struct track cr = {.hook = stream_at_first}, lf = {.hook = stream_at_first};

    (void) state;
    run(&cr, TCPM_ENDS_AUTO, "send \"a\\r\"; wait on; send \"\\n\\nX\"; close");
    assert_log(&cr, "initialize success input(a) input(\nX) error(read,EOF) disconnected(eof)");
    run(&lf, TCPM_ENDS_AUTO, "send \"a\\n\"; wait on; send \"\\r\\rX\"; close");
    assert_log(&lf, "initialize success input(a) input(\rX) error(read,EOF) disconnected(eof)");
}

/* ---- unread ---- */

/* How a stream of HELLO CR LF and then eight bytes is cut into two writes. */
static const char *const cuts[] = {
    "send \"HELLO\\r\\n12:ABC,\"; close",
    "send \"HELLO\\r\"; wait on; send \"\\n12:ABC,\"; close",
    "send \"HELLO\\r\\n\"; wait on; send \"12:ABC,\"; close",
};

enum way { WAY_SAME, WAY_LINES, WAY_BLOCK, WAY_STREAM, WAY_NETSTRING, WAYS };

struct peek {
    struct track track;
    enum way way;
    char seen[256]; /* the bytes that come behind the peek */
};

static void switch_way(struct track *track, enum way way)
{
    if (way == WAY_LINES)
        set_input(track, lines(TCPM_ENDS_LF));
    if (way == WAY_BLOCK)
        set_input(track, block_of(1));
    if (way == WAY_STREAM)
        set_input(track, stream_filter());
    if (way == WAY_NETSTRING)
        set_input(track, netstrings());
}

/* Looks at the first line, puts it back, and goes on by another filter. */
static void peek_and_switch(struct track *track, enum event event)
{
    struct peek *peek = (struct peek *) track;

    if (event == EVENT_INPUT && track->count[EVENT_INPUT] == 1) {
        unread(track, peek->way == WAY_NETSTRING ? "5:first," : "HELLO\r\n");
        switch_way(track, peek->way);
        peer_go(track->user, "on");
    } else if (event == EVENT_INPUT) {
        strncat(peek->seen, track->record, track->length);
    } else if (event == EVENT_ERROR) {
        const void *bytes = NULL;
        size_t length = 0;

        assert_int_equal(tcpm_pending(track->session, track->id, &bytes, &length), 0);
        peek->seen[strlen(peek->seen)] = '|';
        strncat(peek->seen, bytes, length);
    }
}

static void test_the_awaited_lf_is_the_networks_not_that_of_unread(void **state)
{
    static const char *const expected[WAYS] = {"HELLO|12:ABC,", "HELLO|12:ABC,",
                                               "HELLO\r\n12:ABC,|", "HELLO\r\n12:ABC,|",
                                               "first|12:ABC,"};
    static const int64_t ends[] = {TCPM_ENDS_ANY, TCPM_ENDS_AUTO};

    (void) state;
    for (size_t way = 0; way < WAYS; way++)
        for (size_t cut = 0; cut < COUNT(cuts); cut++)
            for (size_t i = 0; i < COUNT(ends); i++) {
                struct peek peek = {.track.hook = peek_and_switch, .way = (enum way) way};

                run(&peek.track, ends[i], cuts[cut]);
                assert_string_equal(peek.seen, expected[way]);
            }
}

static void put_lf_first(struct track *track, enum event event)
{
    if (event == EVENT_INPUT && track->count[EVENT_INPUT] == 1) {
        unread(track, "\nfront\n");
        peer_go(track->user, "on");
    }
}

/* Nor is an LF of unread swallowed in its place. */
static void test_an_lf_put_in_front_is_a_line_end_of_its_own(void **state)
{
    (void) state;
    for (size_t cut = 0; cut < COUNT(cuts); cut++) {
        struct track track = {.hook = put_lf_first};

        run(&track, TCPM_ENDS_ANY, cuts[cut]);
        assert_log(&track, "initialize success input(HELLO) input() input(front) error(read,EOF) "
                           "disconnected(eof)");
    }
}

static void put_cr_back(struct track *track, enum event event)
{
    if (event == EVENT_INPUT && track->count[EVENT_INPUT] <= 2) {
        unread(track, "again\r");
        if (track->count[EVENT_INPUT] == 2)
            peer_go(track->user, "on");
    }
}

/* Each of the three ends in CR, and may have its LF. */
static void test_several_lines_may_await_their_lf(void **state)
{
    struct track all = {.hook = put_cr_back}, one = {.hook = put_cr_back};

    (void) state;
    run(&all, TCPM_ENDS_ANY, "send \"a\\r\"; wait on; send \"\\n\\n\\n\\nx\\n\"; close");
    assert_log(&all, "initialize success input(a) input(again) input(again) input() input(x) "
                     "error(read,EOF) disconnected(eof)");
    run(&one, TCPM_ENDS_ANY, "send \"a\\r\"; wait on; send \"\\nx\\n\\n\"; close");
    assert_log(&one, "initialize success input(a) input(again) input(again) input(x) input() "
                     "error(read,EOF) disconnected(eof)");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_auto_delivers_the_first_line_before_anything_follows_it),
    cmocka_unit_test(test_X7_auto_is_settled_by_the_byte_that_follows),
    cmocka_unit_test(test_the_other_byte_of_autos_first_end_is_dropped_across_filters),
    cmocka_unit_test(test_the_awaited_lf_is_the_networks_not_that_of_unread),
    cmocka_unit_test(test_an_lf_put_in_front_is_a_line_end_of_its_own),
    cmocka_unit_test(test_several_lines_may_await_their_lf),
};

RUN_TESTS(tests)
