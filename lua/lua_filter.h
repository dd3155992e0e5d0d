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
    struct lua_filter *filter;
    const char *bytes; /* to get_one */
    size_t length;     /* of bytes; to put: the number of the value in its batch */
    struct tcpm_out *out;
    int result;
};

/* Makes one from a clone of the object at index, with one reference, and what the core is given.
   0 or negative; raises what the object's clone raises. */
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
void tcpm__lua_filter_push_pending(lua_State *L, const struct lua_filter *filter);
void tcpm__lua_filter_restart(lua_State *L, struct lua_filter *filter);

/* Output: around the core's send. */
void tcpm__lua_filter_put_begin(lua_State *L, struct lua_filter *filter, int first,
                                struct tcpm_record *records, int count);
void tcpm__lua_filter_put_end(lua_State *L, struct lua_filter *filter);
bool tcpm__lua_filter_push_message(lua_State *L, const struct lua_filter *filter);

#endif
