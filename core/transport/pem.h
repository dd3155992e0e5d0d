/* SPDX-License-Identifier: MIT */
/*
 * PEM texts and files, and why one cannot be used. An option that wants PEM has the text itself or
 * the name of a file; the text of a key never gets into a message.
 *
 * What always holds: a message begins with the name of the option, and is one printable line.
 */
#ifndef TCPM_TRANSPORT_PEM_H
#define TCPM_TRANSPORT_PEM_H

#include <stdbool.h>

#include <openssl/types.h>

/* A message that says what is wrong with an option. Texts that are too long are cut. */
struct tcpm__tls_trouble {
    char text[512];
};

/* An option of the kind, and its value. */
struct tcpm__pem_option {
    const char *name;
    const char *value;
};

/* Notes "option: what". -EINVAL. */
int tcpm__trouble_note(struct tcpm__tls_trouble *trouble, const char *option, const char *what);
/* Notes "option: file: what", without the file where the value is a text; what: a text, which may
   be NULL where OpenSSL has the last error in its queue. The queue is cleared. -EINVAL, or -ENOMEM
   where that is OpenSSL's error. */
int tcpm__trouble_note_pem(struct tcpm__tls_trouble *trouble, const struct tcpm__pem_option *option,
                           const char *what);
/* Notes "option: " and the last error of OpenSSL's queue, which is cleared. Results as above. */
int tcpm__trouble_note_openssl(struct tcpm__tls_trouble *trouble, const char *option);

bool tcpm__pem_is_text(const char *value);

/* Opens the text or file. 0; or negative: it cannot be read, which is noted. */
int tcpm__pem_open(const struct tcpm__pem_option *option, struct tcpm__tls_trouble *trouble,
                   BIO **ret);

#endif
