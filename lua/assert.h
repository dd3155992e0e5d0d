/* SPDX-License-Identifier: MIT */
/*
 * Assertions: sentences about the binding's own state, which only a mistake of the binding itself
 * can make false. Nothing that a script, a filter or a host does may make one false: such mistakes
 * are raised, or answered by an error. The core has assertions of its own, behind its public
 * header.
 *
 * Debug and sanitize builds define TCPM__ASSERTIONS and evaluate assertions. Release builds compile
 * the condition, so that no assertion rots, and never evaluate it.
 */
#ifndef TCPM_LUA_ASSERT_H
#define TCPM_LUA_ASSERT_H

/* Prints the assertion with its place to standard error, and aborts. */
__attribute__((noreturn)) void tcpm__lua_assert_fail(const char *condition, const char *file,
                                                     int line, const char *function);

/* TCPM__LUA_ASSERTS: whether assertions are evaluated, for values that nothing else needs. */
#ifdef TCPM__ASSERTIONS
enum { TCPM__LUA_ASSERTS = 1 };
#define TCPM__LUA_ASSERT(condition) \
    ((condition) ? (void) 0 : tcpm__lua_assert_fail(#condition, __FILE__, __LINE__, __func__))
#else
enum { TCPM__LUA_ASSERTS = 0 };
#define TCPM__LUA_ASSERT(condition) ((void) (0 && (condition)))
#endif

#endif
