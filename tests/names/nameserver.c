/* SPDX-License-Identifier: MIT */
/*
 * The scripted name server: its sockets, its thread, and what a test asks of it. nameserver.h is
 * the manual.
 */
#include "internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    BATCH = 64,                /* datagrams that are read before others are looked at */
    QUEUE_BYTES = 8 * 1048576, /* of questions that wait in the kernel */
    ATTEMPTS = 100,            /* to find a port that is free for UDP and TCP */
};

uint64_t nameserver_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * 1000000000 + (uint64_t) now.tv_nsec;
}

/* ---- the thread ---- */

static void read_datagrams(struct nameserver *server)
{
    unsigned char bytes[1024];

    for (int i = 0; i < BATCH; i++) {
        struct whither whither = {.address_size = sizeof whither.address};
        ssize_t size = recvfrom(server->udp_fd, bytes, sizeof bytes, MSG_DONTWAIT,
                                (void *) &whither.address, &whither.address_size);
        if (size < 0)
            return;
        serve_question(server, bytes, (size_t) size, &whither);
    }
}

/* Milliseconds until the next late answer, rounded up; -1: there is none. */
static int time_left(const struct nameserver *server)
{
    uint64_t due_ns = late_due_ns(&server->late), now_ns = nameserver_now_ns();

    if (due_ns == UINT64_MAX)
        return -1;
    return due_ns <= now_ns ? 0 : (int) ((due_ns - now_ns + 999999) / 1000000);
}

/* False: the thread shall end. */
static bool serve_event(struct nameserver *server, void *whose)
{
    if (whose == &server->wake_fd)
        return false;
    if (whose == &server->udp_fd)
        read_datagrams(server);
    else if (whose == &server->tcp_fd)
        clients_accept(server);
    else
        client_read(server, whose);
    return true;
}

static void *run(void *argument)
{
    struct nameserver *server = argument;
    struct epoll_event events[BATCH];
    bool going = true;

    while (going) {
        int count = epoll_wait(server->epoll_fd, events, BATCH, time_left(server));
        pthread_mutex_lock(&server->awake);
        for (int i = 0; i < count && going; i++)
            going = serve_event(server, events[i].data.ptr);
        serve_late(server);
        clients_close(server, false);
        pthread_mutex_unlock(&server->awake);
    }
    return NULL;
}

/* ---- sockets ---- */

struct place {
    struct sockaddr_storage address;
    socklen_t size;
};

static in_port_t *port_of(struct place *place)
{
    if (place->address.ss_family == AF_INET)
        return &((struct sockaddr_in *) (void *) &place->address)->sin_port;
    return &((struct sockaddr_in6 *) (void *) &place->address)->sin6_port;
}

static bool read_place(const char *text, unsigned port, struct place *ret)
{
    struct sockaddr_in *four = (void *) &ret->address;
    struct sockaddr_in6 *six = (void *) &ret->address;

    memset(ret, 0, sizeof *ret);
    if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
        ret->address.ss_family = AF_INET;
        ret->size = sizeof *four;
    } else if (inet_pton(AF_INET6, text, &six->sin6_addr) == 1) {
        ret->address.ss_family = AF_INET6;
        ret->size = sizeof *six;
    } else {
        return false;
    }
    *port_of(ret) = htons((uint16_t) (port == NAMESERVER_ANY_PORT ? 0 : port));
    return true;
}

/* A socket that is bound there; -1: it cannot be. */
static int open_bound(int type, const struct place *place)
{
    int fd = socket(place->address.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1, size = QUEUE_BYTES;

    if (fd < 0)
        return -1;
    if (type == SOCK_STREAM)
        (void) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    else if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0)
        (void) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    if (bind(fd, (const void *) &place->address, place->size) == 0)
        return fd;
    close(fd);
    return -1;
}

/* A socket that sends from another address of the same port; where there is no such address, from
   another port. */
static int open_other(struct place place)
{
    struct place other = place;
    struct sockaddr_in *four = (void *) &other.address;

    if (place.address.ss_family == AF_INET)
        four->sin_addr.s_addr = htonl(ntohl(four->sin_addr.s_addr) + 100);
    int fd = open_bound(SOCK_DGRAM, &other);
    if (fd >= 0)
        return fd;
    *port_of(&place) = 0;
    return open_bound(SOCK_DGRAM, &place);
}

static void close_sockets(struct nameserver *server)
{
    int *fds[] = {&server->udp_fd, &server->other_fd, &server->tcp_fd};

    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) {
        if (*fds[i] >= 0)
            close(*fds[i]);
        *fds[i] = -1;
    }
}

/* Opens all sockets on one port, which *place then has. Without TCP its port is held all the
   same, so that nobody else answers there. */
static bool open_sockets(struct nameserver *server, struct place *place, bool with_tcp)
{
    server->udp_fd = open_bound(SOCK_DGRAM, place);
    if (server->udp_fd < 0)
        return false;
    (void) getsockname(server->udp_fd, (void *) &place->address, &place->size);
    server->other_fd = open_other(*place);
    server->tcp_fd = open_bound(SOCK_STREAM, place);
    bool good = server->other_fd >= 0 && server->tcp_fd >= 0 &&
                (!with_tcp || listen(server->tcp_fd, 511) == 0);
    if (!good) {
        int error = errno;
        close_sockets(server);
        errno = error;
    }
    return good;
}

/* A port that the kernel chooses for UDP may be in use for TCP: others are tried. */
static bool open_place(struct nameserver *server, struct place *place, bool with_tcp)
{
    bool chosen = *port_of(place) != 0;

    for (int attempt = 0; attempt < (chosen ? 1 : ATTEMPTS); attempt++) {
        if (!chosen)
            *port_of(place) = 0;
        if (open_sockets(server, place, with_tcp))
            return true;
    }
    return false;
}

static bool watch(struct nameserver *server, int *fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = fd};

    return *fd < 0 || epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, *fd, &event) == 0;
}

/* ---- start and stop ---- */

static void release(struct nameserver *server)
{
    clients_close(server, true);
    close_sockets(server);
    if (server->epoll_fd >= 0)
        close(server->epoll_fd);
    if (server->wake_fd >= 0)
        close(server->wake_fd);
    late_free(&server->late);
    log_clear(&server->log);
    pthread_mutex_destroy(&server->lock);
    pthread_mutex_destroy(&server->awake);
    free(server);
}

static bool start_thread(struct nameserver *server)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool good = pthread_create(&server->thread, NULL, run, server) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return good;
}

static struct nameserver *create(unsigned number)
{
    struct nameserver *server = calloc(1, sizeof *server);

    if (server == NULL)
        return NULL;
    pthread_mutex_init(&server->lock, NULL);
    pthread_mutex_init(&server->awake, NULL);
    server->number = number == 0 ? 1 : number;
    server->seed = (unsigned) nameserver_now_ns();
    server->udp_fd = server->other_fd = server->tcp_fd = -1;
    server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    server->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return server;
}

static bool begin(struct nameserver *server, const struct nameserver_options *options)
{
    const char *address = options->address == NULL ? "127.0.0.1" : options->address;
    struct place place;

    errno = EINVAL;
    if (!read_place(address, options->port == 0 ? 53 : options->port, &place))
        return false;
    if (!open_place(server, &place, options->no_tcp == 0))
        return false;
    server->port = ntohs(*port_of(&place));
    return watch(server, &server->wake_fd) && watch(server, &server->udp_fd) &&
           (options->no_tcp != 0 || watch(server, &server->tcp_fd)) && start_thread(server);
}

struct nameserver *nameserver_start(const struct nameserver_options *options)
{
    static const struct nameserver_options defaults = {.address = NULL};
    const struct nameserver_options *given = options == NULL ? &defaults : options;
    struct nameserver *server = create(given->number);

    if (server != NULL && begin(server, given))
        return server;
    if (given->message != NULL)
        (void) snprintf(given->message, given->message_size, "the name server at %s: %s",
                        given->address == NULL ? "127.0.0.1" : given->address, strerror(errno));
    if (server != NULL)
        release(server);
    return NULL;
}

void nameserver_stop(struct nameserver *server)
{
    uint64_t one = 1;

    if (server == NULL)
        return;
    if (write(server->wake_fd, &one, sizeof one) == (ssize_t) sizeof one)
        pthread_join(server->thread, NULL);
    release(server);
}

unsigned nameserver_port(const struct nameserver *server)
{
    return server->port;
}

pid_t nameserver_fork(struct nameserver *server)
{
    pthread_mutex_lock(&server->awake);
    pid_t child = fork();
    pthread_mutex_unlock(&server->awake);
    return child;
}

/* ---- the log ---- */

size_t nameserver_count(struct nameserver *server, const char *name, unsigned type)
{
    pthread_mutex_lock(&server->lock);
    size_t count = log_count(&server->log, name, type);
    pthread_mutex_unlock(&server->lock);
    return count;
}

bool nameserver_asked(struct nameserver *server, size_t number, struct nameserver_asked *ret)
{
    pthread_mutex_lock(&server->lock);
    bool there = number < server->log.count;
    if (there)
        *ret = server->log.entries[number];
    pthread_mutex_unlock(&server->lock);
    return there;
}

void nameserver_forget(struct nameserver *server)
{
    pthread_mutex_lock(&server->lock);
    log_clear(&server->log);
    pthread_mutex_unlock(&server->lock);
}
