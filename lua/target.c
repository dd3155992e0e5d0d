/* SPDX-License-Identifier: MIT */
/*
 * The target of a connect: addresses and ports as a script gives them, read into the core's
 * options, with hints for beginners where a value is wrong. Called by connect.c only.
 */
#include "life.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_ADDRESS = 253, MAX_SOURCES = 65536, MAX_SERVICE = 64 };

/* A hint for beginners: what an address that is no string may have been meant to be. */
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

/* NULL, or what is wrong with a value of the right type, pushed. Such a value is an event where
   targets come from a function; a wrong type raises everywhere. */
static const char *check_address(lua_State *L, int index, const char *what, size_t max)
{
    if (lua_type(L, index) != LUA_TSTRING)
        luaL_error(L, "connect: %s must be a string, not %s%s", what, tcpm__lua_describe(L, index),
                   guess_address(L, index));
    size_t length;
    const char *text = lua_tolstring(L, index, &length);
    if (length == 0 || length > max)
        return lua_pushfstring(L, "%s must have 1 to %d bytes, not %d: %s", what, (int) max,
                               (int) length, tcpm__lua_describe(L, index));
    for (size_t i = 0; i < length; i++)
        if ((unsigned char) text[i] <= ' ' || text[i] == 0x7f)
            return lua_pushfstring(L, "%s must not contain control characters or spaces: %s", what,
                                   tcpm__lua_describe(L, index));
    return NULL;
}

/* The name that the form in use has for a value: 'remote_port' is an option, 'port' an argument. */
static const char *name_of(const struct tcpm__lua_target *target, const char *option,
                           const char *argument)
{
    return target->by_options ? option : argument;
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

/* A hint for beginners who have given no port: connect("127.0.0.1:80"). */
static const char *guess_port(lua_State *L, int index)
{
    if (!lua_isnoneornil(L, index) || strchr(lua_tostring(L, index - 1), ':') == NULL)
        return "";
    return " (address and port are two arguments: connect('127.0.0.1', 80))";
}

/* Reads a number, decimal digits, or the name of a service. */
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

/* Reads the addresses and ports of a request into options; gives the first problem, or NULL. */
const char *tcpm__lua_target_read(lua_State *L, const struct tcpm__lua_target *target,
                                  struct tcpm_connect_options *options)
{
    int at = target->address;
    const char *problem =
        check_address(L, at, name_of(target, "remote_address", "address"), MAX_ADDRESS);

    options->address = lua_tostring(L, at);
    const char *port = check_port(L, at + 1, name_of(target, "remote_port", "port"), options);
    problem = problem == NULL ? port : problem;
    if (!lua_isnoneornil(L, at + 2)) {
        const char *bind =
            check_address(L, at + 2, name_of(target, "bind_address", "bind address"), MAX_SOURCES);

        problem = problem == NULL ? bind : problem;
        options->bind_address = lua_tostring(L, at + 2);
    }
    const char *bind_port =
        check_bind_port(L, at + 3, name_of(target, "bind_port", "bind port"), &options->bind_port);
    return problem == NULL ? bind_port : problem;
}

/* A hint for services from a file whose line ends were not stripped: "80\n". */
static const char *guess_service(const char *service)
{
    return service[strcspn(service, " \t\r\n")] != '\0' ? " (with a space or line end in it)" : "";
}

/* Says what tcpm_connect has refused although all types were right. */
const char *tcpm__lua_target_explain(lua_State *L, const struct tcpm__lua_target *target,
                                     const struct tcpm_connect_options *options)
{
    const char *service = "", *bind = "";

    if (options->service == NULL && options->bind_address == NULL) {
        lua_getfield(L, lua_upvalueindex(UP_SHARED), "IMPOSSIBLE");
        return lua_tostring(L, -1);
    }
    if (options->service != NULL)
        service = lua_pushfstring(L, "%s must be a number or a known service, not %s%s",
                                  name_of(target, "remote_port", "port"),
                                  tcpm__lua_describe(L, target->address + 1),
                                  guess_service(options->service));
    if (options->bind_address != NULL)
        bind = lua_pushfstring(L, "%s must be a numeric address, a list or a range, not %s",
                               name_of(target, "bind_address", "bind address"),
                               tcpm__lua_describe(L, target->address + 2));
    return lua_pushfstring(L, "%s%s%s", service, *service != '\0' && *bind != '\0' ? ", or " : "",
                           bind);
}
