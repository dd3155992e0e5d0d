/* SPDX-License-Identifier: MIT */
/*
 * The ground of the binding: the structs that its files share, and the functions that need nothing
 * above them. Three headers stand on top of this one, and each file includes the highest it may:
 * lua_filter.h (filters written in Lua), life.h (connections and sessions at work), functions.h
 * (functions that Lua calls). Calls only go down; no circle of files is among them.
 *
 * Lua values live in four tables, which every C function of the module has as upvalues:
 *   cheaps   [slot of the id] = the connection's heap, false for free slots: the table never
 *            shrinks, so storing into it below its end allocates nothing
 *   cells    [base of the session + enum tcpm__lua_cell] = handlers and what else a session owns;
 *            [enum tcpm__lua_own_cell] = the runtime's own values
 *   anchors  what C holds on to, by references of luaL_ref
 *   shared   functions of C for the parts written in Lua, and functions of the parts for C
 * No Lua value holds a pointer of ours, userdata aside, so nothing that a script keeps can dangle:
 * connections are looked up by id, sessions by number.
 *
 * C structures that belong to objects of the core (sessions, filters, tasks) may outlive the Lua
 * state, in a host whose loop has not yet run: they find the runtime through its link, which says
 * when the runtime has gone. "core" is always the C library, libtcpmulti; a field "inner" is the
 * core's object behind one of ours.
 */
#ifndef TCPM_LUA_BINDING_H
#define TCPM_LUA_BINDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <lauxlib.h>
#include <lua.h>

#include "assert.h"
#include "tcpmulti.h"

/* Where the registry has the runtime and the module: integers, because finding a string may need
   memory, and the two are looked for outside of protected calls. Far from references of luaL_ref.
   */
enum { TCPM__LUA_RUNTIME = 0x7463706d, TCPM__LUA_MODULE };

/* The field of a cheap that tasks read: see lua/co/dialogue.lua, which finds the name in shared. */
#define TCPM__LUA_LINK "\1tcpmulti.co"

enum tcpm__lua_upvalue {
    UP_RUNTIME = 1,
    UP_CHEAPS,
    UP_CELLS,
    UP_ANCHORS,
    UP_SHARED,
    UP_COUNT = UP_SHARED,
};

/* The cells of a session: its base to base + CELL_COUNT - 1. */
enum tcpm__lua_cell {
    CELL_OBJECT, /* the session as the script sees it */
#define TCPM__LUA_ON(NAME, name) ON_##NAME,
    TCPM_EVENTS(TCPM__LUA_ON)
#undef TCPM__LUA_ON
        ON_BATCH, /* behind the records that came together */
    ON_EXCEPTION,
    CELL_INPUT_FILTER, /* a filter written in Lua, of which connections get a clone; or false */
    CELL_OUTPUT_FILTER,
    CELL_PULL,    /* the function of the pull form, or false */
    CELL_PRIVATE, /* the table of what the session owns: see holding.c */
    CELL_COUNT,
};

/* The first cells are the runtime's own. */
enum tcpm__lua_own_cell {
    OWN_FREE, /* unused: tables count from 1 */
    OWN_NEW_CHEAP,
    OWN_NEW_HANDLERS, /* handlers of the new connection alone */
    OWN_GIVEN,        /* values of the pull function that are no target, in initialize */
    OWN_ENDED,        /* weak table: [cheap] = address and port of a connection that has ended */
    OWN_CHEAP_METATABLE,
    OWN_STRICT_METATABLE, /* metatable of cheaps with options.assert */
    OWN_SESSION_METATABLE,
    OWN_FILTER_METATABLE, /* metatable of built-in filters */
    OWN_CODEC_METATABLE,  /* metatable of clones of built-in filters */
    OWN_TLS_METATABLE,    /* metatable of specifications of TLS */
    OWN_RESP_METATABLE,   /* metatable of errors that a server of RESP has sent */
    OWN_TRACEBACK,
    OWN_TRAMPOLINE,
    OWN_KEEPER,
    OWN_KEEP_TRACEBACK,
    OWN_KEPT_TRACEBACK, /* traceback of the last error that came through s:call or create */
    OWN_IDLE,           /* weak table: [index of a session] = its private table, while idle */
    OWN_FINALIZER_METATABLE,
    OWN_RUN, /* the function tcpmulti.run */
    OWN_STORE_ALARM,
    OWN_COUNT,
};

/* Functions of the parts written in Lua that C calls: shared[part], and the name by which the part
   has put the function into shared. */
#define TCPM__LUA_PARTS(X)                                                                   \
    X(CHECK_CONNECT, "check_connect") /* options -> checked copy, has own handlers */        \
    X(DISPATCH, "dispatch")           /* session, task, cheap or nil: runs a queued state */ \
    X(STOPPED, "stopped")             /* session, tally: keeps the tally, runs _stop */      \
    X(INPUT_LINE, "input_line")       /* session, task, line or nil, message, errname */     \
    X(FILTER, "filter_argument")      /* spec, options, direction -> a filter */             \
    TCPM__LUA_CO_PARTS(X)

/* Functions of lua/co, which are there once tcpmulti.co is loaded. */
#define TCPM__LUA_CO_PARTS(X)                                                             \
    X(RUN_READY, "run_ready")               /* resumes tasks that are ready */            \
    X(TASK_TIMER, "task_timer")             /* a task or a scope, whose timer is due */   \
    X(TASK_FAILED, "task_failed")           /* the running task, the error it ended by */ \
    X(TASKS_DIE, "tasks_die")               /* session */                                 \
    X(TASKS_STUCK, "tasks_stuck")           /* session -> message, or nil */              \
    X(TASKS_STOP, "tasks_stop")             /* session */                                 \
    X(DIALOGUE_SUCCESS, "dialogue_success") /* cheap, as all that follow */               \
    X(DIALOGUE_SECURE, "dialogue_secure")                                                 \
    X(DIALOGUE_INPUT, "dialogue_input") /* cheap, record */                               \
    X(DIALOGUE_FLUSHED, "dialogue_flushed")                                               \
    X(DIALOGUE_EOF, "dialogue_eof")                                                       \
    X(DIALOGUE_END, "dialogue_end") /* cheap, reason */

enum tcpm__lua_part {
    PART_NONE,                     /* no part: tables count from 1 */
    TCPM__LUA_RUNNING = PART_NONE, /* shared[it]: the task of tcpmulti.co that runs, or false */
#define TCPM__LUA_PART(NAME, name) PART_##NAME,
    TCPM__LUA_PARTS(TCPM__LUA_PART)
#undef TCPM__LUA_PART
        PART_COUNT,
};

/* Tells objects of the core whether the runtime is still there. */
struct tcpm__lua_link {
    struct tcpm__lua_runtime *runtime; /* NULL: the Lua state has been closed */
    size_t references;
};

/* One call from the loop into Lua: run is called inside a protected C function that has our
   upvalues. Each kind of call extends this struct. */
struct tcpm__lua_call {
    void (*run)(lua_State *L, struct tcpm__lua_call *call);
};

/* Data that only few connections need. */
struct tcpm__lua_extra {
    struct tcpm__lua_filter *input, *output; /* filters in use that are written in Lua, or NULL */
    uint32_t handlers; /* 1 << cell for each handler of this connection alone */
    int anchor;        /* table of those handlers, by cell; 0: none */
    char *report;      /* message that on_exception has not yet been told; NULL: none */
    bool failed;       /* a handler raised: only disconnected follows */
    bool dialogue;     /* tasks read it, see dialogue.c, which also keeps what follows */
    lua_State *reader; /* coroutine of the task that waits for a record or for success; or NULL */
    bool opening;      /* the reader waits for success */
    bool awaited;      /* a task waits for an event, which C cannot resume */
    bool taking;       /* a record is being made a Lua value; else: that has failed */
    bool held;         /* the input is paused, because no task reads */
    bool has_writers;  /* tasks wait for room in the queue */
    bool watched;      /* a scope or a task has to be told of its end */
};

/* Slots are allocated in blocks of so many; a block never moves. */
enum { SLOTS_PER_CHUNK = 256 };

/* A live connection, at the slot of its id. */
struct tcpm__lua_slot {
    uint64_t id; /* 0: free */
    struct tcpm__lua_session *session;
    struct tcpm__lua_extra *extra; /* mostly NULL */
};

/* States of the pull form of connect: see pull.c. */
enum tcpm__lua_pull { PULL_NONE, PULL_ASKING, PULL_MORE, PULL_WAITING };

struct tcpm__lua_session {
    struct tcpm__lua_runtime *runtime; /* NULL: the Lua state has been closed */
    struct tcpm_session *inner;        /* NULL: stopped */
    struct tcpm_events events;
    struct tcpm__lua_stdin *input;   /* NULL: the session does not read standard input */
    struct tcpm__lua_watch *watches; /* signals that the session watches */
    double number;                   /* [0] of the session's object: below 0, never used again */
    char *alias;                     /* printable, for lines on standard error; NULL: none */
    char *server_name;               /* the name that TLS verifies; NULL: the target's */
    int index;                       /* in the table of sessions */
    int base;                        /* first cell */
    uint32_t holds;                  /* reasons to live: see holding.c */
    uint32_t handlers;               /* 1 << cell for each handler and each filter in Lua */
    int64_t max_queued;              /* bytes. Default: 0, the core's default */
    uint32_t own_handlers;           /* number of live connections with handlers of their own */
    uint32_t tasks;                  /* number of live tasks of tcpmulti.co */
    bool muted;                      /* killed: no event reaches Lua any more */
    bool dying;
    bool wants_flushed; /* a task has waited for room in a queue */
    bool trace, strict; /* options.trace and options.assert of create */
    enum tcpm__lua_pull pull;
};

/* An index of the table of sessions, in use or free. */
struct tcpm__lua_vacancy {
    double number; /* number of the last session at this index */
    int next;      /* next free index; 0: none */
};

/* A session's number is -(generation * TCPM__LUA_SESSIONS + index). */
enum { TCPM__LUA_SESSIONS = 1048576 };

struct tcpm__lua_runtime {
    const struct tcpm__lua_runtime *self; /* address of this struct: the mark of its userdata */
    lua_State *active;           /* state on which callbacks run now: that of run, or of the call */
    lua_State *keeper;           /* thread that never runs: its stack is always free to use */
    bool framed;                 /* the current frame of active is that of run: see protect.c */
    bool ran;                    /* run or stop were called */
    bool running;                /* run runs the loop */
    bool stopped;                /* stop was called while run ran the loop */
    struct tcpm_engine *engine;  /* NULL: closed */
    struct tcpm_engine *leaving; /* the module's own engine between closing and its end */
    struct uv_loop_s *loop;      /* NULL in a host */
    struct tcpm_session *sentry; /* in a host's engine: when it stops, the engine closes */
    bool engine_gone;            /* the sentry has stopped */
    struct tcpm__lua_link *link;
    void (*exception)(const char *traceback, void *user); /* hears fatal errors, in a host */
    void *exception_user;
    bool attached; /* the loop is luv's: nobody runs it who could raise a fatal error */
    int on_fatal;  /* anchor of the function that hears fatal errors; 0: standard error */
    void (*watch_listener)(int signum, int change); /* see runtime.h; NULL: nobody listens */
    struct tcpm__lua_call *call;                    /* innermost running call */
    struct tcpm__lua_session *owner;                /* session of the innermost handler or state */
    struct tcpm__lua_filter_call *filtering;        /* innermost running function of a filter */
    struct tcpm__lua_connecting *connecting;        /* innermost call of tcpm_connect that runs */
    struct tcpm__lua_stdin *input;                  /* NULL: no session has read yet */
    struct tcpm__lua_child *children;               /* programs that have not ended */
    double last_child;                              /* number of the child that began last */
    const struct tcpm_events *events;               /* all events of connections */
    uint32_t always;                                /* 1 << cell of those that all sessions need */
    struct tcpm_session *home; /* wake-ups and timers of tasks; NULL: no tcpmulti.co, or closed */
    struct tcpm__lua_timer *timers; /* timers of tasks: see home.c */
    bool waking;                    /* tasks that are ready will be run: see task.c */
    const luaL_Reg *const *const *public_functions; /* lists of lists, each with NULL at its end */
    struct tcpm__lua_slot **chunks;                 /* blocks of slots; a block never moves */
    uint32_t chunk_count;
    uint32_t cheap_count;                /* cheaps[1] to cheaps[cheap_count] exist */
    struct tcpm__lua_session **sessions; /* table by index; [0] is not used */
    struct tcpm__lua_vacancy *vacancies; /* one for each index */
    int session_count;
    int vacant;        /* first free index; 0: none */
    bool reads_resp;   /* a filter resp has been made: records may have to be decoded */
    bool prints_tally; /* each session that stops prints its tally on standard error */
    int unstopped;     /* sessions whose event stopped is still to come */
    int cheaps_reference, cells_reference, anchors_reference; /* in the registry */
    char *fatal; /* first fatal error, until run has raised it */
};

/* ---- anchors.c ---- */

/* The runtime, found by the upvalue that every function of the module has. */
static inline struct tcpm__lua_runtime *tcpm__lua_runtime(lua_State *L)
{
    return lua_touserdata(L, lua_upvalueindex(UP_RUNTIME));
}

/* Whether the engine is closed: the module's own, or a host's. */
static inline bool tcpm__lua_is_closed(const struct tcpm__lua_runtime *rt)
{
    return rt->engine == NULL || rt->engine_gone;
}

/* The runtime, from anywhere; NULL: the module is not open. */
struct tcpm__lua_runtime *tcpm__lua_runtime_find(lua_State *L);

struct tcpm__lua_link *tcpm__lua_link_new(void); /* NULL: no memory */
void tcpm__lua_link_set(struct tcpm__lua_runtime *rt, struct tcpm__lua_link *link);
struct tcpm__lua_link *tcpm__lua_link_keep(struct tcpm__lua_link *link);
void tcpm__lua_link_drop(struct tcpm__lua_link *link); /* link may be NULL */

/* Sets table[key] = false, where upvalues cannot be used. Allocates nothing. */
void tcpm__lua_set_false(struct tcpm__lua_runtime *rt, int table_reference, int key);
/* luaL_unref in the table of anchors, where upvalues cannot be used. Allocates nothing. */
void tcpm__lua_anchor_drop(struct tcpm__lua_runtime *rt, int anchor);

/* ---- slots.c ---- */

/* Whether the events of the connection, if there is one, go to tasks. */
static inline bool tcpm__lua_is_dialogue(const struct tcpm__lua_slot *slot_or_null)
{
    return slot_or_null != NULL && slot_or_null->extra != NULL && slot_or_null->extra->dialogue;
}

static inline struct tcpm_id tcpm__lua_slot_id(const struct tcpm__lua_slot *slot)
{
    return (struct tcpm_id){slot->id};
}

/* The live connection with this id; NULL: there is none. */
static inline struct tcpm__lua_slot *tcpm__lua_slot_find(const struct tcpm__lua_runtime *rt,
                                                         uint64_t id)
{
    uint32_t number = TCPM_ID_SLOT((struct tcpm_id){id});
    uint32_t chunk = number / SLOTS_PER_CHUNK;

    if (chunk >= rt->chunk_count || rt->chunks[chunk] == NULL || id == 0)
        return NULL;
    struct tcpm__lua_slot *slot = &rt->chunks[chunk][number % SLOTS_PER_CHUNK];
    return slot->id == id ? slot : NULL;
}
/* The live connection whose id is this number; NULL: there is none. */
struct tcpm__lua_slot *tcpm__lua_slot_of(const struct tcpm__lua_runtime *rt, double number);
/* The live connection that the value at index names, an id or a cheap; else NULL. */
struct tcpm__lua_slot *tcpm__lua_slot_at(lua_State *L, struct tcpm__lua_runtime *rt, int index);
/* The slot for a new connection; NULL: no memory. */
struct tcpm__lua_slot *tcpm__lua_slot_new(struct tcpm__lua_runtime *rt, uint32_t number);
/* The slot's extra, made where there is none; NULL: no memory. */
struct tcpm__lua_extra *tcpm__lua_slot_extend(struct tcpm__lua_slot *slot);

/* The live session with this number; NULL: stopped, or there never was one. */
struct tcpm__lua_session *tcpm__lua_session_find(const struct tcpm__lua_runtime *rt, double number);
/* Makes room for more sessions. False: no memory, or there are too many. */
bool tcpm__lua_sessions_grow(struct tcpm__lua_runtime *rt);
/* Frees the index of a session that has stopped. */
void tcpm__lua_session_vacate(struct tcpm__lua_runtime *rt, int index);

/* ---- holding.c ---- */

/* The first cell of the session at an index of the table of sessions. */
static inline int tcpm__lua_base_of(int index)
{
    return OWN_COUNT + CELL_COUNT * index;
}

/* Where a session's private table has what the session's cell has while it is held. */
static inline int tcpm__lua_private_index(int cell)
{
    return cell + 1;
}

/* Calls of hold and release stand around everything that needs the session. */
void tcpm__lua_session_hold(struct tcpm__lua_session *session);
void tcpm__lua_session_release(struct tcpm__lua_session *session);
/* Empties the cells at an index of the table of sessions, and the index of idle ones. */
void tcpm__lua_cells_clear(struct tcpm__lua_runtime *rt, int index);
/* Pushes what is in a cell of the session, or would be if the session were held. */
void tcpm__lua_push_cell(lua_State *L, const struct tcpm__lua_session *session, int cell);

/* ---- handlers.c ---- */

/* The options of create and connect that fill the cells of a session; NULL: none does. */
extern const char *const tcpm__lua_option_names[CELL_COUNT];
/* The core's events for these handlers (1 << cell each), without room and stopped. initialize,
   failure, error and disconnected are always there, because the binding itself needs them. */
void tcpm__lua_select_events(const struct tcpm__lua_runtime *rt, uint32_t handlers,
                             struct tcpm_events *ret);

/* The extra of a connection that has handlers of its own; else NULL. */
static inline const struct tcpm__lua_extra *
tcpm__lua_own_handlers(const struct tcpm__lua_session *session, struct tcpm_id id)
{
    if (session->own_handlers == 0 || session->runtime == NULL)
        return NULL;
    const struct tcpm__lua_slot *slot = tcpm__lua_slot_find(session->runtime, id.n);
    return slot == NULL || slot->extra == NULL || slot->extra->handlers == 0 ? NULL : slot->extra;
}
/* Whether the session, or the connection itself, has a handler of this cell. */
bool tcpm__lua_has_handler(const struct tcpm__lua_session *session, struct tcpm_id id, int cell);

/* ---- results.c ---- */

/* Each of these pushes what a function of the module returns, and gives the number of values. */
int tcpm__lua_failure(lua_State *L, int code); /* nil, text of code, name of code */
int tcpm__lua_failure_text(lua_State *L, int code, const char *message);
int tcpm__lua_failure_closed(lua_State *L);     /* failure of a call whose engine is closed */
int tcpm__lua_stale(lua_State *L);              /* failure of a connection that has ended */
int tcpm__lua_result(lua_State *L, int result); /* true, or the failure that result is */
/* nil, why this session takes nothing any more, "ESHUTDOWN". */
int tcpm__lua_session_failure(lua_State *L, const struct tcpm__lua_session *session_or_null);
/* A table of counts by name. */
struct tcpm__lua_count {
    const char *name;
    uint64_t value;
};
int tcpm__lua_push_counts(lua_State *L, const struct tcpm__lua_count *counts, size_t count);
/* The arguments errnum and errstr of events. */
int tcpm__lua_errnum(int code);
const char *tcpm__lua_errstr(const struct tcpm_error *error);

/* ---- misuse.c ---- */

/* A value as error messages show it: one short printable line, which may lie on the stack. */
const char *tcpm__lua_describe(lua_State *L, int index);
/* The name of the running function of the module. */
const char *tcpm__lua_running_name(lua_State *L);
/* Whether the value at index has the metatable in a cell of the runtime. */
bool tcpm__lua_has_metatable(lua_State *L, int index, enum tcpm__lua_own_cell cell);
/* Raises: at index is something else than was expected. */
int tcpm__lua_misuse(lua_State *L, int index, const char *expected);
/* Raises if a function of the module was called with a colon. */
void tcpm__lua_check_dot(lua_State *L);

/* ---- protect.c ---- */

/* The stack frame of tcpmulti.run: where protect.c finds the two functions. */
enum tcpm__lua_frame { FRAME_TRACEBACK = 1, FRAME_TRAMPOLINE };

/* Runs call protected, with owner as the running session. NULL, or the message with its traceback,
   to be freed by tcpm__lua_message_free. */
char *tcpm__lua_protect(struct tcpm__lua_runtime *rt, struct tcpm__lua_session *owner,
                        struct tcpm__lua_call *call);
/* A message as tcpm__lua_protect gives it. */
char *tcpm__lua_message_copy(const char *bytes, size_t length);
void tcpm__lua_message_free(char *message); /* message may be NULL */

/* State that is saved by a call that may start callbacks on the caller's lua_State. */
struct tcpm__lua_saved {
    lua_State *active;
    bool framed;
};

/* Stands before a call of the core that may call back into Lua (initialize, a filter); leave stands
   behind that call. Nothing between the two may raise an error: rt->active could be left pointing
   at the state of a coroutine that ends with the error. */
static inline struct tcpm__lua_saved tcpm__lua_enter(struct tcpm__lua_runtime *rt, lua_State *L)
{
    struct tcpm__lua_saved saved = {.active = rt->active, .framed = rt->framed};

    rt->active = L;
    rt->framed = false;
    return saved;
}

static inline void tcpm__lua_leave(struct tcpm__lua_runtime *rt, struct tcpm__lua_saved saved)
{
    rt->active = saved.active;
    rt->framed = saved.framed;
}

#endif
