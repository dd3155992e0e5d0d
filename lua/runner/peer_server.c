/* SPDX-License-Identifier: MIT */
/*
 * The practice peer's server: 32 listening sockets and all their connections in one edge-triggered
 * epoll set. A connection is worked on until the kernel says EAGAIN or it has had its share of a
 * turn; then it waits in a list, so that one that never ends does not keep the others waiting.
 */
#include "peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define SHARE  8   /* reads, or blocks of refill, of one connection in one turn */
#define EVENTS 512 /* of one turn */

struct peer_server {
    const struct peer_mode *mode;
    const char *text;
    int epoll;
    struct peer_connection *work; /* those that had their share and are not done */
    bool accept_later;            /* accept failed for want of descriptors or memory */
    int listeners[PEER_ADDRESSES];
    char bytes[PEER_READ_SIZE];
};

/* What an event belongs to: a connection's address, or the small numbers below. */
enum { EVENT_LIFE = PEER_ADDRESSES, EVENT_NUMBERS };

static int open_listener(int index, int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t) port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1, error;

    if (fd < 0)
        return -errno;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + (uint32_t) index);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, (struct sockaddr *) &address, sizeof(address)) == 0 && listen(fd, 65535) == 0)
        return fd;
    error = errno;
    close(fd);
    return -error;
}

static int bound_port(int fd)
{
    struct sockaddr_in address;
    socklen_t size = sizeof(address);

    if (getsockname(fd, (struct sockaddr *) &address, &size) != 0)
        return -errno;
    return ntohs(address.sin_port);
}

/* A port that is free on the first address may be taken on another: then the caller tries again. */
static int listen_once(int listeners[PEER_ADDRESSES], int *port)
{
    int opened, result = 0;

    *port = 0;
    for (opened = 0; opened < PEER_ADDRESSES && result >= 0; opened++) {
        result = listeners[opened] = open_listener(opened, *port);
        if (result >= 0 && opened == 0)
            result = *port = bound_port(listeners[0]);
    }
    if (result >= 0)
        return 0;
    while (opened-- > 0)
        if (listeners[opened] >= 0)
            close(listeners[opened]);
    return result;
}

int tcpm__peer_listen(int listeners[PEER_ADDRESSES], int *port)
{
    int result = -EADDRINUSE;

    for (int i = 0; i < 100 && result == -EADDRINUSE; i++)
        result = listen_once(listeners, port);
    return result;
}

static void close_connection(struct peer_connection *connection)
{
    close(connection->fd);
    free(connection->output);
    free(connection->head);
    free(connection);
}

/* Sends what it can; what is sent, or -1: the connection is lost. */
static ssize_t send_some(struct peer_connection *connection, const char *bytes, size_t length)
{
    ssize_t sent;

    do {
        sent = send(connection->fd, bytes, length, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent >= 0 && (size_t) sent == length)
        return sent;
    if (sent < 0 && errno != EAGAIN)
        return -1;
    connection->writable = false;
    return sent < 0 ? 0 : sent;
}

static void drop_output(struct peer_connection *connection)
{
    connection->sent = connection->length = 0;
    connection->readable = false;
    connection->ended = true;
}

static void keep_output(struct peer_connection *connection, const char *bytes, size_t length)
{
    size_t size = connection->length + length;
    char *output = connection->output;

    if (size > connection->size) {
        size += size / 2;
        output = realloc(output, size);
        if (output == NULL) {
            drop_output(connection);
            return;
        }
        connection->output = output;
        connection->size = size;
    }
    memcpy(output + connection->length, bytes, length);
    connection->length += length;
}

void tcpm__peer_send(struct peer_connection *connection, const char *bytes, size_t length)
{
    ssize_t sent = 0;

    if (connection->sent == connection->length && connection->writable)
        sent = send_some(connection, bytes, length);
    if (sent < 0)
        drop_output(connection);
    else if ((size_t) sent < length)
        keep_output(connection, bytes + sent, length - (size_t) sent);
}

static void flush_output(struct peer_connection *connection)
{
    ssize_t sent;

    if (connection->sent == connection->length || !connection->writable)
        return;
    sent = send_some(connection, connection->output + connection->sent,
                     connection->length - connection->sent);
    if (sent < 0) {
        drop_output(connection);
        return;
    }
    connection->sent += (size_t) sent;
    if (connection->sent == connection->length) {
        free(connection->output);
        connection->output = NULL;
        connection->sent = connection->length = connection->size = 0;
    }
}

static void read_input(struct peer_server *server, struct peer_connection *connection)
{
    ssize_t length = recv(connection->fd, server->bytes, sizeof(server->bytes), 0);

    if (length > 0) {
        /* A short read has emptied it: what comes now is a new event, unless the end is there. */
        if (length < PEER_READ_SIZE && !connection->hung_up)
            connection->readable = false;
        if (server->mode->input != NULL && !connection->finished)
            server->mode->input(connection, server->bytes, (size_t) length);
    } else if (length < 0 && errno == EAGAIN)
        connection->readable = false;
    else if (length == 0 || errno != EINTR) {
        connection->readable = false;
        connection->ended = true;
        if (length < 0)
            drop_output(connection);
    }
}

/* Our FIN; what the client still sends is read and thrown away, or the kernel would send a reset.
 */
static void finish_output(struct peer_connection *connection)
{
    if (!connection->finished || connection->fin_sent || connection->sent != connection->length)
        return;
    shutdown(connection->fd, SHUT_WR);
    connection->fin_sent = true;
}

/* Whether there is something to do that needs no new event. */
static bool can_go_on(const struct peer_server *server, const struct peer_connection *connection)
{
    bool all_sent = connection->sent == connection->length;

    if (connection->ended)
        return !all_sent && connection->writable;
    if (!all_sent)
        return connection->writable;
    return connection->readable || (server->mode->refill != NULL && connection->writable);
}

/* One share of work. Nothing is read while output waits: the client is held by TCP's own window. */
static void serve_connection(struct peer_server *server, struct peer_connection *connection)
{
    for (int i = 0; i < SHARE && can_go_on(server, connection); i++) {
        flush_output(connection);
        finish_output(connection);
        if (connection->sent != connection->length || connection->ended)
            continue;
        if (connection->readable)
            read_input(server, connection);
        if (server->mode->refill != NULL && !connection->ended && connection->writable)
            server->mode->refill(connection);
        finish_output(connection);
    }
    if (connection->ended && connection->sent == connection->length)
        close_connection(connection);
    else if (can_go_on(server, connection)) {
        connection->listed = true;
        connection->next = server->work;
        server->work = connection;
    }
}

static void add_connection(struct peer_server *server, int fd)
{
    struct peer_connection *connection = calloc(1, sizeof(*connection));
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                .data.ptr = connection};
    int one = 1;

    if (connection == NULL) {
        close(fd);
        return;
    }
    connection->fd = fd;
    connection->writable = true;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (server->mode->start != NULL)
        server->mode->start(connection, server->text);
    if (epoll_ctl(server->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        close_connection(connection);
}

static void accept_connections(struct peer_server *server, int listener)
{
    int fd;

    for (;;) {
        fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0)
            add_connection(server, fd);
        else if (errno == EAGAIN)
            return;
        else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            server->accept_later = true;
            return;
        }
    }
}

static void accept_again(struct peer_server *server)
{
    server->accept_later = false;
    for (int i = 0; i < PEER_ADDRESSES; i++)
        accept_connections(server, server->listeners[i]);
}

static void serve_list(struct peer_server *server)
{
    struct peer_connection *connection = server->work, *next;

    server->work = NULL;
    for (; connection != NULL; connection = next) {
        next = connection->next;
        connection->listed = false;
        serve_connection(server, connection);
    }
}

static void take_event(struct peer_server *server, const struct epoll_event *event)
{
    struct peer_connection *connection = event->data.ptr;

    if (event->data.u64 == EVENT_LIFE)
        _exit(0);
    if (event->data.u64 < PEER_ADDRESSES) {
        accept_connections(server, server->listeners[event->data.u64]);
        return;
    }
    if (event->events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        connection->readable = true;
    if (event->events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
        connection->writable = true;
    if (event->events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        connection->hung_up = true;
    if (!connection->listed)
        serve_connection(server, connection);
}

static int watch_descriptor(struct peer_server *server, int fd, uint64_t number)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = number};

    if (number < PEER_ADDRESSES)
        event.events |= EPOLLET;
    return epoll_ctl(server->epoll, EPOLL_CTL_ADD, fd, &event);
}

static struct peer_server *open_server(const int listeners[PEER_ADDRESSES], int life)
{
    struct peer_server *server = calloc(1, sizeof(*server));

    if (server == NULL)
        return NULL;
    server->epoll = epoll_create1(EPOLL_CLOEXEC);
    memcpy(server->listeners, listeners, sizeof(server->listeners));
    if (watch_descriptor(server, life, EVENT_LIFE) != 0)
        return NULL;
    for (uint64_t i = 0; i < PEER_ADDRESSES; i++)
        if (watch_descriptor(server, listeners[i], i) != 0)
            return NULL;
    return server;
}

void tcpm__peer_serve(const int listeners[PEER_ADDRESSES], int life, const struct peer_mode *mode,
                      const char *text)
{
    struct epoll_event events[EVENTS];
    struct peer_server *server = open_server(listeners, life);
    int count;

    if (server == NULL)
        _exit(1);
    server->mode = mode;
    server->text = text;
    for (;;) {
        /* Without descriptors no event tells when accept would work again. */
        count = epoll_wait(server->epoll, events, EVENTS,
                           server->work != NULL   ? 0
                           : server->accept_later ? 10
                                                  : -1);
        for (int i = 0; i < count; i++)
            take_event(server, &events[i]);
        serve_list(server);
        if (server->accept_later)
            accept_again(server);
    }
}
