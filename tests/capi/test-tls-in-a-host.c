/* SPDX-License-Identifier: MIT */
/*
 * TLS in a program that uses OpenSSL itself, or where somebody has configured OpenSSL: the queue of
 * errors is the program's, the configuration file has no say in versions, and a peer that is gone
 * is an error, never a signal. Each case runs in a child, in which OpenSSL has not been used yet.
 */
#include "plain.h"

#include <netinet/tcp.h>
#include <signal.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

/* A connection by TLS; the certificate of the peers is of an authority that nobody trusts. */
static void connect_tls(struct host *host, struct track *track, const struct peer *peer,
                        struct tcpm_tls_options options)
{
    struct tcpm_tls *tls = NULL;
    const char *message = NULL;

    options.size = sizeof options;
    options.no_verify = 1;
    assert_int_equal(tcpm_tls_create(host->engine, &options, &tls, &message), 0);
    struct tcpm_session *session = track_session(
        host, &(struct tcpm_session_options){.size = sizeof(struct tcpm_session_options),
                                             .events = track_events(),
                                             .tls = tls});
    tcpm_tls_free(tls);
    track_connect(track, session, peer_port(peer));
}

/* ---- the queue of errors ---- */

static void raise_errors(struct track *track, enum event event)
{
    (void) track, (void) event;
    ERR_raise(ERR_LIB_USER, 1);
    ERR_raise(ERR_LIB_SSL, SSL_R_CERTIFICATE_VERIFY_FAILED);
}

static void raise_all_the_time(uv_prepare_t *prepare)
{
    (void) prepare;
    raise_errors(NULL, EVENT_INPUT);
}

static void leave_errors_everywhere(void *argument)
{
    struct host host;
    struct track track = {.hook = raise_errors};
    uv_prepare_t prepare;

    (void) argument;
    host_open(&host, NULL);
    uv_prepare_init(&host.loop, &prepare);
    uv_prepare_start(&prepare, raise_all_the_time);
    uv_unref((uv_handle_t *) &prepare);
    struct peer *peer = host_peer(&host, "send \"one\\n\"; recv line; send \"two\\n\"; close",
                                  &(struct peer_options){.tls = &(struct peer_tls){.tickets = 2}});
    raise_errors(NULL, EVENT_INITIALIZE);
    connect_tls(&host, &track, peer, (struct tcpm_tls_options){.no_resumption = 0});
    assert_int_equal(tcpm_send(track.session, track.id, "hello", 5), 0);
    host_run(&host);
    assert_log(&track, "initialize success input(one) input(two) error(read,EOF) "
                       "disconnected(eof)");
    uv_close((uv_handle_t *) &prepare, NULL);
    host_close(&host);
}

static void test_T67_errors_of_the_host_in_the_queue_have_no_effect(void **state)
{
    (void) state;
    assert_int_equal(in_child(leave_errors_everywhere, NULL), 0);
}

/* ---- SIGPIPE ---- */

static void send_into_the_reset(void *argument)
{
    struct host host;
    struct track track = {.hook = NULL};

    (void) argument;
    signal(SIGPIPE, SIG_DFL);
    host_open(&host, NULL);
    struct peer *peer = host_peer(&host, "recv line; rst",
                                  &(struct peer_options){.tls = &(struct peer_tls){.tickets = -1}});
    connect_tls(&host, &track, peer, (struct tcpm_tls_options){.no_resumption = 1});
    host_run_until(&host, track_open, &track);
    assert_int_equal(tcpm_send(track.session, track.id, "x", 1), 0);
    assert_int_equal(peer_wait_ended(peer, 1, 20), 0);
    for (int i = 0; i < 10; i++)
        tcpm_send(track.session, track.id, "x", 1);
    host_run(&host);
    assert_int_equal(track.code, -ECONNRESET);
    assert_int_equal(track.reason, TCPM_REASON_ERROR);
    host_close(&host);
}

static void test_T80_a_send_by_tls_to_a_reset_peer_raises_no_signal(void **state)
{
    (void) state;
    assert_int_equal(in_child(send_into_the_reset, NULL), 0);
}

/* ---- Nagle's algorithm: our last message of the handshake may not be acknowledged yet ---- */

static void send_once(struct track *track, enum event event)
{
    int nodelay = 0;
    socklen_t size = sizeof nodelay;

    if (event != EVENT_SUCCESS)
        return;
    assert_int_equal(tcpm_send(track->session, track->id, "x", 1), 0);
    assert_int_equal(getsockopt(track->fd, IPPROTO_TCP, TCP_NODELAY, &nodelay, &size), 0);
    assert_int_not_equal(nodelay, 0);
    assert_int_equal(tcpm_shutdown(track->session, track->id), 0);
}

static void send_behind_the_handshake(void *argument)
{
    struct host host;
    struct track track = {.hook = send_once};

    (void) argument;
    host_open(&host, NULL);
    struct peer *peer = host_peer(&host, "recv all; close",
                                  &(struct peer_options){.tls = &(struct peer_tls){.tickets = -1}});
    connect_tls(&host, &track, peer, (struct tcpm_tls_options){.no_resumption = 1});
    host_run(&host);
    assert_log(&track, "initialize success disconnected(shutdown)");
    host_close(&host);
}

static void test_the_first_send_by_tls_waits_for_no_acknowledgement(void **state)
{
    (void) state;
    assert_int_equal(in_child(send_behind_the_handshake, NULL), 0);
}

/* ---- the configuration file ---- */

struct configured {
    const char *version; /* MinProtocol of the file */
    int64_t min_version; /* option of the specification */
    int highest;         /* of the peer */
    const char *agreed;  /* NULL: none */
};

static void configure(const char *version)
{
    char path[] = "/tmp/tcpm-openssl-XXXXXX";
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_true(dprintf(fd,
                        "openssl_conf = all\n[all]\nssl_conf = modules\n"
                        "[modules]\nsystem_default = defaults\n[defaults]\nMinProtocol = %s\n"
                        "CipherString = DEFAULT@SECLEVEL=0\n",
                        version) > 0);
    close(fd);
    assert_int_equal(setenv("OPENSSL_CONF", path, 1), 0);
    assert_int_equal(OPENSSL_init_ssl(0, NULL), 1);
    SSL_CTX *context = SSL_CTX_new(TLS_client_method()); /* what the file says to other programs */
    assert_non_null(context);
    assert_int_equal(SSL_CTX_get_min_proto_version(context),
                     strcmp(version, "TLSv1.3") == 0 ? TLS1_3_VERSION : TLS1_VERSION);
    SSL_CTX_free(context);
    unlink(path);
}

static void note_version(struct track *track, enum event event)
{
    struct tcpm_tls_info info = {.size = sizeof info};

    if (event != EVENT_SUCCESS)
        return;
    assert_int_equal(tcpm_tls_get(track->session, track->id, &info), 0);
    snprintf(track->user, 16, "%s", info.version);
}

static void agree(void *argument)
{
    const struct configured *configured = argument;
    char version[16] = "none";
    struct host host;
    struct track track = {.hook = note_version, .user = version};

    configure(configured->version);
    host_open(&host, NULL);
    struct peer *peer = host_peer(
        &host, "recv all",
        &(struct peer_options){.tls = &(struct peer_tls){.min_version = TLS1_VERSION,
                                                         .max_version = configured->highest}});
    connect_tls(&host, &track, peer,
                (struct tcpm_tls_options){.min_version = configured->min_version, .legacy = 1});
    host_run_until(&host, configured->agreed != NULL ? track_open : track_ended, &track);
    assert_string_equal(version, configured->agreed != NULL ? configured->agreed : "none");
    if (configured->agreed == NULL)
        assert_int_equal(track.op, TCPM_OP_TLS);
    host_close(&host);
}

static void test_T81_versions_are_those_of_the_options_whatever_openssl_cnf_says(void **state)
{
    static const struct configured cases[] = {
        {"TLSv1.3", 0, TLS1_2_VERSION, "TLSv1.2"}, /* higher than ours */
        {"TLSv1.3", TLS1_1_VERSION, TLS1_1_VERSION, "TLSv1.1"},
        {"TLSv1", 0, TLS1_1_VERSION, NULL}, /* lower than ours */
        {"TLSv1", TLS1_3_VERSION, TLS1_2_VERSION, NULL},
        {"TLSv1", 0, TLS1_2_VERSION, "TLSv1.2"},
    };

    (void) state;
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_int_equal(in_child(agree, (void *) (uintptr_t) &cases[i]), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_T67_errors_of_the_host_in_the_queue_have_no_effect),
    cmocka_unit_test(test_T80_a_send_by_tls_to_a_reset_peer_raises_no_signal),
    cmocka_unit_test(test_the_first_send_by_tls_waits_for_no_acknowledgement),
    cmocka_unit_test(test_T81_versions_are_those_of_the_options_whatever_openssl_cnf_says),
};

RUN_TESTS(tests)
