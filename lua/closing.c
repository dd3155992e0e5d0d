/* SPDX-License-Identifier: MIT */
/*
 * Closing the module, which a script may ask for by os.exit and a host at any time, in a handler
 * too. Sessions and connections end at once, without events, and what is called afterwards finds
 * none. The module's own loop and engine go only when none of their functions, and none of ours, is
 * below on the C stack: at once, when run returns, or with the Lua state. Where the process exits
 * from inside a handler, they go with the process. A host's engine and luv's loop are not ours to
 * wait for.
 */
#include "binding.h"
#include "tcpmulti_lua.h"

#include <stdlib.h>
#include <uv.h>

void tcpm__lua_end_all(struct runtime *rt)
{
    for (int i = 1; i < rt->session_count; i++)
        if (rt->sessions[i] != NULL && !rt->sessions[i]->muted)
            tcpm__lua_session_end(rt->sessions[i]);
}

/* ---- the loop of our own ---- */

static void look_for_foreign(uv_handle_t *handle, void *found)
{
    if (!uv_is_closing(handle))
        *(bool *) found = true;
}

/* Handles of luv and of the runner keep the loop, and it must not run for them any more. */
static bool has_foreign_handles(uv_loop_t *loop)
{
    bool found = false;
    uv_walk(loop, look_for_foreign, &found);
    return found;
}

static void close_loop(uv_loop_t *loop)
{
    if (has_foreign_handles(loop))
        return;
    while (uv_run(loop, UV_RUN_DEFAULT) != 0)
        ;
    if (uv_loop_close(loop) == 0)
        free(loop);
}

void tcpm__lua_loop_close(struct runtime *rt)
{
    if (rt->leaving == NULL)
        return;
    struct tcpm_engine *engine = rt->leaving;
    uv_loop_t *loop = rt->loop;
    rt->leaving = NULL;
    rt->loop = NULL;
    rt->owner = NULL;
    tcpm_engine_close_now(engine);
    close_loop(loop);
}

/* ---- the rest ---- */

/* Ends the engine on luv's loop without asking that loop, which may have gone. Inside a call of
   Lua it has not, and the engine goes with its next turns. */
static void close_attached(struct runtime *rt, bool inside)
{
    if (inside)
        tcpm__lua_end_all(rt);
    for (int i = 1; i < rt->session_count; i++)
        if (rt->sessions[i] != NULL)
            rt->sessions[i]->muted = true;
    if (inside)
        tcpm_engine_close(rt->engine, NULL, NULL);
    else
        tcpm_engine_close_now(rt->engine);
}

/* From here on the sessions, which live until their engine has told them that they have stopped,
   know nobody any more. */
static void forget_sessions(struct runtime *rt)
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

static void close_runtime(struct runtime *rt, lua_State *L, bool inside)
{
    rt->active = L;
    rt->framed = false;
    tcpm__lua_print_tallies_left(rt);
    if (rt->attached)
        close_attached(rt, inside);
    else
        tcpm__lua_end_all(rt);
    tcpm__lua_stdin_close(rt);
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

static void close_all(struct runtime *rt, lua_State *L, bool inside)
{
    if (rt->engine != NULL)
        close_runtime(rt, L, inside);
    if (!inside)
        tcpm__lua_loop_close(rt);
}

/* Where Lua runs, functions of ours may be waiting for its functions. */
static bool is_inside(const struct runtime *rt, lua_State *L, int level)
{
    lua_Debug running;
    return rt->running || rt->call != NULL || lua_getstack(L, level, &running) != 0;
}

/* __gc, which debug.getmetatable gives to anybody. */
int tcpm__lua_collect(lua_State *L)
{
    struct runtime *rt = lua_touserdata(L, 1);
    if (rt != NULL && lua_objlen(L, 1) == sizeof *rt && rt->self == rt)
        close_all(rt, L, is_inside(rt, L, 1));
    return 0;
}

void tcpm_lua_close(lua_State *L)
{
    struct runtime *rt = L == NULL ? NULL : tcpm__lua_find(L);
    if (rt != NULL)
        close_all(rt, L, is_inside(rt, L, 0));
}
