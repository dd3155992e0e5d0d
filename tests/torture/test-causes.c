/* SPDX-License-Identifier: MIT */
/*
 * An error that is known but not yet reported, because the connection is paused or has records left
 * before it, gives way to what really ends the connection. Each case would report the failed write.
 */
#include "host.h"

static const char program[] = "send \"one\\ntwo\\nthree\\n\"; rst";

/* Pauses in the first record, until the write has failed. */
static void pause_once(struct track *track, enum event event)
{
    if (event == EVENT_INPUT && track->count[EVENT_INPUT] == 1)
        assert_int_equal(tcpm_pause(track->session, track->id), 0);
}

static bool has_input(void *argument)
{
    return ((struct track *) argument)->count[EVENT_INPUT] > 0;
}

struct scene {
    struct host host;
    struct peer *peer;
    struct tcpm_session *session;
    struct track track;
};

static int code_of(struct track *track)
{
    struct tcpm_info info = {.size = sizeof info};

    assert_int_equal(tcpm_info_get(track->session, track->id, &info), 0);
    return info.cause.code;
}

/* Paused, with two records left, and a write that has failed. */
static void set_scene(struct scene *scene, void (*hook)(struct track *, enum event))
{
    memset(scene, 0, sizeof *scene);
    host_open(&scene->host, NULL);
    scene->peer = peer_start(program, NULL);
    assert_non_null(scene->peer);
    scene->session = track_session(&scene->host, NULL);
    scene->track.hook = hook;
    track_connect(&scene->track, scene->session, peer_port(scene->peer));
    host_run_until(&scene->host, has_input, &scene->track);
    assert_int_equal(peer_wait_ended(scene->peer, 1, HOST_PATIENCE), 0);
    assert_int_equal(tcpm_send(scene->session, scene->track.id, "x", 1), 0);
    assert_int_equal(code_of(&scene->track), -ECONNRESET);
}

static void strike_scene(struct scene *scene)
{
    peer_stop(scene->peer);
    host_close(&scene->host);
}

static void fail_in_second(struct track *track, enum event event)
{
    pause_once(track, event);
    if (event == EVENT_INPUT && track->count[EVENT_INPUT] == 2)
        assert_int_equal(tcpm_fail(track->session, track->id, -EPROTO, "not what I want"), 0);
}

static void fail_is_reported_though_a_write_has_failed(void **state)
{
    struct scene scene;

    (void) state;
    set_scene(&scene, fail_in_second);
    tcpm_resume(scene.session, scene.track.id);
    host_run(&scene.host);
    assert_log(&scene.track, "initialize success input(one) input(two) error(fail,EPROTO) "
                             "disconnected(error)");
    assert_string_equal(scene.track.message, "not what I want");
    strike_scene(&scene);
}

static void shorten_lines(struct track *track, enum event event)
{
    const struct tcpm_line_options options = {.size = sizeof options, .max_length = 3};
    struct tcpm_filter *filter = NULL;

    pause_once(track, event);
    if (event != EVENT_INPUT || track->count[EVENT_INPUT] != 2)
        return;
    assert_int_equal(tcpm_filter_line(&options, &filter), 0);
    assert_int_equal(tcpm_filter_set(track->session, track->id, filter, NULL), 0);
    tcpm_filter_free(filter);
}

static void a_filters_error_is_reported_though_a_write_has_failed(void **state)
{
    struct scene scene;

    (void) state;
    set_scene(&scene, shorten_lines);
    tcpm_resume(scene.session, scene.track.id);
    host_run(&scene.host);
    assert_log(&scene.track, "initialize success input(one) input(two) error(filter,ETOOLONG) "
                             "disconnected(error)");
    strike_scene(&scene);
}

static void note_cause(struct track *track, enum event event)
{
    pause_once(track, event);
    if (event == EVENT_DISCONNECTED)
        track->code = code_of(track);
}

static void the_cause_is_the_timeout_though_a_write_has_failed(void **state)
{
    struct scene scene;

    (void) state;
    set_scene(&scene, note_cause);
    tcpm_deadline(scene.session, scene.track.id, 1);
    host_run(&scene.host);
    assert_log(&scene.track,
               "initialize success input(one) timeout(deadline) disconnected(timeout)");
    assert_int_equal(scene.track.code, -ETIMEDOUT);
    strike_scene(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fail_is_reported_though_a_write_has_failed),
        cmocka_unit_test(a_filters_error_is_reported_though_a_write_has_failed),
        cmocka_unit_test(the_cause_is_the_timeout_though_a_write_has_failed),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
