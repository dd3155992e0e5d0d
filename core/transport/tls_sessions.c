/* SPDX-License-Identifier: MIT */
/* See tls_sessions.h. */
#include "transport/tls_sessions.h"

#include <string.h>

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/assert.h"
#include "base/hash.h"

enum { MOST_PER_KEY = 4 };

struct kept {
    struct tcpm__list link; /* in the list of all */
    struct tcpm__list in_bucket;
    SSL_SESSION *session;
    const void *owner;
    uint32_t problems; /* as in a verdict */
    int error;         /* likewise */
    unsigned port;
    char server_name[];
};

void tcpm__tls_sessions_init(struct tcpm__tls_sessions *sessions, const struct tcpm__memory *memory)
{
    sessions->memory = memory;
    sessions->count = 0;
    sessions->salt = tcpm__hash_salt(sessions);
    tcpm__list_init(&sessions->all);
    for (size_t i = 0; i < TCPM__TLS_SESSION_BUCKETS; i++)
        tcpm__list_init(&sessions->buckets[i]);
}

static struct kept *oldest(const struct tcpm__tls_sessions *sessions)
{
    return TCPM__CONTAINER(sessions->all.next, struct kept, link);
}

static struct kept *in_bucket(struct tcpm__list *node)
{
    return TCPM__CONTAINER(node, struct kept, in_bucket);
}

static void drop(struct tcpm__tls_sessions *sessions, struct kept *kept)
{
    TCPM__ASSERT(sessions->count > 0);
    tcpm__list_remove(&kept->link);
    tcpm__list_remove(&kept->in_bucket);
    SSL_SESSION_free(kept->session);
    tcpm__memory_free(sessions->memory, kept);
    sessions->count--;
}

void tcpm__tls_sessions_free(struct tcpm__tls_sessions *sessions)
{
    while (sessions->count > 0)
        drop(sessions, oldest(sessions));
}

void tcpm__tls_sessions_forget(struct tcpm__tls_sessions *sessions, const void *owner)
{
    for (struct tcpm__list *at = sessions->all.next, *next; at != &sessions->all; at = next) {
        struct kept *kept = TCPM__CONTAINER(at, struct kept, link);

        next = at->next;
        if (kept->owner == owner)
            drop(sessions, kept);
    }
}

static size_t bucket_index(const struct tcpm__tls_sessions *sessions, const char *server_name,
                           unsigned port)
{
    return tcpm__hash_bytes(sessions->salt ^ port, server_name, strlen(server_name)) %
           TCPM__TLS_SESSION_BUCKETS;
}

static struct tcpm__list *bucket_of(struct tcpm__tls_sessions *sessions,
                                    const struct tcpm__tls_session_key *key)
{
    return &sessions->buckets[bucket_index(sessions, key->server_name, key->port)];
}

static bool has_key(const struct kept *kept, const struct tcpm__tls_session_key *key)
{
    return kept->owner == key->owner && kept->port == key->port &&
           strcmp(kept->server_name, key->server_name) == 0;
}

/* A session comes in: the oldest of its key goes if there are enough of them, or the oldest. */
static void make_room(struct tcpm__tls_sessions *sessions, struct tcpm__list *bucket,
                      const struct tcpm__tls_session_key *key)
{
    struct kept *first = NULL;
    int count = 0;

    for (struct tcpm__list *at = bucket->prev; at != bucket; at = at->prev)
        if (has_key(in_bucket(at), key)) {
            first = in_bucket(at);
            count++;
        }
    TCPM__ASSERT(count <= MOST_PER_KEY);
    if (count == MOST_PER_KEY)
        drop(sessions, first);
    else if (sessions->count == TCPM__TLS_SESSIONS)
        drop(sessions, oldest(sessions));
}

bool tcpm__tls_sessions_keep(struct tcpm__tls_sessions *sessions,
                             const struct tcpm__tls_session_key *key, SSL_SESSION *session,
                             const struct tcpm__tls_verdict *verdict)
{
    struct tcpm__list *bucket = bucket_of(sessions, key);
    size_t size = strlen(key->server_name) + 1;
    struct kept *kept = tcpm__memory_zeroed(sessions->memory, sizeof *kept + size);

    if (kept == NULL)
        return false;
    make_room(sessions, bucket, key);
    kept->session = session;
    kept->owner = key->owner;
    kept->port = key->port;
    kept->problems = verdict->problems;
    kept->error = verdict->error;
    memcpy(kept->server_name, key->server_name, size);
    tcpm__list_append(&sessions->all, &kept->link);
    tcpm__list_append(bucket, &kept->in_bucket);
    sessions->count++;
    return true;
}

/* OpenSSL makes a session useless when its connection is broken. A resumed handshake would not find
   out that the certificate has expired. */
static bool is_usable(const struct kept *kept)
{
    const X509 *certificate = SSL_SESSION_get0_peer(kept->session);

    if (!SSL_SESSION_is_resumable(kept->session))
        return false;
    return certificate == NULL || (kept->problems & TCPM_PROBLEM_EXPIRED) != 0 ||
           X509_cmp_current_time(X509_get0_notAfter(certificate)) > 0;
}

/* A reference for the caller. */
static SSL_SESSION *give(struct tcpm__tls_sessions *sessions, struct kept *kept)
{
    SSL_SESSION *session = kept->session;

    SSL_SESSION_up_ref(session);
    if (SSL_SESSION_get_protocol_version(session) >= TLS1_3_VERSION)
        drop(sessions, kept);
    return session;
}

SSL_SESSION *tcpm__tls_sessions_take(struct tcpm__tls_sessions *sessions,
                                     const struct tcpm__tls_session_key *key,
                                     struct tcpm__tls_verdict *verdict)
{
    struct tcpm__list *bucket = bucket_of(sessions, key);

    for (struct tcpm__list *at = bucket->prev, *before; at != bucket; at = before) {
        struct kept *kept = in_bucket(at);

        before = at->prev;
        if (!has_key(kept, key))
            continue;
        if (is_usable(kept)) {
            verdict->problems = kept->problems;
            verdict->error = kept->error;
            return give(sessions, kept);
        }
        drop(sessions, kept);
    }
    return NULL;
}

/* Number of sessions in the bucket. */
static size_t validate_bucket(const struct tcpm__tls_sessions *sessions, size_t index)
{
    const struct tcpm__list *bucket = &sessions->buckets[index];
    size_t count = 0;

    for (struct tcpm__list *at = bucket->next; at != bucket; at = at->next) {
        const struct kept *kept = in_bucket(at);

        TCPM__ASSERT(at->next->prev == at && kept->link.next->prev == &kept->link);
        TCPM__ASSERT(kept->session != NULL && kept->owner != NULL);
        TCPM__ASSERT(bucket_index(sessions, kept->server_name, kept->port) == index);
        count++;
    }
    return count;
}

void tcpm__tls_sessions_validate(const struct tcpm__tls_sessions *sessions)
{
    size_t count = 0;

    for (size_t i = 0; i < TCPM__TLS_SESSION_BUCKETS; i++)
        count += validate_bucket(sessions, i);
    TCPM__ASSERT(count == sessions->count && count <= TCPM__TLS_SESSIONS);
    TCPM__ASSERT(tcpm__list_empty(&sessions->all) == (count == 0));
}
