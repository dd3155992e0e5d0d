/* SPDX-License-Identifier: MIT */
/*
 * Lines and words of a text, such as a file of the system, cut off one after the other. A text ends
 * where its part says, and needs no NUL.
 *
 * What always holds: a line or word lies in the text that it was cut from; a word has at least one
 * byte, and no byte of it is a blank or a control character, NUL included.
 */
#ifndef TCPM_BASE_WORDS_H
#define TCPM_BASE_WORDS_H

#include <stdbool.h>
#include <stddef.h>

/* A part of a text: the bytes from at, up to end and without it. */
struct tcpm__part {
    const char *at, *end;
};

/* text: NULL is allowed where the length is 0. */
static inline struct tcpm__part tcpm__part_of(const char *text, size_t length)
{
    const char *at = text == NULL ? "" : text;

    return (struct tcpm__part){at, at + length};
}

/* Cuts off the next line, without its line feed and without a comment, which reaches from any byte
   of comments to the end of the line. False: the text is at its end. */
bool tcpm__words_next_line(struct tcpm__part *text, const char *comments, struct tcpm__part *ret);

/* Cuts off the next word. False: only blanks are left. */
bool tcpm__words_next(struct tcpm__part *line, struct tcpm__part *ret);

/* Cuts off the next item of a list, whose items stand between commas and blanks. False: there is no
   further item. */
bool tcpm__words_next_item(struct tcpm__part *list, struct tcpm__part *ret);

/* Copies a word and ends it with a NUL. False: size bytes are too few, and ret is as before. */
bool tcpm__words_copy(struct tcpm__part word, char *ret, size_t size);

bool tcpm__words_equal(struct tcpm__part word, const char *text);

/* The value of a hexadecimal digit, in capitals or not; -1: the byte is none. */
int tcpm__words_hex_digit(char byte);

#endif
