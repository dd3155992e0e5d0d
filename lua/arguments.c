/* SPDX-License-Identifier: MIT */
/*
 * Reading the arguments of the module's functions: connections, sessions, and values that methods
 * take. A wrong type raises here. A connection or session that has ended is NULL, for which the
 * caller answers.
 */
#include "life.h"

#include <errno.h>
#include <math.h>

#define MAX_SECONDS 4294967.0 /* the core's limit: 2^32 - 2 milliseconds */

/* ---- connections ---- */

bool tcpm__lua_is_cheap(lua_State *L)
{
    double number = 0;

    if (lua_istable(L, 1)) {
        lua_rawgeti(L, 1, 0);
        if (lua_type(L, -1) == LUA_TNUMBER)
            number = lua_tonumber(L, -1);
        lua_pop(L, 1);
    }
    return number > 0; /* below 0 is the number of a session */
}

void tcpm__lua_check_cheap(lua_State *L)
{
    if (!tcpm__lua_is_cheap(L))
        tcpm__lua_misuse(L, 1, "connection heap");
}

void tcpm__lua_check_named(lua_State *L, int index)
{
    int type = lua_type(L, index);

    if (type != LUA_TTABLE && type != LUA_TNUMBER)
        tcpm__lua_misuse(L, index, "connection heap or id");
    tcpm__lua_check_dot(L);
}

struct tcpm__lua_slot *tcpm__lua_slot_to_read(lua_State *L)
{
    tcpm__lua_check_cheap(L);
    return tcpm__lua_slot_at(L, tcpm__lua_runtime(L), 1);
}

struct tcpm__lua_slot *tcpm__lua_slot_to_change_at(lua_State *L, int index, int *ret_code)
{
    struct tcpm__lua_runtime *rt = tcpm__lua_runtime(L);
    struct tcpm__lua_slot *slot = tcpm__lua_slot_at(L, rt, index);

    if (slot == NULL) {
        tcpm__lua_check_named(L, index);
        *ret_code = -ESTALE;
    } else if (rt->filtering != NULL && tcpm__lua_filter_busy(rt, slot->id)) {
        *ret_code = -EBUSY;
        slot = NULL;
    }
    return slot;
}

struct tcpm__lua_slot *tcpm__lua_slot_to_change(lua_State *L, int *ret_code)
{
    tcpm__lua_check_cheap(L);
    return tcpm__lua_slot_to_change_at(L, 1, ret_code);
}

/* ---- sessions ---- */

struct tcpm__lua_session *tcpm__lua_check_session(lua_State *L, struct tcpm__lua_runtime *rt,
                                                  int index)
{
    struct tcpm__lua_session *session = NULL;

    if (lua_istable(L, index)) {
        lua_rawgeti(L, index, 0);
        if (lua_type(L, -1) == LUA_TNUMBER)
            session = tcpm__lua_session_find(rt, lua_tonumber(L, -1));
        lua_pop(L, 1);
    }
    if (session == NULL && !tcpm__lua_has_metatable(L, index, OWN_SESSION_METATABLE))
        tcpm__lua_misuse(L, index, "session");
    return session;
}

/* ---- values ---- */

const char *tcpm__lua_check_string(lua_State *L, const char *what)
{
    if (lua_isstring(L, 2))
        return lua_tostring(L, 2);
    tcpm__lua_check_cheap(L);
    luaL_error(L, "%s: %s must be a string, not %s", tcpm__lua_running_name(L), what,
               tcpm__lua_describe(L, 2));
    return NULL;
}

/* Rounds up, so that no time is shorter than asked for; but not for the error of the
   multiplication: 1.1 s are 1100 ms. */
int64_t tcpm__lua_check_ms(lua_State *L, int argument)
{
    double seconds = lua_type(L, argument) == LUA_TNUMBER ? lua_tonumber(L, argument) : -1;

    if (!(seconds >= 0 && seconds <= MAX_SECONDS)) {
        tcpm__lua_check_cheap(L);
        luaL_error(L, "%s: a number of seconds from 0 (none) to %d (49 days) expected, not %s",
                   tcpm__lua_running_name(L), (int) MAX_SECONDS, tcpm__lua_describe(L, argument));
    }
    double ms = ceil(seconds * 1000 - 1e-6);
    return seconds > 0 && ms < 1 ? 1 : (int64_t) ms;
}

/* ---- names of errors ---- */

enum { LAST_ERRNO = 200 };

static void add_error(lua_State *L, int code)
{
    const char *name = tcpm_error_name(code);

    if (tcpm_error_code(name) != code)
        return; /* a second name of another code */
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
    lua_getfield(L, lua_upvalueindex(UP_SHARED), "unknown_error");
    lua_pushvalue(L, index);
    push_errors(L);
    lua_call(L, 2, 1);
    return luaL_error(L, "%s: %s", tcpm__lua_running_name(L), lua_tostring(L, -1));
}
