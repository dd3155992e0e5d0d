/* SPDX-License-Identifier: MIT */
/* See credentials.h. */
#include "transport/credentials.h"

#include <errno.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

/* The user pointer of the password callback. */
struct password {
    const char *text; /* NULL: none was given */
    bool is_wanted;   /* the key is encrypted */
};

static int on_password(char *ret, int size, int is_writing, void *user)
{
    struct password *password = user;
    size_t length = password->text != NULL ? strlen(password->text) : 0;

    (void) is_writing;
    password->is_wanted = true;
    if (password->text == NULL || length > (size_t) size)
        return -1;
    memcpy(ret, password->text, length);
    return (int) length;
}

/* ---- the certificate ---- */

static bool is_end_of_pem(void)
{
    unsigned long error = ERR_peek_last_error();

    return ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
}

/* The other certificates of the text. False: OpenSSL's queue has the error. */
static bool read_chain(SSL_CTX *context, BIO *bio, struct password *password)
{
    X509 *certificate;

    while ((certificate = PEM_read_bio_X509(bio, NULL, on_password, password)) != NULL)
        if (SSL_CTX_add0_chain_cert(context, certificate) != 1) {
            X509_free(certificate);
            return false;
        }
    if (!is_end_of_pem())
        return false;
    ERR_clear_error();
    return true;
}

static int use_certificates(SSL_CTX *context, BIO *bio, const struct tcpm__pem_option *option,
                            struct tcpm__tls_trouble *trouble)
{
    struct password password = {.text = NULL};
    X509 *own = PEM_read_bio_X509_AUX(bio, NULL, on_password, &password);

    if (own == NULL)
        return tcpm__trouble_note_pem(trouble, option,
                                      is_end_of_pem() ? "has no certificate" : NULL);
    bool is_used =
        SSL_CTX_use_certificate(context, own) == 1 && read_chain(context, bio, &password);

    X509_free(own);
    return is_used ? 0 : tcpm__trouble_note_pem(trouble, option, NULL);
}

static int load_certificates(SSL_CTX *context, const struct tcpm__pem_option *option,
                             struct tcpm__tls_trouble *trouble)
{
    BIO *bio;
    int code = tcpm__pem_open(option, trouble, &bio);

    if (code < 0)
        return code;
    code = use_certificates(context, bio, option, trouble);
    BIO_free(bio);
    return code;
}

/* ---- the key ---- */

/* Whether no decoder of OpenSSL has found a key. */
static bool is_no_key(void)
{
    unsigned long error = ERR_peek_last_error();

    return is_end_of_pem() || (ERR_GET_LIB(error) == ERR_LIB_OSSL_DECODER &&
                               ERR_GET_REASON(error) == ERR_R_UNSUPPORTED);
}

/* Why there is no key. */
static int note_no_key(const struct tcpm__pem_option *option, const struct password *password,
                       struct tcpm__tls_trouble *trouble)
{
    if (password->is_wanted && password->text == NULL)
        return tcpm__trouble_note_pem(trouble, option,
                                      "is encrypted, and there is no key_password");
    if (password->is_wanted)
        return tcpm__trouble_note_pem(trouble, option, "key_password does not open it");
    return tcpm__trouble_note_pem(trouble, option,
                                  is_no_key() ? "has no key that can be read" : NULL);
}

static int use_key(SSL_CTX *context, EVP_PKEY *key, const struct tcpm__pem_option *option,
                   struct tcpm__tls_trouble *trouble)
{
    if (SSL_CTX_use_PrivateKey(context, key) == 1 && SSL_CTX_check_private_key(context) == 1)
        return 0;
    return tcpm__trouble_note_pem(trouble, option, "does not fit cert");
}

static int load_key(SSL_CTX *context, const struct tcpm__pem_option *option, const char *text,
                    struct tcpm__tls_trouble *trouble)
{
    struct password password = {.text = text};
    BIO *bio;
    int code = tcpm__pem_open(option, trouble, &bio);

    if (code < 0)
        return code;
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, on_password, &password);

    BIO_free(bio);
    code = key != NULL ? use_key(context, key, option, trouble)
                       : note_no_key(option, &password, trouble);
    EVP_PKEY_free(key);
    return code;
}

int tcpm__credentials_load(SSL_CTX *context, const struct tcpm_tls_options *options,
                           struct tcpm__tls_trouble *trouble)
{
    const struct tcpm__pem_option cert = {"cert", options->cert}, key = {"key", options->key};

    if (cert.value == NULL && key.value != NULL)
        return tcpm__trouble_note(trouble, "key", "needs cert");
    if (cert.value == NULL && options->key_password != NULL)
        return tcpm__trouble_note(trouble, "key_password", "needs cert");
    if (cert.value == NULL)
        return 0;
    int code = load_certificates(context, &cert, trouble);

    if (code < 0)
        return code;
    return load_key(context, key.value != NULL ? &key : &cert, options->key_password, trouble);
}
