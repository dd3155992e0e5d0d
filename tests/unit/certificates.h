/* SPDX-License-Identifier: MIT */
/* Certificates that no authority of tests/tls would make, by OpenSSL. */
#ifndef TESTS_UNIT_CERTIFICATES_H
#define TESTS_UNIT_CERTIFICATES_H

#include "support.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

struct certificate_options {
    const char *subject;   /* common name; "": none at all */
    size_t subject_length; /* default: up to the NUL */
    int subject_type;      /* MBSTRING_UTF8, V_ASN1_...; default: MBSTRING_ASC */
    const GENERAL_NAMES *names;
    const char *serial; /* hexadecimal; default: "1" */
    EVP_PKEY *key;
    X509 *issuer;         /* default: the certificate itself */
    EVP_PKEY *issuer_key; /* default: key */
    bool is_authority;
};

static inline void add_extension(X509 *certificate, int kind, void *value, bool is_critical)
{
    assert_int_equal(X509_add1_ext_i2d(certificate, kind, value, is_critical, 0), 1);
}

static inline void set_serial(X509 *certificate, const char *serial)
{
    BIGNUM *number = NULL;

    assert_true(BN_hex2bn(&number, serial != NULL ? serial : "1") > 0);
    assert_non_null(BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)));
    BN_free(number);
}

static inline void set_names(X509 *certificate, const struct certificate_options *options)
{
    int length = options->subject_length > 0 ? (int) options->subject_length : -1;
    X509_NAME *subject = X509_get_subject_name(certificate);

    if (options->subject[0] != '\0' || length > 0)
        assert_int_equal(X509_NAME_add_entry_by_NID(
                             subject, NID_commonName,
                             options->subject_type != 0 ? options->subject_type : MBSTRING_ASC,
                             (const unsigned char *) options->subject, length, -1, 0),
                         1);
    X509_set_issuer_name(
        certificate, options->issuer != NULL ? X509_get_subject_name(options->issuer) : subject);
    if (options->names != NULL)
        add_extension(certificate, NID_subject_alt_name, (void *) (uintptr_t) options->names,
                      false);
}

static inline X509 *make_certificate(const struct certificate_options *options)
{
    X509 *certificate = X509_new();
    BASIC_CONSTRAINTS *constraints = BASIC_CONSTRAINTS_new();

    X509_set_version(certificate, X509_VERSION_3);
    set_serial(certificate, options->serial);
    set_names(certificate, options);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, options->key);
    constraints->ca = options->is_authority ? 0xff : 0;
    add_extension(certificate, NID_basic_constraints, constraints, true);
    BASIC_CONSTRAINTS_free(constraints);
    EVP_PKEY *key = options->issuer_key != NULL ? options->issuer_key : options->key;
    bool has_own_digest = EVP_PKEY_is_a(key, "ED25519") == 1;

    assert_true(X509_sign(certificate, key, has_own_digest ? NULL : EVP_sha256()) > 0);
    return certificate;
}

/* A name of the kind GEN_DNS, GEN_EMAIL or GEN_URI, or the bytes of an address, is added. */
static inline void add_name(GENERAL_NAMES *names, int kind, const char *bytes, size_t length)
{
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_STRING *value =
        ASN1_STRING_type_new(kind == GEN_IPADD ? V_ASN1_OCTET_STRING : V_ASN1_IA5STRING);

    ASN1_STRING_set(value, bytes, (int) length);
    GENERAL_NAME_set0_value(name, kind, value);
    sk_GENERAL_NAME_push(names, name);
}

#endif
