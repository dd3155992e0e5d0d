/* SPDX-License-Identifier: MIT */
/*
 * The options that are neither certificates nor keys, as an SSL_CTX is told them: versions,
 * ciphers, protocols, how strict it is. Whatever the configuration file of OpenSSL has said of
 * versions, renegotiation and cut streams is overruled.
 */
#ifndef TCPM_TRANSPORT_TLS_SETTINGS_H
#define TCPM_TRANSPORT_TLS_SETTINGS_H

#include <openssl/types.h>

#include "tcpmulti.h"
#include "transport/pem.h"
#include "transport/verdict.h"

/* Whether something is strong enough: a callback of OpenSSL. */
typedef int tcpm__security_check(const SSL *ssl, const SSL_CTX *context, int operation, int bits,
                                 int kind, void *other, void *user);

/* Sets up the context, which is new. *security has to live as long as the context: filled in here.
   0; or negative: the trouble is noted. */
int tcpm__tls_settings_apply(SSL_CTX *context, const struct tcpm_tls_options *options,
                             tcpm__security_check **security, struct tcpm__tls_trouble *trouble);

/* Reads the options no_verify and fingerprint. Results as above. */
int tcpm__tls_settings_read_rules(const struct tcpm_tls_options *options,
                                  struct tcpm__verdict_rules *ret,
                                  struct tcpm__tls_trouble *trouble);

#endif
