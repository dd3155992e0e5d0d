/* SPDX-License-Identifier: MIT */
/*
 * connect in its three forms: arguments, one table, and the targets of the pull form (pull.c). Each
 * form lays its arguments out on the stack in one order, and all end in open_connection.
 */
#include "functions.h"

#include <errno.h>

/* The options of connect{…}, in the order in which they are laid out on the stack behind the table.
   Their names are those of the checked copy that shared.check_connect gives. */
#define TABLE_FORM(X)                                                             \
    X(HEAP, "heap")                                                               \
    X(ADDRESS, "remote_address")                                                  \
    X(PORT, "remote_port")                                                        \
    X(BIND_ADDRESS, "bind_address")                                               \
    X(BIND_PORT, "bind_port")                                                     \
    X(CONNECT_TIMEOUT, "connect_timeout") /* milliseconds, like the next three */ \
    X(INPUT_TIMEOUT, "input_timeout")                                             \
    X(SHUTDOWN_TIMEOUT, "shutdown_timeout")                                       \
    X(DEADLINE, "deadline")                                                       \
    X(INPUT_FILTER, "input_filter")                                               \
    X(OUTPUT_FILTER, "output_filter")                                             \
    X(HALF_OPEN, "half_open")                                                     \
    X(DNS, "dns") /* enum tcpm_dns */                                             \
    X(RESOLVE, "resolve")                                                         \
    X(DENY, "deny")                                                               \
    X(ATTEMPT_DELAY, "attempt_delay") /* milliseconds, like the next one */       \
    X(RESOLUTION_DELAY, "resolution_delay")                                       \
    X(BIND_DEVICE, "bind_device")                                                 \
    X(TLS, "tls")     /* a specification */                                       \
    X(PLAIN, "plain") /* 1: no TLS */                                             \
    X(PROXY, "proxy")                                                             \
    X(DIRECT, "direct") /* 1: no proxy */                                         \
    X(SEND_PROXY, "send_proxy")

enum option {
    OPTIONS, /* the table itself */
#define OPTION(NAME, name) OPTION_##NAME,
    TABLE_FORM(OPTION)
#undef OPTION
        OPTION_COUNT,
};

/* Stack indices of the arguments of one connect; 0: not given. Only the table form has times,
   filters, handlers, and options of names. */
struct request {
    struct tcpm__lua_target target;
    int heap;
    int key;   /* a field that the cheap gets room for, with the value false */
    int times; /* first of four times, each in milliseconds or TCPM_NONE */
    int input_filter, output_filter;
    int names;         /* first of 11 options, from dns to send_proxy */
    int handlers;      /* the table with handlers of this connection alone */
    int64_t half_open; /* as in struct tcpm_connect_options */
    bool pulled;       /* from a pull function: a bad target is a connection that fails */
};

enum { GIVEN_COUNT = 4 }; /* address, port, bind_address, bind_port */

static int64_t integer(lua_State *L, int index)
{
    return lua_isnoneornil(L, index) ? 0 : (int64_t) lua_tonumber(L, index);
}

/* For options.assert: raises if the key on top of the stack hides a method. */
static void check_field(lua_State *L, int metatable)
{
    if (lua_type(L, -1) != LUA_TSTRING)
        return;
    lua_getfield(L, metatable, "__index");
    lua_pushvalue(L, -2);
    lua_rawget(L, -2);
    if (!lua_isnil(L, -1))
        luaL_error(L, "connect: field '%s' of the heap hides a method", lua_tostring(L, -3));
    lua_pop(L, 2);
}

/* A heap that was the cheap of a task's connection has a link, which is not to be copied. */
static void forget_link(lua_State *L, int cheap)
{
    lua_pushliteral(L, TCPM__LUA_LINK);
    lua_pushvalue(L, -1);
    lua_rawget(L, cheap);
    if (lua_toboolean(L, -1)) {
        lua_pushvalue(L, -2);
        lua_pushnil(L);
        lua_rawset(L, cheap);
    }
    lua_pop(L, 2);
}

/* Pushes the new cheap: a shallow copy of the heap, or an empty table, with room for the key. */
static void push_cheap(lua_State *L, const struct tcpm__lua_session *session, int heap, int key)
{
    /* Room for the id and two fields; a table that grows takes 24 bytes more */
    lua_createtable(L, 1, 2);
    int cheap = lua_gettop(L);
    lua_rawgeti(L, lua_upvalueindex(UP_CELLS),
                session->strict ? OWN_STRICT_METATABLE : OWN_CHEAP_METATABLE);
    if (heap != 0) {
        lua_pushnil(L);
        while (lua_next(L, heap) != 0) {
            lua_pushvalue(L, -2);
            if (session->strict)
                check_field(L, cheap + 1);
            lua_insert(L, -2);
            lua_rawset(L, cheap);
        }
        forget_link(L, cheap);
    }
    if (key != 0) {
        lua_pushvalue(L, key);
        lua_pushboolean(L, 0);
        lua_rawset(L, cheap);
    }
    lua_setmetatable(L, cheap);
    lua_pushinteger(L, 0); /* reserves [0], so that storing the id needs no memory */
    lua_rawseti(L, cheap, 0);
}

static int start(lua_State *L, struct tcpm__lua_session *session,
                 const struct tcpm_connect_options *options,
                 struct tcpm__lua_connecting *connecting, struct tcpm_id *id)
{
    struct tcpm__lua_runtime *rt = session->runtime;
    struct tcpm__lua_connecting *outer = rt->connecting;
    struct tcpm__lua_saved entry = tcpm__lua_enter(rt, L);

    rt->connecting = connecting;
    int result = tcpm_connect(session->inner, options, id);
    TCPM__LUA_ASSERT(rt->connecting == connecting);
    rt->connecting = outer;
    tcpm__lua_leave(rt, entry);
    return result;
}

/* Opens a connection that fails, for a target that is invalid. initialize gets the script's values
   as they are. */
static int start_refused(lua_State *L, struct tcpm__lua_session *session,
                         const struct request *request, struct tcpm_connect_options *options,
                         struct tcpm__lua_connecting *connecting, struct tcpm_id *id)
{
    lua_createtable(L, GIVEN_COUNT, 0);
    for (int i = 0; i < GIVEN_COUNT; i++) {
        lua_pushvalue(L, request->target.address + i);
        lua_rawseti(L, -2, i + 1);
    }
    lua_rawseti(L, lua_upvalueindex(UP_CELLS), OWN_GIVEN);
    connecting->refused = true;
    int result = start(L, session, options, connecting, id);
    lua_pushboolean(L, 0);
    lua_rawseti(L, lua_upvalueindex(UP_CELLS), OWN_GIVEN);
    return result;
}

static void read_times(lua_State *L, int index, struct tcpm_connect_options *options)
{
    if (index == 0)
        return;
    options->connect_timeout_ms = integer(L, index);
    options->input_timeout_ms = integer(L, index + 1);
    options->shutdown_timeout_ms = integer(L, index + 2);
    options->deadline_ms = integer(L, index + 3);
}

/* The options of names, TLS and proxies, in the order of TABLE_FORM. */
static void read_names(lua_State *L, int index, struct tcpm_connect_options *options)
{
    if (index == 0)
        return;
    options->dns = integer(L, index);
    options->resolve = lua_tostring(L, index + 1);
    options->deny = lua_tostring(L, index + 2);
    options->attempt_delay_ms = integer(L, index + 3);
    options->resolution_delay_ms = integer(L, index + 4);
    options->bind_device = lua_tostring(L, index + 5);
    options->tls = tcpm__lua_tls_at(L, index + 6);
    options->server_name = tcpm__lua_tls_server_name(L, index + 6);
    options->plain = integer(L, index + 7);
    options->proxy = lua_tostring(L, index + 8);
    options->direct = integer(L, index + 9);
    options->send_proxy = integer(L, index + 10);
}

/* Pushes a table of the handlers of this connection alone, by cell, from the options at index. */
static void push_handlers(lua_State *L, int index, struct tcpm__lua_connecting *connecting)
{
    if (index == 0)
        return;
    lua_newtable(L);
    connecting->own = lua_gettop(L);
    for (int cell = ON_INITIALIZE; cell < CELL_INPUT_FILTER; cell++) {
        lua_getfield(L, index, tcpm__lua_option_names[cell]);
        if (cell != ON_EXCEPTION && lua_toboolean(L, -1))
            connecting->handlers |= 1u << cell;
        lua_rawseti(L, -2, cell);
    }
}

/* Gives a table of events for this connection if its session lacks one of them; else NULL. */
static const struct tcpm_events *choose_events(const struct tcpm__lua_session *session,
                                               const struct tcpm__lua_connecting *connecting,
                                               struct tcpm_events *own)
{
    const struct tcpm__lua_runtime *rt = session->runtime;
    uint32_t flushed = rt->always != 0 ? 1u << ON_FLUSHED : 0; /* tasks may come to need it */

    if ((connecting->handlers & ~session->handlers) == 0)
        return NULL;
    tcpm__lua_select_events(rt, session->handlers | connecting->handlers | flushed, own);
    return own;
}

/* Starts with the filters of the request. Nothing raises while C holds the filters. */
static int start_filtered(lua_State *L, struct tcpm__lua_session *session,
                          const struct request *request, struct tcpm_connect_options *options,
                          struct tcpm__lua_connecting *connecting, struct tcpm_id *id)
{
    struct tcpm__lua_filter_pair filters;
    int result = tcpm__lua_filter_pair_open(L, 0, session, request->input_filter,
                                            request->output_filter, &filters);

    if (result == 0 && session->runtime == NULL)
        result = -ESHUTDOWN; /* the clone of a filter has closed the module */
    options->input_filter = filters.input;
    options->output_filter = filters.output;
    connecting->input = filters.lua_input;
    connecting->output = filters.lua_output;
    if (result == 0)
        result = start(L, session, options, connecting, id);
    tcpm__lua_filter_pair_free(&filters);
    options->input_filter = options->output_filter = NULL;
    connecting->input = connecting->output = NULL;
    return result;
}

/* Raises: the option dns asks for something that the library was built without. */
static int raise_without_ares(lua_State *L)
{
    lua_getfield(L, lua_upvalueindex(UP_SHARED), "NO_ARES");
    return luaL_error(L, "connect: dns: %s", lua_tostring(L, -1));
}

/* Opens a connection, whatever form its request had. The stack holds the session and all that the
   request names. Pushes cheap, id, or nil, message, errname. */
static int open_connection(lua_State *L, struct tcpm__lua_session *session, struct request request)
{
    struct tcpm_connect_options options = {
        .size = sizeof options,
        .heap = session,
        .half_open = request.half_open,
    };
    struct tcpm__lua_connecting connecting = {.L = L};
    struct tcpm_events own;
    struct tcpm_id id = {0};
    int result = 0;

    luaL_checkstack(L, LUA_MINSTACK, "connect");
    options.refused = tcpm__lua_target_read(L, &request.target, &options);
    if (options.refused != NULL && !request.pulled)
        return luaL_error(L, "connect: %s", options.refused);
    read_times(L, request.times, &options);
    read_names(L, request.names, &options);
    if (options.tls == NULL)
        options.server_name = session->server_name;
    push_cheap(L, session, request.heap, request.key);
    connecting.cheap = lua_gettop(L);
    push_handlers(L, request.handlers, &connecting);
    options.events = choose_events(session, &connecting, &own);
    if (options.refused == NULL)
        result = start_filtered(L, session, &request, &options, &connecting, &id);
    if (result == -EINVAL || result == TCPM_ENOTFOUND)
        options.refused = tcpm__lua_target_explain(L, &request.target, &options);
    if (options.refused != NULL && !request.pulled)
        return luaL_error(L, "connect: %s", options.refused);
    if (options.refused != NULL)
        result = start_refused(L, session, &request, &options, &connecting, &id);
    if (result == -ESHUTDOWN)
        return tcpm__lua_session_failure(L, session);
    if (result == -EOPNOTSUPP)
        return raise_without_ares(L);
    if (result < 0 || !connecting.registered)
        return tcpm__lua_failure(L, result < 0 ? result : -ENOMEM);
    lua_pushvalue(L, connecting.cheap);
    lua_pushnumber(L, (lua_Number) id.n);
    return 2;
}

static int64_t read_half_open(lua_State *L, int index)
{
    if (lua_isnil(L, index))
        return 0;
    return lua_toboolean(L, index) ? 1 : TCPM_NONE;
}

/* Whether the session has this handler, or the options at index (0: none). */
static bool has_handler(lua_State *L, const struct tcpm__lua_session *session, int index, int cell)
{
    if ((session->handlers >> cell & 1) != 0 || index == 0)
        return (session->handlers >> cell & 1) != 0;
    lua_getfield(L, index, tcpm__lua_option_names[cell]);
    bool has = lua_toboolean(L, -1) != 0;
    lua_pop(L, 1);
    return has;
}

/* Replaces the options at index by their checked copy, and pushes each of them. True: handlers of
   this connection alone are among them. */
static bool read_table(lua_State *L, int index)
{
    static const char *const names[OPTION_COUNT] = {
#define NAME_OF(NAME, name) [OPTION_##NAME] = name,
        TABLE_FORM(NAME_OF)
#undef NAME_OF
    };

    lua_settop(L, index);
    lua_rawgeti(L, lua_upvalueindex(UP_SHARED), PART_CHECK_CONNECT);
    lua_insert(L, index);
    lua_call(L, 1, 2);
    bool has_handlers = lua_toboolean(L, -1) != 0;
    lua_pop(L, 1);
    for (int option = OPTIONS + 1; option < OPTION_COUNT; option++)
        lua_getfield(L, index, names[option]);
    return has_handlers;
}

static int index_or_zero(lua_State *L, int index)
{
    return lua_isnil(L, index) ? 0 : index;
}

/* connect{…}: the table at index. */
static int connect_by_table(lua_State *L, struct tcpm__lua_session *session, int index,
                            enum tcpm__lua_way way)
{
    luaL_checkstack(L, OPTION_COUNT + LUA_MINSTACK, "connect");
    bool has_handlers = read_table(L, index);
    struct request request = {
        .heap = index_or_zero(L, index + OPTION_HEAP),
        .target = {.address = index + OPTION_ADDRESS, .by_options = true},
        .times = index + OPTION_CONNECT_TIMEOUT,
        .input_filter = index_or_zero(L, index + OPTION_INPUT_FILTER),
        .output_filter = index_or_zero(L, index + OPTION_OUTPUT_FILTER),
        .half_open = read_half_open(L, index + OPTION_HALF_OPEN),
        .names = index + OPTION_DNS,
        .handlers = has_handlers ? index : 0,
        .key = way == CONNECT_KEYED ? index - 1 : 0,
        .pulled = way == CONNECT_PULLED,
    };

    if (request.half_open == 1 && !has_handler(L, session, request.handlers, ON_EOF))
        return luaL_error(L, "connect: half_open needs on_eof, which tells of the peer's end");
    return open_connection(L, session, request);
}

int tcpm__lua_connect_arguments(lua_State *L, struct tcpm__lua_session *session, int index,
                                enum tcpm__lua_way way)
{
    struct request request = {
        .target.address = index,
        .key = way == CONNECT_KEYED ? index - 1 : 0,
        .pulled = way == CONNECT_PULLED,
    };

    if (lua_istable(L, index)) {
        if (lua_gettop(L) == index)
            return connect_by_table(L, session, index, way);
        request.heap = index;
        request.target.address = index + 1;
    }
    lua_settop(L, request.target.address + 3);
    return open_connection(L, session, request);
}

static int module_connect(lua_State *L)
{
    tcpm__lua_check_dot(L);
    struct tcpm__lua_session *session = tcpm__lua_runtime(L)->owner;
    if (session == NULL)
        return luaL_error(L, "tcpmulti.connect: no session is running; use session:connect");
    if (session->inner == NULL || session->dying || session->muted)
        return tcpm__lua_session_failure(L, session);
    if (!lua_istable(L, 1) || lua_gettop(L) != 1)
        return luaL_error(L, "tcpmulti.connect: one table of options expected, not %s",
                          lua_istable(L, 1) ? "several arguments" : tcpm__lua_describe(L, 1));
    return connect_by_table(L, session, 1, CONNECT_PLAINLY);
}

const luaL_Reg tcpm__lua_connect_functions[] = {
    {"connect", module_connect},
    {NULL, NULL},
};
