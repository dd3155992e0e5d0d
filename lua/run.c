/*
 * Running the loop, and what the runner may ask. The module's own loop is run here and nowhere
 * else; in a host it is the host's.
 */
#include "protect.h"
#include "runtime.h"

#include <errno.h>
#include <string.h>
#include <uv.h>

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

/* Until nothing is left, stop was called, or a fatal error has ended everything. */
static void run_loop(struct runtime *rt)
{
    while (rt->fatal == NULL && !rt->stopped) {
        if (uv_run(rt->loop, UV_RUN_DEFAULT) != 0)
            break;
        if (rt->fatal != NULL || rt->stopped || !end_idle_sessions(rt))
            break;
    }
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

/* tcpmulti.run */
int tcpm__lua_module_run(lua_State *L)
{
    struct runtime *rt = tcpm__lua_runtime(L);
    tcpm__lua_check_dot(L);
    if (rt->engine == NULL)
        return luaL_error(L, "tcpmulti.run: the Lua state is closing");
    if (rt->loop == NULL)
        return luaL_error(L, "tcpmulti.run: the host runs the loop");
    if (rt->running || rt->call != NULL || rt->owner != NULL)
        return luaL_error(L, "tcpmulti.run: not from inside a handler or while it is running");
    if (!lua_pushthread(L))
        return luaL_error(L, "tcpmulti.run: not in a coroutine, handlers run on the main state");
    lua_settop(L, 0);
    luaL_checkstack(L, LUA_MINSTACK, "for handlers");
    lua_rawgeti(L, lua_upvalueindex(UP_PLACES), OWN_TRACEBACK);
    lua_rawgeti(L, lua_upvalueindex(UP_PLACES), OWN_TRAMPOLINE);
    rt->ran = true;
    rt->running = true;
    rt->stopped = false;
    struct session *owner = rt->owner;
    struct entry entry = tcpm__lua_enter(rt, L);
    rt->owner = NULL;
    rt->framed = true;
    run_loop(rt);
    tcpm__lua_leave(rt, entry);
    rt->owner = owner;
    rt->running = false;
    return rt->fatal == NULL ? 0 : raise_fatal(L, rt);
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

void tcpm__lua_fatal(lua_State *L, const char *message)
{
    struct runtime *rt = tcpm__lua_find(L);
    if (rt == NULL || rt->engine == NULL)
        return;
    struct entry entry = tcpm__lua_enter(rt, L);
    tcpm__lua_fatal_error(rt, tcpm__lua_message_copy(message, strlen(message)));
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
