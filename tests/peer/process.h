/* SPDX-License-Identifier: MIT */
/*
 * The functions of the Lua module "peer" that concern the own process.
 */
#ifndef PEER_PROCESS_H
#define PEER_PROCESS_H

#include <lua.h>
#include <stdint.h>

/* Adds them to the table on top of the stack. */
void peer_process_register(lua_State *L);

void peer_push_checksum(lua_State *L, uint64_t checksum); /* as 16 hex digits */

#endif
