/* SPDX-License-Identifier: MIT */
/* The options of a peer with TLS as a context of OpenSSL, for all connections of that peer. */
#ifndef PEER_SECURECONTEXT_H
#define PEER_SECURECONTEXT_H

#include "peer.h"

#include <stddef.h>

#include <openssl/ssl.h>

/* NULL: refused, for the reason in message. */
SSL_CTX *secure_make_context(const struct peer_tls *options, char *message, size_t size);

#endif
