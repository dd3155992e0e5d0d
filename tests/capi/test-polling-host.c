/* SPDX-License-Identifier: MIT */
/*
 * A host that polls the descriptor of the loop itself, as long as uv_backend_timeout says, and then
 * lets the loop run without waiting: whatever it has called, and from wherever, it does not sleep
 * through what follows, and does not ask again and again.
 */
#include "host.h"

#include <poll.h>
#include <signal.h>

enum place { OUTSIDE, IN_TIMER, IN_PREPARE, IN_CHECK, IN_CLOSE, PLACES };

static const char *const place_names[] = {"outside", "a timer", "a prepare callback",
                                          "a check callback", "a close callback"};

struct scene {
    struct host host;
    struct tcpm_session *session, *other;
    struct peer *peer, *hole;
    struct track track, second;
    enum event awaited; /* of the connection */
    bool done;
    const struct row *row;
    enum place place;
    uv_timer_t timer, closing;
    uv_prepare_t prepare;
    uv_check_t check;
    bool acts; /* the next callback of its place is to make the call */
};

struct row {
    const char *name;
    void (*call)(struct scene *scene);
    enum event awaited;
    bool open;        /* it needs a connection that is open */
    int least_ms;     /* until what is awaited */
    const char *says; /* what the peer does, "freeze" */
};

static const struct tcpm_id nobody;

static void on_event(struct track *track, enum event event)
{
    struct scene *scene = track->user;

    if (event == scene->awaited)
        scene->done = true;
}

static void run_task(struct tcpm_session *session, void *user, void *argument)
{
    (void) session;
    (void) user;
    ((struct scene *) argument)->done = true;
}

static void run_beat(struct tcpm_session *session, void *user, void *argument, int64_t due_ns,
                     uint64_t ticks)
{
    (void) due_ns;
    (void) ticks;
    run_task(session, user, argument);
}

static void on_session(struct tcpm_session *session, void *user)
{
    run_task(session, NULL, user);
}

static struct tcpm_task task_of(struct scene *scene)
{
    return (struct tcpm_task){.run = run_task, .argument = scene};
}

/* ---- the calls ---- */

static void connect_to(struct scene *scene, struct track *track, struct tcpm_session *session,
                       struct tcpm_connect_options options)
{
    *track = (struct track){.hook = on_event, .user = scene};
    track_connect_with(track, session, options);
}

static void call_connect(struct scene *scene)
{
    connect_to(scene, &scene->track, scene->session,
               (struct tcpm_connect_options){.port = peer_port(scene->peer)});
}

static void call_cancel(struct scene *scene)
{
    call_connect(scene);
    assert_int_equal(tcpm_reset(scene->session, scene->track.id), 0);
}

static void call_bad_bind(struct scene *scene)
{
    connect_to(scene, &scene->track, scene->session,
               (struct tcpm_connect_options){.port = peer_port(scene->peer),
                                             .bind_address = "203.0.113.9"});
}

static void call_into_the_dark(struct scene *scene)
{
    connect_to(
        scene, &scene->track, scene->session,
        (struct tcpm_connect_options){.port = peer_port(scene->hole), .connect_timeout_ms = 40});
}

static void call_name(struct scene *scene)
{
    connect_to(
        scene, &scene->track, scene->session,
        (struct tcpm_connect_options){.address = "localhost", .port = peer_port(scene->peer)});
}

/* The rate of this session lets one start at once, the other after a twentieth of a second. */
static void call_rate(struct scene *scene)
{
    const struct tcpm_connect_options options = {.port = peer_port(scene->peer)};

    connect_to(scene, &scene->second, scene->other, options);
    scene->second.hook = NULL;
    connect_to(scene, &scene->track, scene->other, options);
}

static void call_room(struct scene *scene)
{
    connect_to(scene, &scene->second, scene->other,
               (struct tcpm_connect_options){.port = peer_port(scene->peer)});
    assert_int_equal(tcpm_has_room(scene->other), 0);
}

static void call_post(struct scene *scene)
{
    assert_int_equal(tcpm_post(scene->session, task_of(scene)), 0);
}

static void call_delay(struct scene *scene)
{
    assert_int_equal(tcpm_delay(scene->session, nobody, 40, task_of(scene), NULL), 0);
}

static void call_delay_of_connection(struct scene *scene)
{
    assert_int_equal(tcpm_delay_ns(scene->session, scene->track.id, 40000000, task_of(scene), NULL),
                     0);
}

static void call_adjust(struct scene *scene)
{
    struct tcpm_alarm alarm;

    assert_int_equal(tcpm_delay(scene->session, nobody, 100000, task_of(scene), &alarm), 0);
    assert_int_equal(tcpm_delay_adjust(scene->session, alarm, 40), 0);
}

static void call_remove(struct scene *scene)
{
    struct tcpm_alarm alarm;

    assert_int_equal(tcpm_delay(scene->session, nobody, 1, task_of(scene), &alarm), 0);
    assert_int_equal(tcpm_delay(scene->session, nobody, 40, task_of(scene), NULL), 0);
    assert_int_equal(tcpm_alarm_remove(scene->session, alarm), 0);
}

static void call_every(struct scene *scene)
{
    struct tcpm_beat beat = {.run = run_beat, .argument = scene};

    assert_int_equal(tcpm_every(scene->session, 40000000, beat, NULL), 0);
}

static void call_signal(struct scene *scene)
{
    assert_int_equal(tcpm_sig(scene->session, SIGUSR1, task_of(scene)), 0);
    assert_int_equal(raise(SIGUSR1), 0);
}

static void call_send(struct scene *scene)
{
    assert_int_equal(tcpm_send(scene->session, scene->track.id, "x", 1), 0);
}

static void call_shutdown(struct scene *scene)
{
    assert_int_equal(tcpm_shutdown(scene->session, scene->track.id), 0);
}

static void call_shutdown_output(struct scene *scene)
{
    assert_int_equal(tcpm_shutdown_output(scene->session, scene->track.id), 0);
}

static void call_reset(struct scene *scene)
{
    assert_int_equal(tcpm_reset(scene->session, scene->track.id), 0);
}

static void call_fail(struct scene *scene)
{
    assert_int_equal(tcpm_fail(scene->session, scene->track.id, -EPROTO, NULL), 0);
}

static void call_timeout(struct scene *scene)
{
    assert_int_equal(tcpm_timeout(scene->session, scene->track.id, 40), 0);
}

static void call_deadline(struct scene *scene)
{
    assert_int_equal(tcpm_deadline(scene->session, scene->track.id, 40), 0);
}

static void call_filter(struct scene *scene)
{
    struct tcpm_filter *filter = stream_filter();

    assert_int_equal(tcpm_filter_set(scene->session, scene->track.id, filter, NULL), 0);
    tcpm_filter_free(filter);
}

static void call_unread(struct scene *scene)
{
    assert_int_equal(tcpm_unread(scene->session, scene->track.id, "line\n", 5), 0);
}

static void call_resume(struct scene *scene)
{
    assert_int_equal(tcpm_pause(scene->session, scene->track.id), 0);
    assert_int_equal(tcpm_unread(scene->session, scene->track.id, "line\n", 5), 0);
    assert_int_equal(tcpm_resume(scene->session, scene->track.id), 0);
}

static void call_die(struct scene *scene)
{
    assert_int_equal(tcpm_die(scene->other), 0);
}

static void on_closed(void *user)
{
    struct scene *scene = user;

    scene->host.engine = NULL;
    scene->done = true;
}

static void call_close(struct scene *scene)
{
    tcpm_engine_close(scene->host.engine, on_closed, scene);
}

static const struct row rows[] = {
    {"connect", call_connect, .awaited = EVENT_SUCCESS},
    {"connect and reset", call_cancel, .awaited = EVENT_DISCONNECTED},
    {"connect that fails at once", call_bad_bind, .awaited = EVENT_DISCONNECTED},
    {"connect into the dark", call_into_the_dark, .awaited = EVENT_DISCONNECTED, .least_ms = 40},
    {"connect to a name", call_name, .awaited = EVENT_SUCCESS},
    {"connect that waits for its rate", call_rate, .awaited = EVENT_SUCCESS, .least_ms = 40},
    {"has_room", call_room, .least_ms = 40},
    {"post", call_post, .open = false},
    {"delay", call_delay, .least_ms = 40},
    {"delay of a connection", call_delay_of_connection, .open = true, .least_ms = 40},
    {"delay_adjust", call_adjust, .least_ms = 40},
    {"alarm_remove", call_remove, .least_ms = 40},
    {"every", call_every, .least_ms = 40},
    {"sig", call_signal, .open = false},
    {"send", call_send, .awaited = EVENT_FLUSHED, .open = true},
    {"shutdown", call_shutdown, .awaited = EVENT_DISCONNECTED, .open = true},
    {"shutdown_output", call_shutdown_output, EVENT_DISCONNECTED, true, 0, "discard; close"},
    {"reset", call_reset, .awaited = EVENT_DISCONNECTED, .open = true},
    {"fail", call_fail, .awaited = EVENT_DISCONNECTED, .open = true},
    {"timeout", call_timeout, .awaited = EVENT_TIMEOUT, .open = true, .least_ms = 40},
    {"deadline", call_deadline, .awaited = EVENT_TIMEOUT, .open = true, .least_ms = 40},
    {"filter_set", call_filter, EVENT_INPUT, true, 0, "send \"half\"; freeze"},
    {"unread", call_unread, .awaited = EVENT_INPUT, .open = true},
    {"resume", call_resume, .awaited = EVENT_INPUT, .open = true},
    {"die", call_die, .open = false},
    {"engine_close", call_close, .open = false},
};

/* ---- the places ---- */

static void make_call(struct scene *scene, enum place place)
{
    if (!scene->acts || scene->place != place)
        return;
    scene->acts = false;
    scene->row->call(scene);
}

static void on_timer(uv_timer_t *timer)
{
    make_call(timer->data, IN_TIMER);
}

static void on_prepare(uv_prepare_t *prepare)
{
    make_call(prepare->data, IN_PREPARE);
}

static void on_check(uv_check_t *check)
{
    make_call(check->data, IN_CHECK);
}

static void on_close(uv_handle_t *handle)
{
    make_call(handle->data, IN_CLOSE);
}

/* libuv calls last those that were started first: these come after the engine's. One of them keeps
   the loop alive, which a watched signal does not. */
static void open_places(struct scene *scene)
{
    uv_loop_t *loop = &scene->host.loop;

    uv_timer_init(loop, &scene->timer);
    uv_timer_init(loop, &scene->closing);
    uv_prepare_init(loop, &scene->prepare);
    uv_check_init(loop, &scene->check);
    scene->timer.data = scene->closing.data = scene->prepare.data = scene->check.data = scene;
    uv_prepare_start(&scene->prepare, on_prepare);
    uv_check_start(&scene->check, on_check);
    uv_unref((uv_handle_t *) &scene->check);
}

static void close_places(struct scene *scene)
{
    uv_close((uv_handle_t *) &scene->timer, NULL);
    uv_close((uv_handle_t *) &scene->prepare, NULL);
    uv_close((uv_handle_t *) &scene->check, NULL);
    if (!uv_is_closing((uv_handle_t *) &scene->closing))
        uv_close((uv_handle_t *) &scene->closing, NULL);
}

/* In a callback this takes a turn of the loop. */
static void act(struct scene *scene)
{
    scene->acts = true;
    make_call(scene, OUTSIDE);
    if (scene->place == IN_CLOSE)
        uv_close((uv_handle_t *) &scene->closing, on_close);
    if (scene->place == IN_TIMER)
        uv_timer_start(&scene->timer, on_timer, 0, 0);
    while (scene->acts)
        uv_run(&scene->host.loop, UV_RUN_NOWAIT);
}

/* ---- */

static void open_scene(struct scene *scene, const struct row *row, enum place place)
{
    static struct tcpm_events events;
    const struct tcpm_session_options other = {
        .events = &events, .user = scene, .connect_rate = 20};

    *scene = (struct scene){.row = row, .place = place};
    host_loop_open(&scene->host);
    open_places(scene);
    assert_int_equal(tcpm_engine_create(&scene->host.loop, NULL, &scene->host.engine), 0);
    events = *track_events();
    events.room = on_session;
    events.stopped = on_session;
    scene->peer = peer_start(row->says == NULL ? "freeze" : row->says, NULL);
    scene->hole = peer_start("", &(struct peer_options){.blackhole = 1});
    scene->session = track_session(&scene->host, NULL);
    scene->other = track_session(&scene->host, &other);
    if (row->open) {
        call_connect(scene);
        host_run_until(&scene->host, track_open, &scene->track);
    }
    for (int i = 0; i < 5; i++)
        uv_run(&scene->host.loop, UV_RUN_NOWAIT);
    scene->awaited = row->awaited;
    scene->done = false;
}

static void close_scene(struct scene *scene)
{
    close_places(scene);
    peer_stop(scene->peer);
    peer_stop(scene->hole);
    if (scene->host.engine != NULL)
        host_close(&scene->host);
    else
        host_loop_close(&scene->host);
}

static void poll_until_done(struct scene *scene)
{
    enum { LONGEST_MS = 3000, MOST_POLLS = 40 };
    struct pollfd pollfd = {.fd = uv_backend_fd(&scene->host.loop), .events = POLLIN};
    int64_t began_ns = tcpm_now_ns(), taken_ms;
    int polls = 0;

    for (act(scene); !scene->done && polls < MOST_POLLS; polls++) {
        int timeout = uv_backend_timeout(&scene->host.loop);
        int result = poll(&pollfd, 1, timeout < 0 ? LONGEST_MS : timeout);
        if (timeout < 0 && result == 0)
            fail_msg("%s in %s: it sleeps for ever", scene->row->name, place_names[scene->place]);
        uv_run(&scene->host.loop, UV_RUN_NOWAIT);
    }
    taken_ms = (tcpm_now_ns() - began_ns) / 1000000;
    if (!scene->done || taken_ms < scene->row->least_ms || taken_ms > LONGEST_MS)
        fail_msg("%s in %s: %s after %d polls and %d ms", scene->row->name,
                 place_names[scene->place], scene->done ? "done" : "not done", polls,
                 (int) taken_ms);
}

static void run_place(enum place place)
{
    static struct scene scene;

    for (size_t i = 0; i < COUNT(rows); i++) {
        open_scene(&scene, &rows[i], place);
        poll_until_done(&scene);
        close_scene(&scene);
    }
}

static void test_after_any_call_from_outside(void **state)
{
    (void) state;
    run_place(OUTSIDE);
}

static void test_after_any_call_in_a_timer(void **state)
{
    (void) state;
    run_place(IN_TIMER);
}

static void test_after_any_call_in_a_prepare_callback(void **state)
{
    (void) state;
    run_place(IN_PREPARE);
}

static void test_after_any_call_in_a_check_callback(void **state)
{
    (void) state;
    run_place(IN_CHECK);
}

static void test_after_any_call_in_a_close_callback(void **state)
{
    (void) state;
    run_place(IN_CLOSE);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_after_any_call_from_outside),
    cmocka_unit_test(test_after_any_call_in_a_timer),
    cmocka_unit_test(test_after_any_call_in_a_prepare_callback),
    cmocka_unit_test(test_after_any_call_in_a_check_callback),
    cmocka_unit_test(test_after_any_call_in_a_close_callback),
};

RUN_TESTS(tests)
