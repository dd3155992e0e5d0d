/* SPDX-License-Identifier: MIT */
/* A fuzz target that is written in Lua, in the file FUZZ_SCRIPT: the script gives a function of one
   string, the input, which raises if a promise is broken. */
#include "fuzz.h"

#include <lauxlib.h>
#include <lualib.h>

int luaopen_tcpmulti(lua_State *L);

static lua_State *state;

static void check(int status)
{
    if (status == 0)
        return;
    fprintf(stderr, "%s\n", lua_tostring(state, -1));
    abort();
}

static void close_state(void)
{
    lua_close(state);
}

/* Leaves the script's function at index 1. */
static void open_state(void)
{
    state = luaL_newstate();
    FUZZ_CHECK(state != NULL);
    atexit(close_state);
    luaL_openlibs(state);
    lua_pushcfunction(state, luaopen_tcpmulti);
    check(lua_pcall(state, 0, 0, 0));
    check(luaL_loadfile(state, FUZZ_SCRIPT));
    check(lua_pcall(state, 0, 1, 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (state == NULL)
        open_state();
    lua_pushvalue(state, 1);
    lua_pushlstring(state, (const char *) data, size);
    check(lua_pcall(state, 1, 0, 0));
    return 0;
}
