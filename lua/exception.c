/* SPDX-License-Identifier: MIT */
/*
 * What happens when a handler, a state or a filter of a session raises. on_exception is told, from
 * the loop, and the connection concerned ends; without on_exception, or when that raises too, the
 * error is fatal: every session of this Lua state ends without further events, and run raises, or
 * in a host its exception function is called.
 */
#include "binding.h"
#include "protect.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

struct report {
    struct call call;
    const struct session *session;
    const char *message;
    uint64_t id; /* 0: no connection is concerned */
};

static void run_report(lua_State *L, struct call *call)
{
    const struct report *report = (const struct report *) call;
    const struct session *session = report->session;
    lua_rawgeti(L, lua_upvalueindex(UP_PLACES), session->base + ON_EXCEPTION);
    lua_rawgeti(L, lua_upvalueindex(UP_PLACES), session->base + PLACE_OBJECT);
    lua_pushstring(L, report->message);
    if (tcpm__lua_slot(session->runtime, report->id) == NULL)
        lua_pushnil(L);
    else
        lua_rawgeti(L, lua_upvalueindex(UP_CHEAPS),
                    (int) TCPM_ID_SLOT((struct tcpm_id){report->id}));
    lua_call(L, 3, 0);
}

/* Tells on_exception, and takes message over then. The session may have nothing else to do. */
static bool tell(struct session *session, uint64_t id, char *message)
{
    struct report report = {
        .call.run = run_report,
        .session = session,
        .message = message,
        .id = id,
    };
    tcpm__lua_hold(session);
    char *second = tcpm__lua_protect(session->runtime, session, &report.call);
    tcpm__lua_release(session);
    tcpm__lua_message_free(second == NULL ? message : second);
    return second == NULL;
}

/* Takes message over. False: it was fatal. */
static bool report(struct session *session, uint64_t id, char *message)
{
    if ((session->handlers >> ON_EXCEPTION & 1) != 0 && tell(session, id, message))
        return true;
    if (session->muted) /* on_exception has closed the module, and raised */
        tcpm__lua_message_free(message);
    else
        tcpm__lua_fatal_error(session->runtime, message);
    return false;
}

void tcpm__lua_exception(struct session *session, char *message)
{
    if (session->muted)
        tcpm__lua_message_free(message);
    else
        report(session, 0, message);
}

/* Ends a connection whose handler has raised. */
static void fail_connection(struct session *session, uint64_t id)
{
    tcpm_abort(session->core, (struct tcpm_id){id}, "a handler raised an error");
}

void tcpm__lua_exception_in(struct session *session, uint64_t id, int place, char *message)
{
    struct slot *slot = session->muted ? NULL : tcpm__lua_slot(session->runtime, id);
    if (slot == NULL) {
        tcpm__lua_message_free(message);
        return;
    }
    struct extra *extra = place == ON_DISCONNECTED ? NULL : tcpm__lua_extra(slot);
    if (extra != NULL)
        extra->failed = true;
    if (report(session, id, message) && place != ON_DISCONNECTED && !session->muted)
        fail_connection(session, id);
}

/* ---- errors in on_initialize: the report comes before the next event, disconnected ---- */

void tcpm__lua_report_pending(struct session *session, struct slot *slot)
{
    char *message = slot->extra->report;
    slot->extra->report = NULL;
    report(session, slot->id, message);
}

void tcpm__lua_exception_later(struct session *session, uint64_t id, char *message)
{
    struct slot *slot = session->muted ? NULL : tcpm__lua_slot(session->runtime, id);
    struct extra *extra = slot == NULL ? NULL : tcpm__lua_extra(slot);
    if (extra == NULL) {
        tcpm__lua_message_free(message);
        tcpm_reset(session->core, (struct tcpm_id){id});
        return;
    }
    extra->failed = true;
    tcpm__lua_message_free(extra->report);
    extra->report = message;
    fail_connection(session, id);
}

/* ---- fatal ---- */

void tcpm__lua_fatal_error(struct runtime *rt, char *message)
{
    tcpm__lua_end_all(rt);
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
