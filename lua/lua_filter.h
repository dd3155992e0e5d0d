/* SPDX-License-Identifier: MIT */
/*
 * Filters as connections use them: filters written in Lua (lua_filter.c), the bytes that such a
 * filter keeps (pending.c), and the pair of filters for one call (filter.c). Above binding.h, below
 * life.h.
 */
#ifndef TCPM_LUA_FILTER_H
#define TCPM_LUA_FILTER_H

#include "binding.h"

/* One running function of a filter. Meanwhile its connection is busy: calls that would change the
   connection answer EBUSY. */
struct tcpm__lua_filter_call {
    struct tcpm__lua_call call;
    struct tcpm__lua_filter_call *outer;
    uint64_t id; /* id of the connection; 0: not yet known */
    struct tcpm__lua_filter *filter;
    const char *bytes; /* get_one: input for feed */
    size_t length;     /* get_one: of bytes. put: number of the value in its batch, from 1 */
    struct tcpm_out *out;
    int swallowed; /* get_one: as in struct tcpm_cut, if the object is to be told; else -1 */
    int result;
    bool is_last; /* get_one, finish: the object says that no record follows this one yet */
};

/* Makes a filter from a clone of the object at index, with one reference, and in inner the
   core's filter for it. 0 or a negative error. Raises what the object's clone raises, and leaves
   nothing behind. */
int tcpm__lua_filter_open(lua_State *L, struct tcpm__lua_runtime *rt, int index,
                          struct tcpm_filter **inner, struct tcpm__lua_filter **ret);
/* The filter may be NULL in keep and drop. */
struct tcpm__lua_filter *tcpm__lua_filter_keep(struct tcpm__lua_filter *filter);
void tcpm__lua_filter_drop(struct tcpm__lua_filter *filter);
void tcpm__lua_filter_attach(struct tcpm__lua_filter *filter, uint64_t id);
void tcpm__lua_filter_replace(struct tcpm__lua_filter **current, struct tcpm__lua_filter *filter,
                              uint64_t id);

/* Input: whether record stands for a Lua value; and that value, pushed. */
bool tcpm__lua_filter_is_token(const struct tcpm__lua_filter *filter, const void *record);
void tcpm__lua_filter_push_record(lua_State *L, struct tcpm__lua_filter *filter);

/* Whether the connection's input filter is written in Lua. */
static inline bool tcpm__lua_slot_has_lua_input(const struct tcpm__lua_slot *slot)
{
    return slot->extra != NULL && slot->extra->input != NULL;
}

/* The Lua values of one filter, in the table at its anchor. */
enum tcpm__lua_filter_value {
    VALUE_OBJECT = 1,
    VALUE_TEMPLATE,
    VALUE_RECORD,
    VALUE_OUTPUT,
    VALUE_COUNT = VALUE_OUTPUT
};

void tcpm__lua_filter_push_value(lua_State *L, const struct tcpm__lua_filter *filter,
                                 enum tcpm__lua_filter_value which);
void tcpm__lua_filter_set_value(lua_State *L, const struct tcpm__lua_filter *filter,
                                enum tcpm__lua_filter_value which);
/* Pushes object[name] and object. False: the object has no such method, and nothing is pushed. */
bool tcpm__lua_filter_push_method(lua_State *L, const struct tcpm__lua_filter *filter,
                                  const char *name);

/* The core swallows a byte on behalf of the object, which is still to be told whether it came. */
void tcpm__lua_filter_set_lent(struct tcpm__lua_filter *filter);

/* ---- filter_calls.c ---- */
/* Whether a function of a filter of this connection runs. */
bool tcpm__lua_filter_busy(const struct tcpm__lua_runtime *rt, uint64_t id);
/* lua_pcall and lua_call of a filter's function, in a call of the script: the connection is busy
   meanwhile. Afterwards look the connection up again: the function may have done anything. */
int tcpm__lua_filter_try(lua_State *L, uint64_t id, int arguments, int results);
void tcpm__lua_filter_call(lua_State *L, uint64_t id, int arguments, int results);
void tcpm__lua_filter_push_clone(lua_State *L, uint64_t id,
                                 int index); /* clones the object at index */

/* ---- pending.c ---- */
/* For calls that change the input of a connection whose filter keeps bytes itself. The first three
   functions may raise or fail only before they have changed anything. This one pushes the bytes
   that the object keeps and has not yet made a record of. */
void tcpm__lua_filter_push_pending(lua_State *L, uint64_t id);
/* Puts bytes, and behind them the bytes that the object keeps, in front of the core's input; the
   object goes on without them. */
int tcpm__lua_filter_unread(lua_State *L, uint64_t id, const char *bytes, size_t length);
/* For an object that is about to be replaced: pushes the bytes that it keeps. 0, or negative:
   nothing is pushed. From now on the core drops the byte that the object's last record awaits. */
int tcpm__lua_filter_lend(lua_State *L, uint64_t id);
/* The object stays after all: it forgets the bytes that the core has got back. */
void tcpm__lua_filter_forget(lua_State *L, uint64_t id);

/* Output, around the core's send: pushes the values from index first on as a table, the batch. The
   core is given their numbers as records. */
void tcpm__lua_filter_push_batch(lua_State *L, int first, int count);
void tcpm__lua_filter_put_begin(lua_State *L, struct tcpm__lua_filter *filter,
                                struct tcpm_record *records, int count);
void tcpm__lua_filter_put_end(lua_State *L, struct tcpm__lua_filter *filter);
bool tcpm__lua_filter_push_message(lua_State *L, const struct tcpm__lua_filter *filter);

/* ---- resp.c ---- */
/* Pushes the value that the record is, if the filter resp has cut it. False: it has not, and
   nothing is pushed. */
bool tcpm__lua_resp_push(lua_State *L, const struct tcpm__lua_session *session, struct tcpm_id id,
                         const char *bytes, size_t length);
/* Pushes the value that a record of a filter resp is. False: the bytes are no value. */
bool tcpm__lua_resp_decode(lua_State *L, const char *bytes, size_t length);
/* Whether the connection's output filter is resp. */
bool tcpm__lua_resp_is_output(const struct tcpm__lua_slot *slot);
/* Pushes the bytes of the command that the list at index is. NULL; or what is wrong with it, and
   nothing is pushed. */
const char *tcpm__lua_resp_encode(lua_State *L, int index);

/* Pushes a record of a filter that is not written in Lua. */
static inline void tcpm__lua_push_record(lua_State *L, const struct tcpm__lua_session *session,
                                         struct tcpm_id id, const char *bytes, size_t length)
{
    if (!session->runtime->reads_resp || !tcpm__lua_resp_push(L, session, id, bytes, length))
        lua_pushlstring(L, bytes, length);
}

/* ---- filter.c ---- */
/* Whether the built-in filter at index is resp. */
bool tcpm__lua_is_resp_at(lua_State *L, int index);
/* The filters of one call. */
struct tcpm__lua_filter_pair {
    struct tcpm_filter *input, *output; /* the core's filters; NULL: not given */
    /* The same filters, if written in Lua; else NULL. */
    struct tcpm__lua_filter *lua_input, *lua_output;
    bool own_input, own_output; /* made for this pair: freed with it */
};

/* Makes a connection's filters from those at two stack indices. An index of 0 stands for the
   session's filter, if that is written in Lua. 0 or a negative error. Raises what a filter's clone
   raises, and leaves nothing behind. */
int tcpm__lua_filter_pair_open(lua_State *L, uint64_t id_or_zero,
                               const struct tcpm__lua_session *session_or_null, int input,
                               int output, struct tcpm__lua_filter_pair *pair);
void tcpm__lua_filter_pair_free(struct tcpm__lua_filter_pair *pair);
/* The userdata at index, if its metatable is the one in that cell; else NULL. */
void **tcpm__lua_to_box(lua_State *L, int index, enum tcpm__lua_own_cell cell);
/* Pushes userdata for a connection's filter of one direction, which is built in. 0, or -ESTALE, and
   then the userdata is of no use. */
int tcpm__lua_filter_push_built_in(lua_State *L, struct tcpm_session *session, struct tcpm_id id,
                                   bool input);
bool tcpm__lua_is_filter_at(lua_State *L, int index);

#endif
