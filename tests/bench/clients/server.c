/* SPDX-License-Identifier: MIT */
/*
 * The other side of every benchmark: one epoll loop that does as little as possible per connection,
 * so that the client, which is what we measure, is the side that is busy.
 *
 * The driver starts one for each measured client, reads the line "PID PORT" and ends it with
 * SIGTERM. It listens on one port on each of 127.0.0.1-32, greet at all of 127.0.0.0/8.
 *
 *   server echo             sends back what it gets
 *   server hold             accepts, reads and says nothing
 *   server greet            sends a line of 40 bytes on each connection
 *   server bulk BYTES       sends so many bytes on each connection, then FIN
 *   server mixed            echo, but one that begins with "blast" is sent bytes without end
 *   server lines COUNT      sends so many lines of 40 bytes on each connection, then FIN;
 *                           400,000 different ones before the first comes again
 *
 * What bulk and lines send is made before the first connection comes, and sent again and again
 * (sendfile was tried: it makes both sides slower). A connection is closed when its client has
 * closed it.
 */
#include "serving.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    LINE_LENGTH = 40,
    DIFFERENT_LINES = 400000,
    BULK_SIZE = 1 << 20,
    SEND_AT_ONCE = 1 << 18,
    BLASTS_PER_TURN = 2
};

enum mode { MODE_ECHO, MODE_HOLD, MODE_GREET, MODE_SOURCE, MODE_MIXED };

static const char greeting[] = "220 mail.example ESMTP ready, say helo\r\n";

struct server {
    enum mode mode;
    int epoll_fd;
    char *source;         /* what MODE_SOURCE sends, again and again */
    uint64_t source_size; /* bytes in source */
    uint64_t total_size;  /* bytes for each connection */
    uint64_t *sent;       /* bytes sent so far, by descriptor */
    size_t sent_size;     /* places in sent */
    char buffer[65536];
};

/* ---- connections ---- */

static void send_source(struct server *server, int fd)
{
    uint64_t *sent = &server->sent[fd];
    while (*sent < server->total_size) {
        uint64_t offset = *sent % server->source_size;
        uint64_t left = server->total_size - *sent;
        uint64_t until_end = server->source_size - offset;
        size_t length = left < until_end ? left : until_end;
        if (length > SEND_AT_ONCE)
            length = SEND_AT_ONCE;
        ssize_t n = send(fd, server->source + offset, length, MSG_NOSIGNAL);
        if (n <= 0)
            return; /* full, or the client has gone: epoll tells which */
        *sent += (uint64_t) n;
    }
    shutdown(fd, SHUT_WR);
}

static void start_source(struct server *server, int fd)
{
    if ((size_t) fd >= server->sent_size)
        serving_fail("a descriptor above the limit");
    server->sent[fd] = 0;
    serving_watch(server->epoll_fd, fd, EPOLLIN | EPOLLOUT | EPOLLET, (uint64_t) fd);
}

static void greet(struct server *server, int fd)
{
    size_t length = sizeof greeting - 1;
    if (send(fd, greeting, length, MSG_NOSIGNAL) != (ssize_t) length && errno != ECONNRESET &&
        errno != EPIPE)
        serving_fail("a greeting that does not fit");
    serving_watch(server->epoll_fd, fd, EPOLLIN, (uint64_t) fd);
}

static void on_accepted(void *user, int fd)
{
    struct server *server = user;
    if (server->mode == MODE_SOURCE)
        start_source(server, fd);
    else if (server->mode == MODE_GREET)
        greet(server, fd);
    else
        serving_watch(server->epoll_fd, fd, EPOLLIN, (uint64_t) fd);
}

/* MODE_MIXED: fills the socket, as far as this holds up the others by no more than a few sends. */
static void blast(struct server *server, int fd)
{
    for (int i = 0; i < BLASTS_PER_TURN; i++)
        if (send(fd, server->source, SEND_AT_ONCE, MSG_NOSIGNAL) < SEND_AT_ONCE)
            return;
}

static int is_blast(const struct server *server, ssize_t n)
{
    return server->mode == MODE_MIXED && n >= 5 && memcmp(server->buffer, "blast", 5) == 0;
}

static void start_blast(struct server *server, int fd)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.u64 = (uint64_t) fd};
    if (epoll_ctl(server->epoll_fd, EPOLL_CTL_MOD, fd, &event))
        serving_fail("epoll_ctl");
}

/* One read per event, level-triggered: a line and its answer are two system calls. An answer that
   does not fit would need a queue; the clients never have more than one line under way. */
static void read_some(struct server *server, int fd)
{
    ssize_t n = recv(fd, server->buffer, sizeof server->buffer, 0);
    if (is_blast(server, n)) {
        start_blast(server, fd);
        return;
    }
    if (n > 0) {
        if ((server->mode == MODE_ECHO || server->mode == MODE_MIXED) &&
            send(fd, server->buffer, (size_t) n, MSG_NOSIGNAL) != n && errno != ECONNRESET &&
            errno != EPIPE)
            serving_fail("an echo that does not fit");
        return;
    }
    if (n == 0 || (errno != EAGAIN && errno != EINTR))
        close(fd);
}

static void on_event(void *user, int fd, uint32_t events)
{
    struct server *server = user;
    if (events & EPOLLOUT && server->mode == MODE_SOURCE)
        send_source(server, fd);
    if (events & EPOLLOUT && server->mode == MODE_MIXED)
        blast(server, fd);
    if (events & (EPOLLIN | EPOLLERR | EPOLLHUP))
        read_some(server, fd);
}

/* ---- what is sent ---- */

static void allocate_source(struct server *server, size_t size)
{
    server->source_size = size;
    server->source = malloc(size + 1); /* snprintf ends each line with a NUL */
    if (!server->source)
        serving_fail("malloc");
}

static void fill_bulk(struct server *server)
{
    allocate_source(server, BULK_SIZE);
    for (size_t i = 0; i < BULK_SIZE; i++)
        server->source[i] = (char) (' ' + i % 95);
}

static void fill_lines(struct server *server)
{
    allocate_source(server, (size_t) DIFFERENT_LINES * LINE_LENGTH);
    for (unsigned i = 0; i < DIFFERENT_LINES; i++)
        snprintf(server->source + (size_t) i * LINE_LENGTH, LINE_LENGTH + 1,
                 "%08u 0123456789abcdefghijklmnopqrs\r\n", i);
    server->total_size *= LINE_LENGTH;
}

static int choose_mode(struct server *server, int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    server->mode = strcmp(name, "echo") == 0    ? MODE_ECHO
                   : strcmp(name, "hold") == 0  ? MODE_HOLD
                   : strcmp(name, "greet") == 0 ? MODE_GREET
                   : strcmp(name, "mixed") == 0 ? MODE_MIXED
                                                : MODE_SOURCE;
    if (server->mode == MODE_MIXED)
        fill_bulk(server);
    if (server->mode != MODE_SOURCE)
        return argc == 2 ? 0 : -1;
    if (argc != 3)
        return -1;
    server->total_size = strtoull(argv[2], NULL, 10);
    if (strcmp(name, "bulk") == 0)
        fill_bulk(server);
    else if (strcmp(name, "lines") == 0)
        fill_lines(server);
    else
        return -1;
    return server->total_size > 0 ? 0 : -1;
}

/* ---- start ---- */

int main(int argc, char **argv)
{
    struct serving_calls calls = {.accepted = on_accepted, .event = on_event};
    struct server *server = calloc(1, sizeof *server);
    if (!server)
        serving_fail("calloc");
    serving_end_with_parent();
    if (choose_mode(server, argc, argv)) {
        fprintf(stderr, "usage: server echo|hold|greet|mixed|bulk BYTES|lines COUNT\n");
        return 2;
    }
    calls.is_everywhere = server->mode == MODE_GREET;
    server->sent_size = serving_raise_file_limit();
    server->sent = calloc(server->sent_size, sizeof *server->sent);
    server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (!server->sent || server->epoll_fd < 0)
        serving_fail("start");
    serving_run(server->epoll_fd, &calls, server);
}
