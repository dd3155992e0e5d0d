/* SPDX-License-Identifier: MIT */
/*
 * The function finish of a filter: what is left when the peer has ended its output in order may
 * become a last record. It comes before the end is told, and never after any other end.
 */
#include "host.h"

/* What finish does with the bytes that no line end follows. */
enum manner { ALL, NOTHING, TWO_BYTES, REFUSE, IN_TWO, ALWAYS };

struct rest_options {
    enum manner manner;
    int *asked; /* times that finish was called */
};

struct rest {
    struct rest_options options;
    bool has_more;
    char text[8];
};

static int init_rest(void *self, const void *options)
{
    ((struct rest *) self)->options = *(const struct rest_options *) options;
    return 0;
}

/* Lines that end in LF; and the second half of a last record in two. */
static int get_rest(void *self, const char *bytes, size_t length, struct tcpm_cut *cut)
{
    struct rest *rest = self;
    const char *end = length == 0 ? NULL : memchr(bytes, '\n', length);

    if (rest->has_more) {
        rest->has_more = false;
        memcpy(rest->text, "second", 6);
        cut->record = rest->text;
        cut->length = 6;
        return 1;
    }
    if (end == NULL)
        return 0;
    cut->record = bytes;
    cut->length = (size_t) (end - bytes);
    cut->used = cut->length + 1;
    return 1;
}

static int finish_rest(void *self, const char *bytes, size_t length, struct tcpm_cut *cut)
{
    struct rest *rest = self;
    enum manner manner = rest->options.manner;

    (*rest->options.asked)++;
    assert_int_equal(cut->seen, 0);
    if (manner == NOTHING || (length == 0 && manner != ALWAYS))
        return 0;
    if (manner == REFUSE) {
        cut->message = "the body is cut";
        return TCPM_EFILTER;
    }
    cut->record = bytes;
    cut->length = cut->used = manner == TWO_BYTES && length > 2 ? 2 : length;
    cut->more = rest->has_more = manner == IN_TWO;
    return 1;
}

static int put_rest(void *self, const void *record, size_t length, struct tcpm_out *out)
{
    (void) self;
    return tcpm_out_write(out, record, length);
}

static struct tcpm_filter *make_rest(enum manner manner, int *asked)
{
    static const struct tcpm_filter_kind kind = {.size = sizeof kind,
                                                 .name = "rest",
                                                 .self_size = sizeof(struct rest),
                                                 .init = init_rest,
                                                 .get_one = get_rest,
                                                 .put = put_rest,
                                                 .finish = finish_rest};
    const struct rest_options options = {manner, asked};
    struct tcpm_filter *filter = NULL;

    assert_int_equal(tcpm_filter_custom(&kind, &options, &filter), 0);
    return filter;
}

struct scene {
    int asked;         /* of the first filter */
    int asked_another; /* of the filter that replaces it */
    char pending[64];  /* when the connection has ended */
    char in_last[64];  /* while the record "body" was delivered */
    char message[600]; /* of the error */
    void (*act)(struct track *track, enum event event);
};

static void copy_pending(struct track *track, char ret[64])
{
    const void *bytes = NULL;
    size_t length = 0;

    assert_int_equal(tcpm_pending(track->session, track->id, &bytes, &length), 0);
    snprintf(ret, 64, "%.*s", (int) length, (const char *) bytes);
}

static bool is_record(const struct track *track, enum event event, const char *text)
{
    return event == EVENT_INPUT && track->length == strlen(text) &&
           memcmp(track->record, text, track->length) == 0;
}

static void watch(struct track *track, enum event event)
{
    struct scene *scene = track->user;

    if (is_record(track, event, "body") || is_record(track, event, "bo"))
        copy_pending(track, scene->in_last);
    if (scene->act != NULL)
        scene->act(track, event);
    if (event == EVENT_DISCONNECTED)
        copy_pending(track, scene->pending);
}

/* One connection with the filter rest. */
static struct scene play(enum manner manner, struct tcpm_session_options options,
                         const char *program, void (*act)(struct track *track, enum event event),
                         const char *log)
{
    struct host host;
    struct scene scene = {.act = act};
    struct track track = {.hook = watch, .user = &scene};

    host_open(&host, NULL);
    struct peer *peer = peer_start(program, NULL);
    assert_non_null(peer);
    options.input_filter = make_rest(manner, &scene.asked);
    track_connect(&track, track_session(&host, &options), peer_port(peer));
    tcpm_filter_free(options.input_filter);
    host_run(&host);
    assert_log(&track, log);
    snprintf(scene.message, sizeof scene.message, "%s", track.message);
    peer_stop(peer);
    host_close(&host);
    return scene;
}

static const struct tcpm_session_options plain;
static const char in_order[] = "send \"a\\nbody\"; close";

static void test_C63_the_rest_is_a_record_before_the_end(void **state)
{
    struct tcpm_session_options told = {.events = track_events_eof()};

    (void) state;
    struct scene scene =
        play(ALL, plain, in_order, NULL,
             "initialize success input(a) input(body) error(read,EOF) disconnected(eof)");
    assert_int_equal(scene.asked, 1);
    assert_string_equal(scene.pending, "");
    assert_string_equal(scene.in_last, "");
    scene = play(ALL, told, "dribble \"a\\nbody\" 500; close", NULL,
                 "initialize success input(a) input(body) eof disconnected(eof)");
    assert_int_equal(scene.asked, 1);
    scene = play(TWO_BYTES, plain, in_order, NULL,
                 "initialize success input(a) input(bo) error(read,EOF) disconnected(eof)");
    assert_string_equal(scene.in_last, "dy");
    assert_string_equal(scene.pending, "dy");
    assert_int_equal(scene.asked, 1);
}

static void test_C63_without_a_record_the_rest_is_pending(void **state)
{
    (void) state;
    struct scene scene = play(NOTHING, plain, in_order, NULL,
                              "initialize success input(a) error(read,EOF) disconnected(eof)");
    assert_int_equal(scene.asked, 1);
    assert_string_equal(scene.pending, "body");
}

static void test_C63_it_is_asked_without_bytes_too(void **state)
{
    (void) state;
    struct scene scene = play(ALWAYS, plain, "close", NULL,
                              "initialize success input() error(read,EOF) disconnected(eof)");
    assert_int_equal(scene.asked, 1);
}

static void test_C63_what_it_refuses_is_an_error_of_the_filter(void **state)
{
    (void) state;
    struct scene scene =
        play(REFUSE, plain, in_order, NULL,
             "initialize success input(a) error(filter,EFILTER) disconnected(error)");
    assert_string_equal(scene.message, "the body is cut");
    assert_string_equal(scene.pending, "body");
}

static void test_C63_get_one_has_what_follows(void **state)
{
    (void) state;
    struct scene scene = play(IN_TWO, plain, in_order, NULL,
                              "initialize success input(a) input(body) input(second) "
                              "error(read,EOF) disconnected(eof)");
    assert_int_equal(scene.asked, 1);
}

/* ---- other ends ---- */

static void shut_at_a(struct track *track, enum event event)
{
    if (is_record(track, event, "a"))
        assert_int_equal(tcpm_shutdown(track->session, track->id), 0);
}

static void die_at_a(struct track *track, enum event event)
{
    if (is_record(track, event, "a"))
        assert_int_equal(tcpm_die(track->session), 0);
}

static void fail_at_a(struct track *track, enum event event)
{
    if (is_record(track, event, "a"))
        assert_int_equal(tcpm_fail(track->session, track->id, -EPROTO, NULL), 0);
}

static void pause_at_a(struct track *track, enum event event)
{
    if (is_record(track, event, "a"))
        assert_int_equal(tcpm_pause(track->session, track->id), 0);
}

static void assert_never_asked(struct tcpm_session_options options, const char *program,
                               void (*act)(struct track *track, enum event event), const char *log)
{
    struct scene scene = play(ALL, options, program, act, log);

    assert_int_equal(scene.asked, 0);
    assert_string_equal(scene.pending, "body");
}

static void test_C63_no_other_end_makes_a_record(void **state)
{
    struct tcpm_session_options impatient = {.input_timeout_ms = 60};
    struct tcpm_session_options late = {.deadline_ms = 60};

    (void) state;
    assert_never_asked(plain, "send \"a\\nbody\"; rst", NULL,
                       "initialize success input(a) error(read,ECONNRESET) disconnected(error)");
    assert_never_asked(impatient, "send \"a\\nbody\"; recv all", NULL,
                       "initialize success input(a) timeout(input) disconnected(timeout)");
    assert_never_asked(late, "send \"a\\nbody\"; shutwr; recv all", pause_at_a,
                       "initialize success input(a) timeout(deadline) disconnected(timeout)");
    assert_never_asked(plain, "send \"a\\nbody\"; shutwr; recv all", shut_at_a,
                       "initialize success input(a) disconnected(shutdown)");
    assert_never_asked(plain, "send \"a\\nbody\"; shutwr; recv all", die_at_a,
                       "initialize success input(a) disconnected(die)");
    assert_never_asked(plain, "send \"a\\nbody\"; shutwr; recv all", fail_at_a,
                       "initialize success input(a) error(fail,EPROTO) disconnected(error)");
}

/* ---- calls about the input ---- */

static void resume(struct tcpm_session *session, void *user, void *argument)
{
    struct track *track = argument;

    (void) user;
    assert_int_equal(track->last, EVENT_INPUT); /* nothing came meanwhile */
    assert_int_equal(tcpm_resume(session, track->id), 0);
}

static void pause_for_a_while(struct track *track, enum event event)
{
    struct tcpm_task task = {.run = resume, .argument = track};

    if (event != EVENT_INPUT)
        return;
    assert_int_equal(tcpm_pause(track->session, track->id), 0);
    assert_int_equal(tcpm_delay(track->session, track->id, 30, task, NULL), 0);
}

static void test_C63_record_and_end_wait_for_a_pause(void **state)
{
    (void) state;
    struct scene scene = play(IN_TWO, plain, in_order, pause_for_a_while,
                              "initialize success input(a) input(body) input(second) "
                              "error(read,EOF) disconnected(eof)");
    assert_int_equal(scene.asked, 1);
}

static void answer_body(struct track *track, enum event event)
{
    if (is_record(track, event, "body"))
        assert_int_equal(tcpm_send(track->session, track->id, "got it", 6), 0);
    if (event == EVENT_EOF)
        assert_int_equal(tcpm_shutdown(track->session, track->id), 0);
}

static void test_C63_half_open_the_output_goes_on(void **state)
{
    struct tcpm_session_options half = {.events = track_events_eof(), .half_open = 1};

    (void) state;
    struct scene scene =
        play(ALL, half, "send \"a\\nbody\"; shutwr; expect \"got it\\r\\n\"; recv all; close",
             answer_body, "initialize success input(a) input(body) eof disconnected(eof)");
    assert_int_equal(scene.asked, 1);
}

static void order_ten(struct track *track, enum event event)
{
    if (is_record(track, event, "a"))
        assert_int_equal(tcpm_take(track->session, track->id, 10), 0);
}

static void order_one_more(struct track *track, enum event event)
{
    const void *record = NULL;
    size_t length = 0;

    if (!is_record(track, event, "bo"))
        return;
    assert_int_equal(tcpm_input_next(track->session, track->id, &record, &length), 0);
    assert_int_equal(tcpm_take(track->session, track->id, 1), 0);
    assert_int_equal(tcpm_input_next(track->session, track->id, &record, &length), 1);
    assert_memory_equal(record, "d", length);
    assert_int_equal(tcpm_take(track->session, track->id, 1), 0);
}

static void test_C63_an_ordered_record_comes_first(void **state)
{
    (void) state;
    struct scene scene = play(ALL, plain, in_order, order_ten,
                              "initialize success input(a) error(read,EOF) disconnected(eof)");
    assert_int_equal(scene.asked, 0);
    assert_string_equal(scene.pending, "body");
    scene = play(TWO_BYTES, plain, in_order, order_one_more,
                 "initialize success input(a) input(bo) input(y) error(read,EOF) "
                 "disconnected(eof)");
    assert_int_equal(scene.asked, 1);
    assert_string_equal(scene.pending, "");
}

static void put_back(struct track *track, enum event event)
{
    if (is_record(track, event, "bo"))
        assert_int_equal(tcpm_unread(track->session, track->id, "x\nz", 3), 0);
}

static void test_C63_what_is_put_back_is_cut_and_not_blessed_again(void **state)
{
    (void) state;
    struct scene scene = play(TWO_BYTES, plain, in_order, put_back,
                              "initialize success input(a) input(bo) input(x) error(read,EOF) "
                              "disconnected(eof)");
    assert_int_equal(scene.asked, 1);
    assert_string_equal(scene.pending, "zdy");
}

static void switch_at_a(struct track *track, enum event event)
{
    struct scene *scene = track->user;

    if (!is_record(track, event, "a") && !is_record(track, event, "bo"))
        return;
    struct tcpm_filter *filter = make_rest(ALL, &scene->asked_another);
    assert_int_equal(tcpm_filter_set(track->session, track->id, filter, NULL), 0);
    tcpm_filter_free(filter);
}

static void test_C63_another_filter_is_asked_in_its_turn(void **state)
{
    (void) state;
    struct scene scene =
        play(REFUSE, plain, in_order, switch_at_a,
             "initialize success input(a) input(body) error(read,EOF) disconnected(eof)");
    assert_int_equal(scene.asked, 0);
    assert_int_equal(scene.asked_another, 1);
    scene = play(TWO_BYTES, plain, "send \"body\"; close", switch_at_a,
                 "initialize success input(bo) input(dy) error(read,EOF) disconnected(eof)");
    assert_int_equal(scene.asked, 1);
    assert_int_equal(scene.asked_another, 1);
    assert_string_equal(scene.pending, "");
}

static void end_at_body(struct track *track, enum event event)
{
    if (is_record(track, event, "body"))
        assert_int_equal(tcpm_die(track->session), 0);
}

static void shut_at_body(struct track *track, enum event event)
{
    if (is_record(track, event, "body"))
        assert_int_equal(tcpm_shutdown(track->session, track->id), 0);
}

static void reset_at_body(struct track *track, enum event event)
{
    if (is_record(track, event, "body"))
        assert_int_equal(tcpm_reset(track->session, track->id), 0);
}

static void test_C63_its_handler_may_end_the_connection(void **state)
{
    (void) state;
    play(IN_TWO, plain, in_order, end_at_body,
         "initialize success input(a) input(body) disconnected(die)");
    play(IN_TWO, plain, in_order, shut_at_body,
         "initialize success input(a) input(body) disconnected(shutdown)");
    play(IN_TWO, plain, in_order, reset_at_body,
         "initialize success input(a) input(body) disconnected(shutdown)");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_C63_the_rest_is_a_record_before_the_end),
    cmocka_unit_test(test_C63_without_a_record_the_rest_is_pending),
    cmocka_unit_test(test_C63_it_is_asked_without_bytes_too),
    cmocka_unit_test(test_C63_what_it_refuses_is_an_error_of_the_filter),
    cmocka_unit_test(test_C63_get_one_has_what_follows),
    cmocka_unit_test(test_C63_no_other_end_makes_a_record),
    cmocka_unit_test(test_C63_record_and_end_wait_for_a_pause),
    cmocka_unit_test(test_C63_half_open_the_output_goes_on),
    cmocka_unit_test(test_C63_an_ordered_record_comes_first),
    cmocka_unit_test(test_C63_what_is_put_back_is_cut_and_not_blessed_again),
    cmocka_unit_test(test_C63_another_filter_is_asked_in_its_turn),
    cmocka_unit_test(test_C63_its_handler_may_end_the_connection),
};

RUN_TESTS(tests)
