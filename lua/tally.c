/* SPDX-License-Identifier: MIT */
/*
 * How the connections of a session have ended, as a list for the script, and as lines on standard
 * error for the runner's option --tally.
 */
#include "binding.h"

#include <stdio.h>

static void set_word(lua_State *L, const char *key, const char *word)
{
    lua_pushstring(L, word);
    lua_setfield(L, -2, key);
}

/* { reason, op, errname, timer, count }: what an end did not have is left out. */
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

void tcpm__lua_push_tally(lua_State *L, struct tcpm_session *core)
{
    struct tcpm_tally_entry entry = {.size = sizeof entry};
    lua_newtable(L);
    for (int i = 0; tcpm_tally(core, (size_t) i, &entry) == 1; i++) {
        push_entry(L, &entry);
        lua_rawseti(L, -2, i + 1);
    }
}

/* core.tally(session) -> list, or nil: the session has stopped. */
int tcpm__lua_tally(lua_State *L)
{
    const struct session *session = tcpm__lua_session(L, tcpm__lua_runtime(L), 1);
    if (session == NULL)
        lua_pushnil(L);
    else
        tcpm__lua_push_tally(L, session->core);
    return 1;
}

void tcpm__lua_print_tally(double number, struct tcpm_session *core)
{
    struct tcpm_tally_entry entry = {.size = sizeof entry};
    for (size_t i = 0; tcpm_tally(core, i, &entry) == 1; i++) {
        fprintf(stderr, "tcpmulti: session %.0f: %8llu %s", -number,
                (unsigned long long) entry.count, tcpm_reason_name(entry.reason));
        if (entry.timer != 0)
            fprintf(stderr, " (%s)", tcpm_timer_name(entry.timer));
        if (entry.code != 0)
            fprintf(stderr, ": %s %s: %s", tcpm_op_name(entry.op), tcpm_error_name(entry.code),
                    entry.message);
        fputc('\n', stderr);
    }
}
