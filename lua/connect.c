/*
 * connect in its three forms, and the pull form, which asks a function for the next target whenever
 * a place is free. All of them bring their arguments into the same order on the stack and end in
 * one function, open_connection.
 */
#include "lua_filter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ADDRESS    253
#define MAX_SERVICE    64
#define MAX_SHOWN      40  /* bytes of a wrong value that its error message shows */
#define PULLS_PER_TURN 256 /* so that a million targets leave the loop its turns */

/* Where the arguments of one connect lie on the stack; 0: not given. Times and filters come from
   the table form only, where core.check_connect has checked them. */
struct request {
    int heap, address; /* then port, bind_address, bind_port */
    int times;         /* connect, input, shutdown, deadline: milliseconds or TCPM_NONE */
    int input_filter, output_filter;
};

/* A value as error messages show it: one short printable line, left on the stack. */
static const char *describe(lua_State *L, int index)
{
    char text[MAX_SHOWN + 1];
    size_t length;
    switch (lua_type(L, index)) {
    case LUA_TNONE:
    case LUA_TNIL:
        return "nil";
    case LUA_TBOOLEAN:
        return lua_toboolean(L, index) ? "true" : "false";
    case LUA_TNUMBER:
        lua_pushvalue(L, index);
        return lua_tostring(L, -1);
    case LUA_TSTRING:
        break;
    default:
        return lua_pushfstring(L, "a %s", luaL_typename(L, index));
    }
    const char *bytes = lua_tolstring(L, index, &length);
    size_t shown = length < MAX_SHOWN ? length : MAX_SHOWN;
    for (size_t i = 0; i < shown; i++)
        text[i] = (char) (bytes[i] < ' ' || bytes[i] > '~' ? '?' : bytes[i]);
    text[shown] = '\0';
    return lua_pushfstring(L, "'%s%s'", text, shown < length ? "..." : "");
}

static void check_address(lua_State *L, int index, const char *what)
{
    if (lua_type(L, index) != LUA_TSTRING)
        luaL_error(L, "connect: %s must be a string, not %s", what, describe(L, index));
    size_t length;
    const char *text = lua_tolstring(L, index, &length);
    if (length == 0 || length > MAX_ADDRESS)
        luaL_error(L, "connect: %s must have 1 to %d bytes, not %d: %s", what, MAX_ADDRESS,
                   (int) length, describe(L, index));
    for (size_t i = 0; i < length; i++)
        if ((unsigned char) text[i] <= ' ' || text[i] == 0x7f)
            luaL_error(L, "connect: %s must not contain control characters or spaces: %s", what,
                       describe(L, index));
}

/* As the form in use calls it: 'remote_port' is an option, port an argument. */
static const char *name_of(const struct request *request, const char *option, const char *argument)
{
    return request->times != 0 ? option : argument;
}

static int64_t check_port_number(lua_State *L, double port, int lowest, const char *what)
{
    if (!(port >= lowest && port <= 65535) || port != (double) (int) port) {
        lua_pushnumber(L, port);
        luaL_error(L, "connect: %s must be a whole number from %d to 65535, not %s", what, lowest,
                   lua_tostring(L, -1));
    }
    return (int64_t) port;
}

static bool is_decimal(const char *text)
{
    return *text != '\0' && text[strspn(text, "0123456789")] == '\0';
}

/* A number, decimal digits or the name of a service. */
static void check_port(lua_State *L, int index, const char *what,
                       struct tcpm_connect_options *options)
{
    size_t length;
    if (lua_type(L, index) == LUA_TNUMBER) {
        options->port = check_port_number(L, lua_tonumber(L, index), 1, what);
        return;
    }
    if (lua_type(L, index) != LUA_TSTRING)
        luaL_error(L,
                   "connect: %s must be a number from 1 to 65535 or the name of a service, not %s",
                   what, describe(L, index));
    const char *text = lua_tolstring(L, index, &length);
    if (length == 0 || length > MAX_SERVICE || strlen(text) != length)
        luaL_error(L, "connect: %s must be the name of a service with 1 to %d bytes, not %s", what,
                   MAX_SERVICE, describe(L, index));
    if (is_decimal(text))
        options->port = check_port_number(L, strtod(text, NULL), 1, what);
    else
        options->service = text;
}

static void check_bind(lua_State *L, int index, const struct request *request,
                       struct tcpm_connect_options *options)
{
    const char *what = name_of(request, "bind_port", "bind port");
    if (!lua_isnoneornil(L, index)) {
        check_address(L, index, name_of(request, "bind_address", "bind address"));
        options->bind_address = lua_tostring(L, index);
    }
    if (lua_isnoneornil(L, index + 1))
        return;
    if (lua_type(L, index + 1) != LUA_TNUMBER &&
        !(lua_type(L, index + 1) == LUA_TSTRING && is_decimal(lua_tostring(L, index + 1))))
        luaL_error(L, "connect: %s must be a number from 0 to 65535, not %s", what,
                   describe(L, index + 1));
    options->bind_port = check_port_number(L, lua_tonumber(L, index + 1), 0, what);
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

/* What tcpm_connect refuses although all types were right. */
static int explain(lua_State *L, const struct session *session, const struct request *request,
                   const struct tcpm_connect_options *options, int code)
{
    if (code == -ESHUTDOWN)
        return tcpm__lua_session_over(L, session);
    if (code != -EINVAL && code != TCPM_ENOTFOUND)
        return tcpm__lua_failure(L, code);
    const char *service = "", *bind = "";
    if (options->service != NULL)
        service = lua_pushfstring(L, "%s must be a number or a known service, not %s",
                                  name_of(request, "remote_port", "port"),
                                  describe(L, request->address + 1));
    if (options->bind_address != NULL)
        bind = lua_pushfstring(L, "%s must be a numeric address, not %s",
                               name_of(request, "bind_address", "bind address"),
                               describe(L, request->address + 2));
    return luaL_error(L, "connect: %s%s%s", service,
                      *service != '\0' && *bind != '\0' ? ", or " : "", bind);
}

/* The one place that opens connections. The session, and what the request names, is on the stack;
   gives cheap, id, or nil, message, errname. */
static int open_connection(lua_State *L, struct session *session, struct request request)
{
    struct runtime *rt = session->runtime;
    struct tcpm_connect_options options = {.size = sizeof options, .heap = session};
    luaL_checkstack(L, LUA_MINSTACK, "connect");
    check_address(L, request.address, name_of(&request, "remote_address", "address"));
    options.address = lua_tostring(L, request.address);
    check_port(L, request.address + 1, name_of(&request, "remote_port", "port"), &options);
    check_bind(L, request.address + 2, &request, &options);
    if (request.times != 0) {
        options.connect_timeout_ms = milliseconds(L, request.times);
        options.input_timeout_ms = milliseconds(L, request.times + 1);
        options.shutdown_timeout_ms = milliseconds(L, request.times + 2);
        options.deadline_ms = milliseconds(L, request.times + 3);
    }
    push_cheap(L, session, request.heap);
    int cheap = lua_gettop(L);

    struct filter_pair filters;
    int made = tcpm__lua_filter_pair(L, rt, session, request.input_filter, request.output_filter,
                                     &filters);
    if (made < 0)
        return tcpm__lua_failure(L, made);
    options.input_filter = filters.input;
    options.output_filter = filters.output;
    struct connecting *outer = rt->connecting;
    struct connecting connecting = {
        .L = L,
        .cheap = cheap,
        .input = filters.lua_input,
        .output = filters.lua_output,
    };
    struct entry entry = tcpm__lua_enter(rt, L);
    struct tcpm_id id = {0};
    rt->connecting = &connecting;
    int result = tcpm_connect(session->core, &options, &id);
    rt->connecting = outer;
    tcpm__lua_leave(rt, entry);
    tcpm__lua_filter_pair_free(&filters);
    if (result < 0)
        return explain(L, session, &request, &options, result);
    if (!connecting.registered)
        return tcpm__lua_failure(L, -ENOMEM);
    lua_pushvalue(L, cheap);
    lua_pushnumber(L, (lua_Number) id.n);
    return 2;
}

/* connect{…}: the table at index, checked and laid out on the stack by the Lua part. */
static int connect_by_table(lua_State *L, struct session *session, int index)
{
    lua_settop(L, index);
    lua_rawgeti(L, lua_upvalueindex(UP_CORE), PART_CHECK_CONNECT);
    lua_pushvalue(L, index);
    lua_call(L, 1, 11);
    struct request request = {
        .heap = lua_isnil(L, index + 1) ? 0 : index + 1,
        .address = index + 2,
        .times = index + 6,
        .input_filter = lua_isnil(L, index + 10) ? 0 : index + 10,
        .output_filter = lua_isnil(L, index + 11) ? 0 : index + 11,
    };
    return open_connection(L, session, request);
}

/* The arguments from index on, in whichever form. */
static int connect_by_arguments(lua_State *L, struct session *session, int index)
{
    struct request request = {.address = index};
    if (lua_istable(L, index)) {
        if (lua_gettop(L) == index)
            return connect_by_table(L, session, index);
        request.heap = index;
        request.address = index + 1;
    }
    lua_settop(L, request.address + 3);
    return open_connection(L, session, request);
}

/* ---- the pull form ---- */

struct pull {
    struct call call;
    struct session *session;
};

static void end_pull(struct session *session)
{
    session->pulling = false;
    tcpm__lua_clear(session->runtime, session->runtime->places_reference,
                    session->base + PLACE_PULL);
}

/* One target. False: the function has no more, or the session takes none. */
static bool pull_one(lua_State *L, struct session *session)
{
    lua_settop(L, 0);
    lua_rawgeti(L, lua_upvalueindex(UP_PLACES), session->base + PLACE_PULL);
    lua_call(L, 0, LUA_MULTRET);
    if (session->core == NULL || session->muted || session->dying || lua_isnoneornil(L, 1))
        return false;
    int results = connect_by_arguments(L, session, 1);
    if (results == 2)
        return true;
    if (session->core == NULL || session->muted || session->dying)
        return false;
    return luaL_error(L, "connect: %s", lua_tostring(L, -2)) != 0;
}

static void run_pull(lua_State *L, struct call *call)
{
    struct session *session = ((struct pull *) call)->session;
    for (int i = 0; i < PULLS_PER_TURN && tcpm_has_room(session->core) == 1; i++)
        if (!pull_one(L, session)) {
            if (session->runtime != NULL)
                end_pull(session);
            return;
        }
}

static void pull_turn(struct tcpm_session *core, void *user, void *argument);

/* Goes on in the next turn, or when room comes. */
static void pull_again(struct session *session)
{
    if (!session->pulling || session->core == NULL || session->muted || session->dying)
        return;
    if (tcpm_has_room(session->core) != 1)
        return;
    struct tcpm_task task = {.run = pull_turn};
    if (tcpm_post(session->core, task) < 0)
        end_pull(session);
}

static void pull_turn(struct tcpm_session *core, void *user, void *argument)
{
    (void) core;
    (void) argument;
    struct session *session = user;
    if (session->runtime == NULL || session->muted || !session->pulling)
        return;
    struct pull pull = {.call.run = run_pull, .session = session};
    char *message = tcpm__lua_protect(session->runtime, session, &pull.call);
    if (message != NULL) {
        if (session->pulling)
            end_pull(session);
        tcpm__lua_exception(session, message);
    }
    pull_again(session);
}

void tcpm__lua_room(struct tcpm_session *core, void *user)
{
    struct session *session = user;
    if (session->runtime == NULL || session->muted)
        return;
    tcpm__lua_stdin_room(session);
    if (session->pulling)
        pull_turn(core, user, NULL);
}

static int start_pull(lua_State *L, struct session *session, int index)
{
    if (session->pulling)
        return luaL_error(L, "connect: the session has a pull function already");
    lua_pushvalue(L, index);
    lua_rawseti(L, lua_upvalueindex(UP_PLACES), session->base + PLACE_PULL);
    struct tcpm_task task = {.run = pull_turn};
    int result = tcpm_post(session->core, task);
    if (result == -ESHUTDOWN)
        return tcpm__lua_session_over(L, session);
    if (result < 0)
        return tcpm__lua_failure(L, result);
    session->pulling = true;
    lua_pushboolean(L, 1);
    return 1;
}

/* ---- as functions ---- */

int tcpm__lua_connect(lua_State *L)
{
    struct session *session = tcpm__lua_session(L, tcpm__lua_runtime(L), 1);
    if (session == NULL || session->dying)
        return tcpm__lua_session_over(L, session);
    if (lua_isfunction(L, 2) && lua_gettop(L) == 2)
        return start_pull(L, session, 2);
    return connect_by_arguments(L, session, 2);
}

int tcpm__lua_connect_owner(lua_State *L)
{
    struct session *session = tcpm__lua_runtime(L)->owner;
    if (session == NULL)
        return luaL_error(L, "tcpmulti.connect: no session is running; use session:connect");
    if (session->core == NULL || session->dying || session->muted)
        return tcpm__lua_session_over(L, session);
    luaL_argcheck(L, lua_istable(L, 1) && lua_gettop(L) == 1, 1, "one table of options expected");
    return connect_by_table(L, session, 1);
}
