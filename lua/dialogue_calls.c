/* SPDX-License-Identifier: MIT */
/*
 * Functions for lua/co about dialogue connections, whose events are in dialogue.c: opening one,
 * waiting for its records, holding its input.
 *
 * What always holds: a coroutine that is the reader of a connection waits, or is about to; the
 * session of its task is that of the connection, so that the event needs no other one.
 */
#include "functions.h"

#include <errno.h>

/* The dialogue connection of the cheap at index 1; NULL: it is none, or has ended. */
static struct tcpm__lua_slot *dialogue_at(lua_State *L)
{
    struct tcpm__lua_slot *slot = tcpm__lua_slot_at(L, tcpm__lua_runtime(L), 1);

    return tcpm__lua_is_dialogue(slot) ? slot : NULL;
}

/* ---- beginning and end ---- */

/* 0, or -ENOMEM. From now on the connection's events come to tasks. */
static int make_dialogue(struct tcpm__lua_slot *slot)
{
    struct tcpm__lua_extra *extra = tcpm__lua_slot_extend(slot);

    if (extra == NULL)
        return -ENOMEM;
    TCPM__LUA_ASSERT(extra->reader == NULL && !extra->has_writers);
    extra->dialogue = extra->watched = true;
    return 0;
}

/* shared.set_dialogue(cheap, whether its events come to tasks) -> true, or nil, message, errname */
static int shared_set_dialogue(lua_State *L)
{
    struct tcpm__lua_slot *slot = tcpm__lua_slot_to_read(L);

    if (slot == NULL)
        return tcpm__lua_stale(L);
    if (lua_toboolean(L, 2))
        return tcpm__lua_result(L, make_dialogue(slot));
    TCPM__LUA_ASSERT(slot->extra != NULL && slot->extra->reader == NULL);
    slot->extra->dialogue = slot->extra->awaited = false;
    tcpm__lua_dialogue_go_on(slot);
    return tcpm__lua_result(L, 0);
}

/* The arguments of open_dialogue. */
enum opening { AT_THREAD = 1, AT_SESSION, AT_LINK, AT_KEY, AT_ARGUMENTS };

/* On top of the stack lies a cheap that was just opened, for a task that is about to wait for its
   success. Gives the number of results. */
static int begin_opening(lua_State *L, const struct tcpm__lua_session *session)
{
    struct tcpm__lua_runtime *rt = tcpm__lua_runtime(L);
    struct tcpm__lua_slot *slot = tcpm__lua_slot_at(L, rt, -1);

    if (slot == NULL)
        return tcpm__lua_stale(L);
    if (make_dialogue(slot) < 0) {
        tcpm_reset(session->inner, tcpm__lua_slot_id(slot));
        return tcpm__lua_failure(L, -ENOMEM);
    }
    lua_pushvalue(L, AT_KEY);
    lua_pushvalue(L, AT_LINK);
    lua_rawset(L, -3); /* there is room for it */
    if (session == rt->owner) {
        slot->extra->reader = lua_tothread(L, AT_THREAD);
        slot->extra->opening = true;
    }
    return 1;
}

/* shared.open_dialogue(thread, session, link, key, …) -> cheap, whose field key is link, and whose
   success the task is about to wait for; or nil, message, errname; or nothing: it may not wait.
   thread: the coroutine of the running task; …: as for session:connect. */
static int shared_open_dialogue(lua_State *L)
{
    struct tcpm__lua_session *session =
        tcpm__lua_check_session(L, tcpm__lua_runtime(L), AT_SESSION);

    if (!tcpm__lua_may_yield(L, AT_THREAD))
        return 0;
    if (session == NULL || session->dying)
        return tcpm__lua_session_failure(L, session);
    int count = tcpm__lua_connect_arguments(L, session, AT_ARGUMENTS, CONNECT_KEYED);
    if (count != 2)
        return count;
    lua_pop(L, 1);
    return begin_opening(L, session);
}

/* shared.end_dialogue(cheap, in_order, closer): the scope that it belongs to is left; what shuts
   down already goes on. closer: the task that waits for the end, or nil, as the scope does not. */
static int shared_end_dialogue(lua_State *L)
{
    struct tcpm__lua_slot *slot = dialogue_at(L);
    struct tcpm_info info = {.size = sizeof info};

    if (slot == NULL)
        return 0;
    struct tcpm_session *inner = slot->session->inner;
    struct tcpm_id id = tcpm__lua_slot_id(slot);

    slot->extra->watched = slot->extra->awaited || slot->extra->has_writers || lua_toboolean(L, 3);
    if (lua_toboolean(L, 2))
        tcpm_shutdown(inner, id);
    else if (tcpm_info_get(inner, id, &info) == 0 && info.phase != TCPM_PHASE_SHUTTING)
        tcpm_reset(inner, id);
    return 0;
}

/* shared.watch_end(cheap): shared.dialogue_end will be called for it, however it ends */
static int shared_watch_end(lua_State *L)
{
    struct tcpm__lua_slot *slot = dialogue_at(L);

    if (slot != NULL)
        slot->extra->watched = true;
    return 0;
}

/* shared.is_dialogue(cheap) -> whether it is a dialogue connection that has not ended */
static int shared_is_dialogue(lua_State *L)
{
    lua_pushboolean(L, dialogue_at(L) != NULL);
    return 1;
}

/* ---- records ---- */

/* The arguments of take_record and await_record: the connection by its id, which is found fastest;
   a number of bytes, or nil for a record of the filter; the coroutine of the running task. */
enum receiving { AT_ID = 1, AT_COUNT, AT_READER };

/* Whether the next record is the one that is asked for: if there is a number, of so many bytes. The
   filter's own records, and numbers that need an answer, are for Lua to see to. */
static bool order_record(lua_State *L, const struct tcpm__lua_slot *slot)
{
    if (lua_isnil(L, AT_COUNT))
        return true;
    lua_Number length = lua_type(L, AT_COUNT) == LUA_TNUMBER ? lua_tonumber(L, AT_COUNT) : 0;
    int32_t whole = length >= 1 && length <= INT32_MAX ? (int32_t) length : 0;
    return whole > 0 && (lua_Number) whole == length && !tcpm__lua_slot_has_lua_input(slot) &&
           tcpm_take(slot->session->inner, tcpm__lua_slot_id(slot), whole) == 0;
}

/* The connection that C can give the running task a record of; NULL: it cannot. */
static struct tcpm__lua_slot *find_readable(lua_State *L)
{
    struct tcpm__lua_runtime *rt = tcpm__lua_runtime(L);
    struct tcpm__lua_slot *slot = tcpm__lua_slot_of(rt, lua_tonumber(L, AT_ID));

    if (!tcpm__lua_is_dialogue(slot) || slot->extra->reader != NULL || slot->session != rt->owner ||
        !tcpm__lua_may_yield(L, AT_READER) || !order_record(L, slot))
        return NULL;
    return slot;
}

/* Pushes the next record, if it is there: inside the event that has brought the one before, all of
   them cost no turn of the loop, nor a wait. A filter written in Lua gives one only from the loop.
   Where pushing raises, for want of memory, the record is lost, and that event fails the
   connection. */
static bool push_next_record(lua_State *L, struct tcpm__lua_slot *slot)
{
    struct tcpm__lua_extra *extra = slot->extra;
    struct tcpm__lua_session *session = slot->session;
    struct tcpm_id id = tcpm__lua_slot_id(slot);
    const void *record;
    size_t length;

    if (extra->input != NULL || extra->failed || extra->taking ||
        tcpm_input_next(session->inner, id, &record, &length) != 1)
        return false;
    extra->taking = true;
    tcpm__lua_push_record(L, session, id, record, length);
    extra->taking = false;
    return true;
}

/* shared.take_record(id, length or nil, thread) -> the next record, if it is there and C can give
   it; else nil */
static int shared_take_record(lua_State *L)
{
    struct tcpm__lua_slot *slot = find_readable(L);

    return slot != NULL && push_next_record(L, slot) ? 1 : 0;
}

/* shared.await_record(id, length or nil, thread) -> the next record. nil, at once: C cannot give
   it. A wait that ends otherwise gives what the task is resumed with. true behind a record: there
   was no wait. */
static int shared_await_record(lua_State *L)
{
    struct tcpm__lua_slot *slot = find_readable(L);

    if (slot == NULL)
        return 0;
    if (push_next_record(L, slot)) {
        lua_pushboolean(L, 1);
        return 2;
    }
    slot->extra->reader = L;
    slot->extra->awaited = false;
    tcpm__lua_dialogue_go_on(slot);
    return lua_yield(L, 0);
}

/* shared.forget_reader(cheap): no task waits for success or a record any more */
static int shared_forget_reader(lua_State *L)
{
    struct tcpm__lua_slot *slot = dialogue_at(L);

    if (slot != NULL) {
        slot->extra->reader = NULL;
        slot->extra->opening = slot->extra->awaited = false;
    }
    return 0;
}

/* ---- input ---- */

/* shared.hold_input(cheap): pauses the input, until it is let go on */
static int shared_hold_input(lua_State *L)
{
    struct tcpm__lua_slot *slot = dialogue_at(L);

    if (slot != NULL)
        tcpm__lua_dialogue_hold(slot);
    return 0;
}

/* shared.let_input_go_on(cheap): for a task that C does not know */
static int shared_let_input_go_on(lua_State *L)
{
    struct tcpm__lua_slot *slot = dialogue_at(L);

    if (slot == NULL)
        return 0;
    slot->extra->awaited = slot->extra->watched = true;
    tcpm__lua_dialogue_go_on(slot);
    return 0;
}

/* shared.set_writers(cheap, whether tasks wait for room in its queue) */
static int shared_set_writers(lua_State *L)
{
    struct tcpm__lua_slot *slot = dialogue_at(L);

    if (slot == NULL)
        return 0;
    slot->extra->has_writers = lua_toboolean(L, 2) != 0;
    if (slot->extra->has_writers)
        tcpm__lua_session_want_flushed(slot->session);
    return 0;
}

const luaL_Reg tcpm__lua_dialogue_shared[] = {
    {"set_dialogue", shared_set_dialogue}, {"open_dialogue", shared_open_dialogue},
    {"end_dialogue", shared_end_dialogue}, {"watch_end", shared_watch_end},
    {"is_dialogue", shared_is_dialogue},   {"take_record", shared_take_record},
    {"await_record", shared_await_record}, {"forget_reader", shared_forget_reader},
    {"hold_input", shared_hold_input},     {"let_input_go_on", shared_let_input_go_on},
    {"set_writers", shared_set_writers},   {NULL, NULL},
};
