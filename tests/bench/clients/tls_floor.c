/* SPDX-License-Identifier: MIT */
/*
 * The floor under TLS: a client as somebody writes it who has only this one job and knows epoll and
 * OpenSSL well. It is built as floor.c is; OpenSSL reads, through a BIO of our own, straight from
 * the one read buffer, and its records go to the kernel as they are. One read and one send make a
 * message; a connection owns nothing but its SSL, and in an upload the batch of records that goes
 * to the kernel next. The certificate is verified, with its name. With resume=1 each connection
 * resumes the session that came last, otherwise none.
 *
 * What always holds: between two events the window is empty, and OpenSSL's queue of errors too.
 */
#include "floor.h"

#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    WIRE_SIZE = 1 << 18,
    RECORD_SIZE = 16384,
    BATCH_SIZE = BENCH_BATCH + BENCH_BATCH / RECORD_SIZE * 256, /* bytes of the wire, at most */
    HANDSHAKES = 512,                                           /* at a time, 41 KB each */
    SESSIONS = 4
};

enum phase { PHASE_NONE, PHASE_CONNECTING, PHASE_SHAKING, PHASE_OPEN };

struct connection {
    SSL *ssl; /* from the connect on */
    uint32_t last_ms;
    uint32_t left; /* messages still to come */
    uint8_t phase;
    uint8_t is_ending; /* upload: all is encrypted, close_notify too */
    uint64_t text;     /* upload: bytes to be encrypted yet */
    char *batch;       /* upload, until all is sent: wire from batch_sent to batch_length */
    size_t batch_sent, batch_length;
};

struct client {
    struct bench_job job;
    struct bench_figures figures;
    SSL_CTX *context;
    BIO_METHOD *method;
    SSL_SESSION *sessions[SESSIONS]; /* with resume=1: the last ones */
    unsigned session_count;
    int epoll_fd;
    uint32_t now_ms;
    uint32_t swept_ms;
    uint64_t started; /* connections */
    unsigned alive;   /* connections */
    unsigned open;    /* connections that have succeeded */
    unsigned table_size;
    struct connection *table;    /* by descriptor */
    int fd;                      /* where OpenSSL writes now, unless to a batch */
    struct connection *batching; /* whose batch OpenSSL fills now */
    const char *window;          /* where OpenSSL reads: what is left of the wire */
    size_t window_length;
    char wire[WIRE_SIZE];
    char text[RECORD_SIZE];
    char *source; /* upload: what is sent */
};

/* ---- the BIO ---- */

static int bio_read(BIO *bio, char *ret, int size)
{
    struct client *client = BIO_get_data(bio);
    size_t length = client->window_length < (size_t) size ? client->window_length : (size_t) size;
    BIO_clear_retry_flags(bio);
    if (length == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    memcpy(ret, client->window, length);
    client->window += length;
    client->window_length -= length;
    return (int) length;
}

/* A flight and a line always fit into the socket, and BENCH_BATCH bytes of text into a batch. */
static int bio_write(BIO *bio, const char *bytes, int length)
{
    struct client *client = BIO_get_data(bio);
    struct connection *batching = client->batching;
    BIO_clear_retry_flags(bio);
    if (batching) {
        memcpy(batching->batch + batching->batch_length, bytes, (size_t) length);
        batching->batch_length += (size_t) length;
        return length;
    }
    return send(client->fd, bytes, (size_t) length, MSG_NOSIGNAL) == length ? length : -1;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void) bio, (void) number, (void) pointer;
    return command == BIO_CTRL_FLUSH;
}

static int bio_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

static void create_method(struct client *client)
{
    client->method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "floor");
    if (!client->method || !BIO_meth_set_read(client->method, bio_read) ||
        !BIO_meth_set_write(client->method, bio_write) ||
        !BIO_meth_set_ctrl(client->method, bio_ctrl) ||
        !BIO_meth_set_create(client->method, bio_create))
        bench_fail("BIO_meth_new", 0);
}

static int on_session(SSL *ssl, SSL_SESSION *session)
{
    struct client *client = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    if (client->session_count == SESSIONS) {
        SSL_SESSION_free(client->sessions[0]);
        memmove(client->sessions, client->sessions + 1,
                (SESSIONS - 1) * sizeof client->sessions[0]);
        client->session_count--;
    }
    client->sessions[client->session_count++] = session;
    return 1;
}

/* Resumes the session that came last. In TLS 1.3 OpenSSL resumes each one only once. */
static void use_session(struct client *client, SSL *ssl)
{
    if (client->session_count == 0)
        return;
    SSL_SESSION *session = client->sessions[client->session_count - 1];
    if (!SSL_set_session(ssl, session))
        bench_fail("SSL_set_session", 0);
    if (SSL_SESSION_get_protocol_version(session) >= TLS1_3_VERSION) {
        SSL_SESSION_free(session);
        client->session_count--;
    }
}

static void choose_sessions(struct client *client)
{
    if (client->job.resume) {
        SSL_CTX_set_session_cache_mode(client->context,
                                       SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_set_app_data(client->context, client);
        SSL_CTX_sess_set_new_cb(client->context, on_session);
    } else {
        SSL_CTX_set_session_cache_mode(client->context, SSL_SESS_CACHE_OFF);
        SSL_CTX_set_options(client->context, SSL_OP_NO_TICKET);
    }
}

static void create_context(struct client *client)
{
    client->context = SSL_CTX_new(TLS_client_method());
    if (!client->context ||
        !SSL_CTX_load_verify_locations(client->context, client->job.tls, NULL) ||
        !SSL_CTX_set_min_proto_version(client->context, TLS1_2_VERSION))
        bench_fail("SSL_CTX_new", 0);
    SSL_CTX_set_mode(client->context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                          SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_verify(client->context, SSL_VERIFY_PEER, NULL);
    choose_sessions(client);
}

static SSL *create_ssl(struct client *client)
{
    SSL *ssl = SSL_new(client->context);
    BIO *bio = BIO_new(client->method);
    if (!ssl || !bio || !SSL_set_tlsext_host_name(ssl, BENCH_SERVER_NAME) ||
        !SSL_set1_host(ssl, BENCH_SERVER_NAME))
        bench_fail("SSL_new", 0);
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    BIO_set_data(bio, client);
    SSL_set_bio(ssl, bio, bio);
    SSL_set_connect_state(ssl);
    use_session(client, ssl);
    return ssl;
}

/* ---- opening and closing ---- */

/* Without TCP_NODELAY the first line would wait until the server has acknowledged our last
   message of the handshake, which a session of TLS 1.2 that is resumed ends with. */
static void start_connection(struct client *client)
{
    int fd = floor_connect(&client->job, client->started++, client->epoll_fd, client->table_size);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    client->table[fd] = (struct connection){.phase = PHASE_CONNECTING, .last_ms = client->now_ms};
    client->alive++;
}

static void start_connections(struct client *client)
{
    unsigned first = client->job.connections < HANDSHAKES ? client->job.connections : HANDSHAKES;
    for (unsigned i = 0; i < first; i++)
        start_connection(client);
}

/* A close takes the descriptor out of the epoll set as well. */
static void end_connection(struct client *client, int fd)
{
    SSL_free(client->table[fd].ssl);
    free(client->table[fd].batch);
    client->table[fd] = (struct connection){.phase = PHASE_NONE};
    client->window_length = 0;
    close(fd);
    client->alive--;
}

static void break_connection(struct client *client, int fd)
{
    client->figures.errors++;
    ERR_print_errors_fp(stderr);
    end_connection(client, fd);
}

/* Sends what waits for an answer: the line, or a request. */
static void send_line(struct client *client, int fd)
{
    int is_http = client->job.work == BENCH_HTTP;
    const char *line = is_http ? BENCH_REQUEST : bench_line();
    int length = is_http ? (int) sizeof BENCH_REQUEST - 1 : BENCH_LINE_LENGTH;
    client->fd = fd;
    if (SSL_write(client->table[fd].ssl, line, length) != length)
        break_connection(client, fd);
}

/* ---- the upload ---- */

static void fill_batch(struct client *client, struct connection *connection)
{
    uint64_t left = connection->text < BENCH_BATCH ? connection->text : BENCH_BATCH;
    connection->batch_sent = connection->batch_length = 0;
    connection->text -= left;
    client->batching = connection;
    for (const char *from = client->source; left > 0;) {
        int length = left < RECORD_SIZE ? (int) left : RECORD_SIZE;
        if (SSL_write(connection->ssl, from, length) != length)
            bench_fail("SSL_write", 0);
        from += length;
        left -= (uint64_t) length;
    }
    if (connection->text == 0) {
        connection->is_ending = 1;
        SSL_shutdown(connection->ssl);
    }
    client->batching = NULL;
}

/* Goes on until the socket is full, or all is sent. A failure comes as an event too. */
static void send_batches(struct client *client, int fd)
{
    struct connection *connection = &client->table[fd];
    while (!connection->is_ending || connection->batch_sent < connection->batch_length) {
        if (connection->batch_sent == connection->batch_length)
            fill_batch(client, connection);
        ssize_t n = send(fd, connection->batch + connection->batch_sent,
                         connection->batch_length - connection->batch_sent, MSG_NOSIGNAL);
        if (n < 0)
            return;
        connection->batch_sent += (size_t) n;
    }
    free(connection->batch);
    connection->batch = NULL;
    shutdown(fd, SHUT_WR);
}

static void start_upload(struct client *client, int fd)
{
    struct connection *connection = &client->table[fd];
    connection->text = connection->left;
    client->figures.operations += connection->text;
    connection->batch = malloc(BATCH_SIZE);
    if (!connection->batch)
        bench_fail("malloc", 0);
    send_batches(client, fd);
}

/* The server says how many bytes it got. */
static int take_receipt(struct client *client, size_t length)
{
    if (length != BENCH_RECEIPT_LENGTH)
        bench_fail("a receipt in pieces", 0);
    client->text[length] = '\0';
    client->figures.bytes += strtoull(client->text, NULL, 10);
    return 1;
}

/* ---- what each workload does with the text of a record; false: the connection has ended ---- */

static int line_of_storm(struct client *client, int fd)
{
    SSL_shutdown(client->table[fd].ssl);
    end_connection(client, fd);
    client->figures.operations++;
    if (client->started < client->job.operations)
        start_connection(client);
    return 0;
}

static int line_of_pingpong(struct client *client, int fd)
{
    client->figures.operations++;
    if (--client->table[fd].left > 0)
        send_line(client, fd);
    return client->table[fd].phase == PHASE_OPEN;
}

/* The answer is one record, and always the same. */
static int take_answer(struct client *client, int fd, size_t length)
{
    enum { HEAD_LENGTH = sizeof BENCH_ANSWER_HEAD - 1 };
    if (length != HEAD_LENGTH + BENCH_LINE_LENGTH ||
        memcmp(client->text, BENCH_ANSWER_HEAD, HEAD_LENGTH) != 0 ||
        memcmp(client->text + HEAD_LENGTH, bench_line(), BENCH_LINE_LENGTH) != 0) {
        break_connection(client, fd);
        return 0;
    }
    client->figures.operations++;
    if (--client->table[fd].left > 0) {
        send_line(client, fd);
        return client->table[fd].phase == PHASE_OPEN;
    }
    SSL_shutdown(client->table[fd].ssl);
    end_connection(client, fd);
    return 0;
}

/* A line that was sent in one record comes back in one. */
static int take_text(struct client *client, int fd, size_t length)
{
    client->table[fd].last_ms = client->now_ms;
    if (client->job.work == BENCH_UPLOAD)
        return take_receipt(client, length);
    client->figures.bytes += length;
    if (client->job.work == BENCH_BULK)
        return 1;
    if (client->job.work == BENCH_HTTP)
        return take_answer(client, fd, length);
    if (length != BENCH_LINE_LENGTH || memcmp(client->text, bench_line(), BENCH_LINE_LENGTH) != 0) {
        break_connection(client, fd);
        return 0;
    }
    return client->job.work == BENCH_STORM ? line_of_storm(client, fd)
                                           : line_of_pingpong(client, fd);
}

/* ---- events ---- */

static int is_ended_by_server(const struct client *client)
{
    return client->job.work == BENCH_BULK || client->job.work == BENCH_UPLOAD;
}

/* A call that gave no text: the window holds no whole record, or the stream is over. */
static int take_no_text(struct client *client, int fd, int result)
{
    SSL *ssl = client->table[fd].ssl;
    int error = SSL_get_error(ssl, result);
    if (error == SSL_ERROR_WANT_READ) {
        SSL_free_buffers(ssl); /* 16 KiB stay after a message of OpenSSL's own */
        return 1;
    }
    if (error == SSL_ERROR_ZERO_RETURN && is_ended_by_server(client))
        end_connection(client, fd);
    else
        break_connection(client, fd);
    return 0;
}

/* A whole record leaves nothing behind in OpenSSL, so an empty window needs no further call. */
static int read_window(struct client *client, int fd)
{
    client->fd = fd;
    while (client->window_length > 0) {
        int n = SSL_read(client->table[fd].ssl, client->text, RECORD_SIZE);
        if (!(n > 0 ? take_text(client, fd, (size_t) n) : take_no_text(client, fd, n)))
            return 0;
    }
    return 1;
}

static void on_open(struct client *client, int fd)
{
    struct connection *connection = &client->table[fd];
    connection->phase = PHASE_OPEN;
    connection->last_ms = client->now_ms;
    connection->left = (uint32_t) (client->job.operations / client->job.connections);
    client->open++;
    client->figures.resumed += SSL_session_reused(connection->ssl) == 1;
    SSL_free_buffers(connection->ssl);
    if (client->job.work == BENCH_STORM || client->job.work == BENCH_HTTP)
        send_line(client, fd);
    else if (client->job.work == BENCH_UPLOAD)
        start_upload(client, fd);
    else if (client->started < client->job.connections)
        start_connection(client);
}

static int shake(struct client *client, int fd)
{
    SSL *ssl = client->table[fd].ssl;
    client->fd = fd;
    int result = SSL_do_handshake(ssl);
    if (result == 1) {
        on_open(client, fd);
        return client->table[fd].phase == PHASE_OPEN && read_window(client, fd);
    }
    if (SSL_get_error(ssl, result) == SSL_ERROR_WANT_READ)
        return 1;
    break_connection(client, fd);
    return 0;
}

/* A read that does not fill the buffer has drained the socket, unless its end is there as well. */
static void on_readable(struct client *client, int fd, uint32_t events)
{
    int to_the_end = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    for (;;) {
        ssize_t n = recv(fd, client->wire, WIRE_SIZE, 0);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) { /* an end without close_notify */
            break_connection(client, fd);
            return;
        }
        client->window = client->wire;
        client->window_length = (size_t) n;
        int goes_on =
            client->table[fd].phase == PHASE_OPEN ? read_window(client, fd) : shake(client, fd);
        if (!goes_on || (n < WIRE_SIZE && !to_the_end))
            return;
    }
}

static void on_event(struct client *client, int fd, uint32_t events)
{
    struct connection *connection = &client->table[fd];
    if (connection->phase == PHASE_NONE)
        return;
    if (connection->phase == PHASE_CONNECTING && events & (EPOLLERR | EPOLLHUP)) {
        break_connection(client, fd);
        return;
    }
    if (connection->phase == PHASE_CONNECTING && events & EPOLLOUT) {
        connection->ssl = create_ssl(client);
        connection->phase = PHASE_SHAKING;
        if (!shake(client, fd))
            return;
    }
    if (connection->batch && events & EPOLLOUT)
        send_batches(client, fd);
    if (connection->phase != PHASE_CONNECTING &&
        events & (EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP))
        on_readable(client, fd, events);
}

static void sweep(struct client *client)
{
    if (!client->job.timeouts || client->now_ms - client->swept_ms < FLOOR_SWEEP_MS)
        return;
    client->swept_ms = client->now_ms;
    for (unsigned fd = 0; fd < client->table_size; fd++) {
        const struct connection *connection = &client->table[fd];
        uint32_t limit_ms =
            connection->phase == PHASE_OPEN ? FLOOR_INPUT_TIMEOUT_MS : FLOOR_CONNECT_TIMEOUT_MS;
        if (connection->phase != PHASE_NONE && client->now_ms - connection->last_ms >= limit_ms)
            break_connection(client, (int) fd);
    }
}

static void run_turn(struct client *client, int timeout_ms)
{
    struct epoll_event events[FLOOR_EVENTS];
    int count = epoll_wait(client->epoll_fd, events, FLOOR_EVENTS, timeout_ms);
    client->now_ms = floor_clock_ms();
    for (int i = 0; i < count; i++)
        on_event(client, events[i].data.fd, events[i].events);
    sweep(client);
}

/* ---- the workloads ---- */

static void open_all(struct client *client)
{
    start_connections(client);
    while (client->open < client->job.connections && client->figures.errors == 0)
        run_turn(client, FLOOR_SWEEP_MS);
}

/* The server's session tickets come after the handshake. */
static void settle(struct client *client)
{
    uint64_t end_ns = bench_now_ns() + (uint64_t) BENCH_SETTLE_MS * 1000000;
    while (bench_now_ns() < end_ns)
        run_turn(client, BENCH_SETTLE_MS / 10);
}

static void run_to_the_end(struct client *client)
{
    bench_begin(&client->figures);
    start_connections(client);
    while (client->alive > 0)
        run_turn(client, FLOOR_SWEEP_MS);
    bench_end(&client->figures);
    if (client->job.work == BENCH_BULK)
        client->figures.operations = client->figures.bytes;
}

static void run_pingpong(struct client *client)
{
    uint64_t expected = client->job.operations / client->job.connections * client->job.connections;
    open_all(client);
    bench_begin(&client->figures);
    for (unsigned fd = 0; fd < client->table_size; fd++)
        if (client->table[fd].phase == PHASE_OPEN)
            send_line(client, (int) fd);
    while (client->figures.operations < expected && client->figures.errors == 0)
        run_turn(client, FLOOR_SWEEP_MS);
    bench_end(&client->figures);
}

static void run_idle(struct client *client)
{
    uint64_t before = bench_settled_memory();
    open_all(client);
    settle(client);
    client->figures.memory_bytes = bench_settled_memory() - before;
    client->figures.operations = client->open;
}

static void check_job(const struct bench_job *job)
{
    if (!job->tls || job->work == BENCH_LINES || job->work == BENCH_MIXED)
        bench_fail(
            "the floor under TLS knows storm, pingpong, idle, bulk, upload, http, with tls=FILE",
            0);
}

int main(int argc, char **argv)
{
    struct client *client = calloc(1, sizeof *client);
    if (!client)
        bench_fail("calloc", errno);
    bench_job_read(argc, argv, &client->job);
    check_job(&client->job);
    if (client->job.work == BENCH_UPLOAD)
        client->source = bench_source();
    create_method(client);
    create_context(client);
    client->table_size = client->job.connections + FLOOR_OTHER_DESCRIPTORS;
    client->table = calloc(client->table_size, sizeof *client->table);
    client->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (!client->table || client->epoll_fd < 0)
        bench_fail("start", errno);
    client->now_ms = client->swept_ms = floor_clock_ms();
    if (client->job.work == BENCH_PINGPONG)
        run_pingpong(client);
    else if (client->job.work == BENCH_IDLE)
        run_idle(client);
    else
        run_to_the_end(client);
    return bench_report(&client->figures);
}
