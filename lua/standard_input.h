/* SPDX-License-Identifier: MIT */
/*
 * Standard input of the process, read by one session after the other: see stdin.c. Above life.h.
 */
#ifndef TCPM_LUA_STANDARD_INPUT_H
#define TCPM_LUA_STANDARD_INPUT_H

#include <uv.h>

#include "life.h"
#include "lines.h"

struct tcpm__lua_stdin {
    /* First member: the close callback frees the whole struct. Not initialised if lines.kind is
       SOURCE_READY. */
    uv_poll_t poll;
    struct tcpm__lines lines;
    struct tcpm__lua_session *session; /* the reader; NULL: nobody reads */
    struct tcpm__lua_session *posted;  /* session whose pump is posted or delivers; NULL: none */
    int anchor;                        /* the Lua task that says which state to call */
    int uses;     /* references: posted pumps, the running pump, and the runtime */
    bool paused;  /* s:stdin(false) was called */
    bool waiting; /* a connect of the reader waits */
    size_t max_length;
};

int tcpm__lua_stdin_open(struct tcpm__lua_runtime *rt); /* 0, or a negative errno */
void tcpm__lua_stdin_drop(struct tcpm__lua_stdin *input);
void tcpm__lua_stdin_detach(struct tcpm__lua_stdin *input);

#endif
