/* SPDX-License-Identifier: MIT */
/*
 * The Lua module "authority" of the tests: certificates as texts in PEM, see authority.h.
 *
 *   authority.new() -> authority    authority:root() -> text    authority:write(folder)
 *     :named(name) -> chain, key    authority.names() -> list of all names
 *     :issue{ names, common_name, key = "ec"|"rsa"|"rsa-1024", sha1, clients, leaf_alone,
 *             issuer = "intermediate"|"root"|"stranger"|"self", begins, ends } -> chain, key
 */
#include "authority.h"
#include "luatype.h"

#include <errno.h>
#include <string.h>

static const char authority_type[] = "tcpmulti test authority";

static struct authority *check_authority(lua_State *L)
{
    return luatype_check(L, authority_type, "this authority has been freed");
}

static int create(lua_State *L)
{
    void **authority = luatype_push(L, authority_type);

    *authority = authority_create();
    return *authority != NULL ? 1 : luaL_error(L, "no authority: OpenSSL refuses");
}

static int destroy(lua_State *L)
{
    void **authority = luaL_checkudata(L, 1, authority_type);

    authority_free(*authority);
    *authority = NULL;
    return 0;
}

static int root(lua_State *L)
{
    lua_pushstring(L, authority_root(check_authority(L)));
    return 1;
}

static int push_pair(lua_State *L, struct authority_pair pair)
{
    if (pair.chain == NULL)
        return luaL_error(L, "there is no such certificate");
    lua_pushstring(L, pair.chain);
    lua_pushstring(L, pair.key);
    return 2;
}

static int give_named(lua_State *L)
{
    struct authority *authority = check_authority(L);

    return push_pair(L, authority_named(authority, luaL_checkstring(L, 2)));
}

static int issue(lua_State *L)
{
    static const char *const keys[] = {"ec", "rsa", "rsa-1024", NULL};
    static const char *const issuers[] = {"intermediate", "root", "stranger", "self", NULL};
    struct authority *authority = check_authority(L);
    struct authority_options options = {0};
    size_t length = 0;

    luaL_checktype(L, 2, LUA_TTABLE);
    options.common_name = luatype_text(L, 2, "common_name", &length);
    options.common_name_length = length;
    options.names = luatype_text(L, 2, "names", NULL);
    options.key = (enum authority_key) luatype_word(L, 2, "key", keys);
    options.issuer = (enum authority_issuer) luatype_word(L, 2, "issuer", issuers);
    options.is_sha1 = luatype_number(L, 2, "sha1") != 0;
    options.is_for_clients = luatype_number(L, 2, "clients") != 0;
    options.is_leaf_alone = luatype_number(L, 2, "leaf_alone") != 0;
    options.begins_s = (int64_t) luatype_number(L, 2, "begins");
    options.ends_s = (int64_t) luatype_number(L, 2, "ends");
    return push_pair(L, authority_issue(authority, &options));
}

static int write_files(lua_State *L)
{
    if (authority_write(check_authority(L), luaL_checkstring(L, 2)) < 0)
        return luaL_error(L, "cannot write certificates: %s", strerror(errno));
    return 0;
}

static int list_names(lua_State *L)
{
    lua_newtable(L);
    for (size_t i = 0; authority_name(i) != NULL; i++) {
        lua_pushstring(L, authority_name(i));
        lua_rawseti(L, -2, (int) i + 1);
    }
    return 1;
}

int luaopen_authority(lua_State *L);
int luaopen_authority(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"__gc", destroy}, {"root", root},         {"named", give_named},
        {"issue", issue},  {"write", write_files}, {NULL, NULL},
    };
    static const luaL_Reg functions[] = {
        {"new", create},
        {"names", list_names},
        {NULL, NULL},
    };

    luatype_register(L, authority_type, methods);
    lua_newtable(L);
    luaL_register(L, NULL, functions);
    return 1;
}
