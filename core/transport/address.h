/* SPDX-License-Identifier: MIT */
/*
 * Addresses and ports as text and in the kernel's form. Only forms that cannot be mistaken are
 * numeric: the dotted quad, and IPv6 with or without brackets and scope.
 */
#ifndef TCPM_TRANSPORT_ADDRESS_H
#define TCPM_TRANSPORT_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

enum { TCPM__ADDRESS_TEXT = 64 /* bytes that any numeric address with its scope fits in */ };

/* Sets of address families. */
enum { TCPM__INET = 1, TCPM__INET6 = 2, TCPM__ANY_FAMILY = 3 };

union tcpm__address {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
};

/* Reads a numeric address. 1: ret is filled in; 0: the text may be a name. A text that is neither
   gives a static text in *why, and as the result TCPM_ENOTFOUND for something like 127.1 that
   resolvers would guess at, TCPM_EBADNAME for '@' and '\\', or -EINVAL for an unknown scope, one
   bracket alone, a URL, a path. */
int tcpm__address_parse(const char *text, unsigned port, union tcpm__address *ret,
                        const char **why);

/* Dotted quads, the common case, without the detours of the general functions. */
bool tcpm__address_parse_quad(const char *text, struct in_addr *ret); /* false: no quad */
void tcpm__address_print_quad(struct in_addr quad, char ret[TCPM__ADDRESS_TEXT]);
void tcpm__address_make_quad(struct in_addr quad, unsigned port, union tcpm__address *ret);

/* Whether the text has 1 to 253 bytes, none of them a control character or a space. Names in UTF-8
   are looked up in their ASCII form. */
bool tcpm__address_is_acceptable(const char *text);

void tcpm__address_print(const union tcpm__address *address, char ret[TCPM__ADDRESS_TEXT]);
/* Without the scope, which means nothing to another host. */
void tcpm__address_print_bare(const union tcpm__address *address, char ret[TCPM__ADDRESS_TEXT]);

unsigned tcpm__address_port(const union tcpm__address *address);
void tcpm__address_set_port(union tcpm__address *address, unsigned port);
socklen_t tcpm__address_size(const union tcpm__address *address);

/* TCPM__INET or TCPM__INET6. */
unsigned tcpm__address_family_bit(const union tcpm__address *address);

/* Whether the address is 0.0.0.0 or ::, or 0.0.0.0 in its form for IPv6: a connect to any of these
   goes to an address of the kernel's choice. */
bool tcpm__address_is_any(const union tcpm__address *address);
bool tcpm__address_equal(const union tcpm__address *a, const union tcpm__address *b);

/* The port of a service, which is a decimal or a TCP service name of /etc/services: 1..65535, or
   -EINVAL. */
int tcpm__address_find_service(const char *service);

#endif
