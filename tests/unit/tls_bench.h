/* SPDX-License-Identifier: MIT */
/*
 * A client by our specifications and a server of OpenSSL, in one process: what one writes, the
 * other reads from memory. The certificates come from tests/tls/authority.h.
 */
#ifndef TESTS_UNIT_TLS_BENCH_H
#define TESTS_UNIT_TLS_BENCH_H

#include "support.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "authority.h"
#include "base/list.h"
#include "transport/tls_spec.h"

enum { SOME_PORT = 443 };

struct tls_bench {
    struct scarce scarce;
    struct tcpm__tls_shared *shared;
    const char *message; /* of the last specification */
};

/* Of all tests of a program. */
static struct authority *authority;

/* A client and a server that have met. */
struct meeting {
    struct tcpm__tls_peer peer;
    SSL *client, *server;
    bool is_open;       /* the client's handshake is done */
    const char *reason; /* of the client's failure, in OpenSSL's words */
    const char *sent;   /* the last alert that the client has sent; NULL: none */
};

static inline int create_authority(void **state)
{
    (void) state;
    authority = authority_create();
    return authority == NULL;
}

static inline int free_authority(void **state)
{
    (void) state;
    authority_free(authority);
    return 0;
}

static inline void tls_bench_open(struct tls_bench *bench)
{
    scarce_init(&bench->scarce);
    assert_int_equal(tcpm__tls_shared_open(&bench->scarce.memory, NULL, NULL, &bench->shared), 0);
}

static inline void tls_bench_close(struct tls_bench *bench)
{
    tcpm__tls_shared_validate(bench->shared);
    tcpm__tls_shared_close(bench->shared);
    assert_int_equal(bench->scarce.blocks, 0);
    assert_int_equal(ERR_peek_error(), 0);
}

static inline struct tcpm_tls *spec_of(struct tls_bench *bench, struct tcpm_tls_options options)
{
    struct tcpm_tls *spec;

    options.size = sizeof options;
    if (tcpm__tls_spec_make(bench->shared, &options, &spec, &bench->message) != 0)
        fail_msg("%s", bench->message);
    return spec;
}

/* ---- the server ---- */

static inline void use_pair(SSL_CTX *context, const struct authority_pair *pair)
{
    BIO *chain = BIO_new_mem_buf(pair->chain, -1), *key = BIO_new_mem_buf(pair->key, -1);
    X509 *certificate = PEM_read_bio_X509(chain, NULL, NULL, NULL), *other;
    EVP_PKEY *own = PEM_read_bio_PrivateKey(key, NULL, NULL, NULL);

    assert_int_equal(SSL_CTX_use_certificate(context, certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(context, own), 1);
    while ((other = PEM_read_bio_X509(chain, NULL, NULL, NULL)) != NULL)
        assert_int_equal(SSL_CTX_add0_chain_cert(context, other), 1);
    ERR_clear_error();
    X509_free(certificate);
    EVP_PKEY_free(own);
    BIO_free(chain);
    BIO_free(key);
}

/* A server that shows a certificate, however weak. */
static inline SSL_CTX *server_of(struct authority_pair pair)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());

    assert_non_null(context);
    assert_non_null(pair.chain);
    SSL_CTX_set_min_proto_version(context, TLS1_VERSION);
    SSL_CTX_clear_options(context, SSL_OP_NO_SSL_MASK);
    SSL_CTX_set_security_level(context, 0);
    use_pair(context, &pair);
    return context;
}

/* ---- the meeting ---- */

static inline void on_info(const SSL *ssl, int where, int number)
{
    struct tcpm__tls_peer *peer =
        TCPM__CONTAINER(SSL_get_app_data(ssl), struct tcpm__tls_peer, verdict);
    struct meeting *meeting = TCPM__CONTAINER(peer, struct meeting, peer);

    if ((where & SSL_CB_WRITE_ALERT) == SSL_CB_WRITE_ALERT)
        meeting->sent = SSL_alert_desc_string_long(number);
}

/* Takes what the server sends behind its handshake. */
static inline void take_tickets(struct meeting *meeting)
{
    char byte;

    assert_int_equal(SSL_read(meeting->client, &byte, 1), -1);
    assert_int_equal(SSL_get_error(meeting->client, -1), SSL_ERROR_WANT_READ);
}

static inline void shake_hands(struct meeting *meeting)
{
    bool is_over = false;

    for (int i = 0; i < 8 && !is_over; i++) {
        int result = SSL_do_handshake(meeting->client);

        meeting->is_open = result == 1;
        is_over = result != 1 && SSL_get_error(meeting->client, result) != SSL_ERROR_WANT_READ;
        meeting->reason = is_over ? ERR_reason_error_string(ERR_peek_last_error()) : NULL;
        ERR_clear_error();
        SSL_do_handshake(meeting->server);
        ERR_clear_error();
    }
    if (meeting->is_open)
        take_tickets(meeting);
}

static inline void meet(struct meeting *meeting, struct tcpm_tls *spec, SSL_CTX *server,
                        const char *name, unsigned port)
{
    BIO *near, *far;

    *meeting = (struct meeting){.is_open = false};
    assert_int_equal(BIO_new_bio_pair(&near, 1 << 20, &far, 1 << 20), 1);
    assert_int_equal(tcpm__tls_spec_connect(spec, name, port, &meeting->peer, &meeting->client), 0);
    meeting->server = SSL_new(server);
    SSL_set_bio(meeting->client, near, near);
    SSL_set_bio(meeting->server, far, far);
    SSL_set_info_callback(meeting->client, on_info);
    SSL_set_accept_state(meeting->server);
    shake_hands(meeting);
}

/* Each side says that it sends no more. */
static inline void part(struct meeting *meeting)
{
    if (meeting->is_open)
        SSL_shutdown(meeting->client);
    SSL_free(meeting->client);
    SSL_free(meeting->server);
    ERR_clear_error();
}

#endif
