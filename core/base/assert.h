/* SPDX-License-Identifier: MIT */
/*
 * Assertions: sentences about the library's own state, which only a mistake of the library itself
 * can make false. Nothing that a caller, a filter or a peer does may make one false: that is
 * checked, and answered by an error.
 *
 * Debug and sanitize builds define TCPM__ASSERTIONS (meson.build does) and evaluate them. Release
 * builds compile the condition, so that no assertion rots, and never evaluate it.
 */
#ifndef TCPM_BASE_ASSERT_H
#define TCPM_BASE_ASSERT_H

/* Prints the assertion with its place to standard error, and aborts. */
__attribute__((noreturn)) void tcpm__assert_fail(const char *condition, const char *file, int line,
                                                 const char *function);

#ifdef TCPM__ASSERTIONS
#define TCPM__ASSERT(condition) \
    ((condition) ? (void) 0 : tcpm__assert_fail(#condition, __FILE__, __LINE__, __func__))
#else
#define TCPM__ASSERT(condition) ((void) (0 && (condition)))
#endif

#endif
