/* SPDX-License-Identifier: MIT */
/*
 * The text of a writer of JSON: the memory it grows in, and what stands in it as bytes: quoted
 * texts, base64, whole numbers.
 */
#include "json.h"

enum {
    FIRST_SIZE = 1024,
    MOST_KEPT = 65536, /* bytes of memory that wait for the next call */
    ROOM = 1           /* the upvalue that has the memory */
};

/* ---- memory ---- */

void tcpm__json_begin(struct tcpm__json *json, lua_State *L)
{
    luaL_checkstack(L, LUA_MINSTACK, "json");
    lua_pushvalue(L, lua_upvalueindex(ROOM));
    *json = (struct tcpm__json){.L = L, .room = lua_gettop(L)};
    json->bytes = lua_touserdata(L, json->room);
    json->size = json->bytes == NULL ? 0 : lua_objlen(L, json->room);
    lua_pushnil(L);
    lua_replace(L, lua_upvalueindex(ROOM));
}

int tcpm__json_end(struct tcpm__json *json)
{
    lua_State *L = json->L;

    lua_pushlstring(L, json->bytes, json->length);
    if (json->size <= MOST_KEPT) {
        lua_pushvalue(L, json->room);
        lua_replace(L, lua_upvalueindex(ROOM));
    }
    return 1;
}

void tcpm__json_grow(struct tcpm__json *json, size_t length)
{
    size_t size = json->size < FIRST_SIZE ? FIRST_SIZE : json->size;

    while (size - json->length < length)
        size *= 2;
    char *bytes = lua_newuserdata(json->L, size);
    if (json->length > 0)
        memcpy(bytes, json->bytes, json->length);
    lua_replace(json->L, json->room);
    json->bytes = bytes;
    json->size = size;
}

/* ---- UTF-8 ---- */

/* By the first byte of a character of several: their number, and the lowest and the highest second
   byte (RFC 3629). */
static const struct {
    unsigned char first, last, size, lowest, highest;
} sequences[] = {
    {0xc2, 0xdf, 2, 0x80, 0xbf}, {0xe0, 0xe0, 3, 0xa0, 0xbf}, {0xe1, 0xec, 3, 0x80, 0xbf},
    {0xed, 0xed, 3, 0x80, 0x9f}, {0xee, 0xef, 3, 0x80, 0xbf}, {0xf0, 0xf0, 4, 0x90, 0xbf},
    {0xf1, 0xf3, 4, 0x80, 0xbf}, {0xf4, 0xf4, 4, 0x80, 0x8f},
};

static bool is_tail(unsigned char byte)
{
    return (byte & 0xc0) == 0x80;
}

/* How many bytes the character takes that begins so; 0: none begins so, or it is cut off. */
static size_t character_size(const unsigned char *bytes, size_t length)
{
    for (size_t i = 0; i < sizeof sequences / sizeof *sequences; i++) {
        if (bytes[0] < sequences[i].first || bytes[0] > sequences[i].last)
            continue;
        size_t size = sequences[i].size;
        bool whole = size <= length && bytes[1] >= sequences[i].lowest &&
                     bytes[1] <= sequences[i].highest && (size < 3 || is_tail(bytes[2])) &&
                     (size < 4 || is_tail(bytes[3]));
        return whole ? size : 0;
    }
    return 0;
}

/* How many bytes of ASCII stand in front. */
static size_t count_ascii(const unsigned char *bytes, size_t length)
{
    size_t at = 0;
    uint64_t eight;

    for (; length - at >= sizeof eight; at += sizeof eight) {
        memcpy(&eight, bytes + at, sizeof eight);

        if ((eight & UINT64_C(0x8080808080808080)) != 0)
            break;
    }
    while (at < length && bytes[at] < 0x80)
        at++;
    return at;
}

bool tcpm__json_is_utf8(const char *text, size_t length)
{
    const unsigned char *bytes = (const unsigned char *) text;
    size_t at = count_ascii(bytes, length);

    while (at < length) {
        size_t size = character_size(bytes + at, length - at);

        if (size == 0)
            return false;
        at += size;
        at += count_ascii(bytes + at, length - at);
    }
    return true;
}

/* ---- quoted texts ---- */

enum {
    BLOCK = 512,       /* bytes of a text that are written at a time */
    LONGEST_ESCAPE = 6 /* \u0000 */
};

/* The character after a backslash; u: a number of four digits; 1: perhaps the first byte of U+0080
   to U+009F, which move the cursor of a terminal, too; 0: the byte stands as it is. */
static const char escapes[256] = {
    ['\0'] = 'u', [1] = 'u',    [2] = 'u',   [3] = 'u',     [4] = 'u',    [5] = 'u',
    [6] = 'u',    [7] = 'u',    [8] = 'u',   ['\t'] = 't',  ['\n'] = 'n', [11] = 'u',
    [12] = 'u',   ['\r'] = 'r', [14] = 'u',  [15] = 'u',    [16] = 'u',   [17] = 'u',
    [18] = 'u',   [19] = 'u',   [20] = 'u',  [21] = 'u',    [22] = 'u',   [23] = 'u',
    [24] = 'u',   [25] = 'u',   [26] = 'u',  [27] = 'u',    [28] = 'u',   [29] = 'u',
    [30] = 'u',   [31] = 'u',   ['"'] = '"', ['\\'] = '\\', [127] = 'u',  [0xc2] = 1,
};

static char *write_escape(char *to, unsigned char byte)
{
    static const char digits[] = "0123456789abcdef";

    *to++ = '\\';
    *to++ = byte > 127 ? 'u' : escapes[byte];
    if (to[-1] != 'u')
        return to;
    *to++ = '0';
    *to++ = '0';
    *to++ = digits[byte >> 4];
    *to++ = digits[byte & 15];
    return to;
}

/* Writes the byte at a place that does not stand as it is. Gives how many bytes are written. */
static size_t write_special(char **to, const unsigned char *bytes)
{
    bool is_c1 = bytes[0] == 0xc2 && bytes[1] < 0xa0;

    if (bytes[0] != 0xc2 || is_c1)
        *to = write_escape(*to, bytes[is_c1]);
    else
        *(*to)++ = (char) bytes[0];
    return is_c1 ? 2 : 1;
}

/* Writes UTF-8 with its escapes. */
static void put_escaped(struct tcpm__json *json, const unsigned char *bytes, size_t length)
{
    size_t at = 0;

    while (at < length) {
        size_t stop = length - at > BLOCK ? at + BLOCK : length;

        tcpm__json_reserve(json, (stop - at) * LONGEST_ESCAPE);
        char *to = json->bytes + json->length;
        while (at < stop) {
            if (escapes[bytes[at]] == 0)
                *to++ = (char) bytes[at++];
            else
                at += write_special(&to, bytes + at);
        }
        json->length = (size_t) (to - json->bytes);
    }
}

bool tcpm__json_put_quoted(struct tcpm__json *json, const char *text, size_t length)
{
    if (!tcpm__json_is_utf8(text, length))
        return false;
    TCPM__JSON_PUT(json, "\"");
    put_escaped(json, (const unsigned char *) text, length);
    TCPM__JSON_PUT(json, "\"");
    return true;
}

/* ---- base64 and numbers ---- */

/* The four characters of at most three bytes. */
static void encode_group(char *to, const unsigned char *bytes, size_t length)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t second = length > 1 ? bytes[1] : 0, third = length > 2 ? bytes[2] : 0;
    uint32_t word = (uint32_t) bytes[0] << 16 | second << 8 | third;

    to[0] = digits[word >> 18];
    to[1] = digits[word >> 12 & 63];
    to[2] = length > 1 ? digits[word >> 6 & 63] : '=';
    to[3] = length > 2 ? digits[word & 63] : '=';
}

void tcpm__json_put_base64(struct tcpm__json *json, const char *bytes, size_t length)
{
    tcpm__json_reserve(json, (length + 2) / 3 * 4);
    for (size_t at = 0; at < length; at += 3) {
        encode_group(json->bytes + json->length, (const unsigned char *) bytes + at, length - at);
        json->length += 4;
    }
}

void tcpm__json_put_whole(struct tcpm__json *json, int64_t number)
{
    char text[24];
    size_t at = sizeof text;
    uint64_t rest = number < 0 ? 0 - (uint64_t) number : (uint64_t) number;

    do {
        text[--at] = (char) ('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (number < 0)
        text[--at] = '-';
    tcpm__json_put(json, text + at, sizeof text - at);
}
