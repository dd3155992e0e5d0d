/* SPDX-License-Identifier: MIT */
/*
 * Makes the certificates of the tests, by OpenSSL: a root, an intermediate, and leaves that are
 * good or wrong in one way. Nothing is read from files or kept between runs.
 *
 * What always holds: all that an authority gives belongs to it, until authority_free. Two
 * authorities do not know each other.
 *
 * The names of authority_named, all for the host peer.test, localhost, 127.0.0.1 and ::1 and issued
 * by the intermediate where nothing else is said:
 *
 *   good  rsa                  nothing is wrong; the key is EC P-256, or RSA with 2,048 bits
 *   self-signed                by no authority
 *   expired  not-yet-valid     for a day
 *   unknown-authority          by a root, and an intermediate, that nobody knows
 *   incomplete                 the chain lacks the intermediate
 *   rsa-1024  sha-1            a key, a signature that is too weak
 *   wrong-host                 for other.test and 127.0.0.99
 *   expired-wrong-host         both
 *   wildcard                   *.wild.test
 *   wildcard-part, wildcard-all, wildcard-top, wildcard-middle
 *                              f*.wild.test, *, *.test, a.*.test
 *   name-alone                 peer.test as common name, and no other name
 *   name-nul                   common name "peer.test" NUL ".evil.test", no other name
 *   ip                         the address 127.0.0.1, and no name
 *   ip-as-name                 the text 127.0.0.1 as name of a host, and no address
 *   bad-purpose                for clients only
 *   client                     for clients: "the client"
 *   client-stranger            for clients, by the root that nobody knows
 */
#ifndef TESTS_TLS_AUTHORITY_H
#define TESTS_TLS_AUTHORITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct authority;

enum authority_key { AUTHORITY_EC, AUTHORITY_RSA, AUTHORITY_RSA_1024 };

enum authority_issuer {
    AUTHORITY_INTERMEDIATE,
    AUTHORITY_ROOT,
    AUTHORITY_STRANGER, /* a root of its own, with an intermediate in the chain */
    AUTHORITY_SELF,
};

struct authority_options {
    const char *common_name;   /* default: "a test" */
    size_t common_name_length; /* default: up to the NUL */
    const char *names;         /* "dns:a.test ip:127.0.0.1", separated by blanks. Default: none */
    enum authority_key key;
    enum authority_issuer issuer;
    bool is_sha1;        /* the leaf's signature. Default: SHA-256 */
    bool is_for_clients; /* extended key usage. Default: for servers */
    bool is_leaf_alone;  /* the chain ends with the leaf. Default: the intermediate follows */
    int64_t begins_s;    /* from now. Default: a day ago */
    int64_t ends_s;      /* from now. Default: in 30 days */
};

struct authority_pair {
    const char *chain; /* PEM: the leaf first, never the root */
    const char *key;   /* PEM: PKCS #8, without password */
};

/* NULL: without memory, or OpenSSL refuses. */
struct authority *authority_create(void);
void authority_free(struct authority *authority);

/* PEM of the root that those who verify have to trust. */
const char *authority_root(const struct authority *authority);

/* NULL in chain: without memory, or an option is none. */
struct authority_pair authority_issue(struct authority *authority,
                                      const struct authority_options *options);
/* As authority_issue, by a name of the list above; the pair of a name is made once. NULL in chain:
   there is no such name. */
struct authority_pair authority_named(struct authority *authority, const char *name);
/* The names of the list above, from 0; NULL: there are no more. */
const char *authority_name(size_t index);

/* Writes root.pem and for each name NAME.pem and NAME.key into a folder that is there. 0, or -1
   with errno. */
int authority_write(struct authority *authority, const char *folder);

#endif
