/* SPDX-License-Identifier: MIT */
/*
 * Events of dialogue connections, those whose records go to tasks: they are brought to lua/co
 * instead of the session's handlers. Once tcpmulti.co is loaded, the sessions' events are these;
 * events of all other connections go on to events.c, if there is a handler. on_initialize and
 * on_disconnected come for every connection.
 */
#include "functions.h"

#include <errno.h>
#include <string.h>

struct told {
    struct tcpm__lua_call call;
    struct tcpm_id id;
    enum tcpm__lua_part part;
    struct tcpm__lua_slot *slot;
    const char *text; /* a record, or the name of a reason; NULL: the event has no argument */
    size_t length;
};

static struct tcpm__lua_slot *find_slot(const struct tcpm__lua_session *session, struct tcpm_id id)
{
    return session->runtime == NULL || session->muted ? NULL
                                                      : tcpm__lua_slot_find(session->runtime, id.n);
}

/* The connection, if its events go to tasks; else NULL. */
static struct tcpm__lua_slot *find_dialogue(const struct tcpm__lua_session *session,
                                            struct tcpm_id id)
{
    struct tcpm__lua_slot *slot = find_slot(session, id);

    return slot == NULL || slot->extra == NULL || slot->extra->link == 0 ? NULL : slot;
}

static void push_record(lua_State *L, const struct told *told)
{
    struct tcpm__lua_filter *filter = told->slot->extra->input;

    if (told->part != PART_DIALOGUE_INPUT)
        lua_pushlstring(L, told->text, told->length);
    else if (filter != NULL && tcpm__lua_filter_is_token(filter, told->text))
        tcpm__lua_filter_push_record(L, filter);
    else
        tcpm__lua_push_record(L, told->slot->session, told->id, told->text, told->length);
}

static void run_told(lua_State *L, struct tcpm__lua_call *call)
{
    const struct told *told = (const struct told *) call;

    lua_rawgeti(L, lua_upvalueindex(UP_SHARED), (int) told->part);
    lua_rawgeti(L, lua_upvalueindex(UP_CHEAPS), (int) TCPM_ID_SLOT(told->id));
    if (told->text != NULL)
        push_record(L, told);
    lua_call(L, told->text == NULL ? 1 : 2, 0);
}

/* Errors of tasks stay with the tasks: what comes out of a part is fatal. */
static void tell(struct tcpm__lua_session *session, struct told *told)
{
    tcpm__lua_session_fatal(session, tcpm__lua_protect(session->runtime, session, &told->call));
}

static void tell_plain(struct tcpm__lua_session *session, struct tcpm__lua_slot *slot,
                       enum tcpm__lua_part part)
{
    struct told told = {
        .call.run = run_told,
        .id = tcpm__lua_slot_id(slot),
        .part = part,
        .slot = slot,
    };

    tell(session, &told);
}

/* ---- records ---- */

/* A record goes straight to the task that waits for it in receive, and all records that are there,
   while it waits again, share one entry into Lua. */
enum { LINK_READER = 1 }; /* an index that lua/co/dialogue.lua writes */

static void resume_reader(lua_State *L, const struct told *told)
{
    lua_State *thread = told->slot->extra->reader;

    told->slot->extra->reader = NULL;
    push_record(L, told);
    tcpm__lua_resume(L, thread);
}

/* Whether the connection is there, and tasks read it by the same link. The slots go with the
   runtime, the session stays. */
static bool is_linked(const struct tcpm__lua_session *session, const struct told *told, int link)
{
    const struct tcpm__lua_slot *slot = told->slot;

    return session->runtime != NULL && slot->id == told->id.n && slot->extra->link == link;
}

/* Gets the next record. A filter written in Lua gives one only from the loop. */
static bool next_record(struct told *told)
{
    const struct tcpm__lua_slot *slot = told->slot;
    const void *record;

    if (tcpm__lua_slot_has_lua_input(slot) || slot->extra->failed ||
        tcpm_input_next(slot->session->inner, told->id, &record, &told->length) != 1)
        return false;
    told->text = record;
    return true;
}

static void hold_input(struct tcpm__lua_slot *slot)
{
    if (slot->extra->held)
        return;
    slot->extra->held = true;
    tcpm_pause(slot->session->inner, tcpm__lua_slot_id(slot));
}

static void let_input_go_on(struct tcpm__lua_slot *slot)
{
    if (!slot->extra->held)
        return;
    slot->extra->held = false;
    tcpm_resume(slot->session->inner, tcpm__lua_slot_id(slot));
}

/* A reader that C cannot give records to stands in the link alone. */
static void hold_unless_read(lua_State *L, struct tcpm__lua_slot *slot)
{
    const struct tcpm__lua_extra *extra = slot->extra;

    if (extra->reader != NULL || extra->held || extra->has_writers)
        return;
    lua_rawgeti(L, lua_upvalueindex(UP_ANCHORS), extra->link);
    lua_rawgeti(L, -1, LINK_READER);
    if (!lua_toboolean(L, -1))
        hold_input(slot);
    lua_pop(L, 2);
}

static void run_input(lua_State *L, struct tcpm__lua_call *call)
{
    struct told *told = (struct told *) call;
    const struct tcpm__lua_session *session = told->slot->session;
    int link = told->slot->extra->link;

    if (told->slot->extra->reader == NULL) {
        run_told(L, call);
        return;
    }
    tcpm__lua_push_running(L);
    do
        resume_reader(L, told);
    while (is_linked(session, told, link) && told->slot->extra->reader != NULL &&
           next_record(told));
    tcpm__lua_pop_running(L);
    if (is_linked(session, told, link))
        hold_unless_read(L, told->slot);
}

/* ---- events ---- */

static void on_success(void *heap, struct tcpm_session *inner, struct tcpm_id id, int fd,
                       const char *addr, unsigned port)
{
    struct tcpm__lua_slot *slot = find_dialogue(heap, id);

    if (slot != NULL)
        tell_plain(heap, slot, PART_DIALOGUE_SUCCESS);
    else if (tcpm__lua_has_handler(heap, id, ON_SUCCESS))
        tcpm__lua_events.success(heap, inner, id, fd, addr, port);
}

static void on_input(void *heap, struct tcpm_session *inner, struct tcpm_id id, const void *record,
                     size_t length)
{
    struct told told = {
        .call.run = run_input,
        .id = id,
        .part = PART_DIALOGUE_INPUT,
        .slot = find_dialogue(heap, id),
        .text = record,
        .length = length,
    };

    if (told.slot != NULL)
        tell(heap, &told);
    else if (tcpm__lua_has_handler(heap, id, ON_INPUT))
        tcpm__lua_events.input(heap, inner, id, record, length);
}

/* With each message that is sent the queue becomes empty: tasks hear of that only if they wait. */
static void tell_writers(struct tcpm__lua_session *session, struct tcpm__lua_slot *slot)
{
    if (!slot->extra->has_writers)
        return;
    slot->extra->has_writers = false;
    tell_plain(session, slot, PART_DIALOGUE_FLUSHED);
}

static void on_flushed(void *heap, struct tcpm_session *inner, struct tcpm_id id)
{
    struct tcpm__lua_slot *slot = find_dialogue(heap, id);

    if (slot != NULL)
        tell_writers(heap, slot);
    else if (tcpm__lua_has_handler(heap, id, ON_FLUSHED))
        tcpm__lua_events.flushed(heap, inner, id);
}

static void on_eof(void *heap, struct tcpm_session *inner, struct tcpm_id id)
{
    struct tcpm__lua_slot *slot = find_dialogue(heap, id);

    if (slot == NULL) {
        tcpm__lua_events.eof(heap, inner, id);
        return;
    }
    slot->extra->reader = NULL;
    tell_plain(heap, slot, PART_DIALOGUE_EOF);
}

static void on_secure(void *heap, struct tcpm_session *inner, struct tcpm_id id)
{
    struct tcpm__lua_slot *slot = find_dialogue(heap, id);

    if (slot != NULL)
        tell_plain(heap, slot, PART_DIALOGUE_SECURE);
    else if (tcpm__lua_has_handler(heap, id, ON_SECURE))
        tcpm__lua_events.secure(heap, inner, id);
}

/* Tasks hear by dialogue_end what has ended their connection. on_exception hears of a filter that
   has raised. */
static bool takes_error(struct tcpm__lua_session *session, struct tcpm_id id)
{
    struct tcpm__lua_slot *slot = find_dialogue(session, id);

    if (slot == NULL)
        return false;
    if (slot->extra->report != NULL && tcpm__lua_has_handler(session, id, ON_EXCEPTION))
        tcpm__lua_report_pending(session, slot);
    return true;
}

static void on_failure(void *heap, struct tcpm_session *inner, struct tcpm_id id,
                       const struct tcpm_error *error)
{
    if (!takes_error(heap, id))
        tcpm__lua_events.failure(heap, inner, id, error);
}

static void on_error(void *heap, struct tcpm_session *inner, struct tcpm_id id,
                     const struct tcpm_error *error)
{
    if (!takes_error(heap, id))
        tcpm__lua_events.error(heap, inner, id, error);
}

static void on_timeout(void *heap, struct tcpm_session *inner, struct tcpm_id id,
                       enum tcpm_timer timer)
{
    if (find_dialogue(heap, id) == NULL && tcpm__lua_has_handler(heap, id, ON_TIMEOUT))
        tcpm__lua_events.timeout(heap, inner, id, timer);
}

static void on_initialize(void *heap, struct tcpm_session *inner, struct tcpm_id id,
                          const char *addr, unsigned port, const char *bind_addr,
                          unsigned bind_port)
{
    tcpm__lua_events.initialize(heap, inner, id, addr, port, bind_addr, bind_port);
}

static void on_disconnected(void *heap, struct tcpm_session *inner, struct tcpm_id id,
                            enum tcpm_reason reason)
{
    const char *name = tcpm_reason_name(reason);
    struct told told = {
        .call.run = run_told,
        .id = id,
        .part = PART_DIALOGUE_END,
        .slot = find_dialogue(heap, id),
        .text = name,
        .length = strlen(name),
    };

    if (told.slot != NULL) {
        told.slot->extra->reader = NULL;
        tell(heap, &told);
    }
    tcpm__lua_events.disconnected(heap, inner, id, reason);
}

static const struct tcpm_events dialogue_events = {.size = sizeof dialogue_events,
#define ENTRY(NAME, name) .name = on_##name,
                                                   TCPM_EVENTS(ENTRY)
#undef ENTRY
};

/* ---- turning it on ---- */

/* The events that tasks need, whatever handlers a session has. */
enum {
    OF_TASKS = 1u << ON_SUCCESS | 1u << ON_INPUT | 1u << ON_FLUSHED | 1u << ON_SECURE,
};

void tcpm__lua_dialogues_open(struct tcpm__lua_runtime *rt)
{
    rt->events = &dialogue_events;
    rt->always = OF_TASKS;
    tcpm__lua_sessions_set_events(rt);
}

/* ---- functions for lua/co ---- */

/* shared.set_dialogue(cheap, link or nil) -> true, or nil, message, errname. link: the table by
   which tasks read the connection, whose events come to them; nil: to handlers */
static int shared_set_dialogue(lua_State *L)
{
    struct tcpm__lua_runtime *rt = tcpm__lua_runtime(L);
    struct tcpm__lua_slot *slot = tcpm__lua_slot_to_read(L);

    if (slot == NULL)
        return tcpm__lua_stale(L);
    struct tcpm__lua_extra *extra = tcpm__lua_slot_extend(slot);
    if (extra == NULL)
        return tcpm__lua_failure(L, -ENOMEM);
    lua_settop(L, 2);
    int link = lua_isnil(L, 2) ? 0 : luaL_ref(L, lua_upvalueindex(UP_ANCHORS));
    TCPM__LUA_ASSERT(extra->reader == NULL && !extra->has_writers);
    if (extra->link != 0)
        tcpm__lua_anchor_drop(rt, extra->link);
    extra->link = link;
    if (link == 0)
        let_input_go_on(slot);
    return tcpm__lua_result(L, 0);
}

/* The dialogue connection of the cheap at index 1; NULL: it is none, or has ended. */
static struct tcpm__lua_slot *dialogue_at(lua_State *L)
{
    struct tcpm__lua_slot *slot = tcpm__lua_slot_at(L, tcpm__lua_runtime(L), 1);

    return slot == NULL || slot->extra == NULL || slot->extra->link == 0 ? NULL : slot;
}

/* Whether the next record is the one that is asked for: if index 2 is a number, of so many bytes.
   The filter's own records, and numbers that need an answer, are for Lua to see to. */
static bool order_record(lua_State *L, const struct tcpm__lua_slot *slot)
{
    if (lua_isnil(L, 2))
        return true;
    lua_Number length = lua_type(L, 2) == LUA_TNUMBER ? lua_tonumber(L, 2) : 0;
    int32_t whole = length >= 1 && length <= INT32_MAX ? (int32_t) length : 0;
    return whole > 0 && (lua_Number) whole == length && !tcpm__lua_slot_has_lua_input(slot) &&
           tcpm_take(slot->session->inner, tcpm__lua_slot_id(slot), whole) == 0;
}

/* shared.await_record(cheap, length or nil, thread) -> the next record, for the running task, whose
   coroutine is thread. nil, at once: C cannot give it a record. A wait that ends otherwise gives
   what the task is resumed with. */
static int shared_await_record(lua_State *L)
{
    struct tcpm__lua_slot *slot = dialogue_at(L);

    if (slot == NULL || slot->extra->reader != NULL || !tcpm__lua_may_yield(L, 3) ||
        slot->session != tcpm__lua_runtime(L)->owner || !order_record(L, slot))
        return 0;
    slot->extra->reader = L;
    let_input_go_on(slot);
    return lua_yield(L, 0);
}

/* shared.forget_reader(cheap): no task waits for a record any more */
static int shared_forget_reader(lua_State *L)
{
    struct tcpm__lua_slot *slot = dialogue_at(L);

    if (slot != NULL)
        slot->extra->reader = NULL;
    return 0;
}

/* shared.hold_input(cheap): pauses the input, until it is let go on */
static int shared_hold_input(lua_State *L)
{
    struct tcpm__lua_slot *slot = dialogue_at(L);

    if (slot != NULL)
        hold_input(slot);
    return 0;
}

/* shared.let_input_go_on(cheap) */
static int shared_let_input_go_on(lua_State *L)
{
    struct tcpm__lua_slot *slot = dialogue_at(L);

    if (slot != NULL)
        let_input_go_on(slot);
    return 0;
}

/* shared.set_writers(cheap, whether tasks wait for room in its queue) */
static int shared_set_writers(lua_State *L)
{
    struct tcpm__lua_slot *slot = dialogue_at(L);

    if (slot != NULL)
        slot->extra->has_writers = lua_toboolean(L, 2) != 0;
    return 0;
}

const luaL_Reg tcpm__lua_dialogue_shared[] = {
    {"set_dialogue", shared_set_dialogue},
    {"await_record", shared_await_record},
    {"forget_reader", shared_forget_reader},
    {"hold_input", shared_hold_input},
    {"let_input_go_on", shared_let_input_go_on},
    {"set_writers", shared_set_writers},
    {NULL, NULL},
};
