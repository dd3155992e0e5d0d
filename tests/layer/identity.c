/* SPDX-License-Identifier: MIT */
/* See identity.h. */
#include "identity.h"

enum { ESCAPE = 0xE0, SPECIAL = 0xF0, END = 0x00 };

static const char greetings[2][IDENTITY_GREETING] = {{'c', 'L'}, {'p', 'L'}};

static bool is_special(unsigned char byte)
{
    return (byte & SPECIAL) == ESCAPE;
}

static unsigned char first_key(enum identity_side side)
{
    return side == IDENTITY_CLIENT ? 0x31 : 0xC6;
}

/* All 256 keys come before one comes again. */
static unsigned char next_key(unsigned char key)
{
    return (unsigned char) (key * 5 + 0x3D);
}

struct identity_writer identity_writer(enum identity_side side)
{
    return (struct identity_writer){.side = side, .key = first_key(side)};
}

struct identity_reader identity_reader(enum identity_side side)
{
    return (struct identity_reader){.side = side, .key = first_key(side)};
}

void identity_greet(const struct identity_writer *writer, char *wire)
{
    for (size_t i = 0; i < IDENTITY_GREETING; i++)
        wire[i] = greetings[writer->side][i];
}

size_t identity_encode(struct identity_writer *writer, const char *plain, size_t length, char *wire)
{
    size_t written = 0;

    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char) plain[i] ^ writer->key;

        writer->key = next_key(writer->key);
        if (is_special(byte))
            wire[written++] = (char) ESCAPE;
        wire[written++] = (char) byte;
    }
    return written;
}

void identity_end(char *wire)
{
    wire[0] = (char) ESCAPE;
    wire[1] = END;
}

static void read_greeting(struct identity_reader *reader, unsigned char byte)
{
    if (byte != (unsigned char) greetings[reader->side][reader->greeted])
        reader->state = IDENTITY_BROKEN;
    else if (++reader->greeted == IDENTITY_GREETING)
        reader->state = IDENTITY_OPEN;
}

/* The second byte of an escape. True: it is content. */
static bool read_escaped(struct identity_reader *reader, unsigned char byte)
{
    reader->escaped = false;
    if (is_special(byte))
        return true;
    reader->state = byte == END ? IDENTITY_ENDED : IDENTITY_BROKEN;
    return false;
}

/* True: the byte is content. */
static bool read_byte(struct identity_reader *reader, unsigned char byte)
{
    if (reader->state == IDENTITY_GREETED_NOT) {
        read_greeting(reader, byte);
        return false;
    }
    if (reader->state == IDENTITY_ENDED)
        reader->state = IDENTITY_BROKEN;
    if (reader->state == IDENTITY_BROKEN)
        return false;
    if (reader->escaped)
        return read_escaped(reader, byte);
    reader->escaped = byte == ESCAPE;
    if (is_special(byte) && !reader->escaped)
        reader->state = IDENTITY_BROKEN;
    return !is_special(byte);
}

size_t identity_decode(struct identity_reader *reader, const char *wire, size_t length, char *plain)
{
    size_t written = 0;

    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char) wire[i];

        if (!read_byte(reader, byte))
            continue;
        plain[written++] = (char) (byte ^ reader->key);
        reader->key = next_key(reader->key);
    }
    return written;
}

size_t identity_completed(const char *wire, size_t length, bool *escaped)
{
    size_t completed = 0;

    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char) wire[i];

        if (*escaped)
            completed += is_special(byte);
        else
            completed += byte != ESCAPE;
        *escaped = !*escaped && byte == ESCAPE;
    }
    return completed;
}
