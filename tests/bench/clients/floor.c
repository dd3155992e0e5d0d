/* SPDX-License-Identifier: MIT */
/*
 * The floor of every comparison: a client as somebody writes it who has only this one job and knows
 * epoll well. Edge-triggered, each socket registered once for both directions, one read buffer for
 * all, no allocation per connection, a short read taken as "drained", the clock asked once per
 * turn, timeouts as stamps that a sweep looks at once a second. Nothing of it is a library: no
 * names, no write queue, no order of events to promise.
 */
#include "floor.h"
#include "stash.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BUFFER_SIZE = 65536 };

enum phase { PHASE_NONE, PHASE_CONNECTING, PHASE_OPEN };

struct connection {
    struct bench_stash stash;
    uint32_t last_ms;
    uint32_t left; /* messages still to come */
    uint8_t phase;
};

struct client {
    struct bench_job job;
    struct bench_figures figures;
    uint64_t last_line; /* its first bytes, see bench_check_line */
    int epoll_fd;
    uint32_t now_ms;
    uint32_t swept_ms;
    uint64_t started; /* connections */
    unsigned alive;   /* connections */
    unsigned open;    /* connections that have succeeded */
    unsigned table_size;
    struct connection *table; /* by descriptor */
    char buffer[BENCH_STASH_SIZE + BUFFER_SIZE];
};

/* ---- opening and closing ---- */

static void start_connection(struct client *client)
{
    int fd = floor_connect(&client->job, client->started++, client->epoll_fd, client->table_size);
    client->table[fd] = (struct connection){.phase = PHASE_CONNECTING, .last_ms = client->now_ms};
    client->alive++;
}

static void start_connections(struct client *client)
{
    for (unsigned i = 0; i < client->job.connections; i++)
        start_connection(client);
}

/* A close takes the descriptor out of the epoll set as well. */
static void end_connection(struct client *client, int fd)
{
    free(client->table[fd].stash.bytes);
    client->table[fd] = (struct connection){.phase = PHASE_NONE};
    close(fd);
    client->alive--;
}

static void break_connection(struct client *client, int fd)
{
    client->figures.errors++;
    end_connection(client, fd);
}

static void send_line(struct client *client, int fd)
{
    if (send(fd, bench_line(), BENCH_LINE_LENGTH, MSG_NOSIGNAL) != BENCH_LINE_LENGTH)
        break_connection(client, fd); /* one line under way always fits */
}

/* ---- what each workload does with a line; false: the connection has ended ---- */

static int line_of_storm(struct client *client, int fd)
{
    end_connection(client, fd);
    client->figures.operations++;
    if (client->started < client->job.operations)
        start_connection(client);
    return 0;
}

static int line_of_pingpong(struct client *client, int fd)
{
    client->figures.operations++;
    if (--client->table[fd].left > 0)
        send_line(client, fd);
    return client->table[fd].phase == PHASE_OPEN;
}

static int take_line(struct client *client, int fd, const char *line, size_t length)
{
    if (client->job.work == BENCH_LINES) {
        client->figures.operations++;
        client->figures.errors += bench_check_line(&client->last_line, line) < 0;
        return 1;
    }
    if (length != BENCH_LINE_LENGTH || memcmp(line, bench_line(), BENCH_LINE_LENGTH) != 0) {
        break_connection(client, fd);
        return 0;
    }
    return client->job.work == BENCH_STORM ? line_of_storm(client, fd)
                                           : line_of_pingpong(client, fd);
}

static int cut_lines(struct client *client, int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        const char *end = memchr(bytes, '\n', length);
        if (!end && bench_stash_keep(&client->table[fd].stash, bytes, length)) {
            break_connection(client, fd);
            return 0;
        }
        if (!end)
            return 1;
        size_t line_length = (size_t) (end + 1 - bytes);
        if (!take_line(client, fd, bytes, line_length))
            return 0;
        bytes += line_length;
        length -= line_length;
    }
    return 1;
}

/* ---- events ---- */

static int take_bytes(struct client *client, int fd, size_t length)
{
    struct connection *connection = &client->table[fd];
    client->figures.bytes += length;
    connection->last_ms = client->now_ms;
    if (client->job.work == BENCH_BULK)
        return 1;
    char *bytes =
        bench_stash_put_in_front(&connection->stash, client->buffer + BENCH_STASH_SIZE, &length);
    return cut_lines(client, fd, bytes, length);
}

/* A read that does not fill the buffer has drained the socket, unless its end is there as well. */
static void on_readable(struct client *client, int fd, uint32_t events)
{
    int to_the_end = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    for (;;) {
        ssize_t n = recv(fd, client->buffer + BENCH_STASH_SIZE, BUFFER_SIZE, 0);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0) {
            break_connection(client, fd);
            return;
        }
        if (n == 0) {
            if (client->job.work != BENCH_BULK && client->job.work != BENCH_LINES)
                client->figures.errors++;
            end_connection(client, fd);
            return;
        }
        if (!take_bytes(client, fd, (size_t) n) || (n < BUFFER_SIZE && !to_the_end))
            return;
    }
}

static void on_connected(struct client *client, int fd)
{
    struct connection *connection = &client->table[fd];
    connection->phase = PHASE_OPEN;
    connection->last_ms = client->now_ms;
    connection->left = (uint32_t) (client->job.operations / client->job.connections);
    client->open++;
    if (client->job.work == BENCH_STORM)
        send_line(client, fd);
}

static void on_event(struct client *client, int fd, uint32_t events)
{
    struct connection *connection = &client->table[fd];
    if (connection->phase == PHASE_CONNECTING && events & (EPOLLERR | EPOLLHUP)) {
        break_connection(client, fd);
        return;
    }
    if (connection->phase == PHASE_CONNECTING && events & EPOLLOUT)
        on_connected(client, fd);
    if (connection->phase == PHASE_OPEN && events & (EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP))
        on_readable(client, fd, events);
}

static void sweep(struct client *client)
{
    if (!client->job.timeouts || client->now_ms - client->swept_ms < FLOOR_SWEEP_MS)
        return;
    client->swept_ms = client->now_ms;
    for (unsigned fd = 0; fd < client->table_size; fd++) {
        const struct connection *connection = &client->table[fd];
        uint32_t limit_ms =
            connection->phase == PHASE_OPEN ? FLOOR_INPUT_TIMEOUT_MS : FLOOR_CONNECT_TIMEOUT_MS;
        if (connection->phase != PHASE_NONE && client->now_ms - connection->last_ms >= limit_ms)
            break_connection(client, (int) fd);
    }
}

static void run_turn(struct client *client)
{
    struct epoll_event events[FLOOR_EVENTS];
    int count = epoll_wait(client->epoll_fd, events, FLOOR_EVENTS,
                           client->job.timeouts ? FLOOR_SWEEP_MS : -1);
    client->now_ms = floor_clock_ms();
    for (int i = 0; i < count; i++)
        on_event(client, events[i].data.fd, events[i].events);
    sweep(client);
}

/* ---- the workloads ---- */

static void open_all(struct client *client)
{
    start_connections(client);
    while (client->open < client->job.connections && client->figures.errors == 0)
        run_turn(client);
}

static void run_storm(struct client *client)
{
    bench_begin(&client->figures);
    start_connections(client);
    while (client->alive > 0)
        run_turn(client);
    bench_end(&client->figures);
}

static void run_pingpong(struct client *client)
{
    uint64_t expected = client->job.operations / client->job.connections * client->job.connections;
    open_all(client);
    bench_begin(&client->figures);
    for (unsigned fd = 0; fd < client->table_size; fd++)
        if (client->table[fd].phase == PHASE_OPEN)
            send_line(client, (int) fd);
    while (client->figures.operations < expected && client->figures.errors == 0)
        run_turn(client);
    bench_end(&client->figures);
}

static void run_idle(struct client *client)
{
    uint64_t before = bench_memory();
    open_all(client);
    client->figures.memory_bytes = bench_memory() - before;
    client->figures.operations = client->open;
}

static void run_until_eof(struct client *client)
{
    bench_begin(&client->figures);
    start_connections(client);
    while (client->alive > 0)
        run_turn(client);
    bench_end(&client->figures);
    if (client->job.work == BENCH_BULK)
        client->figures.operations = client->figures.bytes;
}

int main(int argc, char **argv)
{
    struct client *client = calloc(1, sizeof *client);
    if (!client)
        bench_fail("calloc", errno);
    bench_job_read(argc, argv, &client->job);
    client->table_size = client->job.connections + FLOOR_OTHER_DESCRIPTORS;
    client->table = calloc(client->table_size, sizeof *client->table);
    client->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (!client->table || client->epoll_fd < 0)
        bench_fail("start", errno);
    client->now_ms = client->swept_ms = floor_clock_ms();
    switch (client->job.work) {
    case BENCH_STORM:
        run_storm(client);
        break;
    case BENCH_PINGPONG:
        run_pingpong(client);
        break;
    case BENCH_IDLE:
        run_idle(client);
        break;
    default:
        run_until_eof(client);
    }
    return bench_report(&client->figures);
}
