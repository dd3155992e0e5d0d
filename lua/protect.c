/* SPDX-License-Identifier: MIT */
/*
 * The one way in which the loop calls Lua. A Lua error must not jump over frames of libuv or of the
 * core, so all code that could raise, if only for want of memory, runs inside a protected C
 * function, the trampoline. A struct tcpm__lua_call on the C stack of the event says what the
 * trampoline is to do.
 *
 * tcpmulti.run keeps the traceback function and the trampoline at fixed indices of its own stack
 * frame. An event that comes straight from the loop finds the two there (framed). An event from
 * inside a call of the script, or in a host, where no frame is ours, fetches them from their cells.
 */
#include "functions.h"

#include <stdlib.h>
#include <string.h>

/* ---- messages ---- */

/* A static text in place of a message for which there is no memory. */
static char *out_of_memory(void)
{
    static const char text[] = "not enough memory";

    return (char *) (uintptr_t) text; /* never written, never freed */
}

void tcpm__lua_message_free(char *message)
{
    if (message != out_of_memory())
        free(message);
}

static size_t count_nul(const char *bytes, size_t length)
{
    size_t count = 0;

    for (size_t i = 0; i < length; i++)
        count += bytes[i] == '\0';
    return count;
}

/* A message is a C string: each NUL byte becomes "\\0". */
char *tcpm__lua_message_copy(const char *bytes, size_t length)
{
    char *message = malloc(length + count_nul(bytes, length) + 1);

    if (message == NULL)
        return out_of_memory();
    char *end = message;
    for (size_t i = 0; i < length; i++)
        if (bytes[i] != '\0') {
            *end++ = bytes[i];
        } else {
            *end++ = '\\';
            *end++ = '0';
        }
    *end = '\0';
    return message;
}

/* ---- calls ---- */

/* Pops the error value, which the traceback function has made a string. */
static char *pop_message(lua_State *L)
{
    size_t length = 0;
    const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &length) : NULL;
    char *message = text == NULL ? tcpm__lua_message_copy("unknown error", strlen("unknown error"))
                                 : tcpm__lua_message_copy(text, length);

    lua_pop(L, 1);
    return message;
}

static int call_trampoline(struct tcpm__lua_runtime *rt, lua_State *L)
{
    if (rt->framed) {
        rt->framed = false;
        lua_pushvalue(L, FRAME_TRAMPOLINE);
        int status = lua_pcall(L, 0, 0, FRAME_TRACEBACK);
        rt->framed = true;
        return status;
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, rt->cells_reference);
    lua_rawgeti(L, -1, OWN_TRACEBACK);
    lua_rawgeti(L, -2, OWN_TRAMPOLINE);
    lua_remove(L, -3);
    int traceback = lua_gettop(L) - 1;
    int status = lua_pcall(L, 0, 0, traceback);
    lua_remove(L, traceback);
    return status;
}

/* A task that the loop has resumed does not run any more, when what has resumed it raises. */
static void forget_task(const struct tcpm__lua_runtime *rt)
{
    lua_State *L = rt->keeper;

    lua_rawgeti(L, LUA_REGISTRYINDEX, rt->cells_reference);
    lua_rawgeti(L, -1, OWN_TRAMPOLINE);
    lua_getupvalue(L, -1, UP_SHARED);
    lua_rawgeti(L, -1, TCPM__LUA_RUNNING);
    if (lua_toboolean(L, -1)) { /* the entry is there: no memory is needed */
        lua_pushboolean(L, 0);
        lua_rawseti(L, -3, TCPM__LUA_RUNNING);
    }
    lua_settop(L, 0);
}

char *tcpm__lua_protect(struct tcpm__lua_runtime *rt, struct tcpm__lua_session *owner,
                        struct tcpm__lua_call *call)
{
    lua_State *L = rt->active;
    struct tcpm__lua_call *outer = rt->call;
    struct tcpm__lua_session *outer_owner = rt->owner;

    rt->call = call;
    rt->owner = owner;
    int top = TCPM__LUA_ASSERTS ? lua_gettop(L) : 0;
    int status = call_trampoline(rt, L);
    TCPM__LUA_ASSERT(lua_gettop(L) == top + (status != 0));
    TCPM__LUA_ASSERT(rt->call == call);
    rt->call = outer;
    rt->owner = outer_owner;
    if (status == 0)
        return NULL;
    if (outer == NULL)
        forget_task(rt);
    return pop_message(L);
}

int tcpm__lua_trampoline(lua_State *L)
{
    struct tcpm__lua_call *call = tcpm__lua_runtime(L)->call;

    call->run(L, call);
    return 0;
}
