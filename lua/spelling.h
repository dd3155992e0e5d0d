/* SPDX-License-Identifier: MIT */
/*
 * How far two spellings are apart, for messages that guess which name was meant.
 */
#ifndef TCPM_LUA_SPELLING_H
#define TCPM_LUA_SPELLING_H

#include <stddef.h>

enum { TCPM__LUA_EDIT = 1000 };

/* The price of making one name of another by inserting, deleting and changing characters:
   TCPM__LUA_EDIT for each, but 1 for a change between upper and lower case. */
size_t tcpm__lua_spelling_distance(const char *from, const char *to);

#endif
