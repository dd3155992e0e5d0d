/* SPDX-License-Identifier: MIT */
/* What looks like a luv that brings a libuv of its own: for the test of attach. */
#include <lua.h>
#include <stddef.h>

__attribute__((visibility("default"))) int uv_run(void *loop, int mode);
__attribute__((visibility("default"))) void *luv_loop(lua_State *L);
__attribute__((visibility("default"))) int luaopen_other_luv(lua_State *L);

int uv_run(void *loop, int mode)
{
    (void) loop;
    return mode;
}

void *luv_loop(lua_State *L)
{
    (void) L;
    return NULL;
}

int luaopen_other_luv(lua_State *L)
{
    lua_newtable(L);
    lua_pushcfunction(L, luaopen_other_luv);
    lua_setfield(L, -2, "new_timer");
    return 1;
}
