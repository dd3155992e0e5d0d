/* SPDX-License-Identifier: MIT */
/*
 * Queued states, alarms and signals: thin functions over the core's tasks, for the part written in
 * Lua (states.lua), which keeps the names. A task is a Lua table there; here it is an anchor, so
 * that the core can drop it at any time.
 */
#include "binding.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

struct task {
    struct call call;
    struct session *session;
    uint64_t id; /* of its connection; 0: the session's */
    int anchor;
    double due, ticks; /* of a beat that is running; else 0 */
};

/* Signals that s:sig watches; each has a task that stays. */
struct watched {
    struct watched *next;
    int signum;
};

static void run_dispatch(lua_State *L, struct call *call)
{
    const struct task *task = (const struct task *) call;
    lua_rawgeti(L, lua_upvalueindex(UP_CORE), PART_DISPATCH);
    lua_rawgeti(L, lua_upvalueindex(UP_PLACES), task->session->base + PLACE_OBJECT);
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

static void drop_task(void *argument)
{
    struct task *task = argument;
    if (task->session->runtime != NULL)
        tcpm__lua_unref(task->session->runtime, task->anchor);
    tcpm__lua_release(task->session);
    free(task);
}

static void dispatch(struct task *task)
{
    struct session *session = task->session;
    if (session->runtime == NULL || session->muted)
        return;
    char *message = tcpm__lua_protect(session->runtime, session, &task->call);
    if (message != NULL)
        tcpm__lua_exception(session, message);
}

static void run_task(struct tcpm_session *core, void *user, void *argument)
{
    (void) core;
    (void) user;
    dispatch(argument);
    drop_task(argument);
}

/* Each time the signal comes: the task stays. */
static void run_signal(struct tcpm_session *core, void *user, void *argument)
{
    (void) core;
    (void) user;
    dispatch(argument);
}

/* The state may remove the beat, and the task with it. */
static void run_beat(struct tcpm_session *core, void *user, void *argument, int64_t due_ns,
                     uint64_t ticks)
{
    struct task task = *(const struct task *) argument;
    (void) core;
    (void) user;
    task.due = (double) due_ns / 1e9;
    task.ticks = (double) ticks;
    dispatch(&task);
}

/* Takes the Lua table at index for the core. NULL: no memory. */
static struct task *make_task(lua_State *L, struct session *session, uint64_t id, int index)
{
    luaL_checktype(L, index, LUA_TTABLE);
    lua_pushvalue(L, index);
    int anchor = luaL_ref(L, lua_upvalueindex(UP_ANCHORS));
    struct task *task = malloc(sizeof *task);
    if (task == NULL) {
        tcpm__lua_unref(session->runtime, anchor);
        return NULL;
    }
    *task = (struct task){
        .call.run = run_dispatch,
        .session = session,
        .id = id,
        .anchor = anchor,
    };
    tcpm__lua_hold(session);
    return task;
}

static int task_failure(lua_State *L, const struct session *session, int code)
{
    return code == -ESHUTDOWN ? tcpm__lua_session_over(L, session) : tcpm__lua_failure(L, code);
}

/* core.post(session, task) -> true, or nil, message, errname. */
static int core_post(lua_State *L)
{
    struct session *session = tcpm__lua_session(L, tcpm__lua_runtime(L), 1);
    if (session == NULL)
        return tcpm__lua_session_over(L, NULL);
    struct task *task = make_task(L, session, 0, 2);
    if (task == NULL)
        return tcpm__lua_failure(L, -ENOMEM);
    struct tcpm_task core = {.run = run_task, .drop = drop_task, .argument = task};
    int result = tcpm_post(session->core, core);
    if (result < 0)
        drop_task(task);
    return result < 0 ? task_failure(L, session, result) : tcpm__lua_result(L, 0);
}

/* ---- alarms: the task knows its number, and the session's table of alarms has the task ---- */

/* OWN_ENTER_ALARM: table[number] = task. */
int tcpm__lua_enter_alarm(lua_State *L)
{
    lua_rawset(L, 1);
    return 0;
}

/* Where the table needs memory and there is none, the alarm must not run on with a number that
   nobody knows. The task is at index 3, the table at 4, or nil. */
static bool enter_alarm(lua_State *L, double number)
{
    lua_pushnumber(L, number);
    lua_setfield(L, 3, "alarm"); /* which is there already */
    if (!lua_istable(L, 4))
        return true;
    lua_rawgeti(L, lua_upvalueindex(UP_PLACES), OWN_ENTER_ALARM);
    lua_pushvalue(L, 4);
    lua_pushnumber(L, number);
    lua_pushvalue(L, 3);
    bool entered = lua_pcall(L, 3, 0, 0) == 0;
    if (!entered)
        lua_pop(L, 1);
    return entered;
}

/* Of one that has been started, or not: its number, or nil, message, errname. */
static int alarm_result(lua_State *L, struct task *task, int result, struct tcpm_alarm alarm)
{
    struct session *session = task->session;
    bool own = task->id == 0;
    if (result < 0) {
        drop_task(task);
        return own ? task_failure(L, session, result) : tcpm__lua_failure(L, result);
    }
    if (!enter_alarm(L, (double) alarm.n)) {
        tcpm_alarm_remove(session->core, alarm);
        return tcpm__lua_failure(L, -ENOMEM);
    }
    lua_pushnumber(L, (lua_Number) alarm.n);
    return 1;
}

static int start_alarm(lua_State *L, struct session *session, uint64_t id)
{
    double ns = luaL_checknumber(L, 2);
    struct task *task = make_task(L, session, id, 3);
    if (task == NULL)
        return tcpm__lua_failure(L, -ENOMEM);
    struct tcpm_task core = {.run = run_task, .drop = drop_task, .argument = task};
    struct tcpm_alarm alarm = {0};
    int result = tcpm_delay_ns(session->core, (struct tcpm_id){id}, (int64_t) ns, core, &alarm);
    return alarm_result(L, task, result, alarm);
}

/* core.delay(session, ns, task, alarms) -> alarm number, or nil, message, errname. */
static int core_delay(lua_State *L)
{
    struct session *session = tcpm__lua_session(L, tcpm__lua_runtime(L), 1);
    if (session == NULL)
        return tcpm__lua_session_over(L, NULL);
    return start_alarm(L, session, 0);
}

/* core.cheap_delay(cheap, ns, task, alarms) -> the same. */
static int core_cheap_delay(lua_State *L)
{
    struct slot *slot = tcpm__lua_slot_at(L, tcpm__lua_runtime(L), 1);
    if (slot == NULL)
        return tcpm__lua_stale(L);
    return start_alarm(L, slot->session, slot->id);
}

/* core.every(session, ns, task, alarms) -> the same. */
static int core_every(lua_State *L)
{
    struct session *session = tcpm__lua_session(L, tcpm__lua_runtime(L), 1);
    if (session == NULL)
        return tcpm__lua_session_over(L, NULL);
    int64_t ns = (int64_t) luaL_checknumber(L, 2);
    struct task *task = make_task(L, session, 0, 3);
    if (task == NULL)
        return tcpm__lua_failure(L, -ENOMEM);
    struct tcpm_beat core = {.run = run_beat, .drop = drop_task, .argument = task};
    struct tcpm_alarm alarm = {0};
    int result = tcpm_every(session->core, ns, core, &alarm);
    return alarm_result(L, task, result, alarm);
}

static struct tcpm_alarm check_alarm(lua_State *L, int index)
{
    return (struct tcpm_alarm){(uint64_t) luaL_checknumber(L, index)};
}

/* core.adjust(session, alarm, ns) -> true, or nil, message, errname. */
static int core_adjust(lua_State *L)
{
    struct session *session = tcpm__lua_session(L, tcpm__lua_runtime(L), 1);
    if (session == NULL)
        return tcpm__lua_session_over(L, NULL);
    int64_t ns = (int64_t) luaL_checknumber(L, 3);
    return tcpm__lua_result(L, tcpm_delay_adjust_ns(session->core, check_alarm(L, 2), ns));
}

/* core.remove(session, alarm) -> true, or nil, message, errname. */
static int core_remove(lua_State *L)
{
    struct session *session = tcpm__lua_session(L, tcpm__lua_runtime(L), 1);
    if (session == NULL)
        return tcpm__lua_session_over(L, NULL);
    return tcpm__lua_result(L, tcpm_alarm_remove(session->core, check_alarm(L, 2)));
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

/* core.signals() -> a table whose keys are the names of all signals that can be watched. */
static int core_signals(lua_State *L)
{
    lua_newtable(L);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        lua_pushboolean(L, 1);
        lua_setfield(L, -2, signals[i].name);
    }
    return 1;
}

static bool is_watching(const struct session *session, int signum)
{
    for (const struct watched *watched = session->watched; watched; watched = watched->next)
        if (watched->signum == signum)
            return true;
    return false;
}

static void tell_runner(const struct session *session, int signum, int change)
{
    if (session->runtime != NULL && session->runtime->watch_changed != NULL)
        session->runtime->watch_changed(signum, change);
}

static void remember_signal(struct session *session, struct watched *watched, int signum)
{
    *watched = (struct watched){.next = session->watched, .signum = signum};
    session->watched = watched;
    tell_runner(session, signum, 1);
}

static void forget(struct session *session, struct watched **place)
{
    struct watched *watched = *place;
    tell_runner(session, watched->signum, -1);
    *place = watched->next;
    free(watched);
}

void tcpm__lua_watched_free(struct session *session)
{
    while (session->watched != NULL)
        forget(session, &session->watched);
}

static void forget_signal(struct session *session, int signum)
{
    struct watched **place = &session->watched;
    while (*place != NULL && (*place)->signum != signum)
        place = &(*place)->next;
    if (*place != NULL)
        forget(session, place);
}

static int start_watch(lua_State *L, struct session *session, int signum, int index)
{
    struct task *task = make_task(L, session, 0, index);
    struct watched *watched = malloc(sizeof *watched);
    if (task == NULL || watched == NULL) {
        if (task != NULL)
            drop_task(task);
        free(watched);
        return tcpm__lua_failure(L, -ENOMEM);
    }
    struct tcpm_task core = {.run = run_signal, .drop = drop_task, .argument = task};
    int result = tcpm_sig(session->core, signum, core);
    if (result < 0) {
        drop_task(task);
        free(watched);
        return task_failure(L, session, result);
    }
    if (is_watching(session, signum))
        free(watched);
    else
        remember_signal(session, watched, signum);
    return tcpm__lua_result(L, 0);
}

/* core.sig(session, name, task or nil) -> true, or nil, message, errname. The name is one of
   core.signals(). */
static int core_sig(lua_State *L)
{
    struct session *session = tcpm__lua_session(L, tcpm__lua_runtime(L), 1);
    int signum = signal_number(luaL_checkstring(L, 2));
    if (session == NULL)
        return tcpm__lua_session_over(L, NULL);
    lua_settop(L, 3);
    if (!lua_isnil(L, 3))
        return start_watch(L, session, signum, 3);
    forget_signal(session, signum);
    return tcpm__lua_result(L, tcpm_sig(session->core, signum, (struct tcpm_task){0}));
}

const luaL_Reg tcpm__lua_task_functions[] = {
    {"post", core_post},   {"delay", core_delay},     {"cheap_delay", core_cheap_delay},
    {"every", core_every}, {"adjust", core_adjust},   {"remove", core_remove},
    {"sig", core_sig},     {"signals", core_signals}, {NULL, NULL},
};
