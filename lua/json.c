/* SPDX-License-Identifier: MIT */
/*
 * Values of Lua as JSON, for tcpmulti.json. Tables are read raw, so that no function of the script
 * runs meanwhile, but for finalisers: if one changes a table that is being written, its text is not
 * specified, and nothing worse happens.
 */
#include "json.h"

#include <math.h>
#include <stdlib.h>

enum {
    MAX_DEPTH = 16,
    FEW = 16 /* fields of an object for which no memory is taken */
};

/* Upvalues of a function that writes, behind that of json_text.c: the values that stand for null
   and for an empty list, and string.format. */
enum { NULL_VALUE = 2, EMPTY_LIST, FORMAT };

static const double MAX_WHOLE = 9007199254740992.0;

/* Where the parts of a field are in the text while its object is written: NAME"NAME":VALUE. */
struct field {
    size_t start, quoted, value, end;
    const char *name; /* for comparisons, while nothing is written */
    size_t name_length;
    bool loses; /* another field has its name */
    /* Of fields that want one name the one of the least kind gets it. RENAMED: _b64 was added, or
       the key was not fit to be a name. */
    enum { OF_NUMBER, RENAMED, AS_GIVEN } kind;
};

static void write_value(struct tcpm__json *json, int depth, int key);

/* ---- names ---- */

/* Writes the text of a number. */
static void write_formatted(struct tcpm__json *json, const char *format, double number)
{
    lua_State *L = json->L;
    size_t length;

    lua_pushvalue(L, lua_upvalueindex(FORMAT));
    lua_pushstring(L, format);
    lua_pushnumber(L, number);
    lua_call(L, 2, 1);
    const char *text = lua_tolstring(L, -1, &length);
    tcpm__json_put(json, text, length);
    lua_pop(L, 1);
}

/* Writes the text of a key as a name, without quotes. */
static void write_name(struct tcpm__json *json, int key, struct field *field)
{
    lua_State *L = json->L;
    size_t length;

    if (lua_type(L, key) == LUA_TNUMBER) {
        double number = lua_tonumber(L, key);

        write_formatted(json, number == floor(number) ? "%.0f" : "%.17g", number);
        field->kind = OF_NUMBER;
        return;
    }
    if (lua_type(L, key) != LUA_TSTRING) {
        lua_pushfstring(L, "json: a key must be a string or a number, not a %s",
                        luaL_typename(L, key));
        lua_error(L);
    }
    const char *text = lua_tolstring(L, key, &length);
    bool is_fit = strncmp(text, "b64:", 4) != 0 && tcpm__json_is_utf8(text, length);
    field->kind = is_fit ? AS_GIVEN : RENAMED;
    if (is_fit) {
        tcpm__json_put(json, text, length);
    } else {
        TCPM__JSON_PUT(json, "b64:");
        tcpm__json_put_base64(json, text, length);
    }
}

/* Writes the name of the field, which is UTF-8, once more, quoted. */
static void quote_name(struct tcpm__json *json, struct field *field)
{
    size_t length = json->length - field->start;

    field->quoted = json->length;
    tcpm__json_reserve(json, 6 * length + 3); /* the name stays where it is */
    tcpm__json_put_quoted(json, json->bytes + field->start, length);
    TCPM__JSON_PUT(json, ":");
    field->value = json->length;
}

/* Writes a field, whose value is on the top of the stack. */
static void write_field(struct tcpm__json *json, int depth, int key, struct field *field)
{
    size_t length;
    bool is_text = lua_type(json->L, -1) == LUA_TSTRING;
    const char *text = is_text ? lua_tolstring(json->L, -1, &length) : NULL;
    bool is_binary = is_text && !tcpm__json_is_utf8(text, length);

    field->start = json->length;
    field->loses = false;
    write_name(json, key, field);
    if (is_binary) {
        TCPM__JSON_PUT(json, "_b64");
        field->kind = field->kind == OF_NUMBER ? OF_NUMBER : RENAMED;
    }
    quote_name(json, field);
    if (is_binary) {
        TCPM__JSON_PUT(json, "\"");
        tcpm__json_put_base64(json, text, length);
        TCPM__JSON_PUT(json, "\"");
    } else {
        write_value(json, depth, key);
    }
    field->end = json->length;
}

/* ---- objects ---- */

static int compare_fields(const void *a, const void *b)
{
    const struct field *one = a, *other = b;
    size_t length = one->name_length < other->name_length ? one->name_length : other->name_length;
    int order = memcmp(one->name, other->name, length);

    if (order != 0)
        return order;
    return (one->name_length > other->name_length) - (one->name_length < other->name_length);
}

static void sort_fields(struct tcpm__json *json, struct field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        fields[i].name = json->bytes + fields[i].start;
        fields[i].name_length = fields[i].quoted - fields[i].start;
    }
    if (count > 1)
        qsort(fields, count, sizeof *fields, compare_fields);
}

/* Appends a part of the text. */
static void repeat(struct tcpm__json *json, size_t start, size_t end)
{
    tcpm__json_reserve(json, end - start);
    tcpm__json_put(json, json->bytes + start, end - start);
}

/* Writes the field once more, with the name b64:KEY. Where its kind is RENAMED, its name is that of
   its key with _b64 behind it: no other one is that of another field too. */
static void rename_field(struct tcpm__json *json, struct field *field)
{
    struct field old = *field;
    bool has_suffix = old.kind == RENAMED;
    size_t key_length = old.quoted - old.start - (has_suffix ? 4 : 0);

    field->start = json->length;
    TCPM__JSON_PUT(json, "b64:");
    tcpm__json_reserve(json, (key_length + 2) / 3 * 4);
    tcpm__json_put_base64(json, json->bytes + old.start, key_length);
    if (has_suffix)
        TCPM__JSON_PUT(json, "_b64");
    quote_name(json, field);
    repeat(json, old.value, old.end);
    field->end = json->length;
}

/* Marks sorted fields whose name goes to another one. Gives whether there are any. */
static bool mark_losers(struct field *fields, size_t count)
{
    struct field *owner = fields;
    bool is_ambiguous = false;

    for (struct field *field = fields + 1; field < fields + count; field++) {
        bool is_same = compare_fields(owner, field) == 0;
        struct field *loser = field->kind < owner->kind ? owner : field;

        if (is_same)
            loser->loses = is_ambiguous = true;
        if (!is_same || loser == owner)
            owner = field;
    }
    return is_ambiguous;
}

static void order_fields(struct tcpm__json *json, struct field *fields, size_t count)
{
    sort_fields(json, fields, count);
    if (!mark_losers(fields, count))
        return;
    for (size_t i = 0; i < count; i++)
        if (fields[i].loses)
            rename_field(json, &fields[i]);
    sort_fields(json, fields, count);
}

/* The text from a place on becomes what stands behind it. */
static void replace_rest(struct tcpm__json *json, size_t start, size_t behind)
{
    memmove(json->bytes + start, json->bytes + behind, json->length - behind);
    json->length -= behind - start;
}

static void join_fields(struct tcpm__json *json, size_t start, const struct field *fields,
                        size_t count)
{
    size_t behind = json->length;

    TCPM__JSON_PUT(json, "{");
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            TCPM__JSON_PUT(json, ",");
        repeat(json, fields[i].quoted, fields[i].end);
    }
    TCPM__JSON_PUT(json, "}");
    replace_rest(json, start, behind);
}

/* Writes the table on the top of the stack, which has so many keys. */
static void write_object(struct tcpm__json *json, int depth, size_t count)
{
    lua_State *L = json->L;
    int table = lua_gettop(L);
    struct field few[FEW], *fields = few;
    size_t start = json->length, found = 0;

    if (count > FEW)
        fields = lua_newuserdata(L, count * sizeof *fields);
    lua_pushnil(L);
    int key = lua_gettop(L);
    while (found < count && lua_next(L, table) != 0) {
        write_field(json, depth, key, &fields[found++]);
        lua_pop(L, 1);
    }
    order_fields(json, fields, found);
    join_fields(json, start, fields, found);
    lua_settop(L, table);
}

/* ---- values ---- */

/* Raises for the value on the top of the stack. */
static void refuse(struct tcpm__json *json, int key)
{
    lua_State *L = json->L;
    const char *type = luaL_typename(L, -1);

    if (key == 0) {
        lua_pushfstring(L, "json: a %s cannot be written", type);
    } else if (key < 0) {
        lua_pushfstring(L, "json: a %s cannot be written (field %d)", type, -key);
    } else {
        struct field field = {.start = json->length};

        write_name(json, key, &field);
        lua_pushlstring(L, json->bytes + field.start, json->length - field.start);
        lua_pushfstring(L, "json: a %s cannot be written (field %s)", type, lua_tostring(L, -1));
    }
    lua_error(L);
}

static void write_list(struct tcpm__json *json, int depth, size_t count)
{
    TCPM__JSON_PUT(json, "[");
    for (int i = 1; i <= (int) count; i++) {
        if (i > 1)
            TCPM__JSON_PUT(json, ",");
        lua_rawgeti(json->L, -1, i);
        write_value(json, depth, -i);
        lua_pop(json->L, 1);
    }
    TCPM__JSON_PUT(json, "]");
}

static size_t count_keys(lua_State *L)
{
    size_t count = 0;

    lua_pushnil(L);
    while (lua_next(L, -2) != 0) {
        lua_pop(L, 1);
        count++;
    }
    return count;
}

/* Whether the table on the top of the stack, with so many keys, is a list. An empty table and one
   with holes are objects. */
static bool is_list(lua_State *L, size_t count)
{
    bool has = count > 0;

    for (int i = 1; has && i <= (int) count; i++) {
        lua_rawgeti(L, -1, i);
        has = !lua_isnil(L, -1);
        lua_pop(L, 1);
    }
    return has;
}

static void write_table(struct tcpm__json *json, int depth)
{
    lua_State *L = json->L;

    if (lua_rawequal(L, -1, lua_upvalueindex(NULL_VALUE))) {
        TCPM__JSON_PUT(json, "null");
        return;
    }
    if (lua_rawequal(L, -1, lua_upvalueindex(EMPTY_LIST))) {
        TCPM__JSON_PUT(json, "[]");
        return;
    }
    if (depth > MAX_DEPTH) {
        lua_pushfstring(L, "json: more than %d tables in each other, or one that contains itself",
                        MAX_DEPTH);
        lua_error(L);
    }
    luaL_checkstack(L, LUA_MINSTACK, "json");
    size_t count = count_keys(L);
    if (is_list(L, count))
        write_list(json, depth, count);
    else
        write_object(json, depth, count);
}

static void write_number(struct tcpm__json *json, double number)
{
    if (isnan(number) || isinf(number)) {
        TCPM__JSON_PUT(json, "null");
    } else if (number == floor(number) && fabs(number) <= MAX_WHOLE) {
        tcpm__json_put_whole(json, (int64_t) number);
    } else {
        write_formatted(json, "%.14g", number);
    }
}

/* A text that is no field. */
static void write_text(struct tcpm__json *json)
{
    size_t length;
    const char *text = lua_tolstring(json->L, -1, &length);

    if (tcpm__json_put_quoted(json, text, length))
        return;
    TCPM__JSON_PUT(json, "{\"b64\":\"");
    tcpm__json_put_base64(json, text, length);
    TCPM__JSON_PUT(json, "\"}");
}

/* Writes the value on the top of the stack. key, for messages: the stack index of its key; below 0:
   its place in a list; 0: it has none. */
static void write_value(struct tcpm__json *json, int depth, int key)
{
    lua_State *L = json->L;

    switch (lua_type(L, -1)) {
    case LUA_TSTRING:
        write_text(json);
        break;
    case LUA_TNUMBER:
        write_number(json, lua_tonumber(L, -1));
        break;
    case LUA_TTABLE:
        write_table(json, depth + 1);
        break;
    case LUA_TBOOLEAN:
        if (lua_toboolean(L, -1))
            TCPM__JSON_PUT(json, "true");
        else
            TCPM__JSON_PUT(json, "false");
        break;
    case LUA_TNIL:
        TCPM__JSON_PUT(json, "null");
        break;
    default:
        refuse(json, key);
    }
}

void tcpm__json_put_value(struct tcpm__json *json, int index)
{
    lua_pushvalue(json->L, index);
    write_value(json, 0, 0);
    lua_pop(json->L, 1);
}

void tcpm__json_put_field(struct tcpm__json *json, int key, int value)
{
    struct field field;

    lua_pushvalue(json->L, value);
    write_field(json, 0, key, &field);
    lua_pop(json->L, 1);
    replace_rest(json, field.start, field.quoted);
}

void tcpm__json_push_writer(lua_State *L, lua_CFunction write, int first)
{
    lua_pushnil(L);
    for (int i = 0; i < 3; i++)
        lua_pushvalue(L, first + i);
    lua_pushcclosure(L, write, FORMAT);
}
