/* SPDX-License-Identifier: MIT */
/* See words.h. Each byte of a text is passed once. */
#include "base/words.h"

#include <string.h>

static bool is_blank(char byte)
{
    return (unsigned char) byte <= ' ';
}

bool tcpm__words_next_line(struct tcpm__part *text, const char *comments, struct tcpm__part *ret)
{
    if (text->at == text->end)
        return false;

    const char *feed = memchr(text->at, '\n', (size_t) (text->end - text->at));
    const char *stop = feed == NULL ? text->end : feed;

    *ret = (struct tcpm__part){text->at, stop};
    text->at = feed == NULL ? stop : stop + 1;
    for (; *comments != '\0'; comments++) {
        const char *mark = memchr(ret->at, *comments, (size_t) (ret->end - ret->at));

        if (mark != NULL)
            ret->end = mark;
    }
    return true;
}

bool tcpm__words_next(struct tcpm__part *line, struct tcpm__part *ret)
{
    while (line->at < line->end && is_blank(*line->at))
        line->at++;
    ret->at = line->at;
    while (line->at < line->end && !is_blank(*line->at))
        line->at++;
    ret->end = line->at;
    return ret->at < ret->end;
}

static bool is_separator(char byte)
{
    return is_blank(byte) || byte == ',';
}

bool tcpm__words_next_item(struct tcpm__part *list, struct tcpm__part *ret)
{
    while (list->at < list->end && is_separator(*list->at))
        list->at++;
    ret->at = list->at;
    while (list->at < list->end && !is_separator(*list->at))
        list->at++;
    ret->end = list->at;
    return ret->at < ret->end;
}

bool tcpm__words_copy(struct tcpm__part word, char *ret, size_t size)
{
    size_t length = (size_t) (word.end - word.at);

    if (length >= size)
        return false;
    memcpy(ret, word.at, length);
    ret[length] = '\0';
    return true;
}

bool tcpm__words_equal(struct tcpm__part word, const char *text)
{
    size_t length = (size_t) (word.end - word.at);

    return strlen(text) == length && memcmp(word.at, text, length) == 0;
}

int tcpm__words_hex_digit(char byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    if (byte >= 'a' && byte <= 'f')
        return byte - 'a' + 10;
    return byte >= 'A' && byte <= 'F' ? byte - 'A' + 10 : -1;
}
