/* SPDX-License-Identifier: MIT */
/*
 * Lines of standard input as bytes: opening, reading without ever blocking, finding ends of lines.
 * Knows no session and no Lua. What was read stays here until it is asked for, whoever asks.
 */
#ifndef TCPM_LUA_LINES_H
#define TCPM_LUA_LINES_H

#include <stdbool.h>
#include <stddef.h>

enum source_kind {
    SOURCE_READY,  /* a file, /dev/null: epoll does not take it, a read never waits */
    SOURCE_OWN,    /* opened a second time by us, non-blocking */
    SOURCE_SOCKET, /* shared; each read says that it must not block */
    SOURCE_SHARED, /* shared and blocking: read only while poll says so */
};

struct lines {
    enum source_kind kind;
    int descriptor;
    int set;       /* an epoll set of our own that the loop can poll; SOURCE_READY: -1 */
    bool ended;    /* the last read found the end, or error */
    bool skipping; /* the rest of a line that was too long is passed over */
    int error;     /* why it ended; 0: the end of the file */
    char *bytes;   /* read, not yet given out: from start to end */
    size_t start, end, capacity;
    size_t searched; /* of these, so many hold no newline */
};

enum found { FOUND_NOTHING, FOUND_LINE, FOUND_TOO_LONG, FOUND_END };

int tcpm__lines_open(struct lines *lines); /* 0, or a negative errno */
void tcpm__lines_close(struct lines *lines);
/* Somebody begins to read lines: what C's stream has read ahead, for io.read, is the first of them.
   0, or -ENOMEM. */
int tcpm__lines_begin(struct lines *lines);
/* Nobody reads them any more: a file is left where that was, for whoever reads it next. */
void tcpm__lines_leave(struct lines *lines);
/* Reads once. False: there is nothing to read now, or ended is set. */
bool tcpm__lines_read(struct lines *lines);
/* The next line without its end, valid until the next read. A line longer than max_length is passed
   over. After FOUND_END, whose reason is *error, reading may go on: a terminal can. */
enum found tcpm__lines_next(struct lines *lines, size_t max_length, const char **bytes,
                            size_t *length, int *error);

#endif
