/* SPDX-License-Identifier: MIT */
/*
 * Handles of luv's on a loop that luv and this binding share, for the runner and for attach.
 */
#ifndef TCPM_LUA_LUV_HANDLES_H
#define TCPM_LUA_LUV_HANDLES_H

#include <lua.h>
#include <stdbool.h>

struct uv_handle_s;
struct uv_loop_s;

/* Whether luv made this handle. */
bool tcpm__luv_owns(lua_State *L, const struct uv_handle_s *handle);

/* Pushes a list of luv's handles on the loop, as luv's userdata. */
void tcpm__luv_push_handles(lua_State *L, struct uv_loop_s *loop);

/* Replaces walk in the table of luv on the stack's top: luv's own takes every handle of the loop
   for one of luv's, and aborts at ours. */
void tcpm__luv_set_walk(lua_State *L, struct uv_loop_s *loop);

#endif
