/* SPDX-License-Identifier: MIT */
/*
 * Filters as Lua values. A built-in one is userdata that holds the core's specification, checked
 * once and cheap to switch to; one that is written in Lua is the script's table. Specifications by
 * name and option are read by the part written in Lua (filters.lua), which calls core.filter with
 * checked options.
 */
#include "lua_filter.h"

#include <errno.h>
#include <string.h>

static int64_t integer_option(lua_State *L, const char *name)
{
    lua_getfield(L, 2, name);
    int64_t value = (int64_t) lua_tonumber(L, -1);
    lua_pop(L, 1);
    return value;
}

/* The table of options keeps the string alive. */
static const char *string_option(lua_State *L, const char *name, size_t *length)
{
    lua_getfield(L, 2, name);
    const char *text = lua_tolstring(L, -1, length);
    lua_pop(L, 1);
    return text;
}

static int make_line(lua_State *L, struct tcpm_filter **ret)
{
    struct tcpm_line_options options = {
        .size = sizeof options,
        .ends = integer_option(L, "ends"),
        .max_length = integer_option(L, "max_length"),
    };
    options.input_literal = string_option(L, "input_literal", &options.input_literal_length);
    options.output_literal = string_option(L, "output_literal", &options.output_literal_length);
    return tcpm_filter_line(&options, ret);
}

static int make_block(lua_State *L, struct tcpm_filter **ret)
{
    size_t length;
    struct tcpm_block_options options = {
        .size = sizeof options,
        .block_size = integer_option(L, "block_size"),
        .length = string_option(L, "length", &length),
        .offset = integer_option(L, "offset"),
        .adjust = integer_option(L, "adjust"),
        .header = integer_option(L, "header"),
        .max_length = integer_option(L, "max_length"),
    };
    return tcpm_filter_block(&options, ret);
}

/* What the userdata holds; others of its readers know the first member only. */
struct built_in {
    struct tcpm_filter *core;
    const char *kind;
};

static const char *static_kind(const char *kind)
{
    static const char *const kinds[] = {"line", "block", "netstring"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i], kind) == 0)
            return kinds[i];
    return "stream";
}

/* core.filter(kind, options) -> userdata, or nil, message, errname. */
int tcpm__lua_filter_make(lua_State *L)
{
    const char *kind = luaL_checkstring(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    struct built_in *filter = lua_newuserdata(L, sizeof *filter);
    struct tcpm_filter **box = &filter->core;
    int result;
    *filter = (struct built_in){.kind = static_kind(kind)};
    lua_rawgeti(L, lua_upvalueindex(UP_PLACES), OWN_FILTER_METATABLE);
    lua_setmetatable(L, -2);
    if (strcmp(kind, "line") == 0)
        result = make_line(L, box);
    else if (strcmp(kind, "block") == 0)
        result = make_block(L, box);
    else if (strcmp(kind, "netstring") == 0)
        result = tcpm_filter_netstring(integer_option(L, "max_length"), box);
    else
        result = tcpm_filter_stream(box);
    if (result == -EINVAL)
        return tcpm__lua_failure_text(L, result, "the options do not fit together");
    return result < 0 ? tcpm__lua_failure(L, result) : 1;
}

void **tcpm__lua_box(lua_State *L, int index, enum own_place place)
{
    bool is_box = lua_type(L, index) == LUA_TUSERDATA && tcpm__lua_has_metatable(L, index, place);
    return is_box ? lua_touserdata(L, index) : NULL;
}

bool tcpm__lua_is_filter_at(lua_State *L, int index)
{
    void **box = tcpm__lua_box(L, index, OWN_FILTER_METATABLE);
    return box != NULL && *box != NULL;
}

/* core.is_filter(value) -> whether it is a built-in one. */
int tcpm__lua_is_filter(lua_State *L)
{
    lua_pushboolean(L, tcpm__lua_is_filter_at(L, 1));
    return 1;
}

static int filter_tostring(lua_State *L)
{
    const struct built_in *filter =
        tcpm__lua_is_filter_at(L, 1) ? lua_touserdata(L, 1) : &(struct built_in){.kind = "(none)"};
    lua_pushfstring(L, "tcpmulti filter %s", filter->kind);
    return 1;
}

/* A script may call it too, with anything. */
static int filter_collect(lua_State *L)
{
    void **box = tcpm__lua_box(L, 1, OWN_FILTER_METATABLE);
    if (box != NULL) {
        tcpm_filter_free(*box);
        *box = NULL;
    }
    return 0;
}

/* The filter at index for one direction. */
static int open_one(lua_State *L, struct runtime *rt, int index, struct tcpm_filter **core,
                    struct lua_filter **lua, bool *own)
{
    struct tcpm_filter **box = lua_touserdata(L, index);
    if (box != NULL) {
        *core = *box;
        return *box == NULL ? -ESHUTDOWN : 0;
    }
    int result = tcpm__lua_filter_open(L, rt, index, core, lua);
    *own = result == 0;
    return result;
}

/* The filters at two indices from first on, each may be nil. */
static int open_two(lua_State *L, struct runtime *rt, int first, struct filter_pair *pair)
{
    int result = 0;
    if (!lua_isnil(L, first))
        result = open_one(L, rt, first, &pair->input, &pair->lua_input, &pair->own_input);
    if (result < 0 || lua_isnil(L, first + 1))
        return result;
    if (!lua_rawequal(L, first, first + 1))
        return open_one(L, rt, first + 1, &pair->output, &pair->lua_output, &pair->own_output);
    pair->output = pair->input; /* the same one twice: one instance for both directions */
    pair->lua_output = tcpm__lua_filter_keep(pair->lua_input);
    return 0;
}

struct pair_call {
    struct call call;
    struct filter_pair *pair;
    int result;
};

static void open_pair(lua_State *L, struct call *base)
{
    struct pair_call *call = (struct pair_call *) base;
    call->result = open_two(L, tcpm__lua_runtime(L), 1, call->pair);
}

/* Two filters on top of the stack, which are popped. What a script has written may raise when it is
   cloned: then what has been made goes. */
static int try_open(lua_State *L, uint64_t id, struct filter_pair *pair)
{
    struct runtime *rt = tcpm__lua_runtime(L);
    struct pair_call call = {.call.run = open_pair, .pair = pair};
    struct call *outer = rt->call;
    lua_rawgeti(L, lua_upvalueindex(UP_PLACES), OWN_TRAMPOLINE);
    lua_insert(L, -3);
    rt->call = &call.call;
    int status = tcpm__lua_filter_try(L, id, 2, 0);
    rt->call = outer;
    if (status == 0)
        return call.result;
    tcpm__lua_filter_pair_free(pair);
    return lua_error(L);
}

/* Pushes the filter at index, or where that is 0 the session's own, if that is written in Lua, or
   nil. */
static void push_filter(lua_State *L, const struct session *session_or_null, int index, int place)
{
    if (index != 0) {
        lua_pushvalue(L, index);
        return;
    }
    if (session_or_null == NULL) {
        lua_pushnil(L);
        return;
    }
    tcpm__lua_push_place(L, session_or_null, place);
    if (lua_istable(L, -1))
        return;
    lua_pop(L, 1);
    lua_pushnil(L);
}

int tcpm__lua_filter_pair(lua_State *L, uint64_t id, const struct session *session_or_null,
                          int input, int output, struct filter_pair *pair)
{
    const uint32_t filters = 1u << PLACE_INPUT_FILTER | 1u << PLACE_OUTPUT_FILTER;
    int first = lua_gettop(L) + 1, result;
    *pair = (struct filter_pair){0};
    if (input == 0 && output == 0 &&
        (session_or_null == NULL || (session_or_null->handlers & filters) == 0))
        return 0;
    push_filter(L, session_or_null, input, PLACE_INPUT_FILTER);
    push_filter(L, session_or_null, output, PLACE_OUTPUT_FILTER);
    if (lua_istable(L, first) || lua_istable(L, first + 1))
        result = try_open(L, id, pair);
    else
        result = open_two(L, tcpm__lua_runtime(L), first, pair);
    lua_settop(L, first - 1);
    if (result < 0)
        tcpm__lua_filter_pair_free(pair);
    return result;
}

void tcpm__lua_filter_pair_free(struct filter_pair *pair)
{
    if (pair->own_input)
        tcpm_filter_free(pair->input);
    if (pair->own_output)
        tcpm_filter_free(pair->output);
    tcpm__lua_filter_drop(pair->lua_input);
    tcpm__lua_filter_drop(pair->lua_output);
    *pair = (struct filter_pair){0};
}

const luaL_Reg tcpm__lua_filter_functions[] = {
    {"clone", tcpm__lua_codec_open},
    {"__tostring", filter_tostring},
    {"__gc", filter_collect},
    {NULL, NULL},
};
