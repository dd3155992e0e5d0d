/* SPDX-License-Identifier: MIT */
/*
 * The promise leaves-no-trace: nothing is printed, no signal's disposition changes but by tcpm_sig,
 * an idle engine does not keep uv_run from returning, and after the engine's closed the loop closes
 * clean, with every descriptor as before (host_close checks the last two in all tests).
 */
#include "host.h"

#include <fcntl.h>
#include <signal.h>

/* ---- what a process shows of itself ---- */

struct trace {
    struct sigaction actions[NSIG];
    sigset_t blocked;
    int out, err; /* the real ones */
    FILE *caught;
};

static void begin_trace(struct trace *trace)
{
    memset(trace, 0, sizeof *trace);
    for (int number = 1; number < NSIG; number++)
        sigaction(number, NULL, &trace->actions[number]);
    sigprocmask(SIG_SETMASK, NULL, &trace->blocked);
    fflush(stdout);
    fflush(stderr);
    trace->caught = tmpfile();
    assert_non_null(trace->caught);
    trace->out = dup(STDOUT_FILENO);
    trace->err = dup(STDERR_FILENO);
    dup2(fileno(trace->caught), STDOUT_FILENO);
    dup2(fileno(trace->caught), STDERR_FILENO);
}

static void end_trace(struct trace *trace)
{
    sigset_t blocked;

    fflush(stdout);
    fflush(stderr);
    dup2(trace->out, STDOUT_FILENO);
    dup2(trace->err, STDERR_FILENO);
    close(trace->out);
    close(trace->err);
    assert_int_equal(lseek(fileno(trace->caught), 0, SEEK_END), 0);
    fclose(trace->caught);
    for (int number = 1; number < NSIG; number++) {
        struct sigaction now;
        if (sigaction(number, NULL, &now) < 0)
            continue;
        if (now.sa_handler != trace->actions[number].sa_handler ||
            now.sa_flags != trace->actions[number].sa_flags)
            fail_msg("signal %d", number);
    }
    sigprocmask(SIG_SETMASK, NULL, &blocked);
    for (int number = 1; number < NSIG; number++)
        assert_int_equal(sigismember(&blocked, number), sigismember(&trace->blocked, number));
}

/* ---- a busy life: everything that could be worth a word ---- */

static void write_into_the_reset(struct track *track, enum event event)
{
    char large[100000];

    memset(large, 'x', sizeof large);
    if (event == EVENT_SUCCESS)
        for (int i = 0; i < 100; i++)
            tcpm_send(track->session, track->id, large, sizeof large);
}

static void misuse(struct tcpm_session *session)
{
    struct tcpm_connect_options options = {.size = 3};
    struct tcpm_id wrong = {12345};

    assert_int_equal(tcpm_connect(session, &options, NULL), -EINVAL);
    assert_int_equal(tcpm_send(session, wrong, NULL, 3), -ESTALE);
    assert_int_equal(tcpm_send_many(session, wrong, NULL, 0), -ESTALE);
    assert_int_equal(tcpm_sig(session, -1, (struct tcpm_task){.run = NULL}), -EINVAL);
    assert_int_equal(tcpm_post(session, (struct tcpm_task){.run = NULL}), -EINVAL);
    assert_int_equal(tcpm_die(NULL), -EINVAL);
    assert_int_equal(tcpm_next(NULL, wrong).n, 0);
    tcpm_filter_free(NULL);
    tcpm_engine_close(NULL, NULL, NULL);
}

static void live_busily(struct host *host)
{
    enum { EACH = 10 };
    static const char *const programs[] = {"send \"a\\nb\\n\"; rst", "recv 10; rst", "close",
                                           "echo", "send \"binary \\x01\\x1b[31m\\x9b\\n\"; close"};
    struct track *tracks = calloc(EACH * (COUNT(programs) + 2), sizeof *tracks);
    struct peer *peers[COUNT(programs)];
    struct tcpm_session_options options = {.input_timeout_ms = 50, .connect_timeout_ms = 50};
    struct tcpm_session *session = track_session(host, &options);
    size_t next = 0;

    assert_non_null(tracks);
    misuse(session);
    struct peer *silent = peer_start("", &(struct peer_options){.blackhole = 1});
    struct peer *refused = peer_start("", &(struct peer_options){.refuse = 1});
    for (size_t i = 0; i < COUNT(programs); i++)
        peers[i] = peer_start(programs[i], NULL);
    for (size_t i = 0; i < EACH; i++) {
        for (size_t p = 0; p < COUNT(programs); p++, next++) {
            tracks[next].hook = write_into_the_reset;
            track_connect(&tracks[next], session, peer_port(peers[p]));
        }
        track_connect(&tracks[next++], session, peer_port(silent));
        track_connect(&tracks[next++], session, peer_port(refused));
    }
    host_run(host);
    for (size_t i = 0; i < next; i++)
        assert_int_equal(tracks[i].count[EVENT_DISCONNECTED], 1);
    for (size_t i = 0; i < COUNT(programs); i++)
        peer_stop(peers[i]);
    peer_stop(refused);
    peer_stop(silent);
    free(tracks);
}

static void test_nothing_is_printed_and_no_signal_changes(void **state)
{
    struct host host;
    struct trace trace;

    (void) state;
    begin_trace(&trace);
    host_open(&host, NULL);
    live_busily(&host);
    host_close(&host);
    end_trace(&trace);
}

static volatile sig_atomic_t pipes_broken;

static void on_sigpipe(int number)
{
    (void) number;
    pipes_broken = 1;
}

/* FAULTS S07: a host that counts its SIGPIPEs gets none of ours. */
static void test_a_hosts_sigpipe_handler_is_never_called(void **state)
{
    struct host host;
    struct sigaction mine = {.sa_handler = on_sigpipe}, before, after;

    (void) state;
    pipes_broken = 0;
    sigaction(SIGPIPE, &mine, &before);
    host_open(&host, NULL);
    live_busily(&host);
    host_close(&host);
    sigaction(SIGPIPE, &before, &after);
    assert_true(after.sa_handler == on_sigpipe);
    assert_int_equal(pipes_broken, 0);
}

static void note_signal(struct tcpm_session *session, void *user, void *argument)
{
    (void) session;
    (void) user;
    ++*(int *) argument;
}

static void note_drop(void *argument)
{
    *(int *) argument += 100;
}

static void do_nothing(uv_idle_t *idle)
{
    (void) idle;
}

struct expected {
    const int *count;
    int value;
};

static bool has_value(void *argument)
{
    const struct expected *expected = argument;

    return *expected->count == expected->value;
}

/* The only way to change a disposition, and it is given back. */
static void test_a_watched_signal_is_given_back(void **state)
{
    struct host host;
    int count = 0;
    struct tcpm_task task = {.run = note_signal, .drop = note_drop, .argument = &count};
    struct sigaction now;

    (void) state;
    host_open(&host, NULL);
    struct tcpm_session *session = track_session(&host, NULL);
    assert_int_equal(tcpm_sig(session, SIGUSR1, task), 0);
    sigaction(SIGUSR1, NULL, &now);
    assert_true(now.sa_handler != SIG_DFL);
    host_run(&host); /* watching is no work */
    uv_idle_t busy;  /* the host's own work */
    uv_idle_init(&host.loop, &busy);
    uv_idle_start(&busy, do_nothing);
    for (struct expected expected = {&count, 1}; expected.value <= 3; expected.value++) {
        raise(SIGUSR1);
        host_run_until(&host, has_value, &expected); /* each time */
    }
    uv_close((uv_handle_t *) &busy, NULL);
    assert_int_equal(tcpm_sig(session, SIGUSR1, (struct tcpm_task){.run = NULL}), 0);
    assert_int_equal(count, 103);
    host_run(&host);
    sigaction(SIGUSR1, NULL, &now);
    assert_true(now.sa_handler == SIG_DFL);
    assert_int_equal(tcpm_sig(session, 64 + 1, task), -EINVAL);
    assert_int_equal(tcpm_sig(session, SIGKILL, task), -EINVAL);
    assert_int_equal(tcpm_sig(session, SIGUSR1, task), 0);
    host_close(&host); /* with a signal still watched */
    assert_int_equal(count, 203);
    sigaction(SIGUSR1, NULL, &now);
    assert_true(now.sa_handler == SIG_DFL);
}

static void test_an_idle_engine_does_not_hold_the_loop(void **state)
{
    struct host *host = *state;

    for (int i = 0; i < 5; i++)
        track_session(host, NULL);
    host_run(host);
    assert_int_equal(uv_loop_alive(&host->loop), 0);
    host_close(host);
}

static void count_closed_engine(void *user)
{
    ++*(int *) user;
}

static int resident_kib(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    long total = 0, resident = 0;

    assert_non_null(file);
    assert_int_equal(fscanf(file, "%ld %ld", &total, &resident), 2);
    fclose(file);
    return (int) (resident * sysconf(_SC_PAGESIZE) / 1024);
}

/* FAULTS M15: many engines one after the other, and several at once. */
static void test_engines_come_and_go(void **state)
{
    enum { ROUNDS = 2000 };
    struct host host;
    int closed = 0, warm = 0;

    (void) state;
    host_loop_open(&host);
    for (int round = 0; round < ROUNDS; round++) {
        struct tcpm_engine *engines[2] = {NULL};
        for (int i = 0; i < 2; i++)
            assert_int_equal(tcpm_engine_create(&host.loop, NULL, &engines[i]), 0);
        for (int i = 0; i < 2; i++)
            tcpm_engine_close(engines[i], count_closed_engine, &closed);
        host_run(&host);
        assert_int_equal(closed, 2 * (round + 1));
        if (round == ROUNDS / 4)
            warm = resident_kib();
    }
    print_message("# %d KiB, then %d\n", warm, resident_kib());
#ifndef __SANITIZE_ADDRESS__
    assert_true(resident_kib() - warm < 2048);
#endif
    host_loop_close(&host);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_nothing_is_printed_and_no_signal_changes),
    cmocka_unit_test(test_a_hosts_sigpipe_handler_is_never_called),
    cmocka_unit_test(test_a_watched_signal_is_given_back),
    HOST_TEST(test_an_idle_engine_does_not_hold_the_loop),
    cmocka_unit_test(test_engines_come_and_go),
};

RUN_TESTS(tests)
