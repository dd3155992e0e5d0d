/* SPDX-License-Identifier: MIT */
/*
 * Names for the part names.lua: the numbers of tcpmulti.dns, and whether a text is an address. That
 * part has checked what comes here.
 */
#include "functions.h"

#include <arpa/inet.h>
#include <string.h>

enum { MAX_TEXT = 64 }; /* bytes that any numeric address fits in */

/* The length of an IPv6 address in front of its scope: fe80::1%eth0. A scope has a name. */
static size_t length_without_scope(const char *text, size_t length)
{
    const char *scope = memchr(text, '%', length);

    return scope == NULL || scope + 1 == text + length ? length : (size_t) (scope - text);
}

/* The number of bits from the last one that is set. */
static int bits_of(const unsigned char *bytes, size_t count)
{
    int bits = (int) count * 8;

    while (bits > 0 && (bytes[(bits - 1) / 8] >> (7 - (bits - 1) % 8) & 1) == 0)
        bits--;
    return bits;
}

/* shared.family(text) -> 4 or 6, bits; or nil: the family of a numeric address without brackets,
   and the length of the shortest prefix that it can have */
static int shared_family(lua_State *L)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    char copy[MAX_TEXT];
    size_t length;
    const char *text = luaL_checklstring(L, 1, &length);
    size_t shown = length_without_scope(text, length);

    if (shown >= sizeof copy || memchr(text, '\0', length) != NULL)
        return 0;
    memcpy(copy, text, shown);
    copy[shown] = '\0';
    bool is_quad = shown == length && inet_pton(AF_INET, copy, bytes) == 1;
    if (!is_quad && inet_pton(AF_INET6, copy, bytes) != 1)
        return 0;
    lua_pushinteger(L, is_quad ? 4 : 6);
    lua_pushinteger(L, bits_of(bytes, is_quad ? sizeof(struct in_addr) : sizeof bytes));
    return 2;
}

/* A whole number of the options; infinity is the largest one. */
static int64_t option_integer(lua_State *L, const char *name)
{
    lua_getfield(L, 1, name);
    lua_Number value = lua_tonumber(L, -1);
    lua_pop(L, 1);
    return value < (lua_Number) INT64_MAX ? (int64_t) value : INT64_MAX;
}

/* shared.set_names(options) -> true, or nil, message, errname */
static int shared_set_names(lua_State *L)
{
    const struct tcpm__lua_runtime *rt = tcpm__lua_runtime(L);

    if (tcpm__lua_is_closed(rt))
        return tcpm__lua_failure_closed(L);
    lua_getfield(L, 1, "servers");
    const struct tcpm_names_options options = {
        .size = sizeof options,
        .servers = lua_tostring(L, -1),
        .timeout_ms = option_integer(L, "timeout"),
        .tries = option_integer(L, "tries"),
        .no_search = option_integer(L, "no_search"),
        .ttl_s = option_integer(L, "ttl"),
        .concurrency = option_integer(L, "concurrency"),
        .cache = option_integer(L, "cache"),
    };
    return tcpm__lua_result(L, tcpm_names_set(rt->engine, &options));
}

/* shared.names_stats() -> table, or nil, message, errname */
static int shared_names_stats(lua_State *L)
{
    const struct tcpm__lua_runtime *rt = tcpm__lua_runtime(L);
    struct tcpm_names_stats stats = {.size = sizeof stats};

    if (tcpm__lua_is_closed(rt))
        return tcpm__lua_failure_closed(L);
    tcpm_names_stats_get(rt->engine, &stats);
    const struct tcpm__lua_count counts[] = {
        {"hits", stats.hits},       {"misses", stats.misses}, {"queries", stats.queries},
        {"waiting", stats.waiting}, {"window", stats.window}, {"refused", stats.refused},
        {"lost", stats.lost},
    };
    return tcpm__lua_push_counts(L, counts, sizeof counts / sizeof *counts);
}

const luaL_Reg tcpm__lua_names_shared[] = {
    {"family", shared_family},
    {"set_names", shared_set_names},
    {"names_stats", shared_names_stats},
    {NULL, NULL},
};
