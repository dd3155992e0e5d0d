/* SPDX-License-Identifier: MIT */
/*
 * A result line, for tcpmulti.results: one object with its fields in a fixed order.
 */
#include "json.h"

/* The arguments of the function. */
enum {
    KEY = 1,
    HOST,
    PORT,
    ADDR,
    ID,
    OK,
    END,
    PROBLEM,
    ATTEMPTS,
    MILLISECONDS,
    IN,
    OUT,
    DATA,
    FIRST_PHASE,
    PHASES = 7
};

static const char *const phases[PHASES] = {
    "\"queue\":", "\"resolve\":",    "\"connect\":", "\"proxy\":",
    "\"tls\":",   "\"first_byte\":", "\"total\":",
};

/* Writes a field whose name needs no escape. */
static void put_field(struct tcpm__json *json, const char *name, int index)
{
    lua_State *L = json->L;
    size_t length, start = json->length;
    const char *text = lua_type(L, index) == LUA_TSTRING ? lua_tolstring(L, index, &length) : NULL;

    if (text != NULL) {
        TCPM__JSON_PUT(json, "\"");
        tcpm__json_put(json, name, strlen(name));
        TCPM__JSON_PUT(json, "\":");
        if (tcpm__json_put_quoted(json, text, length))
            return;
        json->length = start;
    }
    lua_pushstring(L, name);
    tcpm__json_put_field(json, lua_gettop(L), index);
    lua_pop(L, 1);
}

static void put_string(struct tcpm__json *json, const char *text)
{
    tcpm__json_put(json, text, strlen(text));
}

/* Writes a text that needs no escape. */
static void put_word(struct tcpm__json *json, int index)
{
    size_t length;
    const char *word = luaL_checklstring(json->L, index, &length);

    tcpm__json_put(json, word, length);
}

static void put_whole(struct tcpm__json *json, int index)
{
    tcpm__json_put_whole(json, (int64_t) luaL_checknumber(json->L, index));
}

/* ,"error":{…} of the table. */
static void put_problem(struct tcpm__json *json)
{
    static const char *const names[] = {"op", "name", "text"};
    lua_State *L = json->L;

    luaL_checktype(L, PROBLEM, LUA_TTABLE);
    TCPM__JSON_PUT(json, ",\"error\":{");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (i > 0)
            TCPM__JSON_PUT(json, ",");
        lua_getfield(L, PROBLEM, names[i]);
        luaL_checktype(L, -1, LUA_TSTRING);
        put_field(json, names[i], lua_gettop(L));
        lua_pop(L, 1);
    }
    lua_getfield(L, PROBLEM, "timer");
    if (lua_toboolean(L, -1)) {
        TCPM__JSON_PUT(json, ",\"timer\":\"");
        put_word(json, lua_gettop(L));
        TCPM__JSON_PUT(json, "\"");
    }
    lua_getfield(L, PROBLEM, "local");
    if (lua_toboolean(L, -1))
        TCPM__JSON_PUT(json, ",\"local\":true");
    lua_pop(L, 2);
    TCPM__JSON_PUT(json, "}");
}

/* Seconds, with three digits behind the point. */
static void put_time(struct tcpm__json *json)
{
    int64_t time = (int64_t) luaL_checknumber(json->L, MILLISECONDS);
    int rest = (int) (time % 1000);
    const char digits[] = {'.', (char) ('0' + rest / 100), (char) ('0' + rest / 10 % 10),
                           (char) ('0' + rest % 10)};

    tcpm__json_put_whole(json, time / 1000);
    tcpm__json_put(json, digits, sizeof digits);
}

static void put_phases(struct tcpm__json *json)
{
    bool is_first = true;

    for (int i = 0; i < PHASES; i++) {
        if (lua_isnoneornil(json->L, FIRST_PHASE + i))
            continue;
        if (!is_first)
            TCPM__JSON_PUT(json, ",");
        put_string(json, phases[i]);
        put_whole(json, FIRST_PHASE + i);
        is_first = false;
    }
}

static void put_target(struct tcpm__json *json)
{
    TCPM__JSON_PUT(json, "{\"key\":\"");
    put_word(json, KEY);
    TCPM__JSON_PUT(json, "\",");
    put_field(json, "host", HOST);
    TCPM__JSON_PUT(json, ",\"port\":");
    put_whole(json, PORT);
    if (!lua_isnil(json->L, ADDR)) {
        TCPM__JSON_PUT(json, ",");
        put_field(json, "addr", ADDR);
    }
    if (!lua_isnil(json->L, ID)) {
        TCPM__JSON_PUT(json, ",");
        put_field(json, "id", ID);
    }
}

/* Whether the data of the script are a table with fields. */
static bool has_data(lua_State *L)
{
    if (lua_isnil(L, DATA))
        return false;
    luaL_checktype(L, DATA, LUA_TTABLE);
    lua_pushnil(L);
    bool has_fields = lua_next(L, DATA) != 0;
    lua_pop(L, has_fields ? 2 : 0);
    return has_fields;
}

/* line(key, host, port, addr, id, ok, end, error, attempts, milliseconds, in, out, data, queue,
   resolve, connect, proxy, tls, first_byte, total) -> text */
static int write_line(lua_State *L)
{
    struct tcpm__json json;

    lua_settop(L, FIRST_PHASE + PHASES - 1);
    tcpm__json_begin(&json, L);
    put_target(&json);
    put_string(&json,
               lua_toboolean(L, OK) ? ",\"ok\":true,\"end\":\"" : ",\"ok\":false,\"end\":\"");
    put_word(&json, END);
    TCPM__JSON_PUT(&json, "\"");
    if (lua_toboolean(L, PROBLEM))
        put_problem(&json);
    TCPM__JSON_PUT(&json, ",\"attempts\":");
    put_whole(&json, ATTEMPTS);
    TCPM__JSON_PUT(&json, ",\"time\":");
    put_time(&json);
    TCPM__JSON_PUT(&json, ",\"us\":{");
    put_phases(&json);
    TCPM__JSON_PUT(&json, "},\"in\":");
    put_whole(&json, IN);
    TCPM__JSON_PUT(&json, ",\"out\":");
    put_whole(&json, OUT);
    if (has_data(L)) {
        TCPM__JSON_PUT(&json, ",\"data\":");
        tcpm__json_put_value(&json, DATA);
    }
    TCPM__JSON_PUT(&json, "}\n");
    return tcpm__json_end(&json);
}

/* open(null, empty_array, string.format) -> line */
static int open_line(lua_State *L)
{
    lua_settop(L, 3);
    tcpm__json_push_writer(L, write_line, 1);
    return 1;
}

int tcpm__json_open_line(lua_State *L)
{
    lua_pushcfunction(L, open_line);
    return 1;
}
