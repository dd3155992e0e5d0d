/* SPDX-License-Identifier: MIT */
/* See secured.h. */
#include "secured.h"

#ifdef TCPM_HAVE_OPENSSL

#include "authority.h"
#include "secure.h"
#include "securecontext.h"

#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>

#include <openssl/err.h>

static struct {
    struct authority *authority;
    struct secure_context *context;
    SSL_CTX *ctx; /* for handshakes that are cut */
} secured;        /* lives as long as the process */

static void make(void)
{
    char message[200] = "";

    secured.authority = authority_create();
    CHECK(secured.authority != NULL);
    struct authority_pair good = authority_named(secured.authority, "good");
    const struct peer_tls options = {.chain = good.chain, .key = good.key};

    secured.context = secure_context_open(&options, message, sizeof message);
    secured.ctx = secure_make_context(&options, message, sizeof message);
    EXPECT(secured.context != NULL && secured.ctx != NULL, "%s", message);
}

struct secure_context *secured_context(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, make);
    return secured.context;
}

static SSL *make_server(bool is_1_2)
{
    SSL *ssl = SSL_new(secured.ctx);
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());

    CHECK(ssl != NULL && in != NULL && out != NULL);
    SSL_set_bio(ssl, in, out);
    SSL_set_accept_state(ssl);
    if (is_1_2)
        SSL_set_max_proto_version(ssl, TLS1_2_VERSION);
    return ssl;
}

/* Sends what the server has to say. False: the client has not got all of it. */
static bool send_flight(int fd, SSL *ssl, size_t *most)
{
    char flight[16384];
    int length = BIO_read(SSL_get_wbio(ssl), flight, sizeof flight);
    size_t part = length < 0 ? 0 : (size_t) length;
    bool is_cut = part > *most;

    if (is_cut)
        part = *most;
    *most -= part;
    return (part == 0 || send(fd, flight, part, MSG_NOSIGNAL) == (ssize_t) part) && !is_cut;
}

static bool hear(int fd, SSL *ssl)
{
    char bytes[4096];
    ssize_t got = recv(fd, bytes, sizeof bytes, 0);

    return got > 0 && BIO_write(SSL_get_rbio(ssl), bytes, (int) got) == got;
}

bool secured_shake_in_part(int fd, bool is_1_2, size_t most)
{
    SSL *ssl = make_server(is_1_2);
    bool is_over = false, has_spoken = false, going = true;

    while (going && !is_over && !(has_spoken && !is_1_2)) {
        is_over = SSL_do_handshake(ssl) == 1;
        has_spoken = BIO_pending(SSL_get_wbio(ssl)) > 0;
        going =
            send_flight(fd, ssl, &most) && (is_over || (has_spoken && !is_1_2) || hear(fd, ssl));
    }
    ERR_clear_error();
    SSL_free(ssl);
    return going;
}

int secured_create(struct tcpm_engine *engine, struct tcpm_tls **ret)
{
    CHECK(secured_context() != NULL);
    const struct tcpm_tls_options options = {.size = sizeof options,
                                             .ca = authority_root(secured.authority)};
    const char *message = NULL;
    int result = tcpm_tls_create(engine, &options, ret, &message);

    EXPECT(result == 0 || result == -ENOMEM, "%s", message);
    return result;
}

#else

struct secure_context *secured_context(void)
{
    return NULL;
}

bool secured_shake_in_part(int fd, bool is_1_2, size_t most)
{
    (void) fd, (void) is_1_2, (void) most;
    return false;
}

int secured_create(struct tcpm_engine *engine, struct tcpm_tls **ret)
{
    return tcpm_tls_create(engine, NULL, ret, NULL);
}

#endif
