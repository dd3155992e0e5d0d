/* SPDX-License-Identifier: MIT */
/*
 * Wake-ups from the loop and timers for the tasks of tcpmulti.co, which are written in Lua
 * (lua/co), and the reports of errors that no task waits for. Wake-ups and timers belong to the
 * home of tasks (home.c).
 */
#include "functions.h"

#include <errno.h>
#include <stdlib.h>

/* The runtime, for a call from the loop; NULL: Lua is not to be called any more. */
static struct tcpm__lua_runtime *runtime_of(const struct tcpm__lua_link *link)
{
    return link->runtime == NULL || link->runtime->engine == NULL ? NULL : link->runtime;
}

static void call_part(struct tcpm__lua_runtime *rt, struct tcpm__lua_session *owner_or_null,
                      struct tcpm__lua_call *call)
{
    char *message = tcpm__lua_protect(rt, owner_or_null, call);

    if (message != NULL)
        tcpm__lua_fatal(rt, message);
}

/* ---- wake-ups ---- */

static void run_ready(lua_State *L, struct tcpm__lua_call *call)
{
    (void) call;
    lua_rawgeti(L, lua_upvalueindex(UP_SHARED), PART_RUN_READY);
    lua_call(L, 0, 0);
}

static void on_wake(struct tcpm_session *home, void *user, void *argument)
{
    struct tcpm__lua_runtime *rt = runtime_of(user);
    struct tcpm__lua_call call = {.run = run_ready};

    (void) home;
    (void) argument;
    if (rt == NULL)
        return;
    rt->waking = false;
    call_part(rt, NULL, &call);
}

/* As call_part does, from inside a call of Lua. */
static void fail_all(lua_State *L, struct tcpm__lua_runtime *rt, char *message)
{
    struct tcpm__lua_saved entry = tcpm__lua_enter(rt, L);

    tcpm__lua_fatal(rt, message);
    tcpm__lua_leave(rt, entry);
}

/* shared.wake_tasks() -> whether shared.run_ready() will be called after the running handler. Never
   raises: a task that is to go on must not be lost. */
static int shared_wake_tasks(lua_State *L)
{
    static const char text[] = "not enough memory to wake tasks";
    struct tcpm__lua_runtime *rt = tcpm__lua_runtime(L);
    const struct tcpm_task task = {.run = on_wake};

    if (rt->home != NULL && !rt->waking) {
        int result = tcpm_post(rt->home, task);

        rt->waking = result == 0;
        if (result == -ENOMEM)
            fail_all(L, rt, tcpm__lua_message_copy(text, sizeof text - 1));
    }
    lua_pushboolean(L, rt->waking);
    return 1;
}

/* shared.make_room(): for the calls that follow there is room on the stack, which takes memory. */
static int shared_make_room(lua_State *L)
{
    enum { ROOM = 5 * LUA_MINSTACK };

    return lua_checkstack(L, ROOM) ? 0 : luaL_error(L, "not enough memory");
}

/* shared.fatal(message): all sessions are killed, tasks do not go on */
static int shared_fatal(lua_State *L)
{
    size_t length;
    const char *message = luaL_checklstring(L, 1, &length);

    fail_all(L, tcpm__lua_runtime(L), tcpm__lua_message_copy(message, length));
    return 0;
}

/* ---- timers ---- */

struct timer {
    struct tcpm__lua_call call;
    struct tcpm__lua_timer set; /* while it is in the home's list */
    struct tcpm__lua_link *link;
    int anchor;        /* the object that shared.task_timer gets; 0: thread is resumed instead */
    lua_State *thread; /* coroutine of a task that sleeps; NULL: none */
    double session;    /* number of the session of that task */
};

static void on_timer_drop(void *argument)
{
    struct timer *timer = argument;

    tcpm__lua_timer_leave(&timer->set);
    if (timer->anchor != 0 && timer->link->runtime != NULL)
        tcpm__lua_anchor_drop(timer->link->runtime, timer->anchor);
    tcpm__lua_link_drop(timer->link);
    free(timer);
}

static void run_timer(lua_State *L, struct tcpm__lua_call *call)
{
    const struct timer *timer = (const struct timer *) call;

    lua_rawgeti(L, lua_upvalueindex(UP_SHARED), PART_TASK_TIMER);
    lua_rawgeti(L, lua_upvalueindex(UP_ANCHORS), timer->anchor);
    lua_call(L, 1, 0);
}

static void run_sleeper(lua_State *L, struct tcpm__lua_call *call)
{
    const struct timer *timer = (const struct timer *) call;

    tcpm__lua_push_running(L);
    lua_pushboolean(L, 1);
    tcpm__lua_resume(L, timer->thread);
    tcpm__lua_pop_running(L);
}

/* A session that has stopped has no tasks, and their coroutines may be gone. */
static void wake_sleeper(struct tcpm__lua_runtime *rt, struct timer *timer)
{
    struct tcpm__lua_session *session = tcpm__lua_session_find(rt, timer->session);

    if (session != NULL)
        call_part(rt, session, &timer->call);
}

static void on_timer(struct tcpm_session *home, void *user, void *argument)
{
    struct timer *timer = argument;
    struct tcpm__lua_runtime *rt = runtime_of(timer->link);

    (void) home;
    (void) user;
    tcpm__lua_timer_leave(&timer->set);
    if (rt != NULL && timer->thread != NULL)
        wake_sleeper(rt, timer);
    else if (rt != NULL)
        call_part(rt, NULL, &timer->call);
    on_timer_drop(timer);
}

/* Sets a copy of the timer, and pushes its number. Raises if there is no memory. False: the state
   is closing, and nothing is pushed. */
static bool start_timer(lua_State *L, const struct timer *model, int64_t ns)
{
    struct tcpm__lua_runtime *rt = tcpm__lua_runtime(L);
    struct timer *timer = malloc(sizeof *timer);

    if (timer == NULL) {
        if (model->anchor != 0)
            tcpm__lua_anchor_drop(rt, model->anchor);
        luaL_error(L, "not enough memory");
        return false;
    }
    *timer = *model;
    timer->link = tcpm__lua_link_keep(rt->link);
    struct tcpm_task task = {.run = on_timer, .drop = on_timer_drop, .argument = timer};
    int result = tcpm_delay_ns(rt->home, (struct tcpm_id){0}, ns, task, &timer->set.alarm);
    if (result < 0) {
        on_timer_drop(timer);
        if (result == -ENOMEM)
            luaL_error(L, "not enough memory");
        return false;
    }
    tcpm__lua_timer_join(rt, &timer->set);
    lua_pushnumber(L, (lua_Number) timer->set.alarm.n);
    return true;
}

/* shared.set_timer(object, ns) -> the timer's number: shared.task_timer(object) is called then.
   Nothing: no task goes on any more. One that has caused a fatal error may run on, but not wait. */
static int shared_set_timer(lua_State *L)
{
    struct tcpm__lua_runtime *rt = tcpm__lua_runtime(L);

    luaL_checktype(L, 1, LUA_TTABLE);
    int64_t ns = (int64_t) luaL_checknumber(L, 2);
    if (rt->home == NULL || (rt->owner != NULL && rt->owner->muted))
        return 0;
    lua_pushvalue(L, 1);
    struct timer model = {.call.run = run_timer};
    model.anchor = luaL_ref(L, lua_upvalueindex(UP_ANCHORS));
    return start_timer(L, &model, ns) ? 1 : 0;
}

enum { TASK_TIMER = 2 }; /* an index that lua/co/waits.lua reads */

/* shared.await_time(task, ns, thread) -> true after that time, for the running task, whose
   coroutine is thread; the timer's number is in the task meanwhile. nil, at once: C cannot resume
   it. A wait that ends otherwise gives what the task is resumed with. */
static int shared_await_time(lua_State *L)
{
    struct tcpm__lua_runtime *rt = tcpm__lua_runtime(L);

    if (rt->home == NULL || rt->owner == NULL || rt->owner->muted || !tcpm__lua_may_yield(L, 3))
        return 0;
    const struct timer model = {
        .call.run = run_sleeper,
        .thread = L,
        .session = rt->owner->number,
    };
    if (!start_timer(L, &model, (int64_t) luaL_checknumber(L, 2)))
        return 0;
    lua_rawseti(L, 1, TASK_TIMER);
    return lua_yield(L, 0);
}

/* shared.remove_timer(number) */
static int shared_remove_timer(lua_State *L)
{
    struct tcpm__lua_runtime *rt = tcpm__lua_runtime(L);
    struct tcpm_alarm alarm = {(uint64_t) luaL_checknumber(L, 1)};

    if (rt->home != NULL)
        tcpm_alarm_remove(rt->home, alarm);
    return 0;
}

/* ---- errors of tasks ---- */

/* shared.report_task(session, message, cheap or nil): an error that no task waits for */
static int shared_report_task(lua_State *L)
{
    size_t length;
    struct tcpm__lua_runtime *rt = tcpm__lua_runtime(L);
    struct tcpm__lua_session *session = tcpm__lua_check_session(L, rt, 1);
    const struct tcpm__lua_slot *slot = tcpm__lua_slot_at(L, rt, 3);
    const char *message = luaL_checklstring(L, 2, &length);

    if (session == NULL)
        return 0;
    struct tcpm__lua_saved entry = tcpm__lua_enter(rt, L);
    tcpm__lua_exception_about(session, slot == NULL ? 0 : slot->id,
                              tcpm__lua_message_copy(message, length));
    tcpm__lua_leave(rt, entry);
    return 0;
}

/* shared.hears_exceptions(session) -> whether it has on_exception */
static int shared_hears_exceptions(lua_State *L)
{
    const struct tcpm__lua_session *session = tcpm__lua_check_session(L, tcpm__lua_runtime(L), 1);

    lua_pushboolean(L, session != NULL && (session->handlers >> ON_EXCEPTION & 1) != 0);
    return 1;
}

const luaL_Reg tcpm__lua_co_shared[] = {
    {"wake_tasks", shared_wake_tasks},
    {"make_room", shared_make_room},
    {"fatal", shared_fatal},
    {"set_timer", shared_set_timer},
    {"await_time", shared_await_time},
    {"remove_timer", shared_remove_timer},
    {"report_task", shared_report_task},
    {"hears_exceptions", shared_hears_exceptions},
    {NULL, NULL},
};
