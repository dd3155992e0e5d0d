/* SPDX-License-Identifier: MIT */
/*
 * Opening the module on a Lua state: the runtime with its tables, functions with their upvalues,
 * the parts written in Lua, and in a plain luajit the module's own loop and engine.
 *
 * The runtime is userdata in the registry, so it outlives every finalizer that lua_close runs.
 * Closing the module only empties the runtime; later calls find no connection and no session.
 */
#include "functions.h"

#include <string.h>

#include "parts.h"
#include "runtime.h"
#include "tcpmulti_lua.h"

/* ---- the functions of the module: lists that stand beside their code ---- */

static const luaL_Reg *const cheap_methods[] = {
    tcpm__lua_attempt_methods, tcpm__lua_cheap_methods, tcpm__lua_input_methods,
    tcpm__lua_send_methods,    tcpm__lua_tls_methods,   NULL,
};

static const luaL_Reg *const session_methods[] = {
    tcpm__lua_session_methods,
    tcpm__lua_send_session_methods,
    NULL,
};

static const luaL_Reg *const module_functions[] = {
    tcpm__lua_attach_functions,
    tcpm__lua_connect_functions,
    tcpm__lua_dump_functions,
    tcpm__lua_module_functions,
    tcpm__lua_resp_functions,
    tcpm__lua_run_functions,
    NULL,
};

static const luaL_Reg *const shared_functions[] = {
    tcpm__lua_cheap_shared,      tcpm__lua_child_shared,     tcpm__lua_co_shared,
    tcpm__lua_task_owner_shared, tcpm__lua_resume_shared,    tcpm__lua_dialogue_shared,
    tcpm__lua_run_shared,        tcpm__lua_filter_shared,    tcpm__lua_lifetime_shared,
    tcpm__lua_misuse_shared,     tcpm__lua_module_shared,    tcpm__lua_names_shared,
    tcpm__lua_proxies_shared,    tcpm__lua_session_shared,   tcpm__lua_spelling_shared,
    tcpm__lua_stdin_shared,      tcpm__lua_tally_shared,     tcpm__lua_task_shared,
    tcpm__lua_tls_shared,        tcpm__lua_traceback_shared, NULL,
};

/* All functions that scripts call by name, for error messages. */
static const luaL_Reg *const *const public_functions[] = {
    cheap_methods,
    session_methods,
    module_functions,
    NULL,
};

/* ---- opening ---- */

/* The tables of a module that is being opened, by stack index. */
enum opening {
    AT_RUNTIME = 1,
    AT_CHEAPS,
    AT_CELLS,
    AT_ANCHORS,
    AT_SHARED,
    AT_MODULE,
    AT_METHODS,
    AT_LIBRARY,
};

static void push_closure(lua_State *L, lua_CFunction function)
{
    for (int at = AT_RUNTIME; at <= AT_SHARED; at++)
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

static void set_lists(lua_State *L, int table, const luaL_Reg *const *lists)
{
    for (; *lists != NULL; lists++)
        set_functions(L, table, *lists);
}

static void set_cell(lua_State *L, enum tcpm__lua_own_cell cell)
{
    lua_rawseti(L, AT_CELLS, (int) cell);
}

static void push_weak(lua_State *L, const char *mode)
{
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushstring(L, mode);
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
}

/* Pushes a metatable that is its own __index. */
static void push_methods(lua_State *L, const luaL_Reg *list)
{
    lua_newtable(L);
    set_functions(L, lua_gettop(L), list);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
}

/* Pushes a metatable with one function, which a script can neither see nor change. */
static void push_hidden(lua_State *L, const char *name, lua_CFunction function)
{
    lua_createtable(L, 0, 2);
    push_closure(L, function);
    lua_setfield(L, -2, name);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
}

/* Fills the runtime's own cells in order, so that the table gets an array part and never has to
   grow when C stores into a cell. */
static void fill_own_cells(lua_State *L, struct tcpm__lua_runtime *rt)
{
    for (int cell = OWN_FREE; cell < OWN_COUNT; cell++) {
        lua_pushboolean(L, 0);
        set_cell(L, (enum tcpm__lua_own_cell) cell);
    }
    push_weak(L, "k");
    set_cell(L, OWN_ENDED);
    push_weak(L, "v");
    set_cell(L, OWN_IDLE);
    push_hidden(L, "__gc", tcpm__lua_session_finalize);
    set_cell(L, OWN_FINALIZER_METATABLE);
    lua_createtable(L, 0, 2);
    lua_pushvalue(L, AT_METHODS);
    lua_setfield(L, -2, "__index");
    push_closure(L, tcpm__lua_cheap_tostring);
    lua_setfield(L, -2, "__tostring");
    set_cell(L, OWN_CHEAP_METATABLE);
    push_methods(L, tcpm__lua_filter_methods);
    push_closure(L, tcpm__lua_codec_clone);
    lua_setfield(L, -2, "clone");
    set_cell(L, OWN_FILTER_METATABLE);
    push_methods(L, tcpm__lua_codec_methods);
    set_cell(L, OWN_CODEC_METATABLE);
    push_hidden(L, "__gc", tcpm__lua_tls_collect);
    set_cell(L, OWN_TLS_METATABLE);
    push_hidden(L, "__tostring", tcpm__lua_resp_error_tostring);
    set_cell(L, OWN_RESP_METATABLE);
    lua_pushcfunction(L, tcpm__lua_traceback);
    set_cell(L, OWN_TRACEBACK);
    push_closure(L, tcpm__lua_keep_traceback);
    set_cell(L, OWN_KEEP_TRACEBACK);
    push_closure(L, tcpm__lua_trampoline);
    set_cell(L, OWN_TRAMPOLINE);
    lua_getfield(L, AT_MODULE, "run");
    set_cell(L, OWN_RUN);
    lua_pushcfunction(L, tcpm__lua_store_alarm);
    set_cell(L, OWN_STORE_ALARM);
    rt->keeper = lua_newthread(L);
    set_cell(L, OWN_KEEPER);
}

static int reference(lua_State *L, int at)
{
    lua_pushvalue(L, at);
    return luaL_ref(L, LUA_REGISTRYINDEX);
}

static struct tcpm__lua_runtime *push_runtime(lua_State *L)
{
    struct tcpm__lua_runtime *rt = lua_newuserdata(L, sizeof *rt);

    memset(rt, 0, sizeof *rt);
    rt->self = rt;
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, tcpm__lua_runtime_collect);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    rt->active = L;
    return rt;
}

/* Loads one part written in Lua. The part gets shared and the module, and adds to them; its globals
   are a copy of the standard library. */
static void load_part(lua_State *L, const struct tcpm__lua_source *part, int third)
{
    if (luaL_loadbuffer(L, part->source, part->length, part->name) != 0)
        lua_error(L);
    lua_pushvalue(L, AT_LIBRARY);
    lua_setfenv(L, -2);
    lua_pushvalue(L, AT_SHARED);
    lua_pushvalue(L, AT_MODULE);
    lua_pushvalue(L, third);
    lua_call(L, 3, 0);
}

/* Fills the table shared before the parts are loaded. */
static void fill_shared(lua_State *L)
{
    for (int part = PART_NONE + 1; part < PART_COUNT; part++) {
        lua_pushboolean(L, 0);
        lua_rawseti(L, AT_SHARED, part);
    }
    set_lists(L, AT_SHARED, shared_functions);
    lua_newtable(L);
    set_lists(L, lua_gettop(L), session_methods);
    lua_setfield(L, AT_SHARED, "session_methods");
    lua_pushvalue(L, AT_METHODS);
    lua_setfield(L, AT_SHARED, "cheap_methods");
    lua_newtable(L);
    for (int cell = ON_INITIALIZE; cell <= ON_EXCEPTION; cell++) {
        lua_pushstring(L, tcpm__lua_option_names[cell]);
        lua_rawseti(L, -2, cell);
    }
    lua_setfield(L, AT_SHARED, "handler_names");
    lua_pushliteral(L, TCPM__LUA_LINK);
    lua_setfield(L, AT_SHARED, "LINK");
}

/* Copies functions of the parts from their names to the indices where C finds them. */
static void adopt_functions(lua_State *L)
{
#define ADOPT(NAME, name)             \
    lua_getfield(L, AT_SHARED, name); \
    lua_rawseti(L, AT_SHARED, PART_##NAME);
    TCPM__LUA_PARTS(ADOPT)
#undef ADOPT
}

/* Stores a table that a part has made. */
static void adopt_table(lua_State *L, const char *name, enum tcpm__lua_own_cell cell)
{
    lua_getfield(L, AT_SHARED, name);
    set_cell(L, cell);
}

/* ---- parts that are loaded later ---- */

/* Puts this function's upvalues where load_part and the like find them, as at the opening. */
static void lay_out(lua_State *L)
{
    lua_settop(L, 0);
    for (int upvalue = 1; upvalue <= UP_COUNT; upvalue++)
        lua_pushvalue(L, lua_upvalueindex(upvalue));
    lua_rawgeti(L, LUA_REGISTRYINDEX, TCPM__LUA_MODULE);
    lua_getfield(L, AT_SHARED, "cheap_methods");
    lua_getfield(L, AT_SHARED, "library");
}

/* shared.load_filters(): the filters written in Lua enter their constructors into shared */
static int shared_load_filters(lua_State *L)
{
    luaL_checkstack(L, LUA_MINSTACK, "filters");
    lay_out(L);
    for (const struct tcpm__lua_source *part = tcpm__lua_filter_sources; part->name != NULL; part++)
        load_part(L, part, AT_METHODS);
    return 0;
}

/* The loader of tcpmulti.co -> its table */
static int load_co(lua_State *L)
{
    enum { AT_CO = AT_LIBRARY + 1 };
    struct tcpm__lua_runtime *rt = tcpm__lua_runtime(L);

    if (rt->engine == NULL)
        return luaL_error(L, "tcpmulti.co: the Lua state is closing");
    luaL_checkstack(L, LUA_MINSTACK, "tcpmulti.co");
    lay_out(L);
    lua_getfield(L, AT_SHARED, "co_module");
    if (!lua_isnil(L, AT_CO))
        return 1;
    lua_pop(L, 1);
    lua_newtable(L);
    for (const struct tcpm__lua_source *part = tcpm__lua_co_sources; part->name != NULL; part++)
        load_part(L, part, AT_CO);
    adopt_functions(L);
    int result = tcpm__lua_home_open(rt);
    if (result < 0)
        return luaL_error(L, "tcpmulti.co: %s", tcpm_error_text(result));
    tcpm__lua_dialogues_open(rt);
    lua_pushvalue(L, AT_CO);
    lua_setfield(L, AT_SHARED, "co_module");
    return 1;
}

/* package.preload["tcpmulti.co"] = load_co */
static void offer_co(lua_State *L)
{
    lua_getfield(L, LUA_REGISTRYINDEX, "_PRELOAD");
    if (lua_istable(L, -1)) {
        push_closure(L, load_co);
        lua_setfield(L, -2, "tcpmulti.co");
    }
    lua_pop(L, 1);
}

static void open_parts(lua_State *L)
{
    for (const struct tcpm__lua_source *part = tcpm__lua_sources; part->name != NULL; part++)
        load_part(L, part, AT_METHODS);
    adopt_functions(L);
    adopt_table(L, "session_metatable", OWN_SESSION_METATABLE);
    adopt_table(L, "strict_metatable", OWN_STRICT_METATABLE);
}

struct tcpm__lua_runtime *tcpm__lua_open_tables(lua_State *L)
{
    struct tcpm__lua_runtime *rt = push_runtime(L);

    for (int at = AT_CHEAPS; at <= AT_METHODS; at++)
        lua_newtable(L);
    tcpm__lua_push_library(L);
    TCPM__LUA_ASSERT(lua_gettop(L) == AT_LIBRARY);
    lua_pushinteger(L, 0); /* head of luaL_unref's free list, which so never needs memory */
    lua_rawseti(L, AT_ANCHORS, 0);
    rt->cheaps_reference = reference(L, AT_CHEAPS);
    rt->cells_reference = reference(L, AT_CELLS);
    rt->anchors_reference = reference(L, AT_ANCHORS);
    rt->events = &tcpm__lua_events;
    rt->public_functions = public_functions;
    set_lists(L, AT_METHODS, cheap_methods);
    set_lists(L, AT_MODULE, cheap_methods);
    set_lists(L, AT_MODULE, module_functions);
    fill_own_cells(L, rt);
    lua_pushstring(L, tcpm_version());
    lua_setfield(L, AT_MODULE, "version");
    fill_shared(L);
    lua_pushvalue(L, AT_LIBRARY);
    lua_setfield(L, AT_SHARED, "library");
    push_closure(L, shared_load_filters);
    lua_setfield(L, AT_SHARED, "load_filters");
    open_parts(L);
    offer_co(L);
    tcpm__lua_offer_modules(L, AT_LIBRARY);
    lua_pushvalue(L, AT_RUNTIME);
    lua_rawseti(L, LUA_REGISTRYINDEX, TCPM__LUA_RUNTIME);
    lua_pushvalue(L, AT_MODULE);
    lua_rawseti(L, LUA_REGISTRYINDEX, TCPM__LUA_MODULE);
    TCPM__LUA_ASSERT(lua_gettop(L) == AT_LIBRARY);
    lua_settop(L, AT_MODULE);
    return rt;
}

int tcpm__lua_open_own(lua_State *L, const struct tcpm_engine_options *options_or_null)
{
    struct tcpm__lua_runtime *rt = tcpm__lua_runtime_find(L);

    if (rt != NULL && rt->engine != NULL) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, TCPM__LUA_MODULE);
        return 1;
    }
    lua_settop(L, 0);
    rt = tcpm__lua_open_tables(L);
    int result = tcpm__lua_loop_open(rt, options_or_null);
    if (result < 0)
        return luaL_error(L, "tcpmulti: cannot start: %s", tcpm_error_text(result));
    return 1;
}

int luaopen_tcpmulti(lua_State *L)
{
    return tcpm__lua_open_own(L, NULL);
}

/* require "tcpmulti.co" in a plain luajit, which finds it in tcpmulti.so. */
TCPM_API int luaopen_tcpmulti_co(lua_State *L)
{
    tcpm__lua_open_own(L, NULL);
    lua_getfield(L, LUA_REGISTRYINDEX, "_PRELOAD");
    lua_getfield(L, -1, "tcpmulti.co");
    lua_call(L, 0, 1);
    return 1;
}
