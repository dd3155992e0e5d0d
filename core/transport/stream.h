/* SPDX-License-Identifier: MIT */
/*
 * The stream of a connection: its socket, or one layer over the socket. TLS is a kind of layer; a
 * proxy is none, its dialogue is over before the layer begins. The connection layer moves its bytes
 * by the functions tcpm__stream_..., which go straight to the socket where layer is NULL.
 *
 * "Plain text" is what the user sends and receives, "the wire" what the socket carries. What always
 * holds:
 *   - The slice of the wire that one read takes is decoded whole. A layer keeps back less than one
 *     record, so the socket's readable, its rounds and its budgets count bytes of the wire, and
 *     hold for the layer too. A slice of very many records may be decoded in several reads, in a
 *     round each; the socket stays readable until the last one.
 *   - An end that stands behind text is told by the next read, which needs no read of the socket:
 *     the socket stays readable until then.
 *   - While bytes of the wire are unsent, the socket is blocked (and writable will come), or the
 *     next call returns the error. There is one exception: the last bytes of the handshake wait for
 *     the first send, so that one system call sends both. Where there is nothing to send, a send of
 *     0 bytes sends them.
 *   - FIN is sent only when finish has given 1. A connection that cannot wait for that is reset.
 */
#ifndef TCPM_TRANSPORT_STREAM_H
#define TCPM_TRANSPORT_STREAM_H

#include "base/buffer.h"
#include "tcpmulti.h"
#include "transport/socket.h"

struct tcpm__layer;

struct tcpm__layer_kind {
    const char *name;
    enum tcpm_op op; /* operation of the cause when the handshake fails, or the layer itself */

    /* Goes on with the handshake, by all that the socket has. 1: the layer is open; 0: the socket
       has no more, or is blocked; or negative. Wire that belongs to the time after the handshake is
       kept for read, and the socket stays readable. */
    int (*handshake)(struct tcpm__layer *layer, struct tcpm__socket *socket);

    /* Gives the bytes of plain text at ret, which lie in the network's plain buffer, until the next
       read of any layer; 0: the peer's end; -EAGAIN, -EBUSY: as from tcpm__socket_read;
       -EINPROGRESS: bytes have come which complete no text; or another negative code. */
    ssize_t (*read)(struct tcpm__layer *layer, struct tcpm__socket *socket, char **ret);

    /* Gives the bytes of plain text whose wire the kernel has taken whole; 0: the socket is
       blocked; or negative. Of the other bytes some may be encoded: the next call has to begin
       with them again, and sends that wire first. A call with 0 bytes only sends wire. */
    ssize_t (*send)(struct tcpm__layer *layer, struct tcpm__socket *socket, const void *bytes,
                    size_t length);

    /* Bytes of plain text that are encoded, and with which the next send has to begin. */
    size_t (*unsent)(const struct tcpm__layer *layer);

    /* Sends the end of our side's text, once, when all of that is sent. 1: the kernel has taken it;
       0: the socket is blocked; or negative. */
    int (*finish)(struct tcpm__layer *layer, struct tcpm__socket *socket);

    /* A line that explains the last negative result, where the layer itself has failed, not the
       socket; NULL: there is none. */
    const char *(*reason)(const struct tcpm__layer *layer);

    /* Bytes of the wire that are kept: those that the kernel has not taken, and those that have
       come and are not decoded yet. What a record lacks of its end is not among them. */
    size_t (*kept)(const struct tcpm__layer *layer);

    void (*dispose)(struct tcpm__layer *layer);
};

/* The beginning of each kind's own struct. */
struct tcpm__layer {
    const struct tcpm__layer_kind *kind;
    struct tcpm__network *network;
    struct tcpm__buffer *wire; /* bytes that the kernel has not taken */
    uint64_t carried;          /* bytes of the wire that the kernel has taken */
};

/* The layer of a new connection, or NULL. A build for the tests gives one to every connection (see
   tests/layer). 0 or -ENOMEM. */
#ifdef TEST_LAYER
enum { TCPM__LAYER_ALWAYS = 1 };
int tcpm__layer_open(struct tcpm__network *network, struct tcpm__layer **ret);
#else
enum { TCPM__LAYER_ALWAYS = 0 };
static inline int tcpm__layer_open(struct tcpm__network *network, struct tcpm__layer **ret)
{
    (void) network;
    *ret = NULL;
    return 0;
}
#endif

static inline void tcpm__layer_free(struct tcpm__layer *layer)
{
    if (layer != NULL)
        layer->kind->dispose(layer);
}

/* As kind->read. Without a layer, *ret is the network's read buffer. */
static inline ssize_t tcpm__stream_read(struct tcpm__layer *layer, struct tcpm__network *network,
                                        struct tcpm__socket *socket, char **ret)
{
    if (layer != NULL)
        return layer->kind->read(layer, socket, ret);
    *ret = network->read_buffer;
    return tcpm__socket_read(network, socket, TCPM__READ_PER_ROUND);
}

static inline ssize_t tcpm__stream_send(struct tcpm__layer *layer, struct tcpm__socket *socket,
                                        const void *bytes, size_t length)
{
    return layer != NULL ? layer->kind->send(layer, socket, bytes, length)
                         : tcpm__socket_send(socket, bytes, length);
}

static inline size_t tcpm__stream_unsent(const struct tcpm__layer *layer)
{
    return layer != NULL ? layer->kind->unsent(layer) : 0;
}

/* As kind->reason. */
static inline const char *tcpm__stream_reason(const struct tcpm__layer *layer)
{
    return layer != NULL ? layer->kind->reason(layer) : NULL;
}

/* As kind->kept. */
static inline size_t tcpm__stream_kept(const struct tcpm__layer *layer)
{
    return layer != NULL ? layer->kind->kept(layer) : 0;
}

/* Whether bytes of the wire wait to be sent. */
static inline bool tcpm__stream_holds_wire(const struct tcpm__layer *layer)
{
    return layer != NULL && layer->wire != NULL;
}

static inline int tcpm__stream_finish(struct tcpm__layer *layer, struct tcpm__socket *socket)
{
    return layer != NULL ? layer->kind->finish(layer, socket) : 1;
}

#endif
