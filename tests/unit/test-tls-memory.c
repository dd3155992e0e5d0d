/* SPDX-License-Identifier: MIT */
/*
 * Each allocation of OpenSSL fails in turn: a specification is not made, an SSL is not, a handshake
 * fails or goes on, a certificate is not told. Nothing crashes, and no weak connection comes about.
 * The hooks into OpenSSL's memory are this test's alone.
 */
#include "tls_bench.h"

#include <errno.h>

#include "transport/certificate.h"
#include "transport/verdict.h"

/* Of how many allocations of a handshake one fails: each, where assertions and sanitizers watch. */
#ifdef TCPM__ASSERTIONS
enum { STEP = 1 };
#else
enum { STEP = 5 };
#endif

static struct tls_bench bench;

/* ---- OpenSSL's memory ---- */

static long left = -1; /* allocations that still succeed; negative: all do */
static bool has_failed;

static bool fails(void)
{
    if (left != 0) {
        left -= left > 0;
        return false;
    }
    left = -1;
    has_failed = true;
    return true;
}

static void *on_malloc(size_t size, const char *file, int line)
{
    (void) file;
    (void) line;
    return fails() ? NULL : malloc(size);
}

static void *on_realloc(void *block, size_t size, const char *file, int line)
{
    (void) file;
    (void) line;
    return fails() ? NULL : realloc(block, size);
}

static void on_free(void *block, const char *file, int line)
{
    (void) file;
    (void) line;
    free(block);
}

/* The allocation after so many others fails. */
static void fail_after(long count)
{
    left = count;
    has_failed = false;
}

/* Whether an allocation has failed. From here on all succeed. */
static bool end_failing(void)
{
    bool ret = has_failed;

    left = -1;
    has_failed = false;
    return ret;
}

/* ---- specifications ---- */

static void test_a_specification_is_made_whole_or_not_at_all(void **state)
{
    struct authority_pair client = authority_named(authority, "client");
    const struct tcpm_tls_options options = {.size = sizeof options,
                                             .ca = authority_root(authority),
                                             .cert = client.chain,
                                             .key = client.key,
                                             .alpn = "h2"};
    bool has_been_short = true;
    long refused = 0;

    (void) state;
    tls_bench_open(&bench);
    for (long count = 0; has_been_short; count++) {
        struct tcpm_tls *spec = NULL;

        fail_after(count);
        int code = tcpm__tls_spec_make(bench.shared, &options, &spec, &bench.message);

        has_been_short = end_failing();
        assert_true(code == 0 || bench.message[0] != '\0');
        refused += code != 0;
        if (code != 0)
            continue;
        assert_int_equal(SSL_CTX_get_security_level(spec->context), 2);
        assert_non_null(SSL_CTX_get0_certificate(spec->context));
        assert_non_null(SSL_CTX_get0_privatekey(spec->context));
        tcpm__tls_spec_drop(spec);
    }
    assert_true(refused > 100);
    tls_bench_close(&bench);
}

/* ---- connections ---- */

/* The client's part of a meeting with a server whose certificate is this one. */
static bool meet_short(struct tcpm_tls *spec, SSL_CTX *server, long count, uint32_t expected)
{
    struct meeting meeting = {.is_open = false};
    BIO *near, *far;
    bool is_over = false;

    assert_int_equal(BIO_new_bio_pair(&near, 1 << 16, &far, 1 << 16), 1);
    meeting.server = SSL_new(server);
    SSL_set_bio(meeting.server, far, far);
    SSL_set_accept_state(meeting.server);
    fail_after(count);
    int code = tcpm__tls_spec_connect(spec, "peer.test", 1, &meeting.peer, &meeting.client);

    if (code == 0)
        SSL_set_bio(meeting.client, near, near);
    else
        BIO_free(near);
    for (int i = 0; code == 0 && i < 4 && !is_over; i++) {
        int result = SSL_do_handshake(meeting.client);
        long rest = left;

        meeting.is_open = result == 1;
        is_over = result != 1 && SSL_get_error(meeting.client, result) != SSL_ERROR_WANT_READ;
        ERR_clear_error();
        left = -1;
        SSL_do_handshake(meeting.server);
        ERR_clear_error();
        left = rest;
    }
    assert_true(code == 0 || code == -ENOMEM);
    if (meeting.is_open)
        assert_int_equal(meeting.peer.verdict.problems | expected, 0);
    bool has_been_short = end_failing();

    SSL_free(meeting.client);
    SSL_free(meeting.server);
    ERR_clear_error();
    return has_been_short;
}

/* step: of how many allocations one fails */
static void meet_always_short(const char *certificate, uint32_t expected, long step)
{
    SSL_CTX *server = server_of(authority_named(authority, certificate));
    struct tcpm_tls *spec =
        spec_of(&bench, (struct tcpm_tls_options){.ca = authority_root(authority)});
    long count = 0;

    while (meet_short(spec, server, count, expected))
        count += step;
    assert_true(count > 300);
    tcpm__tls_spec_drop(spec);
    SSL_CTX_free(server);
}

static void test_no_connection_comes_about_that_should_not(void **state)
{
    (void) state;
    tls_bench_open(&bench);
    meet_always_short("wrong-host", TCPM_PROBLEM_HOST_MISMATCH, STEP);
    meet_always_short("self-signed", TCPM_PROBLEM_SELF_SIGNED, 7);
    tls_bench_close(&bench);
}

/* ---- words ---- */

static X509 *read_certificate(const char *name)
{
    BIO *bio = BIO_new_mem_buf(authority_named(authority, name).chain, -1);
    X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);

    BIO_free(bio);
    return certificate;
}

static void test_a_certificate_is_told_or_not(void **state)
{
    bool has_been_short = true;

    (void) state;
    tls_bench_open(&bench);
    for (long count = 0; has_been_short; count++) {
        X509 *certificate = read_certificate("good");
        struct tcpm_certificate told;
        char *strings = NULL;

        fail_after(count);
        int code = tcpm__certificate_describe(&bench.scarce.memory, certificate, &strings, &told);

        has_been_short = end_failing();
        assert_true(code == 0 || (code == -ENOMEM && has_been_short));
        if (code == 0)
            assert_int_equal(strlen(told.sha256), 64);
        tcpm__memory_free(&bench.scarce.memory, strings);
        X509_free(certificate);
    }
    tls_bench_close(&bench);
}

static void test_a_verdict_has_at_least_its_word(void **state)
{
    const struct tcpm__verdict_rules rules = {.no_verify = false};
    const struct tcpm__tls_verdict verdict = {
        .rules = &rules, .server_name = "a.test", .problems = TCPM_PROBLEM_HOST_MISMATCH};
    bool has_been_short = true;

    (void) state;
    for (long count = 0; has_been_short; count++) {
        X509 *certificate = read_certificate("wrong-host");
        char text[512];

        fail_after(count);
        tcpm__verdict_text(&verdict, certificate, text, sizeof text);
        has_been_short = end_failing();
        assert_int_equal(strncmp(text, "host mismatch", 13), 0);
        X509_free(certificate);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_a_specification_is_made_whole_or_not_at_all),
    cmocka_unit_test(test_no_connection_comes_about_that_should_not),
    cmocka_unit_test(test_a_certificate_is_told_or_not),
    cmocka_unit_test(test_a_verdict_has_at_least_its_word),
};

int main(void)
{
    if (CRYPTO_set_mem_functions(on_malloc, on_realloc, on_free) != 1)
        return 1;
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, create_authority, free_authority);
}
