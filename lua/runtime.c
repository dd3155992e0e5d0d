/* SPDX-License-Identifier: MIT */
/*
 * Opening the module on a Lua state: the runtime with its tables, the functions with their
 * upvalues, the parts that are written in Lua, and in a plain luajit the loop and the engine.
 *
 * The runtime is userdata that the registry holds, so it outlives every finalizer that lua_close
 * runs; closing it only empties it, and what is called afterwards finds no connection and no
 * session.
 */
#include "lua_filter.h"
#include "parts.h"
#include "protect.h"
#include "runtime.h"
#include "tcpmulti_lua.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

struct runtime *tcpm__lua_find(lua_State *L)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, TCPM__LUA_RUNTIME);
    struct runtime *rt = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return rt;
}

struct link *tcpm__lua_link_keep(struct link *link)
{
    link->references++;
    return link;
}

void tcpm__lua_link_drop(struct link *link)
{
    if (link != NULL && --link->references == 0)
        free(link);
}

void tcpm__lua_clear(struct runtime *rt, int table_reference, int key)
{
    lua_State *L = rt->keeper;
    lua_rawgeti(L, LUA_REGISTRYINDEX, table_reference);
    lua_pushboolean(L, 0);
    lua_rawseti(L, -2, key);
    lua_pop(L, 1);
}

void tcpm__lua_unref(struct runtime *rt, int reference)
{
    lua_State *L = rt->keeper;
    lua_rawgeti(L, LUA_REGISTRYINDEX, rt->anchors_reference);
    luaL_unref(L, -1, reference);
    lua_pop(L, 1);
}

/* ---- opening ---- */

/* The tables of a module that is being opened, by their place on the stack. */
enum opening {
    AT_RUNTIME = 1,
    AT_CHEAPS,
    AT_PLACES,
    AT_ANCHORS,
    AT_CORE,
    AT_MODULE,
    AT_METHODS,
    AT_LIBRARY,
};

static void push_closure(lua_State *L, lua_CFunction function)
{
    for (int at = AT_RUNTIME; at <= AT_CORE; at++)
        lua_pushvalue(L, at);
    lua_pushcclosure(L, function, UP_COUNT);
}

static void set_functions(lua_State *L, int table, const luaL_Reg *list)
{
    for (; list->name != NULL; list++) {
        push_closure(L, list->func);
        lua_setfield(L, table, list->name);
    }
}

static void set_place(lua_State *L, enum own_place place)
{
    lua_rawseti(L, AT_PLACES, (int) place);
}

static void push_weak(lua_State *L, const char *mode)
{
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushstring(L, mode);
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
}

/* A metatable that is its own __index. */
static void set_methods(lua_State *L, enum own_place place, const luaL_Reg *list)
{
    lua_newtable(L);
    set_functions(L, lua_gettop(L), list);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
    set_place(L, place);
}

/* The runtime's own places, in order: the table is to have an array, and it must never need to
   grow when C puts something back. */
static void fill_own_places(lua_State *L, struct runtime *rt)
{
    for (int place = OWN_FREE; place < OWN_COUNT; place++) {
        lua_pushboolean(L, 0);
        set_place(L, (enum own_place) place);
    }
    push_weak(L, "k");
    set_place(L, OWN_ENDED);
    push_weak(L, "v");
    set_place(L, OWN_IDLE);
    lua_createtable(L, 0, 2);
    push_closure(L, tcpm__lua_finalize);
    lua_setfield(L, -2, "__gc");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    set_place(L, OWN_FINALIZER_METATABLE);
    lua_createtable(L, 0, 2);
    lua_pushvalue(L, AT_METHODS);
    lua_setfield(L, -2, "__index");
    push_closure(L, tcpm__lua_cheap_tostring);
    lua_setfield(L, -2, "__tostring");
    set_place(L, OWN_CHEAP_METATABLE);
    set_methods(L, OWN_FILTER_METATABLE, tcpm__lua_filter_functions);
    set_methods(L, OWN_CODEC_METATABLE, tcpm__lua_codec_functions);
    lua_pushcfunction(L, tcpm__lua_traceback);
    set_place(L, OWN_TRACEBACK);
    push_closure(L, tcpm__lua_keep_traceback);
    set_place(L, OWN_KEEP_TRACEBACK);
    push_closure(L, tcpm__lua_trampoline);
    set_place(L, OWN_TRAMPOLINE);
    push_closure(L, tcpm__lua_module_run);
    set_place(L, OWN_RUN);
    lua_pushcfunction(L, tcpm__lua_enter_alarm);
    set_place(L, OWN_ENTER_ALARM);
    rt->keeper = lua_newthread(L);
    set_place(L, OWN_KEEPER);
}

static int reference(lua_State *L, int at)
{
    lua_pushvalue(L, at);
    return luaL_ref(L, LUA_REGISTRYINDEX);
}

static struct runtime *push_runtime(lua_State *L)
{
    struct runtime *rt = lua_newuserdata(L, sizeof *rt);
    memset(rt, 0, sizeof *rt);
    rt->self = rt;
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, tcpm__lua_collect);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    rt->active = L;
    return rt;
}

/* One part written in Lua: it gets core and the module, and adds to them; its globals are ours. */
static void load_part(lua_State *L, const struct tcpm__lua_part *part)
{
    if (luaL_loadbuffer(L, part->source, part->length, part->name) != 0)
        lua_error(L);
    lua_pushvalue(L, AT_LIBRARY);
    lua_setfenv(L, -2);
    lua_pushvalue(L, AT_CORE);
    lua_pushvalue(L, AT_MODULE);
    lua_call(L, 2, 0);
}

/* What the Lua parts find in core beside the functions. */
static void fill_core(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"state", tcpm__lua_state},
        {"tally", tcpm__lua_tally},
        {"as", tcpm__lua_as},
        {"start", tcpm__lua_start},
        {"stdin", tcpm__lua_stdin},
        {"filter", tcpm__lua_filter_make},
        {"is_filter", tcpm__lua_is_filter},
        {"warn", tcpm__lua_warn},
        {"time", tcpm__lua_time},
        {"describe", tcpm__lua_core_describe},
        {"escape", tcpm__lua_escape},
        {"cheap_tostring", tcpm__lua_cheap_tostring},
        {NULL, NULL},
    };
    for (int part = PART_CHECK_CONNECT; part <= PART_FILTER; part++) {
        lua_pushboolean(L, 0);
        lua_rawseti(L, AT_CORE, part);
    }
    set_functions(L, AT_CORE, functions);
    set_functions(L, AT_CORE, tcpm__lua_lifetime_functions);
    set_functions(L, AT_CORE, tcpm__lua_task_functions);
    lua_newtable(L);
    set_functions(L, lua_gettop(L), tcpm__lua_session_functions);
    lua_setfield(L, AT_CORE, "session_methods");
    lua_pushvalue(L, AT_METHODS);
    lua_setfield(L, AT_CORE, "cheap_methods");
}

/* The metatables that the Lua parts have made. */
static void take_metatable(lua_State *L, const char *name, enum own_place place)
{
    lua_getfield(L, AT_CORE, name);
    set_place(L, place);
}

static void open_parts(lua_State *L)
{
    for (const struct tcpm__lua_part *part = tcpm__lua_parts; part->name != NULL; part++)
        load_part(L, part);
    take_metatable(L, "session_metatable", OWN_SESSION_METATABLE);
    take_metatable(L, "strict_metatable", OWN_STRICT_METATABLE);
}

/* Builds everything but the engine; leaves the module on top of the stack, which must be empty. */
struct runtime *tcpm__lua_open_tables(lua_State *L)
{
    struct runtime *rt = push_runtime(L);
    for (int at = AT_CHEAPS; at <= AT_METHODS; at++)
        lua_newtable(L);
    tcpm__lua_push_library(L);
    lua_pushinteger(L, 0); /* luaL_unref's free list, so that it never needs memory */
    lua_rawseti(L, AT_ANCHORS, 0);
    rt->cheaps_reference = reference(L, AT_CHEAPS);
    rt->places_reference = reference(L, AT_PLACES);
    rt->anchors_reference = reference(L, AT_ANCHORS);
    fill_own_places(L, rt);
    set_functions(L, AT_METHODS, tcpm__lua_cheap_functions);
    set_functions(L, AT_MODULE, tcpm__lua_cheap_functions);
    set_functions(L, AT_MODULE, tcpm__lua_module_functions);
    lua_pushstring(L, tcpm_version());
    lua_setfield(L, AT_MODULE, "version");
    fill_core(L);
    open_parts(L);
    lua_pushvalue(L, AT_RUNTIME);
    lua_rawseti(L, LUA_REGISTRYINDEX, TCPM__LUA_RUNTIME);
    lua_pushvalue(L, AT_MODULE);
    lua_rawseti(L, LUA_REGISTRYINDEX, TCPM__LUA_MODULE);
    lua_settop(L, AT_MODULE);
    return rt;
}

struct link *tcpm__lua_link_new(void)
{
    struct link *link = calloc(1, sizeof *link);
    if (link != NULL)
        link->references = 1;
    return link;
}

void tcpm__lua_link_set(struct runtime *rt, struct link *link)
{
    rt->link = link;
    link->runtime = rt;
}

/* Where there is no /dev/null, what can neither be read nor written takes the number. */
static int open_nowhere(void)
{
    int descriptor = open("/dev/null", O_RDWR);
    return descriptor >= 0 ? descriptor : open("/", O_PATH | O_DIRECTORY);
}

/* libuv aborts when it has to close a descriptor of its own with a number below 3, which is what
   the loop's would have in a process that was started with those closed. */
void tcpm__lua_fill_descriptors(void)
{
    int descriptor;
    do
        descriptor = open_nowhere();
    while (descriptor >= 0 && descriptor <= STDERR_FILENO);
    if (descriptor >= 0)
        close(descriptor);
}

/* libuv makes an epoll set, a ring of io_uring where it knows that, and a pipe, and aborts where it
   cannot make the pipe. Two pipes are as many. */
static int try_descriptors(void)
{
    int first[2], second[2];
    if (pipe2(first, O_CLOEXEC) < 0)
        return -errno;
    int result = pipe2(second, O_CLOEXEC) < 0 ? -errno : 0;
    if (result == 0) {
        close(second[0]);
        close(second[1]);
    }
    close(first[0]);
    close(first[1]);
    return result;
}

/* A loop and an engine of our own. */
static int open_engine(struct runtime *rt)
{
    tcpm__lua_fill_descriptors();
    struct link *link = tcpm__lua_link_new();
    uv_loop_t *loop = malloc(sizeof *loop);
    int result = link == NULL || loop == NULL ? -ENOMEM : try_descriptors();
    if (result == 0)
        result = uv_loop_init(loop);
    if (result < 0)
        goto fail;
    result = tcpm_engine_create(loop, NULL, &rt->engine);
    if (result == 0) {
        rt->loop = loop;
        tcpm__lua_link_set(rt, link);
        return 0;
    }
    uv_loop_close(loop);
fail:
    free(loop);
    free(link);
    return result;
}

int luaopen_tcpmulti(lua_State *L)
{
    struct runtime *rt = tcpm__lua_find(L);
    if (rt != NULL && rt->engine != NULL) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, TCPM__LUA_MODULE);
        return 1;
    }
    lua_settop(L, 0);
    rt = tcpm__lua_open_tables(L);
    int result = open_engine(rt);
    if (result < 0)
        return luaL_error(L, "tcpmulti: cannot start: %s", tcpm_error_text(result));
    return 1;
}
