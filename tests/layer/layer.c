/* SPDX-License-Identifier: MIT */
/*
 * The test layer as the library sees it: a kind of layer (core/transport/stream.h) over the code of
 * identity.h. A build with -Dtest_layer=identity links it into the library, and every connection
 * has one.
 *
 * What always holds: the state of the writer is that of the last byte in wire; text counts the
 * bytes of plain text whose last byte of the wire is still there.
 */
#include "layer.h"

#include "base/assert.h"
#include "base/list.h"
#include "identity.h"

#include <errno.h>

enum {
    BATCH = 65536, /* bytes of plain text in one send, about */
    NO_END = 1,
};

struct identity {
    struct tcpm__layer layer;
    struct identity_writer writer;
    struct identity_reader reader;
    struct tcpm__buffer *early; /* wire that came with the greeting, in one read */
    size_t text;                /* bytes of plain text that are unsent */
    bool escaped;               /* the kernel has taken the first half of an escape */
    bool greeted, finished;     /* our greeting, our mark are written */
    int error;                  /* of the socket: a send has told it once */
    int end;                    /* behind the text that was read last; NO_END */
};

static struct identity *identity_of(struct tcpm__layer *layer)
{
    return TCPM__CONTAINER(layer, struct identity, layer);
}

/* ---- to the socket ---- */

/* Greeting and mark are no text: while nothing else is on its way, nothing is counted. */
static void note_sent(struct identity *identity, const char *wire, size_t length)
{
    if (identity->text > 0)
        identity->text -= identity_completed(wire, length, &identity->escaped);
    identity->layer.carried += length;
}

/* Gives the bytes that the kernel has taken: all, or the socket is blocked or has failed. */
static size_t push(struct identity *identity, struct tcpm__socket *socket, const char *wire,
                   size_t length)
{
    size_t done = 0;

    while (done < length) {
        ssize_t sent = tcpm__socket_send(socket, wire + done, length - done);

        if (sent < 0)
            identity->error = (int) sent;
        if (sent <= 0)
            break;
        note_sent(identity, wire + done, (size_t) sent);
        done += (size_t) sent;
    }
    return done;
}

static int result_of(const struct identity *identity)
{
    if (identity->error < 0)
        return identity->error;
    return identity->layer.wire == NULL;
}

/* 1: the kernel has taken all of the wire; 0: the socket is blocked; or negative. */
static int flush(struct identity *identity, struct tcpm__socket *socket)
{
    struct tcpm__buffer **wire = &identity->layer.wire;

    if (*wire != NULL && identity->error == 0) {
        size_t sent = push(identity, socket, tcpm__buffer_bytes(*wire), tcpm__buffer_length(*wire));
        tcpm__buffer_consume(identity->layer.network->memory, wire, sent);
    }
    return result_of(identity);
}

/* As flush, of new bytes: what the kernel does not take is kept. Without memory for that the stream
   is broken. */
static int push_or_keep(struct identity *identity, struct tcpm__socket *socket, const char *wire,
                        size_t length)
{
    size_t sent = push(identity, socket, wire, length);

    if (tcpm__buffer_append(identity->layer.network->memory, &identity->layer.wire, wire + sent,
                            length - sent) < 0)
        identity->error = -ENOMEM;
    return result_of(identity);
}

/* One batch. The text at the beginning may be encoded already: by a call before, whose wire has not
   all been taken. */
static ssize_t send_text(struct tcpm__layer *layer, struct tcpm__socket *socket, const void *bytes,
                         size_t length)
{
    struct identity *identity = identity_of(layer);
    size_t encoded = identity->text, sent;
    int result = flush(identity, socket);

    TCPM__ASSERT(encoded <= length);
    if (result > 0 && encoded < length) {
        char *wire = layer->network->wire_buffer;
        size_t batch = length - encoded < BATCH ? length - encoded : BATCH;
        size_t size =
            identity_encode(&identity->writer, (const char *) bytes + encoded, batch, wire);

        identity->text += batch;
        encoded += batch;
        result = push_or_keep(identity, socket, wire, size);
    }
    sent = encoded - identity->text;
    return sent > 0 || result >= 0 ? (ssize_t) sent : result;
}

static size_t unsent(const struct tcpm__layer *layer)
{
    return TCPM__CONTAINER(layer, const struct identity, layer)->text;
}

static int finish(struct tcpm__layer *layer, struct tcpm__socket *socket)
{
    struct identity *identity = identity_of(layer);
    char mark[IDENTITY_MARK];

    TCPM__ASSERT(identity->text == 0);
    if (identity->finished || flush(identity, socket) <= 0)
        return flush(identity, socket);
    identity->finished = true;
    identity_end(mark);
    return push_or_keep(identity, socket, mark, sizeof mark);
}

/* ---- from the socket ---- */

/* 1: something has come; 0: the socket has no more; or negative. */
static int read_greeting(struct identity *identity, struct tcpm__socket *socket)
{
    struct tcpm__network *network = identity->layer.network;
    ssize_t length = tcpm__socket_read(network, socket, TCPM__WIRE_SLICE);
    size_t missing = IDENTITY_GREETING - identity->reader.greeted, part;

    if (length == -EAGAIN || length == -EBUSY)
        return 0;
    if (length <= 0)
        return length == 0 ? -EPROTO : (int) length;
    part = (size_t) length < missing ? (size_t) length : missing;
    identity_decode(&identity->reader, network->read_buffer, part, network->plain_buffer);
    if (identity->reader.state == IDENTITY_BROKEN)
        return -EPROTO;
    if ((size_t) length == part)
        return 1;
    socket->readable = true;
    return tcpm__buffer_append(network->memory, &identity->early, network->read_buffer + part,
                               (size_t) length - part) < 0
               ? -ENOMEM
               : 1;
}

static int handshake(struct tcpm__layer *layer, struct tcpm__socket *socket)
{
    struct identity *identity = identity_of(layer);
    char greeting[IDENTITY_GREETING];
    int result;

    if (identity->greeted) {
        result = flush(identity, socket);
    } else {
        identity->greeted = true;
        identity_greet(&identity->writer, greeting);
        result = push_or_keep(identity, socket, greeting, sizeof greeting);
    }
    if (result < 0)
        return result;
    result = 1;
    while (result > 0 && identity->reader.state == IDENTITY_GREETED_NOT && socket->readable)
        result = read_greeting(identity, socket);
    if (result < 0)
        return result;
    return layer->wire == NULL && identity->reader.state == IDENTITY_OPEN;
}

/* The next slice of the wire: its bytes and their number; or as from tcpm__socket_read. */
static ssize_t next_slice(struct identity *identity, struct tcpm__socket *socket,
                          const char **bytes)
{
    struct tcpm__network *network = identity->layer.network;

    *bytes = tcpm__buffer_bytes(identity->early);
    if (identity->early != NULL)
        return (ssize_t) tcpm__buffer_length(identity->early);
    *bytes = network->read_buffer;
    return tcpm__socket_read(network, socket, TCPM__WIRE_SLICE);
}

static ssize_t tell_end(const struct identity *identity, struct tcpm__socket *socket)
{
    socket->readable = false;
    return identity->end;
}

static ssize_t read_text(struct tcpm__layer *layer, struct tcpm__socket *socket, char **ret)
{
    struct identity *identity = identity_of(layer);
    const char *bytes;
    ssize_t length;
    size_t text;

    if (identity->end != NO_END)
        return tell_end(identity, socket);
    length = next_slice(identity, socket, &bytes);
    if (length <= 0)
        return length == 0 ? -EPROTO : length; /* FIN without the mark */
    *ret = layer->network->plain_buffer;
    text = identity_decode(&identity->reader, bytes, (size_t) length, *ret);
    tcpm__buffer_free(layer->network->memory, &identity->early);
    if (identity->reader.state == IDENTITY_ENDED)
        identity->end = 0;
    else if (identity->reader.state == IDENTITY_BROKEN)
        identity->end = -EPROTO;
    if (identity->end != NO_END && text == 0)
        return tell_end(identity, socket);
    if (identity->end != NO_END)
        socket->readable = true;
    return text > 0 ? (ssize_t) text : -EINPROGRESS;
}

/* ---- life ---- */

/* The texts of the codes say enough. */
static const char *reason(const struct tcpm__layer *layer)
{
    (void) layer;
    return NULL;
}

static size_t kept(const struct tcpm__layer *layer)
{
    const struct identity *identity = TCPM__CONTAINER(layer, const struct identity, layer);

    return tcpm__buffer_length(layer->wire) + tcpm__buffer_length(identity->early);
}

static void dispose(struct tcpm__layer *layer)
{
    const struct tcpm__memory *memory = layer->network->memory;
    struct identity *identity = identity_of(layer);

    tcpm__buffer_free(memory, &layer->wire);
    tcpm__buffer_free(memory, &identity->early);
    tcpm__memory_free(memory, identity);
}

const struct tcpm__layer_kind identity_kind = {
    .name = "identity",
    .op = TCPM_OP_CONNECT,
    .handshake = handshake,
    .read = read_text,
    .kept = kept,
    .send = send_text,
    .unsent = unsent,
    .finish = finish,
    .reason = reason,
    .dispose = dispose,
};

int identity_open(struct tcpm__network *network, struct tcpm__layer **ret)
{
    struct identity *identity;

    if (tcpm__network_make_layer_buffers(network) < 0)
        return -ENOMEM;
    identity = tcpm__memory_zeroed(network->memory, sizeof *identity);
    if (identity == NULL)
        return -ENOMEM;
    identity->layer = (struct tcpm__layer){.kind = &identity_kind, .network = network};
    identity->writer = identity_writer(IDENTITY_CLIENT);
    identity->reader = identity_reader(IDENTITY_PEER);
    identity->end = NO_END;
    *ret = &identity->layer;
    return 0;
}

#if defined TEST_LAYER && !defined TEST_LAYER_TLS
int tcpm__layer_open(struct tcpm__network *network, struct tcpm__layer **ret)
{
    return identity_open(network, ret);
}
#endif
