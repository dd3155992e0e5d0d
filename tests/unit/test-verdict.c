/* SPDX-License-Identifier: MIT */
/* All that is wrong with a certificate is found and told, and decides whether it is accepted. */
#include "tls_bench.h"

#include "certificates.h"

#include "transport/verdict.h"

#define PROBLEM(name) TCPM_PROBLEM_##name

static struct tls_bench bench;

/* What a client finds that trusts the root, or the CA of the options. */
struct found {
    bool is_open;
    uint32_t problems;
    char text[1024];
    char sent[64]; /* alert */
};

static struct found find(const char *certificate, const char *host, struct tcpm_tls_options options)
{
    SSL_CTX *server = server_of(authority_named(authority, certificate));
    struct meeting meeting;
    struct found found = {.text = ""};

    if (options.ca == NULL)
        options.ca = authority_root(authority);
    struct tcpm_tls *spec = spec_of(&bench, options);

    meet(&meeting, spec, server, host, SOME_PORT);
    found.is_open = meeting.is_open;
    found.problems = meeting.peer.verdict.problems;
    if (found.problems != 0) {
        X509 *leaf = sk_X509_value(SSL_get_peer_cert_chain(meeting.client), 0);

        assert_non_null(leaf);
        tcpm__verdict_text(&meeting.peer.verdict, leaf, found.text, sizeof found.text);
    }
    snprintf(found.sent, sizeof found.sent, "%s", meeting.sent != NULL ? meeting.sent : "");
    part(&meeting);
    tcpm__tls_spec_drop(spec);
    SSL_CTX_free(server);
    return found;
}

static const struct tcpm_tls_options strict, lenient = {.no_verify = 1};

/* ---- one problem each ---- */

static const struct {
    const char *certificate, *host;
    uint32_t problems;
    const char *text, *sent;
} cases[] = {
    {"good", "peer.test", 0, "", ""},
    {"rsa", "peer.test", 0, "", ""},
    {"good", "PEER.test", 0, "", ""},
    {"good", "127.0.0.1", 0, "", ""},
    {"good", "::1", 0, "", ""},
    {"good", "0:0::1", 0, "", ""},
    {"self-signed", "peer.test", PROBLEM(SELF_SIGNED), "self-signed: CN=", "unknown CA"},
    {"expired", "peer.test", PROBLEM(EXPIRED), "; valid until ", "certificate expired"},
    {"not-yet-valid", "peer.test", PROBLEM(NOT_YET_VALID), "; valid from ", "bad certificate"},
    {"unknown-authority", "peer.test", PROBLEM(UNKNOWN_AUTHORITY), "; issued by CN=", "unknown CA"},
    {"incomplete", "peer.test", PROBLEM(UNKNOWN_AUTHORITY), "; issued by CN=", "unknown CA"},
    {"rsa-1024", "peer.test", PROBLEM(WEAK_KEY), "weak key: CN=", "bad certificate"},
    {"sha-1", "peer.test", PROBLEM(WEAK_SIGNATURE), "weak signature: CN=", "bad certificate"},
    {"bad-purpose", "peer.test", PROBLEM(BAD_PURPOSE),
     "bad purpose: CN=", "unsupported certificate"},
    {"wrong-host", "peer.test", PROBLEM(HOST_MISMATCH),
     "; expected peer.test, it is for DNS:other.test, IP:127.0.0.99", "bad certificate"},
    {"expired-wrong-host", "peer.test", PROBLEM(EXPIRED) | PROBLEM(HOST_MISMATCH),
     "expired, host mismatch: CN=", "certificate expired"},
    {"wildcard", "a.wild.test", 0, "", ""},
    {"wildcard", "a.b.wild.test", PROBLEM(HOST_MISMATCH), "DNS:*.wild.test", "bad certificate"},
    {"wildcard", "wild.test", PROBLEM(HOST_MISMATCH), "host mismatch", "bad certificate"},
    {"wildcard-part", "foo.wild.test", PROBLEM(HOST_MISMATCH), "f*", "bad certificate"},
    {"wildcard-all", "localhost", PROBLEM(HOST_MISMATCH), "DNS:*", "bad certificate"},
    {"wildcard-top", "peer.test", PROBLEM(HOST_MISMATCH), "DNS:*.test", "bad certificate"},
    {"wildcard-middle", "a.b.test", PROBLEM(HOST_MISMATCH), "DNS:a.*.test", "bad certificate"},
    {"name-alone", "peer.test", PROBLEM(HOST_MISMATCH), "expected peer.test, it is for no host",
     "bad certificate"},
    {"name-nul", "peer.test", PROBLEM(HOST_MISMATCH), "CN=peer.test\\00.evil.test",
     "bad certificate"},
    {"ip", "127.0.0.1", 0, "", ""},
    {"ip", "127.0.0.2", PROBLEM(HOST_MISMATCH), "it is for IP:127.0.0.1", "bad certificate"},
    {"ip-as-name", "127.0.0.1", PROBLEM(HOST_MISMATCH), "it is for DNS:127.0.0.1",
     "bad certificate"},
};

static void test_a_problem_is_found_and_ends_the_handshake(void **state)
{
    (void) state;
    tls_bench_open(&bench);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct found found = find(cases[i].certificate, cases[i].host, strict);

        if (found.problems != cases[i].problems || strstr(found.text, cases[i].text) == NULL ||
            strcmp(found.sent, cases[i].sent) != 0)
            fail_msg("%s for %s: %#x, %s; alert %s", cases[i].certificate, cases[i].host,
                     found.problems, found.text, found.sent);
        assert_int_equal(found.is_open, cases[i].problems == 0);
    }
    tls_bench_close(&bench);
}

static void test_without_verification_problems_are_found_and_end_nothing(void **state)
{
    (void) state;
    tls_bench_open(&bench);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct found found = find(cases[i].certificate, cases[i].host, lenient);

        assert_true(found.is_open);
        assert_int_equal(found.problems, cases[i].problems);
        assert_string_equal(found.sent, "");
    }
    tls_bench_close(&bench);
}

/* ---- words ---- */

static void test_the_words_begin_with_the_gravest(void **state)
{
    (void) state;
#define ONE(NAME, word) assert_string_equal(tcpm__verdict_word(TCPM_PROBLEM_##NAME), word);
    TCPM_PROBLEMS(ONE)
#undef ONE
    assert_null(tcpm__verdict_word(0));
    assert_string_equal(tcpm__verdict_word(PROBLEM(EXPIRED) | PROBLEM(OTHER)), "expired");
    assert_string_equal(tcpm__verdict_word(PROBLEM(EXPIRED) | PROBLEM(FINGERPRINT)), "fingerprint");
}

static void test_a_text_that_is_too_long_is_cut(void **state)
{
    const struct tcpm__verdict_rules rules = {.no_verify = false};
    struct tcpm__tls_verdict verdict = {
        .rules = &rules, .server_name = "a.test", .problems = PROBLEM(EXPIRED) | PROBLEM(REVOKED)};
    char text[12];

    (void) state;
    tcpm__verdict_text(&verdict, NULL, text, sizeof text);
    assert_string_equal(text, "expired, re");
}

/* ---- fingerprints ---- */

/* The fingerprint of the certificate that has this name, in capitals and with colons. */
static void make_fingerprint(const char *certificate, char ret[3 * TCPM__FINGERPRINT_BYTES])
{
    BIO *bio = BIO_new_mem_buf(authority_named(authority, certificate).chain, -1);
    X509 *leaf = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    unsigned char digest[EVP_MAX_MD_SIZE];

    assert_int_equal(X509_digest(leaf, EVP_sha256(), digest, NULL), 1);
    for (int i = 0; i < TCPM__FINGERPRINT_BYTES; i++)
        snprintf(ret + 3 * i, 4, "%02X:", digest[i]);
    ret[3 * TCPM__FINGERPRINT_BYTES - 1] = '\0';
    X509_free(leaf);
    BIO_free(bio);
}

static void test_a_fingerprint_counts_always(void **state)
{
    char own[3 * TCPM__FINGERPRINT_BYTES + 1], other[sizeof own];

    (void) state;
    make_fingerprint("self-signed", own);
    make_fingerprint("good", other);
    tls_bench_open(&bench);
    for (int64_t no_verify = 0; no_verify < 2; no_verify++) {
        struct tcpm_tls_options fits = {.no_verify = no_verify, .fingerprint = own};
        struct tcpm_tls_options not_fits = {.no_verify = no_verify, .fingerprint = other};
        struct found found = find("self-signed", "peer.test", fits);

        assert_int_equal(found.problems, PROBLEM(SELF_SIGNED));
        assert_int_equal(found.is_open, no_verify);
        found = find("self-signed", "peer.test", not_fits);
        assert_int_equal(found.problems, PROBLEM(SELF_SIGNED) | PROBLEM(FINGERPRINT));
        assert_false(found.is_open);
        assert_int_equal(strncmp(found.text, "fingerprint, self-signed: CN=", 29), 0);
        assert_non_null(strstr(found.text, "; expected SHA-256 "));
        found = find("good", "peer.test", not_fits);
        assert_true(found.is_open && found.problems == 0);
    }
    tls_bench_close(&bench);
}

/* ---- authorities ---- */

static void test_an_authority_below_a_root_may_be_trusted_alone(void **state)
{
    const char *chain = authority_named(authority, "good").chain;
    const char *intermediate = strstr(chain + 1, "-----BEGIN");

    (void) state;
    assert_non_null(intermediate);
    tls_bench_open(&bench);
    struct found found = find("good", "peer.test", (struct tcpm_tls_options){.ca = intermediate});

    assert_true(found.is_open && found.problems == 0);
    tls_bench_close(&bench);
}

static void test_without_authorities_of_the_system_a_text_says_so(void **state)
{
    SSL_CTX *server = server_of(authority_named(authority, "good"));
    struct meeting meeting;
    char text[256];

    (void) state;
    setenv("SSL_CERT_FILE", "/nowhere/cert.pem", 1);
    setenv("SSL_CERT_DIR", "/nowhere/certs", 1);
    tls_bench_open(&bench);
    struct tcpm_tls *spec = spec_of(&bench, strict);

    meet(&meeting, spec, server, "peer.test", SOME_PORT);
    assert_false(meeting.is_open);
    tcpm__verdict_text(&meeting.peer.verdict, NULL, text, sizeof text);
    assert_string_equal(text, "unknown authority: no CA certificates at /nowhere/cert.pem or "
                              "/nowhere/certs; install ca-certificates");
    part(&meeting);
    tcpm__tls_spec_drop(spec);
    SSL_CTX_free(server);
    tls_bench_close(&bench);
    unsetenv("SSL_CERT_FILE");
    unsetenv("SSL_CERT_DIR");
}

/* ---- revocation ---- */

static X509_CRL *make_list(X509 *issuer, EVP_PKEY *key, X509 *revoked)
{
    X509_CRL *list = X509_CRL_new();
    X509_REVOKED *entry = X509_REVOKED_new();
    ASN1_TIME *now = X509_gmtime_adj(NULL, -60), *later = X509_gmtime_adj(NULL, 3600);

    X509_CRL_set_version(list, X509_CRL_VERSION_2);
    X509_CRL_set_issuer_name(list, X509_get_subject_name(issuer));
    X509_CRL_set1_lastUpdate(list, now);
    X509_CRL_set1_nextUpdate(list, later);
    X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(revoked));
    X509_REVOKED_set_revocationDate(entry, now);
    X509_CRL_add0_revoked(list, entry);
    assert_true(X509_CRL_sign(list, key, EVP_sha256()) > 0);
    ASN1_TIME_free(now);
    ASN1_TIME_free(later);
    return list;
}

/* The problems of a server, where both a certificate and a list of the issuer are trusted. */
static uint32_t meet_with_list(X509 *issuer, X509_CRL *list, X509 *certificate, EVP_PKEY *key)
{
    SSL_CTX *server = SSL_CTX_new(TLS_server_method());
    BIO *bio = BIO_new(BIO_s_mem());
    char ca[8192] = "";
    struct meeting meeting;

    assert_int_equal(PEM_write_bio_X509(bio, issuer), 1);
    assert_int_equal(PEM_write_bio_X509_CRL(bio, list), 1);
    assert_true(BIO_read(bio, ca, sizeof ca - 1) > 0);
    assert_int_equal(SSL_CTX_use_certificate(server, certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(server, key), 1);
    struct tcpm_tls *spec = spec_of(&bench, (struct tcpm_tls_options){.ca = ca});

    meet(&meeting, spec, server, "a.test", SOME_PORT);
    uint32_t problems = meeting.peer.verdict.problems;

    assert_int_equal(meeting.is_open, problems == 0);
    part(&meeting);
    tcpm__tls_spec_drop(spec);
    SSL_CTX_free(server);
    BIO_free(bio);
    return problems;
}

/* An authority without a list has revoked nothing. */
static void test_lists_of_revoked_certificates_may_stand_among_the_authorities(void **state)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    GENERAL_NAMES *names = GENERAL_NAMES_new();

    (void) state;
    add_name(names, GEN_DNS, "a.test", 6);
    X509 *issuer = make_certificate(
        &(struct certificate_options){.subject = "an issuer", .key = key, .is_authority = true});
    X509 *other = make_certificate(
        &(struct certificate_options){.subject = "another", .key = key, .is_authority = true});
    struct certificate_options leaf = {.subject = "a",
                                       .key = key,
                                       .names = names,
                                       .issuer = issuer,
                                       .issuer_key = key,
                                       .serial = "02"};
    X509 *revoked = make_certificate(&leaf);

    leaf.serial = "03";
    X509 *valid = make_certificate(&leaf);
    X509_CRL *list = make_list(issuer, key, revoked), *foreign = make_list(other, key, revoked);

    tls_bench_open(&bench);
    assert_int_equal(meet_with_list(issuer, list, revoked, key), PROBLEM(REVOKED));
    assert_int_equal(meet_with_list(issuer, list, valid, key), 0);
    assert_int_equal(meet_with_list(issuer, foreign, revoked, key), 0);
    tls_bench_close(&bench);
    X509_CRL_free(list);
    X509_CRL_free(foreign);
    X509_free(revoked);
    X509_free(valid);
    X509_free(issuer);
    X509_free(other);
    GENERAL_NAMES_free(names);
    EVP_PKEY_free(key);
}

/* ---- what OpenSSL has no word of ours for ---- */

/* The chain is signed by somebody who only says that they are the issuer. */
static void test_a_forged_signature_is_told_in_the_words_of_openssl(void **state)
{
    EVP_PKEY *key = EVP_EC_gen("P-256"), *forger = EVP_EC_gen("P-256");
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    char text[256];

    (void) state;
    add_name(names, GEN_DNS, "a.test", 6);
    X509 *issuer = make_certificate(
        &(struct certificate_options){.subject = "an issuer", .key = key, .is_authority = true});
    X509 *forged = make_certificate(&(struct certificate_options){.subject = "a",
                                                                  .key = key,
                                                                  .names = names,
                                                                  .issuer = issuer,
                                                                  .issuer_key = forger,
                                                                  .serial = "02"});
    X509_CRL *list = make_list(issuer, key, issuer);

    tls_bench_open(&bench);
    assert_int_equal(meet_with_list(issuer, list, forged, key), PROBLEM(OTHER));
    const struct tcpm__verdict_rules rules = {.no_verify = false};
    const struct tcpm__tls_verdict verdict = {
        .rules = &rules, .problems = PROBLEM(OTHER), .error = X509_V_ERR_CERT_SIGNATURE_FAILURE};

    tcpm__verdict_text(&verdict, forged, text, sizeof text);
    assert_string_equal(text, "other: CN=a; certificate signature failure");
    tls_bench_close(&bench);
    X509_CRL_free(list);
    X509_free(forged);
    X509_free(issuer);
    GENERAL_NAMES_free(names);
    EVP_PKEY_free(key);
    EVP_PKEY_free(forger);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_a_problem_is_found_and_ends_the_handshake),
    cmocka_unit_test(test_without_verification_problems_are_found_and_end_nothing),
    cmocka_unit_test(test_the_words_begin_with_the_gravest),
    cmocka_unit_test(test_a_text_that_is_too_long_is_cut),
    cmocka_unit_test(test_a_fingerprint_counts_always),
    cmocka_unit_test(test_an_authority_below_a_root_may_be_trusted_alone),
    cmocka_unit_test(test_lists_of_revoked_certificates_may_stand_among_the_authorities),
    cmocka_unit_test(test_a_forged_signature_is_told_in_the_words_of_openssl),
    cmocka_unit_test(test_without_authorities_of_the_system_a_text_says_so),
};

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, create_authority, free_authority);
}
