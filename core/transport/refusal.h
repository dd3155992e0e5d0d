/* SPDX-License-Identifier: MIT */
/*
 * Why a text is no address and no name of a host, in words.
 */
#ifndef TCPM_TRANSPORT_REFUSAL_H
#define TCPM_TRANSPORT_REFUSAL_H

#include <stdbool.h>

/* For a text that is no numeric address. 0: the text may be a name. Otherwise *why is a static text
   that says what is wrong, and the result TCPM_ENOTFOUND for something like 127.1 that resolvers
   would guess at, TCPM_EBADNAME or -EINVAL. has_bad_scope: with another scope the text would be an
   address. */
int tcpm__refusal_explain(const char *text, bool has_bad_scope, const char **why);

#endif
