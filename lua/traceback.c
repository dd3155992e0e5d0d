/* SPDX-License-Identifier: MIT */
/*
 * Messages of errors: the error value as text, and the traceback. s:call and create pass an error
 * of a state on to their caller; the traceback must then be that of the error itself, which the
 * message handler of these two calls has kept.
 */
#include "functions.h"

#include <luajit.h>

#include "runtime.h"

/* ---- s:call and create ---- */

/* Calls the function at index 2 with the arguments behind it, with session as the running one. */
static int call_as(lua_State *L, struct tcpm__lua_runtime *rt, struct tcpm__lua_session *session)
{
    struct tcpm__lua_session *outer = rt->owner;

    lua_pushboolean(L, 0);
    lua_rawseti(L, lua_upvalueindex(UP_CELLS), OWN_KEPT_TRACEBACK);
    lua_rawgeti(L, lua_upvalueindex(UP_CELLS), OWN_KEEP_TRACEBACK);
    lua_insert(L, 2);
    rt->owner = session;
    int status = lua_pcall(L, lua_gettop(L) - 3, LUA_MULTRET, 2);
    rt->owner = rt->engine == NULL ? NULL : outer; /* NULL if the function has closed the module */
    return status;
}

/* shared.as(session, function, …) -> the results of the function. An error passes through with its
   own traceback. */
static int shared_as(lua_State *L)
{
    struct tcpm__lua_runtime *rt = tcpm__lua_runtime(L);
    struct tcpm__lua_session *session = tcpm__lua_check_session(L, rt, 1);

    if (session == NULL)
        return tcpm__lua_session_failure(L, NULL);
    if (call_as(L, rt, session) != 0)
        return lua_error(L);
    return lua_gettop(L) - 2;
}

/* shared.start(session, function, …): as shared.as, for _start; an error kills the session. */
static int shared_start(lua_State *L)
{
    struct tcpm__lua_runtime *rt = tcpm__lua_runtime(L);
    struct tcpm__lua_session *session = tcpm__lua_check_session(L, rt, 1);

    if (call_as(L, rt, session) == 0)
        return 0;
    session = tcpm__lua_check_session(L, rt, 1);
    if (session != NULL)
        tcpm__lua_session_kill(session);
    return lua_error(L);
}

/* ---- messages ---- */

void tcpm__lua_push_error_type(lua_State *L)
{
    lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, 1));
}

/* Pushes the error of a __tostring, on top of the stack, as part of a message. */
static void push_raised(lua_State *L)
{
    const char *text = lua_isstring(L, -1) ? lua_tostring(L, -1) : luaL_typename(L, -1);

    lua_pushfstring(L, "(error object is a %s value, and its __tostring has raised: %s)",
                    luaL_typename(L, 1), text);
}

/* Pushes the error value at index 1 as text: what its __tostring says, or its type. */
static void push_description(lua_State *L)
{
    if (lua_isstring(L, 1)) {
        lua_pushvalue(L, 1);
        return;
    }
    if (luaL_getmetafield(L, 1, "__tostring")) {
        lua_pushvalue(L, 1);
        if (lua_pcall(L, 1, 1, 0) != 0)
            push_raised(L);
        if (lua_type(L, -1) == LUA_TSTRING)
            return;
    }
    tcpm__lua_push_error_type(L);
}

/* True: the error was raised by s:call or create, which have passed on an error of a state, and its
   kept message is pushed. */
static bool push_kept(lua_State *L)
{
    lua_Debug raiser;

    if (lua_getstack(L, 1, &raiser) == 0 || lua_getinfo(L, "f", &raiser) == 0)
        return false;
    if (lua_tocfunction(L, -1) != shared_as && lua_tocfunction(L, -1) != shared_start)
        return false;
    lua_getupvalue(L, -1, UP_CELLS);
    lua_rawgeti(L, -1, OWN_KEPT_TRACEBACK);
    return lua_type(L, -1) == LUA_TSTRING;
}

static void push_traceback(lua_State *L)
{
    lua_settop(L, 1);
    if (push_kept(L))
        return;
    push_description(L);
    luaL_traceback(L, L, "", 1); /* luaL_traceback would end a message at its first NUL byte */
    lua_concat(L, 2);
}

int tcpm__lua_kept_traceback(lua_State *L)
{
    lua_settop(L, 1);
    return push_kept(L);
}

/* The message handler of every protected call. */
int tcpm__lua_traceback(lua_State *L)
{
    push_traceback(L);
    return 1;
}

/* The message handler of s:call and create. The error value stays what it is. */
int tcpm__lua_keep_traceback(lua_State *L)
{
    push_traceback(L);
    lua_rawseti(L, lua_upvalueindex(UP_CELLS), OWN_KEPT_TRACEBACK);
    lua_settop(L, 1);
    return 1;
}

const luaL_Reg tcpm__lua_traceback_shared[] = {
    {"as", shared_as},
    {"start", shared_start},
    {NULL, NULL},
};
