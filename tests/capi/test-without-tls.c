/* SPDX-License-Identifier: MIT */
/*
 * A library that was built without OpenSSL: TLS is refused in words, nothing else changes, and no
 * symbol of OpenSSL is needed.
 */
#include "plain.h"

#include <dlfcn.h>

static void test_T79_no_specification_is_made_and_the_message_says_why(void **state)
{
    struct host *host = *state;
    struct tcpm_tls_options options = {.size = sizeof options};
    struct tcpm_tls *tls = NULL;
    const char *message = NULL;

    assert_int_equal(tcpm_tls_create(host->engine, &options, &tls, &message), -EOPNOTSUPP);
    assert_null(tls);
    assert_non_null(message);
    assert_non_null(strstr(message, "OpenSSL"));
    assert_int_equal(tcpm_tls_create(host->engine, NULL, &tls, NULL), -EOPNOTSUPP);
    tcpm_tls_free(NULL);
    host_close(host);
}

static void test_T79_connections_without_tls_tell_so(void **state)
{
    struct host *host = *state;
    struct track track = {.hook = NULL};
    struct tcpm_tls_info info = {.size = sizeof info};
    struct tcpm_certificate certificate = {.size = sizeof certificate};

    struct peer *peer = host_peer(host, "send \"hello\\n\"; recv all", NULL);
    track_connect(&track, track_session(host, NULL), peer_port(peer));
    host_run_until(host, track_open, &track);
    assert_int_equal(tcpm_tls_get(track.session, track.id, &info), -ENOENT);
    assert_int_not_equal(tcpm_tls_certificate(track.session, track.id, 0, &certificate), 1);
    assert_int_not_equal(tcpm_starttls(track.session, track.id, NULL, NULL), 0);
    assert_int_equal(tcpm_shutdown(track.session, track.id), 0);
    host_run(host);
    assert_int_equal(track.reason, TCPM_REASON_SHUTDOWN);
    host_close(host);
}

static void test_T79_no_symbol_of_openssl_is_needed(void **state)
{
    static const char *const symbols[] = {"SSL_new", "SSL_CTX_new", "X509_free",
                                          "OPENSSL_init_crypto"};

    (void) state;
    for (size_t i = 0; i < COUNT(symbols); i++)
        assert_null(dlsym(RTLD_DEFAULT, symbols[i]));
}

static const struct CMUnitTest tests[] = {
    HOST_TEST(test_T79_no_specification_is_made_and_the_message_says_why),
    HOST_TEST(test_T79_connections_without_tls_tell_so),
    cmocka_unit_test(test_T79_no_symbol_of_openssl_is_needed),
};

RUN_TESTS(tests)
