/* SPDX-License-Identifier: MIT */
/*
 * tcpmulti.child: programs beside the loop, by whole lines, as children.lua has them. Only on a
 * loop of our own; luv and hosts have means of theirs. An error that on_line or on_end raises has
 * no session to go to, so it is fatal.
 */
#include "functions.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "child.h"

enum { MAX_LINE = 16777216 };

/* Where the table of a child, which is anchored, has its functions. */
enum { CHILD_OBJECT = 1, CHILD_ON_LINE, CHILD_ON_END };

/* ---- calls into Lua ---- */

struct telling {
    struct tcpm__lua_call call;
    struct tcpm__lua_child *child;
};

/* Pushes a function of the child and the child's object. False: nobody is told. */
static bool push_function(lua_State *L, const struct tcpm__lua_child *child, int which)
{
    if (child->runtime == NULL)
        return false;
    lua_rawgeti(L, lua_upvalueindex(UP_ANCHORS), child->anchor);
    lua_rawgeti(L, -1, which);
    lua_rawgeti(L, -2, CHILD_OBJECT);
    lua_remove(L, -3);
    return true;
}

/* Calls on_line for each whole line that there is, and moves the rest to the front. */
static void run_lines(lua_State *L, struct tcpm__lua_call *call)
{
    struct tcpm__lua_child *child = ((struct telling *) call)->child;
    const char *at = child->bytes, *end = child->bytes + child->length;
    const char *newline = memchr(at + child->searched, '\n', child->length - child->searched);

    while (newline != NULL && push_function(L, child, CHILD_ON_LINE)) {
        lua_pushlstring(L, at, (size_t) (newline - at));
        at = newline + 1;
        lua_call(L, 2, 0);
        newline = memchr(at, '\n', (size_t) (end - at));
    }
    child->length = (size_t) (end - at);
    child->searched = child->length;
    memmove(child->bytes, at, child->length);
}

static void run_end(lua_State *L, struct tcpm__lua_call *call)
{
    const struct tcpm__lua_child *child = ((struct telling *) call)->child;

    if (!push_function(L, child, CHILD_ON_END))
        return;
    lua_pushnumber(L, (lua_Number) child->status);
    lua_pushinteger(L, child->signum);
    if (child->length > 0)
        lua_pushlstring(L, child->bytes, child->length);
    else
        lua_pushnil(L);
    lua_call(L, 4, 0);
}

static void tell(struct tcpm__lua_child *child, void (*run)(lua_State *, struct tcpm__lua_call *))
{
    struct telling telling = {.call.run = run, .child = child};
    struct tcpm__lua_runtime *rt = child->runtime;
    char *message = rt == NULL ? NULL : tcpm__lua_protect(rt, NULL, &telling.call);

    if (message != NULL)
        tcpm__lua_fatal(rt, message);
}

static void on_output(struct tcpm__lua_child *child)
{
    tell(child, run_lines);
    if (child->length > MAX_LINE && child->runtime != NULL)
        tcpm__lua_child_refuse(child);
}

static void on_end(struct tcpm__lua_child *child)
{
    tell(child, run_end);
    if (child->runtime != NULL)
        tcpm__lua_child_leave(child);
}

/* ---- starting ---- */

/* Pushes an array of the strings in the list at index, with NULL at its end. */
static char **push_vector(lua_State *L, int index)
{
    size_t length = lua_objlen(L, index);
    char **vector = lua_newuserdata(L, (length + 1) * sizeof *vector);

    for (size_t i = 0; i < length; i++) {
        lua_rawgeti(L, index, (int) i + 1);
        vector[i] = (char *) (uintptr_t) lua_tostring(L, -1); /* libuv changes none of them */
        lua_pop(L, 1);
    }
    vector[length] = NULL;
    return vector;
}

/* shared.environment() -> list of "NAME=value" */
static int shared_environment(lua_State *L)
{
    lua_newtable(L);
    for (int i = 0; environ != NULL && environ[i] != NULL; i++) {
        lua_pushstring(L, environ[i]);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

static struct tcpm__lua_child *make_child(struct tcpm__lua_runtime *rt, int anchor)
{
    struct tcpm__lua_child *child = calloc(1, sizeof *child);

    if (child == NULL)
        return NULL;
    child->on_output = on_output;
    child->on_end = on_end;
    child->anchor = anchor;
    child->number = ++rt->last_child;
    return child;
}

/* shared.child({ object, on_line, on_end }, words, environment) -> number, pid; or nil, message,
   errname */
static int shared_child(lua_State *L)
{
    struct tcpm__lua_runtime *rt = tcpm__lua_runtime(L);

    if (rt->engine == NULL)
        return tcpm__lua_failure_text(L, -ESHUTDOWN, "the Lua state is closing");
    if (rt->loop == NULL)
        return tcpm__lua_failure_text(L, -ENOTSUP,
                                      "programs are started by those who run the loop");
    char **arguments = push_vector(L, 2);
    char **variables = push_vector(L, 3);
    lua_pushvalue(L, 1);
    int anchor = luaL_ref(L, lua_upvalueindex(UP_ANCHORS));
    struct tcpm__lua_child *child = make_child(rt, anchor);
    int result = -ENOMEM;
    if (child != NULL)
        result = tcpm__lua_child_start(child, rt, arguments, variables);
    if (result < 0) {
        tcpm__lua_anchor_drop(rt, anchor);
        return tcpm__lua_failure(L, result);
    }
    lua_pushnumber(L, child->number);
    lua_pushinteger(L, child->process.pid);
    return 2;
}

/* ---- what the script asks of a child ---- */

/* The child whose number is argument 1; NULL: it has ended. */
static struct tcpm__lua_child *find_child(lua_State *L)
{
    double number = luaL_checknumber(L, 1);
    struct tcpm__lua_child *child = tcpm__lua_runtime(L)->children;

    while (child != NULL && child->number != number)
        child = child->next;
    return child;
}

static int failure_ended(lua_State *L)
{
    return tcpm__lua_failure_text(L, -ESRCH, "the child has ended");
}

/* shared.child_send(number, bytes) -> true, bytes that wait; or nil, message, errname */
static int shared_child_send(lua_State *L)
{
    struct tcpm__lua_child *child = find_child(L);
    size_t length;
    const char *bytes = luaL_checklstring(L, 2, &length);

    if (child == NULL)
        return failure_ended(L);
    int result = tcpm__lua_child_write(child, bytes, length);
    if (result < 0)
        return tcpm__lua_failure(L, result);
    lua_pushboolean(L, 1);
    lua_pushnumber(L, (lua_Number) child->queued);
    return 2;
}

/* shared.child_finish(number) -> true; or nil, message, errname */
static int shared_child_finish(lua_State *L)
{
    struct tcpm__lua_child *child = find_child(L);

    if (child == NULL)
        return failure_ended(L);
    tcpm__lua_child_finish(child);
    return tcpm__lua_result(L, 0);
}

/* shared.child_queued(number) -> bytes that wait for the child to read them */
static int shared_child_queued(lua_State *L)
{
    const struct tcpm__lua_child *child = find_child(L);

    lua_pushnumber(L, child == NULL ? 0 : (lua_Number) child->queued);
    return 1;
}

/* shared.child_kill(number, signal) -> true; or nil, message, errname. signal: a number. */
static int shared_child_kill(lua_State *L)
{
    struct tcpm__lua_child *child = find_child(L);
    int signum = (int) luaL_checkinteger(L, 2);

    if (child == NULL || child->ended)
        return failure_ended(L);
    return tcpm__lua_result(L, uv_process_kill(&child->process, signum));
}

/* shared.child_signals() -> a table of numbers by name */
static int shared_child_signals(lua_State *L)
{
    static const struct {
        const char *name;
        int number;
    } signals[] = {
        {"HUP", SIGHUP},   {"INT", SIGINT},   {"QUIT", SIGQUIT},
        {"KILL", SIGKILL}, {"USR1", SIGUSR1}, {"USR2", SIGUSR2},
        {"TERM", SIGTERM}, {"CONT", SIGCONT}, {"STOP", SIGSTOP},
    };

    lua_newtable(L);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        lua_pushinteger(L, signals[i].number);
        lua_setfield(L, -2, signals[i].name);
    }
    return 1;
}

/* shared.child_read(number, whether) -> true; or nil, message, errname */
static int shared_child_read(lua_State *L)
{
    struct tcpm__lua_child *child = find_child(L);

    if (child == NULL)
        return failure_ended(L);
    if (child->silent)
        return tcpm__lua_result(L, 0);
    if (!lua_toboolean(L, 2))
        return tcpm__lua_result(L, uv_read_stop((uv_stream_t *) &child->output));
    return tcpm__lua_result(L, tcpm__lua_child_read(child));
}

const luaL_Reg tcpm__lua_child_shared[] = {
    {"child", shared_child},
    {"child_finish", shared_child_finish},
    {"child_kill", shared_child_kill},
    {"child_queued", shared_child_queued},
    {"child_read", shared_child_read},
    {"child_send", shared_child_send},
    {"child_signals", shared_child_signals},
    {"environment", shared_environment},
    {NULL, NULL},
};
