/* SPDX-License-Identifier: MIT */
/*
 * The functions that OpenSSL calls in a layer of TLS: a BIO over the window and the wire buffer,
 * and the callback that tells of alerts and messages. A BIO of OpenSSL's own would cost a system
 * call for each record, or a copy.
 *
 * What always holds: a write never asks for another try. A read does so only when the window is
 * empty.
 */
#include "transport/tls_layer.h"

static int bio_read(BIO *bio, char *bytes, size_t length, size_t *ret)
{
    struct tcpm__tls *tls = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    if (tcpm__tls_is_flooded(tls))
        return -1;
    if (tls->window_length == 0) {
        tls->is_starved = true;
        BIO_set_retry_read(bio);
        return -1;
    }
    if (length > tls->window_length)
        length = tls->window_length;
    memcpy(bytes, tls->window, length);
    tls->window += length;
    tls->window_length -= length;
    *ret = length;
    return 1;
}

/* Fails only when a peer has asked for more answers than fit into the buffer. */
static int bio_write(BIO *bio, const char *bytes, size_t length, size_t *ret)
{
    struct tcpm__tls *tls = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    if (length > TCPM__WIRE_SIZE - tls->wire_length)
        return -1;
    memcpy(tls->layer.network->wire_buffer + tls->wire_length, bytes, length);
    tls->wire_length += length;
    *ret = length;
    return 1;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    (void) bio, (void) number, (void) pointer;
    return command == BIO_CTRL_FLUSH;
}

static int bio_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

static BIO_METHOD *make_method(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "tcpmulti");

    if (method == NULL)
        return NULL;
    BIO_meth_set_read_ex(method, bio_read);
    BIO_meth_set_write_ex(method, bio_write);
    BIO_meth_set_ctrl(method, bio_control);
    BIO_meth_set_create(method, bio_create);
    return method;
}

/* Called for alerts, and for each message of a handshake. Tickets are wanted; key updates and
   requests for a new handshake are not, and cost a key or an alert each. */
static void on_info(const SSL *ssl, int where, int value)
{
    struct tcpm__tls_verdict *verdict = SSL_get_app_data(ssl);
    struct tcpm__tls_peer *peer = TCPM__CONTAINER(verdict, struct tcpm__tls_peer, verdict);
    struct tcpm__tls *tls = TCPM__CONTAINER(peer, struct tcpm__tls, peer);
    OSSL_HANDSHAKE_STATE state = SSL_get_state(ssl);

    if (where == SSL_CB_READ_ALERT && (value & 0xff) == SSL_AD_CLOSE_NOTIFY)
        tls->is_closed = true;
    if (where == SSL_CB_CONNECT_LOOP && tls->is_open && !tcpm__tls_is_flooded(tls) &&
        (state == TLS_ST_CR_KEY_UPDATE || state == TLS_ST_CR_HELLO_REQ))
        tls->idle_messages++;
}

int tcpm__tls_give_bio(struct tcpm__tls *tls)
{
    BIO_METHOD **method = tcpm__tls_spec_bio_method(tls->peer.spec);
    BIO *bio = NULL;

    if (*method == NULL)
        *method = make_method();
    if (*method != NULL)
        bio = BIO_new(*method);
    if (bio == NULL)
        return -ENOMEM;
    BIO_set_data(bio, tls);
    SSL_set_bio(tls->ssl, bio, bio);
    SSL_set_info_callback(tls->ssl, on_info);
    return 0;
}
