/* SPDX-License-Identifier: MIT */
/*
 * Filters written in Lua, as one kind of the core's filters. Each connection gets a clone of the
 * script's object. The object keeps the input it is fed, so for the core all bytes count as used at
 * once; bytes that are in no record yet go back to the core when the filter is replaced. A record
 * may be any Lua value: the core is given a token, and the value waits in the filter's table until
 * the event input.
 *
 * Functions of a filter run inside calls of the core, so the connection is busy while one runs.
 */
#include "lua_filter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct tcpm__lua_filter {
    struct tcpm__lua_link *link;
    size_t references; /* held by the connection and by the core */
    int anchor;        /* table of the filter's values, by enum tcpm__lua_filter_value */
    uint64_t id;       /* the connection; 0: not yet in use */
    char *message;     /* why the last function refused something; NULL: it did not */
    int code;          /* error of that refusal */
    bool raised;       /* put raised: the connection is to end */
    bool feeds_one;    /* the object has the method __feed_one: feed and get_one in one call */
    /* The core swallows a byte for the object, which has not been told the outcome yet */
    bool lent;
    const void *token; /* the record that the core has for the value that waits */
};

static struct tcpm__lua_runtime *runtime_of(const struct tcpm__lua_filter *filter)
{
    return filter->link->runtime;
}

static struct tcpm__lua_slot *slot_of(const struct tcpm__lua_filter *filter)
{
    struct tcpm__lua_runtime *rt = runtime_of(filter);

    return rt == NULL ? NULL : tcpm__lua_slot_find(rt, filter->id);
}

struct tcpm__lua_filter *tcpm__lua_filter_keep(struct tcpm__lua_filter *filter)
{
    if (filter != NULL)
        filter->references++;
    return filter;
}

void tcpm__lua_filter_drop(struct tcpm__lua_filter *filter)
{
    TCPM__LUA_ASSERT(filter == NULL || filter->references > 0);
    if (filter == NULL || --filter->references > 0)
        return;
    if (filter->link->runtime != NULL)
        tcpm__lua_anchor_drop(filter->link->runtime, filter->anchor);
    tcpm__lua_link_drop(filter->link);
    tcpm__lua_message_free(filter->message);
    free(filter);
}

void tcpm__lua_filter_attach(struct tcpm__lua_filter *filter, uint64_t id)
{
    if (filter != NULL)
        filter->id = id;
}

static struct tcpm__lua_session *session_of(const struct tcpm__lua_filter *filter)
{
    const struct tcpm__lua_slot *slot = slot_of(filter);

    return slot == NULL ? NULL : slot->session;
}

bool tcpm__lua_filter_is_token(const struct tcpm__lua_filter *filter, const void *record)
{
    return filter != NULL && record == filter->token;
}

void tcpm__lua_filter_push_value(lua_State *L, const struct tcpm__lua_filter *filter,
                                 enum tcpm__lua_filter_value which)
{
    lua_rawgeti(L, lua_upvalueindex(UP_ANCHORS), filter->anchor);
    lua_rawgeti(L, -1, (int) which);
    lua_remove(L, -2);
}

/* Pops the value. The table has room for it, so nothing is allocated. */
void tcpm__lua_filter_set_value(lua_State *L, const struct tcpm__lua_filter *filter,
                                enum tcpm__lua_filter_value which)
{
    lua_rawgeti(L, lua_upvalueindex(UP_ANCHORS), filter->anchor);
    lua_insert(L, -2);
    lua_rawseti(L, -2, (int) which);
    lua_pop(L, 1);
}

void tcpm__lua_filter_push_record(lua_State *L, struct tcpm__lua_filter *filter)
{
    tcpm__lua_filter_push_value(L, filter, VALUE_RECORD);
    lua_pushboolean(L, 0);
    tcpm__lua_filter_set_value(L, filter, VALUE_RECORD);
}

bool tcpm__lua_filter_push_method(lua_State *L, const struct tcpm__lua_filter *filter,
                                  const char *name)
{
    tcpm__lua_filter_push_value(L, filter, VALUE_OBJECT);
    lua_getfield(L, -1, name);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 2);
        return false;
    }
    lua_insert(L, -2);
    return true;
}

/* ---- calls ---- */

/* Keeps the first line of text as the filter's message. */
static void set_message(struct tcpm__lua_filter *filter, const char *text, size_t length)
{
    const char *end = memchr(text, '\n', length);

    tcpm__lua_message_free(filter->message);
    filter->message = tcpm__lua_message_copy(text, end == NULL ? length : (size_t) (end - text));
}

/* Reads a method's three results on top of the stack. nil, message and nil, message, errname are
   refusals: gives their error. nil alone is no refusal: gives 0. */
static int refusal(lua_State *L, struct tcpm__lua_filter *filter)
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

/* Runs a function of a filter. TCPM_EFILTER: the function raised, and the report waits for the
   event error. */
static int run_filter(struct tcpm__lua_runtime *rt, struct tcpm__lua_filter_call *call)
{
    struct tcpm__lua_session *owner = session_of(call->filter);

    call->id = call->filter->id;
    call->outer = rt->filtering;
    rt->filtering = call;
    char *message = tcpm__lua_protect(rt, owner == NULL ? rt->owner : owner, &call->call);
    TCPM__LUA_ASSERT(rt->filtering == call);
    rt->filtering = call->outer;
    if (message == NULL)
        return call->result;
    set_message(call->filter, message, strlen(message));
    call->filter->code = TCPM_EFILTER;
    call->filter->raised = true;
    struct tcpm__lua_slot *slot = slot_of(call->filter);
    struct tcpm__lua_extra *extra = slot == NULL ? NULL : tcpm__lua_slot_extend(slot);
    if (extra != NULL && extra->report == NULL)
        extra->report = message;
    else
        tcpm__lua_message_free(message);
    return TCPM_EFILTER;
}

/* Tells the object what it is to know first: what became of a byte, and the bytes that came. */
static void tell_input(lua_State *L, const struct tcpm__lua_filter_call *call)
{
    if (call->swallowed >= 0 && tcpm__lua_filter_push_method(L, call->filter, "__swallowed")) {
        lua_pushboolean(L, call->swallowed);
        lua_call(L, 2, 0);
    }
    if (call->length == 0)
        return;
    if (!tcpm__lua_filter_push_method(L, call->filter, "feed"))
        luaL_error(L, "the filter has no method feed");
    lua_pushlstring(L, call->bytes, call->length);
    lua_call(L, 2, 0);
}

/* Calls the method that was pushed with so many arguments, and keeps its record. false behind it:
   there is no further record yet. */
static void call_for_record(lua_State *L, struct tcpm__lua_filter_call *call, int arguments)
{
    lua_call(L, arguments, 3);
    if (lua_isnil(L, -3)) {
        call->result = refusal(L, call->filter);
        return;
    }
    call->is_last = lua_isboolean(L, -2) && !lua_toboolean(L, -2);
    lua_pop(L, 2);
    tcpm__lua_filter_set_value(L, call->filter, VALUE_RECORD);
    call->result = 1;
}

static void call_get(lua_State *L, struct tcpm__lua_call *base)
{
    struct tcpm__lua_filter_call *call = (struct tcpm__lua_filter_call *) base;

    if (call->filter->feeds_one && call->length > 0 && call->swallowed < 0) {
        tcpm__lua_filter_push_method(L, call->filter, "__feed_one");
        lua_pushlstring(L, call->bytes, call->length);
        call_for_record(L, call, 2);
        return;
    }
    tell_input(L, call);
    if (!tcpm__lua_filter_push_method(L, call->filter, "get_one"))
        luaL_error(L, "the filter has no method get_one");
    call_for_record(L, call, 1);
}

/* Without the method the object makes no last record. */
static void call_finish(lua_State *L, struct tcpm__lua_call *base)
{
    struct tcpm__lua_filter_call *call = (struct tcpm__lua_filter_call *) base;

    tell_input(L, call);
    if (tcpm__lua_filter_push_method(L, call->filter, "finish"))
        call_for_record(L, call, 1);
}

/* Runs one of the two functions above for the core. */
static int filter_input(void *self, const char *bytes, size_t length, struct tcpm_cut *cut,
                        void (*run)(lua_State *L, struct tcpm__lua_call *call))
{
    struct tcpm__lua_filter *filter = *(struct tcpm__lua_filter **) self;
    struct tcpm__lua_runtime *rt = runtime_of(filter);

    cut->used = length;
    if (rt == NULL || slot_of(filter) == NULL)
        return 0;
    struct tcpm__lua_filter_call call = {
        .call.run = run,
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
        cut->more = !call.is_last;
    } else if (result < 0) {
        cut->message = filter->message;
    }
    return result;
}

static int filter_get_one(void *self, const char *bytes, size_t length, struct tcpm_cut *cut)
{
    return filter_input(self, bytes, length, cut, call_get);
}

static int filter_finish(void *self, const char *bytes, size_t length, struct tcpm_cut *cut)
{
    return filter_input(self, bytes, length, cut, call_finish);
}

/* The record's length is the number of the value in its batch. */
static void call_put(lua_State *L, struct tcpm__lua_call *base)
{
    struct tcpm__lua_filter_call *call = (struct tcpm__lua_filter_call *) base;
    size_t length;

    if (!tcpm__lua_filter_push_method(L, call->filter, "put"))
        luaL_error(L, "the filter has no method put");
    tcpm__lua_filter_push_value(L, call->filter, VALUE_OUTPUT);
    lua_rawgeti(L, -1, (int) call->length);
    lua_remove(L, -2);
    lua_call(L, 2, 3);
    if (lua_isnil(L, -3)) {
        call->result = refusal(L, call->filter);
        if (call->result == 0) {
            static const char text[] = "the filter refused the record";

            set_message(call->filter, text, sizeof text - 1);
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
    struct tcpm__lua_filter *filter = *(struct tcpm__lua_filter **) self;
    struct tcpm__lua_runtime *rt = runtime_of(filter);
    if (rt == NULL)
        return -ESHUTDOWN;
    struct tcpm__lua_filter_call call = {
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

void tcpm__lua_filter_put_begin(lua_State *L, struct tcpm__lua_filter *filter,
                                struct tcpm_record *records, int count)
{
    for (int i = 0; i < count; i++)
        records[i] = (struct tcpm_record){.bytes = filter, .length = (size_t) i + 1};
    tcpm__lua_filter_set_value(L, filter, VALUE_OUTPUT);
    tcpm__lua_message_free(filter->message);
    filter->message = NULL;
    filter->raised = false;
}

/* Forgets the batch. If put has raised, the connection ends with an error of the filter. */
void tcpm__lua_filter_put_end(lua_State *L, struct tcpm__lua_filter *filter)
{
    lua_pushboolean(L, 0);
    tcpm__lua_filter_set_value(L, filter, VALUE_OUTPUT);
    struct tcpm__lua_slot *slot = slot_of(filter);
    if (!filter->raised || slot == NULL)
        return;
    tcpm_fail_as(slot->session->inner, (struct tcpm_id){slot->id}, TCPM_OP_FILTER, TCPM_EFILTER,
                 filter->message);
}

/* Pushes nil, message, errname, if the filter has refused something. */
bool tcpm__lua_filter_push_message(lua_State *L, const struct tcpm__lua_filter *filter)
{
    if (filter->message == NULL)
        return false;
    tcpm__lua_failure_text(L, filter->code, filter->message);
    return true;
}

void tcpm__lua_filter_set_lent(struct tcpm__lua_filter *filter)
{
    filter->lent = true;
}

void tcpm__lua_filter_replace(struct tcpm__lua_filter **current, struct tcpm__lua_filter *filter,
                              uint64_t id)
{
    struct tcpm__lua_filter *old = *current;

    *current = tcpm__lua_filter_keep(filter);
    tcpm__lua_filter_attach(filter, id);
    tcpm__lua_filter_drop(old);
}

/* ---- as a kind of the core ---- */

/* Also of a clone, whose specification is the same. */
static int filter_init(void *self, const void *options)
{
    struct tcpm__lua_filter *filter = *(struct tcpm__lua_filter *const *) options;

    *(struct tcpm__lua_filter **) self = tcpm__lua_filter_keep(filter);
    return 0;
}

static void filter_fini(void *self)
{
    tcpm__lua_filter_drop(*(struct tcpm__lua_filter **) self);
}

static const struct tcpm_filter_kind lua_kind = {
    .size = sizeof lua_kind,
    .name = "lua",
    .self_size = sizeof(struct tcpm__lua_filter *),
    .init = filter_init,
    .clone = filter_init,
    .fini = filter_fini,
    .get_one = filter_get_one,
    .put = filter_put,
    .finish = filter_finish,
};

/* Lua's allocations come first, because they may raise. */
int tcpm__lua_filter_open(lua_State *L, struct tcpm__lua_runtime *rt, int index,
                          struct tcpm_filter **inner, struct tcpm__lua_filter **ret)
{
    lua_createtable(L, VALUE_COUNT, 0);
    tcpm__lua_filter_push_clone(L, 0, index);
    lua_getfield(L, -1, "__feed_one");
    bool feeds_one = lua_isfunction(L, -1);
    lua_pop(L, 1);
    lua_rawseti(L, -2, VALUE_OBJECT);
    lua_pushvalue(L, index);
    lua_rawseti(L, -2, VALUE_TEMPLATE);
    for (int which = VALUE_TEMPLATE + 1; which <= VALUE_COUNT; which++) {
        lua_pushboolean(L, 0);
        lua_rawseti(L, -2, (int) which);
    }
    if (rt->engine == NULL)
        return -ESHUTDOWN; /* the clone has closed the module */
    int anchor = luaL_ref(L, lua_upvalueindex(UP_ANCHORS));
    struct tcpm__lua_filter *filter = calloc(1, sizeof *filter);
    if (filter == NULL) {
        tcpm__lua_anchor_drop(rt, anchor);
        return -ENOMEM;
    }
    filter->link = tcpm__lua_link_keep(rt->link);
    filter->references = 1;
    filter->anchor = anchor;
    filter->feeds_one = feeds_one;
    int result = tcpm_filter_custom(&lua_kind, &filter, inner);
    if (result < 0)
        tcpm__lua_filter_drop(filter);
    else
        *ret = filter;
    return result;
}
