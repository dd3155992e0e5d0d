/* SPDX-License-Identifier: MIT */
/*
 * Filters written in Lua: one for each connection that uses one.
 */
#ifndef TCPM_LUA_FILTER_H
#define TCPM_LUA_FILTER_H

#include "binding.h"

/* One running function of a filter; its connection is busy meanwhile. */
struct filter_call {
    struct call call;
    struct filter_call *outer;
    uint64_t id; /* the connection; 0: not yet one */
    struct lua_filter *filter;
    const char *bytes; /* to get_one */
    size_t length;     /* of bytes; to put: the number of the value in its batch */
    struct tcpm_out *out;
    int swallowed; /* to get_one: as in struct tcpm_cut, if the object is to know; else -1 */
    int result;
};

/* Makes one from a clone of the object at index, with one reference, and what the core is given.
   0 or negative; raises what the object's clone raises, and leaves nothing behind. */
int tcpm__lua_filter_open(lua_State *L, struct runtime *rt, int index, struct tcpm_filter **core,
                          struct lua_filter **ret);
struct lua_filter *tcpm__lua_filter_keep(struct lua_filter *filter); /* NULL is fine */
void tcpm__lua_filter_drop(struct lua_filter *filter);               /* NULL is fine */
void tcpm__lua_filter_attach(struct lua_filter *filter, uint64_t id);
void tcpm__lua_filter_replace(struct lua_filter **place, struct lua_filter *filter, uint64_t id);
bool tcpm__lua_filter_busy(const struct runtime *rt, uint64_t id);
struct session *tcpm__lua_filter_session(const struct lua_filter *filter); /* NULL: none */

/* Input: whether record stands for a Lua value, and that value. */
bool tcpm__lua_filter_token(const struct lua_filter *filter, const void *record);
void tcpm__lua_filter_push_record(lua_State *L, struct lua_filter *filter);

/* What waits beside the object, in its anchor. */
enum held { HELD_OBJECT = 1, HELD_TEMPLATE, HELD_RECORD, HELD_OUTPUT, HELD_COUNT = HELD_OUTPUT };
void tcpm__lua_filter_push_held(lua_State *L, const struct lua_filter *filter, enum held which);
void tcpm__lua_filter_set_held(lua_State *L, const struct lua_filter *filter, enum held which);
/* Pushes object:name, object; false: it has no such method, nothing is pushed. */
bool tcpm__lua_filter_push_method(lua_State *L, const struct lua_filter *filter, const char *name);

/* Functions of a connection's filter in a call of the script's, as lua_pcall and lua_call: the
   connection is busy meanwhile. Afterwards anything may have happened to it. */
int tcpm__lua_filter_try(lua_State *L, uint64_t id, int arguments, int results);
void tcpm__lua_filter_call(lua_State *L, uint64_t id, int arguments, int results);
void tcpm__lua_filter_push_clone(lua_State *L, uint64_t id, int index); /* of the object there */

/* The core swallows a byte for the object, which is to be told what became of it. */
void tcpm__lua_filter_lent(struct lua_filter *filter);

/* ---- held.c ---- */
/* What is done to the input of a connection whose filter keeps bytes itself. Each of the first
   three raises, or results in something negative, only before it has changed anything.
   Pushes what the object holds and has not made a record of. */
void tcpm__lua_filter_push_pending(lua_State *L, uint64_t id);
/* Puts bytes, and behind them what the object holds, in front of what the core has; the object
   goes on without them. */
int tcpm__lua_filter_unread(lua_State *L, uint64_t id, const char *bytes, size_t length);
/* For an object that is to be replaced: pushes what it holds, 0, or negative: nothing is pushed.
   The byte that its last record awaits is from now on the core's to drop. */
int tcpm__lua_filter_lend(lua_State *L, uint64_t id);
/* The object is not replaced after all, and forgets what the core has got of it. */
void tcpm__lua_filter_forget(lua_State *L, uint64_t id);

/* Output: around the core's send. The values from index first on are pushed as a table, which then
   lies beside the object; the records are their numbers. */
void tcpm__lua_filter_push_batch(lua_State *L, int first, int count);
void tcpm__lua_filter_put_begin(lua_State *L, struct lua_filter *filter,
                                struct tcpm_record *records, int count);
void tcpm__lua_filter_put_end(lua_State *L, struct lua_filter *filter);
bool tcpm__lua_filter_push_message(lua_State *L, const struct lua_filter *filter);

#endif
