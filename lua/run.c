/* SPDX-License-Identifier: MIT */
/*
 * Running the loop, and what the runner may ask. The module's own loop is run here and nowhere
 * else; in a host it is the host's.
 */
#include "protect.h"
#include "runtime.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

/* How long run may take, where that is said. */
struct limit {
    uv_timer_t timer; /* first: its close callback frees the whole */
    bool over;
};

/* Sessions that have nothing left to wait for end: _stop, and what that starts. */
static bool end_idle_sessions(struct runtime *rt)
{
    bool any = false;
    for (int i = 1; i < rt->session_count; i++)
        if (rt->sessions[i] != NULL && !rt->sessions[i]->dying) {
            tcpm__lua_die(rt->sessions[i]);
            any = true;
        }
    return any;
}

static bool goes_on(const struct runtime *rt, const struct limit *limit)
{
    return rt->engine != NULL && rt->fatal == NULL && !rt->stopped &&
           (limit == NULL || !limit->over);
}

/* The time is over: all sessions end, those too that are made meanwhile. What else the loop has
   does not hold it. */
static void run_out(struct runtime *rt)
{
    while (goes_on(rt, NULL) && rt->unstopped > 0) {
        end_idle_sessions(rt);
        uv_run(rt->loop, UV_RUN_ONCE);
    }
}

/* Until nothing is left, stop was called, the time is over, or a fatal error has ended everything.
 */
static void run_loop(struct runtime *rt, const struct limit *limit)
{
    while (goes_on(rt, limit)) {
        if (uv_run(rt->loop, UV_RUN_DEFAULT) != 0)
            break;
        if (!goes_on(rt, limit) || !end_idle_sessions(rt))
            break;
    }
    if (limit != NULL && limit->over)
        run_out(rt);
    /* what a fatal error has ended is still being closed */
    while (rt->fatal != NULL && rt->unstopped > 0 && uv_run(rt->loop, UV_RUN_ONCE) != 0)
        ;
}

static int raise_fatal(lua_State *L, struct runtime *rt)
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

static void free_limit(uv_handle_t *timer)
{
    free(timer);
}

/* The loop's milliseconds are rounded down, hence one more: never early. */
static struct limit *start_limit(struct runtime *rt, double ms)
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

/* Reads the options of run at index 1. Milliseconds; -1: no limit. */
static double read_limit(lua_State *L)
{
    lua_settop(L, 1);
    if (lua_isnil(L, 1))
        return -1;
    lua_getfield(L, lua_upvalueindex(UP_CORE), "read_run");
    lua_insert(L, 1);
    lua_call(L, 1, 1);
    return lua_tonumber(L, 1);
}

/* Raises where run may not be called. */
static void check_may_run(lua_State *L, const struct runtime *rt)
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

/* In a frame of which protect.c knows the first places. */
static void run_framed(lua_State *L, struct runtime *rt, const struct limit *limit)
{
    struct session *owner = rt->owner;
    lua_rawgeti(L, lua_upvalueindex(UP_PLACES), OWN_TRACEBACK);
    lua_rawgeti(L, lua_upvalueindex(UP_PLACES), OWN_TRAMPOLINE);
    rt->ran = true;
    rt->running = true;
    rt->stopped = false;
    struct entry entry = tcpm__lua_enter(rt, L);
    rt->owner = NULL;
    rt->framed = true;
    run_loop(rt, limit);
    tcpm__lua_leave(rt, entry);
    rt->owner = owner;
    rt->running = false;
}

/* tcpmulti.run */
int tcpm__lua_module_run(lua_State *L)
{
    struct runtime *rt = tcpm__lua_runtime(L);
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
        uv_close((uv_handle_t *) &limit->timer, free_limit);
    tcpm__lua_loop_close(rt); /* if a handler has closed the module */
    if (rt->fatal != NULL)
        return raise_fatal(L, rt);
    if (!over)
        return 0;
    lua_pushboolean(L, 1);
    lua_pushliteral(L, "time");
    return 2;
}

/* tcpmulti.stop */
int tcpm__lua_module_stop(lua_State *L)
{
    struct runtime *rt = tcpm__lua_runtime(L);
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

/* ---- for the runner ---- */

struct uv_loop_s *tcpm__lua_loop(lua_State *L)
{
    const struct runtime *rt = tcpm__lua_find(L);
    return rt == NULL ? NULL : rt->loop;
}

int tcpm__lua_ran(lua_State *L)
{
    const struct runtime *rt = tcpm__lua_find(L);
    return rt != NULL && rt->ran;
}

int tcpm__lua_run(lua_State *L)
{
    const struct runtime *rt = tcpm__lua_find(L);
    lua_settop(L, 0);
    if (rt == NULL)
        return luaL_error(L, "tcpmulti.run: the module is not open");
    lua_rawgeti(L, LUA_REGISTRYINDEX, rt->places_reference);
    lua_rawgeti(L, -1, OWN_RUN);
    lua_call(L, 0, 0);
    return 0;
}

void tcpm__lua_fatal(lua_State *L, const char *message, size_t length)
{
    struct runtime *rt = tcpm__lua_find(L);
    if (rt == NULL || rt->engine == NULL)
        return;
    struct entry entry = tcpm__lua_enter(rt, L);
    tcpm__lua_fatal_error(rt, tcpm__lua_message_copy(message, length));
    tcpm__lua_leave(rt, entry);
}

void tcpm__lua_die_all(lua_State *L)
{
    struct runtime *rt = tcpm__lua_find(L);
    if (rt == NULL || rt->engine == NULL)
        return;
    struct entry entry = tcpm__lua_enter(rt, L);
    for (int i = 1; i < rt->session_count; i++)
        if (rt->sessions[i] != NULL && !rt->sessions[i]->dying)
            tcpm__lua_die(rt->sessions[i]);
    tcpm__lua_leave(rt, entry);
}

int tcpm__lua_sessions(lua_State *L)
{
    const struct runtime *rt = tcpm__lua_find(L);
    return rt == NULL ? 0 : rt->unstopped;
}

void tcpm__lua_on_watch(lua_State *L, void (*changed)(int signum, int change))
{
    struct runtime *rt = tcpm__lua_find(L);
    if (rt != NULL)
        rt->watch_changed = changed;
}
