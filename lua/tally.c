/* SPDX-License-Identifier: MIT */
/*
 * Tallies: how the connections of a session have ended, as a list for the script and as lines on
 * standard error for the program's option --tally.
 */
#include "functions.h"

#include <stdio.h>
#include <stdlib.h>

#include "runtime.h"

static void set_word(lua_State *L, const char *key, const char *word)
{
    lua_pushstring(L, word);
    lua_setfield(L, -2, key);
}

/* Pushes { reason, op, errname, timer, count }, without the fields that this kind of end has not.
   */
static void push_entry(lua_State *L, const struct tcpm_tally_entry *entry)
{
    lua_createtable(L, 0, 5);
    set_word(L, "reason", tcpm_reason_name(entry->reason));
    if (entry->code != 0) {
        set_word(L, "op", tcpm_op_name(entry->op));
        set_word(L, "errname", tcpm_error_name(entry->code));
    }
    if (entry->timer != 0)
        set_word(L, "timer", tcpm_timer_name(entry->timer));
    lua_pushnumber(L, (lua_Number) entry->count);
    lua_setfield(L, -2, "count");
}

void tcpm__lua_push_tally(lua_State *L, struct tcpm_session *inner)
{
    struct tcpm_tally_entry entry = {.size = sizeof entry};

    lua_newtable(L);
    for (int i = 0; tcpm_tally(inner, (size_t) i, &entry) == 1; i++) {
        push_entry(L, &entry);
        lua_rawseti(L, -2, i + 1);
    }
}

/* shared.tally(session) -> list; nil: the session has stopped */
static int shared_tally(lua_State *L)
{
    const struct tcpm__lua_session *session = tcpm__lua_check_session(L, tcpm__lua_runtime(L), 1);

    if (session == NULL)
        lua_pushnil(L);
    else
        tcpm__lua_push_tally(L, session->inner);
    return 1;
}

void tcpm__lua_print_tally(const struct tcpm__lua_session *session, struct tcpm_session *inner)
{
    struct tcpm_tally_entry entry = {.size = sizeof entry};
    struct tcpm__lua_label label = tcpm__lua_session_label(session);

    for (size_t i = 0; tcpm_tally(inner, i, &entry) == 1; i++) {
        fprintf(stderr, "tcpmulti: %s: %8llu %s", label.text, (unsigned long long) entry.count,
                tcpm_reason_name(entry.reason));
        if (entry.timer != 0)
            fprintf(stderr, " (%s)", tcpm_timer_name(entry.timer));
        if (entry.code != 0)
            fprintf(stderr, ": %s %s: %s", tcpm_op_name(entry.op), tcpm_error_name(entry.code),
                    entry.message);
        fputc('\n', stderr);
    }
}

void tcpm__lua_print_tallies_left(struct tcpm__lua_runtime *rt)
{
    for (int i = 1; rt->prints_tally && i < rt->session_count; i++)
        if (rt->sessions[i] != NULL && rt->sessions[i]->inner != NULL)
            tcpm__lua_print_tally(rt->sessions[i], rt->sessions[i]->inner);
    rt->prints_tally = false;
}

/* Called after os.exit too, which closes nothing. */
static void on_exit_print(int status, void *argument)
{
    struct tcpm__lua_link *link = argument;

    (void) status;
    if (link->runtime != NULL)
        tcpm__lua_print_tallies_left(link->runtime);
    tcpm__lua_link_drop(link);
}

/* A session that stops prints then; all others when the module is closed, or at exit. */
void tcpm__lua_print_tallies(lua_State *L)
{
    struct tcpm__lua_runtime *rt = tcpm__lua_runtime_find(L);

    rt->prints_tally = true;
    tcpm__lua_link_keep(rt->link);
    if (on_exit(on_exit_print, rt->link) != 0)
        tcpm__lua_link_drop(rt->link);
}

const luaL_Reg tcpm__lua_tally_shared[] = {
    {"tally", shared_tally},
    {NULL, NULL},
};
