/* SPDX-License-Identifier: MIT */
/*
 * require "luv" in a script: Debian's lua-luv, on the loop that our connections use. Before it
 * opens it is given our loop and our way to call Lua, so that an error in one of its callbacks ends
 * the run like one of ours instead of calling exit. Two of its functions would harm a shared loop
 * and are replaced: run, which must not be nested, and walk, which takes every handle for its own.
 * Nothing of luv is linked: where it is not installed, require says so and all else works.
 */
#include "runner.h"

#include <dlfcn.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>

#include "luv_handles.h"
#include "runtime.h"

/* Of luv.h: calls the function below its arguments; results, or minus the status of lua_pcall. */
typedef int luv_call(lua_State *L, int arguments, int results, int flags);

struct luv_library {
    void (*set_loop)(lua_State *L, uv_loop_t *loop);
    void (*set_callback)(lua_State *L, luv_call *call);
    lua_CFunction open;
};

#define CLOSING_KEY "tcpmulti-lua: luv is closing"
#define CLOSE_KEY   "tcpmulti-lua: luv.close"

static bool luv_is_closing(lua_State *L)
{
    bool closing;

    lua_getfield(L, LUA_REGISTRYINDEX, CLOSING_KEY);
    closing = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return closing;
}

static int call_callback(lua_State *L, int arguments, int results, int flags)
{
    int function = lua_gettop(L) - arguments, status;
    const char *message;
    size_t length;

    (void) flags;
    if (luv_is_closing(L)) {
        lua_settop(L, function - 1);
        return 0;
    }
    lua_pushcfunction(L, tcpm__runner_traceback);
    lua_insert(L, function);
    status = lua_pcall(L, arguments, results, function);
    lua_remove(L, function);
    if (status == 0)
        return results == LUA_MULTRET ? lua_gettop(L) - function + 1 : results;
    message = lua_tolstring(L, -1, &length);
    tcpm__lua_fatal(L, message, length);
    lua_settop(L, function - 1);
    return -status;
}

/* dlsym gives an object pointer; POSIX lets it hold a function. */
static bool find_symbol(void *library, const char *name, void *function)
{
    void *symbol = dlsym(library, name);

    memcpy(function, &symbol, sizeof(symbol));
    return symbol != NULL;
}

/* luv.so stays loaded until the process ends: its handles' code must outlive the Lua state. */
static bool open_library(const char *path, struct luv_library *luv)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);

    return library != NULL && find_symbol(library, "luv_set_loop", &luv->set_loop) &&
           find_symbol(library, "luv_set_callback", &luv->set_callback) &&
           find_symbol(library, "luaopen_luv", &luv->open);
}

/* Pushes where luv is; without it: raises what require would. */
static const char *search_luv(lua_State *L)
{
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "searchpath");
    lua_pushliteral(L, "luv");
    lua_getfield(L, -3, "cpath");
    lua_call(L, 2, 2);
    if (lua_isnil(L, -2))
        luaL_error(L, "module 'luv' not found:%s", lua_tostring(L, -1));
    lua_pop(L, 1);
    return lua_tostring(L, -1);
}

/* luv.run(): what runs is tcpmulti.run(), which raises when it is running already. */
static int run_loop(lua_State *L)
{
    const char *mode = luaL_optstring(L, 1, "default");

    if (strcmp(mode, "default") != 0)
        return luaL_error(L, "luv.run: no mode '%s' here, tcpmulti.run() runs the loop", mode);
    lua_settop(L, 0);
    lua_pushcfunction(L, tcpm__lua_run);
    lua_call(L, 0, 0);
    lua_pushboolean(L, 0);
    return 1;
}

/* Starts a watcher by the original, the upvalue, and tells who keeps the signals' dispositions. */
static int start_watcher(lua_State *L)
{
    int arguments = lua_gettop(L);
    uv_signal_t *watcher;

    luaL_checkstack(L, arguments + LUA_MINSTACK, "too many arguments");
    lua_pushvalue(L, lua_upvalueindex(1));
    for (int i = 1; i <= arguments; i++)
        lua_pushvalue(L, i);
    lua_call(L, arguments, LUA_MULTRET);
    watcher = *(uv_signal_t **) lua_touserdata(L, 1);
    if (uv_is_active((uv_handle_t *) watcher))
        tcpm__runner_signals_luv(watcher->signum);
    return lua_gettop(L) - arguments;
}

/* In the table on the stack's top. */
static void wrap_start(lua_State *L, const char *name)
{
    lua_getfield(L, -1, name);
    if (lua_isfunction(L, -1)) {
        lua_pushcclosure(L, start_watcher, 1);
        lua_setfield(L, -2, name);
    } else {
        lua_pop(L, 1);
    }
}

/* The methods of luv's watchers, and its functions in the table on the stack's top. */
static void wrap_signals(lua_State *L)
{
    wrap_start(L, "signal_start");
    wrap_start(L, "signal_start_oneshot");
    luaL_getmetatable(L, "uv_signal");
    if (lua_istable(L, -1)) {
        lua_getfield(L, -1, "__index");
        wrap_start(L, "start");
        wrap_start(L, "start_oneshot");
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

/* luv calls back on the state that has set the loop: the main one, since a coroutine may have been
   collected by then. The upvalue. */
static void set_loop(lua_State *L, const struct luv_library *luv)
{
    lua_State *main = lua_touserdata(L, lua_upvalueindex(1));

    luaL_checkstack(main, LUA_MINSTACK, "luv");
    luv->set_loop(main, tcpm__lua_loop(L));
}

static int load_luv(lua_State *L)
{
    struct luv_library luv;
    const char *path = search_luv(L);

    if (!open_library(path, &luv))
        return luaL_error(L, "module 'luv': %s cannot be used on a shared loop: %s", path,
                          dlerror());
    set_loop(L, &luv);
    luv.set_callback(L, call_callback);
    lua_pushcfunction(L, luv.open);
    lua_pushliteral(L, "luv");
    lua_call(L, 1, 1);
    lua_pushcfunction(L, run_loop);
    lua_setfield(L, -2, "run");
    tcpm__luv_set_walk(L, tcpm__lua_loop(L));
    lua_getfield(L, -1, "close");
    lua_setfield(L, LUA_REGISTRYINDEX, CLOSE_KEY);
    wrap_signals(L);
    return 1;
}

void tcpm__runner_luv_install(struct lua_State *L)
{
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "preload");
    lua_pushlightuserdata(L, L);
    lua_pushcclosure(L, load_luv, 1);
    lua_setfield(L, -2, "luv");
    lua_pop(L, 2);
    lua_pushboolean(L, 0);
    lua_setfield(L, LUA_REGISTRYINDEX, CLOSING_KEY);
}

/* By luv's own function: luv frees what belongs to a handle when its callback hears of the end. */
static int close_handles(lua_State *L)
{
    uv_loop_t *loop = lua_touserdata(L, 1);

    lua_settop(L, 0);
    lua_getfield(L, LUA_REGISTRYINDEX, CLOSE_KEY);
    tcpm__luv_push_handles(L, loop);
    for (int i = 1; i <= (int) lua_objlen(L, 2); i++) {
        lua_pushvalue(L, 1);
        lua_rawgeti(L, 2, i);
        if (uv_is_closing(*(uv_handle_t **) lua_touserdata(L, -1)))
            lua_pop(L, 2);
        else
            lua_call(L, 1, 0);
    }
    return 0;
}

static void close_luv_handle(uv_handle_t *handle, void *L)
{
    if (!uv_is_closing(handle) && tcpm__luv_owns(L, handle))
        uv_close(handle, NULL);
}

void tcpm__runner_luv_close(struct lua_State *L, uv_loop_t *loop)
{
    lua_pushboolean(L, 1);
    lua_setfield(L, LUA_REGISTRYINDEX, CLOSING_KEY);
    if (lua_cpcall(L, close_handles, loop) != 0) {
        lua_pop(L, 1);
        uv_walk(loop, close_luv_handle, L); /* no memory: the process ends, and leaks with it */
    }
}
