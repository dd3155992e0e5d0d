/* SPDX-License-Identifier: MIT */
/*
 * Whether the certificate of a server is accepted, and all that is wrong with it. OpenSSL verifies;
 * here all of its complaints are collected, where it would keep only the first, and told in words.
 *
 * What always holds: the chain is built and verified also where nothing depends on it. A
 * certificate with another fingerprint than the expected one is never accepted.
 */
#ifndef TCPM_TRANSPORT_VERDICT_H
#define TCPM_TRANSPORT_VERDICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/types.h>

#include "tcpmulti.h"

enum { TCPM__FINGERPRINT_BYTES = 32 };

struct tcpm__verdict_rules {
    bool no_verify; /* problems are found, and do not count */
    bool has_fingerprint;
    unsigned char fingerprint[TCPM__FINGERPRINT_BYTES]; /* SHA-256 that the certificate must have */
    const char *no_authorities; /* why no certificate at all is trusted; NULL: some are */
};

struct tcpm__tls_verdict {
    const struct tcpm__verdict_rules *rules;
    const char *server_name; /* name or address that the certificate is to be for */
    uint32_t problems;       /* set of enum tcpm_problem; of the first handshake, if resumed */
    int error;               /* X509_V_ERR_...: the first that is OTHER; 0: none */
};

/* Has a context call us to verify certificates. The app data of its SSLs is a verdict, with rules
   and server_name set. */
void tcpm__verdict_attach(SSL_CTX *context);

/* Whether a certificate with these problems is accepted. */
bool tcpm__verdict_accepts(const struct tcpm__verdict_rules *rules, uint32_t problems);

/* The word of the gravest problem, static; NULL: there is none. */
const char *tcpm__verdict_word(uint32_t problems);

/* Writes a line of text about the problems, of which there is at least one, into ret: the words of
   all, the certificate's subject, and what was expected. certificate: NULL, if there is none. */
void tcpm__verdict_text(const struct tcpm__tls_verdict *verdict, X509 *certificate, char *ret,
                        size_t size);

#endif
