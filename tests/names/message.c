/* SPDX-License-Identifier: MIT */
/*
 * Reads questions and writes answers (RFC 1035). An answer repeats the question; names of records
 * are pointers into the message, so their length does not matter. A record that has no room is left
 * out, and so are those behind it.
 */
#include "message.h"

#include <string.h>

enum {
    TYPE_CNAME = 5,
    TYPE_OPT = 41,
    PLAIN_ROOM = 512, /* of an answer to a question without EDNS */
    FLAGS_ANSWER = 0x8180,
    FLAG_TRUNCATED = 0x0200,
    POINTER = 0xc000,
};

/* ---- questions ---- */

static unsigned get16(const unsigned char *at)
{
    return (unsigned) at[0] << 8 | at[1];
}

/* Reads the name of a question; gives where it ends, 0: it does not. */
static size_t read_name(const unsigned char *bytes, size_t length, char ret[256])
{
    size_t at = MESSAGE_HEADER, used = 0;

    while (at < length && bytes[at] != 0) {
        size_t label = bytes[at];
        if (label > 63 || at + 1 + label >= length || used + label + 2 > 256)
            return 0;
        if (used > 0)
            ret[used++] = '.';
        memcpy(ret + used, bytes + at + 1, label);
        used += label;
        at += 1 + label;
    }
    ret[used] = '\0';
    return at < length ? at + 1 : 0;
}

/* How long an answer by UDP may be: behind the question there may be a record of EDNS. */
static size_t room_of(const unsigned char *bytes, size_t length, size_t at)
{
    bool has = get16(bytes + 10) > 0 && at + 5 <= length && bytes[at] == 0;
    size_t room = has && get16(bytes + at + 1) == TYPE_OPT ? get16(bytes + at + 3) : PLAIN_ROOM;

    return room < PLAIN_ROOM ? PLAIN_ROOM : room;
}

bool question_read(const unsigned char *bytes, size_t length, struct question *ret)
{
    if (length < MESSAGE_HEADER || (bytes[2] & 0x80) != 0 || get16(bytes + 4) != 1)
        return false;
    size_t end = read_name(bytes, length, ret->name);
    if (end == 0 || end + 4 > length)
        return false;
    ret->bytes = bytes;
    ret->length = end + 4;
    ret->room = room_of(bytes, length, end + 4);
    ret->id = (uint16_t) get16(bytes);
    ret->type = get16(bytes + end);
    return true;
}

/* ---- answers ---- */

struct writer {
    unsigned char *bytes;
    size_t length;
    unsigned records;
};

static void set16(unsigned char *at, unsigned value)
{
    at[0] = (unsigned char) (value >> 8);
    at[1] = (unsigned char) value;
}

static void put16(struct writer *writer, unsigned value)
{
    set16(writer->bytes + writer->length, value);
    writer->length += 2;
}

/* Adds a record; its owner is the name that stands at this place of the message. */
static void put_record(struct writer *writer, size_t owner, unsigned type, unsigned ttl,
                       const void *data, size_t length)
{
    if (writer->length + 12 + length > MESSAGE_MOST)
        return;
    put16(writer, POINTER | (unsigned) owner);
    put16(writer, type);
    put16(writer, 1);
    put16(writer, ttl >> 16);
    put16(writer, ttl & 0xffff);
    put16(writer, (unsigned) length);
    memcpy(writer->bytes + writer->length, data, length);
    writer->length += length;
    writer->records++;
}

/* Adds an alias whose target is one label before the name of the question; gives the place of the
   target. */
static size_t put_alias(struct writer *writer, size_t owner, unsigned ttl, unsigned number)
{
    unsigned char target[6] = {3, 'c', (unsigned char) ('0' + number / 10 % 10),
                               (unsigned char) ('0' + number % 10)};

    set16(target + 4, POINTER | MESSAGE_HEADER);
    put_record(writer, owner, TYPE_CNAME, ttl, target, sizeof target);
    return writer->length - sizeof target;
}

static void put_loop(struct writer *writer, unsigned ttl)
{
    unsigned char back[2];
    size_t target = put_alias(writer, MESSAGE_HEADER, ttl, 0);

    set16(back, POINTER | MESSAGE_HEADER);
    put_record(writer, target, TYPE_CNAME, ttl, back, sizeof back);
}

/* The address of this number, from 0 on: 127.0.0.1 or 2001:db8::1, and those behind it. */
static void number_address(unsigned type, unsigned number, unsigned char ret[16])
{
    static const unsigned char first_v6[16] = {0x20, 0x01, 0x0d, 0xb8};

    if (type == SCRIPT_AAAA) {
        memcpy(ret, first_v6, sizeof first_v6);
        set16(ret + 14, number + 1);
    } else {
        ret[0] = 127;
        ret[1] = (unsigned char) (number / 62500);
        ret[2] = (unsigned char) (number / 250 % 250);
        ret[3] = (unsigned char) (1 + number % 250);
    }
}

static void put_addresses(struct writer *writer, size_t owner, unsigned type,
                          const struct script *script)
{
    size_t size = type == SCRIPT_A ? 4 : 16;
    unsigned count = type == SCRIPT_A ? script->a : type == SCRIPT_AAAA ? script->aaaa : 0;

    for (size_t i = 0; i < script->address_count; i++)
        if (script->addresses[i].type == type)
            put_record(writer, owner, type, script->ttl, script->addresses[i].bytes, size);
    for (unsigned i = 0; i < count; i++) {
        unsigned char bytes[16];
        number_address(type, script->from + i, bytes);
        put_record(writer, owner, type, script->ttl, bytes, size);
    }
}

static void put_records(struct writer *writer, unsigned type, const struct script *script)
{
    size_t owner = MESSAGE_HEADER;

    if (script->rcode != 0 || script->nodata != 0)
        return;
    if (script->loop != 0) {
        put_loop(writer, script->ttl);
        return;
    }
    for (unsigned i = 0; i < script->cname; i++)
        owner = put_alias(writer, owner, script->chainttl, i);
    put_addresses(writer, owner, type, script);
}

size_t answer_write(const struct question *question, const struct script *script, bool tcp,
                    unsigned char ret[MESSAGE_MOST])
{
    struct writer writer = {.bytes = ret, .length = question->length};
    unsigned flags = FLAGS_ANSWER | script->rcode;

    memcpy(ret, question->bytes, question->length);
    put_records(&writer, question->type, script);
    if (!tcp && (script->truncate != 0 || writer.length > question->room)) {
        flags |= FLAG_TRUNCATED;
        writer = (struct writer){.bytes = ret, .length = question->length};
    }
    set16(ret + 2, flags);
    set16(ret + 6, writer.records);
    memset(ret + 8, 0, 4);
    return writer.length;
}
