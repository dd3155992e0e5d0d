/* SPDX-License-Identifier: MIT */
/*
 * Names and texts of errors, and the printable line that is made of a message from elsewhere. The
 * public functions on errors live beside it.
 */
#ifndef TCPM_BASE_ERROR_H
#define TCPM_BASE_ERROR_H

#include "base/memory.h"

/* A copy as one printable line: a byte outside of printable ASCII becomes "?"; what exceeds 512
   bytes is cut. NULL: no memory, or text is NULL. */
char *tcpm__error_line(const struct tcpm__memory *memory, const char *text);

#endif
