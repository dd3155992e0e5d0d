/* SPDX-License-Identifier: MIT */
/*
 * Events of dialogue connections, those whose records go to tasks: they are brought to lua/co
 * instead of the session's handlers. Once tcpmulti.co is loaded, the sessions' events are these;
 * events of all other connections go on to events.c, if there is a handler. on_initialize and
 * on_disconnected come for every connection. What the tasks call is in dialogue_calls.c.
 */
#include "life.h"

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

    return !tcpm__lua_is_dialogue(slot) ? NULL : slot;
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

/* ---- what C resumes a task with ---- */

/* A task that waits for success or for a record goes on inside the event. Records that are there
   already when it waits again it gets without waiting: see dialogue_calls.c. */

void tcpm__lua_dialogue_hold(struct tcpm__lua_slot *slot)
{
    slot->extra->awaited = false;
    if (slot->extra->held)
        return;
    slot->extra->held = true;
    tcpm_pause(slot->session->inner, tcpm__lua_slot_id(slot));
}

void tcpm__lua_dialogue_go_on(struct tcpm__lua_slot *slot)
{
    if (!slot->extra->held)
        return;
    slot->extra->held = false;
    tcpm_resume(slot->session->inner, tcpm__lua_slot_id(slot));
}

/* Whether the connection is still there, and tasks read it. The slots go with the runtime, the
   session stays. */
static bool is_dialogue_still(const struct tcpm__lua_session *session, const struct told *told)
{
    return session->runtime != NULL && told->slot->id == told->id.n &&
           tcpm__lua_is_dialogue(told->slot);
}

static void hold_unless_read(struct tcpm__lua_slot *slot)
{
    const struct tcpm__lua_extra *extra = slot->extra;

    if (extra->reader == NULL && !extra->awaited && !extra->has_writers)
        tcpm__lua_dialogue_hold(slot);
}

/* A record for which there was no memory is lost, so the connection cannot go on. */
static void look_for_loss(struct tcpm__lua_slot *slot)
{
    if (!slot->extra->taking)
        return;
    slot->extra->taking = false;
    tcpm_fail(slot->session->inner, tcpm__lua_slot_id(slot), -ENOMEM, NULL);
}

/* Resumes the task with the value on top of the stack, below which lies the task that runs. */
static void resume_reader(lua_State *L, const struct told *told)
{
    const struct tcpm__lua_session *session = told->slot->session;
    lua_State *thread = told->slot->extra->reader;

    told->slot->extra->reader = NULL;
    told->slot->extra->opening = false;
    tcpm__lua_resume(L, thread);
    tcpm__lua_pop_running(L);
    if (is_dialogue_still(session, told))
        hold_unless_read(told->slot);
}

static void run_input(lua_State *L, struct tcpm__lua_call *call)
{
    const struct told *told = (const struct told *) call;

    tcpm__lua_push_running(L);
    push_record(L, told);
    resume_reader(L, told);
}

static void run_success(lua_State *L, struct tcpm__lua_call *call)
{
    const struct told *told = (const struct told *) call;

    tcpm__lua_push_running(L);
    lua_rawgeti(L, lua_upvalueindex(UP_CHEAPS), (int) TCPM_ID_SLOT(told->id));
    resume_reader(L, told);
}

/* ---- events ---- */

static void tell_success(struct tcpm__lua_session *session, struct tcpm__lua_slot *slot)
{
    struct told told = {.call.run = run_success, .id = tcpm__lua_slot_id(slot), .slot = slot};

    if (slot->extra->opening)
        tell(session, &told);
    else
        tell_plain(session, slot, PART_DIALOGUE_SUCCESS);
}

static void on_success(void *heap, struct tcpm_session *inner, struct tcpm_id id, int fd,
                       const char *addr, unsigned port)
{
    struct tcpm__lua_slot *slot = find_dialogue(heap, id);

    if (slot != NULL)
        tell_success(heap, slot);
    else if (tcpm__lua_has_handler(heap, id, ON_SUCCESS))
        tcpm__lua_events.success(heap, inner, id, fd, addr, port);
}

/* A reader that is still opening the connection is no reader of records. */
static void tell_input(struct tcpm__lua_session *session, struct told *told)
{
    const struct tcpm__lua_extra *extra = told->slot->extra;

    told->call.run = extra->reader == NULL || extra->opening ? run_told : run_input;
    tell(session, told);
    if (is_dialogue_still(session, told))
        look_for_loss(told->slot);
}

static void on_input(void *heap, struct tcpm_session *inner, struct tcpm_id id, const void *record,
                     size_t length)
{
    struct told told = {
        .id = id,
        .part = PART_DIALOGUE_INPUT,
        .slot = find_dialogue(heap, id),
        .text = record,
        .length = length,
    };

    if (told.slot != NULL)
        tell_input(heap, &told);
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

/* Whether no task has to hear of an end that was ours, with all sent and nothing received that is
   no record: the common one. lua/co/dialogue.lua finds out itself, should somebody ask. */
static bool ends_quietly(const struct tcpm__lua_slot *slot, enum tcpm_reason reason)
{
    const struct tcpm__lua_extra *extra = slot->extra;
    struct tcpm_session *inner = slot->session->inner;
    struct tcpm_info info = {.size = sizeof info};
    const void *bytes;
    size_t length;

    return reason == TCPM_REASON_SHUTDOWN && !extra->watched && extra->reader == NULL &&
           !extra->has_writers && !tcpm__lua_slot_has_lua_input(slot) &&
           tcpm_info_get(inner, tcpm__lua_slot_id(slot), &info) == 0 && info.cause.code == 0 &&
           info.queued == 0 && tcpm_pending(inner, tcpm__lua_slot_id(slot), &bytes, &length) == 0 &&
           length == 0;
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

    if (told.slot != NULL && !ends_quietly(told.slot, reason)) {
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

/* The events that tasks need, whatever handlers a session has. A session gets flushed when one of
   its tasks waits for room for the first time. */
enum {
    OF_TASKS = 1u << ON_SUCCESS | 1u << ON_INPUT | 1u << ON_SECURE,
};

void tcpm__lua_dialogues_open(struct tcpm__lua_runtime *rt)
{
    rt->events = &dialogue_events;
    rt->always = OF_TASKS;
    tcpm__lua_sessions_set_events(rt);
}
