/* SPDX-License-Identifier: MIT */
/*
 * Records of TLS 1.3 that OpenSSL would never send: without content, or with an alert at any time.
 * They are encrypted by OpenSSL, by the keys of the connection. What always holds: from the first
 * sealed record on, the sealer has to make all records, as it counts them.
 */
#ifndef PEER_SEALER_H
#define PEER_SEALER_H

#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>

enum {
    SEALER_OVERHEAD = 22, /* bytes: header, type, tag */
    SEALER_SECRET = 64,   /* bytes, at most */
    SEALER_IV = 12,
};

struct sealer {
    EVP_CIPHER_CTX *cipher; /* NULL: not open */
    unsigned char iv[SEALER_IV];
    uint64_t sequence; /* of the next record */
};

/* By the traffic secret, behind so many records. 0, or -1. */
int sealer_open(struct sealer *sealer, SSL *ssl, const unsigned char *secret, size_t length,
                uint64_t sequence);
void sealer_close(struct sealer *sealer);

/* Writes a record of a type (22, 23, ...) to record, which has room for its overhead too. The
   length of the record, or 0. */
size_t sealer_seal(struct sealer *sealer, unsigned char type, const void *bytes, size_t length,
                   unsigned char *record);

#endif
