/* SPDX-License-Identifier: MIT */
/*
 * Queued states, alarms and signals: thin functions over the core's tasks for the parts written in
 * Lua (states.lua, alarms.lua), which keep names. A task is a Lua table there and an anchor here,
 * so that the core can drop it at any time.
 */
#include "functions.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

struct task {
    struct tcpm__lua_call call;
    struct tcpm__lua_session *session;
    uint64_t id; /* the task's connection; 0: the task is the session's */
    int anchor;
    double due, ticks; /* when a beat runs: arguments for its state; else 0 */
};

static void run_dispatch(lua_State *L, struct tcpm__lua_call *call)
{
    const struct task *task = (const struct task *) call;

    lua_rawgeti(L, lua_upvalueindex(UP_SHARED), PART_DISPATCH);
    lua_rawgeti(L, lua_upvalueindex(UP_CELLS), task->session->base + CELL_OBJECT);
    lua_rawgeti(L, lua_upvalueindex(UP_ANCHORS), task->anchor);
    if (task->ticks > 0) {
        lua_pushnumber(L, task->due);
        lua_pushnumber(L, task->ticks);
        lua_call(L, 4, 0);
        return;
    }
    if (task->id == 0)
        lua_pushnil(L);
    else
        lua_rawgeti(L, lua_upvalueindex(UP_CHEAPS), (int) TCPM_ID_SLOT((struct tcpm_id){task->id}));
    lua_call(L, 3, 0);
}

static void on_task_drop(void *argument)
{
    struct task *task = argument;

    if (task->session->runtime != NULL)
        tcpm__lua_anchor_drop(task->session->runtime, task->anchor);
    tcpm__lua_session_release(task->session);
    free(task);
}

static void dispatch(struct task *task)
{
    struct tcpm__lua_session *session = task->session;

    TCPM__LUA_ASSERT(session->holds > 0);
    if (session->runtime == NULL || session->muted)
        return;
    char *message = tcpm__lua_protect(session->runtime, session, &task->call);
    if (message != NULL)
        tcpm__lua_exception(session, message);
}

static void on_task(struct tcpm_session *inner, void *user, void *argument)
{
    (void) inner;
    (void) user;
    dispatch(argument);
    on_task_drop(argument);
}

/* Called each time that the signal comes. The task stays. */
static void on_signal(struct tcpm_session *inner, void *user, void *argument)
{
    (void) inner;
    (void) user;
    dispatch(argument);
}

/* Works on a copy: the state may remove the beat, and with it the task. */
static void on_beat(struct tcpm_session *inner, void *user, void *argument, int64_t due_ns,
                    uint64_t ticks)
{
    struct task task = *(const struct task *) argument;

    (void) inner;
    (void) user;
    task.due = (double) due_ns / 1e9;
    task.ticks = (double) ticks;
    dispatch(&task);
}

/* Makes a task of the Lua table at index. NULL: no memory. */
static struct task *make_task(lua_State *L, struct tcpm__lua_session *session, uint64_t id,
                              int index)
{
    luaL_checktype(L, index, LUA_TTABLE);
    lua_pushvalue(L, index);
    int anchor = luaL_ref(L, lua_upvalueindex(UP_ANCHORS));
    struct task *task = malloc(sizeof *task);
    if (task == NULL) {
        tcpm__lua_anchor_drop(session->runtime, anchor);
        return NULL;
    }
    *task = (struct task){
        .call.run = run_dispatch,
        .session = session,
        .id = id,
        .anchor = anchor,
    };
    tcpm__lua_session_hold(session);
    return task;
}

static int task_failure(lua_State *L, const struct tcpm__lua_session *session, int code)
{
    return code == -ESHUTDOWN ? tcpm__lua_session_failure(L, session) : tcpm__lua_failure(L, code);
}

/* shared.post(session, task) -> true, or nil, message, errname */
static int shared_post(lua_State *L)
{
    struct tcpm__lua_session *session = tcpm__lua_check_session(L, tcpm__lua_runtime(L), 1);

    if (session == NULL)
        return tcpm__lua_session_failure(L, NULL);
    struct task *task = make_task(L, session, 0, 2);
    if (task == NULL)
        return tcpm__lua_failure(L, -ENOMEM);
    struct tcpm_task inner = {.run = on_task, .drop = on_task_drop, .argument = task};
    int result = tcpm_post(session->inner, inner);
    if (result < 0)
        on_task_drop(task);
    return result < 0 ? task_failure(L, session, result) : tcpm__lua_result(L, 0);
}

/* ---- alarms: the task knows its number, and the session's table of alarms has the task ---- */

/* Called protected: table[number] = task. */
int tcpm__lua_store_alarm(lua_State *L)
{
    lua_rawset(L, 1);
    return 0;
}

/* Stores an alarm's number in the task at index 3, and the task in the table at index 4, if that is
   a table. False: no memory, and the alarm must not run on with a number that nobody knows. */
static bool store_alarm(lua_State *L, double number)
{
    lua_pushnumber(L, number);
    lua_setfield(L, 3, "alarm"); /* replaces a value, needs no memory */
    if (!lua_istable(L, 4))
        return true;
    lua_rawgeti(L, lua_upvalueindex(UP_CELLS), OWN_STORE_ALARM);
    lua_pushvalue(L, 4);
    lua_pushnumber(L, number);
    lua_pushvalue(L, 3);
    bool entered = lua_pcall(L, 3, 0, 0) == 0;
    if (!entered)
        lua_pop(L, 1);
    return entered;
}

/* The answer of a call that has started an alarm, or failed to: the alarm's number, or nil,
   message, errname. */
static int alarm_result(lua_State *L, struct task *task, int result, struct tcpm_alarm alarm)
{
    struct tcpm__lua_session *session = task->session;
    bool own = task->id == 0;

    if (result < 0) {
        on_task_drop(task);
        return own ? task_failure(L, session, result) : tcpm__lua_failure(L, result);
    }
    if (!store_alarm(L, (double) alarm.n)) {
        tcpm_alarm_remove(session->inner, alarm);
        return tcpm__lua_failure(L, -ENOMEM);
    }
    lua_pushnumber(L, (lua_Number) alarm.n);
    return 1;
}

static int start_alarm(lua_State *L, struct tcpm__lua_session *session, uint64_t id)
{
    double ns = luaL_checknumber(L, 2);
    struct task *task = make_task(L, session, id, 3);

    if (task == NULL)
        return tcpm__lua_failure(L, -ENOMEM);
    struct tcpm_task inner = {.run = on_task, .drop = on_task_drop, .argument = task};
    struct tcpm_alarm alarm = {0};
    int result = tcpm_delay_ns(session->inner, (struct tcpm_id){id}, (int64_t) ns, inner, &alarm);
    return alarm_result(L, task, result, alarm);
}

/* shared.delay(session, ns, task, alarms) -> alarm number, or nil, message, errname */
static int shared_delay(lua_State *L)
{
    struct tcpm__lua_session *session = tcpm__lua_check_session(L, tcpm__lua_runtime(L), 1);

    if (session == NULL)
        return tcpm__lua_session_failure(L, NULL);
    return start_alarm(L, session, 0);
}

/* shared.cheap_delay(cheap, ns, task, alarms) -> alarm number, or nil, message, errname */
static int shared_cheap_delay(lua_State *L)
{
    struct tcpm__lua_slot *slot = tcpm__lua_slot_at(L, tcpm__lua_runtime(L), 1);

    if (slot == NULL)
        return tcpm__lua_stale(L);
    return start_alarm(L, slot->session, slot->id);
}

/* shared.every(session, ns, task, alarms) -> alarm number, or nil, message, errname */
static int shared_every(lua_State *L)
{
    struct tcpm__lua_session *session = tcpm__lua_check_session(L, tcpm__lua_runtime(L), 1);

    if (session == NULL)
        return tcpm__lua_session_failure(L, NULL);
    int64_t ns = (int64_t) luaL_checknumber(L, 2);
    struct task *task = make_task(L, session, 0, 3);
    if (task == NULL)
        return tcpm__lua_failure(L, -ENOMEM);
    struct tcpm_beat inner = {.run = on_beat, .drop = on_task_drop, .argument = task};
    struct tcpm_alarm alarm = {0};
    int result = tcpm_every(session->inner, ns, inner, &alarm);
    return alarm_result(L, task, result, alarm);
}

static struct tcpm_alarm check_alarm(lua_State *L, int index)
{
    return (struct tcpm_alarm){(uint64_t) luaL_checknumber(L, index)};
}

/* shared.adjust(session, alarm, ns) -> true, or nil, message, errname */
static int shared_adjust(lua_State *L)
{
    struct tcpm__lua_session *session = tcpm__lua_check_session(L, tcpm__lua_runtime(L), 1);

    if (session == NULL)
        return tcpm__lua_session_failure(L, NULL);
    int64_t ns = (int64_t) luaL_checknumber(L, 3);
    return tcpm__lua_result(L, tcpm_delay_adjust_ns(session->inner, check_alarm(L, 2), ns));
}

/* shared.remove(session, alarm) -> true, or nil, message, errname */
static int shared_remove(lua_State *L)
{
    struct tcpm__lua_session *session = tcpm__lua_check_session(L, tcpm__lua_runtime(L), 1);

    if (session == NULL)
        return tcpm__lua_session_failure(L, NULL);
    return tcpm__lua_result(L, tcpm_alarm_remove(session->inner, check_alarm(L, 2)));
}

/* ---- signals ---- */

static const struct {
    const char *name;
    int signum;
} signals[] = {

    {"HUP", SIGHUP},   {"INT", SIGINT},   {"QUIT", SIGQUIT}, {"USR1", SIGUSR1},
    {"USR2", SIGUSR2}, {"TERM", SIGTERM}, {"CHLD", SIGCHLD}, {"CONT", SIGCONT},
    {"TSTP", SIGTSTP}, {"TTIN", SIGTTIN}, {"TTOU", SIGTTOU}, {"WINCH", SIGWINCH},
    {"ALRM", SIGALRM}, {"PIPE", SIGPIPE}, {"URG", SIGURG},   {"IO", SIGIO},
};

static int signal_number(const char *name)
{
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        if (strcmp(name, signals[i].name) == 0)
            return signals[i].signum;
    return 0;
}

/* shared.signals() -> a table whose keys are the names of all signals that can be watched */
static int shared_signals(lua_State *L)
{
    lua_newtable(L);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        lua_pushboolean(L, 1);
        lua_setfield(L, -2, signals[i].name);
    }
    return 1;
}

static int watch_signal(lua_State *L, struct tcpm__lua_session *session, int signum, int index)
{
    struct task *task = make_task(L, session, 0, index);
    struct tcpm__lua_watch *watch = tcpm__lua_watch_new();

    if (task == NULL || watch == NULL) {
        if (task != NULL)
            on_task_drop(task);
        free(watch);
        return tcpm__lua_failure(L, -ENOMEM);
    }
    struct tcpm_task inner = {.run = on_signal, .drop = on_task_drop, .argument = task};
    int result = tcpm_sig(session->inner, signum, inner);
    if (result < 0) {
        on_task_drop(task);
        free(watch);
        return task_failure(L, session, result);
    }
    tcpm__lua_watch_add(session, watch, signum);
    return tcpm__lua_result(L, 0);
}

/* shared.sig(session, name, task or nil) -> true, or nil, message, errname. name: a key of
   shared.signals(). */
static int shared_sig(lua_State *L)
{
    struct tcpm__lua_session *session = tcpm__lua_check_session(L, tcpm__lua_runtime(L), 1);
    int signum = signal_number(luaL_checkstring(L, 2));

    if (session == NULL)
        return tcpm__lua_session_failure(L, NULL);
    lua_settop(L, 3);
    if (!lua_isnil(L, 3))
        return watch_signal(L, session, signum, 3);
    tcpm__lua_watch_remove(session, signum);
    return tcpm__lua_result(L, tcpm_sig(session->inner, signum, (struct tcpm_task){0}));
}

const luaL_Reg tcpm__lua_task_shared[] = {
    {"post", shared_post},   {"delay", shared_delay},     {"cheap_delay", shared_cheap_delay},
    {"every", shared_every}, {"adjust", shared_adjust},   {"remove", shared_remove},
    {"sig", shared_sig},     {"signals", shared_signals}, {NULL, NULL},
};
