/* SPDX-License-Identifier: MIT */
/*
 * Posts, alarms and signals: a post made in a handler runs right after it, before the next record;
 * one made by such a task, or elsewhere, in the next turn; alarms run at their time, in order; what
 * will never run is dropped, once.
 */
#include "host.h"

struct story {
    char text[600];
    struct tcpm_session *session;
    struct track *track;
    int drops;
};

static void tell(struct story *story, const char *word)
{
    size_t length = strlen(story->text);

    snprintf(story->text + length, sizeof story->text - length, "%s%s", length > 0 ? " " : "",
             word);
}

struct line {
    struct story *story;
    const char *word;
    int64_t due_ns;
};

static void run_line(struct tcpm_session *session, void *user, void *argument)
{
    struct line *line = argument;

    (void) user;
    assert_ptr_equal(session, line->story->session);
    assert_true(tcpm_now_ns() >= line->due_ns); /* never early */
    tell(line->story, line->word);
}

static void drop_line(void *argument)
{
    struct line *line = argument;

    line->story->drops++;
    tell(line->story, "drop:");
    tell(line->story, line->word);
}

static struct tcpm_task task_of(struct line *line)
{
    return (struct tcpm_task){.run = run_line, .drop = drop_line, .argument = line};
}

/* ---- posts ---- */

struct chain {
    struct story *story;
    int left;
};

static void post_again(struct tcpm_session *session, void *user, void *argument)
{
    struct chain *chain = argument;

    (void) user;
    tell(chain->story, chain->left == 2 ? "first" : chain->left == 1 ? "second" : "third");
    if (chain->left-- > 0)
        assert_int_equal(
            tcpm_post(session, (struct tcpm_task){.run = post_again, .argument = chain}), 0);
}

static void post_in_input(struct track *track, enum event event)
{
    static struct line lines[3];
    struct story *story = track->user;

    if (event != EVENT_INPUT)
        return;
    tell(story, track->count[EVENT_INPUT] == 1 ? "input1" : "input2");
    if (track->count[EVENT_INPUT] > 1)
        return;
    for (int i = 0; i < 3; i++) {
        static const char *const words[] = {"a", "b", "c"};
        lines[i] = (struct line){story, words[i], 0};
        assert_int_equal(tcpm_post(track->session, task_of(&lines[i])), 0);
    }
    tell(story, "end1");
}

/* BEHAVIOUR E17, rule 9. */
static void test_E17_posts_run_after_the_handler_before_the_next_record(void **state)
{
    struct host *host = *state;
    struct story story = {.text = ""};
    struct track track = {.hook = post_in_input, .user = &story};

    struct peer *peer = host_peer(host, "send \"1\\n2\\n\"; close", NULL);
    story.session = track_session(host, NULL);
    track_connect(&track, story.session, peer_port(peer));
    host_run(host);
    assert_string_equal(story.text, "input1 end1 a b c input2");
    host_close(host);
}

static void test_what_posts_post_runs_in_the_next_turn(void **state)
{
    struct host *host = *state;
    struct story story = {.text = ""};
    struct chain chain = {&story, 2};
    struct line other = {&story, "other", 0};

    story.session = track_session(host, NULL);
    struct tcpm_task first = {.run = post_again, .argument = &chain};
    assert_int_equal(tcpm_post(story.session, first), 0);
    assert_int_equal(tcpm_post(story.session, task_of(&other)), 0);
    assert_string_equal(story.text, ""); /* not inside the call */
    host_run(host);
    assert_string_equal(story.text, "first other second third");
    host_close(host);
}

/* ---- alarms ---- */

static void test_alarms_run_at_their_time_and_in_order(void **state)
{
    static const struct {
        const char *word;
        int64_t ms;
    } rows[] = {{"40", 40}, {"10", 10}, {"0", 0}, {"25", 25}, {"10again", 10}, {"1", 1}};
    struct host *host = *state;
    struct story story = {.text = ""};
    struct line lines[COUNT(rows)];
    int64_t started = tcpm_now_ns();

    story.session = track_session(host, NULL);
    for (size_t i = 0; i < COUNT(rows); i++) {
        lines[i] = (struct line){&story, rows[i].word, tcpm_now_ns() + rows[i].ms * 1000000};
        assert_int_equal(
            tcpm_delay(story.session, (struct tcpm_id){0}, rows[i].ms, task_of(&lines[i]), NULL),
            0);
    }
    host_run(host);
    assert_string_equal(story.text, "0 1 10 10again 25 40");
    assert_int_equal(story.drops, 0);
    assert_true(tcpm_now_ns() - started < INT64_C(10) * 1000000000);
    host_close(host);
}

static void test_alarms_are_moved_and_removed(void **state)
{
    struct host *host = *state;
    struct story story = {.text = ""};
    struct line lines[4] = {{&story, "a", 0}, {&story, "b", 0}, {&story, "c", 0}, {&story, "d", 0}};
    struct tcpm_alarm alarms[4];

    story.session = track_session(host, NULL);
    for (size_t i = 0; i < COUNT(lines); i++)
        assert_int_equal(
            tcpm_delay(story.session, (struct tcpm_id){0}, 1000000, task_of(&lines[i]), &alarms[i]),
            0);
    assert_int_equal(tcpm_delay_adjust(story.session, alarms[3], 1), 0);
    assert_int_equal(tcpm_delay_adjust(story.session, alarms[1], 30), 0);
    assert_int_equal(tcpm_delay_adjust(story.session, alarms[0], 15), 0);
    assert_int_equal(tcpm_delay_adjust(story.session, alarms[0], -1), -EINVAL);
    assert_int_equal(tcpm_alarm_remove(story.session, alarms[2]), 0);
    assert_string_equal(story.text, "drop: c");
    host_run(host);
    assert_string_equal(story.text, "drop: c d a b");
    host_close(host);
}

static struct line self_lines[2];
static struct tcpm_alarm self_alarms[2];

static void remove_other(struct tcpm_session *session, void *user, void *argument)
{
    struct story *story = argument;

    (void) user;
    tell(story, "run");
    assert_int_equal(tcpm_alarm_remove(session, self_alarms[0]), -ESTALE); /* itself: it is over */
    assert_int_equal(tcpm_alarm_remove(session, self_alarms[1]), 0);
}

/* An alarm that removes another that is due in the same millisecond. */
static void test_an_alarm_may_remove_the_next(void **state)
{
    struct host *host = *state;
    struct story story = {.text = ""};
    struct tcpm_task task = {.run = remove_other, .argument = &story};

    story.session = track_session(host, NULL);
    self_lines[1] = (struct line){&story, "never", 0};
    assert_int_equal(tcpm_delay(story.session, (struct tcpm_id){0}, 5, task, &self_alarms[0]), 0);
    assert_int_equal(
        tcpm_delay(story.session, (struct tcpm_id){0}, 5, task_of(&self_lines[1]), &self_alarms[1]),
        0);
    host_run(host);
    assert_string_equal(story.text, "run drop: never");
    host_close(host);
}

/* ---- of a connection ---- */

static void tell_the_end(struct track *track, enum event event)
{
    if (event == EVENT_DISCONNECTED)
        tell(track->user, "disconnected");
    if (event == EVENT_ERROR)
        tell(track->user, "error");
}

static void test_alarms_of_a_connection_are_dropped_before_disconnected(void **state)
{
    struct host *host = *state;
    struct story story = {.text = ""};
    struct track track = {.hook = tell_the_end, .user = &story};
    struct line soon = {&story, "soon", 0}, late = {&story, "late", 0};

    struct peer *peer = host_peer(host, "wait go; close", NULL);
    story.session = track_session(host, NULL);
    track_connect(&track, story.session, peer_port(peer));
    assert_int_equal(tcpm_delay(story.session, track.id, 1, task_of(&soon), NULL), 0);
    assert_int_equal(tcpm_delay(story.session, track.id, 1000000, task_of(&late), NULL), 0);
    host_run_until(host, track_open, &track);
    while (strcmp(story.text, "soon") != 0)
        uv_run(&host->loop, UV_RUN_ONCE);
    peer_go(peer, "go");
    host_run(host);
    assert_string_equal(story.text, "soon error drop: late disconnected");
    host_close(host);
}

/* Alarms that wait keep uv_run running; die drops what is left. */
static void test_die_drops_what_will_never_run(void **state)
{
    struct host *host = *state;
    struct story story = {.text = ""};
    struct line lines[3] = {{&story, "post", 0}, {&story, "alarm", 0}, {&story, "signal", 0}};

    story.session = track_session(host, NULL);
    assert_int_equal(tcpm_post(story.session, task_of(&lines[0])), 0);
    assert_int_equal(
        tcpm_delay(story.session, (struct tcpm_id){0}, 1000000, task_of(&lines[1]), NULL), 0);
    assert_int_equal(tcpm_sig(story.session, 10, task_of(&lines[2])), 0);
    assert_int_equal(tcpm_die(story.session), 0);
    assert_int_equal(story.drops, 3);
    assert_int_equal(tcpm_post(story.session, task_of(&lines[0])), -ESHUTDOWN);
    assert_int_equal(tcpm_delay(story.session, (struct tcpm_id){0}, 1, task_of(&lines[1]), NULL),
                     -ESHUTDOWN);
    assert_int_equal(tcpm_sig(story.session, 10, task_of(&lines[2])), -ESHUTDOWN);
    host_run(host);
    assert_int_equal(story.drops, 3);
    host_close(host);
}

static const struct CMUnitTest tests[] = {
    HOST_TEST(test_E17_posts_run_after_the_handler_before_the_next_record),
    HOST_TEST(test_what_posts_post_runs_in_the_next_turn),
    HOST_TEST(test_alarms_run_at_their_time_and_in_order),
    HOST_TEST(test_alarms_are_moved_and_removed),
    HOST_TEST(test_an_alarm_may_remove_the_next),
    HOST_TEST(test_alarms_of_a_connection_are_dropped_before_disconnected),
    HOST_TEST(test_die_drops_what_will_never_run),
};

RUN_TESTS(tests)
