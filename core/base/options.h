/* SPDX-License-Identifier: MIT */
/*
 * Structs of the public header that begin with their size are read and written here. The struct of
 * an older program is shorter: it is completed with zeros. That of a newer program is longer: it is
 * accepted if the part that this library does not know is zero.
 */
#ifndef TCPM_BASE_OPTIONS_H
#define TCPM_BASE_OPTIONS_H

#include <stddef.h>

/* Fills ret, which has known bytes, from given, a caller's struct that begins with its size; NULL
   reads as all zero. The size in ret becomes known. 0; -EINVAL: a size that no struct has; -E2BIG:
   an option that this library does not know. */
int tcpm__options_read(const void *given, void *ret, size_t known);

/* Copies from, which has known bytes, into the caller's struct given, as far as that reaches. The
   size in given stays; the part that this library does not know becomes zero. 0, or -EINVAL: a size
   that no struct has. */
int tcpm__options_write(const void *from, void *given, size_t known);

#endif
