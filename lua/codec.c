/* SPDX-License-Identifier: MIT */
/*
 * Clones of built-in filters as objects with the same methods that a script's own filter has: a
 * stack of filters can hold both kinds, and a script can run a filter over bytes from anywhere.
 */
#include "functions.h"

static struct tcpm_codec *check_codec(lua_State *L)
{
    void **box = tcpm__lua_to_box(L, 1, OWN_CODEC_METATABLE);

    if (box == NULL || *box == NULL)
        luaL_typerror(L, 1, "filter");
    return *box;
}

/* The content of the userdata. Other readers know the first member only. */
struct clone {
    struct tcpm_codec *inner;
    bool is_resp; /* records are values */
};

static bool is_resp(lua_State *L)
{
    return ((const struct clone *) lua_touserdata(L, 1))->is_resp;
}

/* Pushes the record; or nil, message, errname. */
static int push_record(lua_State *L, int result, const struct tcpm_record *record)
{
    if (result < 0)
        return tcpm__lua_failure_text(L, result, tcpm_error_text(result));
    lua_pushlstring(L, record->bytes, record->length);
    return 1;
}

static int codec_feed(lua_State *L)
{
    size_t length;
    struct tcpm_codec *codec = check_codec(L);
    const char *bytes = luaL_checklstring(L, 2, &length);
    int result = tcpm_codec_feed(codec, bytes, length);

    return result < 0 ? luaL_error(L, "feed: %s", tcpm_error_text(result)) : 0;
}

static int codec_get_one(lua_State *L)
{
    struct tcpm_record record;
    struct tcpm_codec *codec = check_codec(L);
    int result = tcpm_codec_get_one(codec, &record);

    if (result == 0) {
        lua_pushnil(L);
        return 1;
    }
    if (result == TCPM_ETOOLONG) /* the message tells the length and the limit */
        return tcpm__lua_failure_text(L, result, tcpm_codec_message(codec));
    if (result == 1 && is_resp(L) && tcpm__lua_resp_decode(L, record.bytes, record.length))
        return 1;
    return push_record(L, result, &record);
}

/* finish: the last record after the end of the input, or nil. */
static int codec_finish(lua_State *L)
{
    struct tcpm_record record;
    struct tcpm_codec *codec = check_codec(L);
    int result = tcpm_codec_finish(codec, &record);

    if (result < 0)
        return tcpm__lua_failure_text(L, result, tcpm_codec_message(codec));
    if (result == 0)
        lua_pushnil(L);
    else
        lua_pushlstring(L, record.bytes, record.length);
    return 1;
}

static int codec_put(lua_State *L)
{
    size_t length;
    struct tcpm_record bytes;
    struct tcpm_codec *codec = check_codec(L);
    const char *problem = is_resp(L) && lua_istable(L, 2) ? tcpm__lua_resp_encode(L, 2) : "";

    if (problem == NULL)
        return 1;
    if (*problem != '\0')
        return tcpm__lua_failure_text(L, TCPM_EFILTER, problem);
    const char *record = lua_tolstring(L, 2, &length);
    if (record == NULL) {
        lua_pushnil(L);
        lua_pushfstring(L, "a string expected, not a %s", luaL_typename(L, 2));
        return 2;
    }
    return push_record(L, tcpm_codec_put(codec, record, length, &bytes), &bytes);
}

static int codec_pending(lua_State *L)
{
    struct tcpm_record bytes;

    return push_record(L, tcpm_codec_pending(check_codec(L), &bytes), &bytes);
}

/* __release, for combinators.lua: drops the bytes that pending shows. */
static int codec_release(lua_State *L)
{
    tcpm_codec_clear(check_codec(L));
    return 0;
}

/* __swallow, for combinators.lua: the byte that would be dropped if it came next, or nil. From now
   on the caller drops it. */
static int codec_swallow(lua_State *L)
{
    int byte = tcpm_codec_swallow(check_codec(L));

    if (byte <= 0)
        return 0;
    lua_pushlstring(L, (const char[]){(char) byte}, 1);
    return 1;
}

/* __swallowed(came), for combinators.lua: whether the byte came. */
static int codec_swallowed(lua_State *L)
{
    tcpm_codec_swallowed(check_codec(L), lua_toboolean(L, 2));
    return 0;
}

/* __gc. A script may call it too, with any value. */
static int codec_collect(lua_State *L)
{
    void **box = tcpm__lua_to_box(L, 1, OWN_CODEC_METATABLE);

    if (box != NULL) {
        tcpm_codec_close(*box);
        *box = NULL;
    }
    return 0;
}

/* Clones a filter, or the filter that a clone was made from. */
int tcpm__lua_codec_clone(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TUSERDATA);
    lua_settop(L, 1);
    if (!tcpm__lua_is_filter_at(L, 1)) {
        check_codec(L);
        lua_getfenv(L, 1); /* [1]: the filter that the clone was made from */
        lua_rawgeti(L, -1, 1);
        lua_replace(L, 1);
        lua_settop(L, 1);
    }
    struct tcpm_filter **filter = lua_touserdata(L, 1);
    struct clone *made = lua_newuserdata(L, sizeof *made);
    struct tcpm_codec **box = &made->inner;
    *made = (struct clone){.is_resp = tcpm__lua_is_resp_at(L, 1)};
    lua_rawgeti(L, lua_upvalueindex(UP_CELLS), OWN_CODEC_METATABLE);
    lua_setmetatable(L, 2);
    lua_createtable(L, 1, 0);
    lua_pushvalue(L, 1);
    lua_rawseti(L, -2, 1);
    lua_setfenv(L, 2);
    int result = *filter == NULL ? TCPM_EFILTER : tcpm_codec_open(*filter, box);
    return result < 0 ? luaL_error(L, "clone: %s", tcpm_error_text(result)) : 1;
}

const luaL_Reg tcpm__lua_codec_methods[] = {
    {"clone", tcpm__lua_codec_clone},
    {"feed", codec_feed},
    {"get_one", codec_get_one},
    {"finish", codec_finish},
    {"put", codec_put},
    {"pending", codec_pending},
    {"__release", codec_release},
    {"__swallow", codec_swallow},
    {"__swallowed", codec_swallowed},
    {"__gc", codec_collect},
    {NULL, NULL},
};
