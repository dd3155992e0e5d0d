/* SPDX-License-Identifier: MIT */
/*
 * Sessions that have tasks of tcpmulti.co: such a session is held until its last task has ended,
 * and its tasks are told when it dies and when it stops.
 */
#include "functions.h"

/* shared.hold_task(session), shared.release_task(session): for each task of a session */
static int shared_hold_task(lua_State *L)
{
    struct tcpm__lua_session *session = tcpm__lua_check_session(L, tcpm__lua_runtime(L), 1);

    if (session != NULL) {
        tcpm__lua_session_hold(session);
        session->tasks++;
    }
    return 0;
}

static int shared_release_task(lua_State *L)
{
    struct tcpm__lua_session *session = tcpm__lua_check_session(L, tcpm__lua_runtime(L), 1);

    if (session != NULL) {
        TCPM__LUA_ASSERT(session->tasks > 0);
        session->tasks--;
        tcpm__lua_session_release(session);
    }
    return 0;
}

/* shared.run_as(session) -> whether it is there; then it is the running one until C returns to the
   loop */
static int shared_run_as(lua_State *L)
{
    struct tcpm__lua_runtime *rt = tcpm__lua_runtime(L);
    struct tcpm__lua_session *session = tcpm__lua_check_session(L, rt, 1);

    if (session != NULL)
        rt->owner = session;
    lua_pushboolean(L, session != NULL);
    return 1;
}

struct session_call {
    struct tcpm__lua_call call;
    const struct tcpm__lua_session *session;
    enum tcpm__lua_part part;
    char *answer; /* a message; NULL: none */
};

static void run_session_call(lua_State *L, struct tcpm__lua_call *call)
{
    struct session_call *about = (struct session_call *) call;
    size_t length;

    lua_rawgeti(L, lua_upvalueindex(UP_SHARED), (int) about->part);
    lua_rawgeti(L, lua_upvalueindex(UP_CELLS), about->session->base + CELL_OBJECT);
    lua_call(L, 1, 1);
    const char *answer = lua_tolstring(L, -1, &length);
    if (answer != NULL)
        about->answer = tcpm__lua_message_copy(answer, length);
}

/* Calls a part about the session. Gives the error's message or NULL; the answer is to be freed, by
   tcpm__lua_message_free. */
static char *call_about(struct tcpm__lua_session *session, enum tcpm__lua_part part,
                        char **ret_answer)
{
    struct session_call about = {
        .call.run = run_session_call,
        .session = session,
        .part = part,
    };
    char *message = tcpm__lua_protect(session->runtime, session, &about.call);

    *ret_answer = about.answer;
    return message;
}

void tcpm__lua_tasks_die(struct tcpm__lua_session *session)
{
    char *answer;

    if (session->tasks > 0) /* without memory the tasks end when their session stops */
        tcpm__lua_message_free(call_about(session, PART_TASKS_DIE, &answer));
}

char *tcpm__lua_tasks_stop(struct tcpm__lua_session *session)
{
    char *answer;

    return session->tasks > 0 ? call_about(session, PART_TASKS_STOP, &answer) : NULL;
}

char *tcpm__lua_tasks_stuck(struct tcpm__lua_session *session)
{
    char *answer = NULL;

    if (session->tasks > 0)
        tcpm__lua_message_free(call_about(session, PART_TASKS_STUCK, &answer));
    return answer;
}

const luaL_Reg tcpm__lua_task_owner_shared[] = {
    {"hold_task", shared_hold_task},
    {"release_task", shared_release_task},
    {"run_as", shared_run_as},
    {NULL, NULL},
};
