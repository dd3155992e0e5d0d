/* SPDX-License-Identifier: MIT */
/*
 * The beginning of a session, its own events, and its last. An idle session (holding.c) that the
 * script cannot reach any more is noticed by the finalizer of a userdata in its private table. The
 * session then dies like any other, and is held until _stop has run from the loop.
 */
#include "functions.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- creation ---- */

static int64_t option_integer(lua_State *L, int index, const char *name)
{
    lua_getfield(L, index, name);
    int64_t value = (int64_t) lua_tonumber(L, -1);
    lua_pop(L, 1);
    return value;
}

static bool option_true(lua_State *L, int index, const char *name)
{
    lua_getfield(L, index, name);
    bool value = lua_toboolean(L, -1) != 0;
    lua_pop(L, 1);
    return value;
}

/* A text, which the options keep; NULL: not given. */
static const char *option_text(lua_State *L, int index, const char *name)
{
    lua_getfield(L, index, name);
    const char *text = lua_tostring(L, -1);
    lua_pop(L, 1);
    return text;
}

/* A built-in filter's inner filter; NULL for a filter written in Lua, which stays in its cell. */
static struct tcpm_filter *option_filter(lua_State *L, int index, const char *name)
{
    lua_getfield(L, index, name);
    struct tcpm_filter **box = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return box == NULL ? NULL : *box;
}

/* The specification of TLS, which the options keep; NULL: plain text. */
static struct tcpm_tls *option_tls(lua_State *L, int index)
{
    lua_getfield(L, index, "tls");
    struct tcpm_tls *tls = tcpm__lua_tls_at(L, -1);
    lua_pop(L, 1);
    return tls;
}

static void read_options(lua_State *L, int index, struct tcpm_session_options *options)
{
    *options = (struct tcpm_session_options){
        .size = sizeof *options,
        .connect_timeout_ms = option_integer(L, index, "connect_timeout"),
        .input_timeout_ms = option_integer(L, index, "input_timeout"),
        .shutdown_timeout_ms = option_integer(L, index, "shutdown_timeout"),
        .deadline_ms = option_integer(L, index, "deadline"),
        .input_filter = option_filter(L, index, "input_filter"),
        .output_filter = option_filter(L, index, "output_filter"),
        .domain = option_integer(L, index, "domain"),
        .max_connections = option_integer(L, index, "max_connections"),
        .max_per_address = option_integer(L, index, "max_per_address"),
        .connect_interval_ns = option_integer(L, index, "connect_interval"),
        .high_mark = option_integer(L, index, "high_mark"),
        .low_mark = option_integer(L, index, "low_mark"),
        .max_queued = option_integer(L, index, "max_queued"),
        .no_nodelay = option_integer(L, index, "no_nodelay"),
        .cork = option_integer(L, index, "cork"),
        .keepalive_s = option_integer(L, index, "keepalive"),
        .half_open = option_true(L, index, "half_open"),
        .times = option_true(L, index, "times"),
        .dns = option_integer(L, index, "dns"),
        .resolve = option_text(L, index, "resolve"),
        .deny = option_text(L, index, "deny"),
        .attempt_delay_ms = option_integer(L, index, "attempt_delay"),
        .resolution_delay_ms = option_integer(L, index, "resolution_delay"),
        .bind_address = option_text(L, index, "bind_address"),
        .bind_port = option_integer(L, index, "bind_port"),
        .bind_device = option_text(L, index, "bind_device"),
        .tls = option_tls(L, index),
        .proxy = option_text(L, index, "proxy"),
        .send_proxy = option_integer(L, index, "send_proxy"),
    };
}

/* Puts handlers and filters of the options into the private table; gives 1 << cell for each. */
static uint32_t fill_private(lua_State *L, int options, int object, int private)
{
    uint32_t handlers = 0;

    for (int cell = 0; cell < CELL_COUNT; cell++) {
        if (tcpm__lua_option_names[cell] == NULL)
            lua_pushboolean(L, 0);
        else
            lua_getfield(L, options, tcpm__lua_option_names[cell]);
        if (cell >= CELL_INPUT_FILTER && !lua_istable(L, -1)) {
            lua_pop(L, 1);
            lua_pushboolean(L, 0);
        }
        if (lua_toboolean(L, -1))
            handlers |= 1u << cell;
        lua_rawseti(L, private, tcpm__lua_private_index(cell));
    }
    lua_pushvalue(L, object);
    lua_rawseti(L, private, tcpm__lua_private_index(CELL_OBJECT));
    lua_pushvalue(L, private);
    lua_rawseti(L, private, tcpm__lua_private_index(CELL_PRIVATE));
    return handlers;
}

/* Puts the userdata whose finalizer notices that the script cannot reach the session any more into
   the private table. The table is the userdata's environment, so the finalizer still finds both. */
static double *add_finalizer(lua_State *L, int private)
{
    double *number = lua_newuserdata(L, sizeof *number);

    *number = 0;
    lua_rawgeti(L, lua_upvalueindex(UP_CELLS), OWN_FINALIZER_METATABLE);
    lua_setmetatable(L, -2);
    lua_pushvalue(L, private);
    lua_setfenv(L, -2);
    lua_rawseti(L, private, tcpm__lua_private_index(CELL_COUNT));
    return number;
}

/* Makes all entries now, so that later ones only replace values and need no memory. */
static void reserve_cells(lua_State *L, int index, int private)
{
    for (int cell = 0; cell < CELL_COUNT; cell++) {
        lua_pushboolean(L, 0);
        lua_rawseti(L, lua_upvalueindex(UP_CELLS), tcpm__lua_base_of(index) + cell);
    }
    lua_rawgeti(L, lua_upvalueindex(UP_CELLS), OWN_IDLE);
    lua_pushvalue(L, private);
    lua_rawseti(L, -2, index);
    lua_pop(L, 1);
}

/* ---- events of the session ---- */

static void on_room(struct tcpm_session *inner, void *user)
{
    struct tcpm__lua_session *session = user;

    (void) inner;
    if (session->runtime == NULL || session->muted)
        return;
    tcpm__lua_stdin_room(session);
    tcpm__lua_pull_room(session);
}

struct stop {
    struct tcpm__lua_call call;
    const struct tcpm__lua_session *session;
    struct tcpm_session *inner;
};

static void run_stopped(lua_State *L, struct tcpm__lua_call *call)
{
    const struct stop *stop = (const struct stop *) call;

    lua_rawgeti(L, lua_upvalueindex(UP_SHARED), PART_STOPPED);
    lua_rawgeti(L, lua_upvalueindex(UP_CELLS), stop->session->base + CELL_OBJECT);
    tcpm__lua_push_tally(L, stop->inner);
    lua_call(L, 2, 0);
}

/* Runs _stop. */
static void tell_stopped(struct tcpm__lua_runtime *rt, struct tcpm__lua_session *session,
                         struct tcpm_session *inner)
{
    struct stop stop = {.call.run = run_stopped, .session = session, .inner = inner};

    /* A host that closes the engine stops idle sessions too, whose cells are empty. */
    tcpm__lua_session_hold(session);
    tcpm__lua_stdin_end(session);
    char *message = tcpm__lua_protect(rt, session, &stop.call);
    if (message != NULL)
        tcpm__lua_exception(session, message);
}

static void vacate(struct tcpm__lua_session *session)
{
    tcpm__lua_cells_clear(session->runtime, session->index);
    tcpm__lua_session_vacate(session->runtime, session->index);
}

/* The last event of a session: all of it goes. */
static void on_stopped(struct tcpm_session *inner, void *user)
{
    struct tcpm__lua_session *session = user;

    TCPM__LUA_ASSERT(session->inner == inner);
    if (session->runtime != NULL && !session->muted)
        tcpm__lua_session_fatal(session, tcpm__lua_tasks_stop(session));
    session->inner = NULL;
    if (session->runtime != NULL && session->runtime->prints_tally)
        tcpm__lua_print_tally(session, inner);
    if (session->runtime != NULL && !session->muted)
        tell_stopped(session->runtime, session, inner);
    if (session->runtime != NULL) /* _stop may have closed the module */
        vacate(session);
    tcpm__lua_watches_free(session);
    free(session->alias);
    free(session->server_name);
    free(session);
}

/* ---- core.create ---- */

static const struct tcpm_events *choose_events(struct tcpm__lua_session *session)
{
    uint32_t flushed = session->wants_flushed ? 1u << ON_FLUSHED : 0;

    tcpm__lua_select_events(session->runtime, session->handlers | flushed, &session->events);
    session->events.room = on_room;
    session->events.stopped = on_stopped;
    return &session->events;
}

void tcpm__lua_sessions_set_events(const struct tcpm__lua_runtime *rt)
{
    for (int i = 1; i < rt->session_count; i++) {
        struct tcpm__lua_session *session = rt->sessions[i];

        if (session != NULL && session->inner != NULL)
            tcpm_events_set(session->inner, choose_events(session));
    }
}

void tcpm__lua_session_want_flushed(struct tcpm__lua_session *session)
{
    if (session->wants_flushed || session->inner == NULL)
        return;
    session->wants_flushed = true;
    tcpm_events_set(session->inner, choose_events(session));
}

/* Keeps the name to verify that came with the option tls. False: no memory. */
static bool keep_server_name(lua_State *L, int index, struct tcpm__lua_session *session)
{
    lua_getfield(L, index, "tls");
    const char *name = tcpm__lua_tls_server_name(L, -1);
    if (name != NULL)
        session->server_name = strdup(name);
    lua_pop(L, 1);
    return name == NULL || session->server_name != NULL;
}

/* shared.create(options, object, private) -> true, or nil, message, errname */
static int shared_create(lua_State *L)
{
    struct tcpm__lua_runtime *rt = tcpm__lua_runtime(L);

    if (rt->engine == NULL)
        return tcpm__lua_failure_text(L, -ESHUTDOWN, "the Lua state is closing");
    if (rt->engine_gone)
        return tcpm__lua_failure_text(L, -ESHUTDOWN, "the host has closed the engine");
    struct tcpm_session_options options;
    read_options(L, 1, &options);
    uint32_t handlers = fill_private(L, 1, 2, 3);
    double *finalizer = add_finalizer(L, 3);
    /* From here on no Lua memory is needed, so no finalizer runs, which might create another
       session. */
    if (rt->vacant == 0 && !tcpm__lua_sessions_grow(rt))
        return tcpm__lua_failure(L, -ENOMEM);
    int index = rt->vacant;
    double number = rt->vacancies[index].number - (double) TCPM__LUA_SESSIONS;
    lua_pushnumber(L, number);
    lua_rawseti(L, 2, 0);
    reserve_cells(L, index, 3);

    struct tcpm__lua_session *session = calloc(1, sizeof *session);
    int result = -ENOMEM;
    if (session == NULL)
        goto fail;
    *session = (struct tcpm__lua_session){
        .runtime = rt,
        .number = number,
        .index = index,
        .base = tcpm__lua_base_of(index),
        .handlers = handlers,
        .max_queued = options.max_queued,
        .trace = option_true(L, 1, "trace"),
        .strict = option_true(L, 1, "assert"),
    };
    if (!keep_server_name(L, 1, session))
        goto fail;
    options.events = choose_events(session);
    options.user = session;
    result = tcpm_session_create(rt->engine, &options, &session->inner);
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
    if (session != NULL)
        free(session->server_name);
    free(session);
    tcpm__lua_cells_clear(rt, index);
    return tcpm__lua_failure(L, result);
}

/* ---- out of reach ---- */

/* __gc. A script that calls it by hand makes the session die, nothing worse. */
int tcpm__lua_session_finalize(lua_State *L)
{
    struct tcpm__lua_runtime *rt = tcpm__lua_runtime(L);
    double *number = lua_touserdata(L, 1);

    if (number == NULL || !lua_getmetatable(L, 1))
        return 0;
    lua_rawgeti(L, lua_upvalueindex(UP_CELLS), OWN_FINALIZER_METATABLE);
    if (!lua_rawequal(L, -1, -2))
        return 0;
    struct tcpm__lua_session *session = tcpm__lua_session_find(rt, *number);
    if (session == NULL || session->dying || session->holds > 0)
        return 0;
    struct tcpm__lua_saved entry = tcpm__lua_enter(rt, L);
    tcpm__lua_session_die(session);
    tcpm__lua_leave(rt, entry);
    return 0;
}

const luaL_Reg tcpm__lua_lifetime_shared[] = {
    {"create", shared_create},
    {NULL, NULL},
};
