/*
 * SIGINT and SIGTERM. The first one shuts every session down, in order, within LIMIT_MS; the second
 * ends the process at once. Both limits must hold while Lua runs a loop that never returns, JIT
 * compiled and deaf to hooks, so they are kept by a plain handler and a POSIX timer, not by the
 * loop.
 *
 * The handler wakes the loop, which does the shutting down, or passes the signal on to libuv when
 * the script itself watches it. To stay in front of libuv's own handler, ours is set after a
 * watcher has been started: as long as that one is active, libuv leaves the disposition alone when
 * others begin and cease to watch the same signal.
 */
#include "runner.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "runtime.h"

#define LIMIT_MS  5000 /* from the first signal to the end of the process */
#define MARGIN_MS 500  /* of it, for closing and for writing what is buffered */
#define ECHO_MS   50   /* timeout(1) signals the process and its group: that is one wish, not two */

/* What the handlers know. A handler gets no argument, so this is the one place that must be found
   without any; there is one set of signal dispositions per process anyway. */
struct caught {
    volatile sig_atomic_t seen[2];    /* SIGINT, SIGTERM: has come before */
    volatile sig_atomic_t unanswered; /* the signal that the loop has yet to act on; 0: none */
    volatile sig_atomic_t dying;      /* the signal that ends the sessions; 0: none */
    int64_t first_ms;                 /* when the first one came */
    timer_t limit;
    uv_async_t *wake;
    struct sigaction libuv[2]; /* libuv's handler, which tells its watchers */
};

static struct caught *caught_signals(void)
{
    static struct caught caught;

    return &caught;
}

static int signal_index(int signum)
{
    return signum == SIGTERM;
}

static void arm_limit(struct caught *caught, long ms)
{
    struct itimerspec at = {.it_value = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}};

    timer_settime(caught->limit, 0, &at, NULL);
}

static long limit_left_ms(struct caught *caught)
{
    struct itimerspec left;

    if (timer_gettime(caught->limit, &left) != 0)
        return 0;
    return left.it_value.tv_sec * 1000 + left.it_value.tv_nsec / 1000000;
}

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void take_signal(int signum)
{
    struct caught *caught = caught_signals();
    int index = signal_index(signum), error = errno;
    int64_t now = now_ms();

    if ((caught->unanswered == signum || caught->dying == signum) &&
        now - caught->first_ms < ECHO_MS)
        return;
    if (caught->seen[index] || caught->unanswered || caught->dying)
        _exit(128 + signum);
    caught->seen[index] = 1;
    caught->first_ms = now;
    caught->unanswered = signum;
    arm_limit(caught, LIMIT_MS);
    uv_async_send(caught->wake);
    errno = error;
}

static void take_limit(int signum)
{
    struct caught *caught = caught_signals();

    (void) signum;
    _exit(128 + (caught->dying ? caught->dying : caught->unanswered));
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
        ((uv_signal_t *) handle)->signum == query->signum &&
        tcpm__runner_luv_owns(query->L, handle))
        query->found = true;
}

/* Whether the script itself takes this signal, by a session or by luv. */
static bool script_watches(struct tcpm__runner_signals *signals, int signum)
{
    struct watch_query query = {.L = signals->L, .signum = signum};

    if (tcpm__lua_watches(signals->L, signum))
        return true;
    uv_walk(signals->limit.loop, find_luv_watcher, &query);
    return query.found;
}

static void end_run(uv_timer_t *timer)
{
    struct tcpm__runner_signals *signals = timer->data;

    tcpm__lua_fatal(signals->L, "interrupted: not every session has ended within the time limit");
}

static void pass_on(struct caught *caught, int signum)
{
    arm_limit(caught, 0);
    caught->unanswered = 0;
    caught->libuv[signal_index(signum)].sa_handler(signum);
}

/* From the loop, behind take_signal. */
static void answer_signal(uv_async_t *wake)
{
    struct tcpm__runner_signals *signals = wake->data;
    struct caught *caught = caught_signals();
    long left = limit_left_ms(caught);
    int signum = caught->unanswered;

    if (signum == 0)
        return;
    if (script_watches(signals, signum)) {
        pass_on(caught, signum);
        return;
    }
    caught->dying = signals->dying = signum;
    caught->unanswered = 0;
    uv_update_time(signals->limit.loop);
    uv_timer_start(&signals->limit, end_run, left > MARGIN_MS ? (uint64_t) (left - MARGIN_MS) : 0,
                   0);
    tcpm__lua_die_all(signals->L);
}

/* Not SIGRTMAX itself: valgrind keeps that one. */
static int start_limit(struct caught *caught)
{
    int signum = SIGRTMAX - 1;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = signum};
    struct sigaction action = {.sa_handler = take_limit};

    if (timer_create(CLOCK_MONOTONIC, &event, &caught->limit) != 0 ||
        sigaction(signum, &action, NULL) != 0)
        return -errno;
    return 0;
}

static void hold_place(uv_signal_t *watcher, int signum)
{
    (void) watcher;
    (void) signum;
}

static int start_watcher(struct tcpm__runner_signals *signals, uv_loop_t *loop, int signum)
{
    int index = signal_index(signum), result;
    uv_signal_t *watcher = &signals->watchers[index];
    struct sigaction action = {.sa_handler = take_signal, .sa_flags = SA_RESTART};

    result = uv_signal_init(loop, watcher);
    if (result != 0)
        return result;
    uv_unref((uv_handle_t *) watcher);
    result = uv_signal_start(watcher, hold_place, signum);
    if (result != 0)
        return result;
    return sigaction(signum, &action, &caught_signals()->libuv[index]) == 0 ? 0 : -errno;
}

int tcpm__runner_signals_start(struct tcpm__runner_signals *signals, uv_loop_t *loop,
                               struct lua_State *L)
{
    struct caught *caught = caught_signals();
    int result = start_limit(caught);

    if (result != 0)
        return result;
    signals->L = L;
    uv_timer_init(loop, &signals->limit);
    signals->limit.data = signals;
    uv_unref((uv_handle_t *) &signals->limit);
    result = uv_async_init(loop, &signals->wake, answer_signal);
    if (result != 0)
        return result;
    signals->wake.data = signals;
    uv_unref((uv_handle_t *) &signals->wake);
    caught->wake = &signals->wake;
    result = start_watcher(signals, loop, SIGINT);
    return result != 0 ? result : start_watcher(signals, loop, SIGTERM);
}

int tcpm__runner_signals_caught(const struct tcpm__runner_signals *signals)
{
    return signals->dying != 0 ? signals->dying : caught_signals()->unanswered;
}

static void close_handle(uv_handle_t *handle)
{
    if (handle->loop != NULL && !uv_is_closing(handle))
        uv_close(handle, NULL);
}

/* libuv sets the default dispositions again: a signal during the last steps ends the process. Where
   a signal has brought them on, its echo must not, so our handler is put back, unseen by any. */
void tcpm__runner_signals_close(struct tcpm__runner_signals *signals)
{
    struct sigaction action = {.sa_handler = take_signal, .sa_flags = SA_RESTART};
    sigset_t both, before;

    sigemptyset(&both);
    sigaddset(&both, SIGINT);
    sigaddset(&both, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &both, &before);
    close_handle((uv_handle_t *) &signals->watchers[0]);
    close_handle((uv_handle_t *) &signals->watchers[1]);
    close_handle((uv_handle_t *) &signals->wake);
    close_handle((uv_handle_t *) &signals->limit);
    if (signals->dying != 0) {
        sigaction(SIGINT, &action, NULL);
        sigaction(SIGTERM, &action, NULL);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}
