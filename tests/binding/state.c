/* SPDX-License-Identifier: MIT */
/* A Lua state with the module, in a host: see state.h. */
#include "state.h"

void state_hear(const char *traceback, void *user)
{
    struct heard *heard = user;

    heard->calls++;
    snprintf(heard->traceback, sizeof heard->traceback, "%s", traceback);
}

lua_State *state_open(struct host *host, struct heard *heard)
{
    const struct tcpm_lua_options options = {
        .size = sizeof options,
        .exception = state_hear,
        .user = heard,
    };
    lua_State *L = luaL_newstate();

    assert_non_null(L);
    luaL_openlibs(L);
    assert_int_equal(tcpm_lua_open(L, host->engine, &options), 0);
    assert_int_equal(lua_gettop(L), 1);
    assert_true(lua_istable(L, 1));
    lua_pop(L, 1);
    return L;
}

lua_State *state_open_with_peer(struct host *host, struct heard *heard, const char *program)
{
    struct peer *peer = host_peer(host, program, NULL);
    lua_State *L = state_open(host, heard);

    state_set_port(L, peer);
    return L;
}

void state_run(lua_State *L, const char *chunk)
{
    if (luaL_dostring(L, chunk) != 0)
        fail_msg("%s", lua_tostring(L, -1));
    assert_int_equal(lua_gettop(L), 0);
}

void state_set_port(lua_State *L, const struct peer *peer)
{
    lua_pushinteger(L, peer_port(peer));
    lua_setglobal(L, "port");
}

void state_assert(lua_State *L, const char *expression)
{
    lua_pushfstring(L, "return %s", expression);
    if (luaL_dostring(L, lua_tostring(L, -1)) != 0)
        fail_msg("%s", lua_tostring(L, -1));
    if (!lua_toboolean(L, -1))
        fail_msg("not so: %s", expression);
    lua_settop(L, 0);
}
