/* SPDX-License-Identifier: MIT */
/*
 * Values of Lua as JSON on one line: no byte is lost, and nothing in it acts on a terminal. json.c
 * writes values, json_text.c the texts in them, result_line.c a whole result line.
 *
 * A function that writes is a closure that tcpm__json_push_writer has made. Its text grows in a
 * room that it keeps for its next call, except while a call is running: a finaliser may run
 * meanwhile, and write as well.
 */
#ifndef TCPM_JSON_H
#define TCPM_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <lauxlib.h>

struct tcpm__json {
    lua_State *L;
    int room; /* the stack index of the memory */
    char *bytes;
    size_t length, size;
};

/* Pushes a function that writes. first: the stack index of the value that stands for null; that for
   an empty list and string.format follow it. */
void tcpm__json_push_writer(lua_State *L, lua_CFunction write, int first);

/* Begins a text, whose room is one more value on the stack. */
void tcpm__json_begin(struct tcpm__json *json, lua_State *L);

/* Pushes the text, which is over. Gives 1, the number of results. */
int tcpm__json_end(struct tcpm__json *json);

/* Each of these raises an error when there is no memory, or when a value cannot be written. */

/* Takes more memory, for so many bytes behind the text. */
void tcpm__json_grow(struct tcpm__json *json, size_t length);
void tcpm__json_put_whole(struct tcpm__json *json, int64_t number);
/* False, and nothing is written: the text is not UTF-8. */
bool tcpm__json_put_quoted(struct tcpm__json *json, const char *text, size_t length);
void tcpm__json_put_base64(struct tcpm__json *json, const char *bytes, size_t length);

/* Writes the value at the stack index, at most 16 tables in each other. */
void tcpm__json_put_value(struct tcpm__json *json, int index);
/* Writes "NAME":VALUE, or "NAME_b64":VALUE for bytes that are not UTF-8. key: that of the name. */
void tcpm__json_put_field(struct tcpm__json *json, int key, int value);

bool tcpm__json_is_utf8(const char *text, size_t length);

/* Makes room for so many bytes behind the text. */
static inline void tcpm__json_reserve(struct tcpm__json *json, size_t length)
{
    if (json->size - json->length < length)
        tcpm__json_grow(json, length);
}

static inline void tcpm__json_put(struct tcpm__json *json, const char *bytes, size_t length)
{
    tcpm__json_reserve(json, length);
    if (length > 0)
        memcpy(json->bytes + json->length, bytes, length);
    json->length += length;
}

/* Appends the bytes of a literal. */
#define TCPM__JSON_PUT(json, literal) tcpm__json_put(json, literal, sizeof(literal) - 1)

/* Loaders of modules: tcpmulti.json.writers, and result_line.c's tcpmulti.results.line. */
int tcpm__json_open_writers(lua_State *L);
int tcpm__json_open_line(lua_State *L);

#endif
