/* SPDX-License-Identifier: MIT */
/*
 * The certificates of authorities that are trusted. To read those of the system takes 20 to 36 ms,
 * so specifications share them: as long as one of them lives, another one with the same options,
 * whose files have not changed since, gets the same. Those of the system are kept even if none
 * lives.
 *
 * What always holds: a struct tcpm__trust is complete, and does not change any more but by OpenSSL,
 * which reads certificates of a folder when it wants them.
 */
#ifndef TCPM_TRANSPORT_TRUST_H
#define TCPM_TRANSPORT_TRUST_H

#include <sys/stat.h>

#include <openssl/types.h>

#include "base/list.h"
#include "base/memory.h"
#include "transport/pem.h"

/* A file or folder, and which version of it. */
struct tcpm__trust_source {
    char *name; /* a path, or PEM text; NULL: none */
    struct timespec modified;
    dev_t device;
    ino_t inode;
    off_t size;
};

struct tcpm__trust {
    struct tcpm__list link;
    X509_STORE *store;
    unsigned uses;
    bool is_system;
    struct tcpm__trust_source file, folder;
    char *nothing; /* why no certificate is trusted; NULL: some are */
};

struct tcpm__trusts {
    const struct tcpm__memory *memory;
    struct tcpm__list all;
    struct tcpm__trust *system; /* the latest of the system, held; NULL: not read yet */
};

void tcpm__trusts_init(struct tcpm__trusts *trusts, const struct tcpm__memory *memory);
/* Nobody may hold one any more. */
void tcpm__trusts_free(struct tcpm__trusts *trusts);

/* Gives what the options ca and ca_path say, both NULL: that of the system; held once more. 0; or
   negative: the trouble is noted. */
int tcpm__trusts_get(struct tcpm__trusts *trusts, const char *ca, const char *ca_path,
                     struct tcpm__tls_trouble *trouble, struct tcpm__trust **ret);
/* NULL is allowed. */
void tcpm__trusts_drop(struct tcpm__trusts *trusts, struct tcpm__trust *trust);

/* For assertions (connection/validate.c). */
void tcpm__trusts_validate(const struct tcpm__trusts *trusts);

#endif
