/* SPDX-License-Identifier: MIT */
/*
 * connect in its three forms, and for the pull form (pull.c). All of them bring their arguments
 * into the same order on the stack and end in one function, open_connection.
 */
#include "lua_filter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ADDRESS 253
#define MAX_SERVICE 64

/* Where the arguments of one connect lie on the stack; 0: not given. Times and filters come from
   the table form only, where core.check_connect has checked them. */
struct request {
    int heap, address; /* then port, bind_address, bind_port */
    int times;         /* connect, input, shutdown, deadline: milliseconds or TCPM_NONE */
    int input_filter, output_filter;
    int handlers;      /* options that have handlers of this connection alone */
    int64_t half_open; /* as in the core's options */
    bool pulled;       /* by the pull form: a bad target is a connection that fails */
};

enum { GIVEN_COUNT = 4 }; /* address, port, bind_address, bind_port */

/* What a beginner may have meant by an address that is no string. */
static const char *guess_address(lua_State *L, int index)
{
    switch (lua_type(L, index)) {
    case LUA_TFUNCTION:
        return " (connect takes no callback: handlers are options of tcpmulti.create)";
    case LUA_TTABLE:
        return " (a heap comes first: connect(heap, address, port))";
    case LUA_TNUMBER:
        return lua_type(L, index + 1) == LUA_TSTRING ? " (the address comes before the port)" : "";
    default:
        return "";
    }
}

/* What is wrong with a value of the right type, left on the stack; NULL: nothing. Where a list of
   targets comes from a function, such a value is an event; a wrong type raises everywhere. */
static const char *check_address(lua_State *L, int index, const char *what)
{
    if (lua_type(L, index) != LUA_TSTRING)
        luaL_error(L, "connect: %s must be a string, not %s%s", what, tcpm__lua_describe(L, index),
                   guess_address(L, index));
    size_t length;
    const char *text = lua_tolstring(L, index, &length);
    if (length == 0 || length > MAX_ADDRESS)
        return lua_pushfstring(L, "%s must have 1 to %d bytes, not %d: %s", what, MAX_ADDRESS,
                               (int) length, tcpm__lua_describe(L, index));
    for (size_t i = 0; i < length; i++)
        if ((unsigned char) text[i] <= ' ' || text[i] == 0x7f)
            return lua_pushfstring(L, "%s must not contain control characters or spaces: %s", what,
                                   tcpm__lua_describe(L, index));
    return NULL;
}

/* As the form in use calls it: 'remote_port' is an option, port an argument. */
static const char *name_of(const struct request *request, const char *option, const char *argument)
{
    return request->times != 0 ? option : argument;
}

static const char *check_port_number(lua_State *L, double port, int lowest, const char *what,
                                     int64_t *ret)
{
    if (port >= lowest && port <= 65535 && port == (double) (int) port) {
        *ret = (int64_t) port;
        return NULL;
    }
    lua_pushnumber(L, port);
    return lua_pushfstring(L, "%s must be a whole number from %d to 65535, not %s", what, lowest,
                           lua_tostring(L, -1));
}

static bool is_decimal(const char *text)
{
    return *text != '\0' && text[strspn(text, "0123456789")] == '\0';
}

/* What a beginner may have meant who gave no port: connect("127.0.0.1:80"). */
static const char *guess_port(lua_State *L, int index)
{
    if (!lua_isnoneornil(L, index) || strchr(lua_tostring(L, index - 1), ':') == NULL)
        return "";
    return " (address and port are two arguments: connect('127.0.0.1', 80))";
}

/* A number, decimal digits or the name of a service. */
static const char *check_port(lua_State *L, int index, const char *what,
                              struct tcpm_connect_options *options)
{
    size_t length;
    if (lua_type(L, index) == LUA_TNUMBER)
        return check_port_number(L, lua_tonumber(L, index), 1, what, &options->port);
    if (lua_type(L, index) != LUA_TSTRING)
        luaL_error(
            L, "connect: %s must be a number from 1 to 65535 or the name of a service, not %s%s",
            what, tcpm__lua_describe(L, index), guess_port(L, index));
    const char *text = lua_tolstring(L, index, &length);
    if (length == 0 || length > MAX_SERVICE || strlen(text) != length)
        return lua_pushfstring(L, "%s must be the name of a service with 1 to %d bytes, not %s",
                               what, MAX_SERVICE, tcpm__lua_describe(L, index));
    if (is_decimal(text))
        return check_port_number(L, strtod(text, NULL), 1, what, &options->port);
    options->service = text;
    return NULL;
}

static const char *check_bind_port(lua_State *L, int index, const char *what, int64_t *ret)
{
    int type = lua_type(L, index);
    if (type == LUA_TNIL || type == LUA_TNONE)
        return NULL;
    if (type != LUA_TNUMBER && type != LUA_TSTRING)
        luaL_error(L, "connect: %s must be a number from 0 to 65535, not %s", what,
                   tcpm__lua_describe(L, index));
    if (type == LUA_TSTRING && !is_decimal(lua_tostring(L, index)))
        return lua_pushfstring(L, "%s must be a number from 0 to 65535, not %s", what,
                               tcpm__lua_describe(L, index));
    return check_port_number(L, lua_tonumber(L, index), 0, what, ret);
}

/* Reads the addresses and ports of a request into options; gives the first thing that is wrong. */
static const char *read_target(lua_State *L, const struct request *request,
                               struct tcpm_connect_options *options)
{
    int at = request->address;
    const char *problem = check_address(L, at, name_of(request, "remote_address", "address"));
    options->address = lua_tostring(L, at);
    const char *port = check_port(L, at + 1, name_of(request, "remote_port", "port"), options);
    problem = problem == NULL ? port : problem;
    if (!lua_isnoneornil(L, at + 2)) {
        const char *bind =
            check_address(L, at + 2, name_of(request, "bind_address", "bind address"));
        problem = problem == NULL ? bind : problem;
        options->bind_address = lua_tostring(L, at + 2);
    }
    const char *bind_port =
        check_bind_port(L, at + 3, name_of(request, "bind_port", "bind port"), &options->bind_port);
    return problem == NULL ? bind_port : problem;
}

static int64_t milliseconds(lua_State *L, int index)
{
    return lua_isnoneornil(L, index) ? 0 : (int64_t) lua_tonumber(L, index);
}

/* With options.assert: the key on top of the stack must not be that of a method. */
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

/* Pushes the new cheap: a shallow copy of the heap, if there is one. */
static void push_cheap(lua_State *L, const struct session *session, int heap)
{
    lua_createtable(L, 1, 2); /* the id and two fields; grown to that it would take 24 bytes more */
    int cheap = lua_gettop(L);
    lua_rawgeti(L, lua_upvalueindex(UP_PLACES),
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
    }
    lua_setmetatable(L, cheap);
    lua_pushinteger(L, 0); /* the place of the id, which must not need memory later */
    lua_rawseti(L, cheap, 0);
}

/* A line of a file that was not stripped: "80\n". */
static const char *guess_service(const char *service)
{
    return service[strcspn(service, " \t\r\n")] != '\0' ? " (with a space or line end in it)" : "";
}

/* What tcpm_connect refuses although all types were right. */
static const char *explain(lua_State *L, const struct request *request,
                           const struct tcpm_connect_options *options)
{
    const char *service = "", *bind = "";
    if (options->service != NULL)
        service = lua_pushfstring(L, "%s must be a number or a known service, not %s%s",
                                  name_of(request, "remote_port", "port"),
                                  tcpm__lua_describe(L, request->address + 1),
                                  guess_service(options->service));
    if (options->bind_address != NULL)
        bind = lua_pushfstring(L, "%s must be a numeric address, not %s",
                               name_of(request, "bind_address", "bind address"),
                               tcpm__lua_describe(L, request->address + 2));
    return lua_pushfstring(L, "%s%s%s", service, *service != '\0' && *bind != '\0' ? ", or " : "",
                           bind);
}

static int start(lua_State *L, struct session *session, const struct tcpm_connect_options *options,
                 struct connecting *connecting, struct tcpm_id *id)
{
    struct runtime *rt = session->runtime;
    struct connecting *outer = rt->connecting;
    struct entry entry = tcpm__lua_enter(rt, L);
    rt->connecting = connecting;
    int result = tcpm_connect(session->core, options, id);
    rt->connecting = outer;
    tcpm__lua_leave(rt, entry);
    return result;
}

/* A target that is none, as a connection that fails. initialize gets the values as they are. */
static int start_refused(lua_State *L, struct session *session, const struct request *request,
                         struct tcpm_connect_options *options, struct connecting *connecting,
                         struct tcpm_id *id)
{
    lua_createtable(L, GIVEN_COUNT, 0);
    for (int i = 0; i < GIVEN_COUNT; i++) {
        lua_pushvalue(L, request->address + i);
        lua_rawseti(L, -2, i + 1);
    }
    lua_rawseti(L, lua_upvalueindex(UP_PLACES), OWN_GIVEN);
    connecting->refused = true;
    int result = start(L, session, options, connecting, id);
    lua_pushboolean(L, 0);
    lua_rawseti(L, lua_upvalueindex(UP_PLACES), OWN_GIVEN);
    return result;
}

static void read_times(lua_State *L, int index, struct tcpm_connect_options *options)
{
    if (index == 0)
        return;
    options->connect_timeout_ms = milliseconds(L, index);
    options->input_timeout_ms = milliseconds(L, index + 1);
    options->shutdown_timeout_ms = milliseconds(L, index + 2);
    options->deadline_ms = milliseconds(L, index + 3);
}

/* Pushes the handlers of this connection alone, by place, from the options at index. */
static void push_handlers(lua_State *L, int index, struct connecting *connecting)
{
    if (index == 0)
        return;
    lua_newtable(L);
    connecting->own = lua_gettop(L);
    for (int place = ON_INITIALIZE; place < PLACE_INPUT_FILTER; place++) {
        lua_getfield(L, index, tcpm__lua_option_names[place]);
        if (place != ON_EXCEPTION && lua_toboolean(L, -1))
            connecting->handlers |= 1u << place;
        lua_rawseti(L, -2, place);
    }
}

/* The core needs a table of this connection's events where its session lacks one of them. */
static const struct tcpm_events *choose_events(const struct session *session,
                                               const struct connecting *connecting,
                                               struct tcpm_events *own)
{
    if ((connecting->handlers & ~session->handlers) == 0)
        return NULL;
    tcpm__lua_events(session->handlers | connecting->handlers, own);
    return own;
}

/* With the filters of the request. While C holds them nothing here raises. */
static int start_filtered(lua_State *L, struct session *session, const struct request *request,
                          struct tcpm_connect_options *options, struct connecting *connecting,
                          struct tcpm_id *id)
{
    struct filter_pair filters;
    int result = tcpm__lua_filter_pair(L, 0, session, request->input_filter, request->output_filter,
                                       &filters);
    if (result == 0 && session->runtime == NULL)
        result = -ESHUTDOWN; /* closed by the clone of a filter */
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

/* The one place that opens connections. The session, and what the request names, is on the stack;
   gives cheap, id, or nil, message, errname. */
static int open_connection(lua_State *L, struct session *session, struct request request)
{
    struct tcpm_connect_options options = {
        .size = sizeof options,
        .heap = session,
        .half_open = request.half_open,
    };
    struct connecting connecting = {.L = L};
    struct tcpm_events own;
    struct tcpm_id id = {0};
    int result = 0;
    luaL_checkstack(L, LUA_MINSTACK, "connect");
    options.refused = read_target(L, &request, &options);
    if (options.refused != NULL && !request.pulled)
        return luaL_error(L, "connect: %s", options.refused);
    read_times(L, request.times, &options);
    push_cheap(L, session, request.heap);
    connecting.cheap = lua_gettop(L);
    push_handlers(L, request.handlers, &connecting);
    options.events = choose_events(session, &connecting, &own);
    if (options.refused == NULL)
        result = start_filtered(L, session, &request, &options, &connecting, &id);
    if (result == -EINVAL || result == TCPM_ENOTFOUND)
        options.refused = explain(L, &request, &options);
    if (options.refused != NULL && !request.pulled)
        return luaL_error(L, "connect: %s", options.refused);
    if (options.refused != NULL)
        result = start_refused(L, session, &request, &options, &connecting, &id);
    if (result == -ESHUTDOWN)
        return tcpm__lua_session_over(L, session);
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

/* Whether the session or the options at index, if not 0, have this handler. */
static bool has_handler(lua_State *L, const struct session *session, int index, int place)
{
    if ((session->handlers >> place & 1) != 0 || index == 0)
        return (session->handlers >> place & 1) != 0;
    lua_getfield(L, index, tcpm__lua_option_names[place]);
    bool has = lua_toboolean(L, -1) != 0;
    lua_pop(L, 1);
    return has;
}

/* connect{…}: the table at index, checked and laid out on the stack by the Lua part. */
static int connect_by_table(lua_State *L, struct session *session, int index, bool pulled)
{
    lua_settop(L, index);
    lua_rawgeti(L, lua_upvalueindex(UP_CORE), PART_CHECK_CONNECT);
    lua_pushvalue(L, index);
    lua_call(L, 1, 13);
    struct request request = {
        .heap = lua_isnil(L, index + 1) ? 0 : index + 1,
        .address = index + 2,
        .times = index + 6,
        .input_filter = lua_isnil(L, index + 10) ? 0 : index + 10,
        .output_filter = lua_isnil(L, index + 11) ? 0 : index + 11,
        .half_open = read_half_open(L, index + 12),
        .handlers = lua_isnil(L, index + 13) ? 0 : index + 13,
        .pulled = pulled,
    };
    if (request.half_open == 1 && !has_handler(L, session, request.handlers, ON_EOF))
        return luaL_error(L, "connect: half_open needs on_eof, which tells of the peer's end");
    return open_connection(L, session, request);
}

/* The arguments from index on, in whichever form. */
static int connect_by_arguments(lua_State *L, struct session *session, int index, bool pulled)
{
    struct request request = {.address = index, .pulled = pulled};
    if (lua_istable(L, index)) {
        if (lua_gettop(L) == index)
            return connect_by_table(L, session, index, pulled);
        request.heap = index;
        request.address = index + 1;
    }
    lua_settop(L, request.address + 3);
    return open_connection(L, session, request);
}

int tcpm__lua_connect_pulled(lua_State *L, struct session *session)
{
    return connect_by_arguments(L, session, 1, true);
}

/* ---- as functions ---- */

int tcpm__lua_connect(lua_State *L)
{
    struct session *session = tcpm__lua_session(L, tcpm__lua_runtime(L), 1);
    if (session == NULL || session->dying)
        return tcpm__lua_session_over(L, session);
    if (lua_isfunction(L, 2) && lua_gettop(L) == 2)
        return tcpm__lua_pull_start(L, session, 2);
    return connect_by_arguments(L, session, 2, false);
}

int tcpm__lua_connect_owner(lua_State *L)
{
    tcpm__lua_check_dot(L);
    struct session *session = tcpm__lua_runtime(L)->owner;
    if (session == NULL)
        return luaL_error(L, "tcpmulti.connect: no session is running; use session:connect");
    if (session->core == NULL || session->dying || session->muted)
        return tcpm__lua_session_over(L, session);
    if (!lua_istable(L, 1) || lua_gettop(L) != 1)
        return luaL_error(L, "tcpmulti.connect: one table of options expected, not %s",
                          lua_istable(L, 1) ? "several arguments" : tcpm__lua_describe(L, 1));
    return connect_by_table(L, session, 1, false);
}
