/* SPDX-License-Identifier: MIT */
/* See sealer.h. */
#include "sealer.h"

#include <string.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

enum { HEADER = 5, TAG = 16, KEY_MOST = 64, LEGACY = 0x0303, APPLICATION_DATA = 23 };

/* By HKDF-Expand-Label. 0, or -1. */
static int expand(const EVP_MD *digest, const unsigned char *secret, size_t secret_length,
                  const char *label, unsigned char *ret, size_t length)
{
    static char prefix[] = "tls13 ";
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, OSSL_KDF_NAME_TLS1_3_KDF, NULL);
    EVP_KDF_CTX *context = EVP_KDF_CTX_new(kdf);
    int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY, result;
    const OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *) EVP_MD_get0_name(digest),
                                         0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *) secret, secret_length),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_PREFIX, prefix, sizeof prefix - 1),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_LABEL, (char *) label, strlen(label)),
        OSSL_PARAM_construct_end(),
    };

    result = EVP_KDF_derive(context, ret, length, parameters) == 1 ? 0 : -1;
    EVP_KDF_CTX_free(context);
    EVP_KDF_free(kdf);
    return result;
}

int sealer_open(struct sealer *sealer, SSL *ssl, const unsigned char *secret, size_t length,
                uint64_t sequence)
{
    const SSL_CIPHER *suite = SSL_get_current_cipher(ssl);
    const EVP_CIPHER *cipher = EVP_get_cipherbynid(SSL_CIPHER_get_cipher_nid(suite));
    const EVP_MD *digest = SSL_CIPHER_get_handshake_digest(suite);
    unsigned char key[KEY_MOST];

    if (cipher == NULL || digest == NULL || length == 0)
        return -1;
    if (expand(digest, secret, length, "key", key, (size_t) EVP_CIPHER_get_key_length(cipher)) < 0)
        return -1;
    if (expand(digest, secret, length, "iv", sealer->iv, SEALER_IV) < 0)
        return -1;
    sealer->cipher = EVP_CIPHER_CTX_new();
    sealer->sequence = sequence;
    return EVP_EncryptInit_ex(sealer->cipher, cipher, NULL, key, NULL) == 1 ? 0 : -1;
}

void sealer_close(struct sealer *sealer)
{
    EVP_CIPHER_CTX_free(sealer->cipher);
    sealer->cipher = NULL;
}

static void write_header(unsigned char *header, size_t length)
{
    header[0] = APPLICATION_DATA;
    header[1] = LEGACY >> 8;
    header[2] = LEGACY & 0xFF;
    header[3] = (unsigned char) (length >> 8);
    header[4] = (unsigned char) length;
}

size_t sealer_seal(struct sealer *sealer, unsigned char type, const void *bytes, size_t length,
                   unsigned char *record)
{
    unsigned char nonce[SEALER_IV], *body = record + HEADER;
    EVP_CIPHER_CTX *cipher = sealer->cipher;
    int size;

    write_header(record, length + 1 + TAG);
    if (length > 0)
        memcpy(body, bytes, length);
    body[length] = type;
    memcpy(nonce, sealer->iv, sizeof nonce);
    for (int i = 0; i < 8; i++)
        nonce[SEALER_IV - 1 - i] ^= (unsigned char) (sealer->sequence >> (8 * i));
    sealer->sequence++;
    if (EVP_EncryptInit_ex(cipher, NULL, NULL, NULL, nonce) != 1 ||
        EVP_EncryptUpdate(cipher, NULL, &size, record, HEADER) != 1 ||
        EVP_EncryptUpdate(cipher, body, &size, body, (int) length + 1) != 1 ||
        EVP_EncryptFinal_ex(cipher, body + size, &size) != 1 ||
        EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_GET_TAG, TAG, body + length + 1) != 1)
        return 0;
    return SEALER_OVERHEAD + length;
}
