/* SPDX-License-Identifier: MIT */
/*
 * TLS as Lua values: specifications, which are userdata; cheap:starttls, and what cheap:tls tells.
 * Options are checked by the part written in Lua (tls.lua).
 */
#include "functions.h"

#include <errno.h>
#include <string.h>

/* ---- specifications ---- */

enum { NAME_SIZE = 256 };

/* The content of the userdata. */
struct specification {
    struct tcpm_tls *inner;      /* NULL: not made, or given up */
    char server_name[NAME_SIZE]; /* option server_name; "": none */
};

static struct specification *specification_at(lua_State *L, int index)
{
    void **box = tcpm__lua_to_box(L, index, OWN_TLS_METATABLE);

    return (struct specification *) (void *) box;
}

struct tcpm_tls *tcpm__lua_tls_at(lua_State *L, int index)
{
    const struct specification *specification = specification_at(L, index);

    return specification == NULL ? NULL : specification->inner;
}

const char *tcpm__lua_tls_server_name(lua_State *L, int index)
{
    const struct specification *specification = specification_at(L, index);

    return specification == NULL || specification->server_name[0] == '\0'
               ? NULL
               : specification->server_name;
}

static int64_t option_integer(lua_State *L, const char *name)
{
    lua_getfield(L, 1, name);
    int64_t value = (int64_t) lua_tonumber(L, -1);
    lua_pop(L, 1);
    return value;
}

/* The string lives as long as the table of options. */
static const char *option_text(lua_State *L, const char *name)
{
    lua_getfield(L, 1, name);
    const char *text = lua_tostring(L, -1);
    lua_pop(L, 1);
    return text;
}

static int make(lua_State *L, struct tcpm_engine *engine, struct tcpm_tls **ret,
                const char **message)
{
    const struct tcpm_tls_options options = {
        .size = sizeof options,
        .no_verify = option_integer(L, "no_verify"),
        .ca = option_text(L, "ca"),
        .ca_path = option_text(L, "ca_path"),
        .cert = option_text(L, "cert"),
        .key = option_text(L, "key"),
        .key_password = option_text(L, "key_password"),
        .alpn = option_text(L, "alpn"),
        .ciphers = option_text(L, "ciphers"),
        .ciphersuites = option_text(L, "ciphersuites"),
        .fingerprint = option_text(L, "fingerprint"),
        .min_version = option_integer(L, "min_version"),
        .max_version = option_integer(L, "max_version"),
        .no_resumption = option_integer(L, "no_resumption"),
        .allow_truncation = option_integer(L, "allow_truncation"),
        .legacy = option_integer(L, "legacy"),
        .no_sni = option_integer(L, "no_sni"),
    };

    return tcpm_tls_create(engine, &options, ret, message);
}

/* shared.tls_make(options) -> userdata, or nil, message, errname */
static int shared_tls_make(lua_State *L)
{
    const struct tcpm__lua_runtime *rt = tcpm__lua_runtime(L);
    const char *message = NULL, *name = option_text(L, "server_name");

    if (tcpm__lua_is_closed(rt))
        return tcpm__lua_failure_closed(L);
    struct specification *made = lua_newuserdata(L, sizeof *made);
    memset(made, 0, sizeof *made);
    lua_rawgeti(L, lua_upvalueindex(UP_CELLS), OWN_TLS_METATABLE);
    lua_setmetatable(L, -2);
    if (name != NULL && strlen(name) < sizeof made->server_name)
        memcpy(made->server_name, name, strlen(name) + 1);
    int result = make(L, rt->engine, &made->inner, &message);
    return result < 0 ? tcpm__lua_failure_text(L, result, message) : 1;
}

/* shared.is_tls(value) -> whether it is a specification */
static int shared_is_tls(lua_State *L)
{
    lua_pushboolean(L, specification_at(L, 1) != NULL);
    return 1;
}

int tcpm__lua_tls_collect(lua_State *L)
{
    struct specification *specification = lua_touserdata(L, 1);

    tcpm_tls_free(specification->inner);
    specification->inner = NULL;
    return 0;
}

/* ---- a connection ---- */

/* The core gets back what a filter written in Lua keeps, and refuses it as plain text. */
static int give_back_input(lua_State *L, const struct tcpm__lua_slot *slot)
{
    return tcpm__lua_slot_has_lua_input(slot) ? tcpm__lua_filter_unread(L, slot->id, "", 0) : 0;
}

/* cheap:starttls([specification]) -> true, or nil, message, errname */
static int cheap_starttls(lua_State *L)
{
    int code;

    lua_settop(L, 2);
    const struct tcpm__lua_slot *slot = tcpm__lua_slot_to_change(L, &code);
    if (slot == NULL)
        return tcpm__lua_failure(L, code);
    lua_getfield(L, lua_upvalueindex(UP_SHARED), "starttls_specification");
    lua_insert(L, 2);
    lua_call(L, 1, 1);
    slot = tcpm__lua_slot_to_change(L, &code); /* a finalizer may have run meanwhile */
    if (slot == NULL)
        return tcpm__lua_failure(L, code);
    int result = give_back_input(L, slot);
    if (result < 0)
        return tcpm__lua_failure(L, result);
    slot = tcpm__lua_slot_to_change(L, &code); /* the filter may have ended it */
    if (slot == NULL)
        return tcpm__lua_failure(L, code);
    return tcpm__lua_result(L,
                            tcpm_starttls(slot->session->inner, tcpm__lua_slot_id(slot),
                                          tcpm__lua_tls_at(L, 2), tcpm__lua_tls_server_name(L, 2)));
}

static void set_text(lua_State *L, const char *name, const char *text)
{
    if (text == NULL)
        return;
    lua_pushstring(L, text);
    lua_setfield(L, -2, name);
}

static void set_number(lua_State *L, const char *name, double number)
{
    lua_pushnumber(L, number);
    lua_setfield(L, -2, name);
}

static void push_certificate(lua_State *L, const struct tcpm_certificate *certificate)
{
    lua_createtable(L, 0, 11);
    set_text(L, "subject", certificate->subject);
    set_text(L, "issuer", certificate->issuer);
    set_text(L, "serial", certificate->serial);
    set_text(L, "sans", certificate->sans);
    set_text(L, "sha256", certificate->sha256);
    set_text(L, "key_type", certificate->key_type);
    set_text(L, "signature", certificate->signature);
    set_text(L, "pem", certificate->pem);
    set_number(L, "key_bits", certificate->key_bits);
    set_number(L, "not_before", (double) certificate->not_before);
    set_number(L, "not_after", (double) certificate->not_after);
}

static void set_chain(lua_State *L, const struct tcpm__lua_slot *slot)
{
    struct tcpm_certificate certificate = {.size = sizeof certificate};
    struct tcpm_session *session = slot->session->inner;
    struct tcpm_id id = tcpm__lua_slot_id(slot);

    lua_newtable(L);
    for (unsigned i = 0; tcpm_tls_certificate(session, id, i, &certificate) == 1; i++) {
        push_certificate(L, &certificate);
        lua_rawseti(L, -2, (int) i + 1);
    }
    lua_setfield(L, -2, "chain");
}

/* The list of words, the gravest problem first. */
static void set_problems(lua_State *L, uint32_t problems)
{
    static const char *const words[] = {
#define WORD(NAME, word) word,
        TCPM_PROBLEMS(WORD)
#undef WORD
    };
    int count = 0;

    lua_newtable(L);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if ((problems >> i & 1) != 0) {
            lua_pushstring(L, words[i]);
            lua_rawseti(L, -2, ++count);
        }
    lua_setfield(L, -2, "problems");
}

static void push_info(lua_State *L, const struct tcpm_tls_info *info)
{
    lua_createtable(L, 0, 9);
    set_text(L, "version", info->version);
    set_text(L, "cipher", info->cipher);
    set_text(L, "alpn", info->alpn);
    set_text(L, "server_name", info->server_name);
    set_text(L, "problem", info->problem);
    set_problems(L, info->problems);
    lua_pushboolean(L, info->resumed);
    lua_setfield(L, -2, "resumed");
    lua_pushboolean(L, info->verified);
    lua_setfield(L, -2, "verified");
}

/* cheap:tls() -> table; nil: no TLS; or nil, message, errname */
static int cheap_tls(lua_State *L)
{
    const struct tcpm__lua_slot *slot = tcpm__lua_slot_to_read(L);
    struct tcpm_tls_info info = {.size = sizeof info};

    if (slot == NULL)
        return tcpm__lua_stale(L);
    int result = tcpm_tls_get(slot->session->inner, tcpm__lua_slot_id(slot), &info);
    if (result == -ENOENT) {
        lua_pushnil(L);
        return 1;
    }
    if (result < 0)
        return tcpm__lua_failure(L, result);
    push_info(L, &info);
    set_chain(L, slot);
    return 1;
}

const luaL_Reg tcpm__lua_tls_methods[] = {
    {"starttls", cheap_starttls},
    {"tls", cheap_tls},
    {NULL, NULL},
};

const luaL_Reg tcpm__lua_tls_shared[] = {
    {"tls_make", shared_tls_make},
    {"is_tls", shared_is_tls},
    {NULL, NULL},
};
