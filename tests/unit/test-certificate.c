/* SPDX-License-Identifier: MIT */
/* Certificates in words and numbers, whatever bytes they have. */
#include "certificates.h"

#include <errno.h>

#include "transport/certificate.h"

static struct scarce scarce;
static char *strings;

static struct tcpm_certificate describe(X509 *certificate)
{
    struct tcpm_certificate ret;

    assert_int_equal(tcpm__certificate_describe(&scarce.memory, certificate, &strings, &ret), 0);
    assert_int_equal(scarce.blocks, 1);
    assert_int_equal(ret.size, sizeof ret);
    return ret;
}

static void begin(void)
{
    scarce_init(&scarce);
    strings = NULL;
}

static void end(void)
{
    tcpm__memory_free(&scarce.memory, strings);
    assert_int_equal(scarce.blocks, 0);
}

/* ---- all of a certificate ---- */

static EVP_PKEY *key_of(size_t type)
{
    switch (type) {
    case 0:
        return EVP_RSA_gen(2048);
    case 1:
        return EVP_EC_gen("P-384");
    default:
        return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    }
}

static const struct {
    const char *type, *signature;
    unsigned bits;
} kinds[] = {
    {"RSA", "sha256WithRSAEncryption", 2048},
    {"EC", "ecdsa-with-SHA256", 384},
    {"ED25519", "ED25519", 256},
};

static void assert_pem_is_of(const char *pem, const X509 *certificate)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *read = PEM_read_bio_X509(bio, NULL, NULL, NULL);

    assert_int_equal(X509_cmp(read, certificate), 0);
    X509_free(read);
    BIO_free(bio);
}

static void test_keys_signatures_and_times_are_told(void **state)
{
    (void) state;
    begin();
    for (size_t i = 0; i < COUNT(kinds); i++) {
        EVP_PKEY *key = key_of(i);
        X509 *certificate = make_certificate(
            &(struct certificate_options){.subject = "a.test", .key = key, .serial = "0123AB"});

        ASN1_TIME_set_string_X509(X509_getm_notBefore(certificate), "19700101000001Z");
        ASN1_TIME_set_string_X509(X509_getm_notAfter(certificate), "99991231235959Z");
        X509_sign(certificate, key, i == 2 ? NULL : EVP_sha256());
        struct tcpm_certificate told = describe(certificate);

        assert_string_equal(told.key_type, kinds[i].type);
        assert_string_equal(told.signature, kinds[i].signature);
        assert_int_equal(told.key_bits, kinds[i].bits);
        assert_string_equal(told.subject, "CN=a.test");
        assert_string_equal(told.issuer, "CN=a.test");
        assert_string_equal(told.serial, "123AB");
        assert_string_equal(told.sans, "");
        assert_true(told.not_before == 1);
        assert_true(told.not_after == INT64_C(253402300799));
        assert_pem_is_of(told.pem, certificate);
        X509_free(certificate);
        EVP_PKEY_free(key);
    }
    end();
}

static void test_the_fingerprint_is_the_digest_of_the_certificate(void **state)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate =
        make_certificate(&(struct certificate_options){.subject = "a.test", .key = key});
    unsigned char *der = NULL, digest[EVP_MAX_MD_SIZE];
    char expected[65];
    int length = i2d_X509(certificate, &der);

    (void) state;
    begin();
    EVP_Digest(der, (size_t) length, digest, NULL, EVP_sha256(), NULL);
    for (int i = 0; i < 32; i++)
        snprintf(expected + 2 * i, 3, "%02x", digest[i]);
    assert_string_equal(describe(certificate).sha256, expected);
    OPENSSL_free(der);
    X509_free(certificate);
    EVP_PKEY_free(key);
    end();
}

/* ---- names ---- */

static const struct {
    int kind;
    const char *bytes;
    size_t length;
    const char *told;
} names[] = {
    {GEN_DNS, "a.test", 6, "DNS:a.test"},
    {GEN_DNS, "a.test, DNS:b.test", 18, "DNS:a.test\\, DNS:b.test"},
    {GEN_DNS, "a\0b", 3, "DNS:a\\00b"},
    {GEN_DNS, "a\nb\x1b[1m", 7, "DNS:a\\0Ab\\1B[1m"},
    {GEN_DNS, "\xc3\xbc", 2, "DNS:\\C3\\BC"},
    {GEN_IPADD, "\xc0\0\2\1", 4, "IP:192.0.2.1"},
    {GEN_IPADD, "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16, "IP:2001:db8::1"},
    {GEN_IPADD, "\1\2\3", 3, "IP:(not readable)"},
    {GEN_EMAIL, "me@a.test", 9, "email:me@a.test"},
    {GEN_URI, "https://a.test/", 15, "URI:https://a.test/"},
    {GEN_RID, NULL, 0, "other"},
};

static void add_kind(GENERAL_NAMES *to, size_t i)
{
    if (names[i].kind != GEN_RID) {
        add_name(to, names[i].kind, names[i].bytes, names[i].length);
        return;
    }
    GENERAL_NAME *name = GENERAL_NAME_new();

    GENERAL_NAME_set0_value(name, GEN_RID, OBJ_nid2obj(NID_commonName));
    sk_GENERAL_NAME_push(to, name);
}

static void test_names_are_told_with_their_kind_and_cannot_forge_one(void **state)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    GENERAL_NAMES *list = GENERAL_NAMES_new();
    char expected[512] = "";

    (void) state;
    begin();
    for (size_t i = 0; i < COUNT(names); i++) {
        size_t used = strlen(expected);

        add_kind(list, i);
        snprintf(expected + used, sizeof expected - used, "%s%s", i > 0 ? ", " : "", names[i].told);
    }
    X509 *certificate =
        make_certificate(&(struct certificate_options){.subject = "", .key = key, .names = list});
    struct tcpm_certificate told = describe(certificate);

    assert_string_equal(told.sans, expected);
    assert_string_equal(told.subject, "");
    X509_free(certificate);
    GENERAL_NAMES_free(list);
    EVP_PKEY_free(key);
    end();
}

static const struct {
    const char *bytes;
    size_t length;
    int type;
    const char *told;
} subjects[] = {
    {"\xc3\xbc", 2, MBSTRING_UTF8, "CN=\\C3\\BC"},
    {"\xfc", 1, V_ASN1_T61STRING, "CN=\\C3\\BC"},
    {"a, CN=b", 7, MBSTRING_ASC, "CN=a\\, CN=b"},
    {"a\0b", 3, V_ASN1_PRINTABLESTRING, "CN=a\\00b"},
    {"a\nb\x7f", 4, V_ASN1_UTF8STRING, "CN=a\\0Ab\\7F"},
};

static void test_subjects_are_one_line_whatever_their_bytes(void **state)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");

    (void) state;
    begin();
    for (size_t i = 0; i < COUNT(subjects); i++) {
        X509 *certificate =
            make_certificate(&(struct certificate_options){.subject = subjects[i].bytes,
                                                           .subject_length = subjects[i].length,
                                                           .subject_type = subjects[i].type,
                                                           .key = key});
        struct tcpm_certificate told = describe(certificate);

        assert_string_equal(told.subject, subjects[i].told);
        assert_string_equal(told.issuer, subjects[i].told);
        X509_free(certificate);
    }
    EVP_PKEY_free(key);
    end();
}

/* ---- without memory ---- */

static void test_without_memory_the_last_description_stays(void **state)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate =
        make_certificate(&(struct certificate_options){.subject = "a.test", .key = key});
    struct tcpm_certificate other;

    (void) state;
    begin();
    struct tcpm_certificate told = describe(certificate);

    scarce.left = 0;
    assert_int_equal(tcpm__certificate_describe(&scarce.memory, certificate, &strings, &other),
                     -ENOMEM);
    assert_string_equal(told.subject, "CN=a.test");
    X509_free(certificate);
    EVP_PKEY_free(key);
    end();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_keys_signatures_and_times_are_told),
    cmocka_unit_test(test_the_fingerprint_is_the_digest_of_the_certificate),
    cmocka_unit_test(test_names_are_told_with_their_kind_and_cannot_forge_one),
    cmocka_unit_test(test_subjects_are_one_line_whatever_their_bytes),
    cmocka_unit_test(test_without_memory_the_last_description_stays),
};

RUN_TESTS(tests)
