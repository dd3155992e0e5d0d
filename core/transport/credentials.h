/* SPDX-License-Identifier: MIT */
/*
 * The certificate and the key that we show to servers: the options cert, key and key_password. A
 * key that is encrypted is opened by key_password or not at all: nobody is asked for a password.
 */
#ifndef TCPM_TRANSPORT_CREDENTIALS_H
#define TCPM_TRANSPORT_CREDENTIALS_H

#include <openssl/types.h>

#include "tcpmulti.h"
#include "transport/pem.h"

/* Gives the context what the options say, if they say anything. Without the option key, the key is
   looked for beside the certificate. 0; or negative: the trouble is noted. */
int tcpm__credentials_load(SSL_CTX *context, const struct tcpm_tls_options *options,
                           struct tcpm__tls_trouble *trouble);

#endif
