/* SPDX-License-Identifier: MIT */
/*
 * The state of the engine in lines, for people: tcpmulti.dump(), and the same for the program
 * tcpmulti-lua. The core calls us once for each line, and no Lua error may jump over its frames. So
 * the lines are measured first, then copied into memory of Lua's, and only then made strings.
 */
#include "functions.h"

#include <errno.h>
#include <string.h>

#include "runtime.h"

/* Bytes beyond those measured: a finalizer that runs in between may open connections. */
enum { SPARE = 1024 };

struct lines {
    char *bytes; /* the lines, each with its NUL */
    size_t length, capacity;
};

static void on_measured_line(const char *line, void *user)
{
    struct lines *lines = user;

    lines->capacity += strlen(line) + 1;
}

/* Leaves out a line that does not fit. */
static void on_copied_line(const char *line, void *user)
{
    struct lines *lines = user;
    size_t size = strlen(line) + 1;

    if (size > lines->capacity - lines->length)
        return;
    memcpy(lines->bytes + lines->length, line, size);
    lines->length += size;
}

static void push_list(lua_State *L, const struct lines *lines)
{
    const char *end = lines->bytes + lines->length;
    int count = 0;

    lua_newtable(L);
    for (const char *line = lines->bytes; line < end; line += strlen(line) + 1) {
        lua_pushstring(L, line);
        lua_rawseti(L, -2, ++count);
    }
}

/* tcpmulti.dump() -> list of lines */
static int module_dump(lua_State *L)
{
    struct tcpm__lua_runtime *rt = tcpm__lua_runtime(L);
    struct lines lines = {.capacity = SPARE};

    tcpm__lua_check_dot(L);
    if (rt->engine == NULL)
        return tcpm__lua_failure(L, -ESHUTDOWN);
    tcpm_engine_dump(rt->engine, on_measured_line, &lines);
    lines.bytes = lua_newuserdata(L, lines.capacity);
    tcpm_engine_dump(rt->engine, on_copied_line, &lines);
    push_list(L, &lines);
    return 1;
}

void tcpm__lua_dump(lua_State *L, void (*on_line)(const char *line, void *user), void *user)
{
    const struct tcpm__lua_runtime *rt = tcpm__lua_runtime_find(L);

    if (rt != NULL)
        tcpm_engine_dump(rt->engine, on_line, user);
}

const luaL_Reg tcpm__lua_dump_functions[] = {
    {"dump", module_dump},
    {NULL, NULL},
};
