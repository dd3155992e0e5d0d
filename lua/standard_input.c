/* SPDX-License-Identifier: MIT */
/*
 * Standard input as one object of the runtime: opened by the first s:stdin, left by each reader
 * when that ends, closed with the runtime. Reading itself is in stdin.c.
 */
#include "standard_input.h"

#include <errno.h>
#include <stdlib.h>

void tcpm__lua_stdin_drop(struct tcpm__lua_stdin *input)
{
    TCPM__LUA_ASSERT(input->uses > 0);
    if (--input->uses > 0)
        return;
    tcpm__lines_close(&input->lines);
    free(input);
}

static void on_poll_closed(uv_handle_t *handle)
{
    tcpm__lua_stdin_drop((struct tcpm__lua_stdin *) handle);
}

static void close_input(struct tcpm__lua_stdin *input)
{
    if (input->lines.kind != SOURCE_READY)
        uv_close((uv_handle_t *) &input->poll, on_poll_closed);
    else
        tcpm__lua_stdin_drop(input);
}

/* The runtime lets go. A pump that is still posted drops the last reference later. */
void tcpm__lua_stdin_close(struct tcpm__lua_runtime *rt)
{
    struct tcpm__lua_stdin *input = rt->input;

    rt->input = NULL;
    if (input != NULL)
        close_input(input);
}

/* Nobody reads from now on. The caller frees the anchor. */
void tcpm__lua_stdin_detach(struct tcpm__lua_stdin *input)
{
    TCPM__LUA_ASSERT(input->session != NULL && input->session->input == input);
    if (input->lines.kind != SOURCE_READY)
        uv_poll_stop(&input->poll);
    tcpm__lines_leave(&input->lines);
    input->session->input = NULL;
    tcpm__lua_session_release(input->session);
    input->session = NULL;
    input->paused = false;
    input->waiting = false;
}

void tcpm__lua_stdin_end(struct tcpm__lua_session *session)
{
    struct tcpm__lua_stdin *input = session->input;

    if (input == NULL)
        return;
    tcpm__lua_stdin_detach(input);
    tcpm__lua_anchor_drop(session->runtime, input->anchor);
}

int tcpm__lua_stdin_open(struct tcpm__lua_runtime *rt)
{
    struct tcpm__lua_stdin *input = calloc(1, sizeof *input);

    if (input == NULL)
        return -ENOMEM;
    input->uses = 1;
    int result = tcpm__lines_open(&input->lines, rt->loop, &input->poll);
    if (result < 0) {
        close_input(input);
        return result;
    }
    rt->input = input;
    return 0;
}
