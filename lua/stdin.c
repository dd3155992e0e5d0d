/* SPDX-License-Identifier: MIT */
/*
 * s:stdin(state): lines of standard input as calls of a state. A task delivers one line per turn of
 * the loop and posts itself again, so whatever a state yields runs before the next line. No line is
 * delivered while a connect of the session waits, so a list of targets of any length is read only
 * as fast as it is used.
 *
 * The process has one standard input, so the runtime has one object for it. Sessions read one after
 * the other, each from where the one before has stopped. While nobody reads, or the reader pauses,
 * unread input stays in the kernel.
 */
#include "functions.h"

#include <errno.h>

#include <uv.h>

#include "standard_input.h"

enum { DEFAULT_MAX_LENGTH = 65536 };

struct line {
    struct tcpm__lua_call call;
    const struct tcpm__lua_session *session;
    int anchor;
    enum tcpm__lines_found found;
    const char *bytes;
    size_t length;
    int error;
};

static void run_line(lua_State *L, struct tcpm__lua_call *call)
{
    const struct line *line = (const struct line *) call;

    lua_rawgeti(L, lua_upvalueindex(UP_SHARED), PART_INPUT_LINE);
    lua_rawgeti(L, lua_upvalueindex(UP_CELLS), line->session->base + CELL_OBJECT);
    lua_rawgeti(L, lua_upvalueindex(UP_ANCHORS), line->anchor);
    if (line->found == FOUND_LINE) {
        lua_pushlstring(L, line->bytes, line->length);
        lua_call(L, 3, 0);
    } else if (line->error == 0) {
        lua_pushnil(L);
        lua_call(L, 3, 0);
    } else {
        lua_pushnil(L);
        lua_pushstring(L, line->error == TCPM_ETOOLONG ? "line too long"
                                                       : tcpm_error_text(line->error));
        lua_pushstring(L, tcpm_error_name(line->error));
        lua_call(L, 5, 0);
    }
}

/* ---- reading ---- */

static int post_pump(struct tcpm__lua_stdin *input);

/* Posts the next pump. Without memory for it the session's reading ends. */
static void go_on(struct tcpm__lua_stdin *input)
{
    struct tcpm__lua_session *session = input->session;

    if (post_pump(input) == 0)
        return;
    static const char text[] = "standard input: not enough memory";
    tcpm__lua_stdin_end(session);
    if (!session->dying)
        tcpm__lua_exception(session, tcpm__lua_message_copy(text, sizeof text - 1));
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    (void) status;
    (void) events;
    struct tcpm__lua_stdin *input = (struct tcpm__lua_stdin *) poll;
    uv_poll_stop(poll);
    tcpm__lines_read(&input->lines);
    go_on(input);
}

static void read_later(struct tcpm__lua_stdin *input)
{
    if (input->lines.kind != SOURCE_READY) {
        uv_poll_start(&input->poll, UV_READABLE, on_readable);
        return;
    }
    tcpm__lines_read(&input->lines);
    go_on(input);
}

/* Whether a connect of the session waits: reading goes on when there is room. */
static bool must_wait(struct tcpm__lua_stdin *input)
{
    struct tcpm_stats stats = {.size = sizeof stats};

    tcpm_stats_get(input->session->inner, &stats);
    input->waiting = stats.waiting > 0 && tcpm_has_room(input->session->inner) != 1;
    return input->waiting;
}

/* Delivers a line, then posts the next pump: everything that the state has yielded runs before it.
   By then another session may read. */
static void deliver(struct tcpm__lua_stdin *input, struct tcpm__lua_session *session,
                    struct line *line)
{
    input->posted = session;
    char *message = tcpm__lua_protect(session->runtime, session, &line->call);
    if (message != NULL)
        tcpm__lua_exception(session, message);
    if (input->posted == session)
        input->posted = NULL;
    if (input->session != NULL)
        go_on(input);
}

/* Delivers the end of input, or of a line that is too long. Reading ends before the state is
   called, so that the state may begin to read again. */
static void deliver_end(struct tcpm__lua_stdin *input, struct line *line)
{
    struct tcpm__lua_session *session = input->session;
    struct tcpm__lua_runtime *rt = session->runtime;

    if (line->found == FOUND_TOO_LONG)
        line->error = TCPM_ETOOLONG;
    tcpm__lua_session_hold(session);
    tcpm__lua_stdin_detach(input);
    deliver(input, session, line);
    tcpm__lua_session_release(session);
    tcpm__lua_anchor_drop(rt, line->anchor);
}

/* Delivers one line, or the end. */
static void pump(struct tcpm__lua_stdin *input)
{
    if (input->paused || must_wait(input))
        return;
    struct line line = {
        .call.run = run_line,
        .session = input->session,
        .anchor = input->anchor,
    };
    line.found =
        tcpm__lines_next(&input->lines, input->max_length, &line.bytes, &line.length, &line.error);
    if (line.found == FOUND_NOTHING) {
        read_later(input);
    } else if (line.found == FOUND_LINE) {
        deliver(input, input->session, &line);
    } else {
        deliver_end(input, &line);
    }
}

static void on_pump(struct tcpm_session *inner, void *user, void *argument)
{
    (void) inner;
    struct tcpm__lua_stdin *input = argument;
    if (input->posted == user) {
        input->posted = NULL;
        if (input->session == user && !input->session->muted)
            pump(input);
    }
    tcpm__lua_stdin_drop(input);
}

static void on_pump_drop(void *argument)
{
    struct tcpm__lua_stdin *input = argument;

    input->posted = NULL;
    tcpm__lua_stdin_drop(input);
}

/* Posts at most one pump for each turn. */
static int post_pump(struct tcpm__lua_stdin *input)
{
    if (input->posted == input->session)
        return 0;
    struct tcpm_task task = {.run = on_pump, .drop = on_pump_drop, .argument = input};
    int result = tcpm_post(input->session->inner, task);
    if (result < 0)
        return result;
    input->posted = input->session;
    input->uses++;
    return 0;
}

void tcpm__lua_stdin_room(struct tcpm__lua_session *session)
{
    struct tcpm__lua_stdin *input = session->input;

    if (input == NULL || !input->waiting)
        return;
    input->waiting = false;
    go_on(input);
}

/* ---- shared.stdin(session, task, false or nil, max_length or nil) ---- */

/* The session reads with this task from now on. A task it had before is replaced. */
static int attach(struct tcpm__lua_runtime *rt, struct tcpm__lua_session *session, int anchor,
                  size_t max_length)
{
    int result = rt->input == NULL ? tcpm__lua_stdin_open(rt) : 0;

    if (result < 0)
        return result;
    struct tcpm__lua_stdin *input = rt->input;
    result = tcpm__lines_begin(&input->lines);
    if (result < 0)
        return result;
    bool again = input->session != NULL;
    if (again)
        tcpm__lua_anchor_drop(rt, input->anchor);
    input->session = session;
    input->anchor = anchor;
    input->max_length = max_length;
    input->paused = false;
    input->waiting = false;
    session->input = input;
    if (!again)
        tcpm__lua_session_hold(session);
    result = post_pump(input);
    if (result < 0)
        tcpm__lua_stdin_detach(input);
    return result;
}

static int start(lua_State *L, struct tcpm__lua_runtime *rt, struct tcpm__lua_session *session,
                 double max_length)
{
    lua_pushvalue(L, 2);
    int anchor = luaL_ref(L, lua_upvalueindex(UP_ANCHORS));
    int result = attach(rt, session, anchor, (size_t) max_length);
    if (result < 0)
        tcpm__lua_anchor_drop(rt, anchor);
    return tcpm__lua_result(L, result);
}

static int pause_reading(lua_State *L, struct tcpm__lua_session *session)
{
    struct tcpm__lua_stdin *input = session->input;

    if (input == NULL)
        return tcpm__lua_failure_text(L, -ESRCH, "the session does not read standard input");
    if (input->lines.kind != SOURCE_READY)
        uv_poll_stop(&input->poll);
    input->paused = true;
    return tcpm__lua_result(L, 0);
}

/* Two readers would each get pieces of the other's lines. */
static bool another_reads(const struct tcpm__lua_runtime *rt,
                          const struct tcpm__lua_session *session)
{
    return rt->input != NULL && rt->input->session != NULL && rt->input->session != session;
}

static int shared_stdin(lua_State *L)
{
    struct tcpm__lua_runtime *rt = tcpm__lua_runtime(L);
    struct tcpm__lua_session *session = tcpm__lua_check_session(L, rt, 1);
    double max_length = luaL_optnumber(L, 3, DEFAULT_MAX_LENGTH);

    if (session == NULL || session->dying)
        return tcpm__lua_session_failure(L, session);
    if (rt->loop == NULL)
        return tcpm__lua_failure_text(L, -ENOTSUP,
                                      rt->attached ? "standard input belongs to luv"
                                                   : "standard input belongs to the host");
    if (!lua_isnoneornil(L, 2) && another_reads(rt, session))
        return tcpm__lua_failure_text(L, -EBUSY, "another session reads standard input");
    if (lua_istable(L, 2))
        return start(L, rt, session, max_length);
    if (lua_isboolean(L, 2))
        return pause_reading(L, session);
    tcpm__lua_stdin_end(session);
    return tcpm__lua_result(L, 0);
}

const luaL_Reg tcpm__lua_stdin_shared[] = {
    {"stdin", shared_stdin},
    {NULL, NULL},
};
