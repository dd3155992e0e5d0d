/* SPDX-License-Identifier: MIT */
/*
 * Standard input is shared: with the shell that started us, with what runs beside us in its
 * pipeline, often with standard output. O_NONBLOCK belongs to what is shared, so it is never set
 * there. A pipe or a terminal is opened a second time through /proc, and what that gives is ours
 * alone. What cannot be opened again (a socket, a terminal of another user, no /proc) is read only
 * when poll says that a read will not wait, by recv without blocking where it is a socket.
 *
 * libuv makes what it polls non-blocking, so it gets an epoll set of ours instead.
 */
#include "lines.h"

#include "tcpmulti.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_SIZE 65536

/* ---- opening ---- */

/* A descriptor for what 0 is. Negative: -errno. */
static int open_source(struct lines *lines)
{
    struct stat status;
    if (fstat(STDIN_FILENO, &status) < 0)
        return -errno;
    lines->kind = S_ISSOCK(status.st_mode) ? SOURCE_SOCKET : SOURCE_SHARED;
    if (S_ISFIFO(status.st_mode) || isatty(STDIN_FILENO)) {
        lines->descriptor = open("/proc/self/fd/0", O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (lines->descriptor >= 0) {
            lines->kind = SOURCE_OWN;
            return 0;
        }
    }
    lines->descriptor = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    return lines->descriptor < 0 ? -errno : 0;
}

static int open_set(struct lines *lines)
{
    struct epoll_event event = {.events = EPOLLIN};
    lines->set = epoll_create1(EPOLL_CLOEXEC);
    if (lines->set < 0)
        return -errno;
    if (epoll_ctl(lines->set, EPOLL_CTL_ADD, lines->descriptor, &event) == 0)
        return 0;
    if (errno != EPERM && errno != EBADF)
        return -errno;
    close(lines->set);
    lines->set = -1;
    lines->kind = SOURCE_READY;
    return 0;
}

int tcpm__lines_open(struct lines *lines)
{
    *lines = (struct lines){.descriptor = -1, .set = -1};
    int result = open_source(lines);
    if (result == 0)
        result = open_set(lines);
    if (result < 0)
        tcpm__lines_close(lines);
    return result;
}

void tcpm__lines_close(struct lines *lines)
{
    if (lines->set >= 0)
        close(lines->set);
    if (lines->descriptor >= 0)
        close(lines->descriptor);
    free(lines->bytes);
    *lines = (struct lines){.descriptor = -1, .set = -1};
}

/* ---- reading ---- */

static bool readable(int descriptor)
{
    struct pollfd input = {.fd = descriptor, .events = POLLIN};
    return poll(&input, 1, 0) == 1;
}

static ssize_t read_source(const struct lines *lines, char *bytes, size_t size)
{
    if (lines->kind == SOURCE_SOCKET)
        return recv(lines->descriptor, bytes, size, MSG_DONTWAIT);
    if (lines->kind == SOURCE_SHARED && !readable(lines->descriptor)) {
        errno = EAGAIN;
        return -1;
    }
    return read(lines->descriptor, bytes, size);
}

/* For so many bytes more. */
static bool make_room(struct lines *lines, size_t size)
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

int tcpm__lines_begin(struct lines *lines)
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

void tcpm__lines_leave(struct lines *lines)
{
    size_t held = lines->end - lines->start;
    if (lines->kind != SOURCE_READY || held == 0 ||
        lseek(lines->descriptor, -(off_t) held, SEEK_CUR) < 0)
        return;
    lines->start = lines->end = lines->searched = 0;
}

bool tcpm__lines_read(struct lines *lines)
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

/* Takes so many bytes out. */
static void pass(struct lines *lines, size_t count)
{
    lines->start += count;
    lines->searched = 0;
}

static const char *find_newline(struct lines *lines)
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

static enum found too_long(struct lines *lines, size_t passed, bool skipping)
{
    pass(lines, passed);
    lines->skipping = skipping;
    return FOUND_TOO_LONG;
}

static enum found find_end(struct lines *lines, int *error)
{
    if (!lines->ended)
        return FOUND_NOTHING;
    *error = lines->error;
    lines->ended = false;
    lines->skipping = false;
    return FOUND_END;
}

/* No newline is there: the last line, if any, ends with the input. */
static enum found find_last(struct lines *lines, size_t max_length, const char **bytes,
                            size_t *length, int *error)
{
    size_t held = lines->end - lines->start;
    if (held > max_length + !lines->ended) /* a CR at its end may yet be part of the line's end */
        return too_long(lines, held, !lines->ended);
    if (!lines->ended || held == 0)
        return find_end(lines, error);
    *bytes = lines->bytes + lines->start;
    *length = held;
    pass(lines, held);
    return FOUND_LINE;
}

static void skip_line(struct lines *lines)
{
    const char *newline = find_newline(lines);
    if (newline == NULL) {
        pass(lines, lines->end - lines->start);
        return;
    }
    pass(lines, (size_t) (newline + 1 - (lines->bytes + lines->start)));
    lines->skipping = false;
}

enum found tcpm__lines_next(struct lines *lines, size_t max_length, const char **bytes,
                            size_t *length, int *error)
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
