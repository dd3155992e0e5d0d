/* SPDX-License-Identifier: MIT */
/*
 * tcpmulti.attach: connections of this Lua state live on the loop of luv, which luv's owner runs:
 * lua-luv in a plain luajit, or Neovim. luv is not linked; its loop is found through the shared
 * library that luv's functions come from. A luv with another copy of libuv cannot share its loop.
 *
 * When luv is collected it closes all handles of its loop, ours too, before or after our own
 * finalizer. tcpm_engine_close_now copes with both orders, and our code stays loaded for late
 * callbacks.
 */
#include "functions.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include <uv.h>

#include "luv_handles.h"

typedef uv_loop_t *luv_loop(lua_State *L);

/* Pointers for dlsym and dladdr, which take and give pointers to objects; POSIX lets those hold
   functions. */
static void *object_of(lua_CFunction function)
{
    void *object;

    memcpy(&object, &function, sizeof object);
    return object;
}

/* The shared library that holds a function, or the program it is linked into; NULL: neither. */
static void *library_of(lua_CFunction function, int flags)
{
    Dl_info info;

    if (dladdr(object_of(function), &info) == 0)
        return NULL;
    void *library = dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD | flags);
    return library != NULL ? library : dlopen(NULL, RTLD_NOW);
}

/* Any C function in the table at index 1; NULL: there is none. */
static lua_CFunction find_function(lua_State *L)
{
    lua_CFunction found = NULL;

    lua_pushnil(L);
    while (found == NULL && lua_next(L, 1) != 0) {
        found = lua_tocfunction(L, -1);
        lua_pop(L, 1);
    }
    lua_settop(L, 2);
    return found;
}

static void refuse_luv(lua_State *L)
{
    luaL_error(L, "tcpmulti.attach: luv expected (require \"luv\", or vim.loop), not %s",
               tcpm__lua_describe(L, 1));
}

static uv_loop_t *find_loop(lua_State *L)
{
    lua_CFunction function = find_function(L);
    void *library = function == NULL ? NULL : library_of(function, 0);
    void *symbol = library == NULL ? NULL : dlsym(library, "luv_loop");
    int (*run)(uv_loop_t *, uv_run_mode) = uv_run;

    if (symbol == NULL)
        refuse_luv(L);
    if (memcmp(&run, (void *[]){dlsym(library, "uv_run")}, sizeof run) != 0)
        luaL_error(L, "tcpmulti.attach: luv uses another copy of libuv");
    luv_loop *get;
    memcpy(&get, &symbol, sizeof get);
    return get(L);
}

/* ---- fatal errors: nobody runs our loop who could raise them ---- */

struct telling {
    struct tcpm__lua_call call;
    const char *message;
    int anchor; /* the function on_fatal */
};

static void run_telling(lua_State *L, struct tcpm__lua_call *call)
{
    const struct telling *telling = (const struct telling *) call;

    lua_rawgeti(L, lua_upvalueindex(UP_ANCHORS), telling->anchor);
    lua_pushstring(L, telling->message);
    lua_call(L, 1, 0);
}

static void tell_fatal(const char *message, void *user)
{
    struct tcpm__lua_runtime *rt = user;
    struct telling telling = {
        .call.run = run_telling,
        .message = message,
        .anchor = rt->on_fatal,
    };
    char *raised = rt->on_fatal == 0 ? NULL : tcpm__lua_protect(rt, NULL, &telling.call);

    if (rt->on_fatal == 0)
        fprintf(stderr, "tcpmulti: %s\n", message);
    if (raised != NULL)
        fprintf(stderr, "tcpmulti: %s\ntcpmulti: on_fatal: %s\n", message, raised);
    tcpm__lua_message_free(raised);
}

/* ---- tcpmulti.attach(luv [, on_fatal]) ---- */

static void check_attachable(lua_State *L, const struct tcpm__lua_runtime *rt)
{
    const char *why = NULL;

    if (rt->engine == NULL)
        why = "the Lua state is closing";
    else if (rt->attached)
        why = "it is attached already";
    else if (rt->loop == NULL)
        why = "the host runs the loop";
    else if (rt->session_count > 0)
        why = "only before the first session";
    if (why != NULL)
        luaL_error(L, "tcpmulti.attach: %s", why);
}

static void keep_function(lua_State *L, struct tcpm__lua_runtime *rt)
{
    if (lua_isnoneornil(L, 2))
        return;
    lua_pushvalue(L, 2);
    rt->on_fatal = luaL_ref(L, lua_upvalueindex(UP_ANCHORS));
}

static int module_attach(lua_State *L)
{
    struct tcpm__lua_runtime *rt = tcpm__lua_runtime(L);

    tcpm__lua_check_dot(L);
    if (!lua_istable(L, 1))
        refuse_luv(L);
    if (!lua_isnoneornil(L, 2) && !lua_isfunction(L, 2))
        return luaL_error(L, "tcpmulti.attach: on_fatal must be a function, not %s",
                          tcpm__lua_describe(L, 2));
    lua_settop(L, 2);
    uv_loop_t *loop = find_loop(L);
    if (loop == rt->loop)
        return tcpm__lua_result(L, 0); /* the program has given its loop to luv */
    check_attachable(L, rt);
    if (!lua_pushthread(L))
        return luaL_error(L, "tcpmulti.attach: not in a coroutine, handlers run on the main state");
    lua_settop(L, 2);
    luaL_checkstack(L, LUA_MINSTACK, "for handlers");

    struct tcpm_engine *engine;
    int result = tcpm_engine_create(loop, NULL, &engine);
    if (result < 0)
        return tcpm__lua_failure(L, result);
    keep_function(L, rt);
    lua_settop(L, 1);
    tcpm__luv_set_walk(L, loop);
    library_of(module_attach, RTLD_NODELETE);
    rt->leaving = rt->engine;
    tcpm__lua_loop_close(rt);
    rt->engine = engine;
    rt->active = L;
    rt->attached = true;
    rt->exception = tell_fatal;
    rt->exception_user = rt;
    return tcpm__lua_result(L, 0);
}

const luaL_Reg tcpm__lua_attach_functions[] = {
    {"attach", module_attach},
    {NULL, NULL},
};
