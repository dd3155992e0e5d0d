/* SPDX-License-Identifier: MIT */
/*
 * The scripted peer as a server of TLS, against a plain blocking client on OpenSSL: its usual
 * steps, what only TLS has, and what it tells of a connection.
 */
#include "authority.h"
#include "peer.h"
#include "secure.h"
#include "swarm.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <cmocka.h>

#define SECONDS 10.0
#define ENOUGH  ((size_t) 2 * 1024 * 1024)

/* ---- a client ---- */

struct client {
    SSL_CTX *ctx;
    SSL *ssl;
    int fd;
    size_t records;  /* of application data that have come */
    size_t tickets;  /* that have come */
    size_t keys;     /* KeyUpdates that have come */
    char reason[96]; /* of the last failure */
};

static void count_messages(int is_written, int version, int type, const void *bytes, size_t length,
                           SSL *ssl, void *argument)
{
    struct client *client = argument;
    const unsigned char *at = bytes;

    (void) version;
    (void) ssl;
    if (is_written || length == 0)
        return;
    client->records += type == SSL3_RT_HEADER && at[0] == SSL3_RT_APPLICATION_DATA;
    client->tickets += type == SSL3_RT_HANDSHAKE && at[0] == SSL3_MT_NEWSESSION_TICKET;
    client->keys += type == SSL3_RT_HANDSHAKE && at[0] == SSL3_MT_KEY_UPDATE;
}

static void open_client(struct client *client, int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t) port)};

    memset(client, 0, sizeof *client);
    client->ctx = SSL_CTX_new(TLS_client_method());
    client->ssl = SSL_new(client->ctx);
    SSL_set_msg_callback(client->ssl, count_messages);
    SSL_set_msg_callback_arg(client->ssl, client);
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(client->fd, (struct sockaddr *) &address, sizeof address), 0);
    assert_int_equal(SSL_set_fd(client->ssl, client->fd), 1);
}

static void close_client(struct client *client)
{
    SSL_free(client->ssl);
    SSL_CTX_free(client->ctx);
    close(client->fd);
}

/* A result of OpenSSL as a word: "", "closed" by close_notify, "reset", or the reason. */
static const char *outcome(struct client *client, int result)
{
    int error = SSL_get_error(client->ssl, result), code = errno;
    const char *reason = secure_reason();

    if (result > 0)
        return "";
    if (error == SSL_ERROR_ZERO_RETURN)
        return "closed";
    if (error == SSL_ERROR_SYSCALL)
        return code == ECONNRESET ? "reset" : "broken";
    (void) snprintf(client->reason, sizeof client->reason, "%s", reason != NULL ? reason : "?");
    return client->reason;
}

/* Reads to the end, and tells which. */
static const char *slurp(struct client *client, char *bytes, size_t size, size_t *length)
{
    int got;

    *length = 0;
    while ((got = SSL_read(client->ssl, bytes + *length, (int) (size - *length))) > 0)
        *length += (size_t) got;
    return outcome(client, got);
}

static struct peer *start(const char *program, const struct peer_tls *tls)
{
    const struct peer_tls none = {0};
    const struct peer_options options = {.tls = tls != NULL ? tls : &none};
    struct peer *peer = peer_start(program, &options);

    assert_non_null(peer);
    return peer;
}

/* A peer and a client that has shaken hands with it. */
static struct peer *meet(struct client *client, const char *program, const struct peer_tls *tls)
{
    struct peer *peer = start(program, tls);

    open_client(client, peer_port(peer));
    assert_int_equal(SSL_connect(client->ssl), 1);
    return peer;
}

static void part(struct peer *peer, struct client *client)
{
    close_client(client);
    peer_stop(peer);
}

static struct peer_connection ended_connection(struct peer *peer)
{
    struct peer_connection seen;

    assert_int_equal(peer_wait_ended(peer, 1, SECONDS), 0);
    assert_int_equal(peer_connection(peer, 0, &seen), 0);
    return seen;
}

/* ---- the usual steps ---- */

static void test_text_goes_both_ways_and_is_counted(void **state)
{
    static const unsigned char offered[] = "\x03xyz\x02h2";
    const struct peer_tls tls = {.alpn = "h2 http/1.1"};
    struct peer *peer = start("echo", &tls);
    struct peer_connection seen;
    struct client client;
    char bytes[64];
    size_t length;

    (void) state;
    open_client(&client, peer_port(peer));
    SSL_set_tlsext_host_name(client.ssl, "peer.test");
    assert_int_equal(SSL_set_alpn_protos(client.ssl, offered, sizeof offered - 1), 0);
    assert_int_equal(SSL_connect(client.ssl), 1);
    assert_int_equal(SSL_write(client.ssl, "hello", 5), 5);
    assert_int_equal(SSL_read(client.ssl, bytes, sizeof bytes), 5);
    assert_int_equal(SSL_shutdown(client.ssl), 0);
    assert_int_equal(shutdown(client.fd, SHUT_WR), 0);
    assert_string_equal(slurp(&client, bytes, sizeof bytes, &length), "closed");
    seen = ended_connection(peer);
    assert_int_equal(seen.end, PEER_EOF);
    assert_int_equal(seen.received, 5);
    assert_int_equal(seen.sent, 5);
    assert_int_equal(seen.tls.version, TLS1_3_VERSION);
    assert_true(seen.tls.is_notified && !seen.tls.is_resumed);
    assert_string_equal(seen.tls.server_name, "peer.test");
    assert_string_equal(seen.tls.alpn, "h2");
    assert_string_equal(seen.tls.cipher, SSL_get_cipher_name(client.ssl));
    assert_string_equal(seen.tls.client, "");
    part(peer, &client);
}

static void test_a_long_stream_arrives_whole(void **state)
{
    char *bytes = malloc(ENOUGH), *expected = malloc(ENOUGH);
    const size_t size = 1024UL * 1024 + 2;
    struct client client;
    struct peer *peer = meet(&client, "prng 7 1m; more \"a\"; send \"b\"; recv all", NULL);
    uint64_t seed = 7;
    size_t length = 0;

    (void) state;
    peer_prng(&seed, expected, size - 2);
    memcpy(expected + size - 2, "ab", 2);
    while (length < size) {
        int got = SSL_read(client.ssl, bytes + length, (int) (ENOUGH - length));

        assert_true(got > 0);
        length += (size_t) got;
    }
    assert_int_equal(length, size);
    assert_memory_equal(bytes, expected, size);
    close_client(&client);
    /* It counts after the write, which the client may have read before. */
    assert_int_equal(ended_connection(peer).sent, size);
    peer_stop(peer);
    free(bytes);
    free(expected);
}

static void test_an_end_without_close_notify_is_an_error(void **state)
{
    struct client client;
    struct peer *peer = meet(&client, "recv all", NULL);
    struct peer_connection seen;

    (void) state;
    assert_int_equal(SSL_write(client.ssl, "hello", 5), 5);
    assert_int_equal(shutdown(client.fd, SHUT_WR), 0);
    seen = ended_connection(peer);
    assert_int_equal(seen.end, PEER_ERROR);
    assert_int_equal(seen.received, 5);
    assert_false(seen.tls.is_notified);
    assert_string_equal(seen.tls.reason, "unexpected eof while reading");
    part(peer, &client);
}

static void test_stop_ends_threads_wherever_they_are(void **state)
{
    static const char *const programs[] = {"echo", "plain; freeze", "blast 0", "recv 1; freeze"};
    struct client client;

    (void) state;
    for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++) {
        struct peer *peer = start(programs[i], NULL);

        open_client(&client, peer_port(peer)); /* and nothing more: it waits for a ClientHello */
        assert_int_equal(peer_wait_accepted(peer, 1, SECONDS), 0);
        part(peer, &client);
    }
    part(meet(&client, "blast 0", NULL), &client);
}

/* ---- ends ---- */

static void test_each_way_to_end(void **state)
{
    static const struct {
        const char *program, *outcome; /* more than one: releases of OpenSSL differ */
    } list[] = {
        {"send \"one\"; close", "closed"},
        {"send \"one\"", "closed"},
        {"send \"one\"; shutwr; freeze", "closed"},
        {"send \"one\"; close_notify; freeze", "closed"},
        {"send \"one\"; fin", "unexpected eof while reading"},
        {"send \"one\"; truncate", "unexpected eof while reading"},
        {"send \"one\"; garbage 100", "wrong version number, bad record type"},
        {"send \"one\"; rawhex 15030300020228", "bad record type"},
        {"send \"one\"; alert bad_record_mac", "alert bad record mac"},
        {"send \"one\"; alert internal_error", "alert internal error"},
        {"send \"one\"; wait go; rst", "reset"},
        {"send \"one\"; empty_records 33", "record too small"},
    };
    char bytes[64];
    size_t length;

    (void) state;
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        struct client client;
        struct peer *peer = meet(&client, list[i].program, NULL);
        const char *end;

        assert_int_equal(SSL_read(client.ssl, bytes, sizeof bytes), 3);
        peer_go(peer, "go");
        end = slurp(&client, bytes, sizeof bytes, &length);
        if (strstr(list[i].outcome, end) == NULL || length != 0)
            fail_msg("%s: %s", list[i].program, end);
        part(peer, &client);
    }
}

/* What the socket has behind close_notify: 0 FIN, EAGAIN nothing, or another errno. */
static int socket_end(int fd)
{
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    char byte;

    (void) poll(&readable, 1, 200);
    return recv(fd, &byte, 1, MSG_DONTWAIT) == 0 ? 0 : errno;
}

static void test_close_notify_can_come_alone(void **state)
{
    static const struct {
        const char *program;
        int end;
    } list[] = {
        {"close_notify; freeze", EAGAIN},
        {"close_notify; wait go; rst", ECONNRESET},
        {"close", 0},
        {"empty_records 5; send \"\"; close", 0},
    };

    (void) state;
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        struct client client;
        struct peer *peer = meet(&client, list[i].program, NULL);
        char bytes[8];
        size_t length;

        assert_string_equal(slurp(&client, bytes, sizeof bytes, &length), "closed");
        peer_go(peer, "go");
        assert_int_equal(socket_end(client.fd), list[i].end);
        part(peer, &client);
    }
}

static void test_close_unread_resets(void **state)
{
    static const char *const programs[] = {"close_unread", "recv 1; close_unread"};

    (void) state;
    for (size_t i = 0; i < 2; i++) {
        struct client client;
        struct peer *peer = meet(&client, programs[i], NULL);
        char bytes[8];
        size_t length;

        assert_int_equal(SSL_write(client.ssl, "hello", 5), 5);
        assert_string_equal(slurp(&client, bytes, sizeof bytes, &length), "reset");
        part(peer, &client);
    }
}

/* ---- instead of a handshake, and before it ---- */

static const char *connect_outcome(struct client *client)
{
    return outcome(client, SSL_connect(client->ssl));
}

static void test_instead_of_a_handshake(void **state)
{
    static const struct {
        const char *program, *outcome;
    } list[] = {
        {"plain; alert handshake_failure", "alert handshake failure"},
        {"plain; alert unrecognized_name", "tlsv1 unrecognized name"},
        {"plain; recv 5; send \"HTTP/1.0 400 Bad Request\\r\\n\\r\\n\"", "wrong version number"},
        {"plain; garbage 16k", "wrong version number"},
        {"plain; recv 5; rst", "reset"},
        {"plain; recv 5; shutwr; discard", "unexpected eof while reading"},
    };

    (void) state;
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        struct peer *peer = start(list[i].program, NULL);
        struct client client;
        const char *result;

        open_client(&client, peer_port(peer));
        result = connect_outcome(&client);
        if (strcmp(result, list[i].outcome) != 0)
            fail_msg("%s: %s", list[i].program, result);
        part(peer, &client);
    }
}

static void test_silence(void **state)
{
    struct peer *peer = start("plain; freeze", NULL);
    struct timeval soon = {.tv_usec = 100000};
    struct client client;

    (void) state;
    open_client(&client, peer_port(peer));
    assert_int_equal(setsockopt(client.fd, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon), 0);
    assert_int_equal(SSL_connect(client.ssl), -1);
    assert_int_equal(SSL_get_error(client.ssl, -1), SSL_ERROR_WANT_READ);
    part(peer, &client);
}

static void test_starttls_in_the_middle(void **state)
{
    static const char program[] = "send \"220 hi\\n\"; recv line; send \"go\\n\"; starttls;"
                                  "send \"secret\"; recv 3; expect \"end\"";
    struct peer *peer = start(program, NULL);
    struct peer_report report;
    struct client client;
    char bytes[64];

    (void) state;
    open_client(&client, peer_port(peer));
    assert_int_equal(recv(client.fd, bytes, 7, MSG_WAITALL), 7);
    assert_memory_equal(bytes, "220 hi\n", 7);
    assert_int_equal(send(client.fd, "TLS\n", 4, MSG_NOSIGNAL), 4);
    assert_int_equal(recv(client.fd, bytes, 3, MSG_WAITALL), 3);
    assert_int_equal(SSL_connect(client.ssl), 1);
    assert_int_equal(SSL_read(client.ssl, bytes, sizeof bytes), 6);
    assert_memory_equal(bytes, "secret", 6);
    assert_int_equal(SSL_write(client.ssl, "theend", 6), 6);
    assert_int_equal(ended_connection(peer).received, 10);
    peer_report(peer, &report);
    assert_int_equal(report.failures, 0);
    part(peer, &client);
}

/* ---- what only TLS has ---- */

static void test_messages_after_the_handshake(void **state)
{
    struct client client;
    struct peer *peer =
        meet(&client, "tickets 5; keyupdate 3; send \"one\"; empty_records 3", NULL);
    struct peer_report report;
    char bytes[64];
    size_t length;

    (void) state;
    assert_string_equal(slurp(&client, bytes, sizeof bytes, &length), "closed");
    assert_int_equal(length, 3);
    assert_int_equal(client.tickets, 2 + 5);
    assert_int_equal(client.keys, 3);
    peer_report(peer, &report);
    assert_int_equal(report.failures, 1); /* after new keys nothing can be sealed */
    part(peer, &client);
}

static void test_records_of_one_byte_and_of_none(void **state)
{
    struct client client;
    struct peer *peer =
        meet(&client, "onebyte; sendn 20000 \"x\"; empty_records 32; send \"y\"", NULL);
    char *bytes = malloc(ENOUGH);
    size_t length;

    (void) state;
    assert_string_equal(slurp(&client, bytes, ENOUGH, &length), "closed");
    assert_int_equal(length, 20001);
    assert_int_equal(bytes[20000], 'y');
    assert_in_range(client.records, 20001 + 32, 20001 + 32 + 10); /* and of the handshake */
    part(peer, &client);
    free(bytes);
}

static void test_renegotiation_is_insisted_on(void **state)
{
    const struct peer_tls tls = {.max_version = TLS1_2_VERSION};
    struct peer *peer = start("renegotiate; send \"one\"; recv all", &tls);
    struct peer_connection seen;
    struct client client;
    char bytes[64];
    size_t length;

    (void) state;
    open_client(&client, peer_port(peer));
    SSL_set_options(client.ssl, SSL_OP_NO_RENEGOTIATION);
    assert_int_equal(SSL_connect(client.ssl), 1);
    (void) slurp(&client, bytes, sizeof bytes, &length);
    seen = ended_connection(peer);
    assert_int_equal(seen.end, PEER_ERROR);
    assert_string_equal(seen.tls.reason, "no renegotiation");
    part(peer, &client);
}

static void check_failure(const char *program, const struct peer_tls *tls, const char *failure)
{
    struct peer *peer = start(program, tls);
    struct peer_report report;
    struct client client;

    open_client(&client, peer_port(peer));
    (void) SSL_connect(client.ssl);
    ERR_clear_error();
    assert_int_equal(peer_wait_ended(peer, 1, SECONDS), 0);
    peer_report(peer, &report);
    assert_int_equal(report.failures, 1);
    assert_string_equal(report.failure, failure);
    part(peer, &client);
}

static void test_what_cannot_be_done_is_a_failure(void **state)
{
    const struct peer_tls old = {.max_version = TLS1_2_VERSION};

    (void) state;
    check_failure("plain; keyupdate 1", NULL, "keyupdate: this connection cannot do it");
    check_failure("alert none_such", NULL, "alert: this connection cannot do it");
    check_failure("renegotiate", NULL, "renegotiate: this connection cannot do it");
    check_failure("keyupdate 1", &old, "keyupdate: this connection cannot do it");
    check_failure("empty_records 1", &old, "empty_records: this connection cannot do it");
    check_failure("starttls; starttls", NULL,
                  "starttls: there are no options for TLS, or it is on");
}

/* ---- options ---- */

static void test_versions(void **state)
{
    const struct peer_tls oldest = {.min_version = TLS1_VERSION, .max_version = TLS1_VERSION};
    struct peer *peer = start("echo", &oldest);
    struct client client;

    (void) state;
    open_client(&client, peer_port(peer));
    assert_int_equal(SSL_set_min_proto_version(client.ssl, TLS1_2_VERSION), 1);
    assert_string_equal(connect_outcome(&client), "alert protocol version");
    close_client(&client);
    open_client(&client, peer_port(peer));
    SSL_set_security_level(client.ssl, 0);
    assert_int_equal(SSL_set_min_proto_version(client.ssl, TLS1_VERSION), 1);
    assert_string_equal(connect_outcome(&client), "");
    assert_int_equal(SSL_version(client.ssl), TLS1_VERSION);
    part(peer, &client);
}

/* The words say how a client fares: that of its connect, and that of its first read. */
static void check_client(struct authority *authority, const char *name, enum peer_client wanted,
                         int version, const char *words, const char *subject)
{
    const struct peer_tls tls = {
        .client = wanted, .client_root = authority_root(authority), .max_version = version};
    struct peer *peer = start("send \"hello\"", &tls);
    struct client client;
    char found[256], bytes[64];
    size_t length;

    open_client(&client, peer_port(peer));
    if (name != NULL) {
        struct authority_pair pair = authority_named(authority, name);
        BIO *chain = BIO_new_mem_buf(pair.chain, -1), *key = BIO_new_mem_buf(pair.key, -1);
        X509 *certificate = PEM_read_bio_X509(chain, NULL, NULL, NULL);
        X509 *above = PEM_read_bio_X509(chain, NULL, NULL, NULL);
        EVP_PKEY *private = PEM_read_bio_PrivateKey(key, NULL, NULL, NULL);

        assert_int_equal(SSL_use_certificate(client.ssl, certificate), 1);
        assert_int_equal(SSL_add1_chain_cert(client.ssl, above), 1);
        assert_int_equal(SSL_use_PrivateKey(client.ssl, private), 1);
        X509_free(certificate);
        X509_free(above);
        EVP_PKEY_free(private);
        BIO_free(chain);
        BIO_free(key);
    }
    (void) snprintf(found, sizeof found, "%s", connect_outcome(&client));
    if (found[0] == '\0')
        (void) snprintf(found, sizeof found, "connected, %s",
                        slurp(&client, bytes, sizeof bytes, &length));
    assert_string_equal(found, words);
    assert_string_equal(ended_connection(peer).tls.client, subject);
    part(peer, &client);
}

static void test_certificates_of_clients(void **state)
{
    struct authority *authority = authority_create();

    (void) state;
    check_client(authority, "client", PEER_CLIENT_REQUIRED, 0, "connected, closed", "the client");
    check_client(authority, "client", PEER_CLIENT_REQUESTED, 0, "connected, closed", "the client");
    check_client(authority, "client", PEER_CLIENT_NONE, 0, "connected, closed", "");
    check_client(authority, NULL, PEER_CLIENT_REQUESTED, 0, "connected, closed", "");
    check_client(authority, NULL, PEER_CLIENT_REQUIRED, 0, "connected, alert certificate required",
                 "");
    check_client(authority, NULL, PEER_CLIENT_REQUIRED, TLS1_2_VERSION, "alert handshake failure",
                 "");
    check_client(authority, "client-stranger", PEER_CLIENT_REQUIRED, TLS1_2_VERSION,
                 "alert unknown ca", "");
    authority_free(authority);
}

/* Connects again with the session of a connection before. */
static int is_second_resumed(const struct peer_tls *tls)
{
    struct peer_connection seen;
    SSL_SESSION *session;
    struct client client;
    struct peer *peer = meet(&client, "send \"hello\"", tls);
    char bytes[64];
    size_t length;

    assert_string_equal(slurp(&client, bytes, sizeof bytes, &length), "closed");
    session = SSL_get1_session(client.ssl);
    assert_int_equal(SSL_shutdown(client.ssl), 1); /* otherwise the session counts as broken */
    close_client(&client);
    open_client(&client, peer_port(peer));
    if (SSL_SESSION_is_resumable(session))
        assert_int_equal(SSL_set_session(client.ssl, session), 1);
    assert_int_equal(SSL_connect(client.ssl), 1);
    assert_string_equal(slurp(&client, bytes, sizeof bytes, &length), "closed");
    assert_int_equal(peer_wait_ended(peer, 2, SECONDS), 0);
    assert_int_equal(peer_connection(peer, 1, &seen), 0);
    SSL_SESSION_free(session);
    part(peer, &client);
    return seen.tls.is_resumed;
}

static void test_resumption(void **state)
{
    const struct peer_tls old = {.max_version = TLS1_2_VERSION}, none = {.tickets = -1};
    const struct peer_tls old_none = {.max_version = TLS1_2_VERSION, .tickets = -1};

    (void) state;
    assert_true(is_second_resumed(NULL));
    assert_true(is_second_resumed(&old));
    assert_false(is_second_resumed(&none));
    assert_false(is_second_resumed(&old_none));
}

static void test_any_certificate_is_shown(void **state)
{
    struct authority *authority = authority_create();

    (void) state;
    for (size_t i = 0; authority_name(i) != NULL; i++) {
        struct authority_pair pair = authority_named(authority, authority_name(i));
        const struct peer_tls tls = {.chain = pair.chain, .key = pair.key};
        BIO *bio = BIO_new_mem_buf(pair.chain, -1);
        X509 *leaf = PEM_read_bio_X509(bio, NULL, NULL, NULL), *shown;
        struct client client;
        struct peer *peer = start("echo", &tls);

        open_client(&client, peer_port(peer));
        SSL_set_security_level(client.ssl, 0); /* the default of 2 would refuse the weak ones */
        assert_string_equal(connect_outcome(&client), "");
        shown = SSL_get0_peer_certificate(client.ssl);
        assert_int_equal(X509_cmp(leaf, shown), 0);
        X509_free(leaf);
        BIO_free(bio);
        part(peer, &client);
    }
    authority_free(authority);
}

static void test_bad_options_do_not_start(void **state)
{
    const struct peer_tls list[] = {
        {.chain = "no PEM", .key = "no PEM"},
        {.ciphers = "none such"},
        {.client = PEER_CLIENT_REQUIRED},
        {.max_version = 0x9999},
    };

    (void) state;
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        char message[128] = "";
        const struct peer_options options = {
            .tls = &list[i], .message = message, .message_size = sizeof message};

        assert_null(peer_start("echo", &options));
        assert_true(strncmp(message, "peer: tls: ", 11) == 0);
    }
}

static void test_a_swarm_speaks_tls(void **state)
{
    static const struct {
        const char *mode, *written, *outcome;
        size_t length;
    } list[] = {
        {"tls echo", "hello", "closed", 5},
        {"tls greet", NULL, "closed", 7},
        {"tls close", NULL, "closed", 0},
    };
    char bytes[64];
    size_t length;

    (void) state;
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        struct swarm *swarm = swarm_start(list[i].mode, 1, 0);
        struct client client;

        assert_non_null(swarm);
        open_client(&client, swarm_port(swarm));
        assert_string_equal(connect_outcome(&client), "");
        if (list[i].written != NULL)
            assert_int_equal(SSL_write(client.ssl, list[i].written, 5), 5);
        if (list[i].written != NULL)
            assert_int_equal(SSL_shutdown(client.ssl), 0);
        (void) shutdown(client.fd, SHUT_WR);
        assert_string_equal(slurp(&client, bytes, sizeof bytes, &length), list[i].outcome);
        assert_int_equal(length, list[i].length);
        close_client(&client);
        swarm_stop(swarm);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_goes_both_ways_and_is_counted),
        cmocka_unit_test(test_a_long_stream_arrives_whole),
        cmocka_unit_test(test_an_end_without_close_notify_is_an_error),
        cmocka_unit_test(test_stop_ends_threads_wherever_they_are),
        cmocka_unit_test(test_each_way_to_end),
        cmocka_unit_test(test_close_notify_can_come_alone),
        cmocka_unit_test(test_close_unread_resets),
        cmocka_unit_test(test_instead_of_a_handshake),
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_starttls_in_the_middle),
        cmocka_unit_test(test_messages_after_the_handshake),
        cmocka_unit_test(test_records_of_one_byte_and_of_none),
        cmocka_unit_test(test_renegotiation_is_insisted_on),
        cmocka_unit_test(test_what_cannot_be_done_is_a_failure),
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_certificates_of_clients),
        cmocka_unit_test(test_resumption),
        cmocka_unit_test(test_any_certificate_is_shown),
        cmocka_unit_test(test_bad_options_do_not_start),
        cmocka_unit_test(test_a_swarm_speaks_tls),
    };

    (void) signal(SIGPIPE, SIG_IGN); /* SSL_set_fd writes with write */
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("peer with TLS", tests, NULL, NULL);
}
