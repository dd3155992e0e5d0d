/* SPDX-License-Identifier: MIT */
/*
 * Signals that sessions watch (s:sig). The program's own handling of a signal steps back while any
 * session watches it, so a listener is told of every change.
 */
#include "life.h"

#include <stdlib.h>

/* A signal that a session watches. Its task stays until the watch is removed. */
struct tcpm__lua_watch {
    struct tcpm__lua_watch *next;
    int signum;
};

static void tell_listener(const struct tcpm__lua_session *session, int signum, int change)
{
    if (session->runtime != NULL && session->runtime->watch_listener != NULL)
        session->runtime->watch_listener(signum, change);
}

static bool is_watched(const struct tcpm__lua_session *session, int signum)
{
    for (const struct tcpm__lua_watch *watch = session->watches; watch != NULL; watch = watch->next)
        if (watch->signum == signum)
            return true;
    return false;
}

struct tcpm__lua_watch *tcpm__lua_watch_new(void)
{
    return malloc(sizeof(struct tcpm__lua_watch));
}

void tcpm__lua_watch_add(struct tcpm__lua_session *session, struct tcpm__lua_watch *watch,
                         int signum)
{
    if (is_watched(session, signum)) {
        free(watch);
        return;
    }
    *watch = (struct tcpm__lua_watch){.next = session->watches, .signum = signum};
    session->watches = watch;
    tell_listener(session, signum, 1);
}

static void remove_at(struct tcpm__lua_session *session, struct tcpm__lua_watch **at)
{
    struct tcpm__lua_watch *watch = *at;

    tell_listener(session, watch->signum, -1);
    *at = watch->next;
    free(watch);
}

void tcpm__lua_watch_remove(struct tcpm__lua_session *session, int signum)
{
    struct tcpm__lua_watch **at = &session->watches;

    while (*at != NULL && (*at)->signum != signum)
        at = &(*at)->next;
    if (*at != NULL)
        remove_at(session, at);
}

void tcpm__lua_watches_free(struct tcpm__lua_session *session)
{
    while (session->watches != NULL)
        remove_at(session, &session->watches);
}
