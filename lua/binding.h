/* SPDX-License-Identifier: MIT */
/*
 * What the files of the binding share: the runtime (one for each Lua state), its sessions and
 * connections, and the one way in which the loop calls Lua.
 *
 * Lua values live in four tables, which every C function of the module has as upvalues:
 *   cheaps   [slot of the id] = the connection's heap, false for free slots: it never shrinks, so
 *            storing into it below its end allocates nothing
 *   places   [base of the session + enum place] = handlers and what else a session owns
 *   anchors  what C needs to hold, by references of luaL_ref; the first few have names
 *   core     the parts that are written in Lua, and what they need of C
 * No pointer of ours is ever in a Lua value but in userdata, so nothing that a script keeps can
 * dangle: connections are looked up by id, sessions by number.
 *
 * C structures that belong to the core's objects (sessions, filters, tasks) may outlive the Lua
 * state, in a host whose loop has not yet run: they find the runtime through the link, which says
 * when it has gone.
 */
#ifndef TCPM_LUA_BINDING_H
#define TCPM_LUA_BINDING_H

#include "tcpmulti.h"

/* Where the registry has the runtime and the module: integers, because finding a string may need
   memory, and these are looked for outside of protected calls. Far from those of luaL_ref. */
enum { TCPM__LUA_RUNTIME = 0x7463706d, TCPM__LUA_MODULE };

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum upvalue {
    UP_RUNTIME = 1,
    UP_CHEAPS,
    UP_PLACES,
    UP_ANCHORS,
    UP_CORE,
    UP_COUNT = UP_CORE,
};

enum place {
    PLACE_OBJECT, /* the session as the script sees it */
    ON_INITIALIZE,
    ON_SUCCESS,
    ON_INPUT,
    ON_FLUSHED,
    ON_FAILURE,
    ON_ERROR,
    ON_TIMEOUT,
    ON_DISCONNECTED,
    ON_EOF,
    ON_EXCEPTION,
    PLACE_INPUT_FILTER, /* a filter written in Lua, which connections get a clone of; or false */
    PLACE_OUTPUT_FILTER,
    PLACE_PULL,    /* the function of the pull form, or false */
    PLACE_PRIVATE, /* the table of what the session owns: see lifetime.c */
    PLACE_COUNT,   /* places of a session: base to base + PLACE_COUNT - 1 */
};

/* The first places are the runtime's own. */
enum own_place {
    OWN_FREE, /* unused: tables count from 1 */
    OWN_NEW_CHEAP,
    OWN_NEW_HANDLERS, /* of this connection alone */
    OWN_GIVEN, /* what the pull function gave as a target that is none, while it is initialized */
    OWN_ENDED, /* weak: [cheap] = address and port of a connection that has ended */
    OWN_CHEAP_METATABLE,
    OWN_STRICT_METATABLE, /* of cheaps with options.assert */
    OWN_SESSION_METATABLE,
    OWN_FILTER_METATABLE, /* of built-in filters */
    OWN_CODEC_METATABLE,  /* of their instances by hand */
    OWN_TRACEBACK,
    OWN_TRAMPOLINE,
    OWN_KEEPER,
    OWN_KEEP_TRACEBACK,
    OWN_KEPT_TRACEBACK, /* of the last error that has come through s:call or create */
    OWN_IDLE,           /* weak: [index of a session] = its private table, while nothing holds it */
    OWN_FINALIZER_METATABLE,
    OWN_RUN, /* tcpmulti.run, whatever the script has put there */
    OWN_ENTER_ALARM,
    OWN_COUNT,
};

/* Functions of the Lua parts that C calls; core[part]. */
enum part {
    PART_CHECK_CONNECT = 1, /* options -> heap, address, port, bind_address, bind_port, four times
                               in milliseconds, input filter, output filter, half_open */
    PART_DISPATCH,          /* session, task, cheap or nil: runs a state that was queued */
    PART_STOPPED,           /* session, tally: keeps the tally, runs _stop */
    PART_INPUT_LINE,        /* session, task, line or nil, message, errname */
    PART_FILTER,            /* spec, options, direction -> a filter: userdata or object */
};

/* Tells objects of the core whether the runtime is still there. */
struct link {
    struct runtime *runtime; /* NULL: the Lua state has been closed */
    size_t references;
};

/* One call from the loop into Lua: run is called inside a protected C function that has our
   upvalues. Each kind of call extends this struct. */
struct call {
    void (*run)(lua_State *L, struct call *call);
};

/* What few connections need. */
struct extra {
    struct lua_filter *input, *output; /* the filters in use, where they are written in Lua */
    uint32_t handlers;                 /* 1 << place, for each handler of this connection alone */
    int anchor;                        /* of the table that has them, by place; 0: none */
    char *report;                      /* on_exception has not yet been told; its message */
    bool failed;                       /* a handler raised: only disconnected follows */
};

#define SLOTS_PER_CHUNK 256

/* A live connection, at the slot of its id. */
struct slot {
    uint64_t id; /* 0: free */
    struct session *session;
    struct extra *extra; /* mostly NULL */
};

enum pull { PULL_NONE, PULL_ASKING, PULL_MORE, PULL_WAITING }; /* see pull.c */

struct session {
    struct runtime *runtime;   /* NULL: the Lua state has been closed */
    struct tcpm_session *core; /* NULL: it has stopped */
    struct tcpm_events events;
    struct standard_input *input; /* NULL: the session does not read it */
    struct watched *watched;      /* signals */
    double number;                /* in [0] of its object: below 0, never used again */
    char *alias;                  /* printable, for lines on standard error; NULL: none */
    int index, base;              /* in the table of sessions, and of its places */
    uint32_t holds;               /* reasons to live: see lifetime.c */
    uint32_t handlers;     /* 1 << place, for each handler, or filter in Lua, that is there */
    int64_t max_queued;    /* bytes; 0: the core's own */
    uint32_t own_handlers; /* live connections that have handlers of their own */
    bool muted;            /* ended by a fatal error: no more events */
    bool dying;
    bool trace, strict; /* of options */
    enum pull pull;
};

/* An index of sessions, in use or free. */
struct vacancy {
    double number; /* the last one given out */
    int next;      /* free index; 0: none */
};

#define TCPM__LUA_SESSIONS 1048576 /* a number is -(generation * TCPM__LUA_SESSIONS + index) */

struct runtime {
    const struct runtime *self; /* the mark of this kind of userdata */
    lua_State *active; /* the state on which callbacks run now: that of run, or of the call */
    lua_State *keeper; /* a thread that never runs: its stack is always free to use */
    bool framed;       /* the current frame of active is that of run: see protect.c */
    bool ran, running, stopped;  /* run or stop were called; the loop runs; stop was called in it */
    struct tcpm_engine *engine;  /* NULL: closed */
    struct tcpm_engine *leaving; /* our own, after that, until it has gone */
    struct uv_loop_s *loop;      /* NULL in a host */
    struct tcpm_session *sentry; /* in a host's engine: its stopped tells that the engine closes */
    bool engine_gone;            /* it has told */
    struct link *link;
    void (*exception)(const char *traceback, void *user); /* of the host */
    void *exception_user;
    bool attached; /* the loop is luv's: nobody is there to raise a fatal error, */
    int on_fatal;  /* but this function of the anchors may hear it; 0: standard error */
    void (*watch_changed)(int signum, int change); /* of the runner: see runtime.h; NULL: nobody */
    struct call *call;                             /* the innermost running */
    struct session *owner;                         /* of the innermost handler or state */
    struct filter_call *filtering;                 /* the innermost running function of a filter */
    struct connecting *connecting;                 /* the innermost running tcpm_connect */
    struct standard_input *input;                  /* from the first s:stdin on */
    struct slot **chunks; /* of SLOTS_PER_CHUNK connections each; they never move */
    uint32_t chunk_count;
    uint32_t cheap_count;      /* cheaps[1] to [cheap_count] are there */
    struct session **sessions; /* by number; [0] is not used */
    struct vacancy *vacancies; /* beside them */
    int session_count;
    int vacant;        /* the first index that is free; 0: none */
    bool prints_tally; /* of each session that stops, on standard error */
    int unstopped;     /* sessions whose stopped has not yet come */
    int cheaps_reference, places_reference, anchors_reference;
    char *fatal; /* the first fatal error, until run has raised it */
};

/* What a call that may start callbacks on the caller's state saves. */
struct entry {
    lua_State *active;
    bool framed;
};

/* ---- runtime.c ---- */
static inline struct runtime *tcpm__lua_runtime(lua_State *L)
{
    return lua_touserdata(L, lua_upvalueindex(UP_RUNTIME));
}
struct runtime *tcpm__lua_find(lua_State *L); /* from anywhere; NULL: the module is not open */
struct link *tcpm__lua_link_keep(struct link *link);
void tcpm__lua_link_drop(struct link *link);
/* table[key] = false or luaL_unref, from where upvalues cannot be used; they allocate nothing. */
void tcpm__lua_clear(struct runtime *rt, int table_reference, int key);
void tcpm__lua_unref(struct runtime *rt, int reference); /* of the anchors */
/* Closes the engine and the loop of a plain luajit; nothing may be left on it. */
struct link *tcpm__lua_link_new(void); /* NULL: no memory */
void tcpm__lua_link_set(struct runtime *rt, struct link *link);
struct runtime *tcpm__lua_open_tables(lua_State *L);

/* ---- closing.c ---- */
void tcpm__lua_end_all(struct runtime *rt); /* every session: reset, stopped, without events */
/* Closes the module's own loop with the engine that is leaving, if that can be now. */
void tcpm__lua_loop_close(struct runtime *rt);
int tcpm__lua_collect(lua_State *L); /* __gc of the runtime */

/* ---- library.c ---- */
void tcpm__lua_push_library(lua_State *L); /* the globals of the parts written in Lua */

/* ---- protect.c ---- */
/* Runs call protected, with owner as the running session. NULL, or the message with its traceback,
   to be freed by tcpm__lua_message_free. */
char *tcpm__lua_protect(struct runtime *rt, struct session *owner, struct call *call);
void tcpm__lua_message_free(char *message);
int tcpm__lua_traceback(lua_State *L);
int tcpm__lua_keep_traceback(lua_State *L);
int tcpm__lua_trampoline(lua_State *L);
/* Around calls of the core from Lua that may start callbacks, initialize or a filter. Nothing
   between them may raise: the state may be that of a coroutine, which goes then. */
static inline struct entry tcpm__lua_enter(struct runtime *rt, lua_State *L)
{
    struct entry entry = {.active = rt->active, .framed = rt->framed};
    rt->active = L;
    rt->framed = false;
    return entry;
}
static inline void tcpm__lua_leave(struct runtime *rt, struct entry entry)
{
    rt->active = entry.active;
    rt->framed = entry.framed;
}

/* ---- slots.c ---- */
struct slot *tcpm__lua_slot(const struct runtime *rt, uint64_t id); /* NULL: not live */
/* The live connection that the value at index names, an id or a cheap; else NULL. */
struct slot *tcpm__lua_slot_at(lua_State *L, struct runtime *rt, int index);
/* Whether the value at index 1 is or was a cheap; raises if not. */
bool tcpm__lua_is_cheap(lua_State *L);
void tcpm__lua_check_cheap(lua_State *L);
/* The live connection of the cheap at index 1: for what only looks, and for what changes it, which
   must not come from inside its own filter. NULL: *code says why; where there is none: -ESTALE. */
struct slot *tcpm__lua_look(lua_State *L);
struct slot *tcpm__lua_change(lua_State *L, int *code);
/* The latter for an id or a cheap at any index. */
struct slot *tcpm__lua_usable(lua_State *L, int index, int *code);
static inline struct tcpm_id tcpm__lua_id(const struct slot *slot)
{
    return (struct tcpm_id){slot->id};
}
/* A place for a new connection; NULL: no memory. */
struct slot *tcpm__lua_slot_new(struct runtime *rt, uint32_t number);
void tcpm__lua_slots_free(struct runtime *rt);    /* all of them: when the runtime goes */
struct extra *tcpm__lua_extra(struct slot *slot); /* NULL: no memory */
void tcpm__lua_slot_free(struct runtime *rt, struct slot *slot);

/* ---- results.c ---- */
/* nil, text of code (or message), name of code. */
int tcpm__lua_failure(lua_State *L, int code);
int tcpm__lua_failure_text(lua_State *L, int code, const char *message);
int tcpm__lua_stale(lua_State *L);
int tcpm__lua_result(lua_State *L, int result); /* true, or as above */
int64_t tcpm__lua_check_ms(lua_State *L, int argument);
int tcpm__lua_errnum(int code);
const char *tcpm__lua_errstr(const struct tcpm_error *error);

/* ---- misuse.c ---- */
/* A value as error messages show it: one short printable line; it may lie on the stack. */
const char *tcpm__lua_describe(lua_State *L, int index);
int tcpm__lua_core_describe(lua_State *L); /* core.describe */
/* The name of the running function of ours. */
const char *tcpm__lua_name(lua_State *L);
bool tcpm__lua_has_metatable(lua_State *L, int index, enum own_place place);
/* These raise. At index is something else than was expected: */
int tcpm__lua_misuse(lua_State *L, int index, const char *expected);
/* A function of the module was called with a colon: */
void tcpm__lua_check_dot(lua_State *L);
/* At index is neither a number nor a table, so it never was a connection: */
void tcpm__lua_check_named(lua_State *L, int index);
/* At index is no name of an error: */
int tcpm__lua_unknown_error(lua_State *L, int index);
/* The argument of a method of cheaps, at index 2, which must be bytes. */
const char *tcpm__lua_check_string(lua_State *L, const char *what);

/* ---- session.c ---- */
struct session *tcpm__lua_session(lua_State *L, struct runtime *rt, int index); /* NULL: stopped */
/* nil, why this session takes nothing any more, "ESHUTDOWN". */
int tcpm__lua_session_over(lua_State *L, const struct session *session_or_null);
struct session *tcpm__lua_session_of(const struct runtime *rt, double number);
int tcpm__lua_state(lua_State *L); /* core.state */
int tcpm__lua_as(lua_State *L);    /* core.as */
int tcpm__lua_start(lua_State *L); /* core.start */

/* ---- lifetime.c ---- */
/* Around everything that needs the session. They allocate nothing. */
void tcpm__lua_hold(struct session *session);
void tcpm__lua_release(struct session *session);
void tcpm__lua_push_place(lua_State *L, const struct session *session, int place);
void tcpm__lua_die(struct session *session);
void tcpm__lua_stopped(struct tcpm_session *core, void *user);
void tcpm__lua_session_end(struct session *session); /* without events */

int tcpm__lua_finalize(lua_State *L); /* __gc of what tells that a session is out of reach */

/* ---- send.c ---- */
int tcpm__lua_cheap_send(lua_State *L);
int tcpm__lua_cheap_shutdown(lua_State *L);
int tcpm__lua_session_send(lua_State *L);
int tcpm__lua_session_shutdown(lua_State *L);

/* ---- events.c ---- */
/* The options of create and connect that fill the places of a session; NULL: none does. */
extern const char *const tcpm__lua_option_names[PLACE_COUNT];
/* The core's events for these handlers, 1 << place each, but room and stopped. */
void tcpm__lua_events(uint32_t handlers, struct tcpm_events *ret);

/* ---- register.c ---- */
/* Enters the connection that is being opened, whose cheap is at OWN_NEW_CHEAP. Raises without
   memory, and then nothing is entered. */
void tcpm__lua_register(lua_State *L, struct session *session, struct tcpm_id id);
/* The common case: no extra, and a slot that another connection had before. False: it is not that
   case, and nothing is done. */
bool tcpm__lua_register_plainly(struct session *session, struct tcpm_id id);
/* Keeps the address and port of a connection that ends, for as long as its cheap is kept. */
void tcpm__lua_remember(lua_State *L, struct tcpm_id id, const char *address, unsigned port);

/* ---- trace.c ---- */
/* As lines on standard error call the session: its number, and its alias. */
struct label {
    char text[128];
};
struct label tcpm__lua_label(const struct session *session);
void tcpm__lua_trace(const struct session *session, struct tcpm_id id, int place, int number);

/* ---- exception.c ---- */
/* What to do about a handler or state of session that raised; takes message over. */
void tcpm__lua_exception(struct session *session, char *message); /* in no connection */
void tcpm__lua_exception_in(struct session *session, uint64_t id, int place, char *message);
void tcpm__lua_exception_later(struct session *session, uint64_t id, char *message);
void tcpm__lua_report_pending(struct session *session, struct slot *slot);
void tcpm__lua_fatal_error(struct runtime *rt, char *message); /* takes message over */

/* ---- cheap.c ---- */
int tcpm__lua_cheap_tostring(lua_State *L); /* of their metatable */

/* ---- connect.c ---- */
struct connecting {
    lua_State *L;
    int cheap; /* its stack index */
    struct lua_filter *input, *output;
    uint32_t handlers; /* of this connection alone; see extra */
    int own;           /* the stack index of their table; 0: none */
    bool registered;
    bool refused; /* the target is none; what was given is at OWN_GIVEN */
};
int tcpm__lua_connect(lua_State *L);                                 /* s:connect */
int tcpm__lua_connect_owner(lua_State *L);                           /* tcpmulti.connect */
int tcpm__lua_connect_pulled(lua_State *L, struct session *session); /* the stack: its target */

/* ---- pull.c ---- */
int tcpm__lua_pull_start(lua_State *L, struct session *session, int function);
void tcpm__lua_pull_more(struct session *session); /* asks a function again that has waited */
void tcpm__lua_room(struct tcpm_session *core, void *user);
int tcpm__lua_more(lua_State *L); /* s:more */

/* ---- tasks.c ---- */
int tcpm__lua_enter_alarm(lua_State *L);
void tcpm__lua_watched_free(struct session *session);

/* ---- stdin.c ---- */
void tcpm__lua_stdin_room(struct session *session);
void tcpm__lua_stdin_end(struct session *session);
void tcpm__lua_stdin_close(struct runtime *rt); /* when no session reads any more */
int tcpm__lua_stdin(lua_State *L);              /* core.stdin */

/* ---- filter.c ---- */
/* The filters of one call. */
struct filter_pair {
    struct tcpm_filter *input, *output;        /* for the core; NULL: not given */
    struct lua_filter *lua_input, *lua_output; /* those of them that are written in Lua */
    bool own_input, own_output;                /* made for this pair */
};
int tcpm__lua_filter_make(lua_State *L); /* core.filter(kind, options) -> a built-in filter */
/* Makes the filters at two stack indices for a connection; 0: the session's own, where that is
   written in Lua. 0 or negative; raises what a filter's clone raises, and leaves nothing behind. */
int tcpm__lua_filter_pair(lua_State *L, uint64_t id_or_zero, const struct session *session_or_null,
                          int input, int output, struct filter_pair *pair);
void tcpm__lua_filter_pair_free(struct filter_pair *pair);
/* The userdata at index, if it has the metatable of that place; else NULL. */
void **tcpm__lua_box(lua_State *L, int index, enum own_place place);
int tcpm__lua_is_filter(lua_State *L); /* core.is_filter */
bool tcpm__lua_is_filter_at(lua_State *L, int index);

/* ---- input.c ---- */
int tcpm__lua_cheap_pending(lua_State *L);
int tcpm__lua_cheap_unread(lua_State *L);
int tcpm__lua_cheap_take(lua_State *L);
int tcpm__lua_cheap_filter(lua_State *L);
int tcpm__lua_cheap_input_filter(lua_State *L);
int tcpm__lua_cheap_output_filter(lua_State *L);

/* ---- codec.c ---- */
int tcpm__lua_codec_open(lua_State *L); /* clone of built-in filters */

/* ---- tally.c ---- */
void tcpm__lua_push_tally(lua_State *L, struct tcpm_session *core);
int tcpm__lua_tally(lua_State *L); /* core.tally */
void tcpm__lua_print_tally(const struct session *session, struct tcpm_session *core);
void tcpm__lua_print_tallies_left(struct runtime *rt); /* of sessions that have not stopped */

/* ---- attach.c ---- */
int tcpm__lua_module_attach(lua_State *L); /* tcpmulti.attach */

/* ---- run.c, module.c ---- */
int tcpm__lua_module_run(lua_State *L);  /* tcpmulti.run */
int tcpm__lua_module_stop(lua_State *L); /* tcpmulti.stop */
int tcpm__lua_escape(lua_State *L);      /* tcpmulti.escape, core.escape */
void tcpm__lua_push_escaped(lua_State *L, const char *bytes, size_t length);
int tcpm__lua_warn(lua_State *L); /* core.warn */
int tcpm__lua_time(lua_State *L); /* core.time */

/* ---- the functions of the module, listed beside their code ---- */
extern const luaL_Reg tcpm__lua_module_functions[];
extern const luaL_Reg tcpm__lua_lifetime_functions[]; /* of core */
extern const luaL_Reg tcpm__lua_session_functions[];  /* methods of sessions */
extern const luaL_Reg tcpm__lua_cheap_functions[];    /* methods of cheaps, module functions too */
extern const luaL_Reg tcpm__lua_filter_functions[];   /* of built-in filters, metamethods too */
extern const luaL_Reg tcpm__lua_codec_functions[];    /* of their instances */
extern const luaL_Reg tcpm__lua_task_functions[];     /* of core: alarms, posts, signals */

#endif
