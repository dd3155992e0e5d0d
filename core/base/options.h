/* SPDX-License-Identifier: MIT */
/*
 * Reading a caller's struct that begins with its size: older callers' structs are completed with
 * zeros, newer ones accepted when what this library does not know is zero.
 */
#ifndef TCPM_BASE_OPTIONS_H
#define TCPM_BASE_OPTIONS_H

#include <stddef.h>

/* Fills ret, known bytes long, from given, which begins with its own size; NULL reads as all zero.
   ret's size becomes known. 0; -EINVAL: a size that cannot be; -E2BIG: an option that this library
   does not know. */
int tcpm__options_read(const void *given, void *ret, size_t known);

/* Copies the front of from, known bytes long, into the caller's struct, as far as that reaches; its
   size stays, and what this library does not know becomes zero. 0, or -EINVAL for a size that
   cannot be. */
int tcpm__options_write(const void *from, void *given, size_t known);

#endif
