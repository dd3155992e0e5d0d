/* SPDX-License-Identifier: MIT */
/*
 * The functions of tcpmulti.json that write.
 */
#include "json.h"

/* json.encode(value) -> text */
static int json_encode(lua_State *L)
{
    struct tcpm__json json;

    lua_settop(L, 1);
    tcpm__json_begin(&json, L);
    tcpm__json_put_value(&json, 1);
    return tcpm__json_end(&json);
}

/* json.field(key, value) -> text */
static int json_field(lua_State *L)
{
    struct tcpm__json json;

    lua_settop(L, 2);
    tcpm__json_begin(&json, L);
    tcpm__json_put_field(&json, 1, 2);
    return tcpm__json_end(&json);
}

/* json.quote(text) -> text, or nil */
static int json_quote(lua_State *L)
{
    struct tcpm__json json;
    size_t length;
    const char *text = luaL_checklstring(L, 1, &length);

    if (!tcpm__json_is_utf8(text, length))
        return 0;
    tcpm__json_begin(&json, L);
    tcpm__json_put_quoted(&json, text, length);
    return tcpm__json_end(&json);
}

/* json.base64(bytes) -> text */
static int json_base64(lua_State *L)
{
    struct tcpm__json json;
    size_t length;
    const char *bytes = luaL_checklstring(L, 1, &length);

    tcpm__json_begin(&json, L);
    tcpm__json_put_base64(&json, bytes, length);
    return tcpm__json_end(&json);
}

/* json.is_utf8(text) -> boolean */
static int json_is_utf8(lua_State *L)
{
    size_t length;
    const char *text = luaL_checklstring(L, 1, &length);

    lua_pushboolean(L, tcpm__json_is_utf8(text, length));
    return 1;
}

/* open(null, empty_array, string.format) -> the functions of tcpmulti.json that write */
static int open_writers(lua_State *L)
{
    static const luaL_Reg writers[] = {
        {"encode", json_encode}, {"field", json_field},     {"quote", json_quote},
        {"base64", json_base64}, {"is_utf8", json_is_utf8},
    };

    lua_settop(L, 3);
    lua_newtable(L);
    for (size_t i = 0; i < sizeof writers / sizeof *writers; i++) {
        tcpm__json_push_writer(L, writers[i].func, 1);
        lua_setfield(L, -2, writers[i].name);
    }
    return 1;
}

int tcpm__json_open_writers(lua_State *L)
{
    lua_pushcfunction(L, open_writers);
    return 1;
}
