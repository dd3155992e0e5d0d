/* SPDX-License-Identifier: MIT */
/*
 * Standard input is shared: with the shell that started the program, with its neighbours in a
 * pipeline, often with standard output. O_NONBLOCK is a property of the shared description, so it
 * is never set there. A pipe or a terminal is opened a second time through /proc, which gives a
 * description of our own. If that is impossible (a socket, a terminal of another user, no /proc),
 * input is read only when poll says that a read will not wait, and from a socket by a recv that
 * does not block.
 *
 * uv_poll_init makes its descriptor non-blocking, so a description that nobody shares stands in for
 * the shared one while uv_poll_init runs.
 */
#include "lines.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tcpmulti.h"

enum { READ_SIZE = 65536 };

/* ---- opening ---- */

/* Opens what descriptor 0 refers to a second time. */
static int open_again(void)
{
    return open("/proc/self/fd/0", O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

/* Returns one end of a pipe without another end. */
static int open_stand_in(void)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -1;
    close(ends[1]);
    return ends[0];
}

/* Says how to read standard input, provided that libuv can poll it. again: what open_again has
   returned. A file or device that cannot be opened again counts as one that libuv cannot poll. */
static enum tcpm__lines_kind choose_kind(int again)
{
    struct stat status = {0};

    fstat(STDIN_FILENO, &status);
    bool stream = S_ISFIFO(status.st_mode) || isatty(STDIN_FILENO);
    if (again >= 0 && stream)
        return SOURCE_OWN;
    if ((fcntl(STDIN_FILENO, F_GETFL) & O_PATH) != 0) /* libuv aborts when epoll says EBADF */
        return SOURCE_READY;
    if (S_ISSOCK(status.st_mode))
        return SOURCE_SOCKET;
    return again >= 0 || stream ? SOURCE_SHARED : SOURCE_READY;
}

/* Lets the loop know lines->descriptor, which refers to the guard while uv_poll_init runs. libuv
   refuses a guard of which a read never waits by -EPERM: the kind stays SOURCE_READY. */
static int init_poll(struct tcpm__lines *lines, enum tcpm__lines_kind kind, int guard,
                     uv_loop_t *loop, uv_poll_t *poll)
{
    if (dup3(guard, lines->descriptor, O_CLOEXEC) < 0)
        return -errno;
    int result = uv_poll_init(loop, poll, lines->descriptor);
    if (result == 0)
        lines->kind = kind;
    if (kind != SOURCE_OWN && dup3(STDIN_FILENO, lines->descriptor, O_CLOEXEC) < 0)
        return -errno;
    return result == -EPERM ? 0 : result;
}

int tcpm__lines_open(struct tcpm__lines *lines, uv_loop_t *loop, uv_poll_t *poll)
{
    *lines = (struct tcpm__lines){.kind = SOURCE_READY};
    lines->descriptor = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (lines->descriptor < 0)
        return -errno;
    int again = open_again();
    enum tcpm__lines_kind kind = choose_kind(again);
    int guard = again >= 0 ? again : open_stand_in();
    if (guard < 0)
        return -errno;
    int result = kind == SOURCE_READY ? 0 : init_poll(lines, kind, guard, loop, poll);
    close(guard);
    return result;
}

void tcpm__lines_close(struct tcpm__lines *lines)
{
    if (lines->descriptor >= 0)
        close(lines->descriptor);
    free(lines->bytes);
    *lines = (struct tcpm__lines){.descriptor = -1};
}

/* ---- reading ---- */

static bool readable(int descriptor)
{
    struct pollfd input = {.fd = descriptor, .events = POLLIN};

    return poll(&input, 1, 0) == 1;
}

static ssize_t read_source(const struct tcpm__lines *lines, char *bytes, size_t size)
{
    if (lines->kind == SOURCE_SOCKET)
        return recv(lines->descriptor, bytes, size, MSG_DONTWAIT);
    if (lines->kind == SOURCE_SHARED && !readable(lines->descriptor)) {
        errno = EAGAIN;
        return -1;
    }
    return read(lines->descriptor, bytes, size);
}

/* Makes room for size bytes more. False: no memory. */
static bool make_room(struct tcpm__lines *lines, size_t size)
{
    if (lines->start > 0) {
        memmove(lines->bytes, lines->bytes + lines->start, lines->end - lines->start);
        lines->end -= lines->start;
        lines->start = 0;
    }
    if (lines->capacity - lines->end >= size)
        return true;
    char *bytes = realloc(lines->bytes, lines->end + size);
    if (bytes == NULL)
        return false;
    lines->bytes = bytes;
    lines->capacity = lines->end + size;
    return true;
}

int tcpm__lines_begin(struct tcpm__lines *lines)
{
    flockfile(stdin);
    size_t size = (size_t) (stdin->_IO_read_end - stdin->_IO_read_ptr);
    bool room = size == 0 || make_room(lines, size);
    if (room && size > 0) {
        memcpy(lines->bytes + lines->end, stdin->_IO_read_ptr, size);
        lines->end += size;
        __fpurge(stdin);
    }
    funlockfile(stdin);
    return room ? 0 : -ENOMEM;
}

void tcpm__lines_leave(struct tcpm__lines *lines)
{
    size_t held = lines->end - lines->start;

    if (lines->kind != SOURCE_READY || held == 0 ||
        lseek(lines->descriptor, -(off_t) held, SEEK_CUR) < 0)
        return;
    lines->start = lines->end = lines->searched = 0;
}

bool tcpm__lines_read(struct tcpm__lines *lines)
{
    if (!make_room(lines, READ_SIZE)) {
        lines->error = -ENOMEM;
        lines->ended = true;
        return false;
    }
    ssize_t count = read_source(lines, lines->bytes + lines->end, READ_SIZE);
    if (count > 0) {
        lines->end += (size_t) count;
        return true;
    }
    if (count < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    lines->error = count < 0 ? -errno : 0;
    lines->ended = true;
    return false;
}

/* ---- lines ---- */

/* Drops the first count bytes. */
static void pass(struct tcpm__lines *lines, size_t count)
{
    lines->start += count;
    lines->searched = 0;
}

static const char *find_newline(struct tcpm__lines *lines)
{
    size_t held = lines->end - lines->start;

    if (lines->searched == held)
        return NULL;
    const char *from = lines->bytes + lines->start + lines->searched;
    const char *newline = memchr(from, '\n', held - lines->searched);
    if (newline == NULL)
        lines->searched = held;
    return newline;
}

static enum tcpm__lines_found too_long(struct tcpm__lines *lines, size_t passed, bool skipping)
{
    pass(lines, passed);
    lines->skipping = skipping;
    return FOUND_TOO_LONG;
}

static enum tcpm__lines_found find_end(struct tcpm__lines *lines, int *error)
{
    if (!lines->ended)
        return FOUND_NOTHING;
    *error = lines->error;
    lines->ended = false;
    lines->skipping = false;
    return FOUND_END;
}

/* There is no newline: the last line, if any, ends with the input. */
static enum tcpm__lines_found find_last(struct tcpm__lines *lines, size_t max_length,
                                        const char **bytes, size_t *length, int *error)
{
    size_t held = lines->end - lines->start;

    if (held > max_length + !lines->ended) /* a CR at the end may yet belong to the line's end */
        return too_long(lines, held, !lines->ended);
    if (!lines->ended || held == 0)
        return find_end(lines, error);
    *bytes = lines->bytes + lines->start;
    *length = held;
    pass(lines, held);
    return FOUND_LINE;
}

static void skip_line(struct tcpm__lines *lines)
{
    const char *newline = find_newline(lines);

    if (newline == NULL) {
        pass(lines, lines->end - lines->start);
        return;
    }
    pass(lines, (size_t) (newline + 1 - (lines->bytes + lines->start)));
    lines->skipping = false;
}

enum tcpm__lines_found tcpm__lines_next(struct tcpm__lines *lines, size_t max_length,
                                        const char **bytes, size_t *length, int *error)
{
    if (lines->skipping)
        skip_line(lines);
    const char *newline = find_newline(lines);
    if (newline == NULL)
        return find_last(lines, max_length, bytes, length, error);
    const char *line = lines->bytes + lines->start;
    size_t size = (size_t) (newline - line), passed = size + 1;
    if (size > 0 && line[size - 1] == '\r')
        size--;
    if (size > max_length)
        return too_long(lines, passed, false);
    pass(lines, passed);
    *bytes = line;
    *length = size;
    return FOUND_LINE;
}
