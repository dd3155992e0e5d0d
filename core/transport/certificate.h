/* SPDX-License-Identifier: MIT */
/*
 * Certificates in words and numbers. What a certificate says about itself is the peer's text: it
 * is told as one printable line, with escapes for what is not printable, so that it can neither
 * forge a line of a log nor look like more names than it has.
 */
#ifndef TCPM_TRANSPORT_CERTIFICATE_H
#define TCPM_TRANSPORT_CERTIFICATE_H

#include <stdint.h>

#include <openssl/types.h>

#include "base/memory.h"
#include "tcpmulti.h"

/* Fills ret, whose size is set here. Its strings lie in the block *strings: NULL at first, else the
   block of the last call, which is freed; the caller frees the last one. 0, or -ENOMEM, and then
   the block is untouched. */
int tcpm__certificate_describe(const struct tcpm__memory *memory, X509 *certificate, char **strings,
                               struct tcpm_certificate *ret);

/* Parts of the description. */
void tcpm__certificate_print_subject(BIO *to, X509 *certificate);
void tcpm__certificate_print_issuer(BIO *to, X509 *certificate);
/* "DNS:a.example, IP:192.0.2.1"; nothing: there are no names. */
void tcpm__certificate_print_names(BIO *to, X509 *certificate);
/* SHA-256, 64 hexadecimal digits. */
void tcpm__certificate_print_fingerprint(BIO *to, X509 *certificate);

#endif
