/* SPDX-License-Identifier: MIT */
/*
 * Filters written in Lua, as one kind of the core's filters. Each connection gets a clone of the
 * script's object; it keeps what it is fed itself, so all bytes count as used at once, and what it
 * has not made a record of goes back to the core when the filter is replaced. A record is any Lua
 * value: the core is given a token, and the value waits beside the object until the input event.
 *
 * Functions of a filter run inside calls of the core, so while one runs, its connection is busy.
 */
#include "lua_filter.h"
#include "protect.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct lua_filter {
    struct link *link;
    size_t references; /* of its connection, and of the core */
    int anchor;        /* { [HELD_OBJECT] = …, … } */
    uint64_t id;       /* its connection; 0: not yet in use */
    char *message;     /* of what its last function refused */
    int code;          /* and its error */
    bool raised;       /* put raised: the connection is to end */
    bool lent;         /* the core swallows a byte for the object, which has not heard of it yet */
    const void *token; /* what the core knows as the record that waits: its self */
};

static struct runtime *runtime_of(const struct lua_filter *filter)
{
    return filter->link->runtime;
}

static struct slot *slot_of(const struct lua_filter *filter)
{
    struct runtime *rt = runtime_of(filter);
    return rt == NULL ? NULL : tcpm__lua_slot(rt, filter->id);
}

struct lua_filter *tcpm__lua_filter_keep(struct lua_filter *filter)
{
    if (filter != NULL)
        filter->references++;
    return filter;
}

void tcpm__lua_filter_drop(struct lua_filter *filter)
{
    if (filter == NULL || --filter->references > 0)
        return;
    if (filter->link->runtime != NULL)
        tcpm__lua_unref(filter->link->runtime, filter->anchor);
    tcpm__lua_link_drop(filter->link);
    tcpm__lua_message_free(filter->message);
    free(filter);
}

void tcpm__lua_filter_attach(struct lua_filter *filter, uint64_t id)
{
    if (filter != NULL)
        filter->id = id;
}

bool tcpm__lua_filter_busy(const struct runtime *rt, uint64_t id)
{
    for (const struct filter_call *call = rt->filtering; call != NULL; call = call->outer)
        if (call->id == id)
            return true;
    return false;
}

struct session *tcpm__lua_filter_session(const struct lua_filter *filter)
{
    const struct slot *slot = slot_of(filter);
    return slot == NULL ? NULL : slot->session;
}

bool tcpm__lua_filter_token(const struct lua_filter *filter, const void *record)
{
    return filter != NULL && record == filter->token;
}

/* Pushes one of the values that wait beside the object. */
void tcpm__lua_filter_push_held(lua_State *L, const struct lua_filter *filter, enum held which)
{
    lua_rawgeti(L, lua_upvalueindex(UP_ANCHORS), filter->anchor);
    lua_rawgeti(L, -1, (int) which);
    lua_remove(L, -2);
}

/* Puts the value on top of the stack there; the anchor's array has room for it. */
void tcpm__lua_filter_set_held(lua_State *L, const struct lua_filter *filter, enum held which)
{
    lua_rawgeti(L, lua_upvalueindex(UP_ANCHORS), filter->anchor);
    lua_insert(L, -2);
    lua_rawseti(L, -2, (int) which);
    lua_pop(L, 1);
}

void tcpm__lua_filter_push_record(lua_State *L, struct lua_filter *filter)
{
    tcpm__lua_filter_push_held(L, filter, HELD_RECORD);
    lua_pushboolean(L, 0);
    tcpm__lua_filter_set_held(L, filter, HELD_RECORD);
}

/* Pushes object:name, object; false: it has no such method, nothing is pushed. */
bool tcpm__lua_filter_push_method(lua_State *L, const struct lua_filter *filter, const char *name)
{
    tcpm__lua_filter_push_held(L, filter, HELD_OBJECT);
    lua_getfield(L, -1, name);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 2);
        return false;
    }
    lua_insert(L, -2);
    return true;
}

/* ---- calls ---- */

/* Keeps message as that of the filter, one line of it. */
static void set_message(struct lua_filter *filter, const char *text, size_t length)
{
    const char *end = memchr(text, '\n', length);
    tcpm__lua_message_free(filter->message);
    filter->message = tcpm__lua_message_copy(text, end == NULL ? length : (size_t) (end - text));
}

/* nil, message or nil, message, errname of a method, on top of the stack, is a refusal: its code.
   nil alone is none: 0. */
static int refusal(lua_State *L, struct lua_filter *filter)
{
    size_t length;
    if (lua_isnil(L, -2))
        return 0;
    const char *text = lua_tolstring(L, -2, &length);
    if (text == NULL) {
        text = luaL_typename(L, -2);
        length = strlen(text);
    }
    set_message(filter, text, length);
    filter->code = TCPM_EFILTER;
    if (!lua_isnil(L, -1)) {
        const char *name = lua_tostring(L, -1);
        filter->code = name == NULL ? 0 : tcpm_error_code(name);
        if (filter->code == 0)
            luaL_error(L, "the filter gave an unknown error name, %s", tcpm__lua_describe(L, -1));
    }
    return filter->code;
}

/* Runs a function of a filter. TCPM_EFILTER: it raised; the report waits for the error event. */
static int run_filter(struct runtime *rt, struct filter_call *call)
{
    struct session *owner = tcpm__lua_filter_session(call->filter);
    call->id = call->filter->id;
    call->outer = rt->filtering;
    rt->filtering = call;
    char *message = tcpm__lua_protect(rt, owner == NULL ? rt->owner : owner, &call->call);
    rt->filtering = call->outer;
    if (message == NULL)
        return call->result;
    set_message(call->filter, message, strlen(message));
    call->filter->code = TCPM_EFILTER;
    call->filter->raised = true;
    struct slot *slot = slot_of(call->filter);
    struct extra *extra = slot == NULL ? NULL : tcpm__lua_extra(slot);
    if (extra != NULL && extra->report == NULL)
        extra->report = message;
    else
        tcpm__lua_message_free(message);
    return TCPM_EFILTER;
}

static void call_get(lua_State *L, struct call *base)
{
    struct filter_call *call = (struct filter_call *) base;
    if (call->swallowed >= 0 && tcpm__lua_filter_push_method(L, call->filter, "__swallowed")) {
        lua_pushboolean(L, call->swallowed);
        lua_call(L, 2, 0);
    }
    if (call->length > 0) {
        if (!tcpm__lua_filter_push_method(L, call->filter, "feed"))
            luaL_error(L, "the filter has no method feed");
        lua_pushlstring(L, call->bytes, call->length);
        lua_call(L, 2, 0);
    }
    if (!tcpm__lua_filter_push_method(L, call->filter, "get_one"))
        luaL_error(L, "the filter has no method get_one");
    lua_call(L, 1, 3);
    if (lua_isnil(L, -3)) {
        call->result = refusal(L, call->filter);
        return;
    }
    lua_pop(L, 2);
    tcpm__lua_filter_set_held(L, call->filter, HELD_RECORD);
    call->result = 1;
}

static int filter_get_one(void *self, const char *bytes, size_t length, struct tcpm_cut *cut)
{
    struct lua_filter *filter = *(struct lua_filter **) self;
    struct runtime *rt = runtime_of(filter);
    cut->used = length;
    if (rt == NULL || slot_of(filter) == NULL)
        return 0;
    struct filter_call call = {
        .call.run = call_get,
        .filter = filter,
        .bytes = bytes,
        .length = length,
        .swallowed = filter->lent ? cut->swallowed : -1,
    };
    if (cut->swallowed >= 0)
        filter->lent = false;
    int result = run_filter(rt, &call);
    if (result == 1) {
        filter->token = self;
        cut->record = self;
        cut->length = 1;
        cut->more = 1;
    } else if (result < 0) {
        cut->message = filter->message;
    }
    return result;
}

/* The value to put is the one that the token's place in the batch names. */
static void call_put(lua_State *L, struct call *base)
{
    struct filter_call *call = (struct filter_call *) base;
    size_t length;
    if (!tcpm__lua_filter_push_method(L, call->filter, "put"))
        luaL_error(L, "the filter has no method put");
    tcpm__lua_filter_push_held(L, call->filter, HELD_OUTPUT);
    lua_rawgeti(L, -1, (int) call->length);
    lua_remove(L, -2);
    lua_call(L, 2, 3);
    if (lua_isnil(L, -3)) {
        call->result = refusal(L, call->filter);
        if (call->result == 0) {
            set_message(call->filter, "the filter refused the record", 29);
            call->result = call->filter->code = TCPM_EFILTER;
        }
        return;
    }
    const char *bytes = lua_tolstring(L, -3, &length);
    if (bytes == NULL)
        luaL_error(L, "put of a filter must return a string, not %s", luaL_typename(L, -3));
    call->result = tcpm_out_write(call->out, bytes, length);
}

static int filter_put(void *self, const void *record, size_t length, struct tcpm_out *out)
{
    (void) record;
    struct lua_filter *filter = *(struct lua_filter **) self;
    struct runtime *rt = runtime_of(filter);
    if (rt == NULL)
        return -ESHUTDOWN;
    struct filter_call call = {
        .call.run = call_put,
        .filter = filter,
        .length = length,
        .out = out,
    };
    return run_filter(rt, &call);
}

void tcpm__lua_filter_push_batch(lua_State *L, int first, int count)
{
    lua_createtable(L, count, 0);
    for (int i = 0; i < count; i++) {
        if (lua_isnil(L, first + i))
            luaL_error(L, "send: record %d is nil", i + 1);
        lua_pushvalue(L, first + i);
        lua_rawseti(L, -2, i + 1);
    }
}

void tcpm__lua_filter_put_begin(lua_State *L, struct lua_filter *filter,
                                struct tcpm_record *records, int count)
{
    for (int i = 0; i < count; i++)
        records[i] = (struct tcpm_record){.bytes = filter, .length = (size_t) i + 1};
    tcpm__lua_filter_set_held(L, filter, HELD_OUTPUT);
    tcpm__lua_message_free(filter->message);
    filter->message = NULL;
    filter->raised = false;
}

/* Forgets them; a put that raised ends its connection, as an error of the filter. */
void tcpm__lua_filter_put_end(lua_State *L, struct lua_filter *filter)
{
    lua_pushboolean(L, 0);
    tcpm__lua_filter_set_held(L, filter, HELD_OUTPUT);
    struct slot *slot = slot_of(filter);
    if (!filter->raised || slot == NULL)
        return;
    tcpm_fail_as(slot->session->core, (struct tcpm_id){slot->id}, TCPM_OP_FILTER, TCPM_EFILTER,
                 filter->message);
}

/* nil, message, errname, if the filter has refused something. */
bool tcpm__lua_filter_push_message(lua_State *L, const struct lua_filter *filter)
{
    if (filter->message == NULL)
        return false;
    tcpm__lua_failure_text(L, filter->code, filter->message);
    return true;
}

/* ---- from calls of the script ---- */

int tcpm__lua_filter_try(lua_State *L, uint64_t id, int arguments, int results)
{
    struct runtime *rt = tcpm__lua_runtime(L);
    struct filter_call call = {.outer = rt->filtering, .id = id};
    rt->filtering = &call;
    int status = lua_pcall(L, arguments, results, 0);
    rt->filtering = call.outer;
    return status;
}

/* Raises what the function raises. */
void tcpm__lua_filter_call(lua_State *L, uint64_t id, int arguments, int results)
{
    if (tcpm__lua_filter_try(L, id, arguments, results) != 0)
        lua_error(L);
}

/* Pushes a fresh clone of the object at index. */
void tcpm__lua_filter_push_clone(lua_State *L, uint64_t id, int index)
{
    lua_getfield(L, index, "clone");
    lua_pushvalue(L, index);
    tcpm__lua_filter_call(L, id, 1, 1);
    if (!lua_istable(L, -1))
        luaL_error(L, "clone of a filter must return a table, not %s", luaL_typename(L, -1));
}

void tcpm__lua_filter_lent(struct lua_filter *filter)
{
    filter->lent = true;
}

void tcpm__lua_filter_replace(struct lua_filter **place, struct lua_filter *filter, uint64_t id)
{
    struct lua_filter *old = *place;
    *place = tcpm__lua_filter_keep(filter);
    tcpm__lua_filter_attach(filter, id);
    tcpm__lua_filter_drop(old);
}

/* ---- as a kind of the core ---- */

static int filter_init(void *self, const void *options)
{
    struct lua_filter *filter = *(struct lua_filter *const *) options;
    *(struct lua_filter **) self = tcpm__lua_filter_keep(filter);
    return 0;
}

static int filter_clone(void *self, const void *specification)
{
    return filter_init(self, specification);
}

static void filter_fini(void *self)
{
    tcpm__lua_filter_drop(*(struct lua_filter **) self);
}

static const struct tcpm_filter_kind lua_kind = {
    .size = sizeof lua_kind,
    .name = "lua",
    .self_size = sizeof(struct lua_filter *),
    .init = filter_init,
    .clone = filter_clone,
    .fini = filter_fini,
    .get_one = filter_get_one,
    .put = filter_put,
};

/* A filter for one connection from the script's object at index. Lua's allocations come first. */
int tcpm__lua_filter_open(lua_State *L, struct runtime *rt, int index, struct tcpm_filter **core,
                          struct lua_filter **ret)
{
    lua_createtable(L, HELD_COUNT, 0);
    tcpm__lua_filter_push_clone(L, 0, index);
    lua_rawseti(L, -2, HELD_OBJECT);
    lua_pushvalue(L, index);
    lua_rawseti(L, -2, HELD_TEMPLATE);
    for (int which = HELD_TEMPLATE + 1; which <= HELD_COUNT; which++) {
        lua_pushboolean(L, 0);
        lua_rawseti(L, -2, (int) which);
    }
    if (rt->engine == NULL)
        return -ESHUTDOWN; /* the clone has closed it all */
    int anchor = luaL_ref(L, lua_upvalueindex(UP_ANCHORS));
    struct lua_filter *filter = calloc(1, sizeof *filter);
    if (filter == NULL) {
        tcpm__lua_unref(rt, anchor);
        return -ENOMEM;
    }
    filter->link = tcpm__lua_link_keep(rt->link);
    filter->references = 1;
    filter->anchor = anchor;
    int result = tcpm_filter_custom(&lua_kind, &filter, core);
    if (result < 0)
        tcpm__lua_filter_drop(filter);
    else
        *ret = filter;
    return result;
}
