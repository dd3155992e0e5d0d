/* SPDX-License-Identifier: MIT */
/* See certificate.h. All strings are printed into one BIO, each with its NUL, and then copied. */
#include "transport/certificate.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "transport/openssl_errors.h"

enum {
    QUAD_BYTES = 4,
    INET6_BYTES = 16,
    STRINGS = 8, /* in struct tcpm_certificate */
};

/* ---- names ---- */

static void print_name(BIO *to, const X509_NAME *name)
{
    if (X509_NAME_print_ex(to, name, 0, XN_FLAG_RFC2253) < 0)
        BIO_puts(to, "(not readable)");
}

void tcpm__certificate_print_subject(BIO *to, X509 *certificate)
{
    print_name(to, X509_get_subject_name(certificate));
}

void tcpm__certificate_print_issuer(BIO *to, X509 *certificate)
{
    print_name(to, X509_get_issuer_name(certificate));
}

static void print_address(BIO *to, const ASN1_OCTET_STRING *address)
{
    int length = ASN1_STRING_length(address);
    char text[INET6_ADDRSTRLEN];

    if (length != QUAD_BYTES && length != INET6_BYTES)
        BIO_puts(to, "(not readable)");
    else if (inet_ntop(length == QUAD_BYTES ? AF_INET : AF_INET6, ASN1_STRING_get0_data(address),
                       text, sizeof text) != NULL)
        BIO_puts(to, text);
}

static void print_string(BIO *to, const char *kind, const ASN1_STRING *text)
{
    BIO_puts(to, kind);
    ASN1_STRING_print_ex(to, text,
                         ASN1_STRFLGS_ESC_2253 | ASN1_STRFLGS_ESC_CTRL | ASN1_STRFLGS_ESC_MSB);
}

static void print_alternative(BIO *to, const GENERAL_NAME *name)
{
    switch (name->type) {
    case GEN_DNS:
        print_string(to, "DNS:", name->d.dNSName);
        break;
    case GEN_IPADD:
        BIO_puts(to, "IP:");
        print_address(to, name->d.iPAddress);
        break;
    case GEN_EMAIL:
        print_string(to, "email:", name->d.rfc822Name);
        break;
    case GEN_URI:
        print_string(to, "URI:", name->d.uniformResourceIdentifier);
        break;
    case GEN_DIRNAME:
        BIO_puts(to, "DirName:");
        print_name(to, name->d.directoryName);
        break;
    default:
        BIO_puts(to, "other");
    }
}

void tcpm__certificate_print_names(BIO *to, X509 *certificate)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);

    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        if (i > 0)
            BIO_puts(to, ", ");
        print_alternative(to, sk_GENERAL_NAME_value(names, i));
    }
    GENERAL_NAMES_free(names);
}

/* ---- the other strings ---- */

void tcpm__certificate_print_fingerprint(BIO *to, X509 *certificate)
{
    unsigned length = 0;
    unsigned char digest[EVP_MAX_MD_SIZE];

    if (X509_digest(certificate, EVP_sha256(), digest, &length) != 1)
        ERR_raise(ERR_LIB_X509, ERR_R_MALLOC_FAILURE); /* the only reason; not always told */
    for (unsigned i = 0; i < length; i++)
        BIO_printf(to, "%02x", digest[i]);
}

static void print_serial(BIO *to, X509 *certificate)
{
    BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), NULL);

    if (number != NULL)
        BN_print(to, number);
    BN_free(number);
}

static void print_key_type(BIO *to, X509 *certificate)
{
    const EVP_PKEY *key = X509_get0_pubkey(certificate);
    const char *name = key != NULL ? EVP_PKEY_get0_type_name(key) : NULL;

    BIO_puts(to, name != NULL ? name : "unknown");
}

static void print_signature(BIO *to, X509 *certificate)
{
    const char *name = OBJ_nid2ln(X509_get_signature_nid(certificate));

    BIO_puts(to, name != NULL ? name : "unknown");
}

static void print_pem(BIO *to, X509 *certificate)
{
    PEM_write_bio_X509(to, certificate);
}

/* ---- the description ---- */

/* The strings in the order in which they lie in the block. */
static void (*const printers[STRINGS])(BIO *to, X509 *certificate) = {
    tcpm__certificate_print_subject,
    tcpm__certificate_print_issuer,
    print_serial,
    tcpm__certificate_print_names,
    tcpm__certificate_print_fingerprint,
    print_key_type,
    print_signature,
    print_pem,
};

static void place_strings(const char *at, struct tcpm_certificate *ret)
{
    const char **const places[STRINGS] = {
        &ret->subject, &ret->issuer,   &ret->serial,    &ret->sans,
        &ret->sha256,  &ret->key_type, &ret->signature, &ret->pem,
    };

    for (size_t i = 0; i < STRINGS; i++) {
        *places[i] = at;
        at += strlen(at) + 1;
    }
}

/* Seconds since 1970; 0: the certificate has no such time. */
static int64_t seconds_of(const ASN1_TIME *time)
{
    struct tm fields;

    return time != NULL && ASN1_TIME_to_tm(time, &fields) == 1 ? (int64_t) timegm(&fields) : 0;
}

static unsigned key_bits_of(X509 *certificate)
{
    const EVP_PKEY *key = X509_get0_pubkey(certificate);
    int bits = key != NULL ? EVP_PKEY_get_bits(key) : 0;

    return bits > 0 ? (unsigned) bits : 0;
}

/* All strings, each with its NUL. A printer leaves no NUL in its string: OpenSSL escapes them. */
static void print_strings(BIO *to, X509 *certificate)
{
    for (size_t i = 0; i < STRINGS; i++) {
        printers[i](to, certificate);
        BIO_write(to, "", 1);
    }
}

/* The number of strings that a BIO has got. */
static size_t count_strings(const char *bytes, size_t length)
{
    size_t count = 0;

    for (size_t i = 0; i < length; i++)
        count += bytes[i] == '\0';
    return count;
}

static char *copy_strings(const struct tcpm__memory *memory, X509 *certificate)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *bytes, *copy = NULL;

    if (bio == NULL)
        return NULL;
    ERR_clear_error();
    print_strings(bio, certificate);
    long length = BIO_get_mem_data(bio, &bytes);

    if (!tcpm__openssl_was_short() && count_strings(bytes, (size_t) length) == STRINGS)
        copy = tcpm__memory_resize(memory, NULL, (size_t) length);
    if (copy != NULL)
        memcpy(copy, bytes, (size_t) length);
    BIO_free(bio);
    return copy;
}

int tcpm__certificate_describe(const struct tcpm__memory *memory, X509 *certificate, char **strings,
                               struct tcpm_certificate *ret)
{
    char *made = copy_strings(memory, certificate);

    if (made == NULL)
        return -ENOMEM;
    tcpm__memory_free(memory, *strings);
    *strings = made;
    *ret = (struct tcpm_certificate){
        .size = sizeof *ret,
        .key_bits = key_bits_of(certificate),
        .not_before = seconds_of(X509_get0_notBefore(certificate)),
        .not_after = seconds_of(X509_get0_notAfter(certificate)),
    };
    place_strings(made, ret);
    return 0;
}
