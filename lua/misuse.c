/* SPDX-License-Identifier: MIT */
/*
 * What a script is told about a wrong argument. Calls that find one end here; nothing here runs on
 * the way of a call that is right.
 */
#include "binding.h"

#include <string.h>

#define MAX_SHOWN 40 /* bytes of a wrong value that its error message shows */

static bool is_module(lua_State *L, int index)
{
    lua_pushvalue(L, index);
    lua_rawgeti(L, LUA_REGISTRYINDEX, TCPM__LUA_MODULE);
    bool same = lua_istable(L, -1) && lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return same;
}

bool tcpm__lua_has_metatable(lua_State *L, int index, enum own_place place)
{
    if (!lua_getmetatable(L, index))
        return false;
    lua_rawgeti(L, lua_upvalueindex(UP_PLACES), (int) place);
    bool same = lua_rawequal(L, -1, -2) != 0;
    lua_pop(L, 2);
    return same;
}

/* A value that is no string and no number, with its article. */
static const char *describe_object(lua_State *L, int index)
{
    if (is_module(L, index))
        return "the module tcpmulti";
    if (tcpm__lua_has_metatable(L, index, OWN_SESSION_METATABLE))
        return "a session";
    if (tcpm__lua_has_metatable(L, index, OWN_CHEAP_METATABLE) ||
        tcpm__lua_has_metatable(L, index, OWN_STRICT_METATABLE))
        return "a connection heap";
    if (tcpm__lua_has_metatable(L, index, OWN_FILTER_METATABLE))
        return "a filter";
    return lua_pushfstring(L, "a %s", luaL_typename(L, index));
}

static const char *describe_string(lua_State *L, int index)
{
    char text[MAX_SHOWN + 1];
    size_t length;
    const char *bytes = lua_tolstring(L, index, &length);
    size_t shown = length < MAX_SHOWN ? length : MAX_SHOWN;
    for (size_t i = 0; i < shown; i++)
        text[i] = (char) (bytes[i] < ' ' || bytes[i] > '~' ? '?' : bytes[i]);
    text[shown] = '\0';
    return lua_pushfstring(L, "'%s%s'", text, shown < length ? "..." : "");
}

const char *tcpm__lua_describe(lua_State *L, int index)
{
    if (index < 0)
        index += lua_gettop(L) + 1;
    switch (lua_type(L, index)) {
    case LUA_TNONE:
    case LUA_TNIL:
        return "nil";
    case LUA_TBOOLEAN:
        return lua_toboolean(L, index) ? "true" : "false";
    case LUA_TNUMBER:
        lua_pushvalue(L, index);
        return lua_tostring(L, -1);
    case LUA_TSTRING:
        return describe_string(L, index);
    default:
        return describe_object(L, index);
    }
}

/* core.describe(value) -> text */
int tcpm__lua_core_describe(lua_State *L)
{
    lua_settop(L, 1);
    lua_pushstring(L, tcpm__lua_describe(L, 1));
    return 1;
}

/* By the lists of functions and not by what the interpreter knows, which is nothing where the
   script has made a tail call: return cheap.send("x"). */
const char *tcpm__lua_name(lua_State *L)
{
    static const luaL_Reg *const lists[] = {
        tcpm__lua_cheap_functions,
        tcpm__lua_session_functions,
        tcpm__lua_module_functions,
    };
    lua_Debug info;
    if (!lua_getstack(L, 0, &info) || !lua_getinfo(L, "f", &info))
        return "tcpmulti";
    lua_CFunction running = lua_tocfunction(L, -1);
    lua_pop(L, 1);
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        for (const luaL_Reg *function = lists[i]; function->name != NULL; function++)
            if (function->func == running)
                return function->name;
    return "tcpmulti";
}

void tcpm__lua_check_dot(lua_State *L)
{
    if (!lua_istable(L, 1) || !is_module(L, 1))
        return;
    luaL_error(L, "tcpmulti.%s: called with a colon instead of a dot", tcpm__lua_name(L));
}

int tcpm__lua_misuse(lua_State *L, int index, const char *expected)
{
    tcpm__lua_check_dot(L);
    return luaL_error(L, "%s: %s expected (a dot instead of a colon?), not %s", tcpm__lua_name(L),
                      expected, tcpm__lua_describe(L, index));
}

void tcpm__lua_check_named(lua_State *L, int index)
{
    int type = lua_type(L, index);
    if (type != LUA_TTABLE && type != LUA_TNUMBER)
        tcpm__lua_misuse(L, index, "connection heap or id");
    tcpm__lua_check_dot(L);
}

/* ---- names of errors ---- */

#define LAST_ERRNO 200

static void add_error(lua_State *L, int code)
{
    const char *name = tcpm_error_name(code);
    if (tcpm_error_code(name) != code)
        return; /* no name of its own */
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, name);
}

/* Pushes a table whose keys are the names of all errors. */
static void push_errors(lua_State *L)
{
    lua_newtable(L);
    for (int code = 1; code < LAST_ERRNO; code++)
        add_error(L, -code);
#define ADD_ERROR(NAME, code, text) add_error(L, (code));
    TCPM_ERRORS(ADD_ERROR)
#undef ADD_ERROR
}

int tcpm__lua_unknown_error(lua_State *L, int index)
{
    tcpm__lua_check_cheap(L);
    lua_getfield(L, lua_upvalueindex(UP_CORE), "unknown_error");
    lua_pushvalue(L, index);
    push_errors(L);
    lua_call(L, 2, 1);
    return luaL_error(L, "%s: %s", tcpm__lua_name(L), lua_tostring(L, -1));
}

/* The argument of a method, which must be bytes. */
const char *tcpm__lua_check_string(lua_State *L, const char *what)
{
    if (lua_isstring(L, 2))
        return lua_tostring(L, 2);
    tcpm__lua_check_cheap(L);
    luaL_error(L, "%s: %s must be a string, not %s", tcpm__lua_name(L), what,
               tcpm__lua_describe(L, 2));
    return NULL;
}
