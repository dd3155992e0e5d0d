/* SPDX-License-Identifier: MIT */
/*
 * Errors: what happens when a handler, a state or a filter of a session raises an error.
 * on_exception is told from the loop, and the connection concerned ends. If there is no
 * on_exception, or it raises too, the error is fatal: all sessions of this Lua state are killed,
 * and run raises the error, or the host's exception function is called.
 */
#include "life.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

struct report {
    struct tcpm__lua_call call;
    const struct tcpm__lua_session *session;
    const char *message;
    uint64_t id; /* 0: no connection is concerned */
};

static void run_report(lua_State *L, struct tcpm__lua_call *call)
{
    const struct report *report = (const struct report *) call;
    const struct tcpm__lua_session *session = report->session;

    lua_rawgeti(L, lua_upvalueindex(UP_CELLS), session->base + ON_EXCEPTION);
    lua_rawgeti(L, lua_upvalueindex(UP_CELLS), session->base + CELL_OBJECT);
    lua_pushstring(L, report->message);
    if (tcpm__lua_slot_find(session->runtime, report->id) == NULL)
        lua_pushnil(L);
    else
        lua_rawgeti(L, lua_upvalueindex(UP_CHEAPS),
                    (int) TCPM_ID_SLOT((struct tcpm_id){report->id}));
    lua_call(L, 3, 0);
}

/* Tells on_exception; takes message over if that did not raise. The hold keeps a session alive that
   has nothing else to do. */
static bool tell(struct tcpm__lua_session *session, uint64_t id, char *message)
{
    struct report report = {
        .call.run = run_report,
        .session = session,
        .message = message,
        .id = id,
    };

    tcpm__lua_session_hold(session);
    char *second = tcpm__lua_protect(session->runtime, session, &report.call);
    tcpm__lua_session_release(session);
    tcpm__lua_message_free(second == NULL ? message : second);
    return second == NULL;
}

/* Takes message over. False: the error was fatal. */
static bool report(struct tcpm__lua_session *session, uint64_t id, char *message)
{
    if ((session->handlers >> ON_EXCEPTION & 1) != 0 && tell(session, id, message))
        return true;
    tcpm__lua_session_fatal(session, message); /* on_exception may have closed the module */
    return false;
}

void tcpm__lua_exception_about(struct tcpm__lua_session *session, uint64_t id, char *message)
{
    if (session->muted)
        tcpm__lua_message_free(message);
    else
        report(session, id, message);
}

void tcpm__lua_exception(struct tcpm__lua_session *session, char *message)
{
    tcpm__lua_exception_about(session, 0, message);
}

/* Ends a connection whose handler has raised. */
static void fail_connection(struct tcpm__lua_session *session, uint64_t id)
{
    tcpm_abort(session->inner, (struct tcpm_id){id}, "a handler raised an error");
}

void tcpm__lua_exception_in(struct tcpm__lua_session *session, uint64_t id, int cell, char *message)
{
    struct tcpm__lua_slot *slot = session->muted ? NULL : tcpm__lua_slot_find(session->runtime, id);

    if (slot == NULL) {
        tcpm__lua_message_free(message);
        return;
    }
    struct tcpm__lua_extra *extra = cell == ON_DISCONNECTED ? NULL : tcpm__lua_slot_extend(slot);
    if (extra != NULL)
        extra->failed = true;
    if (report(session, id, message) && cell != ON_DISCONNECTED && !session->muted)
        fail_connection(session, id);
}

/* ---- errors in on_initialize: the report comes before the next event, disconnected ---- */

void tcpm__lua_report_pending(struct tcpm__lua_session *session, struct tcpm__lua_slot *slot)
{
    char *message = slot->extra->report;

    slot->extra->report = NULL;
    report(session, slot->id, message);
}

void tcpm__lua_exception_later(struct tcpm__lua_session *session, uint64_t id, char *message)
{
    struct tcpm__lua_slot *slot = session->muted ? NULL : tcpm__lua_slot_find(session->runtime, id);
    struct tcpm__lua_extra *extra = slot == NULL ? NULL : tcpm__lua_slot_extend(slot);

    if (extra == NULL) {
        tcpm__lua_message_free(message);
        tcpm_reset(session->inner, (struct tcpm_id){id});
        return;
    }
    extra->failed = true;
    tcpm__lua_message_free(extra->report);
    extra->report = message;
    fail_connection(session, id);
}

/* ---- fatal ---- */

void tcpm__lua_session_fatal(struct tcpm__lua_session *session, char *message)
{
    if (message != NULL && session->runtime != NULL && !session->muted)
        tcpm__lua_fatal(session->runtime, message);
    else
        tcpm__lua_message_free(message);
}

void tcpm__lua_fatal(struct tcpm__lua_runtime *rt, char *message)
{
    tcpm__lua_sessions_kill(rt);
    tcpm__lua_timers_drop(rt);
    tcpm__lua_children_drop(rt);
    if (rt->loop == NULL) {
        if (rt->exception != NULL)
            rt->exception(message, rt->exception_user);
        tcpm__lua_message_free(message);
    } else if (rt->fatal != NULL) {
        tcpm__lua_message_free(message);
    } else {
        rt->fatal = message;
        if (rt->running)
            uv_stop(rt->loop);
    }
}
