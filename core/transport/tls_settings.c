/* SPDX-License-Identifier: MIT */
/* See tls_settings.h. */
#include "transport/tls_settings.h"

#include <errno.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/words.h"

enum {
    STRICT_LEVEL = 2, /* 112 bits: RSA of 2,048 bits, no SHA-1. Builds of OpenSSL differ */
    LONGEST_PROTOCOL = 255,
    MOST_PROTOCOLS = 65535, /* bytes of all, with their lengths (RFC 7301, 3.1) */
};

/* ---- versions and strictness ---- */

static bool is_version(int64_t version)
{
    return version == 0 || (version >= TLS1_VERSION && version <= TLS1_3_VERSION);
}

static int64_t least_version(const struct tcpm_tls_options *options)
{
    return options->min_version != 0 ? options->min_version : TLS1_2_VERSION;
}

static int set_versions(SSL_CTX *context, const struct tcpm_tls_options *options,
                        struct tcpm__tls_trouble *trouble)
{
    int64_t least = least_version(options), most = options->max_version;

    if (!is_version(options->min_version))
        return tcpm__trouble_note(trouble, "min_version", "is no version of TLS");
    if (!is_version(most))
        return tcpm__trouble_note(trouble, "max_version", "is no version of TLS");
    if (most != 0 && most < least)
        return tcpm__trouble_note(trouble, "max_version", "is below min_version");
    SSL_CTX_clear_options(context, SSL_OP_NO_SSL_MASK);
    if (SSL_CTX_set_min_proto_version(context, (int) least) != 1)
        return tcpm__trouble_note_openssl(trouble, "min_version");
    if (SSL_CTX_set_max_proto_version(context, (int) most) != 1)
        return tcpm__trouble_note_openssl(trouble, "max_version");
    return 0;
}

/* TLS 1.0 and 1.1 themselves, and the only signatures of keys that they have, count as too weak for
   every level but 0. Where they are allowed, that must not allow weak certificates. */
static int on_security(const SSL *ssl, const SSL_CTX *context, int operation, int bits, int kind,
                       void *other, void *user)
{
    bool is_old = operation == SSL_SECOP_VERSION && kind >= TLS1_VERSION;
    bool is_old_signature =
        operation == SSL_SECOP_SIGALG_SUPPORTED && (kind == NID_md5_sha1 || kind == NID_sha1);
    tcpm__security_check *const *own = user;

    if (is_old || is_old_signature)
        return 1;
    return (*own)(ssl, context, operation, bits, kind, other, NULL);
}

static void set_level(SSL_CTX *context, const struct tcpm_tls_options *options,
                      tcpm__security_check **security)
{
    bool is_old = least_version(options) < TLS1_2_VERSION;

    *security = SSL_CTX_get_security_callback(context);
    if (is_old && options->legacy != 0) {
        SSL_CTX_set_security_level(context, 0);
        return;
    }
    if (SSL_CTX_get_security_level(context) < STRICT_LEVEL)
        SSL_CTX_set_security_level(context, STRICT_LEVEL);
    if (is_old) {
        SSL_CTX_set0_security_ex_data(context, security);
        SSL_CTX_set_security_callback(context, on_security);
    }
}

/* ---- ciphers ---- */

static int set_ciphers(SSL_CTX *context, const struct tcpm_tls_options *options,
                       struct tcpm__tls_trouble *trouble)
{
    if (options->ciphers != NULL && SSL_CTX_set_cipher_list(context, options->ciphers) != 1)
        return tcpm__trouble_note_openssl(trouble, "ciphers");
    if (options->ciphersuites != NULL &&
        SSL_CTX_set_ciphersuites(context, options->ciphersuites) != 1)
        return tcpm__trouble_note_openssl(trouble, "ciphersuites");
    return 0;
}

/* ---- protocols ---- */

/* Writes the form of the wire, each protocol behind its length, into ret, which has a byte more
   than text. 0, or -EINVAL. */
static int write_protocols(const char *text, unsigned char *ret, struct tcpm__tls_trouble *trouble)
{
    for (;;) {
        size_t length = strcspn(text, ",");

        if (length == 0)
            return tcpm__trouble_note(trouble, "alpn", "has a protocol without a name");
        if (length > LONGEST_PROTOCOL)
            return tcpm__trouble_note(trouble, "alpn", "has a protocol of more than 255 bytes");
        *ret++ = (unsigned char) length;
        memcpy(ret, text, length);
        ret += length;
        if (text[length] == '\0')
            return 0;
        text += length + 1;
    }
}

static int set_protocols(SSL_CTX *context, const struct tcpm_tls_options *options,
                         struct tcpm__tls_trouble *trouble)
{
    size_t length = options->alpn != NULL ? strlen(options->alpn) + 1 : 0;

    if (length == 0)
        return 0;
    if (length > MOST_PROTOCOLS)
        return tcpm__trouble_note(trouble, "alpn", "is too long");
    unsigned char *wire = OPENSSL_malloc(length);

    if (wire == NULL)
        return -ENOMEM;
    int code = write_protocols(options->alpn, wire, trouble);

    if (code == 0 && SSL_CTX_set_alpn_protos(context, wire, (unsigned) length) != 0)
        code = -ENOMEM;
    OPENSSL_free(wire);
    return code;
}

/* ---- all of them ---- */

static void set_modes(SSL_CTX *context, const struct tcpm_tls_options *options)
{
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_clear_options(context, SSL_OP_LEGACY_SERVER_CONNECT | SSL_OP_IGNORE_UNEXPECTED_EOF |
                                       SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
    if (options->legacy != 0)
        SSL_CTX_set_options(context, SSL_OP_LEGACY_SERVER_CONNECT);
}

int tcpm__tls_settings_apply(SSL_CTX *context, const struct tcpm_tls_options *options,
                             tcpm__security_check **security, struct tcpm__tls_trouble *trouble)
{
    int code = set_versions(context, options, trouble);

    set_modes(context, options);
    set_level(context, options, security);
    if (code == 0)
        code = set_ciphers(context, options, trouble);
    if (code == 0)
        code = set_protocols(context, options, trouble);
    return code;
}

/* ---- the fingerprint ---- */

/* Whether the text is bytes in hexadecimal, a colon between two of them or not. */
static bool read_fingerprint(const char *text, unsigned char *ret)
{
    for (int i = 0; i < TCPM__FINGERPRINT_BYTES; i++) {
        text += i > 0 && *text == ':';
        int high = tcpm__words_hex_digit(text[0]);
        int low = high >= 0 ? tcpm__words_hex_digit(text[1]) : -1;

        if (low < 0)
            return false;
        ret[i] = (unsigned char) (high << 4 | low);
        text += 2;
    }
    return *text == '\0';
}

int tcpm__tls_settings_read_rules(const struct tcpm_tls_options *options,
                                  struct tcpm__verdict_rules *ret,
                                  struct tcpm__tls_trouble *trouble)
{
    ret->no_verify = options->no_verify != 0;
    ret->has_fingerprint = options->fingerprint != NULL;
    if (ret->has_fingerprint && !read_fingerprint(options->fingerprint, ret->fingerprint))
        return tcpm__trouble_note(trouble, "fingerprint", "is not 64 hexadecimal digits");
    return 0;
}
