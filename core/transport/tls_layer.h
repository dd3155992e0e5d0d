/* SPDX-License-Identifier: MIT */
/*
 * The layer of TLS from inside, for tls.c and the files that it is made of. OpenSSL reads from a
 * window on the bytes that have just come from the socket, and writes into the network's wire
 * buffer, which goes to the kernel by one send; the kernel's leavings are kept in layer.wire.
 *
 * What always holds:
 *   - Between two calls of the layer the window and the wire buffer are empty. OpenSSL keeps back
 *     less than one record.
 *   - OpenSSL never has to write again, and never hears of the socket: only the layer knows of an
 *     end or an error there. So received bytes can be decrypted after a failed send.
 *   - Records of text are made only while no record is unsent, 16 at most. So they are the first
 *     bytes of layer.wire, and only send moves those.
 *   - OpenSSL's queue of errors is asked after a failure only, for its last entry. The host may
 *     have entries in it; and a call that clears it before each message would cost a tenth of it.
 *   - No function of OpenSSL that reads, writes or frees is called from a callback of OpenSSL.
 */
#ifndef TCPM_TRANSPORT_TLS_LAYER_H
#define TCPM_TRANSPORT_TLS_LAYER_H

#include <openssl/ssl.h>

#include "base/list.h"
#include "transport/stream.h"
#include "transport/tls_spec.h"

enum {
    TCPM__TLS_RECORD = 16384, /* bytes of text in one record, at most */
    TCPM__TLS_RECORDS = 16,   /* in one batch, at most */
    /* Most messages of the handshake, after it, without text between them. */
    TCPM__TLS_IDLE_MESSAGES = 64,
};

struct tcpm__tls {
    struct tcpm__layer layer;
    SSL *ssl;
    struct tcpm__tls_peer peer;
    struct tcpm__buffer *early; /* wire for the next read: that which came before the handshake;
                                   later, that behind the server's Finished */
    const char *window;         /* wire that OpenSSL has not taken */
    size_t window_length;
    size_t wire_length;                 /* bytes in the network's wire buffer */
    size_t text;                        /* bytes of text whose record is not all in the kernel */
    uint16_t unsent[TCPM__TLS_RECORDS]; /* bytes of the wire that the kernel lacks, by record */
    uint8_t first, count;               /* records: the first unsent one, all */
    int16_t awaited; /* byte to be dropped if it comes first, as it was sent before TLS; -1: none */
    uint8_t idle_messages;
    uint16_t last_text; /* bytes of text in the last record; the others are full */
    int error;          /* the first one of sending; 0: none */
    int end;            /* code of the end behind the text that was read last */
    bool is_begun, is_open, is_finished;
    bool holds_flight; /* layer.wire is the handshake's last flight, and waits for text */
    bool is_flowing;   /* the kernel has taken a batch of FIRST_BATCH bytes whole, and all since */
    bool is_starved;   /* OpenSSL has stopped only because the window was empty; SSL_want says so
                          after some failures too */
    bool is_closed;    /* close_notify has come */
    bool is_own;       /* the last negative result is TLS's, not the socket's */
    char *reason;      /* a line about a failure of TLS; NULL: none, or no memory */
    char *alpn;        /* the protocol that the server has chosen, or NULL */
    char server_name[];
};

static inline struct tcpm__tls *tcpm__tls_of(struct tcpm__layer *layer)
{
    return TCPM__CONTAINER(layer, struct tcpm__tls, layer);
}

static inline const struct tcpm__memory *tcpm__tls_memory(const struct tcpm__tls *tls)
{
    return tls->layer.network->memory;
}

/* Whether the peer sends messages of the handshake without end, each of which costs us work. */
static inline bool tcpm__tls_is_flooded(const struct tcpm__tls *tls)
{
    return tls->idle_messages > TCPM__TLS_IDLE_MESSAGES;
}

/* Opens the window on bytes of the wire. */
static inline void tcpm__tls_look_at(struct tcpm__tls *tls, const char *wire, size_t length)
{
    tls->window = wire;
    tls->window_length = length;
    tls->is_starved = false;
}

/* ---- tls_bio.c: what OpenSSL calls ---- */

/* Gives the SSL its BIO and callbacks. 0 or -ENOMEM. */
int tcpm__tls_give_bio(struct tcpm__tls *tls);

/* ---- tls_failure.c: codes and reasons ---- */

/* The chain that the server has sent; of a handshake that has failed by it, the one that was looked
   at. NULL: none. */
STACK_OF(X509) * tcpm__tls_chain(const struct tcpm__tls *tls);
/* Gives the code of OpenSSL's last failure, and notes the reason. */
int tcpm__tls_fail(struct tcpm__tls *tls);
/* Gives the code for a FIN without close_notify, and notes the reason. 0: that is allowed. */
int tcpm__tls_fail_for_truncation(struct tcpm__tls *tls);
/* The kind's function. */
const char *tcpm__tls_reason(const struct tcpm__layer *layer);
/* Notes that the result is the socket's, and gives it. */
static inline ssize_t tcpm__tls_by_socket(struct tcpm__tls *tls, ssize_t result)
{
    tls->is_own = false;
    return result;
}

/* ---- tls_output.c: to the socket ---- */

/* Puts the wire buffer behind the wire that is kept. Without memory for that the stream is
   broken. */
void tcpm__tls_keep(struct tcpm__tls *tls);
/* Sends the wire that is kept. 1: the kernel has taken all; 0: it is blocked; or negative. */
int tcpm__tls_flush(struct tcpm__tls *tls, struct tcpm__socket *socket);
/* Sends the wire buffer, or keeps it behind what is kept already. As tcpm__tls_flush. */
int tcpm__tls_push(struct tcpm__tls *tls, struct tcpm__socket *socket);
/* The kind's functions. */
ssize_t tcpm__tls_send(struct tcpm__layer *layer, struct tcpm__socket *socket, const void *bytes,
                       size_t length);
size_t tcpm__tls_unsent(const struct tcpm__layer *layer);
int tcpm__tls_finish(struct tcpm__layer *layer, struct tcpm__socket *socket);

#endif
