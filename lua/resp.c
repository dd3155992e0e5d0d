/* SPDX-License-Identifier: MIT */
/*
 * Values of the filter resp. The core cuts a whole value and has checked it; here it becomes a
 * value of Lua, in one pass over its bytes. And a list of arguments becomes the bytes of a command.
 *
 * What always holds: nothing is read behind the end of the bytes, whoever has cut them.
 */
#include "functions.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    DEPTH = 40,          /* more than the core's filter allows */
    SMALLEST = 3,        /* bytes of a value: "_\r\n" */
    STACK = 4,           /* values that one list needs on the stack */
    VERBATIM_FORMAT = 4, /* "txt:" */
    NUMBER_TEXT = 40
};

#define EXACT 9007199254740992.0 /* below this, a number of Lua holds each integer */

/* The bytes that are not yet read. */
struct reader {
    const char *at, *end;
    int depth;
};

struct text {
    const char *bytes;
    size_t length;
};

/* Reads to the CR LF. */
static bool read_line(struct reader *reader, struct text *ret)
{
    const char *start = reader->at;
    const char *cr = memchr(start, '\r', (size_t) (reader->end - start));

    if (cr == NULL || reader->end - cr < 2)
        return false;
    *ret = (struct text){start, (size_t) (cr - start)};
    reader->at = cr + 2;
    return true;
}

/* Digits behind a sign; more than fit are as many as fit. */
static lua_Number read_integer(struct text text)
{
    bool is_negative = text.length > 0 && *text.bytes == '-';
    size_t i = is_negative || (text.length > 0 && *text.bytes == '+') ? 1 : 0;
    lua_Number value = 0;

    for (; i < text.length; i++)
        value = value * 10 + (text.bytes[i] - '0');
    return is_negative ? -value : value;
}

static void push_text(lua_State *L, struct text text)
{
    lua_pushlstring(L, text.bytes, text.length);
}

static void push_integer(lua_State *L, struct text text)
{
    lua_Number value = read_integer(text);

    if (value > -EXACT && value < EXACT)
        lua_pushnumber(L, value);
    else
        push_text(L, text);
}

/* LuaJIT reads the number, whatever the locale. */
static void push_double(lua_State *L, struct text text)
{
    bool is_negative = text.length > 0 && *text.bytes == '-';

    if (text.length >= 3 && memcmp(text.bytes + text.length - 3, "inf", 3) == 0) {
        lua_pushnumber(L, is_negative ? -HUGE_VAL : HUGE_VAL);
        return;
    }
    if (text.length >= 3 && memcmp(text.bytes + text.length - 3, "nan", 3) == 0) {
        lua_pushnumber(L, (lua_Number) NAN);
        return;
    }
    push_text(L, text);
    lua_Number value = lua_tonumber(L, -1);
    lua_pop(L, 1);
    lua_pushnumber(L, value);
}

/* Makes the string on top of the stack an error. */
static void make_error(lua_State *L)
{
    lua_createtable(L, 0, 1);
    lua_insert(L, -2);
    lua_setfield(L, -2, "message");
    lua_rawgeti(L, lua_upvalueindex(UP_CELLS), OWN_RESP_METATABLE);
    lua_setmetatable(L, -2);
}

static bool push_string(lua_State *L, struct reader *reader, char type, struct text line)
{
    lua_Number count = read_integer(line);
    lua_Number left = (lua_Number) (reader->end - reader->at);

    if (count < 0) {
        lua_pushboolean(L, 0);
        return true;
    }
    if (!(count <= left - 2) || (type == '=' && count < VERBATIM_FORMAT))
        return false;
    struct text text = {reader->at, (size_t) count};
    reader->at += text.length + 2;
    if (type == '=')
        text = (struct text){text.bytes + VERBATIM_FORMAT, text.length - VERBATIM_FORMAT};
    push_text(L, text);
    if (type == '!')
        make_error(L);
    return true;
}

static bool push_value(lua_State *L, struct reader *reader);

/* The number of values that a list of so many can have, at most, by the bytes that are left. */
static bool read_count(const struct reader *reader, struct text line, int *ret)
{
    lua_Number count = read_integer(line);

    if (!(count <= (lua_Number) ((reader->end - reader->at) / SMALLEST)))
        return false;
    *ret = (int) count;
    return true;
}

static bool push_list(lua_State *L, struct reader *reader, char type, struct text line)
{
    int count;

    if (!read_count(reader, line, &count))
        return false;
    if (count < 0) {
        lua_pushboolean(L, 0);
        return true;
    }
    lua_createtable(L, count, type == '>');
    for (int i = 1; i <= count; i++) {
        if (!push_value(L, reader))
            return false;
        lua_rawseti(L, -2, i);
    }
    if (type == '>') {
        lua_pushboolean(L, 1);
        lua_setfield(L, -2, "push");
    }
    return true;
}

/* No table has a key that is not a number: that becomes its text. */
static void check_key(lua_State *L)
{
    if (lua_type(L, -1) != LUA_TNUMBER || !isnan(lua_tonumber(L, -1)))
        return;
    lua_pop(L, 1);
    lua_pushliteral(L, "nan");
}

static bool push_map(lua_State *L, struct reader *reader, struct text line)
{
    int count;

    if (!read_count(reader, line, &count))
        return false;
    lua_createtable(L, 0, count / 2);
    for (int i = 0; i < count; i++) {
        if (!push_value(L, reader))
            return false;
        check_key(L);
        if (!push_value(L, reader))
            return false;
        lua_rawset(L, -3);
    }
    return true;
}

/* Drops the pairs of an attribute, and pushes the value behind it. */
static bool push_behind_attribute(lua_State *L, struct reader *reader, struct text line)
{
    int count;

    if (!read_count(reader, line, &count))
        return false;
    for (int i = 0; i < 2 * count; i++) {
        if (!push_value(L, reader))
            return false;
        lua_pop(L, 1);
    }
    return push_value(L, reader);
}

static bool push_by_type(lua_State *L, struct reader *reader, char type, struct text line)
{
    switch (type) {
    case '+':
    case '(':
        push_text(L, line);
        return true;
    case '-':
        push_text(L, line);
        make_error(L);
        return true;
    case ':':
        push_integer(L, line);
        return true;
    case ',':
        push_double(L, line);
        return true;
    case '#':
        lua_pushboolean(L, line.length > 0 && *line.bytes == 't');
        return true;
    case '_':
        lua_pushboolean(L, 0);
        return true;
    case '$':
    case '=':
    case '!':
        return push_string(L, reader, type, line);
    case '*':
    case '~':
    case '>':
        return push_list(L, reader, type, line);
    case '%':
        return push_map(L, reader, line);
    case '|':
        return push_behind_attribute(L, reader, line);
    default:
        return false;
    }
}

/* Pushes the next value. False: there is none, and anything may be on the stack. */
static bool push_value(lua_State *L, struct reader *reader)
{
    struct text line;

    if (reader->at == reader->end || reader->depth == DEPTH)
        return false;
    char type = *reader->at++;
    if (!read_line(reader, &line))
        return false;
    luaL_checkstack(L, STACK, "for a value");
    reader->depth++;
    bool pushed = push_by_type(L, reader, type, line);
    reader->depth--;
    return pushed;
}

bool tcpm__lua_resp_decode(lua_State *L, const char *bytes, size_t length)
{
    struct reader reader = {.at = bytes, .end = bytes + length};
    int top = lua_gettop(L);

    if (push_value(L, &reader) && reader.at == reader.end)
        return true;
    lua_settop(L, top);
    return false;
}

bool tcpm__lua_resp_push(lua_State *L, const struct tcpm__lua_session *session, struct tcpm_id id,
                         const char *bytes, size_t length)
{
    const char *name;

    return tcpm_filter_names(session->inner, id, &name, NULL) == 0 && strcmp(name, "resp") == 0 &&
           tcpm__lua_resp_decode(L, bytes, length);
}

/* ---- commands ---- */

bool tcpm__lua_resp_is_output(const struct tcpm__lua_slot *slot)
{
    const char *name;

    return tcpm_filter_names(slot->session->inner, tcpm__lua_slot_id(slot), NULL, &name) == 0 &&
           strcmp(name, "resp") == 0;
}

/* The text of the argument on top of the stack; a number is written to room, an integer with all
   its digits. False: it is neither string nor number. */
static bool read_argument(lua_State *L, char room[NUMBER_TEXT], struct text *ret)
{
    if (lua_type(L, -1) == LUA_TSTRING) {
        ret->bytes = lua_tolstring(L, -1, &ret->length);
        return true;
    }
    if (lua_type(L, -1) != LUA_TNUMBER)
        return false;
    lua_Number number = lua_tonumber(L, -1);
    bool is_integer = number > -EXACT && number < EXACT && number == floor(number);
    int length = snprintf(room, NUMBER_TEXT, is_integer ? "%.0f" : "%.17g", number);
    char *comma = memchr(room, ',', (size_t) length); /* the locale may have one for the point */

    if (comma != NULL)
        *comma = '.';
    *ret = (struct text){room, (size_t) length};
    return true;
}

const char *tcpm__lua_resp_encode(lua_State *L, int index)
{
    size_t count = lua_objlen(L, index);
    int top = lua_gettop(L);
    char header[NUMBER_TEXT], room[NUMBER_TEXT];
    luaL_Buffer buffer;

    if (count == 0)
        return "a command without arguments";
    luaL_checkstack(L, LUA_MINSTACK, "for a command");
    luaL_buffinit(L, &buffer);
    luaL_addlstring(&buffer, header, (size_t) snprintf(header, sizeof header, "*%zu\r\n", count));
    for (size_t i = 1; i <= count; i++) {
        struct text text;

        lua_rawgeti(L, index, (int) i);
        if (!read_argument(L, room, &text)) {
            lua_settop(L, top);
            return "each argument of a command is a string or a number";
        }
        int length = snprintf(header, sizeof header, "$%zu\r\n", text.length);
        lua_pushlstring(L, header, (size_t) length);
        lua_insert(L, -2);
        lua_pushlstring(L, text.bytes, text.length);
        lua_replace(L, -2);
        lua_pushliteral(L, "\r\n");
        lua_concat(L, 3);
        luaL_addvalue(&buffer);
    }
    luaL_pushresult(&buffer);
    return NULL;
}

/* ---- errors of the server ---- */

/* tcpmulti.is_error(value) -> the message of an error that the server has sent, or nil */
static int module_is_error(lua_State *L)
{
    tcpm__lua_check_dot(L);
    lua_settop(L, 1);
    if (lua_istable(L, 1) && tcpm__lua_has_metatable(L, 1, OWN_RESP_METATABLE))
        lua_getfield(L, 1, "message");
    else
        lua_pushnil(L);
    return 1;
}

int tcpm__lua_resp_error_tostring(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_getfield(L, 1, "message");
    return 1;
}

const luaL_Reg tcpm__lua_resp_functions[] = {
    {"is_error", module_is_error},
    {NULL, NULL},
};
