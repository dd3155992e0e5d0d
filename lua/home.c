/* SPDX-License-Identifier: MIT */
/*
 * The home of tasks: a core session of their own, for their wake-ups and timers, because what is
 * queued for a session is dropped when that session dies, and its tasks have to end first. The home
 * finds the runtime by a link: in a host it may outlive the Lua state.
 *
 * What always holds: the timers in the runtime's list are those that are set, since no timer may
 * keep the loop going for tasks that a fatal error has dropped.
 */
#include "life.h"

static void on_home_stopped(struct tcpm_session *home, void *user)
{
    struct tcpm__lua_link *link = user;

    if (link->runtime != NULL && link->runtime->home == home)
        link->runtime->home = NULL;
    tcpm__lua_link_drop(link);
}

int tcpm__lua_home_open(struct tcpm__lua_runtime *rt)
{
    const struct tcpm_events events = {.size = sizeof events, .stopped = on_home_stopped};
    struct tcpm_session_options options = {.size = sizeof options, .events = &events};

    options.user = tcpm__lua_link_keep(rt->link);
    int result = tcpm_session_create(rt->engine, &options, &rt->home);
    if (result < 0)
        tcpm__lua_link_drop(rt->link);
    return result;
}

void tcpm__lua_home_close(struct tcpm__lua_runtime *rt)
{
    tcpm__lua_timers_drop(rt);
    if (rt->home != NULL)
        tcpm_die(rt->home);
    rt->home = NULL;
}

/* ---- timers ---- */

void tcpm__lua_timer_join(struct tcpm__lua_runtime *rt, struct tcpm__lua_timer *timer)
{
    timer->next = rt->timers;
    timer->place = &rt->timers;
    if (timer->next != NULL)
        timer->next->place = &timer->next;
    rt->timers = timer;
}

void tcpm__lua_timer_leave(struct tcpm__lua_timer *timer)
{
    if (timer->place == NULL)
        return;
    *timer->place = timer->next;
    if (timer->next != NULL)
        timer->next->place = timer->place;
    timer->place = NULL;
}

void tcpm__lua_timers_drop(struct tcpm__lua_runtime *rt)
{
    while (rt->timers != NULL) {
        struct tcpm__lua_timer *first = rt->timers;

        tcpm_alarm_remove(rt->home, first->alarm);
        TCPM__LUA_ASSERT(rt->timers != first);
    }
}
