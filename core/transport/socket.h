/*
 * One TCP socket: connect, read, send, close. libuv connects and reads; sending is a plain
 * send(MSG_NOSIGNAL), and only while the kernel's buffer is full a watch waits for room. A socket
 * is given up at once by its owner; its memory goes when libuv lets go of the handle.
 */
#ifndef TCPM_TRANSPORT_SOCKET_H
#define TCPM_TRANSPORT_SOCKET_H

#include "transport/network.h"

#include <netinet/in.h>
#include <sys/types.h>

union tcpm__address {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
};

struct tcpm__socket {
    uv_tcp_t tcp; /* data: the owner; once closed: the next one to close */
    struct tcpm__network *network;
    uint32_t read_in_turn; /* bytes read in this turn */
    uint16_t turn;         /* which turn that was */
    bool drained : 1;      /* the last read was short */
    bool held : 1;         /* reading rests: the owner wants no more for now */
    bool stopped : 1;      /* and libuv has been told */
};

/* Results: 0 or -errno; what the kernel finds later comes through connected. */
int tcpm__socket_open(struct tcpm__network *network, int family, void *owner,
                      struct tcpm__socket **socket);
int tcpm__socket_bind(struct tcpm__socket *socket, const union tcpm__address *address);
int tcpm__socket_connect(struct tcpm__socket *socket, const union tcpm__address *address);

int tcpm__socket_fd(const struct tcpm__socket *socket);

/* Bytes sent; 0: the kernel takes no more for now; negative: -errno. */
ssize_t tcpm__socket_send(struct tcpm__socket *socket, const void *bytes, size_t length);

/* One read past libuv into the read buffer: bytes read; 0: the peer's FIN; -EAGAIN;
   -EBUSY: it has read enough in this turn; or -errno. */
ssize_t tcpm__socket_read(struct tcpm__socket *socket);

/* Whether the last read, in this turn, has left nothing. */
bool tcpm__socket_is_drained(const struct tcpm__socket *socket);

/* Holds reading, or goes on with it. Cheap: libuv is told only when something arrives meanwhile. */
void tcpm__socket_hold(struct tcpm__socket *socket, bool hold);

/* Whether the kernel has something for us that the loop has not handed out yet. */
bool tcpm__socket_has_news(const struct tcpm__socket *socket, bool connecting);

/* Bytes sent that the peer's kernel has not acknowledged, a FIN of ours counts as one. */
int tcpm__socket_unacknowledged(const struct tcpm__socket *socket);

void tcpm__socket_finish(struct tcpm__socket *socket); /* sends FIN; reading goes on */

/* Gives the socket up: the owner hears no more of it. With reset the peer gets RST. */
void tcpm__socket_close(struct tcpm__socket *socket, bool reset);

/* ---- waiting for room in the kernel's buffer ---- */
struct tcpm__watch;

/* Watches a duplicate of the descriptor, since libuv has its own watcher on it. 0 or -errno. */
int tcpm__watch_open(struct tcpm__socket *socket, void *owner, struct tcpm__watch **watch);
void tcpm__watch_close(struct tcpm__watch *watch); /* NULL is fine */

/* ---- once the loop has handed out its events ---- */
void tcpm__socket_close_waiting(struct tcpm__network *network);
void tcpm__watch_close_waiting(struct tcpm__network *network);

#endif
