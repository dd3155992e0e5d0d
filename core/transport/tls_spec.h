/* SPDX-License-Identifier: MIT */
/*
 * Specifications of TLS: from struct tcpm_tls_options to an SSL_CTX, and from there to the SSL of
 * a connection. A specification is immutable and counted; all its files are read when it is made,
 * and never again. Memory of OpenSSL comes from the C library.
 *
 * What always holds: a specification keeps what is shared alive, even after the engine's end. An
 * SSL that was made here verifies whom it speaks to, or is told not to by no_verify; the name of
 * the server is never empty, so OpenSSL always has one to compare. The configuration file of
 * OpenSSL changes neither the versions of TLS nor how strict the verification is.
 */
#ifndef TCPM_TRANSPORT_TLS_SPEC_H
#define TCPM_TRANSPORT_TLS_SPEC_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/memory.h"
#include "tcpmulti.h"

/* Whether this library was built with OpenSSL. */
#ifdef TCPM_HAVE_OPENSSL
enum { TCPM__HAS_TLS = 1 };
#else
enum { TCPM__HAS_TLS = 0 };
#endif

/* Shared by the specifications of an engine: certificates of authorities, and sessions that may be
   resumed. */
struct tcpm__tls_shared;

/* Is given each line of the key log (SSLKEYLOGFILE), without its line feed. */
typedef void tcpm__tls_key_log(const char *line, void *user);

#ifdef TCPM_HAVE_OPENSSL

#include "transport/tls_settings.h"
#include "transport/verdict.h"

/* A specification. The members are read by the kind of layer that is TLS, and changed by nobody. */
struct tcpm_tls {
    struct tcpm__tls_shared *shared;
    SSL_CTX *context;
    struct tcpm__trust *trust; /* counted */
    uint32_t uses;             /* how often it is held */
    struct tcpm__verdict_rules rules;
    tcpm__security_check *security; /* OpenSSL's own */
    bool allow_truncation, no_sni, no_resumption;
};

/* The server that the SSL of a connection has to reach. It lies in the layer. */
struct tcpm__tls_peer {
    struct tcpm_tls *spec;
    unsigned port;
    struct tcpm__tls_verdict verdict; /* has the server's name too; the SSL's app data */
};

/* key_log: NULL is allowed. 0, or -ENOMEM. */
int tcpm__tls_shared_open(const struct tcpm__memory *memory, tcpm__tls_key_log *key_log, void *user,
                          struct tcpm__tls_shared **ret);
/* The engine needs it no more; it is freed with the last specification. NULL is allowed. */
void tcpm__tls_shared_close(struct tcpm__tls_shared *shared);

/* Makes a specification, or holds one that is the same. options: NULL stands for the defaults. 0;
   or negative: *message says which option is wrong and why, until the next call with shared. */
int tcpm__tls_spec_make(struct tcpm__tls_shared *shared, const struct tcpm_tls_options *options,
                        struct tcpm_tls **ret, const char **message);
struct tcpm_tls *tcpm__tls_spec_hold(struct tcpm_tls *spec);
/* NULL is allowed. */
void tcpm__tls_spec_drop(struct tcpm_tls *spec);

/* For assertions (connection/validate.c). */
void tcpm__tls_shared_validate(const struct tcpm__tls_shared *shared);

/* A place for the BIO_METHOD of the layer, NULL at first; freed with what is shared. */
struct bio_method_st **tcpm__tls_spec_bio_method(const struct tcpm_tls *spec);

/* Makes the SSL of a connection to a server, ready for SSL_do_handshake once it has a BIO: sends
   and verifies the name, offers a session that is kept, puts what it finds into peer->verdict.
   server_name: as tcpm__server_name_make (transport/server_name.h) has written it. It and peer are
   borrowed as long as the SSL lives, and peer must not move. The specification is not held. 0, or
   -ENOMEM. */
int tcpm__tls_spec_connect(struct tcpm_tls *spec, const char *server_name, unsigned port,
                           struct tcpm__tls_peer *peer, SSL **ret);

#else

static inline int tcpm__tls_shared_open(const struct tcpm__memory *memory,
                                        tcpm__tls_key_log *key_log, void *user,
                                        struct tcpm__tls_shared **ret)
{
    (void) memory, (void) key_log, (void) user;
    *ret = NULL;
    return 0;
}

static inline void tcpm__tls_shared_close(struct tcpm__tls_shared *shared)
{
    (void) shared;
}

static inline void tcpm__tls_shared_validate(const struct tcpm__tls_shared *shared)
{
    (void) shared;
}

static inline int tcpm__tls_spec_make(struct tcpm__tls_shared *shared,
                                      const struct tcpm_tls_options *options, struct tcpm_tls **ret,
                                      const char **message)
{
    (void) shared, (void) options, (void) ret;
    *message = "this library was built without OpenSSL";
    return -EOPNOTSUPP;
}

static inline struct tcpm_tls *tcpm__tls_spec_hold(struct tcpm_tls *spec)
{
    return spec;
}

static inline void tcpm__tls_spec_drop(struct tcpm_tls *spec)
{
    (void) spec;
}

#endif

#endif
