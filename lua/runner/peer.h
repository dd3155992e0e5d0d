/* SPDX-License-Identifier: MIT */
/*
 * The practice peer, inside its own process: an echo or other simple server on 32 addresses of the
 * loopback net, so that a script can be tried without a server. peer.c forks the process and calls
 * the server (peer_server.c); the server calls the functions of a mode (peer_modes.c), which send
 * by tcpm__peer_send.
 *
 * When the client ends its output, the rest of ours is sent and the connection is closed.
 */
#ifndef TCPMULTI_PEER_H
#define TCPMULTI_PEER_H

#include <stdbool.h>
#include <stddef.h>

#include <uv.h>

enum { TCPM__PEER_ADDRESSES = 32 };

struct tcpm__peer_connection {
    uv_poll_t poll;
    struct tcpm__peer_server *server;
    int fd;
    int events;    /* UV_READABLE, UV_WRITABLE: the events that poll waits for */
    bool ended;    /* the client's FIN or a reset has been read: close when all output is sent */
    bool finished; /* the mode has nothing more to say */
    bool fin_sent;
    char *output; /* bytes that the kernel has not taken: from index sent to index length */
    size_t sent, length, size;
    char *head; /* http: the request so far; NUL-terminated */
    size_t head_length;
};

/* The functions of a mode; each may be NULL. */
struct tcpm__peer_mode {
    const char *name;
    /* Called once, when a connection has been accepted. text: the part of the mode behind "=". */
    void (*start)(struct tcpm__peer_connection *connection, const char *text);
    /* Called with the bytes that one read has brought. */
    void (*input)(struct tcpm__peer_connection *connection, const char *bytes, size_t length);
    /* Called whenever all output is sent; may send more. */
    void (*refill)(struct tcpm__peer_connection *connection);
};

/* Finds the mode that "echo" or "banner=TEXT" names, and its text. NULL: there is no such mode. */
const struct tcpm__peer_mode *tcpm__peer_mode_find(const char *mode, const char **text);

/* Sends bytes; bytes that the kernel does not take are kept. Out of memory ends the connection. */
void tcpm__peer_send(struct tcpm__peer_connection *connection, const char *bytes, size_t length);

/* Listens on all addresses, at one port. Returns 0 or a negative errno. */
int tcpm__peer_listen(int listeners[TCPM__PEER_ADDRESSES], int *port);

/* Serves until the other end of the socket life is closed, then ends the process. */
_Noreturn void tcpm__peer_serve(const int listeners[TCPM__PEER_ADDRESSES], int life,
                                const struct tcpm__peer_mode *mode, const char *text);

#endif
