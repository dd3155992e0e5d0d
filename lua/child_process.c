/* SPDX-License-Identifier: MIT */
/*
 * The handles of a child. Its standard input is one end of a pair of sockets, since a write to a
 * pipe without a reader would raise SIGPIPE here. Our ends are closed when this process ends,
 * however that happens, and the child notices that at its input.
 *
 * What always holds: a child is in the runtime's list until it is left, which happens after its
 * end, or when the runtime drops all; nobody is told after that. It is freed when libuv has closed
 * its handles.
 */
#include "child.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_SIZE = 65536, HANDLES = 3 };

/* ---- the end ---- */

static void on_closed(uv_handle_t *handle)
{
    struct tcpm__lua_child *child = handle->data;

    if (--child->handles > 0)
        return;
    close(child->input_end);
    free(child->queue);
    free(child->bytes);
    free(child);
}

static void close_handle(uv_handle_t *handle)
{
    if (!uv_is_closing(handle))
        uv_close(handle, on_closed);
}

/* The child notices at once, though the descriptor is closed later. */
static void close_input(struct tcpm__lua_child *child)
{
    child->finishing = true;
    child->queued = 0;
    if (uv_is_closing((uv_handle_t *) &child->input))
        return;
    shutdown(child->input_end, SHUT_RDWR);
    close_handle((uv_handle_t *) &child->input);
}

void tcpm__lua_child_leave(struct tcpm__lua_child *child)
{
    struct tcpm__lua_runtime *rt = child->runtime;
    struct tcpm__lua_child **at = &rt->children;

    while (*at != child)
        at = &(*at)->next;
    *at = child->next;
    child->runtime = NULL;
    tcpm__lua_anchor_drop(rt, child->anchor);
}

void tcpm__lua_children_drop(struct tcpm__lua_runtime *rt)
{
    while (rt->children != NULL) {
        struct tcpm__lua_child *child = rt->children;

        tcpm__lua_child_leave(child);
        close_input(child);
        close_handle((uv_handle_t *) &child->output);
        close_handle((uv_handle_t *) &child->process);
    }
}

static void check_end(struct tcpm__lua_child *child)
{
    if (child->ended && child->silent && child->runtime != NULL)
        child->on_end(child);
}

static void on_process_exit(uv_process_t *process, int64_t status, int signum)
{
    struct tcpm__lua_child *child = process->data;

    child->ended = true;
    child->status = status;
    child->signum = signum;
    close_handle((uv_handle_t *) &child->process);
    close_input(child);
    check_end(child);
}

/* ---- output ---- */

static void end_output(struct tcpm__lua_child *child)
{
    child->silent = true;
    close_handle((uv_handle_t *) &child->output);
    check_end(child);
}

void tcpm__lua_child_refuse(struct tcpm__lua_child *child)
{
    if (!child->ended)
        uv_process_kill(&child->process, SIGKILL);
    end_output(child);
}

/* Room for a read. Without memory libuv tells on_read of UV_ENOBUFS. */
static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
    struct tcpm__lua_child *child = handle->data;

    (void) suggested;
    *ret = uv_buf_init(NULL, 0);
    if (child->capacity - child->length < READ_SIZE) {
        size_t capacity = 2 * child->capacity + READ_SIZE;
        char *bytes = realloc(child->bytes, capacity);

        if (bytes == NULL)
            return;
        child->bytes = bytes;
        child->capacity = capacity;
    }
    *ret = uv_buf_init(child->bytes + child->length, READ_SIZE);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
    struct tcpm__lua_child *child = stream->data;

    (void) buffer;
    if (count > 0) {
        child->length += (size_t) count;
        child->on_output(child);
    } else if (count == UV_EOF) {
        end_output(child);
    } else if (count < 0) {
        tcpm__lua_child_refuse(child);
    }
}

int tcpm__lua_child_read(struct tcpm__lua_child *child)
{
    int result = uv_read_start((uv_stream_t *) &child->output, on_alloc, on_read);

    return result == UV_EALREADY ? 0 : result;
}

/* ---- input ---- */

/* Sends what the kernel takes. The number of bytes, or a negative errno. */
static ssize_t send_some(const struct tcpm__lua_child *child, const char *bytes, size_t length)
{
    ssize_t count = send(child->input_end, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (count >= 0)
        return count;
    return errno == EAGAIN || errno == EINTR ? 0 : -errno;
}

static void on_writable(uv_poll_t *poll, int status, int events)
{
    struct tcpm__lua_child *child = poll->data;
    ssize_t count = status < 0 ? status : send_some(child, child->queue, child->queued);

    (void) events;
    if (count < 0) {
        close_input(child);
        return;
    }
    child->queued -= (size_t) count;
    memmove(child->queue, child->queue + count, child->queued);
    if (child->queued > 0)
        return;
    uv_poll_stop(poll);
    if (child->finishing)
        close_input(child);
}

int tcpm__lua_child_write(struct tcpm__lua_child *child, const char *bytes, size_t length)
{
    if (child->finishing)
        return -EPIPE;
    ssize_t count = child->queued == 0 ? send_some(child, bytes, length) : 0;
    if (count < 0) {
        close_input(child);
        return (int) count;
    }
    size_t rest = length - (size_t) count;
    if (rest == 0)
        return 0;
    char *queue = realloc(child->queue, child->queued + rest);
    if (queue == NULL) {
        close_input(child); /* a line may have been sent in part */
        return -ENOMEM;
    }
    memcpy(queue + child->queued, bytes + count, rest);
    child->queue = queue;
    child->queued += rest;
    return uv_poll_start(&child->input, UV_WRITABLE, on_writable);
}

void tcpm__lua_child_finish(struct tcpm__lua_child *child)
{
    child->finishing = true;
    if (child->queued == 0)
        close_input(child);
}

/* ---- starting ---- */

static int spawn(struct tcpm__lua_child *child, int input, char **arguments, char **variables)
{
    uv_stdio_container_t stdio[] = {
        {.flags = UV_INHERIT_FD, .data.fd = input},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *) &child->output},
        {.flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO},
    };
    uv_process_options_t options = {
        .exit_cb = on_process_exit,
        .file = arguments[0],
        .args = arguments,
        .env = variables,
        .stdio_count = sizeof stdio / sizeof *stdio,
        .stdio = stdio,
    };
    int result = uv_spawn(child->runtime->loop, &child->process, &options);

    return result < 0 ? result : tcpm__lua_child_read(child);
}

/* The loop knows our end of a new pair; the other end is in *ret. */
static int open_input(struct tcpm__lua_child *child, int *ret)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    int result = uv_poll_init(child->runtime->loop, &child->input, pair[0]);
    if (result < 0) {
        close(pair[0]);
        close(pair[1]);
        return result;
    }
    child->input_end = pair[0];
    *ret = pair[1];
    return 0;
}

int tcpm__lua_child_start(struct tcpm__lua_child *child, struct tcpm__lua_runtime *rt,
                          char **arguments, char **variables)
{
    int input = -1;

    child->runtime = rt;
    int result = open_input(child, &input);
    if (result < 0) {
        free(child);
        return result;
    }
    uv_pipe_init(rt->loop, &child->output, 0);
    child->process.data = child->input.data = child->output.data = child;
    child->handles = HANDLES;
    result = spawn(child, input, arguments, variables);
    close(input);
    if (result < 0) {
        close_input(child);
        close_handle((uv_handle_t *) &child->output);
        close_handle((uv_handle_t *) &child->process);
        return result;
    }
    child->next = rt->children;
    rt->children = child;
    return 0;
}
