/* SPDX-License-Identifier: MIT */
/*
 * Sessions of TLS that may be resumed: by whose specification, with which server and port. A
 * session is offered to nobody else: it would bypass what another specification verifies.
 *
 * What always holds: 1,024 sessions are kept at most, 4 of one key; the one that was kept first
 * goes first. A session of TLS 1.3 is given out once (RFC 8446, C.4), one of TLS 1.2 again and
 * again. None is given out whose certificate has expired since.
 */
#ifndef TCPM_TRANSPORT_TLS_SESSIONS_H
#define TCPM_TRANSPORT_TLS_SESSIONS_H

#include <stdbool.h>
#include <stdint.h>

#include <openssl/ssl.h>

#include "base/list.h"
#include "base/memory.h"
#include "transport/verdict.h"

enum { TCPM__TLS_SESSIONS = 1024, TCPM__TLS_SESSION_BUCKETS = 128 };

struct tcpm__tls_session_key {
    const void *owner; /* a specification */
    const char *server_name;
    unsigned port;
};

struct tcpm__tls_sessions {
    const struct tcpm__memory *memory;
    struct tcpm__list all; /* kept first, first */
    size_t count;
    uint32_t salt;
    struct tcpm__list buckets[TCPM__TLS_SESSION_BUCKETS]; /* each in the order of all */
};

void tcpm__tls_sessions_init(struct tcpm__tls_sessions *sessions,
                             const struct tcpm__memory *memory);
void tcpm__tls_sessions_free(struct tcpm__tls_sessions *sessions);

/* Keeps a session with the problems of its handshake, and takes over the caller's reference.
   False: there is no memory, and the reference is still the caller's. */
bool tcpm__tls_sessions_keep(struct tcpm__tls_sessions *sessions,
                             const struct tcpm__tls_session_key *key, SSL_SESSION *session,
                             const struct tcpm__tls_verdict *verdict);

/* Gives the session that was kept last, with a reference of the caller's own, and puts the problems
   of its handshake into the verdict; NULL: there is none. */
SSL_SESSION *tcpm__tls_sessions_take(struct tcpm__tls_sessions *sessions,
                                     const struct tcpm__tls_session_key *key,
                                     struct tcpm__tls_verdict *verdict);

/* Forgets all sessions of an owner. */
void tcpm__tls_sessions_forget(struct tcpm__tls_sessions *sessions, const void *owner);

/* For assertions (connection/validate.c). */
void tcpm__tls_sessions_validate(const struct tcpm__tls_sessions *sessions);

#endif
