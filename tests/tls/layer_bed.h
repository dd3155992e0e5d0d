/* SPDX-License-Identifier: MIT */
/*
 * The bed of the tests of the layer of TLS alone: a client, which is the layer over one end of a
 * TCP connection on loopback, and a server by OpenSSL between two memory BIOs. The test moves the
 * server's bytes itself, so it can hold them back, change them, or send others. All runs in one
 * thread.
 *
 * The library's recv and send go through a shim (link with --wrap=recv,--wrap=send), which counts
 * calls, cuts them short, and lets the kernel be full.
 */
#ifndef TESTS_TLS_LAYER_BED_H
#define TESTS_TLS_LAYER_BED_H

#include "support.h"

#include "authority.h"
#include "transport/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

/* ---- the shim ---- */

static struct {
    size_t most; /* bytes of one call at most; 0: any number */
    size_t room; /* bytes that the kernel still takes; SIZE_MAX: as it likes */
    int failure; /* errno of each send; 0: none */
    int sends, receives;
    size_t received;
} shim = {.room = SIZE_MAX};

ssize_t __real_recv(int fd, void *bytes, size_t length, int flags);
ssize_t __real_send(int fd, const void *bytes, size_t length, int flags);
ssize_t __wrap_recv(int fd, void *bytes, size_t length, int flags);
ssize_t __wrap_send(int fd, const void *bytes, size_t length, int flags);

ssize_t __wrap_recv(int fd, void *bytes, size_t length, int flags)
{
    ssize_t got =
        __real_recv(fd, bytes, shim.most > 0 && shim.most < length ? shim.most : length, flags);

    shim.receives++;
    shim.received += got > 0 ? (size_t) got : 0;
    return got;
}

ssize_t __wrap_send(int fd, const void *bytes, size_t length, int flags)
{
    shim.sends++;
    if (shim.failure != 0 || (shim.room == 0 && length > 0)) {
        errno = shim.failure != 0 ? shim.failure : EAGAIN;
        return -1;
    }
    if (shim.most > 0 && length > shim.most)
        length = shim.most;
    if (length > shim.room)
        length = shim.room;
    ssize_t sent = __real_send(fd, bytes, length, flags);

    if (sent > 0 && shim.room != SIZE_MAX)
        shim.room -= (size_t) sent;
    return sent;
}

static inline void shim_reset(void)
{
    shim.most = 0;
    shim.room = SIZE_MAX;
    shim.failure = shim.sends = shim.receives = 0;
    shim.received = 0;
}

/* ---- the bed ---- */

struct bed {
    uv_loop_t loop;
    struct scarce scarce;
    struct tcpm__network network;
    struct tcpm__socket socket;
    struct tcpm__tls_shared *shared;
    struct tcpm_tls *spec;
    struct tcpm__layer *layer;
    SSL_CTX *context;
    SSL *server;
    BIO *to_server, *from_server;
    int peer;
};

struct bed_options {
    struct tcpm_tls_options tls;
    const char *certificate; /* default: "good" */
    const char *server_name; /* default: "peer.test" */
    const char *alpn;        /* that the server chooses; NULL: none */
    int version;             /* of TLS; default: any */
    bool asks_certificate;   /* the server wants one of the client */
};

static struct authority *bed_authority;

static const struct tcpm__socket_events bed_no_events;

static inline int bed_make_authority(void **state)
{
    (void) state;
    bed_authority = authority_create();
    return bed_authority == NULL ? -1 : 0;
}

static inline int bed_free_authority(void **state)
{
    (void) state;
    authority_free(bed_authority);
    return 0;
}

static inline void bed_connect(struct bed *bed)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(listener, (struct sockaddr *) &address, size), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *) &address, &size), 0);
    assert_int_equal(connect(fd, (struct sockaddr *) &address, size), 0);
    bed->peer = accept(listener, NULL, NULL);
    assert_true(bed->peer >= 0);
    close(listener);
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(bed->peer, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    fcntl(bed->peer, F_SETFL, O_NONBLOCK);
    bed->socket = (struct tcpm__socket){.fd = fd};
}

static inline int bed_choose_alpn(SSL *ssl, const unsigned char **ret, unsigned char *length,
                                  const unsigned char *offered, unsigned offered_length, void *user)
{
    const char *wanted = user;

    (void) ssl, (void) offered, (void) offered_length;
    *ret = (const unsigned char *) wanted;
    *length = (unsigned char) strlen(wanted);
    return SSL_TLSEXT_ERR_OK;
}

/* A context with the pair of a certificate of the authority. */
static inline SSL_CTX *bed_server_context(const char *name)
{
    struct authority_pair pair = authority_named(bed_authority, name);
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());

    assert_non_null(pair.chain);
    BIO *chain = BIO_new_mem_buf(pair.chain, -1), *key = BIO_new_mem_buf(pair.key, -1);
    X509 *certificate = PEM_read_bio_X509(chain, NULL, NULL, NULL);
    EVP_PKEY *private_key = PEM_read_bio_PrivateKey(key, NULL, NULL, NULL);

    SSL_CTX_set_security_level(context, 0);
    assert_int_equal(SSL_CTX_use_certificate(context, certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(context, private_key), 1);
    X509_free(certificate);
    while ((certificate = PEM_read_bio_X509(chain, NULL, NULL, NULL)) != NULL)
        assert_int_equal(SSL_CTX_add0_chain_cert(context, certificate), 1);
    ERR_clear_error();
    EVP_PKEY_free(private_key);
    BIO_free(chain);
    BIO_free(key);
    return context;
}

static inline void bed_make_ssl(struct bed *bed)
{
    bed->server = SSL_new(bed->context);
    bed->to_server = BIO_new(BIO_s_mem());
    bed->from_server = BIO_new(BIO_s_mem());
    BIO_set_mem_eof_return(bed->to_server, -1);
    SSL_set_bio(bed->server, bed->to_server, bed->from_server);
    SSL_set_accept_state(bed->server);
}

static inline void bed_make_server(struct bed *bed, const struct bed_options *options)
{
    bed->context = bed_server_context(options->certificate != NULL ? options->certificate : "good");
    if (options->version != 0) {
        SSL_CTX_set_min_proto_version(bed->context, options->version);
        SSL_CTX_set_max_proto_version(bed->context, options->version);
    }
    if (options->alpn != NULL)
        SSL_CTX_set_alpn_select_cb(bed->context, bed_choose_alpn, (void *) options->alpn);
    if (options->asks_certificate)
        SSL_CTX_set_verify(bed->context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    bed_make_ssl(bed);
}

static inline void bed_begin(struct bed *bed, const struct bed_options *given)
{
    struct bed_options options = given != NULL ? *given : (struct bed_options){.version = 0};
    const char *message;

    shim_reset();
    *bed = (struct bed){.peer = -1};
    scarce_init(&bed->scarce);
    assert_int_equal(uv_loop_init(&bed->loop), 0);
    assert_int_equal(
        tcpm__network_open(&bed->network, &bed->loop, &bed->scarce.memory, &bed_no_events, 1024),
        0);
    bed_connect(bed);
    assert_int_equal(tcpm__tls_shared_open(&bed->scarce.memory, NULL, NULL, &bed->shared), 0);
    options.tls.size = sizeof options.tls;
    if (options.tls.ca == NULL)
        options.tls.ca = authority_root(bed_authority);
    assert_int_equal(tcpm__tls_spec_make(bed->shared, &options.tls, &bed->spec, &message), 0);
    assert_int_equal(tcpm__tls_open(&bed->network, bed->spec,
                                    options.server_name != NULL ? options.server_name : "peer.test",
                                    443, &bed->layer),
                     0);
    bed_make_server(bed, &options);
}

static inline void bed_end(struct bed *bed)
{
    tcpm__layer_free(bed->layer);
    tcpm__tls_spec_drop(bed->spec);
    tcpm__tls_shared_close(bed->shared);
    close(bed->socket.fd);
    if (bed->peer >= 0)
        close(bed->peer);
    SSL_free(bed->server);
    SSL_CTX_free(bed->context);
    ERR_clear_error();
    tcpm__network_close(&bed->network);
    assert_int_equal(uv_run(&bed->loop, UV_RUN_DEFAULT), 0);
    tcpm__network_free(&bed->network);
    assert_int_equal(uv_loop_close(&bed->loop), 0);
    assert_int_equal(bed->scarce.blocks, 0);
}

/* ---- the wire ---- */

/* Waits until the client's end has something: loopback delivers soon, not at once. */
static inline void bed_await_client(struct bed *bed)
{
    struct pollfd pollfd = {.fd = bed->socket.fd, .events = POLLIN};

    assert_int_equal(poll(&pollfd, 1, 5000), 1);
    tcpm__network_begin_turn(&bed->network);
    tcpm__socket_mark_readable(&bed->socket);
}

/* Sends bytes to the client as they are. */
static inline void bed_write(struct bed *bed, const void *wire, size_t length)
{
    const char *bytes = wire;

    while (length > 0) {
        ssize_t written = write(bed->peer, bytes, length);

        assert_true(written > 0);
        bytes += written;
        length -= (size_t) written;
    }
    bed_await_client(bed);
}

/* Takes the bytes that the server has made, and not sent. The caller frees them. */
static inline char *bed_take(struct bed *bed, size_t *length)
{
    char *bytes;

    *length = (size_t) BIO_get_mem_data(bed->from_server, &bytes);
    char *copy = malloc(*length + 1);

    assert_non_null(copy);
    if (*length > 0)
        memcpy(copy, bytes, *length);
    (void) BIO_reset(bed->from_server);
    return copy;
}

static inline void bed_give(struct bed *bed)
{
    size_t length;
    char *wire = bed_take(bed, &length);

    if (length > 0)
        bed_write(bed, wire, length);
    free(wire);
}

/* Hands the server what the client has sent; gives the number of bytes. */
static inline size_t bed_fetch(struct bed *bed)
{
    static char bytes[65536];
    size_t all = 0;
    ssize_t got;

    while ((got = read(bed->peer, bytes, sizeof bytes)) > 0) {
        assert_int_equal(BIO_write(bed->to_server, bytes, (int) got), got);
        all += (size_t) got;
    }
    return all;
}

/* As bed_fetch, of so many bytes at least. */
static inline void bed_await_server(struct bed *bed, size_t least)
{
    struct pollfd pollfd = {.fd = bed->peer, .events = POLLIN};
    size_t all = 0;

    while (all < least) {
        assert_int_equal(poll(&pollfd, 1, 5000), 1);
        size_t got = bed_fetch(bed);
        assert_true(got > 0);
        all += got;
    }
}

static inline void bed_fin(struct bed *bed)
{
    assert_int_equal(shutdown(bed->peer, SHUT_WR), 0);
    bed_await_client(bed);
}

static inline void bed_rst(struct bed *bed)
{
    const struct linger now = {.l_onoff = 1, .l_linger = 0};

    setsockopt(bed->peer, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(bed->peer);
    bed->peer = -1;
    bed_await_client(bed);
}

/* ---- the client ---- */

/* Whether the client's part is running, for an allocator that spares the server. */
static bool bed_is_client;

#define BED_CLIENT(call)                     \
    __extension__({                          \
        bed_is_client = true;                \
        __typeof__(call) result_of = (call); \
        bed_is_client = false;               \
        result_of;                           \
    })

/* A read that the shim has cut short has not emptied the socket, as a short read of the kernel
   would have. */
static inline void bed_look(struct bed *bed)
{
    struct pollfd pollfd = {.fd = bed->socket.fd, .events = POLLIN};

    tcpm__network_begin_turn(&bed->network);
    if (shim.most > 0 && poll(&pollfd, 1, 0) == 1)
        tcpm__socket_mark_readable(&bed->socket);
}

static inline int bed_handshake(struct bed *bed)
{
    int result;

    do {
        bed_look(bed);
        result = BED_CLIENT(bed->layer->kind->handshake(bed->layer, &bed->socket));
        bed_look(bed);
    } while (result == 0 && tcpm__socket_is_readable(&bed->socket));
    return result;
}

/* One read. Gives its result, and the text at *ret. */
static inline ssize_t bed_read(struct bed *bed, char **ret)
{
    bed_look(bed);
    return BED_CLIENT(tcpm__stream_read(bed->layer, &bed->network, &bed->socket, ret));
}

static inline ssize_t bed_code(struct bed *bed)
{
    char *text;

    return bed_read(bed, &text);
}

static inline ssize_t bed_send(struct bed *bed, const void *text, size_t length)
{
    return BED_CLIENT(tcpm__stream_send(bed->layer, &bed->socket, text, length));
}

static inline int bed_finish(struct bed *bed)
{
    return BED_CLIENT(tcpm__stream_finish(bed->layer, &bed->socket));
}

static inline const char *bed_reason(const struct bed *bed)
{
    const char *reason = tcpm__stream_reason(bed->layer);

    return reason == NULL ? "none" : reason;
}

static inline void bed_expect(struct bed *bed, const char *text)
{
    char *got;
    ssize_t length = bed_read(bed, &got);

    assert_int_equal(length, strlen(text));
    assert_memory_equal(got, text, strlen(text));
    assert_ptr_equal(got, bed->network.plain_buffer);
}

/* ---- both ---- */

/* Exchanges flights until the client is done or has failed; gives its result. */
static inline int bed_shake(struct bed *bed)
{
    int result = bed_handshake(bed);

    for (int turns = 0; result == 0 && turns < 10; turns++) {
        bed_await_server(bed, 1);
        SSL_do_handshake(bed->server);
        bed_give(bed);
        result = bed_handshake(bed);
    }
    return result;
}

/* A second connection between the two, after the first has been dropped as by a reset. */
static inline void bed_connect_again(struct bed *bed)
{
    tcpm__layer_free(bed->layer);
    bed->layer = NULL;
    close(bed->socket.fd);
    close(bed->peer);
    SSL_free(bed->server);
    bed_connect(bed);
    bed_make_ssl(bed);
    assert_int_equal(tcpm__tls_open(&bed->network, bed->spec, "peer.test", 443, &bed->layer), 0);
}

/* Lets the server have the client's last flight, and the client the tickets. */
static inline void bed_settle(struct bed *bed)
{
    assert_int_equal(bed_send(bed, "", 0), 0);
    bed_fetch(bed);
    for (int turns = 0; SSL_do_handshake(bed->server) != 1; turns++) {
        assert_true(turns < 10);
        bed_await_server(bed, 1);
    }
    bed_give(bed);
    if (tcpm__socket_is_readable(&bed->socket))
        while (bed_code(bed) == -EINPROGRESS)
            continue;
}

static inline void bed_open(struct bed *bed, const struct bed_options *options)
{
    bed_begin(bed, options);
    assert_int_equal(bed_shake(bed), 1);
    bed_settle(bed);
}

/* Encrypts text of the server. */
static inline void bed_say(struct bed *bed, const void *text, size_t length)
{
    assert_int_equal(SSL_write(bed->server, text, (int) length), length);
}

static inline void bed_say_and_give(struct bed *bed, const char *text)
{
    bed_say(bed, text, strlen(text));
    bed_give(bed);
}

/* Expects that the server gets this text. */
static inline void bed_server_gets(struct bed *bed, const char *text)
{
    char got[256];
    int length = -1;

    bed_fetch(bed);
    while ((length = SSL_read(bed->server, got, sizeof got)) <= 0)
        bed_await_server(bed, 1);
    assert_int_equal(length, strlen(text));
    assert_memory_equal(got, text, strlen(text));
}

#endif
