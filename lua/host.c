/* SPDX-License-Identifier: MIT */
/*
 * The module in a host: a program with a Lua state, a loop and an engine of its own.
 */
#include "functions.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tcpmulti_lua.h"

struct host {
    struct tcpm_engine *engine;
    struct tcpm_lua_options options;
    struct tcpm__lua_link *link;
    struct tcpm_session *sentry;
};

/* Two reasons lead here: the engine closes before the Lua state, or the Lua state was closed. */
static void on_sentry_stopped(struct tcpm_session *sentry, void *user)
{
    struct tcpm__lua_link *link = user;

    (void) sentry;
    if (link->runtime != NULL) {
        link->runtime->sentry = NULL;
        link->runtime->engine_gone = true;
    }
    tcpm__lua_link_drop(link);
}

/* Posts a session as a sentry: an engine tells that it closes only to sessions in it. */
static int post_sentry(struct host *host)
{
    const struct tcpm_events events = {.size = sizeof events, .stopped = on_sentry_stopped};
    const struct tcpm_session_options options = {
        .size = sizeof options, .events = &events, .user = host->link};
    int result = tcpm_session_create(host->engine, &options, &host->sentry);

    if (result == 0)
        tcpm__lua_link_keep(host->link);
    return result;
}

/* Makes room on an empty stack. Without memory LuaJIT of Debian 12 raises, that of Debian 13
   answers 0. */
static void reserve_stack(lua_State *L, int slots)
{
    if (!lua_checkstack(L, slots)) {
        lua_pushliteral(L, "not enough memory");
        lua_error(L);
    }
}

static int open_in_host(lua_State *L)
{
    const struct host *host = lua_touserdata(L, 1);

    lua_settop(L, 0);
    reserve_stack(L, 2 * LUA_MINSTACK);
    lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
    luaL_argcheck(L, lua_istable(L, -1), 1, "the standard libraries are not open");
    lua_pop(L, 1);
    struct tcpm__lua_runtime *rt = tcpm__lua_open_tables(L);
    int module = lua_gettop(L);
    lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
    lua_pushvalue(L, module);
    lua_setfield(L, -2, "tcpmulti");
    rt->engine = host->engine;
    rt->exception = host->options.exception;
    rt->exception_user = host->options.user;
    rt->sentry = host->sentry;
    tcpm__lua_link_set(rt, host->link);
    return 0;
}

/* Reads options as the core does: older hosts know fewer fields, newer hosts must leave fields that
   are unknown here at 0. */
static int read_options(const struct tcpm_lua_options *given, struct tcpm_lua_options *options)
{
    *options = (struct tcpm_lua_options){0};
    if (given == NULL)
        return 0;
    if (given->size < sizeof given->size)
        return -EINVAL;
    size_t known = given->size < sizeof *options ? given->size : sizeof *options;
    memcpy(options, given, known);
    for (size_t i = known; i < given->size; i++)
        if (((const char *) given)[i] != 0)
            return -E2BIG;
    return 0;
}

int tcpm_lua_open(lua_State *L, struct tcpm_engine *engine,
                  const struct tcpm_lua_options *options_or_null)
{
    struct host host = {.engine = engine};

    if (L == NULL || engine == NULL)
        return -EINVAL;
    int result = read_options(options_or_null, &host.options);
    if (result < 0)
        return result;
    const struct tcpm__lua_runtime *open = tcpm__lua_runtime_find(L);
    if (open != NULL && open->engine != NULL)
        return -EBUSY;
    host.link = tcpm__lua_link_new();
    if (host.link == NULL)
        return -ENOMEM;
    result = post_sentry(&host);
    if (result < 0) {
        free(host.link);
        return result;
    }
    int status = lua_cpcall(L, open_in_host, &host);
    if (status == 0) {
        tcpm__lua_runtime_find(L)->active = L;
        lua_rawgeti(L, LUA_REGISTRYINDEX, TCPM__LUA_MODULE);
        return 0;
    }
    /* Memory errors of the compiler arrive as plain messages. */
    const char *message = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
    bool memory = status == LUA_ERRMEM || strcmp(message, "not enough memory") == 0;
    lua_pop(L, 1);
    tcpm_die(host.sentry);
    tcpm__lua_link_drop(host.link);
    return memory ? -ENOMEM : -EINVAL;
}
