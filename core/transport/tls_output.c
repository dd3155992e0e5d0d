/* SPDX-License-Identifier: MIT */
/*
 * From text to the kernel, for the layer of TLS. A batch of records is encrypted into the wire
 * buffer and sent by one system call. A byte of text is sent when its record is wholly in the
 * kernel, so the ends of the records are known until then.
 */
#include "transport/tls_layer.h"

#include <openssl/err.h>

#include "base/assert.h"

enum {
    FIRST_BATCH = 4 * TCPM__TLS_RECORD, /* bytes of text in a batch, unless the stream flows */
    BATCH = TCPM__TLS_RECORDS * TCPM__TLS_RECORD, /* in a batch of a stream that flows */
    OVERHEAD = 256,                               /* bytes of the wire beside a record's text */
    SPARE = 12288, /* for a flight that waits, and answers to messages of the peer */
};

_Static_assert(TCPM__WIRE_SIZE >= BATCH + TCPM__TLS_RECORDS * OVERHEAD + SPARE,
               "a batch fits into the wire buffer");
_Static_assert(TCPM__TLS_RECORD + OVERHEAD + SPARE <= UINT16_MAX,
               "a record, with all that goes in front of it, fits into unsent");

static size_t text_of(const struct tcpm__tls *tls, unsigned record)
{
    return record + 1 == tls->count ? tls->last_text : TCPM__TLS_RECORD;
}

static void note_sent(struct tcpm__tls *tls, size_t length)
{
    tls->layer.carried += length;
    for (; tls->first < tls->count && length >= tls->unsent[tls->first]; tls->first++) {
        length -= tls->unsent[tls->first];
        tls->text -= text_of(tls, tls->first);
    }
    TCPM__ASSERT(tls->first < tls->count || tls->text == 0);
    if (tls->first < tls->count)
        tls->unsent[tls->first] -= (uint16_t) length;
}

/* Gives the bytes that the kernel has taken: all, or the socket is blocked or has failed. */
static size_t send_wire(struct tcpm__tls *tls, struct tcpm__socket *socket, const char *wire,
                        size_t length)
{
    size_t done = 0;

    while (done < length && tls->error == 0) {
        ssize_t sent = tcpm__socket_send(socket, wire + done, length - done);

        if (sent < 0)
            tls->error = (int) tcpm__tls_by_socket(tls, sent);
        if (sent <= 0)
            break;
        done += (size_t) sent;
    }
    note_sent(tls, done);
    return done;
}

static int result_of(const struct tcpm__tls *tls)
{
    return tls->error < 0 ? tls->error : tls->layer.wire == NULL;
}

static void keep_from(struct tcpm__tls *tls, size_t from)
{
    if (tcpm__buffer_append(tcpm__tls_memory(tls), &tls->layer.wire,
                            tls->layer.network->wire_buffer + from, tls->wire_length - from) < 0)
        tls->error = (int) tcpm__tls_by_socket(tls, -ENOMEM);
    tls->wire_length = 0;
}

void tcpm__tls_keep(struct tcpm__tls *tls)
{
    keep_from(tls, 0);
}

int tcpm__tls_flush(struct tcpm__tls *tls, struct tcpm__socket *socket)
{
    struct tcpm__buffer **wire = &tls->layer.wire;

    tls->holds_flight = false;
    if (*wire != NULL)
        tcpm__buffer_consume(
            tcpm__tls_memory(tls), wire,
            send_wire(tls, socket, tcpm__buffer_bytes(*wire), tcpm__buffer_length(*wire)));
    return result_of(tls);
}

int tcpm__tls_push(struct tcpm__tls *tls, struct tcpm__socket *socket)
{
    size_t sent = 0;

    if (tls->holds_flight)
        tcpm__tls_flush(tls, socket);
    if (tls->layer.wire == NULL)
        sent = send_wire(tls, socket, tls->layer.network->wire_buffer, tls->wire_length);
    if (tls->wire_length > sent)
        keep_from(tls, sent);
    tls->wire_length = 0;
    return result_of(tls);
}

/* Begins to fill the wire buffer: the handshake's last flight goes in front. 1; 0: the socket is
   blocked; or negative. */
static int begin_wire(struct tcpm__tls *tls, struct tcpm__socket *socket)
{
    struct tcpm__buffer **wire = &tls->layer.wire;

    TCPM__ASSERT(tls->wire_length == 0);
    if (*wire == NULL || !tls->holds_flight || tls->error < 0)
        return tcpm__tls_flush(tls, socket);
    tls->holds_flight = false;
    tls->wire_length = tcpm__buffer_length(*wire);
    memcpy(tls->layer.network->wire_buffer, tcpm__buffer_bytes(*wire), tls->wire_length);
    tcpm__buffer_free(tcpm__tls_memory(tls), wire);
    return 1;
}

/* Encrypts a batch into the wire buffer. 0, or negative: the stream is broken. */
static int encrypt(struct tcpm__tls *tls, const char *bytes, size_t length)
{
    size_t counted = 0;

    TCPM__ASSERT(tls->text == 0 && length <= BATCH);
    tls->first = tls->count = 0;
    while (length > 0) {
        size_t part = length < TCPM__TLS_RECORD ? length : TCPM__TLS_RECORD;
        int written = SSL_write(tls->ssl, bytes, (int) part);

        if (written <= 0)
            return tls->error = tcpm__tls_fail(tls);
        TCPM__ASSERT((size_t) written == part);
        tls->unsent[tls->count++] = (uint16_t) (tls->wire_length - counted);
        tls->last_text = (uint16_t) part;
        tls->text += part;
        counted = tls->wire_length;
        bytes += part;
        length -= part;
    }
    return 0;
}

/* The text at the beginning may be encrypted already: by a call before, whose wire has not all been
   taken. */
ssize_t tcpm__tls_send(struct tcpm__layer *layer, struct tcpm__socket *socket, const void *bytes,
                       size_t length)
{
    struct tcpm__tls *tls = tcpm__tls_of(layer);
    size_t encrypted = tls->text;
    int result = length > 0 ? begin_wire(tls, socket) : tcpm__tls_flush(tls, socket);

    TCPM__ASSERT(encrypted <= length);
    while (result > 0 && encrypted < length) {
        size_t batch = tls->is_flowing ? BATCH : FIRST_BATCH;
        size_t part = length - encrypted < batch ? length - encrypted : batch;

        if (encrypt(tls, (const char *) bytes + encrypted, part) < 0)
            part = tls->text;
        encrypted += part;
        result = tcpm__tls_push(tls, socket);
        tls->is_flowing = result > 0 && (tls->is_flowing || part >= FIRST_BATCH);
    }
    size_t sent = encrypted - tls->text;

    return sent > 0 || result >= 0 ? (ssize_t) sent : result;
}

size_t tcpm__tls_unsent(const struct tcpm__layer *layer)
{
    return TCPM__CONTAINER(layer, const struct tcpm__tls, layer)->text;
}

/* After a failure of TLS OpenSSL has nothing to say. */
int tcpm__tls_finish(struct tcpm__layer *layer, struct tcpm__socket *socket)
{
    struct tcpm__tls *tls = tcpm__tls_of(layer);

    TCPM__ASSERT(tls->text == 0);
    if (tls->is_finished)
        return tcpm__tls_flush(tls, socket);
    int result = begin_wire(tls, socket);

    if (result <= 0)
        return result;
    tls->is_finished = true;
    if (SSL_shutdown(tls->ssl) < 0)
        ERR_clear_error();
    return tcpm__tls_push(tls, socket);
}
