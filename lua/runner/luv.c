/* SPDX-License-Identifier: MIT */
/*
 * require "luv" in a script: Debian's lua-luv, on the loop that our connections use. Before luv
 * opens, luv is given our loop and our way to call Lua, so that an error in a callback of luv ends
 * the run like an error of ours instead of calling exit. Two functions of luv would harm a shared
 * loop and are replaced: run, which must not be nested, and walk, which takes every handle of the
 * loop for luv's own. Nothing of luv is linked: where luv is not installed, require says so and
 * everything else works.
 */
#include "runner.h"

#include <dlfcn.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>

#include "assert.h"
#include "luv_handles.h"
#include "runtime.h"

/* From luv.h. Calls the function that lies below its arguments on the stack. Returns the number of
   results, or minus the status of lua_pcall. */
typedef int luv_call(lua_State *L, int arguments, int results, int flags);

struct luv_library {
    void (*set_loop)(lua_State *L, uv_loop_t *loop);
    void (*set_callback)(lua_State *L, luv_call *call);
    lua_CFunction open;
};

/* Keys of the registry. */
#define CLOSING_KEY "tcpmulti-lua: luv is closing" /* a boolean */
#define CLOSE_KEY   "tcpmulti-lua: luv.close"      /* luv's own function close */

static bool luv_is_closing(lua_State *L)
{
    lua_getfield(L, LUA_REGISTRYINDEX, CLOSING_KEY);
    bool closing = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return closing;
}

/* luv calls its callbacks in Lua through this function. */
static int on_callback(lua_State *L, int arguments, int results, int flags)
{
    int function = lua_gettop(L) - arguments;

    (void) flags;
    TCPM__LUA_ASSERT(function >= 1);
    if (luv_is_closing(L)) {
        lua_settop(L, function - 1);
        return 0;
    }
    lua_pushcfunction(L, tcpm__runner_report_traceback);
    lua_insert(L, function);
    int status = lua_pcall(L, arguments, results, function);
    lua_remove(L, function);
    if (status == 0)
        return results == LUA_MULTRET ? lua_gettop(L) - function + 1 : results;
    size_t length;
    const char *message = lua_tolstring(L, -1, &length);
    tcpm__lua_fatal_outside(L, message, length);
    lua_settop(L, function - 1);
    return -status;
}

/* Stores the symbol's address in *function. dlsym returns a pointer to an object, which POSIX
   allows to hold the address of a function. */
static bool find_symbol(void *library, const char *name, void *function)
{
    void *symbol = dlsym(library, name);

    memcpy(function, &symbol, sizeof symbol);
    return symbol != NULL;
}

/* luv.so stays loaded until the process ends: the code of luv's handles must outlive the Lua state.
 */
static bool open_library(const char *path, struct luv_library *luv)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);

    return library != NULL && find_symbol(library, "luv_set_loop", &luv->set_loop) &&
           find_symbol(library, "luv_set_callback", &luv->set_callback) &&
           find_symbol(library, "luaopen_luv", &luv->open);
}

/* Pushes and returns the path of luv.so. Where luv is not installed: raises as require does. */
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

/* Replaces luv.run by tcpmulti.run, which raises if the loop is running already. */
static int run_loop(lua_State *L)
{
    const char *mode = luaL_optstring(L, 1, "default");

    if (strcmp(mode, "default") != 0)
        return luaL_error(L, "luv.run: no mode '%s' here, tcpmulti.run() runs the loop", mode);
    lua_settop(L, 0);
    lua_pushcfunction(L, tcpm__lua_call_run);
    lua_call(L, 0, 0);
    lua_pushboolean(L, 0);
    return 1;
}

/* Starts a signal watcher by luv's original function, the upvalue, and tells signals.c, which keeps
   the dispositions. */
static int start_watcher(lua_State *L)
{
    int arguments = lua_gettop(L);

    luaL_checkstack(L, arguments + LUA_MINSTACK, "too many arguments");
    lua_pushvalue(L, lua_upvalueindex(1));
    for (int i = 1; i <= arguments; i++)
        lua_pushvalue(L, i);
    lua_call(L, arguments, LUA_MULTRET);
    const uv_signal_t *watcher = *(uv_signal_t **) lua_touserdata(L, 1);
    if (uv_is_active((const uv_handle_t *) watcher))
        tcpm__runner_signals_note_luv(watcher->signum);
    return lua_gettop(L) - arguments;
}

/* Wraps one function of the table on top of the stack, if the function is there. */
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

/* Wraps what starts a signal watcher: the methods of watchers, and the functions in the table of
   luv, which is on top of the stack. */
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

/* luv calls back on the state that has set the loop. That must be the main state, the upvalue: a
   coroutine may have been collected by then. */
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
    luv.set_callback(L, on_callback);
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
    lua_pushboolean(L, false);
    lua_setfield(L, LUA_REGISTRYINDEX, CLOSING_KEY);
}

/* Closes luv's handles by luv's own function close, whose callback frees what belongs to a
   handle. */
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

static void on_walk_close(uv_handle_t *handle, void *L)
{
    if (!uv_is_closing(handle) && tcpm__luv_owns(L, handle))
        uv_close(handle, NULL);
}

void tcpm__runner_luv_close(struct lua_State *L, uv_loop_t *loop)
{
    lua_pushboolean(L, true);
    lua_setfield(L, LUA_REGISTRYINDEX, CLOSING_KEY);
    if (lua_cpcall(L, close_handles, loop) != 0) {
        lua_pop(L, 1);
        uv_walk(loop, on_walk_close, L); /* out of memory: luv's own memory of them leaks */
    }
}
