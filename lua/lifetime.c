/* SPDX-License-Identifier: MIT */
/*
 * How a session begins and ends, and who keeps it alive meanwhile.
 *
 * What a session owns in Lua, its handlers above all, hangs on its object, in a table that no one
 * else has: private. A session that has something to do (connections, tasks, an alias, standard
 * input, a pull function that is asked) is held: its places, which events look at, have what its
 * table has. One that has nothing to do is idle: its places are empty, and the runtime finds its
 * table in a weak table only. So handlers that name their own session do not keep it, and when the
 * script cannot reach it any more, the finalizer of a userdata in that table says so: the session
 * dies like any other, and is held until _stop has run from the loop.
 */
#include "protect.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Where a session's own table has what its places have while it is held. */
#define OF_PLACE(place) ((place) + 1)

/* The runtime's own places come first. */
#define BASE_OF(index) (OWN_COUNT + PLACE_COUNT * (index))

/* ---- held or idle ---- */

/* Pushes the tables of places and of idle sessions onto the keeper's stack, which is empty. */
enum { AT_PLACES = 1, AT_IDLE, AT_PRIVATE };
static lua_State *push_tables(const struct runtime *rt)
{
    lua_State *L = rt->keeper;
    lua_rawgeti(L, LUA_REGISTRYINDEX, rt->places_reference);
    lua_rawgeti(L, AT_PLACES, OWN_IDLE);
    return L;
}

static void clear_places(struct runtime *rt, int index)
{
    lua_State *L = push_tables(rt);
    for (int place = 0; place < PLACE_COUNT; place++) {
        lua_pushboolean(L, 0);
        lua_rawseti(L, AT_PLACES, BASE_OF(index) + place);
    }
    lua_rawgeti(L, AT_IDLE, index);
    if (!lua_isnil(L, -1)) { /* else a new entry could need memory */
        lua_pushboolean(L, 0);
        lua_rawseti(L, AT_IDLE, index);
    }
    lua_settop(L, 0);
}

/* Copies what the session's table has into its places. */
static void fill_places(const struct session *session)
{
    lua_State *L = push_tables(session->runtime);
    lua_rawgeti(L, AT_IDLE, session->index);
    if (lua_istable(L, AT_PRIVATE)) {
        for (int place = 0; place < PLACE_COUNT; place++) {
            lua_rawgeti(L, AT_PRIVATE, OF_PLACE(place));
            lua_rawseti(L, AT_PLACES, session->base + place);
        }
        lua_pushboolean(L, 0);
        lua_rawseti(L, AT_IDLE, session->index);
    }
    lua_settop(L, 0);
}

/* Leaves the session to the script. */
static void empty_places(const struct session *session)
{
    lua_State *L = push_tables(session->runtime);
    lua_rawgeti(L, AT_PLACES, session->base + PLACE_PRIVATE);
    if (lua_istable(L, AT_PRIVATE)) {
        lua_rawgeti(L, AT_PLACES, session->base + PLACE_PULL);
        lua_rawseti(L, AT_PRIVATE, OF_PLACE(PLACE_PULL));
        for (int place = 0; place < PLACE_COUNT; place++) {
            lua_pushboolean(L, 0);
            lua_rawseti(L, AT_PLACES, session->base + place);
        }
        lua_rawseti(L, AT_IDLE, session->index);
    }
    lua_settop(L, 0);
}

void tcpm__lua_hold(struct session *session)
{
    if (session->holds++ == 0 && session->runtime != NULL && !session->muted)
        fill_places(session);
}

void tcpm__lua_release(struct session *session)
{
    if (--session->holds == 0 && session->runtime != NULL && !session->muted)
        empty_places(session);
}

/* Pushes what is, or would be, in a place of the session. */
void tcpm__lua_push_place(lua_State *L, const struct session *session, int place)
{
    if (session->holds > 0) {
        lua_rawgeti(L, lua_upvalueindex(UP_PLACES), session->base + place);
        return;
    }
    lua_rawgeti(L, lua_upvalueindex(UP_PLACES), OWN_IDLE);
    lua_rawgeti(L, -1, session->index);
    lua_rawgeti(L, -1, OF_PLACE(place));
    lua_replace(L, -3);
    lua_pop(L, 1);
}

/* core.hold(session), core.release(session): for names of it. */
static int core_hold(lua_State *L)
{
    struct session *session = tcpm__lua_session(L, tcpm__lua_runtime(L), 1);
    if (session != NULL)
        tcpm__lua_hold(session);
    return 0;
}

static int core_release(lua_State *L)
{
    struct session *session = tcpm__lua_session(L, tcpm__lua_runtime(L), 1);
    if (session != NULL)
        tcpm__lua_release(session);
    return 0;
}

/* core.call_it(session, alias or nil), printable. Without memory it has its number only. */
static int core_call_it(lua_State *L)
{
    struct session *session = tcpm__lua_session(L, tcpm__lua_runtime(L), 1);
    if (session == NULL)
        return 0;
    free(session->alias);
    session->alias = lua_isstring(L, 2) ? strdup(lua_tostring(L, 2)) : NULL;
    return 0;
}

/* ---- creation ---- */

/* Makes room for more sessions. False: no memory, or there are too many. */
static bool grow(struct runtime *rt)
{
    int count = rt->session_count * 2 + 4;
    if (count > TCPM__LUA_SESSIONS)
        return false;
    struct session **sessions = realloc(rt->sessions, (size_t) count * sizeof *sessions);
    if (sessions == NULL)
        return false;
    rt->sessions = sessions;
    struct vacancy *vacancies = realloc(rt->vacancies, (size_t) count * sizeof *vacancies);
    if (vacancies == NULL)
        return false;
    rt->vacancies = vacancies;
    for (int i = count - 1; i > 0 && i >= rt->session_count; i--) {
        sessions[i] = NULL;
        vacancies[i] = (struct vacancy){.number = TCPM__LUA_SESSIONS - i, .next = rt->vacant};
        rt->vacant = i;
    }
    rt->session_count = count;
    return true;
}

static int64_t field_integer(lua_State *L, int index, const char *name)
{
    lua_getfield(L, index, name);
    int64_t value = (int64_t) lua_tonumber(L, -1);
    lua_pop(L, 1);
    return value;
}

static bool field_true(lua_State *L, int index, const char *name)
{
    lua_getfield(L, index, name);
    bool value = lua_toboolean(L, -1) != 0;
    lua_pop(L, 1);
    return value;
}

/* A built-in filter of the core; one that is written in Lua stays in its place. */
static struct tcpm_filter *field_filter(lua_State *L, int index, const char *name)
{
    lua_getfield(L, index, name);
    struct tcpm_filter **box = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return box == NULL ? NULL : *box;
}

static void read_options(lua_State *L, int index, struct tcpm_session_options *options)
{
    *options = (struct tcpm_session_options){
        .size = sizeof *options,
        .connect_timeout_ms = field_integer(L, index, "connect_timeout"),
        .input_timeout_ms = field_integer(L, index, "input_timeout"),
        .shutdown_timeout_ms = field_integer(L, index, "shutdown_timeout"),
        .deadline_ms = field_integer(L, index, "deadline"),
        .input_filter = field_filter(L, index, "input_filter"),
        .output_filter = field_filter(L, index, "output_filter"),
        .domain = field_integer(L, index, "domain"),
        .max_connections = field_integer(L, index, "max_connections"),
        .connect_interval_ns = field_integer(L, index, "connect_interval"),
        .high_mark = field_integer(L, index, "high_mark"),
        .low_mark = field_integer(L, index, "low_mark"),
        .max_queued = field_integer(L, index, "max_queued"),
        .no_nodelay = field_integer(L, index, "no_nodelay"),
        .cork = field_integer(L, index, "cork"),
        .keepalive_s = field_integer(L, index, "keepalive"),
        .half_open = field_true(L, index, "half_open"),
    };
}

/* Puts what the options name into the session's own table; gives the places where something is. */
static uint32_t fill_private(lua_State *L, int options, int object, int private)
{
    uint32_t handlers = 0;
    for (int place = 0; place < PLACE_COUNT; place++) {
        if (tcpm__lua_option_names[place] == NULL)
            lua_pushboolean(L, 0);
        else
            lua_getfield(L, options, tcpm__lua_option_names[place]);
        if (place >= PLACE_INPUT_FILTER && !lua_istable(L, -1)) {
            lua_pop(L, 1);
            lua_pushboolean(L, 0);
        }
        if (lua_toboolean(L, -1))
            handlers |= 1u << place;
        lua_rawseti(L, private, OF_PLACE(place));
    }
    lua_pushvalue(L, object);
    lua_rawseti(L, private, OF_PLACE(PLACE_OBJECT));
    lua_pushvalue(L, private);
    lua_rawseti(L, private, OF_PLACE(PLACE_PRIVATE));
    return handlers;
}

/* Gives the session's own table the userdata whose finalizer tells that the script cannot reach the
   session any more. The table is its environment, so the two are still there then. */
static double *add_finalizer(lua_State *L, int private)
{
    double *number = lua_newuserdata(L, sizeof *number);
    *number = 0;
    lua_rawgeti(L, lua_upvalueindex(UP_PLACES), OWN_FINALIZER_METATABLE);
    lua_setmetatable(L, -2);
    lua_pushvalue(L, private);
    lua_setfenv(L, -2);
    lua_rawseti(L, private, OF_PLACE(PLACE_COUNT));
    return number;
}

/* What is there already is replaced without memory later. */
static void reserve_places(lua_State *L, int index, int private)
{
    for (int place = 0; place < PLACE_COUNT; place++) {
        lua_pushboolean(L, 0);
        lua_rawseti(L, lua_upvalueindex(UP_PLACES), BASE_OF(index) + place);
    }
    lua_rawgeti(L, lua_upvalueindex(UP_PLACES), OWN_IDLE);
    lua_pushvalue(L, private);
    lua_rawseti(L, -2, index);
    lua_pop(L, 1);
}

/* core.create(options, object, private) -> true, or nil, message, errname. */
static int core_create(lua_State *L)
{
    struct runtime *rt = tcpm__lua_runtime(L);
    if (rt->engine == NULL)
        return tcpm__lua_failure_text(L, -ESHUTDOWN, "the Lua state is closing");
    if (rt->engine_gone)
        return tcpm__lua_failure_text(L, -ESHUTDOWN, "the host has closed the engine");
    struct tcpm_session_options options;
    read_options(L, 1, &options);
    uint32_t handlers = fill_private(L, 1, 2, 3);
    double *finalizer = add_finalizer(L, 3);
    bool trace = field_true(L, 1, "trace"), strict = field_true(L, 1, "assert");
    /* from here on no finalizer of the script runs, which might create another session */
    if (rt->vacant == 0 && !grow(rt))
        return tcpm__lua_failure(L, -ENOMEM);
    int index = rt->vacant;
    double number = rt->vacancies[index].number - TCPM__LUA_SESSIONS;
    lua_pushnumber(L, number);
    lua_rawseti(L, 2, 0);
    reserve_places(L, index, 3);

    struct session *session = calloc(1, sizeof *session);
    int result = -ENOMEM;
    if (session == NULL)
        goto fail;
    *session = (struct session){
        .runtime = rt,
        .number = number,
        .index = index,
        .base = BASE_OF(index),
        .handlers = handlers,
        .max_queued = options.max_queued,
        .trace = trace,
        .strict = strict,
    };
    tcpm__lua_events(handlers, &session->events);
    session->events.room = tcpm__lua_room;
    session->events.stopped = tcpm__lua_stopped;
    options.events = &session->events;
    options.user = session;
    result = tcpm_session_create(rt->engine, &options, &session->core);
    if (result < 0)
        goto fail;
    *finalizer = number;
    rt->vacant = rt->vacancies[index].next;
    rt->vacancies[index].number = number;
    rt->sessions[index] = session;
    rt->unstopped++;
    lua_pushboolean(L, 1);
    return 1;
fail:
    free(session);
    clear_places(rt, index);
    return tcpm__lua_failure(L, result);
}

/* ---- its end ---- */

/* Held from here on until it has stopped. */
void tcpm__lua_die(struct session *session)
{
    session->dying = true;
    tcpm__lua_hold(session);
    tcpm__lua_stdin_end(session);
    tcpm__lua_watched_free(session);
    tcpm_die(session->core);
}

/* Resets all connections and dies, without events. */
void tcpm__lua_session_end(struct session *session)
{
    struct runtime *rt = session->runtime;
    struct tcpm_id id = {0};
    session->muted = true;
    tcpm__lua_stdin_end(session);
    tcpm__lua_watched_free(session);
    if (session->core != NULL) {
        while ((id = tcpm_next(session->core, id)).n != 0) {
            struct slot *slot = tcpm__lua_slot(rt, id.n);
            if (slot != NULL)
                tcpm__lua_slot_free(rt, slot);
            tcpm_reset(session->core, id);
        }
        if (!session->dying)
            tcpm_die(session->core);
        session->dying = true;
    }
    clear_places(rt, session->index);
}

struct stop {
    struct call call;
    const struct session *session;
    struct tcpm_session *core;
};

static void run_stopped(lua_State *L, struct call *call)
{
    const struct stop *stop = (const struct stop *) call;
    lua_rawgeti(L, lua_upvalueindex(UP_CORE), PART_STOPPED);
    lua_rawgeti(L, lua_upvalueindex(UP_PLACES), stop->session->base + PLACE_OBJECT);
    tcpm__lua_push_tally(L, stop->core);
    lua_call(L, 2, 0);
}

/* _stop. */
static void tell_stopped(struct runtime *rt, struct session *session, struct tcpm_session *core)
{
    struct stop stop = {.call.run = run_stopped, .session = session, .core = core};
    tcpm__lua_hold(session); /* the engine may have been closed with it */
    tcpm__lua_stdin_end(session);
    char *message = tcpm__lua_protect(rt, session, &stop.call);
    if (message != NULL)
        tcpm__lua_exception(session, message);
}

static void vacate(struct runtime *rt, int index)
{
    clear_places(rt, index);
    rt->sessions[index] = NULL;
    rt->vacancies[index].next = rt->vacant;
    rt->vacant = index;
    rt->unstopped--;
}

/* The session's last event, after which all of it goes. */
void tcpm__lua_stopped(struct tcpm_session *core, void *user)
{
    struct session *session = user;
    session->core = NULL;
    if (session->runtime != NULL && session->runtime->prints_tally)
        tcpm__lua_print_tally(session, core);
    if (session->runtime != NULL && !session->muted)
        tell_stopped(session->runtime, session, core);
    if (session->runtime != NULL) /* _stop may have closed the module */
        vacate(session->runtime, session->index);
    tcpm__lua_watched_free(session);
    free(session->alias);
    free(session);
}

/* __gc: the script cannot reach the session any more. Called by hand it does as much as that. */
int tcpm__lua_finalize(lua_State *L)
{
    struct runtime *rt = tcpm__lua_runtime(L);
    double *number = lua_touserdata(L, 1);
    if (number == NULL || !lua_getmetatable(L, 1))
        return 0;
    lua_rawgeti(L, lua_upvalueindex(UP_PLACES), OWN_FINALIZER_METATABLE);
    if (!lua_rawequal(L, -1, -2))
        return 0;
    struct session *session = tcpm__lua_session_of(rt, *number);
    if (session == NULL || session->dying || session->holds > 0)
        return 0;
    struct entry entry = tcpm__lua_enter(rt, L);
    tcpm__lua_die(session);
    tcpm__lua_leave(rt, entry);
    return 0;
}

const luaL_Reg tcpm__lua_lifetime_functions[] = {
    {"create", core_create},
    {"call_it", core_call_it},
    {"hold", core_hold},
    {"release", core_release},
    {NULL, NULL},
};
