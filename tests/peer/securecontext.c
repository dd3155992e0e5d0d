/* SPDX-License-Identifier: MIT */
/*
 * See securecontext.h. All that a server can do wrong has to be possible, so the level of security
 * is 0: weak keys, weak signatures and old versions are the client's affair.
 */
#include "securecontext.h"

#include "authority.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>

/* ---- certificates ---- */

static struct authority *own_authority; /* lives as long as the process */

static void make_authority(void)
{
    own_authority = authority_create();
}

/* What the options say, or the good certificate of the process. */
static struct authority_pair pair_of(const struct peer_tls *options)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    struct authority_pair pair = {options->chain, options->key};

    if (options->chain != NULL)
        return pair;
    pthread_once(&once, make_authority);
    pthread_mutex_lock(&lock);
    if (own_authority != NULL)
        pair = authority_named(own_authority, "good");
    pthread_mutex_unlock(&lock);
    return pair;
}

static bool use_chain(SSL_CTX *ctx, const char *text)
{
    BIO *bio = BIO_new_mem_buf(text, -1);
    X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    bool is_used = certificate != NULL && SSL_CTX_use_certificate(ctx, certificate) == 1;

    X509_free(certificate);
    while (is_used && (certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL)
        is_used = SSL_CTX_add_extra_chain_cert(ctx, certificate) == 1;
    BIO_free(bio);
    return is_used;
}

static bool use_key(SSL_CTX *ctx, const char *text)
{
    BIO *bio = BIO_new_mem_buf(text, -1);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    bool is_used = key != NULL && SSL_CTX_use_PrivateKey(ctx, key) == 1;

    EVP_PKEY_free(key);
    BIO_free(bio);
    return is_used;
}

static bool use_pair(SSL_CTX *ctx, const struct peer_tls *options)
{
    struct authority_pair pair = pair_of(options);

    return pair.chain != NULL && pair.key != NULL && use_chain(ctx, pair.chain) &&
           use_key(ctx, pair.key);
}

static bool ask_for_client(SSL_CTX *ctx, const struct peer_tls *options)
{
    int mode = options->client == PEER_CLIENT_REQUIRED
                   ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT
                   : SSL_VERIFY_PEER;
    BIO *bio;
    X509 *root;
    bool is_trusted;

    if (options->client == PEER_CLIENT_NONE)
        return true;
    if (options->client_root == NULL)
        return false;
    bio = BIO_new_mem_buf(options->client_root, -1);
    root = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    is_trusted = root != NULL && X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), root) == 1 &&
                 SSL_CTX_add_client_CA(ctx, root) == 1;
    SSL_CTX_set_verify(ctx, mode, NULL);
    X509_free(root);
    BIO_free(bio);
    return is_trusted;
}

/* ---- protocols ---- */

/* The first of our protocols, "h2 http/1.1", that the client offers too. */
static int choose_protocol(SSL *ssl, const unsigned char **ret, unsigned char *ret_length,
                           const unsigned char *offered, unsigned length, void *argument)
{
    const char *word = argument;

    (void) ssl;
    while (*word != '\0') {
        size_t size = strcspn(word, " ");

        for (unsigned at = 0; at < length; at += 1U + offered[at]) {
            if (offered[at] == size && memcmp(offered + at + 1, word, size) == 0) {
                *ret = offered + at + 1;
                *ret_length = (unsigned char) size;
                return SSL_TLSEXT_ERR_OK;
            }
        }
        word += size + strspn(word + size, " ");
    }
    return SSL_TLSEXT_ERR_NOACK;
}

/* The text has to live as long as the context does. */
static bool set_protocols(SSL_CTX *ctx, const struct peer_tls *options)
{
    char *texts;

    if (options->alpn == NULL)
        return true;
    texts = strdup(options->alpn);
    if (texts == NULL || SSL_CTX_set_app_data(ctx, texts) != 1) {
        free(texts);
        return false;
    }
    SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, texts);
    return true;
}

static bool set_versions(SSL_CTX *ctx, const struct peer_tls *options)
{
    int least = options->min_version != 0 ? options->min_version : TLS1_2_VERSION;

    return SSL_CTX_set_min_proto_version(ctx, least) == 1 &&
           SSL_CTX_set_max_proto_version(ctx, options->max_version) == 1;
}

static bool set_ciphers(SSL_CTX *ctx, const struct peer_tls *options)
{
    return (options->ciphers == NULL || SSL_CTX_set_cipher_list(ctx, options->ciphers) == 1) &&
           (options->ciphersuites == NULL ||
            SSL_CTX_set_ciphersuites(ctx, options->ciphersuites) == 1);
}

/* Sessions of TLS 1.2 are kept by tickets too. */
static bool set_tickets(SSL_CTX *ctx, const struct peer_tls *options)
{
    static const unsigned char peers[] = "peer";

    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    if (options->tickets < 0)
        SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
    if (options->tickets != 0 &&
        SSL_CTX_set_num_tickets(ctx, options->tickets < 0 ? 0 : (size_t) options->tickets) != 1)
        return false;
    return SSL_CTX_set_session_id_context(ctx, peers, sizeof peers - 1) == 1;
}

static const char *refused_part(SSL_CTX *ctx, const struct peer_tls *options)
{
    if (!set_versions(ctx, options))
        return "version";
    if (!set_ciphers(ctx, options))
        return "ciphers";
    if (!use_pair(ctx, options))
        return "chain, key";
    if (!ask_for_client(ctx, options))
        return "client_root";
    if (!set_protocols(ctx, options))
        return "alpn";
    return set_tickets(ctx, options) ? NULL : "tickets";
}

SSL_CTX *secure_make_context(const struct peer_tls *options, char *message, size_t size)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    const char *part = "memory", *reason;

    if (ctx != NULL) {
        SSL_CTX_set_security_level(ctx, 0);
        SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
        part = refused_part(ctx, options);
    }
    reason = ERR_reason_error_string(ERR_peek_last_error());
    if (part != NULL) {
        (void) snprintf(message, size, "%s: %s", part, reason != NULL ? reason : "refused");
        SSL_CTX_free(ctx);
        ctx = NULL;
    }
    ERR_clear_error();
    return ctx;
}
