/*
 * s:stdin(state): the lines of standard input as calls of a state. One line is delivered per turn
 * of the loop, by a task that posts itself again, so that what a state yields runs before the next
 * line; and none while a connect of the session waits, so that a list of targets of any length is
 * read only as fast as it is used.
 *
 * A pipe or a terminal is opened a second time through /proc, because libuv makes what it polls
 * non-blocking, and that would show in every process that shares the original. Files cannot be
 * polled and are always ready: they are read in the same task.
 */
#include "protect.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#define READ_SIZE          65536
#define DEFAULT_MAX_LENGTH 65536

struct standard_input {
    uv_poll_t poll;          /* first: its close callback frees the whole */
    struct session *session; /* NULL: ended */
    int descriptor;
    int anchor; /* of the Lua task: which state to call */
    int uses;   /* posted pumps, and the running one */
    bool polled, ended, waiting;
    int error; /* why it ended; 0: the end of the file */
    size_t max_length;
    char *bytes; /* read, not yet delivered: from start to end */
    size_t start, end, capacity;
};

struct line {
    struct call call;
    const struct standard_input *input;
    const char *bytes; /* NULL: the end */
    size_t length;
    int error;
};

static void run_line(lua_State *L, struct call *call)
{
    const struct line *line = (const struct line *) call;
    lua_rawgeti(L, lua_upvalueindex(UP_CORE), PART_INPUT_LINE);
    lua_rawgeti(L, lua_upvalueindex(UP_PLACES), line->input->session->base + PLACE_OBJECT);
    lua_rawgeti(L, lua_upvalueindex(UP_ANCHORS), line->input->anchor);
    if (line->bytes != NULL) {
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

static void deliver(struct session *session, struct line *line)
{
    char *message = tcpm__lua_protect(session->runtime, session, &line->call);
    if (message != NULL)
        tcpm__lua_exception(session, message);
}

/* ---- its end ---- */

static void free_input(struct standard_input *input)
{
    close(input->descriptor);
    free(input->bytes);
    free(input);
}

static void closed(uv_handle_t *handle)
{
    free_input((struct standard_input *) handle);
}

/* When it has ended and no pump needs it any more. */
static void release(struct standard_input *input)
{
    if (input->session != NULL || input->uses > 0)
        return;
    if (input->polled)
        uv_close((uv_handle_t *) &input->poll, closed);
    else
        free_input(input);
}

void tcpm__lua_stdin_end(struct session *session)
{
    struct standard_input *input = session->input;
    if (input == NULL)
        return;
    if (input->polled)
        uv_poll_stop(&input->poll);
    tcpm__lua_unref(session->runtime, input->anchor);
    session->input = NULL;
    input->session = NULL;
    release(input);
}

/* ---- reading ---- */

static void post_pump(struct standard_input *input);

/* Reads once. False: nothing can be read now, or ever. */
static bool read_more(struct standard_input *input)
{
    if (input->start > 0) {
        memmove(input->bytes, input->bytes + input->start, input->end - input->start);
        input->end -= input->start;
        input->start = 0;
    }
    if (input->capacity - input->end < READ_SIZE) {
        char *bytes = realloc(input->bytes, input->end + READ_SIZE);
        if (bytes == NULL) {
            input->error = -ENOMEM;
            input->ended = true;
            return false;
        }
        input->bytes = bytes;
        input->capacity = input->end + READ_SIZE;
    }
    ssize_t count = read(input->descriptor, input->bytes + input->end, READ_SIZE);
    if (count > 0) {
        input->end += (size_t) count;
        return true;
    }
    if (count < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    input->error = count < 0 ? -errno : 0;
    input->ended = true;
    return false;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    (void) status;
    (void) events;
    struct standard_input *input = (struct standard_input *) poll;
    uv_poll_stop(poll);
    read_more(input);
    post_pump(input);
}

/* Finds the next line, without its end. False: there is none yet. */
static bool next_line(struct standard_input *input, struct line *line)
{
    size_t held = input->end - input->start;
    const char *bytes = input->bytes + input->start;
    const char *newline = held == 0 ? NULL : memchr(bytes, '\n', held);
    size_t length = newline == NULL ? held : (size_t) (newline - bytes);
    if (length > input->max_length + 1) {
        input->error = TCPM_ETOOLONG;
        input->ended = true;
        input->start = input->end;
        return false;
    }
    if (newline == NULL && (!input->ended || held == 0))
        return false;
    input->start += length + (newline != NULL);
    if (newline != NULL && length > 0 && bytes[length - 1] == '\r')
        length--;
    line->bytes = bytes;
    line->length = length;
    return true;
}

/* A connect of the session waits: go on when there is room. */
static bool must_wait(struct standard_input *input)
{
    struct tcpm_stats stats = {.size = sizeof stats};
    tcpm_stats_get(input->session->core, &stats);
    input->waiting = stats.waiting > 0 && tcpm_has_room(input->session->core) != 1;
    return input->waiting;
}

/* Delivers one line, or the end. */
static void pump(struct standard_input *input)
{
    struct line line = {.call.run = run_line, .input = input};
    if (must_wait(input))
        return;
    while (!next_line(input, &line)) {
        if (input->ended) {
            line.error = input->error;
            deliver(input->session, &line);
            if (input->session != NULL)
                tcpm__lua_stdin_end(input->session);
            return;
        }
        if (input->polled) {
            uv_poll_start(&input->poll, UV_READABLE, on_readable);
            return;
        }
        if (!read_more(input) && !input->ended)
            break;
    }
    if (line.bytes != NULL && line.length > input->max_length) {
        input->error = TCPM_ETOOLONG;
        input->ended = true;
        input->start = input->end;
    } else if (line.bytes != NULL) {
        deliver(input->session, &line);
    }
    if (input->session != NULL)
        post_pump(input);
}

static void run_pump(struct tcpm_session *core, void *user, void *argument)
{
    (void) core;
    (void) user;
    struct standard_input *input = argument;
    if (input->session != NULL && !input->session->muted)
        pump(input);
    input->uses--;
    release(input);
}

static void drop_pump(void *argument)
{
    struct standard_input *input = argument;
    input->uses--;
    release(input);
}

static void post_pump(struct standard_input *input)
{
    struct session *session = input->session;
    struct tcpm_task task = {.run = run_pump, .drop = drop_pump, .argument = input};
    if (tcpm_post(session->core, task) == 0) {
        input->uses++;
        return;
    }
    static const char text[] = "standard input: not enough memory";
    tcpm__lua_stdin_end(session);
    if (!session->dying)
        tcpm__lua_exception(session, tcpm__lua_message_copy(text, sizeof text - 1));
}

void tcpm__lua_stdin_room(struct session *session)
{
    struct standard_input *input = session->input;
    if (input == NULL || !input->waiting)
        return;
    input->waiting = false;
    post_pump(input);
}

/* ---- core.stdin(session, task or nil, max_length or nil) ---- */

/* A descriptor of our own for what 0 is. Negative: -errno. */
static int open_input(bool *pollable)
{
    struct stat status;
    int descriptor = -1;
    if (fstat(STDIN_FILENO, &status) < 0)
        return -errno;
    *pollable = !S_ISREG(status.st_mode);
    if (*pollable)
        descriptor = open("/proc/self/fd/0", O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (descriptor < 0)
        descriptor = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    return descriptor < 0 ? -errno : descriptor;
}

static int start(struct session *session, int anchor, size_t max_length)
{
    bool pollable = false;
    struct standard_input *input = calloc(1, sizeof *input);
    if (input == NULL)
        return -ENOMEM;
    int descriptor = open_input(&pollable);
    if (descriptor < 0) {
        free(input);
        return descriptor;
    }
    input->descriptor = descriptor;
    input->session = session;
    input->anchor = anchor;
    input->max_length = max_length;
    /* what cannot be polled, like /dev/null, is always ready */
    input->polled = pollable && uv_poll_init(session->runtime->loop, &input->poll, descriptor) == 0;
    session->input = input;
    post_pump(input);
    return session->input == NULL ? -ENOMEM : 0;
}

/* Two readers would get pieces of each other's lines. */
static bool another_reads(const struct runtime *rt, const struct session *session)
{
    for (int i = 1; i < rt->session_count; i++)
        if (rt->sessions[i] != NULL && rt->sessions[i] != session && rt->sessions[i]->input != NULL)
            return true;
    return false;
}

int tcpm__lua_stdin(lua_State *L)
{
    struct runtime *rt = tcpm__lua_runtime(L);
    struct session *session = tcpm__lua_session(L, rt, 1);
    double max_length = luaL_optnumber(L, 3, DEFAULT_MAX_LENGTH);
    if (session == NULL || session->dying)
        return tcpm__lua_session_over(L, session);
    if (rt->loop == NULL)
        return tcpm__lua_failure_text(L, -ENOTSUP, "standard input belongs to the host");
    if (lua_istable(L, 2) && another_reads(rt, session))
        return tcpm__lua_failure_text(L, -EBUSY, "another session reads standard input");
    struct entry entry = tcpm__lua_enter(rt, L);
    tcpm__lua_stdin_end(session);
    int result = 0;
    if (lua_istable(L, 2)) {
        lua_pushvalue(L, 2);
        int anchor = luaL_ref(L, lua_upvalueindex(UP_ANCHORS));
        result = start(session, anchor, (size_t) max_length);
        if (result < 0 && session->input == NULL)
            tcpm__lua_unref(rt, anchor);
    }
    tcpm__lua_leave(rt, entry);
    return tcpm__lua_result(L, result);
}
