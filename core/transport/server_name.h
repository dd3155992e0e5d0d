/* SPDX-License-Identifier: MIT */
/*
 * Names of servers that TLS verifies, and the form in which one is verified. OpenSSL
 * verifies nothing if the name is empty or an address that it cannot read, accepts all hosts below
 * a name with a dot in front, and none for a name with a dot at its end: none of these gets there.
 */
#ifndef TCPM_TRANSPORT_SERVER_NAME_H
#define TCPM_TRANSPORT_SERVER_NAME_H

#include <stdbool.h>

#include "transport/host_name.h"

/* Writes the form of a name (transport/host_name.h), or the text of an address without its scope.
   0; or an error as from tcpm__host_name_make, with *why. */
int tcpm__server_name_make(const char *text, char ret[TCPM__HOST_NAME_SIZE], const char **why);

/* Whether a text of the form is an address. */
bool tcpm__server_name_is_address(const char *name);

#endif
