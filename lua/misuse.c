/* SPDX-License-Identifier: MIT */
/*
 * Error messages about wrong arguments. Only calls with a mistake in them come here, so speed does
 * not matter.
 */
#include "functions.h"

enum { MAX_SHOWN = 40 }; /* bytes of a wrong value that an error message shows */

static bool is_module(lua_State *L, int index)
{
    lua_pushvalue(L, index);
    lua_rawgeti(L, LUA_REGISTRYINDEX, TCPM__LUA_MODULE);
    bool same = lua_istable(L, -1) && lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return same;
}

bool tcpm__lua_has_metatable(lua_State *L, int index, enum tcpm__lua_own_cell cell)
{
    if (!lua_getmetatable(L, index))
        return false;
    lua_rawgeti(L, lua_upvalueindex(UP_CELLS), (int) cell);
    bool same = lua_rawequal(L, -1, -2) != 0;
    lua_pop(L, 2);
    return same;
}

/* Describes a value that is neither string nor number, with its article. */
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

/* shared.describe(value) -> text */
static int shared_describe(lua_State *L)
{
    lua_settop(L, 1);
    lua_pushstring(L, tcpm__lua_describe(L, 1));
    return 1;
}

static const char *find_name(const luaL_Reg *const *lists, lua_CFunction function)
{
    for (; *lists != NULL; lists++)
        for (const luaL_Reg *entry = *lists; entry->name != NULL; entry++)
            if (entry->func == function)
                return entry->name;
    return NULL;
}

/* Searches the lists of functions instead of asking the interpreter, which knows no name where the
   script has made a tail call: return cheap.send("x"). */
const char *tcpm__lua_running_name(lua_State *L)
{
    const char *name = NULL;
    lua_Debug info;

    if (!lua_getstack(L, 0, &info) || !lua_getinfo(L, "f", &info))
        return "tcpmulti";
    lua_CFunction running = lua_tocfunction(L, -1);
    lua_pop(L, 1);
    const luaL_Reg *const *const *lists = tcpm__lua_runtime(L)->public_functions;
    for (; name == NULL && *lists != NULL; lists++)
        name = find_name(*lists, running);
    return name == NULL ? "tcpmulti" : name;
}

void tcpm__lua_check_dot(lua_State *L)
{
    if (!lua_istable(L, 1) || !is_module(L, 1))
        return;
    luaL_error(L, "tcpmulti.%s: called with a colon instead of a dot", tcpm__lua_running_name(L));
}

int tcpm__lua_misuse(lua_State *L, int index, const char *expected)
{
    tcpm__lua_check_dot(L);
    return luaL_error(L, "%s: %s expected (a dot instead of a colon?), not %s",
                      tcpm__lua_running_name(L), expected, tcpm__lua_describe(L, index));
}

const luaL_Reg tcpm__lua_misuse_shared[] = {
    {"describe", shared_describe},
    {NULL, NULL},
};
