/* SPDX-License-Identifier: MIT */
/*
 * The pull form of connect: a function is asked for the next target, from the loop, whenever a
 * place is free.
 *
 * While it has targets it is PULL_ASKING. After false it waits until a connection of the session
 * has ended or s:more() is called, and is no work for the loop meanwhile: PULL_WAITING. A function
 * that calls more and then answers false is asked again at once: PULL_MORE. nil and a raise end it:
 * PULL_NONE.
 */
#include "protect.h"

#include <errno.h>

#define PULLS_PER_TURN 256 /* so that a million targets leave the loop its turns */

struct pull_call {
    struct call call;
    struct session *session;
};

static bool takes_targets(const struct session *session)
{
    return session->core != NULL && session->runtime != NULL && !session->muted && !session->dying;
}

static bool is_asking(const struct session *session)
{
    return session->pull == PULL_ASKING || session->pull == PULL_MORE;
}

/* Without a place, the event room comes later. */
static bool may_ask(struct session *session)
{
    return takes_targets(session) && tcpm_has_room(session->core) == 1;
}

/* A session whose function is asked is held. */
static void set_pull(struct session *session, enum pull pull)
{
    bool was_asking = is_asking(session);
    session->pull = pull;
    if (is_asking(session) && !was_asking)
        tcpm__lua_hold(session);
    else if (was_asking && !is_asking(session))
        tcpm__lua_release(session);
}

static void end_pull(struct session *session)
{
    if (!is_asking(session))
        return;
    if (session->runtime != NULL)
        tcpm__lua_clear(session->runtime, session->runtime->places_reference,
                        session->base + PLACE_PULL);
    set_pull(session, PULL_NONE);
}

static void wait_with_pull(struct session *session)
{
    set_pull(session, session->pull == PULL_MORE ? PULL_ASKING : PULL_WAITING);
}

/* One target. False: none now. */
static bool pull_one(lua_State *L, struct session *session)
{
    lua_settop(L, 0);
    lua_rawgeti(L, lua_upvalueindex(UP_PLACES), session->base + PLACE_PULL);
    set_pull(session, PULL_ASKING);
    lua_call(L, 0, LUA_MULTRET);
    if (!takes_targets(session) || lua_isnoneornil(L, 1)) {
        end_pull(session);
        return false;
    }
    if (lua_isboolean(L, 1) && !lua_toboolean(L, 1)) {
        wait_with_pull(session);
        return false;
    }
    int results = tcpm__lua_connect_pulled(L, session);
    if (results == 2)
        return true;
    if (takes_targets(session))
        luaL_error(L, "connect: %s", lua_tostring(L, -2));
    end_pull(session);
    return false;
}

static void run_pull(lua_State *L, struct call *call)
{
    struct session *session = ((struct pull_call *) call)->session;
    for (int i = 0; i < PULLS_PER_TURN && may_ask(session); i++)
        if (!pull_one(L, session))
            return;
}

static void pull_turn(struct tcpm_session *core, void *user, void *argument);

/* Goes on in the next turn, or when room comes. */
static void pull_again(struct session *session)
{
    if (!is_asking(session) || !may_ask(session))
        return;
    struct tcpm_task task = {.run = pull_turn};
    if (tcpm_post(session->core, task) < 0)
        end_pull(session);
}

static void pull_turn(struct tcpm_session *core, void *user, void *argument)
{
    (void) core;
    (void) argument;
    struct session *session = user;
    if (!is_asking(session) || !takes_targets(session))
        return;
    struct pull_call pull = {.call.run = run_pull, .session = session};
    char *message = tcpm__lua_protect(session->runtime, session, &pull.call);
    if (message != NULL) {
        end_pull(session);
        tcpm__lua_exception(session, message);
    }
    pull_again(session);
}

void tcpm__lua_room(struct tcpm_session *core, void *user)
{
    struct session *session = user;
    if (session->runtime == NULL || session->muted)
        return;
    tcpm__lua_stdin_room(session);
    pull_turn(core, user, NULL);
}

/* A connection of the session has ended, or the script says that there is more. */
void tcpm__lua_pull_more(struct session *session)
{
    if (session->pull == PULL_ASKING) {
        set_pull(session, PULL_MORE);
    } else if (session->pull == PULL_WAITING) {
        set_pull(session, PULL_ASKING);
        pull_again(session);
    }
}

int tcpm__lua_pull_start(lua_State *L, struct session *session, int index)
{
    if (session->pull != PULL_NONE)
        return luaL_error(L, "connect: the session has a pull function already");
    struct tcpm_task task = {.run = pull_turn};
    int result = tcpm_post(session->core, task);
    if (result == -ESHUTDOWN)
        return tcpm__lua_session_over(L, session);
    if (result < 0)
        return tcpm__lua_failure(L, result);
    set_pull(session, PULL_ASKING);
    lua_pushvalue(L, index);
    lua_rawseti(L, lua_upvalueindex(UP_PLACES), session->base + PLACE_PULL);
    lua_pushboolean(L, 1);
    return 1;
}

/* s:more() -> true, or nil, message, errname. */
int tcpm__lua_more(lua_State *L)
{
    struct session *session = tcpm__lua_session(L, tcpm__lua_runtime(L), 1);
    if (session == NULL || session->dying)
        return tcpm__lua_session_over(L, session);
    if (session->pull == PULL_NONE)
        return tcpm__lua_failure_text(L, -ESRCH, "the session has no pull function");
    tcpm__lua_pull_more(session);
    return tcpm__lua_result(L, 0);
}
