/* SPDX-License-Identifier: MIT */
/* See tls_spec.h. */
#include "transport/tls_spec.h"

#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/assert.h"
#include "base/options.h"
#include "transport/credentials.h"
#include "transport/pem.h"
#include "transport/server_name.h"
#include "transport/tls_sessions.h"
#include "transport/tls_settings.h"
#include "transport/trust.h"
#include "transport/verdict.h"

struct tcpm__tls_shared {
    struct tcpm__memory memory; /* a copy, as specifications may outlive the engine */
    uint32_t holders;           /* the engine, until the close, and each specification */
    tcpm__tls_key_log *key_log;
    void *key_log_user;
    struct tcpm__trusts trusts;
    struct tcpm__tls_sessions sessions;
    struct tcpm_tls *plain; /* all its options are defaults; not held; NULL: there is none */
    BIO_METHOD *bio_method;
    struct tcpm__tls_trouble trouble;
};

/* ---- what is shared ---- */

int tcpm__tls_shared_open(const struct tcpm__memory *memory, tcpm__tls_key_log *key_log, void *user,
                          struct tcpm__tls_shared **ret)
{
    struct tcpm__tls_shared *made = tcpm__memory_zeroed(memory, sizeof *made);

    if (made == NULL)
        return -ENOMEM;
    made->memory = *memory;
    made->holders = 1;
    made->key_log = key_log;
    made->key_log_user = user;
    tcpm__trusts_init(&made->trusts, &made->memory);
    tcpm__tls_sessions_init(&made->sessions, &made->memory);
    *ret = made;
    return 0;
}

void tcpm__tls_shared_close(struct tcpm__tls_shared *shared)
{
    if (shared == NULL || --shared->holders > 0)
        return;
    struct tcpm__memory memory = shared->memory;
    TCPM__ASSERT(shared->plain == NULL);
    tcpm__tls_sessions_free(&shared->sessions);
    tcpm__trusts_free(&shared->trusts);
    BIO_meth_free(shared->bio_method);
    tcpm__memory_free(&memory, shared);
}

void tcpm__tls_shared_validate(const struct tcpm__tls_shared *shared)
{
    TCPM__ASSERT(shared->holders > 0);
    TCPM__ASSERT(shared->plain == NULL ||
                 (shared->plain->shared == shared && shared->plain->uses > 0));
    tcpm__trusts_validate(&shared->trusts);
    tcpm__tls_sessions_validate(&shared->sessions);
}

struct bio_method_st **tcpm__tls_spec_bio_method(const struct tcpm_tls *spec)
{
    return &spec->shared->bio_method;
}

/* ---- from options to a specification ---- */

static void on_key_log(const SSL *ssl, const char *line)
{
    const struct tcpm_tls *spec = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

    spec->shared->key_log(line, spec->shared->key_log_user);
}

static struct tcpm__tls_session_key key_of(const struct tcpm__tls_peer *peer)
{
    return (struct tcpm__tls_session_key){
        .owner = peer->spec,
        .server_name = peer->verdict.server_name,
        .port = peer->port,
    };
}

/* 1: the reference to the session is ours now; 0: it is not. */
static int on_session(SSL *ssl, SSL_SESSION *session)
{
    struct tcpm__tls_peer *peer =
        TCPM__CONTAINER(SSL_get_app_data(ssl), struct tcpm__tls_peer, verdict);
    struct tcpm__tls_session_key key = key_of(peer);

    return tcpm__tls_sessions_keep(&peer->spec->shared->sessions, &key, session, &peer->verdict);
}

/* Sessions are kept by us alone: OpenSSL's own cache knows neither the server's name nor its port,
   and keeps them all. */
static void set_resumption(struct tcpm_tls *spec)
{
    SSL_CTX_set_session_cache_mode(
        spec->context, spec->no_resumption ? SSL_SESS_CACHE_OFF
                                           : SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    if (spec->no_resumption)
        SSL_CTX_set_options(spec->context, SSL_OP_NO_TICKET);
    else
        SSL_CTX_sess_set_new_cb(spec->context, on_session);
}

static void set_callbacks(struct tcpm_tls *spec)
{
    set_resumption(spec);
    SSL_CTX_set_app_data(spec->context, spec);
    tcpm__verdict_attach(spec->context);
    if (spec->shared->key_log != NULL)
        SSL_CTX_set_keylog_callback(spec->context, on_key_log);
}

static int make_context(struct tcpm_tls *spec, const struct tcpm_tls_options *options)
{
    struct tcpm__tls_trouble *trouble = &spec->shared->trouble;

    spec->context = SSL_CTX_new(TLS_client_method());
    if (spec->context == NULL)
        return tcpm__trouble_note_openssl(trouble, "tls");
    SSL_CTX_set1_cert_store(spec->context, spec->trust->store);
    int code = tcpm__tls_settings_apply(spec->context, options, &spec->security, trouble);

    if (code == 0)
        code = tcpm__credentials_load(spec->context, options, trouble);
    if (code == 0)
        set_callbacks(spec);
    return code;
}

static void free_spec(struct tcpm_tls *spec)
{
    struct tcpm__tls_shared *shared = spec->shared;

    if (shared->plain == spec)
        shared->plain = NULL;
    tcpm__tls_sessions_forget(&shared->sessions, spec);
    SSL_CTX_free(spec->context);
    tcpm__trusts_drop(&shared->trusts, spec->trust);
    tcpm__memory_free(&shared->memory, spec);
    tcpm__tls_shared_close(shared);
}

/* A specification that takes over a trust. */
static int create(struct tcpm__tls_shared *shared, const struct tcpm_tls_options *options,
                  struct tcpm__trust *trust, struct tcpm_tls **ret)
{
    struct tcpm_tls *made = tcpm__memory_zeroed(&shared->memory, sizeof *made);

    if (made == NULL) {
        tcpm__trusts_drop(&shared->trusts, trust);
        return -ENOMEM;
    }
    shared->holders++;
    *made = (struct tcpm_tls){
        .shared = shared,
        .trust = trust,
        .uses = 1,
        .allow_truncation = options->allow_truncation != 0,
        .no_sni = options->no_sni != 0,
        .no_resumption = options->no_resumption != 0,
    };
    int code = tcpm__tls_settings_read_rules(options, &made->rules, &shared->trouble);

    if (code == 0)
        code = make_context(made, options);
    made->rules.no_authorities = trust->nothing;
    if (code < 0)
        free_spec(made);
    else
        *ret = made;
    return code;
}

static bool is_plain(const struct tcpm_tls_options *options)
{
    static const struct tcpm_tls_options none = {.size = sizeof none};

    return memcmp(options, &none, sizeof none) == 0;
}

static int make(struct tcpm__tls_shared *shared, const struct tcpm_tls_options *options,
                struct tcpm_tls **ret)
{
    struct tcpm__trust *trust;
    int code =
        tcpm__trusts_get(&shared->trusts, options->ca, options->ca_path, &shared->trouble, &trust);

    if (code < 0)
        return code;
    if (is_plain(options) && shared->plain != NULL && shared->plain->trust == trust) {
        tcpm__trusts_drop(&shared->trusts, trust);
        *ret = tcpm__tls_spec_hold(shared->plain);
        return 0;
    }
    code = create(shared, options, trust, ret);
    if (code == 0 && is_plain(options))
        shared->plain = *ret;
    return code;
}

int tcpm__tls_spec_make(struct tcpm__tls_shared *shared, const struct tcpm_tls_options *options,
                        struct tcpm_tls **ret, const char **message)
{
    struct tcpm_tls_options read;
    int code = tcpm__options_read(options, &read, sizeof read);

    ERR_clear_error();
    read.size = sizeof read;
    shared->trouble.text[0] = '\0';
    if (code == 0)
        code = make(shared, &read, ret);
    ERR_clear_error();
    *message = shared->trouble.text[0] != '\0' ? shared->trouble.text : tcpm_error_text(code);
    return code;
}

struct tcpm_tls *tcpm__tls_spec_hold(struct tcpm_tls *spec)
{
    TCPM__ASSERT(spec->uses > 0);
    spec->uses++;
    return spec;
}

void tcpm__tls_spec_drop(struct tcpm_tls *spec)
{
    if (spec != NULL && --spec->uses == 0)
        free_spec(spec);
}

/* ---- from a specification to the SSL of a connection ---- */

/* Whom the server has to be. The subject of a certificate is no name (RFC 6125, 6.4.4). */
static bool set_name(const struct tcpm_tls *spec, SSL *ssl, const char *name)
{
    if (tcpm__server_name_is_address(name))
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
    SSL_set_hostflags(ssl,
                      X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    return SSL_set1_host(ssl, name) == 1 &&
           (spec->no_sni || SSL_set_tlsext_host_name(ssl, name) == 1);
}

/* Offers a session that is kept. If the server accepts it, no certificate is sent, and what was
   found in the first handshake still holds. */
static void offer_session(struct tcpm__tls_peer *peer, SSL *ssl)
{
    struct tcpm__tls_session_key key = key_of(peer);
    SSL_SESSION *session =
        tcpm__tls_sessions_take(&peer->spec->shared->sessions, &key, &peer->verdict);

    if (session != NULL)
        SSL_set_session(ssl, session);
    SSL_SESSION_free(session);
}

/* NULL: no memory. OpenSSL 3.5 may give an SSL without a record layer then, and crash at its first
   use: only the queue of errors tells. */
static SSL *make_ssl(SSL_CTX *context)
{
    unsigned long before = ERR_peek_last_error();
    SSL *ssl = SSL_new(context);

    if (ssl != NULL)
        SSL_set_connect_state(ssl);
    if (ERR_peek_last_error() == before)
        return ssl;
    SSL_free(ssl);
    return NULL;
}

int tcpm__tls_spec_connect(struct tcpm_tls *spec, const char *server_name, unsigned port,
                           struct tcpm__tls_peer *peer, SSL **ret)
{
    SSL *ssl = make_ssl(spec->context);

    TCPM__ASSERT(server_name[0] != '\0' && server_name[0] != '.');
    if (ssl == NULL || SSL_set_app_data(ssl, &peer->verdict) != 1 ||
        !set_name(spec, ssl, server_name)) {
        SSL_free(ssl);
        ERR_clear_error();
        return -ENOMEM;
    }
    *peer = (struct tcpm__tls_peer){
        .spec = spec,
        .port = port,
        .verdict = {.rules = &spec->rules, .server_name = server_name},
    };
    offer_session(peer, ssl);
    *ret = ssl;
    return 0;
}
