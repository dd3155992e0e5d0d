/* SPDX-License-Identifier: MIT */
/*
 * Closing the module: a script may do it by os.exit, a host at any time, both also inside a
 * handler. Sessions and connections end at once, without events, and later calls find none. A
 * host's engine and luv's loop are not waited for; the module's own loop goes as own_loop.c says.
 */
#include "functions.h"

#include <stdlib.h>

#include <uv.h>

#include "tcpmulti_lua.h"

/* Closes the engine on luv's loop. Inside a call of Lua that loop still exists, and the engine goes
   with its next turns; else the loop may be gone already, and is not touched. */
static void close_attached(struct tcpm__lua_runtime *rt, bool inside)
{
    if (inside)
        tcpm__lua_sessions_kill(rt);
    for (int i = 1; i < rt->session_count; i++)
        if (rt->sessions[i] != NULL)
            rt->sessions[i]->muted = true;
    if (inside)
        tcpm_engine_close(rt->engine, NULL, NULL);
    else
        tcpm_engine_close_now(rt->engine);
}

/* Sessions live on until their engine has told them that they have stopped, but reach no Lua any
   more. */
static void forget_sessions(struct tcpm__lua_runtime *rt)
{
    for (int i = 1; i < rt->session_count; i++)
        if (rt->sessions[i] != NULL)
            rt->sessions[i]->runtime = NULL;
    rt->session_count = 0;
    rt->owner = NULL;
    free(rt->sessions);
    free(rt->vacancies);
    tcpm__lua_slots_free(rt);
    rt->link->runtime = NULL;
    tcpm__lua_link_drop(rt->link);
    rt->link = NULL;
}

static void close_runtime(struct tcpm__lua_runtime *rt, lua_State *L, bool inside)
{
    rt->active = L;
    rt->framed = false;
    tcpm__lua_print_tallies_left(rt);
    if (rt->attached)
        close_attached(rt, inside);
    else
        tcpm__lua_sessions_kill(rt);
    tcpm__lua_stdin_close(rt);
    tcpm__lua_children_drop(rt);
    tcpm__lua_home_close(rt);
    if (rt->sentry != NULL)
        tcpm_die(rt->sentry);
    rt->sentry = NULL;
    if (rt->loop != NULL)
        rt->leaving = rt->engine;
    rt->engine = NULL;
    forget_sessions(rt);
    tcpm__lua_message_free(rt->fatal);
    rt->fatal = NULL;
    if (rt->running)
        uv_stop(rt->loop);
}

static void close_all(struct tcpm__lua_runtime *rt, lua_State *L, bool inside)
{
    if (rt->engine != NULL)
        close_runtime(rt, L, inside);
    if (!inside)
        tcpm__lua_loop_close(rt);
}

/* Whether Lua runs: functions of ours may then be waiting on the C stack. */
static bool is_inside(const struct tcpm__lua_runtime *rt, lua_State *L, int level)
{
    lua_Debug running;

    return rt->running || rt->call != NULL || lua_getstack(L, level, &running) != 0;
}

/* __gc. debug.getmetatable gives it to anybody, so the argument may be anything. */
int tcpm__lua_runtime_collect(lua_State *L)
{
    struct tcpm__lua_runtime *rt = lua_touserdata(L, 1);

    if (rt != NULL && lua_objlen(L, 1) == sizeof *rt && rt->self == rt)
        close_all(rt, L, is_inside(rt, L, 1));
    return 0;
}

void tcpm_lua_close(lua_State *L)
{
    struct tcpm__lua_runtime *rt = L == NULL ? NULL : tcpm__lua_runtime_find(L);

    if (rt != NULL)
        close_all(rt, L, is_inside(rt, L, 0));
}
