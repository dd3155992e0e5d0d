/* SPDX-License-Identifier: MIT */
/*
 * The practice peer's server: 32 listening sockets and all their connections on a libuv loop of its
 * own, called by peer.c in the child process. Each socket is polled; a connection reads and sends
 * until the kernel has no more for it or until it has had its share of a turn.
 *
 * While output waits, a connection is polled for room only and is not read: TCP's own window then
 * holds the client back.
 */
#include "peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "assert.h"

enum {
    READ_SIZE = 65536,
    BACKLOG = 65535, /* connections that wait to be accepted; the kernel may allow fewer */
    SHARE = 8,       /* reads, or blocks of refill, of one connection in one turn of the loop */
    PAUSE_MS = 10,   /* time without accept() after descriptors or memory were used up */
    PORT_TRIES = 100,
};

struct tcpm__peer_server {
    uv_loop_t loop;
    uv_poll_t life;
    uv_poll_t listeners[TCPM__PEER_ADDRESSES];
    uv_timer_t pause; /* active while no connection is accepted */
    const struct tcpm__peer_mode *mode;
    const char *text;
    char bytes[READ_SIZE]; /* read buffer of all connections */
};

/* ---- listening ---- */

static int open_listener(int index, int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t) port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

    if (fd < 0)
        return -errno;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + (uint32_t) index);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *) &address, sizeof address) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int error = errno;
    close(fd);
    return -error;
}

static int bound_port(int fd)
{
    struct sockaddr_in address;
    socklen_t size = sizeof address;

    if (getsockname(fd, (struct sockaddr *) &address, &size) != 0)
        return -errno;
    return ntohs(address.sin_port);
}

/* Fails where the port that is free on the first address is taken on another. */
static int listen_once(int listeners[TCPM__PEER_ADDRESSES], int *port)
{
    int opened, result = 0;

    *port = 0;
    for (opened = 0; opened < TCPM__PEER_ADDRESSES && result >= 0; opened++) {
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

int tcpm__peer_listen(int listeners[TCPM__PEER_ADDRESSES], int *port)
{
    int result = -EADDRINUSE;

    for (int i = 0; i < PORT_TRIES && result == -EADDRINUSE; i++)
        result = listen_once(listeners, port);
    return result;
}

/* ---- sending ---- */

static bool has_output(const struct tcpm__peer_connection *connection)
{
    return connection->sent != connection->length;
}

/* Returns the bytes sent. -1: the connection is lost. peer.c ignores SIGPIPE. */
static ssize_t send_some(const struct tcpm__peer_connection *connection, const char *bytes,
                         size_t length)
{
    ssize_t sent;

    do {
        sent = send(connection->fd, bytes, length, 0);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 && errno == EAGAIN ? 0 : sent;
}

static void drop_output(struct tcpm__peer_connection *connection)
{
    connection->sent = connection->length = 0;
    connection->ended = true;
}

static void keep_output(struct tcpm__peer_connection *connection, const char *bytes, size_t length)
{
    size_t size = connection->length + length;

    TCPM__LUA_ASSERT(connection->sent <= connection->length);
    TCPM__LUA_ASSERT(connection->length <= connection->size);
    if (size > connection->size) {
        size += size / 2;
        char *output = realloc(connection->output, size);
        if (output == NULL) {
            drop_output(connection);
            return;
        }
        connection->output = output;
        connection->size = size;
    }
    memcpy(connection->output + connection->length, bytes, length);
    connection->length += length;
}

void tcpm__peer_send(struct tcpm__peer_connection *connection, const char *bytes, size_t length)
{
    ssize_t sent = has_output(connection) ? 0 : send_some(connection, bytes, length);

    if (sent < 0)
        drop_output(connection);
    else if ((size_t) sent < length)
        keep_output(connection, bytes + sent, length - (size_t) sent);
}

static void flush_output(struct tcpm__peer_connection *connection)
{
    if (!has_output(connection))
        return;
    ssize_t sent = send_some(connection, connection->output + connection->sent,
                             connection->length - connection->sent);
    if (sent < 0) {
        drop_output(connection);
        return;
    }
    connection->sent += (size_t) sent;
    TCPM__LUA_ASSERT(connection->sent <= connection->length);
    if (!has_output(connection)) {
        free(connection->output);
        connection->output = NULL;
        connection->sent = connection->length = connection->size = 0;
    }
}

/* Sends our FIN, once the mode has finished and all output is sent. What the client still sends is
   read and thrown away: closing a socket with unread bytes would send a reset. */
static void finish_output(struct tcpm__peer_connection *connection)
{
    if (!connection->finished || connection->fin_sent || has_output(connection))
        return;
    shutdown(connection->fd, SHUT_WR);
    connection->fin_sent = true;
}

/* ---- one connection ---- */

/* Returns true if the read has filled the buffer: there may be more. */
static bool read_input(struct tcpm__peer_connection *connection)
{
    struct tcpm__peer_server *server = connection->server;
    ssize_t length = recv(connection->fd, server->bytes, READ_SIZE, 0);

    if (length > 0) {
        if (server->mode->input != NULL && !connection->finished)
            server->mode->input(connection, server->bytes, (size_t) length);
        return length == READ_SIZE;
    }
    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (length < 0)
        drop_output(connection);
    connection->ended = true;
    return false;
}

/* One step of work. Returns true if the next step needs no new event. */
static bool serve_once(struct tcpm__peer_connection *connection, bool *readable)
{
    void (*refill)(struct tcpm__peer_connection *) = connection->server->mode->refill;

    flush_output(connection);
    if (has_output(connection) || connection->ended)
        return false;
    if (*readable)
        *readable = read_input(connection);
    if (refill != NULL && !connection->ended && !has_output(connection))
        refill(connection);
    finish_output(connection);
    return !has_output(connection) && (*readable || refill != NULL);
}

static void on_closed(uv_handle_t *handle)
{
    struct tcpm__peer_connection *connection = handle->data;

    free(connection->output);
    free(connection->head);
    free(connection);
}

static void close_connection(struct tcpm__peer_connection *connection)
{
    uv_close((uv_handle_t *) &connection->poll, on_closed);
    close(connection->fd);
}

static void on_connection_event(uv_poll_t *poll, int status, int events);

/* Polls for the events that the connection waits for now. */
static void poll_connection(struct tcpm__peer_connection *connection)
{
    int events = UV_WRITABLE;

    if (!has_output(connection))
        events = connection->server->mode->refill != NULL ? UV_READABLE | UV_WRITABLE : UV_READABLE;
    if (events == connection->events)
        return;
    connection->events = events;
    uv_poll_start(&connection->poll, events, on_connection_event);
}

/* One share of work. readable: a read may find bytes or the end. */
static void serve_connection(struct tcpm__peer_connection *connection, bool readable)
{
    for (int i = 0; i < SHARE && serve_once(connection, &readable); i++)
        continue;
    if (connection->ended && !has_output(connection))
        close_connection(connection);
    else
        poll_connection(connection);
}

/* A negative status is a reset. */
static void on_connection_event(uv_poll_t *poll, int status, int events)
{
    if (status < 0)
        close_connection(poll->data);
    else
        serve_connection(poll->data, (events & UV_READABLE) != 0);
}

/* ---- accepting ---- */

static void add_connection(struct tcpm__peer_server *server, int fd)
{
    struct tcpm__peer_connection *connection = calloc(1, sizeof *connection);
    int one = 1;

    if (connection == NULL || uv_poll_init(&server->loop, &connection->poll, fd) != 0) {
        free(connection);
        close(fd);
        return;
    }
    connection->poll.data = connection;
    connection->server = server;
    connection->fd = fd;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (server->mode->start != NULL)
        server->mode->start(connection, server->text);
    serve_connection(connection, false);
}

static void start_listeners(struct tcpm__peer_server *server);

static void on_pause_over(uv_timer_t *pause)
{
    start_listeners(pause->data);
}

/* Stops accepting for a while, as no descriptor is left: every turn of the loop would find the same
   connection waiting. */
static void pause_listeners(struct tcpm__peer_server *server)
{
    for (int i = 0; i < TCPM__PEER_ADDRESSES; i++)
        uv_poll_stop(&server->listeners[i]);
    uv_timer_start(&server->pause, on_pause_over, PAUSE_MS, 0);
}

/* Accepts until the kernel has no more. uv_poll_init makes the new socket non-blocking. */
static void on_listener_event(uv_poll_t *listener, int status, int events)
{
    struct tcpm__peer_server *server = listener->data;
    uv_os_fd_t fd;

    (void) status;
    (void) events;
    uv_fileno((uv_handle_t *) listener, &fd);
    for (;;) {
        int accepted = accept(fd, NULL, NULL);

        if (accepted >= 0) {
            add_connection(server, accepted);
        } else if (errno == EAGAIN) {
            return;
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            pause_listeners(server);
            return;
        }
    }
}

static void start_listeners(struct tcpm__peer_server *server)
{
    for (int i = 0; i < TCPM__PEER_ADDRESSES; i++)
        uv_poll_start(&server->listeners[i], UV_READABLE, on_listener_event);
}

/* ---- the server ---- */

/* The script's process has ended. */
static void on_life_event(uv_poll_t *life, int status, int events)
{
    (void) life;
    (void) status;
    (void) events;
    _exit(0);
}

static int init_polls(struct tcpm__peer_server *server, const int listeners[TCPM__PEER_ADDRESSES],
                      int life)
{
    int result = uv_poll_init(&server->loop, &server->life, life);

    for (int i = 0; i < TCPM__PEER_ADDRESSES && result == 0; i++) {
        result = uv_poll_init(&server->loop, &server->listeners[i], listeners[i]);
        server->listeners[i].data = server;
    }
    return result;
}

void tcpm__peer_serve(const int listeners[TCPM__PEER_ADDRESSES], int life,
                      const struct tcpm__peer_mode *mode, const char *text)
{
    struct tcpm__peer_server *server = calloc(1, sizeof *server);

    if (server == NULL || uv_loop_init(&server->loop) != 0 ||
        init_polls(server, listeners, life) != 0)
        _exit(1);
    server->mode = mode;
    server->text = text;
    uv_timer_init(&server->loop, &server->pause);
    server->pause.data = server;
    uv_poll_start(&server->life, UV_READABLE | UV_DISCONNECT, on_life_event);
    start_listeners(server);
    uv_run(&server->loop, UV_RUN_DEFAULT);
    _exit(1);
}
