/* SPDX-License-Identifier: MIT */
/*
 * Running the loop: tcpmulti.run and tcpmulti.stop, and the functions that the program tcpmulti-lua
 * may call. The module's own loop is run here and nowhere else; a host's loop is run by the host.
 */
#include "functions.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "runtime.h"

/* The time limit of one run. */
struct limit {
    uv_timer_t timer; /* first member: its close callback frees the whole struct */
    bool over;
};

/* Tells of tasks that wait for what cannot come any more. True: there were some, and they end. */
static bool end_stuck_tasks(struct tcpm__lua_runtime *rt)
{
    bool any = false;

    for (int i = 1; i < rt->session_count; i++) {
        struct tcpm__lua_session *session = rt->sessions[i];
        char *message = session == NULL || session->dying ? NULL : tcpm__lua_tasks_stuck(session);

        if (message == NULL)
            continue;
        tcpm__lua_exception(session, message);
        any = true;
    }
    return any;
}

/* Lets sessions die that have nothing left to wait for. True: there were some, and their _stop may
   start new work. */
static bool end_idle_sessions(struct tcpm__lua_runtime *rt)
{
    bool any = false;

    for (int i = 1; i < rt->session_count; i++)
        if (rt->sessions[i] != NULL && !rt->sessions[i]->dying) {
            tcpm__lua_session_die(rt->sessions[i]);
            any = true;
        }
    return any;
}

static bool goes_on(const struct tcpm__lua_runtime *rt, const struct limit *limit)
{
    return rt->engine != NULL && rt->fatal == NULL && !rt->stopped &&
           (limit == NULL || !limit->over);
}

/* The time is over: all sessions die, also those created meanwhile. Other work on the loop is not
   waited for. */
static void run_out(struct tcpm__lua_runtime *rt)
{
    while (goes_on(rt, NULL) && rt->unstopped > 0) {
        end_idle_sessions(rt);
        uv_run(rt->loop, UV_RUN_ONCE);
    }
}

/* Runs the loop until nothing is left to do, stop was called, the time is over, or a fatal error
   has killed everything. */
static void run_loop(struct tcpm__lua_runtime *rt, const struct limit *limit)
{
    while (goes_on(rt, limit)) {
        if (uv_run(rt->loop, UV_RUN_DEFAULT) != 0)
            break;
        if (!goes_on(rt, limit) || (!end_stuck_tasks(rt) && !end_idle_sessions(rt)))
            break;
    }
    if (limit != NULL && limit->over)
        run_out(rt);
    /* Sessions killed by a fatal error are still being closed. */
    while (rt->fatal != NULL && rt->unstopped > 0 && uv_run(rt->loop, UV_RUN_ONCE) != 0)
        ;
}

static int raise_fatal(lua_State *L, struct tcpm__lua_runtime *rt)
{
    char *message = rt->fatal;

    rt->fatal = NULL;
    lua_pushstring(L, message);
    tcpm__lua_message_free(message);
    return lua_error(L);
}

static void on_limit(uv_timer_t *timer)
{
    ((struct limit *) timer)->over = true;
    uv_stop(timer->loop);
}

static void on_limit_closed(uv_handle_t *timer)
{
    free(timer);
}

/* libuv rounds the loop's milliseconds down, so one more is added: never early. */
static struct limit *start_limit(struct tcpm__lua_runtime *rt, double ms)
{
    struct limit *limit = calloc(1, sizeof *limit);

    if (limit == NULL)
        return NULL;
    uv_timer_init(rt->loop, &limit->timer);
    uv_unref((uv_handle_t *) &limit->timer);
    uv_update_time(rt->loop);
    uv_timer_start(&limit->timer, on_limit, (uint64_t) ms + 1, 0);
    return limit;
}

/* Reads the options of run at index 1: milliseconds, or -1 for no limit. */
static double read_limit(lua_State *L)
{
    lua_settop(L, 1);
    if (lua_isnil(L, 1))
        return -1;
    lua_getfield(L, lua_upvalueindex(UP_SHARED), "read_run");
    lua_insert(L, 1);
    lua_call(L, 1, 1);
    return lua_tonumber(L, 1);
}

/* Raises where run may not be called. */
static void check_may_run(lua_State *L, const struct tcpm__lua_runtime *rt)
{
    tcpm__lua_check_dot(L);
    if (rt->engine == NULL)
        luaL_error(L, "tcpmulti.run: the Lua state is closing");
    if (rt->loop == NULL)
        luaL_error(L, "tcpmulti.run: %s runs the loop", rt->attached ? "luv" : "the host");
    if (rt->running || rt->call != NULL || rt->owner != NULL)
        luaL_error(L, "tcpmulti.run: not from inside a handler or while it is running");
    if (!lua_pushthread(L))
        luaL_error(L, "tcpmulti.run: not in a coroutine, handlers run on the main state");
    lua_pop(L, 1);
}

/* Runs in the stack frame whose first values protect.c uses. */
static void run_framed(lua_State *L, struct tcpm__lua_runtime *rt, const struct limit *limit)
{
    struct tcpm__lua_session *owner = rt->owner;

    lua_rawgeti(L, lua_upvalueindex(UP_CELLS), OWN_TRACEBACK);
    lua_rawgeti(L, lua_upvalueindex(UP_CELLS), OWN_TRAMPOLINE);
    rt->ran = true;
    rt->running = true;
    rt->stopped = false;
    struct tcpm__lua_saved entry = tcpm__lua_enter(rt, L);
    rt->owner = NULL;
    rt->framed = true;
    run_loop(rt, limit);
    TCPM__LUA_ASSERT(lua_gettop(L) == FRAME_TRAMPOLINE);
    tcpm__lua_leave(rt, entry);
    rt->owner = owner;
    rt->running = false;
}

/* tcpmulti.run([options]) -> nothing, or true, "time" */
static int module_run(lua_State *L)
{
    struct tcpm__lua_runtime *rt = tcpm__lua_runtime(L);

    check_may_run(L, rt);
    double ms = read_limit(L);
    lua_settop(L, 0);
    luaL_checkstack(L, LUA_MINSTACK, "for handlers");
    struct limit *limit = ms < 0 ? NULL : start_limit(rt, ms);
    if (ms >= 0 && limit == NULL)
        return luaL_error(L, "tcpmulti.run: not enough memory");
    run_framed(L, rt, limit);
    bool over = limit != NULL && limit->over && !rt->stopped;
    if (limit != NULL)
        uv_close((uv_handle_t *) &limit->timer, on_limit_closed);
    tcpm__lua_loop_close(rt); /* if a handler has closed the module */
    if (rt->fatal != NULL)
        return raise_fatal(L, rt);
    if (!over)
        return 0;
    lua_pushboolean(L, 1);
    lua_pushliteral(L, "time");
    return 2;
}

/* shared.can_run() -> whether run would not raise */
static int shared_can_run(lua_State *L)
{
    const struct tcpm__lua_runtime *rt = tcpm__lua_runtime(L);
    bool main_thread = lua_pushthread(L) != 0;

    lua_pushboolean(L, main_thread && rt->engine != NULL && rt->loop != NULL && !rt->running &&
                           rt->call == NULL && rt->owner == NULL);
    return 1;
}

/* tcpmulti.stop() */
static int module_stop(lua_State *L)
{
    struct tcpm__lua_runtime *rt = tcpm__lua_runtime(L);

    tcpm__lua_check_dot(L);
    if (rt->loop == NULL)
        return 0;
    rt->ran = true;
    if (rt->running) {
        rt->stopped = true;
        uv_stop(rt->loop);
    }
    return 0;
}

const luaL_Reg tcpm__lua_run_functions[] = {
    {"run", module_run},
    {"stop", module_stop},
    {NULL, NULL},
};

const luaL_Reg tcpm__lua_run_shared[] = {
    {"can_run", shared_can_run},
    {NULL, NULL},
};

/* ---- for the runner ---- */

struct uv_loop_s *tcpm__lua_loop(lua_State *L)
{
    const struct tcpm__lua_runtime *rt = tcpm__lua_runtime_find(L);

    return rt == NULL ? NULL : rt->loop;
}

int tcpm__lua_ran(lua_State *L)
{
    const struct tcpm__lua_runtime *rt = tcpm__lua_runtime_find(L);

    return rt != NULL && rt->ran;
}

int tcpm__lua_call_run(lua_State *L)
{
    const struct tcpm__lua_runtime *rt = tcpm__lua_runtime_find(L);

    lua_settop(L, 0);
    if (rt == NULL)
        return luaL_error(L, "tcpmulti.run: the module is not open");
    lua_rawgeti(L, LUA_REGISTRYINDEX, rt->cells_reference);
    lua_rawgeti(L, -1, OWN_RUN);
    lua_call(L, 0, 0);
    return 0;
}

void tcpm__lua_fatal_outside(lua_State *L, const char *message, size_t length)
{
    struct tcpm__lua_runtime *rt = tcpm__lua_runtime_find(L);

    if (rt == NULL || rt->engine == NULL)
        return;
    struct tcpm__lua_saved entry = tcpm__lua_enter(rt, L);
    tcpm__lua_fatal(rt, tcpm__lua_message_copy(message, length));
    tcpm__lua_leave(rt, entry);
}

void tcpm__lua_die_all(lua_State *L)
{
    struct tcpm__lua_runtime *rt = tcpm__lua_runtime_find(L);

    if (rt == NULL || rt->engine == NULL)
        return;
    struct tcpm__lua_saved entry = tcpm__lua_enter(rt, L);
    for (int i = 1; i < rt->session_count; i++)
        if (rt->sessions[i] != NULL && !rt->sessions[i]->dying)
            tcpm__lua_session_die(rt->sessions[i]);
    tcpm__lua_leave(rt, entry);
}

int tcpm__lua_sessions(lua_State *L)
{
    const struct tcpm__lua_runtime *rt = tcpm__lua_runtime_find(L);

    return rt == NULL ? 0 : rt->unstopped;
}

void tcpm__lua_set_watch_listener(lua_State *L, void (*changed)(int signum, int change))
{
    struct tcpm__lua_runtime *rt = tcpm__lua_runtime_find(L);

    if (rt != NULL)
        rt->watch_listener = changed;
}
