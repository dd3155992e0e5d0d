/* SPDX-License-Identifier: MIT */
/*
 * The code of the test layer, on buffers alone: plain text to bytes of the wire and back. It stands
 * in for TLS where the tests want to know that a connection works with something between it and its
 * socket. The layer of the library (layer.c) and the scripted peers (tests/peer/wire.c) use it.
 *
 * Each direction is a stream of its own:
 *
 *   greeting   2 bytes, which differ between client and peer; both sides send theirs at once
 *   content    each byte XORed with a running key. Of the 256 results 16 are special (0xE0..0xEF):
 *              they stand on the wire behind the escape byte 0xE0
 *   mark       0xE0 0x00: the end of the stream; FIN without it is a stream that was cut
 *
 * What always holds: the bytes of the wire do not depend on how the plain text is cut into calls,
 * nor the plain text on how the wire is; nothing is kept back but half of an escape.
 */
#ifndef TESTS_LAYER_IDENTITY_H
#define TESTS_LAYER_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>

enum {
    IDENTITY_GREETING = 2,  /* bytes */
    IDENTITY_MARK = 2,      /* bytes */
    IDENTITY_EXPANSION = 2, /* bytes of the wire for one of plain text, at most */
};

enum identity_side { IDENTITY_CLIENT, IDENTITY_PEER };

struct identity_writer {
    enum identity_side side;
    unsigned char key; /* for the next byte */
};

enum identity_state { IDENTITY_GREETED_NOT, IDENTITY_OPEN, IDENTITY_ENDED, IDENTITY_BROKEN };

struct identity_reader {
    enum identity_side side; /* whose bytes these are */
    enum identity_state state;
    unsigned greeted; /* bytes of the greeting that have come */
    unsigned char key;
    bool escaped; /* the escape byte has come, its second byte has not */
};

struct identity_writer identity_writer(enum identity_side side);
struct identity_reader identity_reader(enum identity_side side);

/* Writes the greeting, IDENTITY_GREETING bytes; the first bytes of a stream. */
void identity_greet(const struct identity_writer *writer, char *wire);
/* Gives the bytes written to wire, which has room for IDENTITY_EXPANSION times the length. */
size_t identity_encode(struct identity_writer *writer, const char *plain, size_t length,
                       char *wire);
/* Writes the mark, IDENTITY_MARK bytes; the last bytes of a stream. */
void identity_end(char *wire);

/* Gives the bytes of plain text written to plain, at most as many as length; wire and plain may be
   the same. The state of the reader tells what else was found. Bytes behind the mark break the
   stream: the text before them still counts. */
size_t identity_decode(struct identity_reader *reader, const char *wire, size_t length,
                       char *plain);

/* Of bytes of the wire between greeting and mark, in order: how many bytes of plain text they
   complete. escaped: whether the bytes before ended in half of an escape; false at first. */
size_t identity_completed(const char *wire, size_t length, bool *escaped);

#endif
