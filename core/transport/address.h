/* SPDX-License-Identifier: MIT */
/*
 * Addresses and ports as text and as the kernel wants them. Only forms that cannot be mistaken are
 * numeric: the dotted quad, and IPv6 with or without brackets and scope.
 */
#ifndef TCPM_TRANSPORT_ADDRESS_H
#define TCPM_TRANSPORT_ADDRESS_H

#include "transport/socket.h"

#define TCPM__ADDRESS_TEXT 64 /* bytes that any numeric address with its scope fits in */

/* 1: numeric, *address is filled in; 0: a name. What is neither: *why is a static text that says
   so, and the result TCPM_ENOTFOUND for something like 127.1 that resolvers would guess at, or
   -EINVAL (an unknown scope, one bracket alone, a URL). */
int tcpm__address_parse(const char *text, unsigned port, union tcpm__address *address,
                        const char **why);

/* The last part of it, for what is not numeric. scope_is_wrong: it would be, with another scope. */
int tcpm__address_refuse(const char *text, bool scope_is_wrong, const char **why);

/* Dotted quads, the common case, without the detours of the general functions. */
bool tcpm__address_parse_quad(const char *text, struct in_addr *quad); /* false: it is none */
void tcpm__address_print_quad(struct in_addr quad, char text[TCPM__ADDRESS_TEXT]);
void tcpm__address_make_quad(struct in_addr quad, unsigned port, union tcpm__address *address);

/* Whether the text has 1 to 253 bytes, none of them a control character or a space. Names in UTF-8
   are looked up in their ASCII form. */
bool tcpm__address_acceptable(const char *text);

void tcpm__address_print(const union tcpm__address *address, char text[TCPM__ADDRESS_TEXT]);

unsigned tcpm__address_port(const union tcpm__address *address);
void tcpm__address_set_port(union tcpm__address *address, unsigned port);
socklen_t tcpm__address_size(const union tcpm__address *address);
/* 0.0.0.0, :: and the first in its form for IPv6: the kernel connects to an address of its own. */
bool tcpm__address_is_any(const union tcpm__address *address);
bool tcpm__address_equal(const union tcpm__address *a, const union tcpm__address *b);

/* The port of a decimal or a TCP service name of /etc/services: 1..65535, or -EINVAL. */
int tcpm__address_service(const char *service);

#endif
