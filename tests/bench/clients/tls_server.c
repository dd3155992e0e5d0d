/* SPDX-License-Identifier: MIT */
/*
 * The other side of the benchmarks of TLS: what server.c is to the others, with OpenSSL. It makes a
 * root, an intermediate and its own certificate, EC and for the name peer.test, when it starts, and
 * writes the root to a file. It speaks TLS 1.3, or as echo-1.2 the version before, and sends
 * session tickets to each client, two in TLS 1.3.
 *
 * The driver starts one for each measured client, reads the line "PID PORT" and ends it with
 * SIGTERM. It listens on one port on each of 127.0.0.1-32.
 *
 *   tls_server echo ROOT         sends back each record
 *   tls_server echo-1.2 ROOT     the same in TLS 1.2
 *   tls_server http ROOT         answers each GET, which is one record, with a body of 64 bytes
 *   tls_server hold ROOT         says nothing after the handshake
 *   tls_server take ROOT         reads to the end, then says how many bytes that were, and ends
 *   tls_server bulk BYTES ROOT   sends so many bytes on each connection, then close_notify and FIN
 *
 * ROOT: the file that the root goes to. A connection is closed when its client has closed it.
 */
#include "../serving.h"

#include "authority.h"
#include "measure.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    RECORD_SIZE = 16384,
    TAKEN_AT_A_TIME = 131072 /* bytes of the wire, in the mode take */
};

struct connection {
    SSL *ssl;
    uint64_t sent;  /* bytes of bulk so far */
    uint64_t taken; /* bytes that have come */
    uint8_t is_open, is_over;
};

struct server {
    uint64_t total_size; /* bytes for each connection; 0: none */
    int is_echo, is_taking, is_http;
    int version; /* the only one */
    int epoll_fd;
    SSL_CTX *context;
    struct connection *table; /* by descriptor */
    size_t table_size;
    char source[RECORD_SIZE];
    char buffer[RECORD_SIZE];
};

static void fail_with_openssl(const char *what)
{
    ERR_print_errors_fp(stderr);
    serving_fail(what);
}

/* ---- the certificate ---- */

static void write_root(const struct authority *authority, const char *path)
{
    FILE *file = fopen(path, "we");
    if (!file || fputs(authority_root(authority), file) < 0 || fclose(file))
        serving_fail(path);
}

static void use_pair(SSL_CTX *context, struct authority_pair pair)
{
    BIO *chain = BIO_new_mem_buf(pair.chain, -1), *key = BIO_new_mem_buf(pair.key, -1);
    X509 *certificate = PEM_read_bio_X509(chain, NULL, NULL, NULL);
    X509 *above = PEM_read_bio_X509(chain, NULL, NULL, NULL);
    EVP_PKEY *private = PEM_read_bio_PrivateKey(key, NULL, NULL, NULL);
    if (SSL_CTX_use_certificate(context, certificate) != 1 ||
        SSL_CTX_add1_chain_cert(context, above) != 1 ||
        SSL_CTX_use_PrivateKey(context, private) != 1)
        fail_with_openssl("certificate");
    X509_free(certificate);
    X509_free(above);
    EVP_PKEY_free(private);
    BIO_free(chain);
    BIO_free(key);
}

static void create_context(struct server *server, const char *root_path)
{
    struct authority *authority = authority_create();
    server->context = SSL_CTX_new(TLS_server_method());
    if (!authority || !server->context)
        fail_with_openssl("SSL_CTX_new");
    use_pair(server->context, authority_named(authority, "good"));
    write_root(authority, root_path);
    authority_free(authority);
    SSL_CTX_set_min_proto_version(server->context, server->version);
    SSL_CTX_set_max_proto_version(server->context, server->version);
    SSL_CTX_set_mode(server->context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                          SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(server->context, 1);
    if (server->is_taking)
        SSL_CTX_set_default_read_buffer_len(server->context, TAKEN_AT_A_TIME);
}

/* ---- connections ---- */

static void on_accepted(void *user, int fd)
{
    struct server *server = user;
    uint32_t events = server->total_size > 0 ? EPOLLIN | EPOLLOUT | EPOLLET : EPOLLIN;
    if ((size_t) fd >= server->table_size)
        serving_fail("a descriptor above the limit");
    server->table[fd] = (struct connection){.ssl = SSL_new(server->context)};
    if (!server->table[fd].ssl || !SSL_set_fd(server->table[fd].ssl, fd))
        fail_with_openssl("SSL_new");
    SSL_set_accept_state(server->table[fd].ssl);
    /* Else an echo behind a session ticket waits for the acknowledgement of the ticket. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    serving_watch(server->epoll_fd, fd, events, (uint64_t) fd);
}

static void end_connection(struct server *server, int fd)
{
    SSL_free(server->table[fd].ssl);
    server->table[fd].ssl = NULL;
    ERR_clear_error();
    close(fd);
}

/* Whether a call that gave nothing has only to be made again later. */
static int is_later(struct server *server, int fd, int result)
{
    int error = SSL_get_error(server->table[fd].ssl, result);
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

static void send_source(struct server *server, int fd)
{
    struct connection *connection = &server->table[fd];
    while (connection->sent < server->total_size) {
        uint64_t left = server->total_size - connection->sent;
        int length = left < RECORD_SIZE ? (int) left : RECORD_SIZE;
        int n = SSL_write(connection->ssl, server->source, length);
        if (n <= 0)
            return; /* full, or the client has gone: epoll tells which */
        connection->sent += (uint64_t) n;
    }
    if (!connection->is_over) {
        connection->is_over = 1;
        SSL_shutdown(connection->ssl);
        shutdown(fd, SHUT_WR);
    }
}

/* An answer that does not fit would need a queue; the clients never have more than one line under
   way. */
static void echo(struct server *server, int fd, int length)
{
    int n = SSL_write(server->table[fd].ssl, server->buffer, length);
    if (n <= 0 && is_later(server, fd, n))
        serving_fail("an echo that does not fit");
}

/* After the end of what a client has sent: tells it how much has come. */
static void give_receipt(struct server *server, int fd)
{
    struct connection *connection = &server->table[fd];
    char receipt[BENCH_RECEIPT_LENGTH + 1];
    snprintf(receipt, sizeof receipt, "%020" PRIu64, connection->taken);
    SSL_write(connection->ssl, receipt, BENCH_RECEIPT_LENGTH);
    SSL_shutdown(connection->ssl);
}

/* Puts the answer in place of a request, which ends with an empty line. Returns its length. */
static int answer(struct server *server, int length)
{
    if (length < 4 || memcmp(server->buffer + length - 4, "\r\n\r\n", 4) != 0)
        serving_fail("a request in pieces");
    return snprintf(server->buffer, RECORD_SIZE, BENCH_ANSWER_HEAD "%s", bench_line());
}

/* Reads until OpenSSL holds nothing more, and in the mode bulk, which is edge-triggered, until the
   kernel neither. A line and its answer are two system calls. */
static void read_some(struct server *server, int fd)
{
    SSL *ssl = server->table[fd].ssl;
    do {
        int n = SSL_read(ssl, server->buffer, RECORD_SIZE);
        if (n <= 0 && is_later(server, fd, n))
            return;
        if (n <= 0) {
            if (server->is_taking && SSL_get_error(ssl, n) == SSL_ERROR_ZERO_RETURN)
                give_receipt(server, fd);
            end_connection(server, fd);
            return;
        }
        server->table[fd].taken += (uint64_t) n;
        if (server->is_http)
            n = answer(server, n);
        if (server->is_echo || server->is_http)
            echo(server, fd, n);
    } while (server->total_size > 0 || SSL_has_pending(ssl));
}

static void shake(struct server *server, int fd)
{
    int result = SSL_do_handshake(server->table[fd].ssl);
    if (result == 1)
        server->table[fd].is_open = 1;
    else if (!is_later(server, fd, result))
        end_connection(server, fd);
}

static void on_event(void *user, int fd, uint32_t events)
{
    struct server *server = user;
    struct connection *connection = &server->table[fd];
    (void) events;
    if (!connection->is_open)
        shake(server, fd);
    if (!connection->ssl || !connection->is_open)
        return;
    if (server->total_size > 0)
        send_source(server, fd);
    read_some(server, fd);
}

/* ---- start ---- */

static int choose_mode(struct server *server, int argc, char **argv)
{
    const char *name = argc > 2 ? argv[1] : "";
    int is_old = strcmp(name, "echo-1.2") == 0;
    server->version = is_old ? TLS1_2_VERSION : TLS1_3_VERSION;
    server->is_echo = is_old || strcmp(name, "echo") == 0;
    server->is_taking = strcmp(name, "take") == 0;
    server->is_http = strcmp(name, "http") == 0;
    if (server->is_echo || server->is_taking || server->is_http || strcmp(name, "hold") == 0)
        return argc == 3 ? 0 : -1;
    if (argc != 4 || strcmp(name, "bulk") != 0)
        return -1;
    server->total_size = strtoull(argv[2], NULL, 10);
    for (size_t i = 0; i < RECORD_SIZE; i++)
        server->source[i] = (char) (' ' + i % 95);
    return server->total_size > 0 ? 0 : -1;
}

int main(int argc, char **argv)
{
    static const struct serving_calls calls = {.accepted = on_accepted, .event = on_event};
    struct server *server = calloc(1, sizeof *server);
    if (!server)
        serving_fail("calloc");
    serving_end_with_parent();
    if (choose_mode(server, argc, argv)) {
        fprintf(stderr,
                "usage: tls_server echo|echo-1.2|http|hold|take ROOT, or bulk BYTES ROOT\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN); /* OpenSSL writes with write(2) */
    create_context(server, argv[argc - 1]);
    server->table_size = serving_raise_file_limit();
    server->table = calloc(server->table_size, sizeof *server->table);
    server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (!server->table || server->epoll_fd < 0)
        serving_fail("start");
    serving_run(server->epoll_fd, &calls, server);
}
