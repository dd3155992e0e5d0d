/* SPDX-License-Identifier: MIT */
/*
 * SIGINT, SIGTERM and SIGHUP. The first such signal shuts all sessions down, in order, within
 * LIMIT_MS; then the process dies by that signal, so that a shell sees which it was. The second
 * signal ends the process at once. Both promises must hold while Lua runs a loop that never
 * returns, JIT compiled and deaf to hooks, so a plain signal handler and a POSIX timer keep them,
 * not the event loop.
 *
 * A signal that a session watches belongs to the session, each time: our handler calls libuv's
 * handler, which tells all watchers. The handler cannot know luv's watchers, so the loop looks for
 * them.
 *
 * SIGUSR1 prints the state of the engine on standard error, in the next turn of the loop.
 *
 * A signal that was ignored when the program started stays ignored while nobody watches it, and
 * SIGPIPE never ends anything. libuv restores the default disposition when the last watcher of a
 * signal goes. So each of the signals has a watcher that never goes, on a loop that never
 * runs, and our handler stays installed.
 */
#include "runner.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "assert.h"
#include "luv_handles.h"
#include "runtime.h"

enum {
    LIMIT_MS = 5000, /* from the first signal to the end of the process */
    MARGIN_MS = 500, /* the last part of LIMIT_MS, for closing and for flushing buffers */
    ECHO_MS = 50,    /* a second signal so soon is an echo: timeout(1) signals process and group */
    ANSWER_MS = 500, /* a loop that has not answered a signal until then may never answer */
    SIGNALS = 5,
};

struct caught_signal {
    int signum;
    bool quiet; /* ends nothing: SIGPIPE, and signals that were ignored at the start */
    volatile sig_atomic_t sessions;    /* number of sessions that watch this signal */
    volatile sig_atomic_t luv_watched; /* luv has started a watcher of this signal, at least once */
    volatile sig_atomic_t passed_on;   /* watchers have got this signal before */
    int64_t passed_on_ms;              /* when that was, the last time */
    struct sigaction libuv;            /* libuv's disposition, whose handler tells its watchers */
    uv_signal_t holder;                /* keeps libuv from resetting the disposition */
};

/* Everything that the handlers know. A handler gets no argument, so this one object must be found
   without any; a process has one set of signal dispositions anyway. */
struct caught {
    struct caught_signal signals[SIGNALS];
    uv_loop_t loop;                   /* holds the holders */
    volatile sig_atomic_t unanswered; /* signal that the loop has yet to act on; 0: none */
    volatile sig_atomic_t dying;      /* signal that ends the sessions; 0: none */
    volatile sig_atomic_t dump_asked; /* SIGUSR1 has come since the loop last looked */
    int64_t first_ms;                 /* when unanswered or dying was set */
    bool has_watchdog;                /* the timer could be made */
    timer_t watchdog;                 /* ends the process LIMIT_MS after first_ms */
    uv_async_t *wake;                 /* NULL: the loop does not run yet, or no more */
};

static struct caught *caught_signals(void)
{
    static struct caught caught = {
        .signals = {{.signum = SIGINT},
                    {.signum = SIGTERM},
                    {.signum = SIGHUP},
                    {.signum = SIGPIPE},
                    {.signum = SIGUSR1}},
    };

    return &caught;
}

/* NULL: signum is none of the signals above. */
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

/* In ms milliseconds from now, or never: 0. */
static void arm_watchdog(const struct caught *caught, long ms)
{
    struct itimerspec at = {.it_value = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}};

    if (caught->has_watchdog)
        timer_settime(caught->watchdog, 0, &at, NULL);
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
    signal->passed_on = 1;
    signal->passed_on_ms = now;
    signal->libuv.sa_handler(signal->signum);
}

/* True: a watcher, which may have gone since, has just got the same signal. */
static bool is_echo(const struct caught_signal *signal, int64_t now)
{
    return signal->passed_on && now - signal->passed_on_ms < ECHO_MS;
}

/* Wakes the loop, which finds out whether anybody watches this signal. A second signal, or a first
   one without a loop, ends the process. */
static void ask_loop(struct caught *caught, struct caught_signal *signal, int64_t now)
{
    bool second =
        caught->dying || (!signal->luv_watched && (caught->unanswered || signal->passed_on));

    if ((caught->unanswered || caught->dying) && now - caught->first_ms < ECHO_MS)
        return;
    if (!signal->luv_watched && is_echo(signal, now))
        return;
    if (caught->wake == NULL || second)
        tcpm__runner_signals_die(signal->signum);
    if (caught->unanswered)
        return;
    caught->first_ms = now;
    caught->unanswered = signal->signum;
    arm_watchdog(caught, LIMIT_MS);
    uv_async_send(caught->wake);
}

/* Without a loop there is nothing to print. */
static void ask_dump(struct caught *caught)
{
    caught->dump_asked = 1;
    if (caught->wake != NULL)
        uv_async_send(caught->wake);
}

static void on_signal(int signum)
{
    struct caught_signal *signal = find_signal(signum);
    int error = errno; /* belongs to the interrupted code */
    int64_t now = now_ms();

    TCPM__LUA_ASSERT(signal != NULL);
    if (signal->sessions > 0 || (signal->quiet && signal->luv_watched))
        pass_on(signal, now);
    else if (signum == SIGUSR1 && !signal->quiet)
        ask_dump(caught_signals());
    else if (!signal->quiet)
        ask_loop(caught_signals(), signal, now);
    errno = error;
}

static void on_watchdog(int signum)
{
    const struct caught *caught = caught_signals();
    int reason = caught->dying ? caught->dying : caught->unanswered;

    (void) signum;
    if (reason != 0)
        tcpm__runner_signals_die(reason);
}

static void set_handler(struct caught_signal *signal, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};

    for (int i = 0; i < SIGNALS; i++)
        sigaddset(&action.sa_mask, caught_signals()->signals[i].signum);
    sigaction(signal->signum, &action, NULL);
}

/* SIGPIPE gets our handler, which does nothing then, instead of SIG_IGN: programs that the script
   starts by io.popen get the default disposition back. An ignored signal would stay ignored. */
static void set_disposition(struct caught_signal *signal)
{
    bool ignored =
        signal->quiet && signal->signum != SIGPIPE && !signal->sessions && !signal->luv_watched;

    set_handler(signal, ignored ? SIG_IGN : on_signal);
}

/* ---- watchers ---- */

/* change: 1 if a session begins to watch this signal, -1 if a session ceases to. */
static void on_watch_change(int signum, int change)
{
    struct caught_signal *signal = find_signal(signum);

    if (signal == NULL)
        return;
    signal->sessions += change;
    TCPM__LUA_ASSERT(signal->sessions >= 0);
    set_disposition(signal);
}

void tcpm__runner_signals_note_luv(int signum)
{
    struct caught_signal *signal = find_signal(signum);

    if (signal == NULL)
        return;
    signal->luv_watched = 1;
    set_disposition(signal);
}

struct watch_query {
    struct lua_State *L;
    int signum;
    bool found;
};

static void on_walk_find(uv_handle_t *handle, void *argument)
{
    struct watch_query *query = argument;

    if (handle->type == UV_SIGNAL && uv_is_active(handle) &&
        ((uv_signal_t *) handle)->signum == query->signum && tcpm__luv_owns(query->L, handle))
        query->found = true;
}

/* True: the script itself takes this signal, by a session or by luv. */
static bool script_watches(const struct tcpm__runner_signals *signals,
                           const struct caught_signal *signal)
{
    struct watch_query query = {.L = signals->L, .signum = signal->signum};

    if (signal->sessions > 0)
        return true;
    uv_walk(signals->limit.loop, on_walk_find, &query);
    return query.found;
}

/* ---- in the loop ---- */

static void on_limit(uv_timer_t *timer)
{
    struct tcpm__runner_signals *signals = timer->data;
    static const char text[] = "interrupted: not every session has ended within the time limit";

    tcpm__lua_fatal_outside(signals->L, text, sizeof text - 1);
}

/* Handles that luv still has open are nothing to wait for. */
static void on_turn(uv_prepare_t *turn)
{
    struct tcpm__runner_signals *signals = turn->data;

    if (tcpm__lua_sessions(signals->L) == 0)
        uv_stop(turn->loop);
}

static void begin_dying(struct tcpm__runner_signals *signals, struct caught *caught)
{
    int64_t left = LIMIT_MS - MARGIN_MS - (now_ms() - caught->first_ms);

    TCPM__LUA_ASSERT(caught->unanswered != 0 && caught->dying == 0);
    signals->dying = caught->unanswered;
    caught->dying = caught->unanswered;
    caught->unanswered = 0;
    uv_update_time(signals->limit.loop);
    uv_timer_start(&signals->limit, on_limit, left > 0 ? (uint64_t) left : 0, 0);
    uv_prepare_start(&signals->turn, on_turn);
    tcpm__lua_die_all(signals->L);
}

/* Calls libuv's handler outside of a signal: the handler takes a lock, so no signal may interrupt
   it. */
static void pass_on_from_loop(struct caught_signal *signal, int64_t now)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pass_on(signal, now);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void on_dump_line(const char *line, void *user)
{
    (void) user;
    fprintf(stderr, "%s\n", line);
}

static void answer_dump(const struct tcpm__runner_signals *signals, struct caught *caught)
{
    struct caught_signal *signal = find_signal(SIGUSR1);

    if (!caught->dump_asked)
        return;
    caught->dump_asked = 0;
    if (script_watches(signals, signal))
        pass_on_from_loop(signal, now_ms());
    else
        tcpm__lua_dump(signals->L, on_dump_line, NULL);
}

/* Answers ask_dump and ask_loop. */
static void on_wake(uv_async_t *wake)
{
    struct tcpm__runner_signals *signals = wake->data;
    struct caught *caught = caught_signals();
    struct caught_signal *signal = find_signal(caught->unanswered);

    answer_dump(signals, caught);
    if (signal == NULL)
        return;
    bool watched = script_watches(signals, signal);
    if (watched || is_echo(signal, caught->first_ms)) {
        arm_watchdog(caught, 0);
        caught->unanswered = 0;
        if (watched)
            pass_on_from_loop(signal, caught->first_ms);
    } else if (signal->passed_on) {
        tcpm__runner_signals_die(signal->signum);
    } else {
        begin_dying(signals, caught);
    }
}

/* ---- beginning and end ---- */

/* A timer whose own signal interrupts Lua. SIGRTMAX itself belongs to valgrind. timer_create is in
   POSIX, but macOS and OpenBSD have neither timer_create nor real-time signals; setitimer with
   SIGALRM does the same there, unless the script uses SIGALRM. */
static void start_watchdog(struct caught *caught)
{
    int signum = SIGRTMAX - 1;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = signum};
    struct sigaction action = {.sa_handler = on_watchdog};
    char line[160];

    caught->has_watchdog = sigaction(signum, &action, NULL) == 0 &&
                           timer_create(CLOCK_MONOTONIC, &event, &caught->watchdog) == 0;
    if (caught->has_watchdog)
        return;
    snprintf(line, sizeof line,
             "no timer: one signal does not end a script that never returns to the loop: %s",
             strerror(errno));
    tcpm__runner_report_text(line);
}

static void on_held_signal(uv_signal_t *holder, int signum)
{
    (void) holder;
    (void) signum;
}

static int hold_signal(struct caught *caught, struct caught_signal *signal)
{
    int result = uv_signal_init(&caught->loop, &signal->holder);
    struct sigaction before;

    sigaction(signal->signum, NULL, &before);
    signal->quiet = signal->signum == SIGPIPE || before.sa_handler == SIG_IGN;
    if (result == 0)
        result = uv_signal_start(&signal->holder, on_held_signal, signal->signum);
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

    start_watchdog(caught);
    signals->L = L;
    uv_timer_init(loop, &signals->limit);
    signals->limit.data = signals;
    uv_unref((uv_handle_t *) &signals->limit);
    uv_prepare_init(loop, &signals->turn);
    signals->turn.data = signals;
    uv_unref((uv_handle_t *) &signals->turn);
    int result = uv_async_init(loop, &signals->wake, on_wake);
    if (result != 0)
        return result;
    signals->wake.data = signals;
    uv_unref((uv_handle_t *) &signals->wake);
    caught->wake = &signals->wake;
    tcpm__lua_set_watch_listener(L, on_watch_change);
    return hold_signals(caught);
}

int tcpm__runner_signals_ended_by(const struct tcpm__runner_signals *signals)
{
    return signals->dying != 0 ? signals->dying : caught_signals()->unanswered;
}

bool tcpm__runner_signals_is_ending(void)
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

/* From here on a signal ends the process at once, unless that signal is an echo of the first. */
void tcpm__runner_signals_close(struct tcpm__runner_signals *signals)
{
    caught_signals()->wake = NULL;
    close_handle((uv_handle_t *) &signals->wake);
    close_handle((uv_handle_t *) &signals->turn);
    close_handle((uv_handle_t *) &signals->limit);
}
