/* SPDX-License-Identifier: MIT */
/*
 * Alarms and beats to the microsecond. What is late is compared, in turns, with a loop that does
 * nothing but wait for a timerfd, so that a busy machine is as slow for both.
 */
#include "host.h"

#include <poll.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>

static const struct tcpm_id nobody;

/* ---- in place of the C library's, for the whole process ---- */

static unsigned long settings;
static bool no_timers;

int timerfd_settime(int fd, int flags, const struct itimerspec *at, struct itimerspec *before)
{
    settings++;
    return (int) syscall(SYS_timerfd_settime, fd, flags, at, before);
}

int timerfd_create(clockid_t clock, int flags)
{
    if (no_timers) {
        errno = EMFILE;
        return -1;
    }
    return (int) syscall(SYS_timerfd_create, clock, flags);
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *) a, y = *(const int64_t *) b;

    return (x > y) - (x < y);
}

/* The value that so many of a hundred do not exceed; sorts them. */
static int64_t percentile(int64_t *values, size_t count, size_t percent)
{
    qsort(values, count, sizeof *values, compare);
    return values[(count - 1) * percent / 100];
}

/* Of no connection. */
static void on_own_alarm(struct tcpm_session *session, void *user, void *argument)
{
    (void) user;
    (void) argument;
    assert_int_equal(tcpm_alarm_connection(session).n, 0);
}

/* ---- delays ---- */

enum { DELAYS = 40, MOST_ROUNDS = 15 };

struct late {
    int64_t due_ns, ns[DELAYS];
    size_t count;
};

static void on_alarm(struct tcpm_session *session, void *user, void *argument)
{
    struct late *late = argument;

    (void) session;
    (void) user;
    late->ns[late->count] = tcpm_now_ns() - late->due_ns;
    assert_true(late->ns[late->count] >= 0); /* never early */
    late->count++;
}

/* The median of how late alarms are that were set one after the other on an idle loop. */
static int64_t lateness_of_delays(struct host *host, struct tcpm_session *session, bool in_ns)
{
    struct late late = {.count = 0};
    struct tcpm_task task = {.run = on_alarm, .argument = &late};

    for (int i = 0; i < DELAYS; i++) {
        int64_t ns = in_ns ? 300000 + i * 137001 : (i % 4) * INT64_C(1000000);
        late.due_ns = tcpm_now_ns() + ns;
        if (in_ns)
            assert_int_equal(tcpm_delay_ns(session, nobody, ns, task, NULL), 0);
        else
            assert_int_equal(tcpm_delay(session, nobody, ns / 1000000, task, NULL), 0);
        host_run(host);
    }
    return percentile(late.ns, DELAYS, 50);
}

static void check_delays(bool in_ns)
{
    struct host host;
    int64_t late_ns = INT64_MAX;

    host_open(&host, NULL);
    struct tcpm_session *session = track_session(&host, NULL);
    for (int round = 0; round < MOST_ROUNDS && late_ns > 300000; round++)
        late_ns = lateness_of_delays(&host, session, in_ns);
    print_message("# late by %lld us in the median\n", (long long) late_ns / 1000);
    assert_true(late_ns <= 300000);
    host_close(&host);
}

static void test_a_delay_is_never_early_and_not_late(void **state)
{
    (void) state;
    check_delays(false);
}

static void test_a_delay_may_be_a_part_of_a_millisecond(void **state)
{
    (void) state;
    check_delays(true);
}

static void test_an_alarm_is_moved_to_the_nanosecond(void **state)
{
    struct host *host = *state;
    struct late late = {.count = 0};
    struct tcpm_task task = {.run = on_alarm, .argument = &late};
    struct tcpm_alarm alarm;

    struct tcpm_session *session = track_session(host, NULL);
    assert_int_equal(tcpm_delay(session, nobody, 1000000, task, &alarm), 0);
    late.due_ns = tcpm_now_ns() + 2500000;
    assert_int_equal(tcpm_delay_adjust_ns(session, alarm, 2500000), 0);
    assert_int_equal(tcpm_delay_adjust_ns(session, alarm, -1), -EINVAL);
    assert_int_equal(tcpm_delay_adjust_ns(session, alarm, INT64_MAX), -EINVAL);
    host_run(host);
    assert_int_equal(late.count, 1);
    assert_int_equal(tcpm_delay_adjust_ns(session, alarm, 1), -ESTALE);
    host_close(host);
}

/* ---- beats ---- */

enum { BEATS = 150 };

struct beats {
    int64_t period_ns, first_ns, last_ns;
    uint64_t ticks; /* so far */
    int64_t late_ns[BEATS];
    size_t count;
    struct tcpm_alarm alarm;
    int drops;
};

static void on_beat(struct tcpm_session *session, void *user, void *argument, int64_t due_ns,
                    uint64_t ticks)
{
    struct beats *beats = argument;
    int64_t now_ns = tcpm_now_ns();

    (void) user;
    assert_true(ticks >= 1);
    assert_true(due_ns <= now_ns);
    if (beats->count == 0)
        beats->first_ns = due_ns - (int64_t) (ticks - 1) * beats->period_ns;
    else
        assert_true(due_ns == beats->last_ns + (int64_t) ticks * beats->period_ns);
    beats->last_ns = due_ns;
    beats->ticks += ticks;
    beats->late_ns[beats->count++] = now_ns - due_ns;
    if (beats->count == BEATS)
        assert_int_equal(tcpm_alarm_remove(session, beats->alarm), 0);
}

static void on_drop(void *argument)
{
    ((struct beats *) argument)->drops++;
}

static void beat(struct host *host, struct tcpm_session *session, struct beats *beats)
{
    struct tcpm_beat task = {.run = on_beat, .drop = on_drop, .argument = beats};
    int64_t began_ns = tcpm_now_ns();

    assert_int_equal(tcpm_every(session, beats->period_ns, task, &beats->alarm), 0);
    host_run(host);
    assert_int_equal(beats->count, BEATS);
    assert_int_equal(beats->drops, 1);
    /* at multiples from now */
    assert_true(beats->first_ns >= began_ns + beats->period_ns);
    assert_true(beats->first_ns <= began_ns + beats->period_ns + 50000000);
    assert_true(beats->last_ns ==
                beats->first_ns + (int64_t) (beats->ticks - 1) * beats->period_ns);
}

static void beat_barely(struct beats *beats)
{
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct pollfd pollfd = {.fd = fd, .events = POLLIN};
    int64_t due_ns = tcpm_now_ns() + beats->period_ns;
    struct itimerspec at = {.it_value = {due_ns / 1000000000, due_ns % 1000000000},
                            .it_interval = {0, beats->period_ns}};

    assert_true(fd >= 0);
    assert_int_equal(timerfd_settime(fd, TFD_TIMER_ABSTIME, &at, NULL), 0);
    for (due_ns -= beats->period_ns; beats->count < BEATS; beats->count++) {
        uint64_t ticks = 0;
        assert_int_equal(poll(&pollfd, 1, -1), 1);
        assert_int_equal(read(fd, &ticks, sizeof ticks), sizeof ticks);
        due_ns += (int64_t) ticks * beats->period_ns;
        beats->late_ns[beats->count] = tcpm_now_ns() - due_ns;
    }
    close(fd);
}

#ifdef __SANITIZE_ADDRESS__
enum { HARDLY_NS = 200000 };
#else
enum { HARDLY_NS = 50000 };
#endif

/* In each round both beat once; what counts is the median of the rounds, and as many are taken as a
   busy machine needs. */
static void test_a_beat_is_hardly_later_than_a_bare_timer(void **state)
{
    enum { LEAST_ROUNDS = 5 };
    struct host *host = *state;
    int64_t medians[MOST_ROUNDS], tails[MOST_ROUNDS], median_ns = INT64_MAX, tail_ns = INT64_MAX;
    size_t rounds = 0;

    struct tcpm_session *session = track_session(host, NULL);
    while (rounds < MOST_ROUNDS &&
           (rounds < LEAST_ROUNDS || median_ns > HARDLY_NS || tail_ns > HARDLY_NS)) {
        struct beats ours = {.period_ns = 500000}, bare = {.period_ns = 500000};
        beat_barely(&bare);
        beat(host, session, &ours);
        medians[rounds] = percentile(ours.late_ns, BEATS, 50) - percentile(bare.late_ns, BEATS, 50);
        tails[rounds] = percentile(ours.late_ns, BEATS, 99) - percentile(bare.late_ns, BEATS, 99);
        rounds++;
        median_ns = percentile(medians, rounds, 50);
        tail_ns = percentile(tails, rounds, 50);
    }
    print_message("# later by %lld us in the median, %lld us in the 99th percentile\n",
                  (long long) median_ns / 1000, (long long) tail_ns / 1000);
    assert_true(median_ns <= HARDLY_NS);
    assert_true(tail_ns <= HARDLY_NS);
    host_close(host);
}

static void on_slow_beat(struct tcpm_session *session, void *user, void *argument, int64_t due_ns,
                         uint64_t ticks)
{
    struct beats *beats = argument;

    on_beat(session, user, argument, due_ns, ticks);
    if (beats->count % 10 == 0)
        usleep(7000);
}

static void test_beats_that_were_missed_are_counted(void **state)
{
    struct host *host = *state;
    struct beats beats = {.period_ns = 1000000};
    struct tcpm_beat task = {.run = on_slow_beat, .drop = on_drop, .argument = &beats};

    struct tcpm_session *session = track_session(host, NULL);
    assert_int_equal(tcpm_every(session, beats.period_ns, task, &beats.alarm), 0);
    host_run(host);
    assert_true(beats.ticks >= BEATS + BEATS / 10 * 5);
    host_close(host);
}

static void on_short_beat(struct tcpm_session *session, void *user, void *argument, int64_t due_ns,
                          uint64_t ticks)
{
    (void) session;
    (void) user;
    (void) due_ns;
    (void) ticks;
    ++*(int *) argument;
}

static void test_what_a_beat_may_be(void **state)
{
    struct host *host = *state;
    struct beats beats = {.count = 0};
    struct tcpm_beat task = {.run = on_short_beat, .drop = on_drop, .argument = &beats};
    struct tcpm_alarm alarm;
    const int64_t most_ns = INT64_C(4294967294) * 1000000;

    struct tcpm_session *session = track_session(host, NULL);
    assert_int_equal(tcpm_every(NULL, 1000000, task, NULL), -EINVAL);
    assert_int_equal(tcpm_every(session, 1000000, (struct tcpm_beat){.run = NULL}, NULL), -EINVAL);
    assert_int_equal(tcpm_every(session, 0, task, NULL), -EINVAL);
    assert_int_equal(tcpm_every(session, -1, task, NULL), -EINVAL);
    assert_int_equal(tcpm_every(session, 99999, task, NULL), -EINVAL);
    assert_int_equal(tcpm_every(session, most_ns + 1, task, NULL), -EINVAL);
    assert_int_equal(tcpm_every(session, most_ns, task, &alarm), 0);
    assert_int_equal(tcpm_delay_adjust(session, alarm, 10), -EINVAL);
    assert_int_equal(tcpm_delay_adjust_ns(session, alarm, 10), -EINVAL);
    assert_int_equal(tcpm_alarm_remove(session, alarm), 0);
    assert_int_equal(tcpm_alarm_remove(session, alarm), -ESTALE);
    assert_int_equal(beats.drops, 1);
    assert_int_equal(tcpm_every(session, 100000, task, NULL), 0);
    assert_int_equal(tcpm_die(session), 0);
    assert_int_equal(beats.drops, 2);
    assert_int_equal(tcpm_every(session, 1000000, task, NULL), -ESHUTDOWN);
    host_run(host);
    host_close(host);
}

/* ---- how little it costs ---- */

static void on_end(struct tcpm_session *session, void *user, void *argument)
{
    (void) user;
    assert_int_equal(tcpm_alarm_remove(session, *(struct tcpm_alarm *) argument), 0);
}

/* Alarms and beats of any number share the engine's one descriptor. */
static void test_all_share_one_descriptor(void **state)
{
    enum { MANY = 1000 };
    struct host host;
    int runs = 0, before;
    struct tcpm_alarm *alarms = calloc(MANY, sizeof *alarms);

    (void) state;
    assert_non_null(alarms);
    host_open(&host, NULL);
    struct tcpm_session *session = track_session(&host, NULL);
    uv_run(&host.loop, UV_RUN_NOWAIT);
    before = host_descriptors();
    for (int i = 0; i < MANY; i++) {
        struct tcpm_beat beat = {.run = on_short_beat, .argument = &runs};
        struct tcpm_task end = {.run = on_end, .argument = &alarms[i]};
        assert_int_equal(tcpm_every(session, 5000000 + i * 1000, beat, &alarms[i]), 0);
        assert_int_equal(tcpm_delay(session, nobody, 30, end, NULL), 0);
    }
    assert_int_equal(host_descriptors(), before);
    host_run(&host);
    assert_true(runs >= MANY);
    host_close(&host);
    free(alarms);
}

/* An engine without its timer would have no alarms. */
static void test_no_timer_is_an_error_of_creation(void **state)
{
    struct host host;
    struct tcpm_engine *engine = NULL;

    (void) state;
    host_loop_open(&host);
    no_timers = true;
    assert_int_equal(tcpm_engine_create(&host.loop, NULL, &engine), -EMFILE);
    no_timers = false;
    assert_null(engine);
    host_loop_close(&host);
}

static void set_many(struct tcpm_session *session, void *user, void *argument)
{
    struct tcpm_task task = {.run = on_own_alarm};
    struct tcpm_alarm alarm;

    (void) user;
    (void) argument;
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(tcpm_delay_ns(session, nobody, 60000000 - i * 10000, task, &alarm), 0);
        assert_int_equal(tcpm_delay_adjust_ns(session, alarm, 50000000 - i * 10000), 0);
        if (i % 2 == 0)
            assert_int_equal(tcpm_alarm_remove(session, alarm), 0);
    }
}

/* What is set in a turn costs one system call; what comes later than what is set, none. */
static void test_the_timer_is_set_once_in_a_turn(void **state)
{
    struct host *host = *state;
    struct tcpm_task task = {.run = set_many};

    struct tcpm_session *session = track_session(host, NULL);
    settings = 0;
    assert_int_equal(tcpm_post(session, task), 0);
    uv_run(&host->loop, UV_RUN_NOWAIT);
    uv_run(&host->loop, UV_RUN_NOWAIT);
    assert_int_equal(settings, 1);
    assert_int_equal(
        tcpm_delay(session, nobody, 100000, (struct tcpm_task){.run = on_own_alarm}, NULL), 0);
    for (int i = 0; i < 5; i++)
        uv_run(&host->loop, UV_RUN_NOWAIT);
    assert_int_equal(settings, 1);
    assert_int_equal(tcpm_die(session), 0);
    host_run(host);
    host_close(host);
}

static double cpu_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double) now.tv_sec + (double) now.tv_nsec / 1e9;
}

/* ---- alarms of a connection ---- */

enum { OF_ONE = 40000 };

/* Those set first are the farthest from the end at which the last one was added. */
static double cost_of_removing(struct tcpm_session *session, struct tcpm_id id,
                               struct tcpm_alarm *alarms)
{
    struct tcpm_task task = {.run = on_own_alarm};
    double began;

    for (int i = 0; i < OF_ONE; i++)
        assert_int_equal(tcpm_delay(session, id, 1000000, task, &alarms[i]), 0);
    began = cpu_seconds();
    for (int i = 0; i < OF_ONE; i++)
        assert_int_equal(tcpm_alarm_remove(session, alarms[i]), 0);
    return cpu_seconds() - began;
}

static void test_removing_alarms_of_a_connection_is_as_cheap_as_of_a_session(void **state)
{
    struct host host;
    struct track track = {.hook = NULL};
    struct tcpm_alarm *alarms = calloc(OF_ONE, sizeof *alarms);

    (void) state;
    assert_non_null(alarms);
    host_open(&host, NULL);
    struct peer *peer = peer_start("freeze", NULL);
    struct tcpm_session *session = track_session(&host, NULL);
    track_connect(&track, session, peer_port(peer));
    double of_session = cost_of_removing(session, nobody, alarms);
    double of_connection = cost_of_removing(session, track.id, alarms);
    print_message("# %.1f ms of the session, %.1f ms of a connection\n", of_session * 1e3,
                  of_connection * 1e3);
    assert_true(of_connection < 5 * of_session + 0.005);
    assert_int_equal(tcpm_reset(session, track.id), 0);
    host_run(&host);
    peer_stop(peer);
    host_close(&host);
    free(alarms);
}

static void on_connection_alarm(struct tcpm_session *session, void *user, void *argument)
{
    struct track *track = argument;

    (void) user;
    assert_int_equal(tcpm_alarm_connection(session).n, track->id.n);
    assert_int_equal(tcpm_reset(session, tcpm_alarm_connection(session)), 0);
    assert_int_equal(tcpm_alarm_connection(session).n, track->id.n);
}

static void test_an_alarm_of_a_connection_knows_it(void **state)
{
    struct host *host = *state;
    struct track track = {.hook = NULL};
    struct tcpm_task task = {.run = on_connection_alarm, .argument = &track};
    struct tcpm_task own = {.run = on_own_alarm, .argument = NULL};

    struct peer *peer = host_peer(host, "freeze", NULL);
    struct tcpm_session *session = track_session(host, NULL);
    struct tcpm_session *other = track_session(host, NULL);
    track_connect(&track, session, peer_port(peer));
    assert_int_equal(tcpm_alarm_connection(session).n, 0);
    assert_int_equal(tcpm_alarm_connection(NULL).n, 0);
    assert_int_equal(tcpm_delay(session, track.id, 20, task, NULL), 0);
    assert_int_equal(tcpm_delay(session, nobody, 20, own, NULL), 0);
    assert_int_equal(tcpm_delay(other, nobody, 20, own, NULL), 0);
    host_run(host);
    assert_log(&track, "initialize success disconnected(shutdown)");
    host_close(host);
}

/* ---- room to grow ---- */

static void test_tasks_have_room_to_grow(void **state)
{
    struct host *host = *state;
    struct late late = {.count = 0};
    struct tcpm_task task = {.run = on_alarm, .argument = &late, .reserved = {NULL, host}};
    struct tcpm_beat beat = {.run = on_short_beat, .reserved = {host}};

    struct tcpm_session *session = track_session(host, NULL);
    assert_int_equal(tcpm_post(session, task), -E2BIG);
    assert_int_equal(tcpm_delay(session, nobody, 1, task, NULL), -E2BIG);
    assert_int_equal(tcpm_delay_ns(session, nobody, 1, task, NULL), -E2BIG);
    assert_int_equal(tcpm_sig(session, 10, task), -E2BIG);
    assert_int_equal(tcpm_every(session, 1000000, beat, NULL), -E2BIG);
    host_run(host);
    assert_int_equal(late.count, 0);
    host_close(host);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_a_delay_is_never_early_and_not_late),
    cmocka_unit_test(test_a_delay_may_be_a_part_of_a_millisecond),
    HOST_TEST(test_an_alarm_is_moved_to_the_nanosecond),
    HOST_TEST(test_a_beat_is_hardly_later_than_a_bare_timer),
    HOST_TEST(test_beats_that_were_missed_are_counted),
    HOST_TEST(test_what_a_beat_may_be),
    cmocka_unit_test(test_all_share_one_descriptor),
    cmocka_unit_test(test_no_timer_is_an_error_of_creation),
    HOST_TEST(test_the_timer_is_set_once_in_a_turn),
    cmocka_unit_test(test_removing_alarms_of_a_connection_is_as_cheap_as_of_a_session),
    HOST_TEST(test_an_alarm_of_a_connection_knows_it),
    HOST_TEST(test_tasks_have_room_to_grow),
};

RUN_TESTS(tests)
