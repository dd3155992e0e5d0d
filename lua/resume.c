/* SPDX-License-Identifier: MIT */
/*
 * Tasks of tcpmulti.co whose coroutine is resumed straight from C, with the result of the wait: a
 * record (dialogue.c), or that a time is over (task.c). The task itself does not have to be found:
 * it enters itself as the running one when it goes on, and C puts back the one before.
 *
 * What always holds: a coroutine that waits for C is reachable from its task, which stands in the
 * list of the live tasks of its session (lua/co/tasks.lua) until its coroutine has ended or C has
 * been told to forget the wait; and that session is alive when C resumes.
 */
#include "functions.h"

/* Tells of the coroutine that has ended by the error on top of its stack. */
static void tell_failed(lua_State *L, lua_State *thread)
{
    lua_rawgeti(L, lua_upvalueindex(UP_SHARED), PART_TASK_FAILED);
    lua_xmove(thread, L, 1);
    lua_pushthread(thread);
    lua_xmove(thread, L, 1);
    lua_insert(L, -2);
    lua_call(L, 2, 0);
}

void tcpm__lua_push_running(lua_State *L)
{
    lua_rawgeti(L, lua_upvalueindex(UP_SHARED), TCPM__LUA_RUNNING);
}

void tcpm__lua_pop_running(lua_State *L)
{
    lua_rawseti(L, lua_upvalueindex(UP_SHARED), TCPM__LUA_RUNNING);
}

void tcpm__lua_resume(lua_State *L, lua_State *thread)
{
    TCPM__LUA_ASSERT(lua_status(thread) == LUA_YIELD);
    lua_xmove(L, thread, 1);
    if (lua_resume(thread, 1) > LUA_YIELD)
        tell_failed(L, thread);
}

bool tcpm__lua_may_yield(lua_State *L, int index)
{
    return lua_tothread(L, index) == L && lua_isyieldable(L);
}

/* shared.may_yield(thread) -> whether this is the running coroutine, and may yield here */
static int shared_may_yield(lua_State *L)
{
    lua_pushboolean(L, tcpm__lua_may_yield(L, 1));
    return 1;
}

const luaL_Reg tcpm__lua_resume_shared[] = {
    {"may_yield", shared_may_yield},
    {NULL, NULL},
};
