/* SPDX-License-Identifier: MIT */
/*
 * Filters as Lua values. A built-in filter is userdata with the core's specification, checked once
 * and cheap to switch to. A filter written in Lua is the script's table. Names and options are read
 * by the part written in Lua (filters.lua), which calls shared.filter with checked options.
 */
#include "functions.h"

#include <errno.h>
#include <string.h>

static int64_t integer_option(lua_State *L, const char *name)
{
    lua_getfield(L, 2, name);
    int64_t value = (int64_t) lua_tonumber(L, -1);
    lua_pop(L, 1);
    return value;
}

/* The string lives as long as the table of options. */
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

static int make_resp(lua_State *L, struct tcpm_filter **ret)
{
    struct tcpm_resp_options options = {
        .size = sizeof options,
        .max_length = integer_option(L, "max_length"),
        .max_elements = integer_option(L, "max_elements"),
    };

    tcpm__lua_runtime(L)->reads_resp = true;
    return tcpm_filter_resp(&options, ret);
}

/* The content of the userdata. Other readers know the first member only. */
struct built_in {
    struct tcpm_filter *inner;
    const char *kind;
};

static const char *static_kind(const char *kind)
{
    static const char *const kinds[] = {"line", "block", "netstring", "resp"};

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i], kind) == 0)
            return kinds[i];
    return "stream";
}

/* Pushes userdata for a filter that is still to be made. */
static struct built_in *push_built_in(lua_State *L)
{
    struct built_in *filter = lua_newuserdata(L, sizeof *filter);

    *filter = (struct built_in){.kind = "(none)"};
    lua_rawgeti(L, lua_upvalueindex(UP_CELLS), OWN_FILTER_METATABLE);
    lua_setmetatable(L, -2);
    return filter;
}

int tcpm__lua_filter_push_built_in(lua_State *L, struct tcpm_session *session, struct tcpm_id id,
                                   bool input)
{
    struct built_in *filter = push_built_in(L);
    int result =
        tcpm_filter_get(session, id, input ? &filter->inner : NULL, input ? NULL : &filter->inner);

    if (result == 0)
        filter->kind = static_kind(tcpm_filter_name(filter->inner));
    return result;
}

/* shared.filter(kind, options) -> userdata, or nil, message, errname */
static int shared_filter(lua_State *L)
{
    const char *kind = luaL_checkstring(L, 1);

    luaL_checktype(L, 2, LUA_TTABLE);
    struct built_in *filter = push_built_in(L);
    struct tcpm_filter **box = &filter->inner;
    int result;
    filter->kind = static_kind(kind);
    if (strcmp(kind, "line") == 0)
        result = make_line(L, box);
    else if (strcmp(kind, "block") == 0)
        result = make_block(L, box);
    else if (strcmp(kind, "netstring") == 0)
        result = tcpm_filter_netstring(integer_option(L, "max_length"), box);
    else if (strcmp(kind, "resp") == 0)
        result = make_resp(L, box);
    else
        result = tcpm_filter_stream(box);
    if (result == -EINVAL)
        return tcpm__lua_failure_text(L, result, "the options do not fit together");
    return result < 0 ? tcpm__lua_failure(L, result) : 1;
}

void **tcpm__lua_to_box(lua_State *L, int index, enum tcpm__lua_own_cell cell)
{
    bool is_box = lua_type(L, index) == LUA_TUSERDATA && tcpm__lua_has_metatable(L, index, cell);

    return is_box ? lua_touserdata(L, index) : NULL;
}

bool tcpm__lua_is_filter_at(lua_State *L, int index)
{
    void **box = tcpm__lua_to_box(L, index, OWN_FILTER_METATABLE);

    return box != NULL && *box != NULL;
}

bool tcpm__lua_is_resp_at(lua_State *L, int index)
{
    const struct built_in *filter = lua_touserdata(L, index);

    return tcpm__lua_is_filter_at(L, index) && strcmp(filter->kind, "resp") == 0;
}

/* shared.is_filter(value) -> whether value is a built-in filter */
static int shared_is_filter(lua_State *L)
{
    lua_pushboolean(L, tcpm__lua_is_filter_at(L, 1));
    return 1;
}

/* shared.filter_kind(value) -> name of a built-in filter's kind, or nil */
static int shared_filter_kind(lua_State *L)
{
    const struct built_in *filter = lua_touserdata(L, 1);

    if (!tcpm__lua_is_filter_at(L, 1))
        return 0;
    lua_pushstring(L, filter->kind);
    return 1;
}

static int filter_tostring(lua_State *L)
{
    const struct built_in *filter =
        tcpm__lua_is_filter_at(L, 1) ? lua_touserdata(L, 1) : &(struct built_in){.kind = "(none)"};

    lua_pushfstring(L, "tcpmulti filter %s", filter->kind);
    return 1;
}

/* __gc. A script may call it too, with any value. */
static int filter_collect(lua_State *L)
{
    void **box = tcpm__lua_to_box(L, 1, OWN_FILTER_METATABLE);

    if (box != NULL) {
        tcpm_filter_free(*box);
        *box = NULL;
    }
    return 0;
}

/* Opens the filter at index for one direction. */
static int open_one(lua_State *L, struct tcpm__lua_runtime *rt, int index,
                    struct tcpm_filter **inner, struct tcpm__lua_filter **lua, bool *own)
{
    struct tcpm_filter **box = lua_touserdata(L, index);

    if (box != NULL) {
        *inner = *box;
        return *box == NULL ? -ESHUTDOWN : 0;
    }
    int result = tcpm__lua_filter_open(L, rt, index, inner, lua);
    *own = result == 0;
    return result;
}

/* Opens the filters at first and first + 1; each may be nil. */
static int open_two(lua_State *L, struct tcpm__lua_runtime *rt, int first,
                    struct tcpm__lua_filter_pair *pair)
{
    int result = 0;

    if (!lua_isnil(L, first))
        result = open_one(L, rt, first, &pair->input, &pair->lua_input, &pair->own_input);
    if (result < 0 || lua_isnil(L, first + 1))
        return result;
    if (!lua_rawequal(L, first, first + 1))
        return open_one(L, rt, first + 1, &pair->output, &pair->lua_output, &pair->own_output);
    pair->output = pair->input; /* one filter given twice: one clone for both directions */
    pair->lua_output = tcpm__lua_filter_keep(pair->lua_input);
    return 0;
}

struct pair_call {
    struct tcpm__lua_call call;
    struct tcpm__lua_filter_pair *pair;
    int result;
};

static void open_pair(lua_State *L, struct tcpm__lua_call *base)
{
    struct pair_call *call = (struct pair_call *) base;

    call->result = open_two(L, tcpm__lua_runtime(L), 1, call->pair);
}

/* Pops two filters and opens them. A clone written in Lua may raise: all that has been made goes
   then. */
static int try_open(lua_State *L, uint64_t id, struct tcpm__lua_filter_pair *pair)
{
    struct tcpm__lua_runtime *rt = tcpm__lua_runtime(L);
    struct pair_call call = {.call.run = open_pair, .pair = pair};
    struct tcpm__lua_call *outer = rt->call;

    lua_rawgeti(L, lua_upvalueindex(UP_CELLS), OWN_TRAMPOLINE);
    lua_insert(L, -3);
    rt->call = &call.call;
    int status = tcpm__lua_filter_try(L, id, 2, 0);
    rt->call = outer;
    if (status == 0)
        return call.result;
    tcpm__lua_filter_pair_free(pair);
    return lua_error(L);
}

/* Pushes the filter at index; for index 0, the session's filter if written in Lua, or nil. */
static void push_filter(lua_State *L, const struct tcpm__lua_session *session_or_null, int index,
                        int cell)
{
    if (index != 0) {
        lua_pushvalue(L, index);
        return;
    }
    if (session_or_null == NULL) {
        lua_pushnil(L);
        return;
    }
    tcpm__lua_push_cell(L, session_or_null, cell);
    if (lua_istable(L, -1))
        return;
    lua_pop(L, 1);
    lua_pushnil(L);
}

int tcpm__lua_filter_pair_open(lua_State *L, uint64_t id_or_zero,
                               const struct tcpm__lua_session *session_or_null, int input,
                               int output, struct tcpm__lua_filter_pair *pair)
{
    const uint32_t filters = 1u << CELL_INPUT_FILTER | 1u << CELL_OUTPUT_FILTER;
    int first = lua_gettop(L) + 1, result;

    *pair = (struct tcpm__lua_filter_pair){0};
    if (input == 0 && output == 0 &&
        (session_or_null == NULL || (session_or_null->handlers & filters) == 0))
        return 0;
    push_filter(L, session_or_null, input, CELL_INPUT_FILTER);
    push_filter(L, session_or_null, output, CELL_OUTPUT_FILTER);
    if (lua_istable(L, first) || lua_istable(L, first + 1))
        result = try_open(L, id_or_zero, pair);
    else
        result = open_two(L, tcpm__lua_runtime(L), first, pair);
    lua_settop(L, first - 1);
    if (result < 0)
        tcpm__lua_filter_pair_free(pair);
    return result;
}

void tcpm__lua_filter_pair_free(struct tcpm__lua_filter_pair *pair)
{
    if (pair->own_input)
        tcpm_filter_free(pair->input);
    if (pair->own_output)
        tcpm_filter_free(pair->output);
    tcpm__lua_filter_drop(pair->lua_input);
    tcpm__lua_filter_drop(pair->lua_output);
    *pair = (struct tcpm__lua_filter_pair){0};
}

const luaL_Reg tcpm__lua_filter_methods[] = {
    {"__tostring", filter_tostring},
    {"__gc", filter_collect},
    {NULL, NULL},
};

const luaL_Reg tcpm__lua_filter_shared[] = {
    {"filter", shared_filter},
    {"is_filter", shared_is_filter},
    {"filter_kind", shared_filter_kind},
    {NULL, NULL},
};
