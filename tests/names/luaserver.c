/* SPDX-License-Identifier: MIT */
/*
 * The Lua module "nameserver" of the tests: the scripted name server of nameserver.h.
 *
 *   nameserver.start([options]) -> server      options: address, port, number, no_tcp
 *   server:port()  server:stop()  server:forget()
 *   server:count([name [, type]]) -> n         type: "A" or "AAAA"
 *   server:asked() -> list of { name, type, id, port, tcp, at } in the order of their coming
 *   nameserver.label(address) -> text          the label that has a name stand for this address
 */
#include "luatype.h"
#include "message.h"
#include "nameserver.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static const char type_name[] = "tcpmulti test name server";

static struct nameserver *check_server(lua_State *L)
{
    return luatype_check(L, type_name, "this server has been stopped");
}

static int start(lua_State *L)
{
    char message[200];
    struct nameserver_options options = {.message = message, .message_size = sizeof message};

    lua_settop(L, 1);
    if (!lua_isnil(L, 1)) {
        luaL_checktype(L, 1, LUA_TTABLE);
        options.port = (unsigned) luatype_number(L, 1, "port");
        options.number = (unsigned) luatype_number(L, 1, "number");
        options.no_tcp = (int) luatype_number(L, 1, "no_tcp");
        options.address = luatype_text(L, 1, "address", NULL);
    }
    void **server = luatype_push(L, type_name);
    *server = nameserver_start(&options);
    return *server != NULL ? 1 : luaL_error(L, "%s", message);
}

static int stop(lua_State *L)
{
    void **server = luaL_checkudata(L, 1, type_name);

    nameserver_stop(*server);
    *server = NULL;
    return 0;
}

static int port(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer) nameserver_port(check_server(L)));
    return 1;
}

static int forget(lua_State *L)
{
    nameserver_forget(check_server(L));
    return 0;
}

static int count(lua_State *L)
{
    static const char *const words[] = {"any", "A", "AAAA", NULL};
    static const unsigned types[] = {0, SCRIPT_A, SCRIPT_AAAA};
    struct nameserver *server = check_server(L);
    const char *name = luaL_optstring(L, 2, NULL);
    unsigned type = types[luaL_checkoption(L, 3, "any", words)];

    lua_pushnumber(L, (lua_Number) nameserver_count(server, name, type));
    return 1;
}

static void push_asked(lua_State *L, const struct nameserver_asked *asked)
{
    lua_createtable(L, 0, 6);
    lua_pushstring(L, asked->name);
    lua_setfield(L, -2, "name");
    lua_pushstring(L, asked->type == SCRIPT_A      ? "A"
                      : asked->type == SCRIPT_AAAA ? "AAAA"
                                                   : "other");
    lua_setfield(L, -2, "type");
    lua_pushboolean(L, asked->tcp);
    lua_setfield(L, -2, "tcp");
    luatype_set_number(L, "id", asked->id);
    luatype_set_number(L, "port", asked->port);
    luatype_set_number(L, "at", (lua_Number) asked->at_ns / 1e9);
}

static int list_asked(lua_State *L)
{
    struct nameserver *server = check_server(L);
    struct nameserver_asked asked;

    lua_newtable(L);
    for (size_t number = 0; nameserver_asked(server, number, &asked); number++) {
        push_asked(L, &asked);
        lua_rawseti(L, -2, (int) number + 1);
    }
    return 1;
}

static int push_label_v6(lua_State *L, const unsigned char bytes[16])
{
    char label[3 + 32 + 1] = "v6-";

    for (size_t i = 0; i < 16; i++)
        (void) snprintf(label + 3 + 2 * i, 3, "%02x", bytes[i]);
    lua_pushstring(L, label);
    return 1;
}

static int label(lua_State *L)
{
    const char *text = luaL_checkstring(L, 1);
    unsigned char bytes[16];

    if (inet_pton(AF_INET6, text, bytes) == 1)
        return push_label_v6(L, bytes);
    luaL_argcheck(L, inet_pton(AF_INET, text, bytes) == 1, 1, "no address");
    lua_pushfstring(L, "v4-%d-%d-%d-%d", bytes[0], bytes[1], bytes[2], bytes[3]);
    return 1;
}

int luaopen_nameserver(lua_State *L);
int luaopen_nameserver(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"port", port}, {"stop", stop},        {"forget", forget}, {"count", count},
        {"__gc", stop}, {"asked", list_asked}, {NULL, NULL},
    };
    static const luaL_Reg functions[] = {{"start", start}, {"label", label}, {NULL, NULL}};

    luatype_register(L, type_name, methods);
    lua_newtable(L);
    luaL_register(L, NULL, functions);
    return 1;
}
