/* SPDX-License-Identifier: MIT */
/*
 * Events of the core as calls of the session's handlers: the hot path. Each event fills a struct on
 * the C stack and passes it to the trampoline, which fetches the handler by one integer index and
 * the cheap by another, pushes the arguments and calls. An event without a handler is NULL in the
 * session's table of events, so that it costs nothing; initialize, failure, error and disconnected
 * are always in that table, because the binding itself needs them.
 */
#include "life.h"

#include <errno.h>
#include <string.h>

struct event {
    struct tcpm__lua_call call;
    struct tcpm__lua_session *session;
    struct tcpm_id id;
    int cell;
    /* Pushes the arguments, gives their number. */
    int (*push)(lua_State *L, const struct event *event);
    const char *text, *text2;
    size_t length;
    unsigned port, port2;
    int number;
    const struct tcpm_error *error;
    struct tcpm__lua_slot *slot;
};

/* The fields that every event sets, for an initialiser. */
#define EVENT(run_, session_, id_, cell_, push_) \
    .call.run = run_, .session = session_, .id = id_, .cell = cell_, .push = push_

static bool has_handler(const struct event *event, int cell)
{
    return tcpm__lua_has_handler(event->session, event->id, cell);
}

static void push_handler(lua_State *L, const struct event *event)
{
    const struct tcpm__lua_extra *own = tcpm__lua_own_handlers(event->session, event->id);

    if (own == NULL || (own->handlers >> event->cell & 1) == 0) {
        lua_rawgeti(L, lua_upvalueindex(UP_CELLS), event->session->base + event->cell);
        return;
    }
    lua_rawgeti(L, lua_upvalueindex(UP_ANCHORS), own->anchor);
    lua_rawgeti(L, -1, event->cell);
    lua_remove(L, -2);
}

static void run_event(lua_State *L, struct tcpm__lua_call *call)
{
    const struct event *event = (const struct event *) call;

    push_handler(L, event);
    lua_rawgeti(L, lua_upvalueindex(UP_CHEAPS), (int) TCPM_ID_SLOT(event->id));
    lua_call(L, 1 + event->push(L, event), 0);
}

static void trace(const struct event *event)
{
    if (event->session->trace)
        tcpm__lua_trace_event(event->session, event->id, event->cell, event->number);
}

static void deliver(struct event *event)
{
    struct tcpm__lua_session *session = event->session;

    TCPM__LUA_ASSERT(session->runtime != NULL && !session->muted);
    trace(event);
    char *message = tcpm__lua_protect(session->runtime, session, &event->call);
    if (message != NULL)
        tcpm__lua_exception_in(session, event->id.n, event->cell, message);
}

/* Begins an event: on_exception is told first of an error in initialize that is still pending.
   Gives the connection if it and its session still want events; else NULL. */
static struct tcpm__lua_slot *begin_event(struct tcpm__lua_session *session, struct tcpm_id id)
{
    if (session->runtime == NULL || session->muted)
        return NULL;
    struct tcpm__lua_slot *slot = tcpm__lua_slot_find(session->runtime, id.n);
    if (slot == NULL || slot->extra == NULL || !slot->extra->failed)
        return slot;
    if (slot->extra->report != NULL)
        tcpm__lua_report_pending(session, slot);
    return NULL;
}

static int push_nothing(lua_State *L, const struct event *event)
{
    lua_pushnumber(L, (lua_Number) event->id.n);
    return 1;
}

/* ---- initialize ---- */

static int push_initialize(lua_State *L, const struct event *event)
{
    lua_pushstring(L, event->text);
    lua_pushinteger(L, (lua_Integer) event->port);
    if (event->text2 == NULL)
        lua_pushnil(L);
    else
        lua_pushstring(L, event->text2);
    if (event->port2 == 0)
        lua_pushnil(L);
    else
        lua_pushinteger(L, (lua_Integer) event->port2);
    return 4;
}

/* Pushes the values of an invalid target as the script gave them. */
static int push_given(lua_State *L, const struct event *event)
{
    (void) event;
    int given = lua_gettop(L) + 1;
    lua_rawgeti(L, lua_upvalueindex(UP_CELLS), OWN_GIVEN);
    for (int i = 1; i <= 4; i++)
        lua_rawgeti(L, given, i);
    lua_remove(L, given);
    return 4;
}

static void run_initialize(lua_State *L, struct tcpm__lua_call *call)
{
    struct event *event = (struct event *) call;

    tcpm__lua_register(L, event->session, event->id);
    if (has_handler(event, ON_INITIALIZE))
        run_event(L, call);
}

static void hand_over(const struct tcpm__lua_connecting *connecting, int index,
                      enum tcpm__lua_own_cell cell)
{
    lua_pushvalue(connecting->L, index);
    lua_rawseti(connecting->L, lua_upvalueindex(UP_CELLS), (int) cell);
}

/* NULL, or the message of what was raised. A protected call has a stack frame of its own, so values
   on the stack of connect are handed over in cells. */
static char *register_or_run(struct event *event)
{
    struct tcpm__lua_runtime *rt = event->session->runtime;
    const struct tcpm__lua_connecting *connecting = rt->connecting;

    if ((event->session->handlers >> ON_INITIALIZE & 1) == 0 &&
        tcpm__lua_register_plainly(event->session, event->id))
        return NULL;
    hand_over(connecting, connecting->cheap, OWN_NEW_CHEAP);
    if (connecting->own != 0)
        hand_over(connecting, connecting->own, OWN_NEW_HANDLERS);
    return tcpm__lua_protect(rt, event->session, &event->call);
}

static void on_initialize(void *heap, struct tcpm_session *session, struct tcpm_id id,
                          const char *addr, unsigned port, const char *bind_addr,
                          unsigned bind_port)
{
    struct tcpm__lua_session *owner = heap;
    struct tcpm__lua_connecting *connecting = owner->runtime->connecting;
    struct event event = {
        EVENT(run_initialize, owner, id, ON_INITIALIZE,
              connecting->refused ? push_given : push_initialize),
        .text = addr,
        .port = port,
        .text2 = bind_addr,
        .port2 = bind_port,
    };

    TCPM__LUA_ASSERT(!connecting->registered);
    tcpm__lua_session_hold(owner); /* tcpm__lua_slot_free releases it */
    char *message = register_or_run(&event);
    trace(&event);
    if (message == NULL)
        return;
    if (connecting->registered) {
        tcpm__lua_exception_later(owner, id.n, message);
    } else {
        tcpm__lua_session_release(owner);
        tcpm__lua_message_free(message); /* connect answers ENOMEM */
        tcpm_reset(session, id);
    }
}

/* ---- while it is open ---- */

static int push_success(lua_State *L, const struct event *event)
{
    lua_pushinteger(L, event->number);
    lua_pushstring(L, event->text);
    lua_pushinteger(L, (lua_Integer) event->port);
    lua_pushnumber(L, (lua_Number) event->id.n);
    lua_pushnumber(L, (lua_Number) event->id.n);
    return 5;
}

static void on_success(void *heap, struct tcpm_session *session, struct tcpm_id id, int fd,
                       const char *addr, unsigned port)
{
    (void) session;
    struct tcpm__lua_session *owner = heap;
    struct event event = {EVENT(run_event, owner, id, ON_SUCCESS, push_success), .text = addr,
                          .port = port, .number = fd};
    if (begin_event(owner, id) != NULL)
        deliver(&event);
}

static int push_lua_record(lua_State *L, const struct event *event)
{
    struct tcpm__lua_filter *filter = event->slot->extra->input;

    if (tcpm__lua_filter_is_token(filter, event->text))
        tcpm__lua_filter_push_record(L, filter);
    else
        tcpm__lua_push_record(L, event->session, event->id, event->text, event->length);
    lua_pushnumber(L, (lua_Number) event->id.n);
    return 2;
}

/* Whether the handler has left the connection and the session in place. */
static bool goes_on(const struct event *event)
{
    const struct tcpm__lua_slot *slot = event->slot;

    return event->session->runtime != NULL && slot->id == event->id.n &&
           (slot->extra == NULL || !slot->extra->failed);
}

/* Gets the next record, unless the handler has ended the connection or the session, or has set
   another filter. */
static bool next_record(struct event *event)
{
    const void *record;

    if (!goes_on(event) || tcpm__lua_slot_has_lua_input(event->slot) ||
        tcpm_input_next(event->session->inner, event->id, &record, &event->length) != 1)
        return false;
    event->text = record;
    trace(event);
    return true;
}

/* Calls the handler for all records that are there in one entry into Lua, because entering costs
   more than a call inside. Handler and cheap stay at fixed stack indices. */
static void run_records(lua_State *L, struct event *event)
{
    enum { AT_HANDLER = 1, AT_CHEAP };
    push_handler(L, event);
    lua_rawgeti(L, lua_upvalueindex(UP_CHEAPS), (int) TCPM_ID_SLOT(event->id));
    do {
        lua_pushvalue(L, AT_HANDLER);
        lua_pushvalue(L, AT_CHEAP);
        tcpm__lua_push_record(L, event->session, event->id, event->text, event->length);
        lua_pushnumber(L, (lua_Number) event->id.n);
        lua_call(L, 3, 0);
    } while (next_record(event));
}

/* Behind the records that came together comes the event batch. A filter written in Lua makes them
   one by one. */
static void run_input(lua_State *L, struct tcpm__lua_call *call)
{
    struct event *event = (struct event *) call;

    if (tcpm__lua_slot_has_lua_input(event->slot))
        run_event(L, call);
    else
        run_records(L, event);
    const struct tcpm__lua_session *session = event->session;
    if (((session->handlers >> ON_BATCH & 1) == 0 && session->own_handlers == 0) ||
        !goes_on(event) || !has_handler(event, ON_BATCH))
        return;
    event->cell = ON_BATCH;
    event->push = push_nothing;
    trace(event);
    run_event(L, call);
}

static void on_input(void *heap, struct tcpm_session *session, struct tcpm_id id,
                     const void *record, size_t length)
{
    (void) session;
    struct tcpm__lua_session *owner = heap;
    struct event event;
    event.slot = begin_event(owner, id);
    if (event.slot == NULL)
        return;
    event.call.run = run_input;
    event.session = owner;
    event.id = id;
    event.cell = ON_INPUT;
    event.push = push_lua_record;
    event.text = record;
    event.length = length;
    event.number = 0;
    deliver(&event);
}

static void deliver_plain(struct tcpm__lua_session *owner, struct tcpm_id id, int cell)
{
    struct event event = {EVENT(run_event, owner, id, cell, push_nothing)};

    if (begin_event(owner, id) != NULL)
        deliver(&event);
}

/* An event that has no arguments of its own. */
#define PLAIN_EVENT(name, CELL)                                                        \
    static void on_##name(void *heap, struct tcpm_session *session, struct tcpm_id id) \
    {                                                                                  \
        (void) session;                                                                \
        deliver_plain(heap, id, CELL);                                                 \
    }
PLAIN_EVENT(flushed, ON_FLUSHED)
PLAIN_EVENT(eof, ON_EOF)
PLAIN_EVENT(secure, ON_SECURE)
#undef PLAIN_EVENT

/* ---- its end ---- */

static int push_error(lua_State *L, const struct event *event)
{
    const struct tcpm_error *error = event->error;

    lua_pushstring(L, tcpm_op_name(error->op));
    lua_pushinteger(L, tcpm__lua_errnum(error->code));
    lua_pushstring(L, tcpm__lua_errstr(error));
    lua_pushnumber(L, (lua_Number) event->id.n);
    lua_pushstring(L, tcpm_error_name(error->code));
    return 5;
}

/* If a filter raised, on_exception is told first; without on_exception and without a handler for
   the error itself, the error is fatal. False: nobody listens any more. */
static bool report_filter(const struct event *event)
{
    struct tcpm__lua_slot *slot = event->slot;
    struct tcpm__lua_session *owner = event->session;

    if (slot->extra == NULL || slot->extra->report == NULL)
        return true;
    if (has_handler(event, ON_EXCEPTION) || !has_handler(event, event->cell)) {
        tcpm__lua_report_pending(owner, slot);
        return !owner->muted;
    }
    tcpm__lua_message_free(slot->extra->report);
    slot->extra->report = NULL;
    return true;
}

static void deliver_error(struct tcpm__lua_session *owner, struct tcpm_id id, int cell,
                          const struct tcpm_error *error)
{
    struct event event = {
        EVENT(run_event, owner, id, cell, push_error),
        .error = error,
        .slot = begin_event(owner, id),
    };

    if (event.slot != NULL && report_filter(&event) && has_handler(&event, cell))
        deliver(&event);
}

static void on_failure(void *heap, struct tcpm_session *session, struct tcpm_id id,
                       const struct tcpm_error *error)
{
    (void) session;
    deliver_error(heap, id, ON_FAILURE, error);
}

static void on_error(void *heap, struct tcpm_session *session, struct tcpm_id id,
                     const struct tcpm_error *error)
{
    (void) session;
    deliver_error(heap, id, ON_ERROR, error);
}

static int push_timer(lua_State *L, const struct event *event)
{
    lua_pushnumber(L, (lua_Number) event->id.n);
    lua_pushstring(L, event->text);
    return 2;
}

static void on_timeout(void *heap, struct tcpm_session *session, struct tcpm_id id,
                       enum tcpm_timer timer)
{
    (void) session;
    struct tcpm__lua_session *owner = heap;
    struct event event = {EVENT(run_event, owner, id, ON_TIMEOUT, push_timer),
                          .text = tcpm_timer_name(timer)};
    if (begin_event(owner, id) != NULL)
        deliver(&event);
}

static void run_disconnected(lua_State *L, struct tcpm__lua_call *call)
{
    struct event *event = (struct event *) call;

    tcpm__lua_remember_address(L, event->id, event->text, event->port);
    if (!has_handler(event, ON_DISCONNECTED))
        return;
    event->text = tcpm_reason_name((enum tcpm_reason) event->number);
    run_event(L, call);
}

static void deliver_disconnected(struct tcpm__lua_session *owner, struct tcpm_id id,
                                 enum tcpm_reason reason)
{
    struct tcpm_info info = {.size = sizeof info};
    struct event event = {
        EVENT(run_disconnected, owner, id, ON_DISCONNECTED, push_timer),
        .number = (int) reason,
        .slot = tcpm__lua_slot_find(owner->runtime, id.n),
    };

    if (event.slot == NULL || tcpm_info_get(owner->inner, id, &info) < 0)
        return;
    event.text = info.address;
    event.port = info.port;
    deliver(&event);
}

/* A session that was killed has given up all its slots, except that of a connection whose
   disconnected is running. */
static void on_disconnected(void *heap, struct tcpm_session *session, struct tcpm_id id,
                            enum tcpm_reason reason)
{
    (void) session;
    struct tcpm__lua_session *owner = heap;
    begin_event(owner, id);
    if (owner->runtime != NULL && !owner->muted)
        deliver_disconnected(owner, id, reason);
    struct tcpm__lua_slot *slot =
        owner->runtime == NULL ? NULL : tcpm__lua_slot_find(owner->runtime, id.n);
    tcpm__lua_pull_more(owner);
    if (slot != NULL)
        tcpm__lua_slot_free(owner->runtime, slot);
}

const struct tcpm_events tcpm__lua_events = {.size = sizeof tcpm__lua_events,
#define ENTRY(NAME, name) .name = on_##name,
                                             TCPM_EVENTS(ENTRY)
#undef ENTRY
};
