/* SPDX-License-Identifier: MIT */
/*
 * The stack frame of tcpmulti.run, which protect.c relies on, and copies of messages.
 */
#ifndef TCPM_LUA_PROTECT_H
#define TCPM_LUA_PROTECT_H

#include "binding.h"

enum frame { FRAME_TRACEBACK = 1, FRAME_TRAMPOLINE, FRAME_SIZE = FRAME_TRAMPOLINE };

/* A message as tcpm__lua_protect gives it. */
char *tcpm__lua_message_copy(const char *bytes, size_t length);

#endif
