/* SPDX-License-Identifier: MIT */
/*
 * The end of connections and sessions in the binding. A session that dies tells its connections and
 * runs _stop; a session that is killed calls no function of the script any more. Also frees what
 * belongs to a slot.
 */
#include "life.h"

#include <stdlib.h>

/* ---- connections ---- */

void tcpm__lua_slot_free(struct tcpm__lua_runtime *rt, struct tcpm__lua_slot *slot)
{
    struct tcpm__lua_extra *extra = slot->extra;
    struct tcpm__lua_session *session = slot->session;
    uint32_t number = TCPM_ID_SLOT((struct tcpm_id){slot->id});

    TCPM__LUA_ASSERT(slot->id != 0);
    *slot = (struct tcpm__lua_slot){0};
    if (number <= rt->cheap_count)
        tcpm__lua_set_false(rt, rt->cheaps_reference, (int) number);
    if (extra != NULL && extra->handlers != 0) {
        TCPM__LUA_ASSERT(session->own_handlers > 0);
        session->own_handlers--;
        tcpm__lua_anchor_drop(rt, extra->anchor);
    }
    tcpm__lua_session_release(session);
    if (extra == NULL)
        return;
    tcpm__lua_filter_drop(extra->input);
    tcpm__lua_filter_drop(extra->output);
    tcpm__lua_message_free(extra->report);
    free(extra);
}

static void free_chunk(struct tcpm__lua_runtime *rt, struct tcpm__lua_slot *chunk)
{
    for (int i = 0; chunk != NULL && i < SLOTS_PER_CHUNK; i++)
        if (chunk[i].id != 0)
            tcpm__lua_slot_free(rt, &chunk[i]);
    free(chunk);
}

void tcpm__lua_slots_free(struct tcpm__lua_runtime *rt)
{
    for (uint32_t chunk = 0; chunk < rt->chunk_count; chunk++)
        free_chunk(rt, rt->chunks[chunk]);
    free(rt->chunks);
    rt->chunks = NULL;
    rt->chunk_count = 0;
}

/* ---- sessions ---- */

/* The session is held until it has stopped. */
void tcpm__lua_session_die(struct tcpm__lua_session *session)
{
    TCPM__LUA_ASSERT(!session->dying);
    session->dying = true;
    tcpm__lua_session_hold(session);
    tcpm__lua_stdin_end(session);
    tcpm__lua_watches_free(session);
    tcpm_die(session->inner);
    tcpm__lua_tasks_die(session);
}

void tcpm__lua_session_kill(struct tcpm__lua_session *session)
{
    struct tcpm__lua_runtime *rt = session->runtime;
    struct tcpm_id id = {0};

    TCPM__LUA_ASSERT(rt != NULL && !session->muted);
    session->muted = true;
    tcpm__lua_stdin_end(session);
    tcpm__lua_watches_free(session);
    if (session->inner != NULL) {
        while ((id = tcpm_next(session->inner, id)).n != 0) {
            struct tcpm__lua_slot *slot = tcpm__lua_slot_find(rt, id.n);

            if (slot != NULL)
                tcpm__lua_slot_free(rt, slot);
            tcpm_reset(session->inner, id);
        }
        if (!session->dying)
            tcpm_die(session->inner);
        session->dying = true;
    }
    tcpm__lua_cells_clear(rt, session->index);
}

void tcpm__lua_sessions_kill(struct tcpm__lua_runtime *rt)
{
    for (int i = 1; i < rt->session_count; i++)
        if (rt->sessions[i] != NULL && !rt->sessions[i]->muted)
            tcpm__lua_session_kill(rt->sessions[i]);
}
