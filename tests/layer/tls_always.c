/* SPDX-License-Identifier: MIT */
/*
 * What a build with -Dtest_layer=tls links into the library: every connection gets TLS by a fixed
 * specification, which trusts anybody and resumes nothing.
 *
 * What always holds: each thread has a specification of its own, made with its first connection and
 * dropped when it ends, since the specifications of an engine may be used by one thread only. They
 * use the C library's memory, so that an engine's account has nothing of them.
 */
#include "tls_always.h"

#include "transport/tls.h"

#include <pthread.h>
#include <stdlib.h>

/* Any certificate: that of nobody saves the 20 ms in which the system's are read. */
static const char nobody[] = "-----BEGIN CERTIFICATE-----\n"
                             "MIIBeTCCAR+gAwIBAgIUPdWXn5ZK2gjTyUOgZjBwtYq8augwCgYIKoZIzj0EAwIw\n"
                             "ETEPMA0GA1UEAwwGbm9ib2R5MCAXDTI2MTEzMDA2MjUwNFoYDzIxMjYxMTA2MDYy\n"
                             "NTA0WjARMQ8wDQYDVQQDDAZub2JvZHkwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC\n"
                             "AAQ+OTCIyUCp439eDFAqJoIpnJMKci07fkkzhP3scgLwI9zSttyaEH6b6bEbi2k1\n"
                             "g7rE1QPZ4tZtJ57GXfZDyQRuo1MwUTAdBgNVHQ4EFgQUCpP40N4d1a9Zt2EALrTN\n"
                             "X9i9MuMwHwYDVR0jBBgwFoAUCpP40N4d1a9Zt2EALrTNX9i9MuMwDwYDVR0TAQH/\n"
                             "BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiB5CP90L3BxxYwx8DIJHWT14VEBoGIx\n"
                             "ijWrYh2DrBGibAIhAOEtwc2842xaVO8/EJO3RL6/IBhVk20jQNN9RNZIDOuf\n"
                             "-----END CERTIFICATE-----\n";

struct always {
    struct tcpm__tls_shared *shared;
    struct tcpm_tls *spec;
};

static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void drop(void *value)
{
    struct always *always = value;

    tcpm__tls_spec_drop(always->spec);
    tcpm__tls_shared_close(always->shared);
    free(always);
}

static void make_key(void)
{
    if (pthread_key_create(&key, drop) != 0)
        abort();
}

/* NULL: without memory. */
static struct always *make(void)
{
    const struct tcpm_tls_options options = {
        .size = sizeof options, .no_verify = 1, .no_resumption = 1, .ca = nobody};
    struct always *always = calloc(1, sizeof *always);
    const char *message;

    if (always == NULL)
        return NULL;
    if (tcpm__tls_shared_open(&tcpm__memory_default, NULL, NULL, &always->shared) == 0 &&
        tcpm__tls_spec_make(always->shared, &options, &always->spec, &message) == 0 &&
        pthread_setspecific(key, always) == 0)
        return always;
    drop(always);
    return NULL;
}

/* The specification of this thread. NULL: without memory. */
static struct tcpm_tls *spec_of_thread(void)
{
    struct always *always;

    pthread_once(&once, make_key);
    always = pthread_getspecific(key);
    if (always == NULL)
        always = make();
    return always != NULL ? always->spec : NULL;
}

int tls_always_open(struct tcpm__network *network, struct tcpm__layer **ret)
{
    struct tcpm_tls *spec = spec_of_thread();

    return spec != NULL ? tcpm__tls_open(network, spec, "peer.test", 0, ret) : -ENOMEM;
}

#ifdef TEST_LAYER_TLS
int tcpm__layer_open(struct tcpm__network *network, struct tcpm__layer **ret)
{
    return tls_always_open(network, ret);
}
#endif
