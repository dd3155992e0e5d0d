/*
 * Sessions as Lua objects: a plain table with the session's number in [0], so that nothing a script
 * keeps can dangle; the number is never used again, and below 0, where no id of a connection is.
 * Options arrive here checked and in the core's units; that is done by the part written in Lua
 * (create.lua).
 */
#include "lua_filter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SESSION_SLOTS 1048576 /* a number is -(generation * SESSION_SLOTS + index) */

/* The live session of a number; NULL: it has stopped, or never was. */
static struct session *find_session(const struct runtime *rt, double number)
{
    if (!(number <= -SESSION_SLOTS && number > -9007199254740992.0))
        return NULL;
    uint64_t whole = (uint64_t) -number;
    int index = (int) (whole % SESSION_SLOTS);
    if (index >= rt->session_count || rt->sessions[index] == NULL)
        return NULL;
    struct session *session = rt->sessions[index];
    if (session->number != number || session->muted || session->core == NULL)
        return NULL;
    return session;
}

struct session *tcpm__lua_session(lua_State *L, struct runtime *rt, int index)
{
    struct session *session = NULL;
    if (lua_istable(L, index)) {
        lua_rawgeti(L, index, 0);
        if (lua_type(L, -1) == LUA_TNUMBER)
            session = find_session(rt, lua_tonumber(L, -1));
        lua_pop(L, 1);
    }
    if (session == NULL && !tcpm__lua_has_metatable(L, index, OWN_SESSION_METATABLE))
        tcpm__lua_misuse(L, index, "session");
    return session;
}

int tcpm__lua_session_over(lua_State *L, const struct session *session_or_null)
{
    bool dying =
        session_or_null != NULL && session_or_null->core != NULL && !session_or_null->muted;
    return tcpm__lua_failure_text(L, -ESHUTDOWN,
                                  dying ? "session is dying" : "session has stopped");
}

/* ---- creation ---- */

/* An index that is free, growing the array if need be; 0: no memory. */
static int find_index(struct runtime *rt)
{
    for (int i = 1; i < rt->session_count; i++)
        if (rt->sessions[i] == NULL)
            return i;
    int count = rt->session_count * 2 + 4;
    if (count > SESSION_SLOTS)
        return 0;
    struct session **sessions = realloc(rt->sessions, (size_t) count * sizeof *sessions);
    if (sessions == NULL)
        return 0;
    rt->sessions = sessions;
    double *numbers = realloc(rt->numbers, (size_t) count * sizeof *numbers);
    if (numbers == NULL)
        return 0;
    rt->numbers = numbers;
    for (int i = rt->session_count; i < count; i++) {
        sessions[i] = NULL;
        numbers[i] = -i;
    }
    int index = rt->session_count == 0 ? 1 : rt->session_count;
    rt->session_count = count;
    return index;
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
    };
}

/* Puts what the options name into the places of the session; gives the handlers that are there. */
static uint32_t fill_places(lua_State *L, int options, int object, int base)
{
    static const char *const names[PLACE_COUNT] = {
        [ON_INITIALIZE] = "on_initialize",
        [ON_SUCCESS] = "on_success",
        [ON_INPUT] = "on_input",
        [ON_FLUSHED] = "on_flushed",
        [ON_FAILURE] = "on_failure",
        [ON_ERROR] = "on_error",
        [ON_TIMEOUT] = "on_timeout",
        [ON_DISCONNECTED] = "on_disconnected",
        [ON_EXCEPTION] = "on_exception",
        [PLACE_INPUT_FILTER] = "input_filter",
        [PLACE_OUTPUT_FILTER] = "output_filter",
    };
    uint32_t handlers = 0;
    lua_pushvalue(L, object);
    lua_rawseti(L, lua_upvalueindex(UP_PLACES), base + PLACE_OBJECT);
    for (int place = PLACE_OBJECT + 1; place < PLACE_COUNT; place++) {
        if (names[place] == NULL)
            lua_pushboolean(L, 0);
        else
            lua_getfield(L, options, names[place]);
        if (place >= PLACE_INPUT_FILTER && !lua_istable(L, -1)) {
            lua_pop(L, 1);
            lua_pushboolean(L, 0);
        }
        if (place < PLACE_INPUT_FILTER && lua_toboolean(L, -1))
            handlers |= 1u << place;
        lua_rawseti(L, lua_upvalueindex(UP_PLACES), base + place);
    }
    return handlers;
}

static void clear_places(struct runtime *rt, int base)
{
    for (int place = 0; place < PLACE_COUNT; place++)
        tcpm__lua_clear(rt, rt->places_reference, base + place);
}

/* core.create(options, object) -> true, or nil, message, errname. */
int tcpm__lua_create(lua_State *L)
{
    struct runtime *rt = tcpm__lua_runtime(L);
    if (rt->engine == NULL)
        return tcpm__lua_failure_text(L, -ESHUTDOWN, "the Lua state is closing");
    struct tcpm_session_options options;
    read_options(L, 1, &options);
    int index = find_index(rt);
    if (index == 0)
        return tcpm__lua_failure(L, -ENOMEM);
    double number = rt->numbers[index] - SESSION_SLOTS;
    int base = index * PLACE_COUNT;
    uint32_t handlers = fill_places(L, 1, 2, base);
    lua_pushnumber(L, number);
    lua_rawseti(L, 2, 0);
    bool trace = field_true(L, 1, "trace"), strict = field_true(L, 1, "assert");

    struct session *session = calloc(1, sizeof *session);
    int result = -ENOMEM;
    if (session == NULL)
        goto fail;
    *session = (struct session){
        .runtime = rt,
        .number = number,
        .base = base,
        .handlers = handlers,
        .trace = trace,
        .strict = strict,
    };
    tcpm__lua_events(session);
    options.events = &session->events;
    options.user = session;
    result = tcpm_session_create(rt->engine, &options, &session->core);
    if (result < 0)
        goto fail;
    rt->numbers[index] = number;
    rt->sessions[index] = session;
    rt->unstopped++;
    lua_pushboolean(L, 1);
    return 1;
fail:
    free(session);
    clear_places(rt, base);
    return tcpm__lua_failure(L, result);
}

/* ---- its end ---- */

void tcpm__lua_die(struct session *session)
{
    session->dying = true;
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
    clear_places(rt, session->base);
}

struct stop {
    struct call call;
    const struct session *session;
};

static void run_stopped(lua_State *L, struct call *call)
{
    const struct session *session = ((struct stop *) call)->session;
    lua_rawgeti(L, lua_upvalueindex(UP_CORE), PART_STOPPED);
    lua_rawgeti(L, lua_upvalueindex(UP_PLACES), session->base + PLACE_OBJECT);
    lua_call(L, 1, 0);
}

/* The session's last event: _stop, then all of it goes. */
void tcpm__lua_stopped(struct tcpm_session *core, void *user)
{
    (void) core;
    struct session *session = user;
    struct runtime *rt = session->runtime;
    session->core = NULL;
    if (rt != NULL && !session->muted) {
        tcpm__lua_stdin_end(session);
        struct stop stop = {.call.run = run_stopped, .session = session};
        char *message = tcpm__lua_protect(rt, session, &stop.call);
        if (message != NULL)
            tcpm__lua_exception(session, message);
        clear_places(rt, session->base);
    }
    if (rt != NULL) {
        rt->sessions[session->base / PLACE_COUNT] = NULL;
        rt->unstopped--;
    }
    tcpm__lua_watched_free(session);
    free(session);
}

/* ---- methods ---- */

static int session_die(lua_State *L)
{
    struct runtime *rt = tcpm__lua_runtime(L);
    struct session *session = tcpm__lua_session(L, rt, 1);
    if (session == NULL || session->dying)
        return tcpm__lua_session_over(L, session);
    for (const struct filter_call *call = rt->filtering; call != NULL; call = call->outer)
        if (tcpm__lua_filter_session(call->filter) == session)
            return tcpm__lua_failure(L, -EBUSY);
    struct entry entry = tcpm__lua_enter(rt, L);
    tcpm__lua_die(session);
    tcpm__lua_leave(rt, entry);
    return tcpm__lua_result(L, 0);
}

static int session_fetch(lua_State *L)
{
    struct runtime *rt = tcpm__lua_runtime(L);
    struct session *session = tcpm__lua_session(L, rt, 1);
    struct slot *slot = tcpm__lua_slot_at(L, rt, 2);
    if (slot == NULL)
        tcpm__lua_check_named(L, 2);
    if (slot == NULL || slot->session != session)
        lua_pushnil(L);
    else
        lua_rawgeti(L, lua_upvalueindex(UP_CHEAPS), (int) TCPM_ID_SLOT((struct tcpm_id){slot->id}));
    return 1;
}

static int session_count(lua_State *L)
{
    struct session *session = tcpm__lua_session(L, tcpm__lua_runtime(L), 1);
    struct tcpm_stats stats = {.size = sizeof stats};
    if (session != NULL)
        tcpm_stats_get(session->core, &stats);
    uint64_t live = stats.waiting + stats.connecting + stats.open + stats.shutting;
    lua_pushnumber(L, (lua_Number) live);
    lua_pushnumber(L, (lua_Number) stats.waiting);
    return 2;
}

static int session_stats(lua_State *L)
{
    struct session *session = tcpm__lua_session(L, tcpm__lua_runtime(L), 1);
    struct tcpm_stats stats = {.size = sizeof stats};
    if (session == NULL)
        return tcpm__lua_session_over(L, NULL);
    tcpm_stats_get(session->core, &stats);
    const struct {
        const char *name;
        uint64_t value;
    } fields[] = {
        {"waiting", stats.waiting},   {"connecting", stats.connecting},
        {"open", stats.open},         {"shutting", stats.shutting},
        {"received", stats.received}, {"sent", stats.sent},
        {"queued", stats.queued},     {"held", stats.held},
    };
    lua_createtable(L, 0, sizeof fields / sizeof *fields);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        lua_pushnumber(L, (lua_Number) fields[i].value);
        lua_setfield(L, -2, fields[i].name);
    }
    return 1;
}

/* The step of for id, cheap in s:connections(). */
static int next_connection(lua_State *L)
{
    struct runtime *rt = tcpm__lua_runtime(L);
    struct session *session = tcpm__lua_session(L, rt, 1);
    struct tcpm_id id = {(uint64_t) lua_tonumber(L, 2)};
    while (session != NULL && (id = tcpm_next(session->core, id)).n != 0) {
        if (tcpm__lua_slot(rt, id.n) == NULL)
            continue;
        lua_pushnumber(L, (lua_Number) id.n);
        lua_rawgeti(L, lua_upvalueindex(UP_CHEAPS), (int) TCPM_ID_SLOT(id));
        return 2;
    }
    lua_pushnil(L);
    return 1;
}

static int session_connections(lua_State *L)
{
    tcpm__lua_session(L, tcpm__lua_runtime(L), 1);
    for (int upvalue = 1; upvalue <= UP_COUNT; upvalue++)
        lua_pushvalue(L, lua_upvalueindex(upvalue));
    lua_pushcclosure(L, next_connection, UP_COUNT);
    lua_pushvalue(L, 1);
    lua_pushinteger(L, 0);
    return 3;
}

/* core.state(session) -> "live", "dying" or "stopped". */
int tcpm__lua_state(lua_State *L)
{
    struct session *session = tcpm__lua_session(L, tcpm__lua_runtime(L), 1);
    lua_pushstring(L, session == NULL ? "stopped" : session->dying ? "dying" : "live");
    return 1;
}

/* core.abandon(session): ends it without events, for a create that fails. */
int tcpm__lua_abandon(lua_State *L)
{
    struct runtime *rt = tcpm__lua_runtime(L);
    struct session *session = tcpm__lua_session(L, rt, 1);
    struct entry entry = tcpm__lua_enter(rt, L);
    if (session != NULL)
        tcpm__lua_session_end(session);
    tcpm__lua_leave(rt, entry);
    return 0;
}

/* core.as(session, function, …): calls it with session as the running one. A raise passes through;
   the runtime's owner is set right again by whoever catches it. */
int tcpm__lua_as(lua_State *L)
{
    struct runtime *rt = tcpm__lua_runtime(L);
    struct session *outer = rt->owner;
    struct session *session = tcpm__lua_session(L, rt, 1);
    if (session == NULL)
        return tcpm__lua_session_over(L, NULL);
    rt->owner = session;
    int status = lua_pcall(L, lua_gettop(L) - 2, LUA_MULTRET, 0);
    rt->owner = outer;
    if (status != 0)
        return lua_error(L);
    return lua_gettop(L) - 1;
}

const luaL_Reg tcpm__lua_session_functions[] = {
    {"connect", tcpm__lua_connect},
    {"send", tcpm__lua_session_send},
    {"shutdown", tcpm__lua_session_shutdown},
    {"die", session_die},
    {"fetch", session_fetch},
    {"count", session_count},
    {"stats", session_stats},
    {"connections", session_connections},
    {"more", tcpm__lua_more},
    {NULL, NULL},
};
