/* SPDX-License-Identifier: MIT */
/*
 * The Lua module "peer" of the tests: the scripted peer, the swarm, and the few things about the
 * own process that a test wants to know or to do (descriptors, memory, time that passes in a
 * handler). Everything that can wait takes its limit in seconds and gives true or false.
 *
 *   peer.start(program [, options]) -> peer    peer:port() :addr() :go(name) :marks(name) :stop()
 *     :await(name [, count [, seconds]])  :accepted(count [, seconds])  :ended(count [, seconds])
 *     :report() -> { accepted, ended, received, sent, failures, failure }
 *     :connection(n) -> { stop, port, received, sent, checksum, content, tls } from 1, or nil
 *   The option tls is true, or { chain, key, min_version, max_version, alpn, ciphers, ciphersuites,
 *     client = "requested"|"required", client_root, tickets }, as in peer.h; in the result it is
 *     { version, resumed, notified, cipher, server_name, alpn, client, reason }, or nil.
 *   peer.swarm(mode [, addresses [, backlog]]) -> swarm
 *     :port() :stats() -> { accepted, ended, most, received } :kill() :stop()
 *   peer.checksum(bytes [, checksum]), peer.prng(seed, length), peer.block(seconds),
 *   peer.descriptors(), peer.resident() (bytes), peer.cpu() (seconds), peer.sockname(fd),
 *   peer.watchdog(seconds, text) (0 ends it), peer.kill(signum)
 */
#include "luatype.h"
#include "peer.h"
#include "process.h"
#include "swarm.h"

#define SECONDS 10.0 /* the limit of waiting, if none is given */

static const char peer_type[] = "tcpmulti test peer";
static const char swarm_type[] = "tcpmulti test swarm";

/* ---- the scripted peer ---- */

static struct peer *check_peer(lua_State *L)
{
    return luatype_check(L, peer_type, "this peer has been stopped");
}

/* An integer among the options, which are argument 2. */
static int option(lua_State *L, const char *name)
{
    return (int) luatype_number(L, 2, name);
}

/* The option tls, which stays on the stack. NULL: it is not there. */
static const struct peer_tls *read_tls(lua_State *L, struct peer_tls *tls)
{
    static const char *const clients[] = {"none", "requested", "required", NULL};

    lua_getfield(L, 2, "tls");
    if (lua_istable(L, -1)) {
        tls->chain = luatype_text(L, -1, "chain", NULL);
        tls->key = luatype_text(L, -1, "key", NULL);
        tls->min_version = (int) luatype_number(L, -1, "min_version");
        tls->max_version = (int) luatype_number(L, -1, "max_version");
        tls->alpn = luatype_text(L, -1, "alpn", NULL);
        tls->ciphers = luatype_text(L, -1, "ciphers", NULL);
        tls->ciphersuites = luatype_text(L, -1, "ciphersuites", NULL);
        tls->client = (enum peer_client) luatype_word(L, -1, "client", clients);
        tls->client_root = luatype_text(L, -1, "client_root", NULL);
        tls->tickets = (int) luatype_number(L, -1, "tickets");
    }
    return lua_toboolean(L, -1) ? tls : NULL;
}

static int start_peer(lua_State *L)
{
    const char *program = luaL_checkstring(L, 1);
    char message[160];
    struct peer_options options = {.message = message, .message_size = sizeof message};
    struct peer_tls tls = {0};

    if (!lua_isnoneornil(L, 2)) {
        luaL_checktype(L, 2, LUA_TTABLE);
        options.port = option(L, "port");
        options.backlog = option(L, "backlog");
        options.rcvbuf = option(L, "rcvbuf");
        options.no_accept = option(L, "no_accept");
        options.blackhole = option(L, "blackhole");
        options.refuse = option(L, "refuse");
        options.keep = (size_t) option(L, "keep");
        options.tls = read_tls(L, &tls);
        options.address = luatype_text(L, 2, "address", NULL);
    }
    void **peer = luatype_push(L, peer_type);
    *peer = peer_start(program, &options);
    return *peer != NULL ? 1 : luaL_error(L, "%s", message);
}

static int stop_peer(lua_State *L)
{
    void **peer = luaL_checkudata(L, 1, peer_type);

    peer_stop(*peer);
    *peer = NULL;
    return 0;
}

static int port_of_peer(lua_State *L)
{
    lua_pushinteger(L, peer_port(check_peer(L)));
    return 1;
}

static int address_of_peer(lua_State *L)
{
    lua_pushstring(L, peer_address(check_peer(L)));
    return 1;
}

static int go(lua_State *L)
{
    peer_go(check_peer(L), luaL_checkstring(L, 2));
    return 0;
}

static int marks(lua_State *L)
{
    lua_pushnumber(L, (lua_Number) peer_marks(check_peer(L), luaL_checkstring(L, 2)));
    return 1;
}

static int await(lua_State *L)
{
    uint64_t count = (uint64_t) luaL_optnumber(L, 3, 1);
    double seconds = luaL_optnumber(L, 4, SECONDS);

    lua_pushboolean(L, peer_wait_mark(check_peer(L), luaL_checkstring(L, 2), count, seconds) == 0);
    return 1;
}

static int await_accepted(lua_State *L)
{
    uint64_t count = (uint64_t) luaL_checknumber(L, 2);

    lua_pushboolean(L,
                    peer_wait_accepted(check_peer(L), count, luaL_optnumber(L, 3, SECONDS)) == 0);
    return 1;
}

static int await_ended(lua_State *L)
{
    uint64_t count = (uint64_t) luaL_checknumber(L, 2);

    lua_pushboolean(L, peer_wait_ended(check_peer(L), count, luaL_optnumber(L, 3, SECONDS)) == 0);
    return 1;
}

static int report(lua_State *L)
{
    struct peer_report seen;

    peer_report(check_peer(L), &seen);
    lua_createtable(L, 0, 6);
    luatype_set_number(L, "accepted", (lua_Number) seen.accepted);
    luatype_set_number(L, "ended", (lua_Number) seen.ended);
    luatype_set_number(L, "received", (lua_Number) seen.received);
    luatype_set_number(L, "sent", (lua_Number) seen.sent);
    luatype_set_number(L, "failures", (lua_Number) seen.failures);
    lua_pushstring(L, seen.failure);
    lua_setfield(L, -2, "failure");
    return 1;
}

static void set_text(lua_State *L, const char *name, const char *text)
{
    lua_pushstring(L, text);
    lua_setfield(L, -2, name);
}

static void set_flag(lua_State *L, const char *name, int is_set)
{
    lua_pushboolean(L, is_set);
    lua_setfield(L, -2, name);
}

/* The field tls of a connection; of one that never had TLS there is none. */
static void set_tls(lua_State *L, const struct peer_secured *tls)
{
    if (tls->version == 0 && tls->reason[0] == '\0')
        return;
    lua_createtable(L, 0, 8);
    luatype_set_number(L, "version", (lua_Number) tls->version);
    set_flag(L, "resumed", tls->is_resumed);
    set_flag(L, "notified", tls->is_notified);
    set_text(L, "cipher", tls->cipher);
    set_text(L, "server_name", tls->server_name);
    set_text(L, "alpn", tls->alpn);
    set_text(L, "client", tls->client);
    set_text(L, "reason", tls->reason);
    lua_setfield(L, -2, "tls");
}

static int connection(lua_State *L)
{
    struct peer_connection seen;
    lua_Integer number = luaL_checkinteger(L, 2);

    if (number < 1 || peer_connection(check_peer(L), (size_t) number - 1, &seen) != 0) {
        lua_pushnil(L);
        return 1;
    }
    lua_createtable(L, 0, 6);
    luatype_set_number(L, "port", (lua_Number) seen.port);
    luatype_set_number(L, "received", (lua_Number) seen.received);
    luatype_set_number(L, "sent", (lua_Number) seen.sent);
    lua_pushstring(L, peer_end_name(seen.end));
    lua_setfield(L, -2, "stop");
    peer_push_checksum(L, seen.checksum);
    lua_setfield(L, -2, "checksum");
    lua_pushlstring(L, seen.content == NULL ? "" : seen.content, seen.content_length);
    lua_setfield(L, -2, "content");
    set_tls(L, &seen.tls);
    return 1;
}

/* ---- the swarm ---- */

static struct swarm *check_swarm(lua_State *L)
{
    return luatype_check(L, swarm_type, "this swarm has been stopped");
}

static int start_swarm(lua_State *L)
{
    const char *mode = luaL_checkstring(L, 1);
    int addresses = (int) luaL_optinteger(L, 2, 1), backlog = (int) luaL_optinteger(L, 3, 0);
    void **swarm = luatype_push(L, swarm_type);

    *swarm = swarm_start(mode, addresses, backlog);
    return *swarm != NULL ? 1 : luaL_error(L, "swarm \"%s\" did not start", mode);
}

static int stop_swarm(lua_State *L)
{
    void **swarm = luaL_checkudata(L, 1, swarm_type);

    swarm_stop(*swarm);
    *swarm = NULL;
    return 0;
}

static int kill_swarm(lua_State *L)
{
    swarm_kill(check_swarm(L));
    return 0;
}

static int port_of_swarm(lua_State *L)
{
    lua_pushinteger(L, swarm_port(check_swarm(L)));
    return 1;
}

static int stats_of_swarm(lua_State *L)
{
    struct swarm_stats stats;

    swarm_stats(check_swarm(L), &stats);
    lua_createtable(L, 0, 4);
    luatype_set_number(L, "accepted", (lua_Number) stats.accepted);
    luatype_set_number(L, "ended", (lua_Number) stats.ended);
    luatype_set_number(L, "most", (lua_Number) stats.most);
    luatype_set_number(L, "received", (lua_Number) stats.received);
    return 1;
}

/* ---- the module ---- */

int luaopen_peer(lua_State *L);
int luaopen_peer(lua_State *L)
{
    static const luaL_Reg peer_methods[] = {
        {"stop", stop_peer},
        {"__gc", stop_peer},
        {"port", port_of_peer},
        {"addr", address_of_peer},
        {"go", go},
        {"marks", marks},
        {"await", await},
        {"report", report},
        {"accepted", await_accepted},
        {"ended", await_ended},
        {"connection", connection},
        {NULL, NULL},
    };
    static const luaL_Reg swarm_methods[] = {
        {"stop", stop_swarm},    {"__gc", stop_swarm},      {"kill", kill_swarm},
        {"port", port_of_swarm}, {"stats", stats_of_swarm}, {NULL, NULL},
    };
    static const luaL_Reg functions[] = {
        {"start", start_peer},
        {"swarm", start_swarm},
        {NULL, NULL},
    };

    luatype_register(L, peer_type, peer_methods);
    luatype_register(L, swarm_type, swarm_methods);
    lua_newtable(L);
    luaL_register(L, NULL, functions);
    peer_process_register(L);
    return 1;
}
