/* SPDX-License-Identifier: MIT */
/*
 * The one way in which the loop calls Lua. Nothing may jump over frames of libuv or of the core, so
 * whatever could raise, even for want of memory, runs inside a protected C function, the
 * trampoline; what it is to do is described by a struct call on the C stack of the event.
 *
 * tcpmulti.run keeps the traceback function and the trampoline at fixed places of its own stack
 * frame. An event that comes straight from the loop finds them there (framed); one that comes from
 * inside a call of the script, or in a host, where no frame is ours, fetches them.
 */
#include "protect.h"
#include "runtime.h"

#include <luajit.h>
#include <stdlib.h>
#include <string.h>

/* Stands for a message when there is no memory for it. */
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

/* As a C string: a byte NUL becomes "\\0". */
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

/* Pops the error value that the traceback function has made a string. */
static char *take_message(lua_State *L)
{
    size_t length = 0;
    const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &length) : NULL;
    char *message = text == NULL ? tcpm__lua_message_copy("unknown error", strlen("unknown error"))
                                 : tcpm__lua_message_copy(text, length);
    lua_pop(L, 1);
    return message;
}

static int call_trampoline(struct runtime *rt, lua_State *L)
{
    if (rt->framed) {
        rt->framed = false;
        lua_pushvalue(L, FRAME_TRAMPOLINE);
        int status = lua_pcall(L, 0, 0, FRAME_TRACEBACK);
        rt->framed = true;
        return status;
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, rt->places_reference);
    lua_rawgeti(L, -1, OWN_TRACEBACK);
    lua_rawgeti(L, -2, OWN_TRAMPOLINE);
    lua_remove(L, -3);
    int traceback = lua_gettop(L) - 1;
    int status = lua_pcall(L, 0, 0, traceback);
    lua_remove(L, traceback);
    return status;
}

char *tcpm__lua_protect(struct runtime *rt, struct session *owner, struct call *call)
{
    lua_State *L = rt->active;
    struct call *outer = rt->call;
    struct session *outer_owner = rt->owner;
    rt->call = call;
    rt->owner = owner;
    int status = call_trampoline(rt, L);
    rt->call = outer;
    rt->owner = outer_owner;
    return status == 0 ? NULL : take_message(L);
}

int tcpm__lua_trampoline(lua_State *L)
{
    struct call *call = tcpm__lua_runtime(L)->call;
    call->run(L, call);
    return 0;
}

/* ---- messages ---- */

/* Pushes what a __tostring has raised, which is on top of the stack, as a part of a message. */
static void push_raised(lua_State *L)
{
    const char *text = lua_isstring(L, -1) ? lua_tostring(L, -1) : luaL_typename(L, -1);
    lua_pushfstring(L, "(error object is a %s value, and its __tostring has raised: %s)",
                    luaL_typename(L, 1), text);
}

/* Pushes the error value at index 1 as a string: what it says of itself, or what it is. */
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
    lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, 1));
}

/* What has come through s:call and create is raised again by them. The traceback is that of the
   error itself, which tcpm__lua_keep_traceback has left in their places: pushes it. False: it was
   raised by something else. */
static bool push_kept(lua_State *L)
{
    lua_Debug raiser;
    if (lua_getstack(L, 1, &raiser) == 0 || lua_getinfo(L, "f", &raiser) == 0)
        return false;
    if (lua_tocfunction(L, -1) != tcpm__lua_as && lua_tocfunction(L, -1) != tcpm__lua_start)
        return false;
    lua_getupvalue(L, -1, UP_PLACES);
    lua_rawgeti(L, -1, OWN_KEPT_TRACEBACK);
    return lua_type(L, -1) == LUA_TSTRING;
}

static void push_traceback(lua_State *L)
{
    lua_settop(L, 1);
    if (push_kept(L))
        return;
    push_description(L);
    luaL_traceback(L, L, "", 1); /* a message may hold NUL bytes, where it would end */
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

/* The message handler of s:call and create: the value stays what it is. */
int tcpm__lua_keep_traceback(lua_State *L)
{
    push_traceback(L);
    lua_rawseti(L, lua_upvalueindex(UP_PLACES), OWN_KEPT_TRACEBACK);
    lua_settop(L, 1);
    return 1;
}
