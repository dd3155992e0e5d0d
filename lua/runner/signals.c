/* SPDX-License-Identifier: MIT */
/*
 * SIGINT, SIGTERM and SIGHUP. The first one shuts every session down, in order, within LIMIT_MS,
 * and then the process dies by that signal, so that a shell sees what it was. The second ends the
 * process at once. Both must hold while Lua runs a loop that never returns, JIT compiled and deaf
 * to hooks, so they are kept by a plain handler and a POSIX timer, not by the loop.
 *
 * A signal that a session watches is the session's each time: the handler passes it on to libuv's,
 * which tells all watchers. Of luv's watchers the handler cannot know, so the loop looks for them.
 *
 * What was ignored when we were started stays ignored while nobody watches it, and SIGPIPE never
 * ends anything. libuv sets the default disposition when the last watcher of a signal goes; so each
 * of the four has one that never goes, on a loop of its own that is never run, and ours is the
 * disposition that counts.
 */
#include "runner.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "luv_handles.h"
#include "runtime.h"

#define LIMIT_MS  5000 /* from the first signal to the end of the process */
#define MARGIN_MS 500  /* of it, for closing and for writing what is buffered */
#define ECHO_MS   50   /* timeout(1) signals the process and its group: that is one wish, not two */
#define ANSWER_MS 500  /* a loop that has not answered until then may never do */

#define SIGNALS 4

struct caught_signal {
    int signum;
    bool quiet;                     /* ends nothing: SIGPIPE, and what was ignored at the start */
    volatile sig_atomic_t watching; /* so many sessions */
    volatile sig_atomic_t luv;      /* a watcher of luv's has been started once */
    volatile sig_atomic_t given;    /* has been passed on to a watcher before */
    int64_t given_ms;
    struct sigaction libuv; /* libuv's handler, which tells its watchers */
    uv_signal_t holder;     /* keeps libuv from resetting the disposition */
};

/* What the handlers know. A handler gets no argument, so this is the one place that must be found
   without any; there is one set of signal dispositions per process anyway. */
struct caught {
    struct caught_signal signals[SIGNALS];
    uv_loop_t loop;                   /* of the holders */
    volatile sig_atomic_t unanswered; /* the signal that the loop has yet to act on; 0: none */
    volatile sig_atomic_t dying;      /* the signal that ends the sessions; 0: none */
    int64_t first_ms;                 /* when either of these came */
    bool limited;                     /* there is a timer */
    timer_t limit;
    uv_async_t *wake; /* NULL: the loop is not there yet, or no more */
};

static struct caught *caught_signals(void)
{
    static struct caught caught = {
        .signals = {{.signum = SIGINT},
                    {.signum = SIGTERM},
                    {.signum = SIGHUP},
                    {.signum = SIGPIPE}},
    };

    return &caught;
}

/* NULL: none of the four. */
static struct caught_signal *find_signal(int signum)
{
    struct caught *caught = caught_signals();

    for (int i = 0; i < SIGNALS; i++)
        if (caught->signals[i].signum == signum)
            return &caught->signals[i];
    return NULL;
}

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void arm_limit(const struct caught *caught, long ms)
{
    struct itimerspec at = {.it_value = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}};

    if (caught->limited)
        timer_settime(caught->limit, 0, &at, NULL);
}

void tcpm__runner_signals_die(int signum)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, signum);
    sigaction(signum, &action, NULL);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    raise(signum);
    /* The first process of a PID namespace outlives its own signals. */
    _exit(128 + signum);
}

/* ---- in the handler ---- */

static void pass_on(struct caught_signal *signal, int64_t now)
{
    signal->given = 1;
    signal->given_ms = now;
    signal->libuv.sa_handler(signal->signum);
}

/* Of one that a watcher has taken; it may have ceased to watch since. */
static bool is_echo(const struct caught_signal *signal, int64_t now)
{
    return signal->given && now - signal->given_ms < ECHO_MS;
}

/* The loop is to look who takes it. */
static void ask_loop(struct caught *caught, struct caught_signal *signal, int64_t now)
{
    bool second = caught->dying || (!signal->luv && (caught->unanswered || signal->given));

    if ((caught->unanswered || caught->dying) && now - caught->first_ms < ECHO_MS)
        return;
    if (!signal->luv && is_echo(signal, now))
        return;
    if (caught->wake == NULL || second)
        tcpm__runner_signals_die(signal->signum);
    if (caught->unanswered)
        return;
    caught->first_ms = now;
    caught->unanswered = signal->signum;
    arm_limit(caught, LIMIT_MS);
    uv_async_send(caught->wake);
}

static void take_signal(int signum)
{
    struct caught_signal *signal = find_signal(signum);
    int error = errno;
    int64_t now = now_ms();

    if (signal->watching > 0 || (signal->quiet && signal->luv))
        pass_on(signal, now);
    else if (!signal->quiet)
        ask_loop(caught_signals(), signal, now);
    errno = error;
}

static void take_limit(int signum)
{
    struct caught *caught = caught_signals();

    signum = caught->dying ? caught->dying : caught->unanswered;
    if (signum != 0)
        tcpm__runner_signals_die(signum);
}

static void set_handler(struct caught_signal *signal, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};

    for (int i = 0; i < SIGNALS; i++)
        sigaddset(&action.sa_mask, caught_signals()->signals[i].signum);
    sigaction(signal->signum, &action, NULL);
}

/* SIGPIPE has a handler that does nothing instead of SIG_IGN: programs that the script starts by
   io.popen get the default back, as they expect it. */
static void set_disposition(struct caught_signal *signal)
{
    bool ignored = signal->quiet && signal->signum != SIGPIPE && !signal->watching && !signal->luv;

    set_handler(signal, ignored ? SIG_IGN : take_signal);
}

/* ---- who watches ---- */

/* A session begins or ceases to watch this signal. */
static void count_session(int signum, int change)
{
    struct caught_signal *signal = find_signal(signum);

    if (signal == NULL)
        return;
    signal->watching += change;
    set_disposition(signal);
}

void tcpm__runner_signals_luv(int signum)
{
    struct caught_signal *signal = find_signal(signum);

    if (signal == NULL)
        return;
    signal->luv = 1;
    set_disposition(signal);
}

struct watch_query {
    struct lua_State *L;
    int signum;
    bool found;
};

static void find_luv_watcher(uv_handle_t *handle, void *argument)
{
    struct watch_query *query = argument;

    if (handle->type == UV_SIGNAL && uv_is_active(handle) &&
        ((uv_signal_t *) handle)->signum == query->signum && tcpm__luv_owns(query->L, handle))
        query->found = true;
}

/* Whether the script itself takes this signal, by a session or by luv. */
static bool script_watches(const struct tcpm__runner_signals *signals,
                           const struct caught_signal *signal)
{
    struct watch_query query = {.L = signals->L, .signum = signal->signum};

    if (signal->watching > 0)
        return true;
    uv_walk(signals->limit.loop, find_luv_watcher, &query);
    return query.found;
}

/* ---- in the loop ---- */

static void on_limit(uv_timer_t *timer)
{
    struct tcpm__runner_signals *signals = timer->data;
    static const char text[] = "interrupted: not every session has ended within the time limit";

    tcpm__lua_fatal(signals->L, text, sizeof(text) - 1);
}

/* What luv still has open is nothing to wait for. */
static void on_turn(uv_prepare_t *turn)
{
    struct tcpm__runner_signals *signals = turn->data;

    if (tcpm__lua_sessions(signals->L) == 0)
        uv_stop(turn->loop);
}

static void begin_dying(struct tcpm__runner_signals *signals, struct caught *caught)
{
    int64_t left = LIMIT_MS - MARGIN_MS - (now_ms() - caught->first_ms);

    signals->dying = caught->unanswered;
    caught->dying = caught->unanswered;
    caught->unanswered = 0;
    uv_update_time(signals->limit.loop);
    uv_timer_start(&signals->limit, on_limit, left > 0 ? (uint64_t) left : 0, 0);
    uv_prepare_start(&signals->turn, on_turn);
    tcpm__lua_die_all(signals->L);
}

/* libuv's handler takes a lock, and must not be interrupted by itself. */
static void pass_on_from_loop(struct caught_signal *signal, int64_t now)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pass_on(signal, now);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* From the loop, behind ask_loop. */
static void on_wake(uv_async_t *wake)
{
    struct tcpm__runner_signals *signals = wake->data;
    struct caught *caught = caught_signals();
    struct caught_signal *signal = find_signal(caught->unanswered);
    bool watched;

    if (signal == NULL)
        return;
    watched = script_watches(signals, signal);
    if (watched || is_echo(signal, caught->first_ms)) {
        arm_limit(caught, 0);
        caught->unanswered = 0;
        if (watched)
            pass_on_from_loop(signal, caught->first_ms);
    } else if (signal->given) {
        tcpm__runner_signals_die(signal->signum);
    } else {
        begin_dying(signals, caught);
    }
}

/* ---- beginning and end ---- */

/* Not SIGRTMAX itself: valgrind keeps that one. */
static void start_limit(struct caught *caught)
{
    int signum = SIGRTMAX - 1;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = signum};
    struct sigaction action = {.sa_handler = take_limit};
    char line[160];

    caught->limited = sigaction(signum, &action, NULL) == 0 &&
                      timer_create(CLOCK_MONOTONIC, &event, &caught->limit) == 0;
    if (caught->limited)
        return;
    snprintf(line, sizeof line,
             "no timer: one signal does not end a script that never returns to the loop: %s",
             strerror(errno));
    tcpm__runner_report(line);
}

static void hold_place(uv_signal_t *holder, int signum)
{
    (void) holder;
    (void) signum;
}

static int hold_signal(struct caught *caught, struct caught_signal *signal)
{
    struct sigaction before;
    int result = uv_signal_init(&caught->loop, &signal->holder);

    sigaction(signal->signum, NULL, &before);
    signal->quiet = signal->signum == SIGPIPE || before.sa_handler == SIG_IGN;
    if (result == 0)
        result = uv_signal_start(&signal->holder, hold_place, signal->signum);
    if (result != 0)
        return result;
    sigaction(signal->signum, NULL, &signal->libuv);
    set_disposition(signal);
    return 0;
}

static int hold_signals(struct caught *caught)
{
    int result = uv_loop_init(&caught->loop);

    for (int i = 0; i < SIGNALS && result == 0; i++)
        result = hold_signal(caught, &caught->signals[i]);
    return result;
}

int tcpm__runner_signals_start(struct tcpm__runner_signals *signals, uv_loop_t *loop,
                               struct lua_State *L)
{
    struct caught *caught = caught_signals();
    int result;

    start_limit(caught);
    signals->L = L;
    uv_timer_init(loop, &signals->limit);
    signals->limit.data = signals;
    uv_unref((uv_handle_t *) &signals->limit);
    uv_prepare_init(loop, &signals->turn);
    signals->turn.data = signals;
    uv_unref((uv_handle_t *) &signals->turn);
    result = uv_async_init(loop, &signals->wake, on_wake);
    if (result != 0)
        return result;
    signals->wake.data = signals;
    uv_unref((uv_handle_t *) &signals->wake);
    caught->wake = &signals->wake;
    tcpm__lua_on_watch(L, count_session);
    return hold_signals(caught);
}

int tcpm__runner_signals_caught(const struct tcpm__runner_signals *signals)
{
    return signals->dying != 0 ? signals->dying : caught_signals()->unanswered;
}

bool tcpm__runner_signals_ending(void)
{
    const struct caught *caught = caught_signals();

    return caught->dying != 0 ||
           (caught->unanswered != 0 && now_ms() - caught->first_ms < ANSWER_MS);
}

static void close_handle(uv_handle_t *handle)
{
    if (handle->loop != NULL && !uv_is_closing(handle))
        uv_close(handle, NULL);
}

/* From here on a signal ends the process; if it is not the echo of the one that has done so. */
void tcpm__runner_signals_close(struct tcpm__runner_signals *signals)
{
    caught_signals()->wake = NULL;
    close_handle((uv_handle_t *) &signals->wake);
    close_handle((uv_handle_t *) &signals->turn);
    close_handle((uv_handle_t *) &signals->limit);
}
