/* SPDX-License-Identifier: MIT */
/*
 * Names of hosts as people write them, and the one form in which they are looked up: ASCII, lower
 * case, no dot at the end. Names beyond ASCII go through IDNA 2008 with the mapping of UTS 46
 * (libidn2). Pure.
 */
#ifndef TCPM_TRANSPORT_HOST_NAME_H
#define TCPM_TRANSPORT_HOST_NAME_H

#include <stdbool.h>
#include <stddef.h>

enum { TCPM__HOST_NAME_SIZE = 256 /* bytes that any name fits in, with its NUL */ };

/* Writes the form of the name in which it is looked up. *absolute: the name had a dot at its end,
   so no domain is appended to it. 0; or an error, and then ret has no meaning, and *why is a static
   text, NULL for -ENOMEM:
     TCPM_EBADNAME: no host can have this name: a label that is empty or has more than 63 bytes,
       more than 253 bytes in all, a character that no such name has, what IDNA 2008 forbids
     TCPM_ENOTFOUND: the name, or its form in ASCII, ends in a number, so that resolvers would read
       it as an address; or it ends in .onion, which only Tor knows (RFC 7686)
     -EINVAL: the bytes are no UTF-8
     -EOPNOTSUPP: a name beyond ASCII, and the library was built without libidn2 */
int tcpm__host_name_make(const char *text, char ret[TCPM__HOST_NAME_SIZE], bool *absolute,
                         const char **why);

/* Whether the name, as tcpm__host_name_make has written it before it refused the name with
   TCPM_ENOTFOUND, was refused for .onion only: a proxy may know it. */
bool tcpm__host_name_is_onion(const char *name);

/* Whether all bytes are ASCII. */
bool tcpm__host_name_is_ascii(const char *text, size_t length);

/* Why no host can have this name in ASCII, if resolvers would read its end as a number, as in 127.1
   and 0x7f.1: a static text. NULL: they would not. */
const char *tcpm__host_name_refuse_number(const char *name);

/* Whether the name, as tcpm__host_name_make writes it, means this host itself (RFC 6761). */
bool tcpm__host_name_is_localhost(const char *name);

#endif
