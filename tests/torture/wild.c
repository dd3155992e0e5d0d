/* SPDX-License-Identifier: MIT */
/* See wild.h. Blocking calls only: a client always ends, so a thread always ends too. */
#include "wild.h"

#include "secured.h"
#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PIECE = 65536 };

struct worker {
    struct wild_link link;
    struct wild *wild;
    struct chance chance;
    struct wild_plan plan;
    pthread_t thread;
    int fd;
    struct wire wire;
    bool send_failed; /* and has used up the error: the next read says 0 */
    size_t capacity;
    struct worker *next;
};

struct wild {
    int listener, stop, port;
    uint32_t network; /* the upper half of our clients' addresses */
    uint64_t seed;
    bool is_secure;
    size_t plain; /* bytes before TLS */
    struct wild_plan (*plan)(uint32_t key, void *user);
    void *user;
    pthread_t thread;
    struct worker *workers;
};

char wild_byte(uint32_t key, uint64_t offset)
{
    uint64_t mixed = (offset + key * UINT64_C(2654435761)) * UINT64_C(0x9e3779b97f4a7c15) >> 40;

    return mixed % 23 == 0 ? '\n' : (char) ('a' + mixed % 26);
}

void wild_address(uint32_t key, char text[16])
{
    snprintf(text, 16, "%u.%u.%u.%u", key >> 24, key >> 16 & 255, key >> 8 & 255, key & 255);
}

/* ---- what a connection's thread does; false: the connection has ended ---- */

static void keep(struct worker *worker, const char *bytes, size_t length)
{
    if (worker->link.length + length > worker->capacity) {
        worker->capacity = 2 * (worker->link.length + length);
        worker->link.received = realloc(worker->link.received, worker->capacity);
        CHECK(worker->link.received != NULL);
    }
    memcpy(worker->link.received + worker->link.length, bytes, length);
    worker->link.length += length;
}

static bool take(struct worker *worker, size_t most)
{
    char piece[PIECE];
    ssize_t got = wire_receive(&worker->wire, piece, most < PIECE ? most : PIECE, 0);

    if (got > 0)
        keep(worker, piece, (size_t) got);
    if (got <= 0) {
        worker->link.end = got == 0 && !worker->send_failed ? WILD_EOF : WILD_WAS_RESET;
        worker->link.reader = true;
    }
    return got > 0;
}

static void take_rest(struct worker *worker)
{
    while (take(worker, PIECE))
        continue;
}

static bool say(struct worker *worker, size_t length, int flags)
{
    char piece[PIECE];
    ssize_t sent = 0;

    while (length > 0) {
        size_t size = length < PIECE ? length : PIECE;
        for (size_t i = 0; i < size; i++)
            piece[i] = wild_byte(worker->link.key, worker->link.sent + i);
        sent = wire_send(&worker->wire, piece, size, MSG_NOSIGNAL | flags);
        if (sent < 0) {
            worker->send_failed |= errno != EAGAIN;
            return false;
        }
        worker->link.sent += (uint64_t) sent;
        length -= (size_t) sent;
    }
    return true;
}

static void rest(struct worker *worker, unsigned most_us)
{
    struct timespec time = {0, (long) chance_below(&worker->chance, most_us + 1) * 1000};

    nanosleep(&time, NULL);
}

static void finish(struct worker *worker)
{
    wire_finish(&worker->wire);
    worker->link.finished = shutdown(worker->fd, SHUT_WR) == 0;
}

static bool has_unread(const struct worker *worker)
{
    int bytes = 0;

    return ioctl(worker->fd, FIONREAD, &bytes) == 0 && bytes > 0;
}

static void leave(struct worker *worker, bool reset)
{
    const struct linger now = {1, 0};

    if (reset)
        setsockopt(worker->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    else if (!has_unread(worker)) /* else the close is a reset */
        wire_finish(&worker->wire);
    worker->link.end = WILD_LEFT;
    worker->link.finished = !reset;
}

static void wait_for_input(struct worker *worker)
{
    struct pollfd pollfd = {.fd = worker->fd, .events = POLLIN};

    poll(&pollfd, 1, 1000);
}

/* ---- manners ---- */

static bool act_randomly(struct worker *worker)
{
    struct chance *chance = &worker->chance;

    switch (chance_below(chance, 24)) {
    case 0:
        finish(worker);
        take_rest(worker);
        return false;
    case 1:
        leave(worker, true);
        return false;
    case 2:
        wait_for_input(worker);
        leave(worker, false);
        return false;
    case 3:
        rest(worker, 20000);
        return true;
    case 4:
    case 5:
        take_rest(worker);
        return false;
    case 6:
        say(worker, chance_size(chance, 3 << 20), MSG_DONTWAIT);
        return true;
    case 7:
    case 8:
    case 9:
        wait_for_input(worker);
        return take(worker, chance_size(chance, PIECE));
    case 10:
        rest(worker, 500);
        return true;
    default:
        return say(worker, chance_size(chance, 20000), 0) || (take_rest(worker), false);
    }
}

/* All that has come and has not gone back. */
static bool send_back(struct worker *worker)
{
    while (worker->link.sent < worker->link.length) {
        size_t from = worker->link.sent;
        ssize_t sent = wire_send(&worker->wire, worker->link.received + from,
                                 worker->link.length - from, MSG_NOSIGNAL);

        if (sent < 0)
            return false;
        worker->link.sent += (uint64_t) sent;
    }
    return true;
}

static void echo(struct worker *worker)
{
    bool going = true;

    while (going && take(worker, PIECE))
        going = send_back(worker);
    worker->send_failed = !going;
    if (!going)
        take_rest(worker);
}

static void read_slowly(struct worker *worker)
{
    rest(worker, 30000);
    while (take(worker, chance_size(&worker->chance, PIECE)))
        if (chance_one_in(&worker->chance, 50))
            rest(worker, 1000);
}

static void speak_urgently(struct worker *worker, size_t bytes)
{
    say(worker, bytes / 2, 0);
    wire_send(&worker->wire, "!", 1, MSG_NOSIGNAL | MSG_OOB); /* out of band: in no stream */
    say(worker, bytes - bytes / 2, 0);
}

/* What the client still sends is read and forgotten. */
static void shake_in_part(struct worker *worker, size_t bytes, enum wild_manner manner)
{
    char piece[4096];

    worker->link.whole = secured_shake_in_part(worker->fd, bytes % 2 != 0, bytes / 2);
    worker->link.end = WILD_WAS_RESET;
    if (manner == WILD_CUT_RESET) {
        leave(worker, true);
        return;
    }
    if (manner == WILD_CUT_FIN)
        worker->link.finished = shutdown(worker->fd, SHUT_WR) == 0;
    while (recv(worker->fd, piece, sizeof piece, 0) > 0)
        continue;
}

static void act(struct worker *worker)
{
    size_t bytes = worker->plan.bytes;

    switch (worker->plan.manner) {
    case WILD_RANDOM:
        while (act_randomly(worker))
            continue;
        break;
    case WILD_ECHO:
        echo(worker);
        break;
    case WILD_READER:
    case WILD_FIN_LATE:
        take_rest(worker);
        if (worker->plan.manner == WILD_FIN_LATE && say(worker, bytes, 0))
            finish(worker);
        break;
    case WILD_SLOW:
        read_slowly(worker);
        break;
    case WILD_SOURCE:
    case WILD_URGENT:
        if (worker->plan.manner == WILD_URGENT)
            speak_urgently(worker, bytes);
        else
            say(worker, bytes, 0);
        finish(worker);
        take_rest(worker);
        break;
    case WILD_CUT_FIN:
    case WILD_CUT_RESET:
    case WILD_CUT_SILENCE:
        shake_in_part(worker, bytes, worker->plan.manner);
        break;
    case WILD_RESET:
        say(worker, bytes, 0);
        leave(worker, true);
        break;
    case WILD_UNREAD:
        say(worker, bytes, 0);
        wait_for_input(worker);
        leave(worker, false);
        break;
    }
}

/* The bytes go back after the last of them has come: whoever has them back may begin. */
static bool echo_plain(struct worker *worker, size_t bytes)
{
    while (worker->link.length < bytes)
        if (!take(worker, bytes - worker->link.length))
            return false;
    return bytes == 0 || send_back(worker) || (take_rest(worker), false);
}

/* False: the connection has ended. */
static bool begin(struct worker *worker)
{
    const struct wild *wild = worker->wild;
    bool cuts = worker->plan.manner >= WILD_CUT_FIN;

    if (!echo_plain(worker, wild->plain))
        return false;
    if (wild->is_secure && !cuts)
        CHECK(wire_begin_tls(&worker->wire, secured_context()) == 0);
    if (wire_await_greeting(&worker->wire) == 0)
        return true;
    worker->link.end = WILD_WAS_RESET;
    return false;
}

static void *work(void *argument)
{
    struct worker *worker = argument;

    wire_open_as_built(&worker->wire, worker->fd);
    if (begin(worker))
        act(worker);
    if (worker->link.end == WILD_EOF) {
        wire_finish(&worker->wire);
        worker->link.finished = true;
    }
    wire_free(&worker->wire);
    close(worker->fd);
    return NULL;
}

/* ---- the listener's thread ---- */

static uint32_t key_of(int fd)
{
    struct sockaddr_in address = {0};
    socklen_t size = sizeof address;

    getsockname(fd, (struct sockaddr *) &address, &size);
    return ntohl(address.sin_addr.s_addr);
}

/* Other tests scan the ports of other addresses. */
static bool is_ours(const struct wild *wild, uint32_t key)
{
    return key == INADDR_LOOPBACK || key >> 16 == wild->network;
}

static void welcome(struct wild *wild, int fd)
{
    const struct timeval patience = {.tv_sec = 20};
    uint32_t key = key_of(fd);
    struct worker *worker;

    if (!is_ours(wild, key)) {
        close(fd);
        return;
    }
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    worker = calloc(1, sizeof *worker);
    CHECK(worker != NULL);
    worker->link.key = key;
    worker->wild = wild;
    worker->fd = fd;
    worker->chance.state = wild->seed ^ worker->link.key * UINT64_C(0x100000001b3);
    if (wild->plan != NULL)
        worker->plan = wild->plan(worker->link.key, wild->user);
    worker->next = wild->workers;
    wild->workers = worker;
    CHECK(pthread_create(&worker->thread, NULL, work, worker) == 0);
}

static void *listen_on(void *argument)
{
    struct wild *wild = argument;
    struct pollfd pollfds[] = {{.fd = wild->listener, .events = POLLIN},
                               {.fd = wild->stop, .events = POLLIN}};

    for (;;) {
        poll(pollfds, 2, -1);
        int fd = accept4(wild->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            welcome(wild, fd);
        else if (pollfds[1].revents != 0)
            return NULL;
    }
}

struct wild *wild_start(uint64_t seed, uint32_t first_key,
                        struct wild_plan (*plan)(uint32_t key, void *user), void *user)
{
    struct wild *wild = calloc(1, sizeof *wild);
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;

    CHECK(wild != NULL);
    *wild = (struct wild){.seed = seed, .network = first_key >> 16, .plan = plan, .user = user};
    wild->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    wild->stop = eventfd(0, EFD_CLOEXEC);
    CHECK(wild->listener >= 0 && wild->stop >= 0);
    setsockopt(wild->listener, SOL_SOCKET, SO_BINDTODEVICE, "lo", 2);
    CHECK(bind(wild->listener, (struct sockaddr *) &address, size) == 0);
    CHECK(listen(wild->listener, 1024) == 0);
    CHECK(getsockname(wild->listener, (struct sockaddr *) &address, &size) == 0);
    wild->port = ntohs(address.sin_port);
    CHECK(pthread_create(&wild->thread, NULL, listen_on, wild) == 0);
    return wild;
}

void wild_secure(struct wild *wild, size_t plain)
{
    CHECK(secured_context() != NULL);
    wild->is_secure = true;
    wild->plain = plain;
}

void wild_shrink(struct wild *wild)
{
    const int bytes = 4096;

    CHECK(setsockopt(wild->listener, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes) == 0);
}

int wild_port(const struct wild *wild)
{
    return wild->port;
}

void wild_join(struct wild *wild)
{
    CHECK(eventfd_write(wild->stop, 1) == 0);
    pthread_join(wild->thread, NULL);
    for (struct worker *worker = wild->workers; worker != NULL; worker = worker->next)
        pthread_join(worker->thread, NULL);
    close(wild->listener);
    close(wild->stop);
}

const struct wild_link *wild_find(const struct wild *wild, uint32_t key)
{
    for (struct worker *worker = wild->workers; worker != NULL; worker = worker->next)
        if (worker->link.key == key)
            return &worker->link;
    return NULL;
}

void wild_free(struct wild *wild)
{
    while (wild->workers != NULL) {
        struct worker *worker = wild->workers;

        wild->workers = worker->next;
        free(worker->link.received);
        free(worker);
    }
    free(wild);
}
