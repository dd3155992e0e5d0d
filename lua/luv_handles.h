/* SPDX-License-Identifier: MIT */
/*
 * Telling luv's handles from ours on a loop that both share, for attach and for the program
 * tcpmulti-lua.
 */
#ifndef TCPM_LUA_LUV_HANDLES_H
#define TCPM_LUA_LUV_HANDLES_H

#include <stdbool.h>

#include <lua.h>

struct uv_handle_s;
struct uv_loop_s;

/* Whether luv made this handle. */
bool tcpm__luv_owns(lua_State *L, const struct uv_handle_s *handle);

/* Pushes a list of luv's handles on the loop, as luv's userdata. */
void tcpm__luv_push_handles(lua_State *L, struct uv_loop_s *loop);

/* Replaces walk in luv's table, on top of the stack. luv's own walk takes every handle of the loop
   for one of luv's, and aborts at ours. */
void tcpm__luv_set_walk(lua_State *L, struct uv_loop_s *loop);

#endif
