/* SPDX-License-Identifier: MIT */
/*
 * The script's text, loaded for main.c. Scripts are source: LuaJIT does not verify bytecode when it
 * loads it, and a damaged or hostile file crashes the virtual machine. So every way in which a
 * script can load a chunk accepts text only, unless --allow-bytecode is given.
 */
#include "runner.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lauxlib.h>
#include <lua.h>

/* Calls the original function, the upvalue, with its argument number `mode` set to "t": text. */
static int load_as_text(lua_State *L, int mode)
{
    if (lua_gettop(L) < mode)
        lua_settop(L, mode);
    lua_pushliteral(L, "t");
    lua_replace(L, mode);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    return lua_gettop(L);
}

static int load_text(lua_State *L)
{
    return load_as_text(L, 3);
}

static int load_text_file(lua_State *L)
{
    return load_as_text(L, 2);
}

static int do_text_file(lua_State *L)
{
    const char *path = luaL_optstring(L, 1, NULL);

    lua_settop(L, 1);
    if (luaL_loadfilex(L, path, "t") != 0)
        return lua_error(L);
    lua_call(L, 0, LUA_MULTRET);
    return lua_gettop(L) - 1;
}

/* The searcher of require for Lua files. Upvalue: the table package. */
static int search_text_module(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);

    lua_getfield(L, lua_upvalueindex(1), "searchpath");
    lua_pushvalue(L, 1);
    lua_getfield(L, lua_upvalueindex(1), "path");
    lua_call(L, 2, 2);
    if (lua_isnil(L, -2))
        return 1;
    lua_pop(L, 1);
    if (luaL_loadfilex(L, lua_tostring(L, -1), "t") != 0)
        return luaL_error(L, "error loading module '%s' from file '%s':\n\t%s", name,
                          lua_tostring(L, -2), lua_tostring(L, -1));
    return 1;
}

static void replace_global(lua_State *L, const char *name, lua_CFunction function)
{
    lua_getglobal(L, name);
    lua_pushcclosure(L, function, 1);
    lua_setglobal(L, name);
}

void tcpm__runner_source_refuse_bytecode(struct lua_State *L)
{
    replace_global(L, "load", load_text);
    replace_global(L, "loadstring", load_text);
    replace_global(L, "loadfile", load_text_file);
    replace_global(L, "dofile", do_text_file);
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "loaders");
    lua_pushvalue(L, -2);
    lua_pushcclosure(L, search_text_module, 1);
    lua_rawseti(L, -2, 2);
    lua_pop(L, 2);
}

/* Replaces LuaJIT's own message about bytecode, which only speaks of a wrong mode. Returns status.
 */
static int explain_bytecode(lua_State *L, int status, const char *name)
{
    if (status != 0 && strstr(lua_tostring(L, -1), "wrong mode") != NULL) {
        lua_pop(L, 1);
        lua_pushfstring(L, "%s: this is LuaJIT bytecode, refused without --allow-bytecode", name);
    }
    return status;
}

int tcpm__runner_source_load(struct lua_State *L, const char *path, bool allow_bytecode)
{
    int status = luaL_loadfilex(L, path, allow_bytecode ? "bt" : "t");

    return explain_bytecode(L, status, path != NULL ? path : "standard input");
}

int tcpm__runner_source_load_chunk(struct lua_State *L, const char *chunk, bool allow_bytecode)
{
    int status = luaL_loadbufferx(L, chunk, strlen(chunk), "=(-e)", allow_bytecode ? "bt" : "t");

    return explain_bytecode(L, status, "-e");
}

/* Puts the directory of path in front of package.path. The table package is on top of the stack.
 */
static void push_front(lua_State *L, const char *path)
{
    const char *slash = strrchr(path, '/');

    if (slash == NULL)
        lua_pushliteral(L, ".");
    else
        lua_pushlstring(L, path, (size_t) (slash - path));
    lua_getfield(L, -2, "path");
    lua_pushfstring(L, "%s/?.lua;%s/?/init.lua;%s", lua_tostring(L, -2), lua_tostring(L, -2),
                    lua_tostring(L, -1));
    lua_setfield(L, -4, "path");
    lua_pop(L, 2);
}

void tcpm__runner_source_find_beside(struct lua_State *L, const char *script)
{
    char target[PATH_MAX];

    lua_getglobal(L, "package");
    /* The script may be a symbolic link in a folder of programs: its modules lie beside the file
       that the link points to. */
    if (readlink(script, target, sizeof target) > 0 && realpath(script, target) != NULL)
        push_front(L, target);
    push_front(L, script);
    lua_pop(L, 1);
}

/* As the program lua does: the script at index 0, its arguments from 1 on, and at negative indices
   everything that stood in front of the script. */
void tcpm__runner_source_set_arguments(struct lua_State *L,
                                       const struct tcpm__runner_options *options, int argc,
                                       char **argv)
{
    int script = options->script < argc ? options->script : 0;
    int first = options->script < argc ? options->first_argument : 1;

    lua_newtable(L);
    for (int i = 0; i <= script; i++) {
        lua_pushstring(L, argv[i]);
        lua_rawseti(L, -2, i - script);
    }
    for (int i = first; i < argc; i++) {
        lua_pushstring(L, argv[i]);
        lua_rawseti(L, -2, i - first + 1);
    }
    lua_setglobal(L, "arg");
}
