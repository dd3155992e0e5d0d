/* SPDX-License-Identifier: MIT */
/* See verdict.h. */
#include "transport/verdict.h"

#include <stdio.h>
#include <string.h>

#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "base/assert.h"
#include "transport/certificate.h"
#include "transport/openssl_errors.h"

/* Errors of OpenSSL, and which problem each is; any other error is OTHER. */
static const struct {
    int error;
    uint32_t problem;
} meanings[] = {
    {X509_V_ERR_CERT_HAS_EXPIRED, TCPM_PROBLEM_EXPIRED},
    {X509_V_ERR_CERT_NOT_YET_VALID, TCPM_PROBLEM_NOT_YET_VALID},
    {X509_V_ERR_HOSTNAME_MISMATCH, TCPM_PROBLEM_HOST_MISMATCH},
    {X509_V_ERR_IP_ADDRESS_MISMATCH, TCPM_PROBLEM_HOST_MISMATCH},
    {X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, TCPM_PROBLEM_SELF_SIGNED},
    {X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, TCPM_PROBLEM_UNKNOWN_AUTHORITY},
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, TCPM_PROBLEM_UNKNOWN_AUTHORITY},
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, TCPM_PROBLEM_UNKNOWN_AUTHORITY},
    {X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, TCPM_PROBLEM_UNKNOWN_AUTHORITY},
    {X509_V_ERR_CERT_UNTRUSTED, TCPM_PROBLEM_UNKNOWN_AUTHORITY},
    {X509_V_ERR_EE_KEY_TOO_SMALL, TCPM_PROBLEM_WEAK_KEY},
    {X509_V_ERR_CA_KEY_TOO_SMALL, TCPM_PROBLEM_WEAK_KEY},
    {X509_V_ERR_CA_MD_TOO_WEAK, TCPM_PROBLEM_WEAK_SIGNATURE},
    {X509_V_ERR_INVALID_PURPOSE, TCPM_PROBLEM_BAD_PURPOSE},
    {X509_V_ERR_CERT_REJECTED, TCPM_PROBLEM_BAD_PURPOSE},
    {X509_V_ERR_INVALID_CA, TCPM_PROBLEM_BAD_PURPOSE},
    {X509_V_ERR_INVALID_NON_CA, TCPM_PROBLEM_BAD_PURPOSE},
    {X509_V_ERR_PATH_LENGTH_EXCEEDED, TCPM_PROBLEM_BAD_PURPOSE},
    {X509_V_ERR_KEYUSAGE_NO_CERTSIGN, TCPM_PROBLEM_BAD_PURPOSE},
    {X509_V_ERR_CERT_REVOKED, TCPM_PROBLEM_REVOKED},
    {X509_V_ERR_UNABLE_TO_GET_CRL, 0}, /* only some authorities have given their lists */
};

/* ---- collecting ---- */

static struct tcpm__tls_verdict *verdict_of(X509_STORE_CTX *context)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(context, SSL_get_ex_data_X509_STORE_CTX_idx());

    return SSL_get_app_data(ssl);
}

static uint32_t problem_of(int error)
{
    for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++)
        if (meanings[i].error == error)
            return meanings[i].problem;
    return TCPM_PROBLEM_OTHER;
}

/* OpenSSL goes on to look for further problems. */
static int on_problem(int is_good, X509_STORE_CTX *context)
{
    struct tcpm__tls_verdict *verdict = verdict_of(context);
    int error = X509_STORE_CTX_get_error(context);

    if (is_good)
        return 1;
    uint32_t problem = problem_of(error);

    if (problem == TCPM_PROBLEM_OTHER && verdict->error == X509_V_OK)
        verdict->error = error;
    verdict->problems |= problem;
    return 1;
}

static bool has_fingerprint(X509 *certificate, const unsigned char *expected)
{
    unsigned length = 0;
    unsigned char digest[EVP_MAX_MD_SIZE];

    return X509_digest(certificate, EVP_sha256(), digest, &length) == 1 &&
           length == TCPM__FINGERPRINT_BYTES && memcmp(digest, expected, length) == 0;
}

/* The alert that the server gets follows from the error. */
static int error_of(const struct tcpm__tls_verdict *verdict)
{
    if ((verdict->problems & TCPM_PROBLEM_FINGERPRINT) == 0)
        for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++)
            if ((verdict->problems & meanings[i].problem) != 0)
                return meanings[i].error;
    return verdict->error != X509_V_OK ? verdict->error : X509_V_ERR_APPLICATION_VERIFICATION;
}

/* Whether OpenSSL compares the name at all. SSL_do_handshake copies the name, and goes on without
   one if there is no memory for the copy (OpenSSL 3.0, ssl_verify_cert_chain). */
static bool has_name(X509_STORE_CTX *context, const char *expected)
{
    X509_VERIFY_PARAM *parameters = X509_STORE_CTX_get0_param(context);
    const char *name = X509_VERIFY_PARAM_get0_host(parameters, 0);
    char *address = name == NULL ? X509_VERIFY_PARAM_get1_ip_asc(parameters) : NULL;
    bool has_address = address != NULL;

    OPENSSL_free(address);
    return name != NULL ? strcmp(name, expected) == 0 : has_address;
}

/* A lack of memory says nothing of the certificate, and looks like any problem to OpenSSL. */
static int refuse_for_memory(X509_STORE_CTX *context, struct tcpm__tls_verdict *verdict)
{
    verdict->problems = 0;
    X509_STORE_CTX_set_error(context, X509_V_ERR_OUT_OF_MEM);
    return 0;
}

/* Whether the handshake goes on: 1 or 0. */
static int on_verify(X509_STORE_CTX *context, void *user)
{
    struct tcpm__tls_verdict *verdict = verdict_of(context);
    const struct tcpm__verdict_rules *rules = verdict->rules;

    (void) user;
    verdict->problems = 0;
    verdict->error = X509_V_OK;
    X509_STORE_CTX_set_verify_cb(context, on_problem);
    ERR_clear_error();
    bool is_verified = has_name(context, verdict->server_name) && X509_verify_cert(context) > 0;

    if (rules->has_fingerprint &&
        !has_fingerprint(X509_STORE_CTX_get0_cert(context), rules->fingerprint))
        verdict->problems |= TCPM_PROBLEM_FINGERPRINT;
    if (!is_verified || (verdict->problems != 0 && tcpm__openssl_was_short()))
        return refuse_for_memory(context, verdict);
    bool is_accepted = tcpm__verdict_accepts(rules, verdict->problems);

    X509_STORE_CTX_set_error(context, is_accepted ? X509_V_OK : error_of(verdict));
    return is_accepted;
}

void tcpm__verdict_attach(SSL_CTX *context)
{
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_cert_verify_callback(context, on_verify, NULL);
}

bool tcpm__verdict_accepts(const struct tcpm__verdict_rules *rules, uint32_t problems)
{
    if (rules->no_verify)
        return (problems & TCPM_PROBLEM_FINGERPRINT) == 0;
    return problems == 0;
}

/* ---- words ---- */

#define WORD(NAME, word) {TCPM_PROBLEM_##NAME, (word)},
static const struct {
    uint32_t problem;
    const char *word;
} words[] = {TCPM_PROBLEMS(WORD)};
#undef WORD

const char *tcpm__verdict_word(uint32_t problems)
{
    /* A fingerprint counts whatever the options say. */
    if ((problems & TCPM_PROBLEM_FINGERPRINT) != 0)
        problems = TCPM_PROBLEM_FINGERPRINT;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if ((problems & words[i].problem) != 0)
            return words[i].word;
    return NULL;
}

static void print_words(BIO *to, uint32_t problems)
{
    const char *first = tcpm__verdict_word(problems);

    BIO_puts(to, first);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if ((problems & words[i].problem) != 0 && words[i].word != first)
            BIO_printf(to, ", %s", words[i].word);
}

static void print_time(BIO *to, const char *label, const ASN1_TIME *time)
{
    BIO_puts(to, label);
    ASN1_TIME_print(to, time);
}

static void print_expected_name(BIO *to, const struct tcpm__tls_verdict *verdict, X509 *certificate)
{
    BIO_printf(to, "; expected %s, it is for ", verdict->server_name);
    if (X509_get_ext_by_NID(certificate, NID_subject_alt_name, -1) >= 0)
        tcpm__certificate_print_names(to, certificate);
    else
        BIO_puts(to, "no host");
}

static void print_expected_fingerprint(BIO *to, const struct tcpm__tls_verdict *verdict,
                                       X509 *certificate)
{
    BIO_puts(to, "; expected SHA-256 ");
    for (size_t i = 0; i < TCPM__FINGERPRINT_BYTES; i++)
        BIO_printf(to, "%02x", verdict->rules->fingerprint[i]);
    BIO_puts(to, ", it has ");
    tcpm__certificate_print_fingerprint(to, certificate);
}

static void print_details(BIO *to, const struct tcpm__tls_verdict *verdict, X509 *certificate)
{
    uint32_t problems = verdict->problems;

    BIO_puts(to, ": ");
    tcpm__certificate_print_subject(to, certificate);
    if ((problems & TCPM_PROBLEM_EXPIRED) != 0)
        print_time(to, "; valid until ", X509_get0_notAfter(certificate));
    if ((problems & TCPM_PROBLEM_NOT_YET_VALID) != 0)
        print_time(to, "; valid from ", X509_get0_notBefore(certificate));
    if ((problems & TCPM_PROBLEM_UNKNOWN_AUTHORITY) != 0) {
        BIO_puts(to, "; issued by ");
        tcpm__certificate_print_issuer(to, certificate);
    }
    if ((problems & TCPM_PROBLEM_FINGERPRINT) != 0)
        print_expected_fingerprint(to, verdict, certificate);
    if ((problems & TCPM_PROBLEM_HOST_MISMATCH) != 0)
        print_expected_name(to, verdict, certificate);
    if ((problems & TCPM_PROBLEM_OTHER) != 0 && verdict->error != X509_V_OK)
        BIO_printf(to, "; %s", X509_verify_cert_error_string(verdict->error));
}

/* Without a trusted certificate nothing else is worth to be told. */
static void print_verdict(BIO *to, const struct tcpm__tls_verdict *verdict, X509 *certificate)
{
    uint32_t unknown = TCPM_PROBLEM_UNKNOWN_AUTHORITY | TCPM_PROBLEM_SELF_SIGNED;

    print_words(to, verdict->problems);
    if (verdict->rules->no_authorities != NULL && (verdict->problems & unknown) != 0)
        BIO_printf(to, ": %s", verdict->rules->no_authorities);
    else if (certificate != NULL)
        print_details(to, verdict, certificate);
}

void tcpm__verdict_text(const struct tcpm__tls_verdict *verdict, X509 *certificate, char *ret,
                        size_t size)
{
    BIO *bio = BIO_new(BIO_s_mem());
    int length = -1;

    TCPM__ASSERT(verdict->problems != 0 && size > 1);
    ERR_clear_error();
    if (bio != NULL) {
        print_verdict(bio, verdict, certificate);
        length = tcpm__openssl_was_short() ? -1 : BIO_read(bio, ret, (int) size - 1);
        BIO_free(bio);
    }
    if (length > 0)
        ret[length] = '\0';
    else
        snprintf(ret, size, "%s", tcpm__verdict_word(verdict->problems));
}
