/* SPDX-License-Identifier: MIT */
/*
 * The pull form of connect: whenever the session has room, the loop asks a function for the next
 * target.
 *
 * PULL_NONE: there is no function; nil or a raise leads here. PULL_ASKING: the function is asked.
 * PULL_WAITING, after false: the function waits until a connection of the session ends or s:more()
 * is called, and does not keep the loop running meanwhile. PULL_MORE: s:more() was called while the
 * function was asked, so that after false it is asked again at once.
 */
#include "life.h"

#include <errno.h>

enum {
    PULLS_PER_TURN = 256
}; /* the limit leaves the loop its turns, whatever the number of targets */

struct pull_call {
    struct tcpm__lua_call call;
    struct tcpm__lua_session *session;
};

static bool wants_targets(const struct tcpm__lua_session *session)
{
    return session->inner != NULL && session->runtime != NULL && !session->muted && !session->dying;
}

static bool is_asking(const struct tcpm__lua_session *session)
{
    return session->pull == PULL_ASKING || session->pull == PULL_MORE;
}

/* Whether there is room. If not, the event room comes later. */
static bool may_ask(struct tcpm__lua_session *session)
{
    return wants_targets(session) && tcpm_has_room(session->inner) == 1;
}

/* The session is held while its function is asked. */
static void set_pull(struct tcpm__lua_session *session, enum tcpm__lua_pull pull)
{
    bool was_asking = is_asking(session);

    session->pull = pull;
    if (is_asking(session) && !was_asking)
        tcpm__lua_session_hold(session);
    else if (was_asking && !is_asking(session))
        tcpm__lua_session_release(session);
}

static void end_pull(struct tcpm__lua_session *session)
{
    if (!is_asking(session))
        return;
    if (session->runtime != NULL)
        tcpm__lua_set_false(session->runtime, session->runtime->cells_reference,
                            session->base + CELL_PULL);
    set_pull(session, PULL_NONE);
}

static void wait_with_pull(struct tcpm__lua_session *session)
{
    set_pull(session, session->pull == PULL_MORE ? PULL_ASKING : PULL_WAITING);
}

/* Asks for one target and connects to it. False: ask no more now. */
static bool pull_one(lua_State *L, struct tcpm__lua_session *session)
{
    lua_settop(L, 0);
    lua_rawgeti(L, lua_upvalueindex(UP_CELLS), session->base + CELL_PULL);
    set_pull(session, PULL_ASKING);
    lua_call(L, 0, LUA_MULTRET);
    if (!wants_targets(session) || lua_isnoneornil(L, 1)) {
        end_pull(session);
        return false;
    }
    if (lua_isboolean(L, 1) && !lua_toboolean(L, 1)) {
        wait_with_pull(session);
        return false;
    }
    TCPM__LUA_ASSERT(is_asking(session));
    int results = tcpm__lua_connect_arguments(L, session, 1, CONNECT_PULLED);
    if (results == 2)
        return true;
    if (wants_targets(session))
        luaL_error(L, "connect: %s", lua_tostring(L, -2));
    end_pull(session);
    return false;
}

static void run_pull(lua_State *L, struct tcpm__lua_call *call)
{
    struct tcpm__lua_session *session = ((struct pull_call *) call)->session;

    for (int i = 0; i < PULLS_PER_TURN && may_ask(session); i++)
        if (!pull_one(L, session))
            return;
}

static void on_pull(struct tcpm_session *inner, void *user, void *argument);

/* Goes on in the next turn of the loop, or when the session has room. */
static void pull_again(struct tcpm__lua_session *session)
{
    if (!is_asking(session) || !may_ask(session))
        return;
    struct tcpm_task task = {.run = on_pull};
    if (tcpm_post(session->inner, task) < 0)
        end_pull(session);
}

static void on_pull(struct tcpm_session *inner, void *user, void *argument)
{
    (void) inner;
    (void) argument;
    struct tcpm__lua_session *session = user;
    if (!is_asking(session) || !wants_targets(session))
        return;
    struct pull_call pull = {.call.run = run_pull, .session = session};
    char *message = tcpm__lua_protect(session->runtime, session, &pull.call);
    if (message != NULL) {
        end_pull(session);
        tcpm__lua_exception(session, message);
    }
    pull_again(session);
}

void tcpm__lua_pull_room(struct tcpm__lua_session *session)
{
    on_pull(session->inner, session, NULL);
}

void tcpm__lua_pull_more(struct tcpm__lua_session *session)
{
    if (session->pull == PULL_ASKING) {
        set_pull(session, PULL_MORE);
    } else if (session->pull == PULL_WAITING) {
        set_pull(session, PULL_ASKING);
        pull_again(session);
    }
}

int tcpm__lua_pull_start(lua_State *L, struct tcpm__lua_session *session, int index)
{
    if (session->pull != PULL_NONE)
        return luaL_error(L, "connect: the session has a pull function already");
    struct tcpm_task task = {.run = on_pull};
    int result = tcpm_post(session->inner, task);
    if (result == -ESHUTDOWN)
        return tcpm__lua_session_failure(L, session);
    if (result < 0)
        return tcpm__lua_failure(L, result);
    set_pull(session, PULL_ASKING);
    lua_pushvalue(L, index);
    lua_rawseti(L, lua_upvalueindex(UP_CELLS), session->base + CELL_PULL);
    lua_pushboolean(L, 1);
    return 1;
}
