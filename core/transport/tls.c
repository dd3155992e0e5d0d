/* SPDX-License-Identifier: MIT */
/*
 * The layer of TLS: its handshake, its reading, its life, and what is known of it. What always
 * holds is said in tls_layer.h.
 */
#include "transport/tls.h"

#include <openssl/err.h>

#include "base/assert.h"
#include "transport/certificate.h"
#include "transport/tls_layer.h"

enum {
    FLIGHT = 4096,           /* the handshake's last bytes wait for text if they are no more */
    FIRST_SLICE = 65536,     /* bytes of the wire that are read at a time in a handshake */
    RECORDS_PER_READ = 1024, /* most records in a round, as each takes more than 1 us */
    NO_END = 1,
    /* Bytes as measured with OpenSSL 3.0: 41 KB between ClientHello and Finished; later, while
       silent, 24.2 KB (EC) or 25.5 KB (RSA), with a leaf and an intermediate certificate. */
    HANDSHAKE_ACCOUNT = 40 * 1024,
    OPEN_ACCOUNT = 24 * 1024,
};

_Static_assert(TCPM__PLAIN_SIZE >= TCPM__WIRE_SLICE + 2 * TCPM__TLS_RECORD,
               "a slice fits into the plain buffer, with a record that began before");

/* ---- the handshake ---- */

/* Keeps the part of the window that belongs to the time after the handshake. */
static int keep_window(struct tcpm__tls *tls, struct tcpm__socket *socket)
{
    size_t length = tls->window_length;

    tls->window_length = 0;
    if (length > 0)
        tcpm__socket_mark_readable(socket);
    return tcpm__buffer_append(tcpm__tls_memory(tls), &tls->early, tls->window, length);
}

/* Keeps the name of the protocol, which OpenSSL gives without a NUL. */
static int keep_alpn(struct tcpm__tls *tls)
{
    const uint8_t *name;
    uint32_t length = 0;

    SSL_get0_alpn_selected(tls->ssl, &name, &length);
    if (length == 0)
        return 0;
    tls->alpn = tcpm__memory_zeroed(tcpm__tls_memory(tls), length + 1);
    if (tls->alpn == NULL)
        return -ENOMEM;
    memcpy(tls->alpn, name, length);
    return 0;
}

/* The client has the last word in TLS 1.3, and when a session is resumed. */
static int keep_flight(struct tcpm__tls *tls, struct tcpm__socket *socket)
{
    if (tls->wire_length == 0 || tls->wire_length > FLIGHT || tls->layer.wire != NULL) {
        tcpm__tls_push(tls, socket);
    } else {
        tcpm__tls_keep(tls);
        tls->holds_flight = true;
    }
    return tls->error;
}

/* 1 or negative. */
static int open_layer(struct tcpm__tls *tls, struct tcpm__socket *socket)
{
    int result = keep_flight(tls, socket);

    if (result == 0)
        result = keep_window(tls, socket);
    if (result == 0)
        result = keep_alpn(tls);
    SSL_free_buffers(tls->ssl);
    tls->is_open = true;
    return result < 0 ? result : 1;
}

/* Lets OpenSSL take the window. 1: the layer is open; 0: more is needed; or negative. Flights are
   sent, and the alert that says why we end. */
static int shake(struct tcpm__tls *tls, struct tcpm__socket *socket)
{
    int code = 0;

    tls->is_begun = true;
    if (SSL_do_handshake(tls->ssl) == 1)
        return open_layer(tls, socket);
    if (!tls->is_starved)
        code = tcpm__tls_fail(tls);
    tls->window_length = 0;
    tcpm__tls_push(tls, socket);
    return code;
}

static void drop_awaited(struct tcpm__tls *tls)
{
    if (tls->awaited == (unsigned char) tls->window[0]) {
        tls->window++;
        tls->window_length--;
    }
    tls->awaited = -1;
}

/* As shake, with the wire that came before the handshake. What is left of it is kept anew. */
static int shake_early(struct tcpm__tls *tls, struct tcpm__socket *socket)
{
    struct tcpm__buffer *early = tls->early;

    tls->early = NULL;
    tcpm__tls_look_at(tls, tcpm__buffer_bytes(early), tcpm__buffer_length(early));
    int result = shake(tls, socket);

    tcpm__buffer_free(tcpm__tls_memory(tls), &early);
    return result;
}

/* As shake, with the next slice of the wire. An error of sending is told when nothing is left to
   read: the peer may have said why. */
static int shake_on(struct tcpm__tls *tls, struct tcpm__socket *socket)
{
    struct tcpm__network *network = tls->layer.network;

    if (tls->early != NULL)
        return shake_early(tls, socket);
    ssize_t length = tcpm__socket_read(network, socket, FIRST_SLICE);

    if (length == -EBUSY)
        return 0;
    if (length == -EAGAIN)
        return tls->error;
    if (length <= 0)
        return (int) tcpm__tls_by_socket(tls, length == 0 ? TCPM_EOF : length);
    tcpm__tls_look_at(tls, network->read_buffer, (size_t) length);
    drop_awaited(tls);
    return shake(tls, socket);
}

static int handshake(struct tcpm__layer *layer, struct tcpm__socket *socket)
{
    struct tcpm__tls *tls = tcpm__tls_of(layer);
    int result = 0;

    TCPM__ASSERT(!tls->is_open && tls->window_length == 0 && tls->wire_length == 0);
    if (layer->wire != NULL)
        tcpm__tls_flush(tls, socket);
    if (!tls->is_begun)
        result = shake(tls, socket);
    while (result == 0 && tcpm__socket_is_readable(socket)) {
        result = shake_on(tls, socket);
        if (result == 0 && !tcpm__socket_may_read(layer->network, socket))
            break;
    }
    return result == 0 && !tcpm__socket_is_readable(socket) ? tls->error : result;
}

/* ---- from the socket ---- */

/* Opens the window on the next slice of the wire. Gives its length; or as tcpm__socket_read. */
static ssize_t next_slice(struct tcpm__tls *tls, struct tcpm__socket *socket)
{
    struct tcpm__network *network = tls->layer.network;

    if (tls->early != NULL) {
        if (!tcpm__socket_may_read(network, socket))
            return -EBUSY;
        tcpm__tls_look_at(tls, tcpm__buffer_bytes(tls->early), tcpm__buffer_length(tls->early));
        return (ssize_t) tls->window_length;
    }
    ssize_t length = tcpm__socket_read(network, socket, TCPM__WIRE_SLICE);

    if (length > 0)
        tcpm__tls_look_at(tls, network->read_buffer, (size_t) length);
    return length;
}

static ssize_t tell_end(struct tcpm__tls *tls, struct tcpm__socket *socket)
{
    socket->readable = false;
    tls->is_own = tls->end < 0;
    return tls->end;
}

/* Keeps what is left of the window for the next read, in a later round. 0 or -ENOMEM. */
static int keep_rest(struct tcpm__tls *tls, struct tcpm__socket *socket)
{
    const struct tcpm__memory *memory = tcpm__tls_memory(tls);
    size_t rest = tls->window_length;

    tls->window_length = 0;
    if (rest == 0) {
        tcpm__buffer_free(memory, &tls->early);
        return 0;
    }
    tcpm__socket_mark_readable(socket);
    if (tls->early == NULL)
        return tcpm__buffer_append(memory, &tls->early, tls->window, rest);
    tcpm__buffer_consume(memory, &tls->early, tcpm__buffer_length(tls->early) - rest);
    return 0;
}

/* Decrypts the window into the plain buffer, and gives the bytes of text. Where an end follows
   them, it is kept in tls->end. A record that is complete leaves nothing behind in OpenSSL, so an
   empty window needs no further call, and the rest of one can wait. */
static size_t decrypt(struct tcpm__tls *tls, struct tcpm__socket *socket)
{
    char *plain = tls->layer.network->plain_buffer;
    size_t text = 0;
    int got, records = 0;

    do {
        got = SSL_read(tls->ssl, plain + text, TCPM__TLS_RECORD);
        if (got > 0) {
            text += (size_t) got;
            tls->idle_messages = 0;
        }
        records++;
    } while (got > 0 && tls->window_length > 0 && records < RECORDS_PER_READ);
    if (got <= 0 && !tls->is_starved)
        tls->end = tls->is_closed ? 0 : tcpm__tls_fail(tls);
    if (got <= 0)
        tls->window_length = 0; /* nothing counts behind the end */
    if (records >= RECORDS_PER_READ)
        tcpm__socket_end_round(tls->layer.network, socket);
    return text;
}

static ssize_t read_text(struct tcpm__layer *layer, struct tcpm__socket *socket, char **ret)
{
    struct tcpm__tls *tls = tcpm__tls_of(layer);

    TCPM__ASSERT(tls->is_open && tls->window_length == 0 && tls->wire_length == 0);
    if (tls->end != NO_END)
        return tell_end(tls, socket);
    ssize_t length = next_slice(tls, socket);

    if (length < 0)
        return tcpm__tls_by_socket(tls, length);
    if (length == 0)
        return tcpm__tls_fail_for_truncation(tls);
    *ret = layer->network->plain_buffer;
    size_t text = decrypt(tls, socket);

    if (keep_rest(tls, socket) < 0)
        return tcpm__tls_by_socket(tls, -ENOMEM);
    if (tls->wire_length > 0)
        tcpm__tls_push(tls, socket);
    if (text == 0 && tls->end != NO_END)
        return tell_end(tls, socket);
    if (text == 0)
        SSL_free_buffers(tls->ssl); /* OpenSSL would keep 16 KiB after a message of its own */
    if (tls->end != NO_END)
        tcpm__socket_mark_readable(socket);
    return text > 0 ? (ssize_t) text : -EINPROGRESS;
}

/* ---- life ---- */

/* A session stays good when its connection has ended without close_notify: OpenSSL drops one only
   if it knows of no end (and after failures of TLS). */
static void dispose(struct tcpm__layer *layer)
{
    const struct tcpm__memory *memory = layer->network->memory;
    struct tcpm__tls *tls = tcpm__tls_of(layer);

    if (tls->is_open)
        SSL_set_shutdown(tls->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(tls->ssl);
    tcpm__tls_spec_drop(tls->peer.spec);
    tcpm__buffer_free(memory, &layer->wire);
    tcpm__buffer_free(memory, &tls->early);
    tcpm__memory_free(memory, tls->reason);
    tcpm__memory_free(memory, tls->alpn);
    tcpm__memory_free(memory, tls);
}

static size_t kept(const struct tcpm__layer *layer)
{
    const struct tcpm__tls *tls = TCPM__CONTAINER(layer, const struct tcpm__tls, layer);

    return tcpm__buffer_length(layer->wire) + tcpm__buffer_length(tls->early);
}

static const struct tcpm__layer_kind tls_kind = {
    .name = "tls",
    .op = TCPM_OP_TLS,
    .handshake = handshake,
    .read = read_text,
    .send = tcpm__tls_send,
    .unsent = tcpm__tls_unsent,
    .finish = tcpm__tls_finish,
    .reason = tcpm__tls_reason,
    .kept = kept,
    .dispose = dispose,
};

static int make_ssl(struct tcpm__tls *tls, struct tcpm_tls *spec, unsigned port)
{
    int result = tcpm__tls_spec_connect(spec, tls->server_name, port, &tls->peer, &tls->ssl);

    if (result == 0)
        result = tcpm__tls_give_bio(tls);
    if (result < 0)
        ERR_clear_error();
    return result;
}

int tcpm__tls_open(struct tcpm__network *network, struct tcpm_tls *spec, const char *server_name,
                   unsigned port, struct tcpm__layer **ret)
{
    size_t length = strlen(server_name);

    if (tcpm__network_make_layer_buffers(network) < 0)
        return -ENOMEM;
    struct tcpm__tls *tls = tcpm__memory_zeroed(network->memory, sizeof *tls + length + 1);

    if (tls == NULL)
        return -ENOMEM;
    tls->layer = (struct tcpm__layer){.kind = &tls_kind, .network = network};
    tls->peer.spec = tcpm__tls_spec_hold(spec);
    tls->end = NO_END;
    tls->awaited = -1;
    memcpy(tls->server_name, server_name, length);
    int result = make_ssl(tls, spec, port);

    if (result < 0)
        dispose(&tls->layer);
    else
        *ret = &tls->layer;
    return result;
}

void tcpm__tls_await(struct tcpm__layer *layer, int byte)
{
    tcpm__tls_of(layer)->awaited = (int16_t) byte;
}

void tcpm__tls_give_early(struct tcpm__layer *layer, struct tcpm__socket *socket,
                          struct tcpm__buffer *wire)
{
    TCPM__ASSERT(tcpm__tls_of(layer)->early == NULL);
    tcpm__tls_of(layer)->early = wire;
    tcpm__socket_mark_readable(socket);
}

bool tcpm__layer_is_tls(const struct tcpm__layer *layer)
{
    return layer != NULL && layer->kind == &tls_kind;
}

/* ---- what is known ---- */

bool tcpm__tls_is_resumed(const struct tcpm__layer *layer)
{
    return SSL_session_reused(TCPM__CONTAINER(layer, const struct tcpm__tls, layer)->ssl) == 1;
}

size_t tcpm__tls_account(const struct tcpm__layer *layer)
{
    return TCPM__CONTAINER(layer, const struct tcpm__tls, layer)->is_open ? OPEN_ACCOUNT
                                                                          : HANDSHAKE_ACCOUNT;
}

void tcpm__tls_get(const struct tcpm__layer *layer, struct tcpm_tls_info *ret)
{
    const struct tcpm__tls *tls = TCPM__CONTAINER(layer, const struct tcpm__tls, layer);
    const struct tcpm__tls_verdict *verdict = &tls->peer.verdict;
    int certificates = sk_X509_num(tcpm__tls_chain(tls));

    *ret = (struct tcpm_tls_info){.size = sizeof *ret,
                                  .version = SSL_get_version(tls->ssl),
                                  .cipher = SSL_get_cipher_name(tls->ssl),
                                  .alpn = tls->alpn,
                                  .server_name = tls->server_name,
                                  .problem = tcpm__verdict_word(verdict->problems),
                                  .problems = verdict->problems,
                                  .resumed = SSL_session_reused(tls->ssl),
                                  .certificates = certificates > 0 ? (unsigned) certificates : 0};
    ret->verified = tls->is_open && !verdict->rules->no_verify && verdict->problems == 0;
}

int tcpm__tls_get_certificate(const struct tcpm__layer *layer, unsigned index, char **strings,
                              struct tcpm_certificate *ret)
{
    const struct tcpm__tls *tls = TCPM__CONTAINER(layer, const struct tcpm__tls, layer);
    X509 *certificate = sk_X509_value(tcpm__tls_chain(tls), (int) index);

    if (certificate == NULL)
        return 0;
    int result = tcpm__certificate_describe(tcpm__tls_memory(tls), certificate, strings, ret);

    return result < 0 ? result : 1;
}

void tcpm__tls_validate(const struct tcpm__layer *layer)
{
    const struct tcpm__tls *tls = TCPM__CONTAINER(layer, const struct tcpm__tls, layer);
    bool has_wire = layer->wire != NULL || tls->error < 0;

    TCPM__ASSERT(tls->window_length == 0 && tls->wire_length == 0);
    TCPM__ASSERT(tls->first <= tls->count && tls->count <= TCPM__TLS_RECORDS);
    TCPM__ASSERT((tls->text > 0) == (tls->first < tls->count));
    TCPM__ASSERT(tls->text == 0 || has_wire);
    TCPM__ASSERT(!tls->holds_flight || has_wire);
    TCPM__ASSERT(tls->is_begun || !tls->is_open);
    TCPM__ASSERT(tls->is_open || (tls->text == 0 && tls->end == NO_END && !tls->is_finished));
}
