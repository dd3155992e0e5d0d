/* SPDX-License-Identifier: MIT */
/*
 * The messages of DNS as far as the scripted name server needs them: it reads one question and
 * writes the answer that a script asks for. What always holds: no byte beyond the given lengths is
 * read or written, and a message that is no question is refused.
 */
#ifndef NAMES_MESSAGE_H
#define NAMES_MESSAGE_H

#include "script.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MESSAGE_HEADER = 12, MESSAGE_MOST = 65535 };

struct question {
    const unsigned char *bytes; /* header and question */
    size_t length;              /* of both */
    size_t room;                /* bytes that an answer by UDP may have */
    uint16_t id;
    unsigned type;
    char name[256]; /* labels as they came, with dots between them */
};

/* Returns whether this is a message with one question. The bytes must outlive *ret. */
bool question_read(const unsigned char *bytes, size_t length, struct question *ret);

/* Writes the answer, which may have to be cut off by UDP; gives its length. */
size_t answer_write(const struct question *question, const struct script *script, bool tcp,
                    unsigned char ret[MESSAGE_MOST]);

#endif
