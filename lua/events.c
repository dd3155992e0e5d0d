/* SPDX-License-Identifier: MIT */
/*
 * The events of the core as calls of the session's handlers: the hot path. Each event fills a
 * struct on the C stack and passes it to the trampoline, which fetches the handler by one integer
 * index, the cheap by another, pushes the arguments and calls. A handler that a session does not
 * have stays NULL in its table of events, so that neither the core nor this file does any work for
 * it; initialize, failure, error and disconnected are always there, because the binding itself
 * needs them.
 */
#include "lua_filter.h"
#include "protect.h"

#include <errno.h>
#include <string.h>

const char *const tcpm__lua_option_names[PLACE_COUNT] = {
    [ON_INITIALIZE] = "on_initialize",
    [ON_SUCCESS] = "on_success",
    [ON_INPUT] = "on_input",
    [ON_FLUSHED] = "on_flushed",
    [ON_FAILURE] = "on_failure",
    [ON_ERROR] = "on_error",
    [ON_TIMEOUT] = "on_timeout",
    [ON_DISCONNECTED] = "on_disconnected",
    [ON_EOF] = "on_eof",
    [ON_EXCEPTION] = "on_exception",
    [PLACE_INPUT_FILTER] = "input_filter",
    [PLACE_OUTPUT_FILTER] = "output_filter",
};

struct event {
    struct call call;
    struct session *session;
    struct tcpm_id id;
    int place;
    int (*push)(lua_State *L, const struct event *event); /* gives the number of arguments */
    const char *text, *text2;
    size_t length;
    unsigned port, port2;
    int number;
    const struct tcpm_error *error;
    struct slot *slot;
};

/* What every event says of itself: the fields of an initialiser. */
#define EVENT(run_, session_, id_, place_, push_) \
    .call.run = run_, .session = session_, .id = id_, .place = place_, .push = push_

/* The connection, where it has handlers of its own; else NULL. */
static const struct extra *own_handlers(const struct event *event)
{
    if (event->session->own_handlers == 0)
        return NULL;
    const struct slot *slot = tcpm__lua_slot(event->session->runtime, event->id.n);
    return slot == NULL || slot->extra == NULL || slot->extra->handlers == 0 ? NULL : slot->extra;
}

static bool has_handler(const struct event *event, int place)
{
    const struct extra *own = own_handlers(event);
    uint32_t handlers = event->session->handlers | (own == NULL ? 0 : own->handlers);
    return (handlers >> place & 1) != 0;
}

static void push_handler(lua_State *L, const struct event *event)
{
    const struct extra *own = own_handlers(event);
    if (own == NULL || (own->handlers >> event->place & 1) == 0) {
        lua_rawgeti(L, lua_upvalueindex(UP_PLACES), event->session->base + event->place);
        return;
    }
    lua_rawgeti(L, lua_upvalueindex(UP_ANCHORS), own->anchor);
    lua_rawgeti(L, -1, event->place);
    lua_remove(L, -2);
}

static void run_event(lua_State *L, struct call *call)
{
    const struct event *event = (const struct event *) call;
    push_handler(L, event);
    lua_rawgeti(L, lua_upvalueindex(UP_CHEAPS), (int) TCPM_ID_SLOT(event->id));
    lua_call(L, 1 + event->push(L, event), 0);
}

static void trace(const struct event *event)
{
    if (event->session->trace)
        tcpm__lua_trace(event->session, event->id, event->place, event->number);
}

static void deliver(struct event *event)
{
    struct session *session = event->session;
    trace(event);
    char *message = tcpm__lua_protect(session->runtime, session, &event->call);
    if (message != NULL)
        tcpm__lua_exception_in(session, event->id.n, event->place, message);
}

/* The connection, if its session still wants events; tells on_exception first of what is pending
   since initialize. */
static struct slot *find_listener(struct session *session, struct tcpm_id id)
{
    if (session->runtime == NULL || session->muted)
        return NULL;
    struct slot *slot = tcpm__lua_slot(session->runtime, id.n);
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

/* Of a target that is none: the values themselves. */
static int push_given(lua_State *L, const struct event *event)
{
    (void) event;
    int given = lua_gettop(L) + 1;
    lua_rawgeti(L, lua_upvalueindex(UP_PLACES), OWN_GIVEN);
    for (int i = 1; i <= 4; i++)
        lua_rawgeti(L, given, i);
    lua_remove(L, given);
    return 4;
}

static void run_initialize(lua_State *L, struct call *call)
{
    struct event *event = (struct event *) call;
    tcpm__lua_register(L, event->session, event->id);
    if (has_handler(event, ON_INITIALIZE))
        run_event(L, call);
}

static void hand_over(const struct connecting *connecting, int index, enum own_place place)
{
    lua_pushvalue(connecting->L, index);
    lua_rawseti(connecting->L, lua_upvalueindex(UP_PLACES), (int) place);
}

/* Protected calls have a frame of their own: what is on the stack of connect is handed over by
   places. NULL, or what was raised. */
static char *register_or_run(struct event *event)
{
    struct runtime *rt = event->session->runtime;
    const struct connecting *connecting = rt->connecting;
    if ((event->session->handlers >> ON_INITIALIZE & 1) == 0 &&
        tcpm__lua_register_plainly(event->session, event->id))
        return NULL;
    hand_over(connecting, connecting->cheap, OWN_NEW_CHEAP);
    if (connecting->own != 0)
        hand_over(connecting, connecting->own, OWN_NEW_HANDLERS);
    return tcpm__lua_protect(rt, event->session, &event->call);
}

static void on_initialize(TCPM_ON, const char *addr, unsigned port, const char *bind_addr,
                          unsigned bind_port)
{
    struct session *owner = heap;
    struct connecting *connecting = owner->runtime->connecting;
    struct event event = {
        EVENT(run_initialize, owner, id, ON_INITIALIZE,
              connecting->refused ? push_given : push_initialize),
        .text = addr,
        .port = port,
        .text2 = bind_addr,
        .port2 = bind_port,
    };
    tcpm__lua_hold(owner); /* for as long as the connection lives */
    char *message = register_or_run(&event);
    trace(&event);
    if (message == NULL)
        return;
    if (connecting->registered) {
        tcpm__lua_exception_later(owner, id.n, message);
    } else {
        tcpm__lua_release(owner);
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

static void on_success(TCPM_ON, int fd, const char *addr, unsigned port)
{
    (void) session;
    struct session *owner = heap;
    struct event event = {
        EVENT(run_event, owner, id, ON_SUCCESS, push_success),
        .text = addr,
        .port = port,
        .number = fd,
    };
    if (find_listener(owner, id) != NULL)
        deliver(&event);
}

static int push_lua_record(lua_State *L, const struct event *event)
{
    struct lua_filter *filter = event->slot->extra->input;
    if (tcpm__lua_filter_token(filter, event->text))
        tcpm__lua_filter_push_record(L, filter);
    else
        lua_pushlstring(L, event->text, event->length);
    lua_pushnumber(L, (lua_Number) event->id.n);
    return 2;
}

/* Whether the next record needs more than the loop of run_input does. */
static bool must_return(const struct extra *extra)
{
    return extra != NULL && (extra->input != NULL || extra->failed);
}

/* The handler may have ended the connection or the session, or given it another filter. */
static bool next_record(struct event *event)
{
    const struct session *session = event->session;
    const void *record;
    if (session->runtime == NULL || event->slot->id != event->id.n ||
        must_return(event->slot->extra) ||
        tcpm_input_next(session->core, event->id, &record, &event->length) != 1)
        return false;
    event->text = record;
    trace(event);
    return true;
}

/* Entering Lua costs more than a call in it: all records that are there share one entry, with the
   handler and the cheap at fixed places of its stack. */
static void run_input(lua_State *L, struct call *call)
{
    enum { AT_HANDLER = 1, AT_CHEAP };
    struct event *event = (struct event *) call;
    push_handler(L, event);
    lua_rawgeti(L, lua_upvalueindex(UP_CHEAPS), (int) TCPM_ID_SLOT(event->id));
    do {
        lua_pushvalue(L, AT_HANDLER);
        lua_pushvalue(L, AT_CHEAP);
        lua_pushlstring(L, event->text, event->length);
        lua_pushnumber(L, (lua_Number) event->id.n);
        lua_call(L, 3, 0);
    } while (next_record(event));
}

static void on_input(TCPM_ON, const void *record, size_t length)
{
    (void) session;
    struct session *owner = heap;
    struct event event;
    event.slot = find_listener(owner, id);
    if (event.slot == NULL)
        return;
    bool in_lua = event.slot->extra != NULL && event.slot->extra->input != NULL;
    event.call.run = in_lua ? run_event : run_input;
    event.session = owner;
    event.id = id;
    event.place = ON_INPUT;
    event.push = push_lua_record;
    event.text = record;
    event.length = length;
    deliver(&event);
}

static void on_flushed(TCPM_ON)
{
    (void) session;
    struct session *owner = heap;
    struct event event = {
        EVENT(run_event, owner, id, ON_FLUSHED, push_nothing),
    };
    if (find_listener(owner, id) != NULL)
        deliver(&event);
}

static void on_eof(TCPM_ON)
{
    (void) session;
    struct session *owner = heap;
    struct event event = {
        EVENT(run_event, owner, id, ON_EOF, push_nothing),
    };
    if (find_listener(owner, id) != NULL)
        deliver(&event);
}

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

/* A filter that raised: on_exception hears of it first. With neither that nor a handler for the
   error itself it is fatal. False: nobody listens any more. */
static bool report_filter(const struct event *event)
{
    struct slot *slot = event->slot;
    struct session *owner = event->session;
    if (slot->extra == NULL || slot->extra->report == NULL)
        return true;
    if (has_handler(event, ON_EXCEPTION) || !has_handler(event, event->place)) {
        tcpm__lua_report_pending(owner, slot);
        return !owner->muted;
    }
    tcpm__lua_message_free(slot->extra->report);
    slot->extra->report = NULL;
    return true;
}

static void deliver_error(struct session *owner, struct tcpm_id id, int place,
                          const struct tcpm_error *error)
{
    struct event event = {
        EVENT(run_event, owner, id, place, push_error),
        .error = error,
        .slot = find_listener(owner, id),
    };
    if (event.slot != NULL && report_filter(&event) && has_handler(&event, place))
        deliver(&event);
}

static void on_failure(TCPM_ON, const struct tcpm_error *error)
{
    (void) session;
    deliver_error(heap, id, ON_FAILURE, error);
}

static void on_error(TCPM_ON, const struct tcpm_error *error)
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

static void on_timeout(TCPM_ON, enum tcpm_timer timer)
{
    (void) session;
    struct session *owner = heap;
    struct event event = {
        EVENT(run_event, owner, id, ON_TIMEOUT, push_timer),
        .text = tcpm_timer_name(timer),
    };
    if (find_listener(owner, id) != NULL)
        deliver(&event);
}

static void run_disconnected(lua_State *L, struct call *call)
{
    struct event *event = (struct event *) call;
    tcpm__lua_remember(L, event->id, event->text, event->port);
    if (!has_handler(event, ON_DISCONNECTED))
        return;
    event->text = tcpm_reason_name((enum tcpm_reason) event->number);
    run_event(L, call);
}

static void deliver_disconnected(struct session *owner, struct tcpm_id id, enum tcpm_reason reason)
{
    struct tcpm_info info = {.size = sizeof info};
    struct event event = {
        EVENT(run_disconnected, owner, id, ON_DISCONNECTED, push_timer),
        .number = (int) reason,
        .slot = tcpm__lua_slot(owner->runtime, id.n),
    };
    if (event.slot == NULL || tcpm_info_get(owner->core, id, &info) < 0)
        return;
    event.text = info.address;
    event.port = info.port;
    deliver(&event);
}

/* A session that was muted by a fatal error has given up all slots but that of a connection whose
   disconnected is running. */
static void on_disconnected(TCPM_ON, enum tcpm_reason reason)
{
    (void) session;
    struct session *owner = heap;
    find_listener(owner, id);
    if (owner->runtime != NULL && !owner->muted)
        deliver_disconnected(owner, id, reason);
    struct slot *slot = owner->runtime == NULL ? NULL : tcpm__lua_slot(owner->runtime, id.n);
    tcpm__lua_pull_more(owner);
    if (slot != NULL)
        tcpm__lua_slot_free(owner->runtime, slot);
}

void tcpm__lua_events(uint32_t handlers, struct tcpm_events *ret)
{
#define IF_HANDLED(place, function) (((handlers >> (place)) & 1) != 0 ? (function) : NULL)
    *ret = (struct tcpm_events){
        .size = sizeof *ret,
        .initialize = on_initialize,
        .success = IF_HANDLED(ON_SUCCESS, on_success),
        .input = IF_HANDLED(ON_INPUT, on_input),
        .flushed = IF_HANDLED(ON_FLUSHED, on_flushed),
        .failure = on_failure,
        .error = on_error,
        .timeout = IF_HANDLED(ON_TIMEOUT, on_timeout),
        .disconnected = on_disconnected,
        .eof = IF_HANDLED(ON_EOF, on_eof),
    };
#undef IF_HANDLED
}
