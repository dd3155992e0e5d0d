/* SPDX-License-Identifier: MIT */
/*
 * The practice peer, inside its own process: an echo or other simple server on 32 addresses of the
 * loopback net, so that a script can be tried without a server. One thread, edge-triggered epoll;
 * what it does with a connection is a table of functions, one for each mode.
 *
 *   input   is called with what has been read, at most PEER_READ_SIZE bytes
 *   start   is called once, when a connection has been accepted
 *   refill  is called whenever all output is sent; it may queue more
 *
 * All of them may be NULL. At the client's FIN the rest of the output is sent, then it is closed.
 */
#ifndef TCPMULTI_PEER_H
#define TCPMULTI_PEER_H

#include <stdbool.h>
#include <stddef.h>

#define PEER_READ_SIZE 65536
#define PEER_ADDRESSES 32

struct peer_connection {
    int fd;
    bool readable, writable; /* as far as we know: until the kernel says EAGAIN */
    bool hung_up;            /* the client's FIN or reset has been announced */
    bool ended;              /* it has been read: close when all output is sent */
    bool finished, fin_sent; /* the mode has nothing more to say; the client has been told */
    bool listed;             /* in the list of those that have work left */
    struct peer_connection *next;
    char *output; /* what could not be sent at once, from sent to length */
    size_t sent, length, size;
    char *head; /* http: the request so far */
    size_t head_length;
};

struct peer_mode {
    const char *name;
    void (*start)(struct peer_connection *connection, const char *text);
    void (*input)(struct peer_connection *connection, const char *bytes, size_t length);
    void (*refill)(struct peer_connection *connection);
};

/* The mode that "echo" or "banner=TEXT" names, and its text; NULL: there is none. */
const struct peer_mode *tcpm__peer_mode_find(const char *mode, const char **text);

/* Sends bytes, keeping what does not fit. Out of memory ends the connection. */
void tcpm__peer_send(struct peer_connection *connection, const char *bytes, size_t length);

/* Listens on all addresses, at one port: 0, or a negative errno. */
int tcpm__peer_listen(int listeners[PEER_ADDRESSES], int *port);

/* Serves until life ends; does not return. */
void tcpm__peer_serve(const int listeners[PEER_ADDRESSES], int life, const struct peer_mode *mode,
                      const char *text);

#endif
