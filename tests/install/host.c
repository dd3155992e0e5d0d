/* SPDX-License-Identifier: MIT */
/*
 * A host program as a user writes it: its own loop, engine and Lua state, with the module opened by
 * the installed libtcpmulti-lua. Arguments: address and port of a peer that echoes lines.
 */
#include <stdio.h>
#include <stdlib.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <tcpmulti_lua.h>
#include <uv.h>

static const char script[] =
    "local tcpmulti, addr, port = require 'tcpmulti', ...\n"
    "local session = tcpmulti.create {\n"
    "  on_success = function(cheap) tcpmulti.send(cheap, 'hello') end,\n"
    "  on_input = function(cheap, line) print('input', line) tcpmulti.shutdown(cheap) end,\n"
    "  on_disconnected = function(_, _, reason) print('disconnected', reason) end }\n"
    "session:connect(addr, port)\n"
    "assert(not pcall(tcpmulti.run))\n";

int main(int argc, char **argv)
{
    struct tcpm_engine *engine = NULL;
    lua_State *L = luaL_newstate();
    uv_loop_t loop;

    if (argc != 3 || L == NULL)
        return 2;
    luaL_openlibs(L);
    if (uv_loop_init(&loop) != 0 || tcpm_engine_create(&loop, NULL, &engine) != 0 ||
        tcpm_lua_open(L, engine, NULL) != 0 || luaL_loadstring(L, script) != 0)
        return 1;
    lua_pushstring(L, argv[1]);
    lua_pushstring(L, argv[2]);
    if (lua_pcall(L, 2, 0, 0) != 0) {
        fprintf(stderr, "%s\n", lua_tostring(L, -1));
        return 1;
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    tcpm_lua_close(L);
    tcpm_engine_close(engine, NULL, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    lua_close(L);
    return uv_loop_close(&loop) == 0 ? 0 : 1;
}
