/* SPDX-License-Identifier: MIT */
/*
 * The printable line that is made of a message from elsewhere. Names and texts of errors are public
 * functions (tcpmulti.h), which are defined beside it in error.c.
 */
#ifndef TCPM_BASE_ERROR_H
#define TCPM_BASE_ERROR_H

#include "base/memory.h"

/* A copy of a text as one printable line: a byte that is not printable ASCII becomes "?"; bytes
   beyond 4096 are left out. The caller frees the line. NULL: no memory, or the text is NULL. */
char *tcpm__error_line(const struct tcpm__memory *memory, const char *text);

#endif
