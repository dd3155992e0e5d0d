/* SPDX-License-Identifier: MIT */
/*
 * A program that runs beside the loop: child_process.c has its handles, children.c its lines. Above
 * life.h.
 */
#ifndef TCPM_LUA_CHILD_H
#define TCPM_LUA_CHILD_H

#include <uv.h>

#include "life.h"

struct tcpm__lua_child {
    uv_process_t process;
    uv_poll_t input;
    uv_pipe_t output;
    struct tcpm__lua_runtime *runtime; /* NULL: nobody is told any more */
    struct tcpm__lua_child *next;
    void (*on_output)(struct tcpm__lua_child *child); /* bytes were added */
    void (*on_end)(struct tcpm__lua_child *child);    /* the process and its output have ended */
    double number;
    int anchor;      /* the table { object, on_line, on_end } */
    int handles;     /* number of handles that libuv has not closed */
    int input_end;   /* our end of a pair of sockets */
    bool finishing;  /* nothing is added to what is queued, then the input ends */
    bool ended;      /* the process */
    bool silent;     /* no output comes any more */
    int64_t status;  /* exit status */
    int signum;      /* the signal that has ended the process; or 0 */
    char *queue;     /* bytes for the child's input */
    size_t queued;   /* number of those bytes */
    char *bytes;     /* output that was not yet given out */
    size_t length;   /* number of those bytes */
    size_t capacity; /* room in bytes */
    size_t searched; /* number of those bytes that are known to hold no newline */
};

/* Starts a program. child: allocated, with its functions, free for libuv. arguments, variables:
   with NULL at their ends. 0, or a negative errno: then the child is gone. */
int tcpm__lua_child_start(struct tcpm__lua_child *child, struct tcpm__lua_runtime *rt,
                          char **arguments, char **variables);
/* Reads the child's output, again after uv_read_stop. 0, or a negative errno. */
int tcpm__lua_child_read(struct tcpm__lua_child *child);
/* Kills the process, whose output is not read any more. */
void tcpm__lua_child_refuse(struct tcpm__lua_child *child);
/* Writes to the child's input. 0, or a negative errno. */
int tcpm__lua_child_write(struct tcpm__lua_child *child, const char *bytes, size_t length);
/* Ends the child's input after what is queued. */
void tcpm__lua_child_finish(struct tcpm__lua_child *child);
/* Nobody is told any more. */
void tcpm__lua_child_leave(struct tcpm__lua_child *child);

#endif
