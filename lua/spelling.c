/* SPDX-License-Identifier: MIT */
/*
 * The distance between two names, row by row (Wagner and Fischer), for check.lua and for the
 * options of the program tcpmulti-lua.
 */
#include "spelling.h"

#include <ctype.h>
#include <string.h>

#include "functions.h"

/* Names are compared as far as MOST characters; each character beyond is one edit. */
enum { EDIT = TCPM__LUA_EDIT, MOST = 64 };

static size_t smallest(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;

    return least < c ? least : c;
}

static size_t change_price(char from, char to)
{
    if (from == to)
        return 0;
    return tolower((unsigned char) from) == tolower((unsigned char) to) ? 1 : EDIT;
}

/* Adds one more character of from. In row[j] stands the price of the first j characters of to. */
static void next_row(size_t row[MOST + 1], char from, const char *to, size_t length)
{
    size_t diagonal = row[0];

    row[0] += EDIT;
    for (size_t j = 0; j < length; j++) {
        size_t above = row[j + 1];

        row[j + 1] = smallest(row[j] + EDIT, above + EDIT, diagonal + change_price(from, to[j]));
        diagonal = above;
    }
}

size_t tcpm__lua_spelling_distance(const char *from, const char *to)
{
    size_t from_length = strlen(from), to_length = strlen(to), beyond = 0;
    size_t row[MOST + 1];

    if (from_length > MOST || to_length > MOST) {
        size_t a = from_length < MOST ? MOST : from_length, b = to_length < MOST ? MOST : to_length;

        beyond = a > b ? a - b : b - a;
        from_length = from_length < MOST ? from_length : MOST;
        to_length = to_length < MOST ? to_length : MOST;
    }
    for (size_t j = 0; j <= to_length; j++)
        row[j] = EDIT * j;
    for (size_t i = 0; i < from_length; i++)
        next_row(row, from[i], to, to_length);
    return row[to_length] + EDIT * beyond;
}

/* shared.distance(from, to) -> edits, and a thousandth for each change of case */
static int shared_distance(lua_State *L)
{
    size_t distance = tcpm__lua_spelling_distance(luaL_checkstring(L, 1), luaL_checkstring(L, 2));

    lua_pushnumber(L, (lua_Number) distance / (lua_Number) EDIT);
    return 1;
}

const luaL_Reg tcpm__lua_spelling_shared[] = {
    {"distance", shared_distance},
    {NULL, NULL},
};
