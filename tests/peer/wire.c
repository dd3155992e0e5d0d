/* SPDX-License-Identifier: MIT */
/* See wire.h. */
#include "wire.h"

#include "secure.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

/* Bytes of plain text that are encoded at a time: no less than a peer sends by one call. What
   follows a short send may wait for its acknowledgement, and a reset would destroy it. */
enum { PIECE = 65536 };

void wire_open(struct wire *wire, int fd)
{
    char greeting[IDENTITY_GREETING];

    *wire = (struct wire){.fd = fd,
                          .writer = identity_writer(IDENTITY_PEER),
                          .reader = identity_reader(IDENTITY_CLIENT)};
    identity_greet(&wire->writer, greeting);
    if (WIRE_LAYERED)
        (void) send(fd, greeting, sizeof greeting, MSG_NOSIGNAL);
}

int wire_begin_tls(struct wire *wire, struct secure_context *context)
{
    errno = EOPNOTSUPP;
    if (!WIRE_HAS_TLS || context == NULL || wire->secure != NULL)
        return -1;
    wire->secure = secure_open(context, wire->fd);
    errno = ENOMEM;
    return wire->secure != NULL ? 0 : -1;
}

void wire_open_as_built(struct wire *wire, int fd)
{
    const int on = 1;

    wire_open(wire, fd);
    if (!WIRE_ALWAYS_TLS)
        return;
    (void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void) wire_begin_tls(wire, secure_context_of_process());
}

void wire_free(struct wire *wire)
{
    if (WIRE_HAS_TLS)
        secure_free(wire->secure);
    wire->secure = NULL;
}

/* Sends the half that is left, and encoded bytes behind it. Gives the bytes of plain text that are
   on their way. */
static ssize_t send_encoded(struct wire *wire, const char *bytes, size_t length, int flags,
                            char *piece)
{
    struct identity_writer before = wire->writer;
    size_t half = wire->has_half, size, completed;
    bool escaped = false;
    ssize_t sent;

    piece[0] = wire->half;
    size = half + identity_encode(&wire->writer, bytes, length, piece + half);
    sent = send(wire->fd, piece, size, flags);
    if (sent < 0 || (size_t) sent < size)
        wire->writer = before;
    if (sent <= 0)
        return sent;
    if ((size_t) sent == size) {
        wire->has_half = false;
        return (ssize_t) length;
    }
    completed = identity_completed(piece + half, (size_t) sent - half, &escaped);
    wire->has_half = escaped;
    if (escaped) {
        wire->half = piece[sent];
        completed++;
    }
    identity_encode(&wire->writer, bytes, completed, piece); /* brings the key to the wire */
    return (ssize_t) completed;
}

static ssize_t send_piece(struct wire *wire, const char *bytes, size_t length, int flags)
{
    char *piece = malloc(1 + IDENTITY_EXPANSION * length);
    ssize_t sent = -1;

    if (piece != NULL)
        sent = send_encoded(wire, bytes, length, flags, piece);
    free(piece);
    return sent;
}

static ssize_t send_urgently(struct wire *wire, const char *bytes, size_t length, int flags)
{
    size_t before = 0;

    while (before < length - 1) {
        ssize_t sent = wire_send(wire, bytes + before, length - 1 - before, flags & ~MSG_OOB);

        if (sent < 0)
            return sent;
        before += (size_t) sent;
    }
    return send(wire->fd, bytes + length - 1, 1, flags) < 0 ? -1 : (ssize_t) length;
}

ssize_t wire_send(struct wire *wire, const void *bytes, size_t length, int flags)
{
    if (WIRE_HAS_TLS && wire->secure != NULL)
        return secure_send(wire->secure, bytes, length, flags);
    if (!WIRE_LAYERED)
        return send(wire->fd, bytes, length, flags);
    if ((flags & MSG_OOB) != 0)
        return send_urgently(wire, bytes, length, flags);
    return send_piece(wire, bytes, length < PIECE ? length : PIECE, flags);
}

static ssize_t refuse(void)
{
    errno = EPROTO;
    return -1;
}

/* Behind the mark comes FIN; it is read too, or the reset that takes its place. */
ssize_t wire_receive(struct wire *wire, void *bytes, size_t size, int flags)
{
    if (WIRE_HAS_TLS && wire->secure != NULL)
        return secure_receive(wire->secure, bytes, size);
    for (;;) {
        ssize_t got = recv(wire->fd, bytes, size, flags);
        size_t length;

        if (!WIRE_LAYERED || got < 0)
            return got;
        if (got == 0)
            return wire->reader.state == IDENTITY_ENDED ? 0 : refuse();
        length = identity_decode(&wire->reader, bytes, (size_t) got, bytes);
        if (wire->reader.state == IDENTITY_BROKEN)
            return refuse();
        if (length > 0)
            return (ssize_t) length;
    }
}

int wire_await_greeting(struct wire *wire)
{
    if (WIRE_HAS_TLS && wire->secure != NULL)
        return secure_handshake(wire->secure);
    while (WIRE_LAYERED && wire->reader.state == IDENTITY_GREETED_NOT) {
        char byte;
        ssize_t got = recv(wire->fd, &byte, 1, 0);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? -1 : (int) refuse();
        identity_decode(&wire->reader, &byte, 1, &byte);
    }
    return wire->reader.state == IDENTITY_BROKEN ? (int) refuse() : 0;
}

void wire_finish(struct wire *wire)
{
    char end[1 + IDENTITY_MARK] = {wire->half};
    size_t half = wire->has_half;

    if (wire->finished)
        return;
    wire->finished = true;
    if (WIRE_HAS_TLS && wire->secure != NULL)
        secure_finish(wire->secure);
    if (!WIRE_LAYERED)
        return;
    identity_end(end + half);
    (void) send(wire->fd, end, half + IDENTITY_MARK, MSG_NOSIGNAL);
}
