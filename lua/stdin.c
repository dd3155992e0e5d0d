/* SPDX-License-Identifier: MIT */
/*
 * s:stdin(state): the lines of standard input as calls of a state. One line is delivered per turn
 * of the loop, by a task that posts itself again, so that what a state yields runs before the next
 * line; and none while a connect of the session waits, so that a list of targets of any length is
 * read only as fast as it is used.
 *
 * There is one standard input, so the runtime has it, from the first s:stdin on; sessions come and
 * go, one at a time, and each goes on where the one before has stopped. While nobody reads, or the
 * session holds it, what more there is stays in the kernel.
 */
#include "lines.h"
#include "protect.h"

#include <errno.h>
#include <stdlib.h>
#include <uv.h>

#define DEFAULT_MAX_LENGTH 65536

struct standard_input {
    uv_poll_t poll; /* of lines.set; first: its close callback finds the whole */
    struct lines lines;
    struct session *session; /* that reads; NULL: nobody */
    struct session *posted;  /* the session whose pump is on its way, or delivers; NULL: none */
    int anchor;              /* of the Lua task: which state to call */
    int uses;                /* posted pumps, the running one, and the runtime's own */
    bool held, waiting;      /* by s:stdin(false); for a connect */
    size_t max_length;
};

struct line {
    struct call call;
    const struct session *session;
    int anchor;
    enum found found;
    const char *bytes;
    size_t length;
    int error;
};

static void run_line(lua_State *L, struct call *call)
{
    const struct line *line = (const struct line *) call;
    lua_rawgeti(L, lua_upvalueindex(UP_CORE), PART_INPUT_LINE);
    lua_rawgeti(L, lua_upvalueindex(UP_PLACES), line->session->base + PLACE_OBJECT);
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

/* ---- its end ---- */

static void release(struct standard_input *input)
{
    if (--input->uses > 0)
        return;
    tcpm__lines_close(&input->lines);
    free(input);
}

static void closed(uv_handle_t *handle)
{
    release((struct standard_input *) handle);
}

/* With the runtime; what is still posted lets go of it later. */
void tcpm__lua_stdin_close(struct runtime *rt)
{
    struct standard_input *input = rt->input;
    rt->input = NULL;
    if (input == NULL)
        return;
    if (input->lines.set >= 0)
        uv_close((uv_handle_t *) &input->poll, closed);
    else
        release(input);
}

/* Nobody reads from here on. The anchor is the caller's. */
static void detach(struct standard_input *input)
{
    if (input->lines.set >= 0)
        uv_poll_stop(&input->poll);
    tcpm__lines_leave(&input->lines);
    input->session->input = NULL;
    tcpm__lua_release(input->session);
    input->session = NULL;
    input->held = false;
    input->waiting = false;
}

void tcpm__lua_stdin_end(struct session *session)
{
    struct standard_input *input = session->input;
    if (input == NULL)
        return;
    detach(input);
    tcpm__lua_unref(session->runtime, input->anchor);
}

/* ---- reading ---- */

static int post_pump(struct standard_input *input);

/* From the loop: without the memory for it the session's reading ends. */
static void go_on(struct standard_input *input)
{
    struct session *session = input->session;
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
    struct standard_input *input = (struct standard_input *) poll;
    uv_poll_stop(poll);
    tcpm__lines_read(&input->lines);
    go_on(input);
}

static void read_later(struct standard_input *input)
{
    if (input->lines.set >= 0) {
        uv_poll_start(&input->poll, UV_READABLE, on_readable);
        return;
    }
    tcpm__lines_read(&input->lines);
    go_on(input);
}

/* A connect of the session waits: go on when there is room. */
static bool must_wait(struct standard_input *input)
{
    struct tcpm_stats stats = {.size = sizeof stats};
    tcpm_stats_get(input->session->core, &stats);
    input->waiting = stats.waiting > 0 && tcpm_has_room(input->session->core) != 1;
    return input->waiting;
}

/* The next pump is posted behind all that the state has yielded, whoever reads then. */
static void deliver(struct standard_input *input, struct session *session, struct line *line)
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

/* The end, or a line that is too long: reading has ended before the state hears of it, so that it
   may begin again. */
static void deliver_end(struct standard_input *input, struct line *line)
{
    struct session *session = input->session;
    struct runtime *rt = session->runtime;
    if (line->found == FOUND_TOO_LONG)
        line->error = TCPM_ETOOLONG;
    tcpm__lua_hold(session);
    detach(input);
    deliver(input, session, line);
    tcpm__lua_release(session);
    tcpm__lua_unref(rt, line->anchor);
}

/* Delivers one line, or the end. */
static void pump(struct standard_input *input)
{
    if (input->held || must_wait(input))
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

static void run_pump(struct tcpm_session *core, void *user, void *argument)
{
    (void) core;
    struct standard_input *input = argument;
    if (input->posted == user) {
        input->posted = NULL;
        if (input->session == user && !input->session->muted)
            pump(input);
    }
    release(input);
}

static void drop_pump(void *argument)
{
    struct standard_input *input = argument;
    input->posted = NULL;
    release(input);
}

/* Once for each turn, whatever asks for it. */
static int post_pump(struct standard_input *input)
{
    if (input->posted == input->session)
        return 0;
    struct tcpm_task task = {.run = run_pump, .drop = drop_pump, .argument = input};
    int result = tcpm_post(input->session->core, task);
    if (result < 0)
        return result;
    input->posted = input->session;
    input->uses++;
    return 0;
}

void tcpm__lua_stdin_room(struct session *session)
{
    struct standard_input *input = session->input;
    if (input == NULL || !input->waiting)
        return;
    input->waiting = false;
    go_on(input);
}

/* ---- core.stdin(session, task, false or nil, max_length or nil) ---- */

static int open_input(struct runtime *rt)
{
    struct standard_input *input = calloc(1, sizeof *input);
    if (input == NULL)
        return -ENOMEM;
    input->uses = 1;
    int result = tcpm__lines_open(&input->lines);
    if (result == 0 && input->lines.set >= 0)
        result = uv_poll_init(rt->loop, &input->poll, input->lines.set);
    if (result < 0) {
        release(input);
        return result;
    }
    rt->input = input;
    return 0;
}

/* The session reads with this task from here on; what it had before is replaced. */
static int attach(struct runtime *rt, struct session *session, int anchor, size_t max_length)
{
    int result = rt->input == NULL ? open_input(rt) : 0;
    if (result < 0)
        return result;
    struct standard_input *input = rt->input;
    result = tcpm__lines_begin(&input->lines);
    if (result < 0)
        return result;
    bool again = input->session != NULL;
    if (again)
        tcpm__lua_unref(rt, input->anchor);
    input->session = session;
    input->anchor = anchor;
    input->max_length = max_length;
    input->held = false;
    input->waiting = false;
    session->input = input;
    if (!again)
        tcpm__lua_hold(session);
    result = post_pump(input);
    if (result < 0)
        detach(input);
    return result;
}

static int start(lua_State *L, struct runtime *rt, struct session *session, double max_length)
{
    lua_pushvalue(L, 2);
    int anchor = luaL_ref(L, lua_upvalueindex(UP_ANCHORS));
    int result = attach(rt, session, anchor, (size_t) max_length);
    if (result < 0)
        tcpm__lua_unref(rt, anchor);
    return tcpm__lua_result(L, result);
}

static int hold(lua_State *L, struct session *session)
{
    struct standard_input *input = session->input;
    if (input == NULL)
        return tcpm__lua_failure_text(L, -ESRCH, "the session does not read standard input");
    if (input->lines.set >= 0)
        uv_poll_stop(&input->poll);
    input->held = true;
    return tcpm__lua_result(L, 0);
}

/* Two readers would get pieces of each other's lines. */
static bool another_reads(const struct runtime *rt, const struct session *session)
{
    return rt->input != NULL && rt->input->session != NULL && rt->input->session != session;
}

int tcpm__lua_stdin(lua_State *L)
{
    struct runtime *rt = tcpm__lua_runtime(L);
    struct session *session = tcpm__lua_session(L, rt, 1);
    double max_length = luaL_optnumber(L, 3, DEFAULT_MAX_LENGTH);
    if (session == NULL || session->dying)
        return tcpm__lua_session_over(L, session);
    if (rt->loop == NULL)
        return tcpm__lua_failure_text(L, -ENOTSUP,
                                      rt->attached ? "standard input belongs to luv"
                                                   : "standard input belongs to the host");
    if (!lua_isnoneornil(L, 2) && another_reads(rt, session))
        return tcpm__lua_failure_text(L, -EBUSY, "another session reads standard input");
    if (lua_istable(L, 2))
        return start(L, rt, session, max_length);
    if (lua_isboolean(L, 2))
        return hold(L, session);
    tcpm__lua_stdin_end(session);
    return tcpm__lua_result(L, 0);
}
