/* SPDX-License-Identifier: MIT */
/*
 * What the torture programs need of TLS: an authority of the process's own, a specification for the
 * clients that trusts it, and a context for the wild peer with a certificate of it.
 */
#ifndef TESTS_TORTURE_SECURED_H
#define TESTS_TORTURE_SECURED_H

#include "common.h"

#if defined TCPM_HAVE_OPENSSL && !defined TEST_LAYER
enum { SECURED_CAN_BE = 1 };
#else
enum { SECURED_CAN_BE = 0 }; /* without OpenSSL, and where all connections have a layer already */
#endif

/* The name in the certificate. */
#define SECURED_NAME "peer.test"

/* For wire_begin_tls. It is made by the first call, and lives as long as the process. */
struct secure_context *secured_context(void);
/* Shakes hands as a server, on a socket that blocks, but sends so many bytes only. True: the client
   has all that it needs; false: the handshake was cut, or the client has ended it. */
bool secured_shake_in_part(int fd, bool is_1_2, size_t most);
/* 0 or -ENOMEM. */
int secured_create(struct tcpm_engine *engine, struct tcpm_tls **ret);

#endif
