/* SPDX-License-Identifier: MIT */
/*
 * Lines of standard input as bytes: opening, reading without ever blocking, finding ends of lines.
 * No sessions and no Lua here. Bytes that were read stay here until somebody asks for them, whoever
 * that is.
 */
#ifndef TCPM_LUA_LINES_H
#define TCPM_LUA_LINES_H

#include <stdbool.h>
#include <stddef.h>

#include <uv.h>

enum tcpm__lines_kind {
    SOURCE_READY,  /* a file, /dev/null: a read never waits, and libuv cannot poll it */
    SOURCE_OWN,    /* opened a second time by us, non-blocking */
    SOURCE_SOCKET, /* shared with others; each read says that it must not block */
    SOURCE_SHARED, /* blocking, and other processes have it too: read only while poll
                       reports input */
};

struct tcpm__lines {
    enum tcpm__lines_kind kind;
    int descriptor;
    bool ended;    /* the last read found the end or an error */
    bool skipping; /* dropping the rest of a line that was too long */
    int error;     /* reason of the end; 0: end of file */
    char *bytes;   /* bytes read and not yet given out: from start to end */
    size_t start, end, capacity;
    size_t searched; /* number of those bytes that are known to hold no newline */
};

enum tcpm__lines_found { FOUND_NOTHING, FOUND_LINE, FOUND_TOO_LONG, FOUND_END };

/* Opens standard input, and initialises poll for lines->descriptor unless the kind is SOURCE_READY.
   Returns 0 or a negative errno. A poll that is initialised must be closed before the lines are,
   also when this function has failed. */
int tcpm__lines_open(struct tcpm__lines *lines, uv_loop_t *loop, uv_poll_t *poll);
void tcpm__lines_close(struct tcpm__lines *lines);
/* A reader begins. Bytes that C's stream stdin has read ahead, for io.read, become the first ones
   here. 0, or -ENOMEM. */
int tcpm__lines_begin(struct tcpm__lines *lines);
/* The reader stops. A file's position is set back to the first byte that was not given out, for the
   next reader. */
void tcpm__lines_leave(struct tcpm__lines *lines);
/* Reads once. False: there is nothing to read now, or ended was set. */
bool tcpm__lines_read(struct tcpm__lines *lines);
/* Finds the next line, without its end; valid until the next read. A line longer than max_length is
   dropped. FOUND_END: *ret_error is the reason, 0 for the end of file; reading may go on after it,
   which a terminal allows. */
enum tcpm__lines_found tcpm__lines_next(struct tcpm__lines *lines, size_t max_length,
                                        const char **bytes, size_t *length, int *error);

#endif
