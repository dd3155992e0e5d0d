/* SPDX-License-Identifier: MIT */
/*
 * See secure.h. OpenSSL reads and writes through a BIO of our own, so that the flags of a send
 * reach the kernel, and records can be gathered: sent together, or in part.
 *
 * What always holds: secure->error is the errno of the last system call that failed. The error
 * queue of the thread is empty between two calls.
 */
#include "secure.h"

#include "sealer.h"
#include "securecontext.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

enum { TYPE_ALERT = 21, TYPE_DATA = 23, RECORD = 16384, WARNING = 1, FATAL = 2 };

struct secure_context {
    SSL_CTX *ctx;
    BIO_METHOD *method;
};

struct secure {
    SSL *ssl;
    int fd, flags; /* of the next send */
    int error;     /* of the last system call that failed */
    bool is_at_end, is_notified, is_finished, sends_single_bytes, has_new_keys;
    bool is_gathering;
    bool is_write_broken; /* a write has failed: another one would break the reading too */
    unsigned char *gathered;
    size_t gathered_length, gathered_capacity;
    int refusal; /* the alert that answers the ClientHello, and 1 more; 0: none */
    unsigned char secret[SEALER_SECRET];
    size_t secret_length;
    uint64_t records; /* written by the secret */
    struct sealer sealer;
    char reason[sizeof((struct peer_secured *) NULL)->reason];
};

/* ---- the BIO ---- */

static int gather(struct secure *secure, const void *bytes, size_t length)
{
    size_t needed = secure->gathered_length + length;

    if (needed > secure->gathered_capacity) {
        unsigned char *gathered = realloc(secure->gathered, needed * 2);

        if (gathered == NULL) {
            secure->error = ENOMEM;
            return -1;
        }
        secure->gathered = gathered;
        secure->gathered_capacity = needed * 2;
    }
    memcpy(secure->gathered + secure->gathered_length, bytes, length);
    secure->gathered_length = needed;
    return (int) length;
}

static int write_bytes(BIO *bio, const char *bytes, int length)
{
    struct secure *secure = BIO_get_data(bio);
    ssize_t sent;

    BIO_clear_retry_flags(bio);
    if (secure->is_gathering)
        return gather(secure, bytes, (size_t) length);
    do {
        sent = send(secure->fd, bytes, (size_t) length, MSG_NOSIGNAL | secure->flags);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0) {
        secure->error = errno;
        if (errno == EAGAIN)
            BIO_set_retry_write(bio);
    }
    return (int) sent;
}

static int read_bytes(BIO *bio, char *bytes, int size)
{
    struct secure *secure = BIO_get_data(bio);
    ssize_t got;

    BIO_clear_retry_flags(bio);
    do {
        got = recv(secure->fd, bytes, (size_t) size, 0);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        secure->error = errno;
        if (errno == EAGAIN)
            BIO_set_retry_read(bio);
    }
    secure->is_at_end = got == 0;
    return (int) got;
}

static long control_bytes(BIO *bio, int command, long number, void *pointer)
{
    struct secure *secure = BIO_get_data(bio);

    (void) number;
    (void) pointer;
    if (command == BIO_CTRL_EOF)
        return secure->is_at_end;
    return command == BIO_CTRL_FLUSH;
}

/* ---- what OpenSSL tells on the way ---- */

static int answer_hello(SSL *ssl, int *alert, void *unused)
{
    const struct secure *secure = SSL_get_app_data(ssl);

    (void) unused;
    if (secure->refusal == 0)
        return SSL_CLIENT_HELLO_SUCCESS;
    *alert = secure->refusal - 1;
    return SSL_CLIENT_HELLO_ERROR;
}

/* "SERVER_TRAFFIC_SECRET_0 random secret": records are counted from here on. */
static void keep_secret(const SSL *ssl, const char *line)
{
    struct secure *secure = SSL_get_app_data(ssl);
    const char *secret = strrchr(line, ' ');

    if (strncmp(line, "SERVER_TRAFFIC_SECRET_0 ", 24) != 0)
        return;
    secure->records = 0;
    if (OPENSSL_hexstr2buf_ex(secure->secret, sizeof secure->secret, &secure->secret_length,
                              secret + 1, '\0') != 1)
        secure->secret_length = 0;
}

static void count_records(int is_written, int version, int type, const void *bytes, size_t length,
                          SSL *ssl, void *argument)
{
    struct secure *secure = argument;

    (void) version;
    (void) bytes;
    (void) length;
    (void) ssl;
    secure->records += is_written && type == SSL3_RT_HEADER;
}

/* ---- open and free ---- */

static BIO_METHOD *make_method(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "peer");

    if (method != NULL) {
        BIO_meth_set_write(method, write_bytes);
        BIO_meth_set_read(method, read_bytes);
        BIO_meth_set_ctrl(method, control_bytes);
    }
    return method;
}

struct secure_context *secure_context_open(const struct peer_tls *options_or_null, char *message,
                                           size_t size)
{
    const struct peer_tls none = {0};
    struct secure_context *context = calloc(1, sizeof *context);

    if (context == NULL) {
        (void) snprintf(message, size, "out of memory");
        return NULL;
    }
    context->ctx =
        secure_make_context(options_or_null != NULL ? options_or_null : &none, message, size);
    context->method = context->ctx != NULL ? make_method() : NULL;
    if (context->method == NULL) {
        secure_context_close(context);
        return NULL;
    }
    SSL_CTX_set_client_hello_cb(context->ctx, answer_hello, NULL);
    SSL_CTX_set_keylog_callback(context->ctx, keep_secret);
    return context;
}

void secure_context_close(struct secure_context *context)
{
    if (context == NULL)
        return;
    if (context->ctx != NULL)
        free(SSL_CTX_get_app_data(context->ctx)); /* the names of protocols */
    SSL_CTX_free(context->ctx);
    BIO_meth_free(context->method);
    free(context);
}

static struct secure_context *context_of_process; /* lives as long as the process */

static void make_context_of_process(void)
{
    char message[64];

    context_of_process = secure_context_open(NULL, message, sizeof message);
}

struct secure_context *secure_context_of_process(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, make_context_of_process);
    return context_of_process;
}

static bool make_ssl(struct secure *secure, struct secure_context *context)
{
    BIO *bio = BIO_new(context->method);

    secure->ssl = SSL_new(context->ctx);
    if (bio == NULL || secure->ssl == NULL) {
        BIO_free(bio);
        return false;
    }
    BIO_set_data(bio, secure);
    BIO_set_init(bio, 1);
    SSL_set_bio(secure->ssl, bio, bio);
    SSL_set_app_data(secure->ssl, secure);
    SSL_set_msg_callback(secure->ssl, count_records);
    SSL_set_msg_callback_arg(secure->ssl, secure);
    SSL_set_accept_state(secure->ssl);
    return true;
}

struct secure *secure_open(struct secure_context *context, int fd)
{
    struct secure *secure = calloc(1, sizeof *secure);

    if (secure == NULL)
        return NULL;
    secure->fd = fd;
    if (make_ssl(secure, context))
        return secure;
    secure_free(secure);
    return NULL;
}

void secure_free(struct secure *secure)
{
    if (secure == NULL)
        return;
    SSL_free(secure->ssl);
    sealer_close(&secure->sealer);
    free(secure->gathered);
    free(secure);
}

/* ---- results ---- */

const char *secure_reason(void)
{
    const char *found = NULL, *text, *alert;

    for (unsigned long error = ERR_get_error(); error != 0; error = ERR_get_error()) {
        text = ERR_reason_error_string(error);
        if (text != NULL && strcmp(text, "record layer failure") != 0)
            found = text;
    }
    alert = found == NULL ? NULL : strstr(found, "alert ");
    return alert != NULL ? alert : found;
}

/* Of a call that has not succeeded: sets errno, keeps the reason. Gives 0 after close_notify, else
   -1. */
static int fail(struct secure *secure, int result)
{
    int error = SSL_get_error(secure->ssl, result);
    const char *reason = secure_reason();

    errno = EAGAIN;
    if (error == SSL_ERROR_ZERO_RETURN)
        return 0;
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
        return -1;
    if (reason != NULL)
        (void) snprintf(secure->reason, sizeof secure->reason, "%s", reason);
    errno = error == SSL_ERROR_SYSCALL && secure->error != 0 ? secure->error : EPROTO;
    return -1;
}

int secure_handshake(struct secure *secure)
{
    int result = SSL_do_handshake(secure->ssl);

    if (result == 1)
        return 0;
    (void) fail(secure, result);
    return -1;
}

/* ---- out ---- */

/* To a socket that blocks. */
static int send_all(struct secure *secure, const void *bytes, size_t length)
{
    const char *at = bytes;

    while (length > 0) {
        ssize_t sent = send(secure->fd, at, length, MSG_NOSIGNAL | secure->flags);

        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return -1;
        at += sent;
        length -= (size_t) sent;
    }
    return 0;
}

static int send_gathered(struct secure *secure, size_t length)
{
    secure->is_gathering = false;
    secure->gathered_length = 0;
    return send_all(secure, secure->gathered, length);
}

static int send_sealed(struct secure *secure, unsigned char type, const void *bytes, size_t length)
{
    unsigned char record[RECORD + SEALER_OVERHEAD];
    size_t size = sealer_seal(&secure->sealer, type, bytes, length, record);

    if (size > 0)
        return secure->is_gathering ? gather(secure, record, size) < 0 ? -1 : 0
                                    : send_all(secure, record, size);
    errno = EPROTO;
    return -1;
}

/* One record, or a part of one. */
static ssize_t send_record(struct secure *secure, const void *bytes, size_t length)
{
    int sent;

    length = length < RECORD ? length : RECORD;
    if (secure->sealer.cipher != NULL)
        return send_sealed(secure, TYPE_DATA, bytes, length) < 0 ? -1 : (ssize_t) length;
    sent = SSL_write(secure->ssl, bytes, (int) length);
    if (sent > 0)
        return sent;
    (void) fail(secure, sent);
    secure->is_write_broken = errno != EAGAIN;
    return -1;
}

static ssize_t send_single_bytes(struct secure *secure, const char *bytes, size_t length)
{
    secure->is_gathering = true;
    for (size_t i = 0; i < length; i++) {
        if (send_record(secure, bytes + i, 1) != 1) {
            secure->is_gathering = false;
            return -1;
        }
    }
    return send_gathered(secure, secure->gathered_length) < 0 ? -1 : (ssize_t) length;
}

/* All but the last byte through TLS. */
static ssize_t send_urgently(struct secure *secure, const char *bytes, size_t length)
{
    size_t before = 0;

    while (before < length - 1) {
        ssize_t sent = secure_send(secure, bytes + before, length - 1 - before, 0);

        if (sent < 0)
            return sent;
        before += (size_t) sent;
    }
    if (send(secure->fd, bytes + length - 1, 1, MSG_NOSIGNAL | MSG_OOB) < 0)
        return -1;
    return (ssize_t) length;
}

/* A record of which a part is sent has to be sent to its end: with the flag a record is begun only
   if the kernel takes something now. */
static bool is_blocked(const struct secure *secure)
{
    struct pollfd writable = {.fd = secure->fd, .events = POLLOUT};

    errno = EAGAIN;
    return poll(&writable, 1, 0) == 0;
}

ssize_t secure_send(struct secure *secure, const void *bytes, size_t length, int flags)
{
    if (length == 0)
        return 0;
    errno = EPIPE;
    if (secure->is_write_broken)
        return -1;
    if ((flags & MSG_DONTWAIT) != 0 && is_blocked(secure))
        return -1;
    flags &= ~MSG_DONTWAIT;
    if ((flags & MSG_OOB) != 0)
        return send_urgently(secure, bytes, length);
    secure->flags = flags;
    return secure->sends_single_bytes ? send_single_bytes(secure, bytes, length)
                                      : send_record(secure, bytes, length);
}

void secure_finish(struct secure *secure)
{
    static const unsigned char close_notify[] = {WARNING, 0};

    if (secure->is_finished || secure->is_write_broken || !SSL_is_init_finished(secure->ssl))
        return;
    secure->is_finished = true;
    secure->flags = 0;
    if (secure->sealer.cipher != NULL)
        (void) send_sealed(secure, TYPE_ALERT, close_notify, sizeof close_notify);
    else
        (void) SSL_shutdown(secure->ssl);
    ERR_clear_error();
}

/* ---- in ---- */

/* Behind close_notify comes FIN, or the reset that takes its place. */
static ssize_t receive_end(struct secure *secure, void *bytes, size_t size)
{
    ssize_t got = recv(secure->fd, bytes, size, 0);

    if (got <= 0)
        return got;
    (void) snprintf(secure->reason, sizeof secure->reason, "bytes behind close_notify");
    errno = EPROTO;
    return -1;
}

ssize_t secure_receive(struct secure *secure, void *bytes, size_t size)
{
    int got;

    if (secure->is_notified)
        return receive_end(secure, bytes, size);
    got = SSL_read(secure->ssl, bytes, (int) size);
    if (got > 0)
        return got;
    if (fail(secure, got) < 0)
        return -1;
    secure->is_notified = true;
    return receive_end(secure, bytes, size);
}

bool secure_has_text(const struct secure *secure)
{
    return SSL_pending(secure->ssl) > 0;
}

static void describe_client(struct secure *secure, struct peer_secured *ret)
{
    X509 *certificate = SSL_get0_peer_certificate(secure->ssl);

    if (certificate != NULL)
        X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, ret->client,
                                  sizeof ret->client);
}

void secure_describe(struct secure *secure, struct peer_secured *ret)
{
    const char *server_name = SSL_get_servername(secure->ssl, TLSEXT_NAMETYPE_host_name);
    const unsigned char *protocol;
    unsigned length;

    memset(ret, 0, sizeof *ret);
    memcpy(ret->reason, secure->reason, sizeof ret->reason);
    if (server_name != NULL)
        (void) snprintf(ret->server_name, sizeof ret->server_name, "%s", server_name);
    if (!SSL_is_init_finished(secure->ssl))
        return;
    ret->version = SSL_version(secure->ssl);
    ret->is_resumed = SSL_session_reused(secure->ssl);
    ret->is_notified = secure->is_notified;
    (void) snprintf(ret->cipher, sizeof ret->cipher, "%s", SSL_get_cipher_name(secure->ssl));
    SSL_get0_alpn_selected(secure->ssl, &protocol, &length);
    (void) snprintf(ret->alpn, sizeof ret->alpn, "%.*s", (int) length, (const char *) protocol);
    describe_client(secure, ret);
}

/* ---- beyond sending and receiving ---- */

static int no_such_thing(void)
{
    errno = EOPNOTSUPP;
    return -1;
}

int secure_alert_number(const char *name)
{
    char words[64];

    (void) snprintf(words, sizeof words, "%s", name);
    for (char *at = words; *at != '\0'; at++)
        *at = *at == '_' ? ' ' : *at;
    for (int number = 0; number < 256; number++) {
        if (strcasecmp(SSL_alert_desc_string_long(number), words) == 0)
            return number;
    }
    return -1;
}

int secure_refuse(struct secure *secure, int alert)
{
    secure->refusal = 1 + alert;
    if (secure_handshake(secure) == 0)
        return no_such_thing();
    return strcmp(secure->reason, "callback failed") == 0 ? 0 : -1;
}

/* All records that follow are sealed. */
static int begin_sealing(struct secure *secure)
{
    if (secure->sealer.cipher != NULL)
        return 0;
    if (SSL_version(secure->ssl) != TLS1_3_VERSION || !SSL_is_init_finished(secure->ssl) ||
        secure->has_new_keys)
        return no_such_thing();
    if (sealer_open(&secure->sealer, secure->ssl, secure->secret, secure->secret_length,
                    secure->records) < 0)
        return no_such_thing();
    return 0;
}

int secure_alert(struct secure *secure, int alert)
{
    const unsigned char bytes[] = {FATAL, (unsigned char) alert};

    if (begin_sealing(secure) < 0)
        return -1;
    secure->is_finished = true;
    return send_sealed(secure, TYPE_ALERT, bytes, sizeof bytes);
}

int secure_truncate(struct secure *secure)
{
    static const char text[] = "this record is never sent to its end";

    if (!SSL_is_init_finished(secure->ssl))
        return no_such_thing();
    secure->is_gathering = true;
    secure->is_finished = true;
    if (send_record(secure, text, sizeof text) < 0) {
        secure->is_gathering = false;
        return -1;
    }
    return send_gathered(secure, secure->gathered_length / 2);
}

int secure_send_empty(struct secure *secure, size_t count)
{
    if (begin_sealing(secure) < 0)
        return -1;
    secure->is_gathering = true;
    for (size_t i = 0; i < count; i++) {
        if (send_sealed(secure, TYPE_DATA, NULL, 0) < 0) {
            secure->is_gathering = false;
            return -1;
        }
    }
    return send_gathered(secure, secure->gathered_length);
}

static int update_key(SSL *ssl)
{
    return SSL_key_update(ssl, SSL_KEY_UPDATE_NOT_REQUESTED);
}

/* Asks for something after the handshake, again and again, and sends all of it together. */
static int send_repeatedly(struct secure *secure, int (*ask)(SSL *ssl), size_t count)
{
    int result = 1;

    if (SSL_version(secure->ssl) != TLS1_3_VERSION || !SSL_is_init_finished(secure->ssl) ||
        secure->sealer.cipher != NULL)
        return no_such_thing();
    secure->is_gathering = true;
    for (size_t i = 0; i < count && result == 1; i++)
        result = ask(secure->ssl) == 1 ? SSL_do_handshake(secure->ssl) : 0;
    if (result == 1)
        return send_gathered(secure, secure->gathered_length);
    secure->is_gathering = false;
    (void) fail(secure, result);
    return -1;
}

int secure_update_keys(struct secure *secure, size_t count)
{
    secure->has_new_keys = true;
    return send_repeatedly(secure, update_key, count);
}

int secure_send_tickets(struct secure *secure, size_t count)
{
    return send_repeatedly(secure, SSL_new_session_ticket, count);
}

int secure_renegotiate(struct secure *secure)
{
    if (SSL_version(secure->ssl) >= TLS1_3_VERSION || !SSL_is_init_finished(secure->ssl) ||
        SSL_renegotiate(secure->ssl) != 1)
        return no_such_thing();
    return secure_handshake(secure);
}

void secure_send_single_bytes(struct secure *secure)
{
    secure->sends_single_bytes = true;
}
