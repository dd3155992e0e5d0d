/* SPDX-License-Identifier: MIT */
/*
 * send and shutdown, as methods of cheaps and of sessions and as module functions: what takes a
 * cheap or an id. Anything that is no live connection, or in a session's method another session's,
 * answers ESTALE.
 */
#include "lua_filter.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define RECORDS_ON_STACK 16
#define MAX_QUEUED       67108864 /* the core's default */
#define LONGEST_END      4096     /* what a line may end in */

struct batch {
    struct tcpm_record few[RECORDS_ON_STACK];
    struct tcpm_record *records;
    int count;
};

/* Lays out the records from index first on; strings stay where they are. */
static void read_records(lua_State *L, int first, struct batch *batch)
{
    for (int i = 0; i < batch->count; i++) {
        int type = lua_type(L, first + i);
        if (type != LUA_TSTRING && type != LUA_TNUMBER)
            luaL_error(L, "send: record %d must be a string, not %s", i + 1,
                       tcpm__lua_describe(L, first + i));
        batch->records[i].bytes = lua_tolstring(L, first + i, &batch->records[i].length);
    }
}

static void begin_batch(lua_State *L, int first, struct batch *batch)
{
    batch->count = lua_gettop(L) - first + 1;
    batch->records = batch->few;
    if (batch->count > RECORDS_ON_STACK)
        batch->records = lua_newuserdata(L, (size_t) batch->count * sizeof *batch->records);
}

static int send_result(lua_State *L, int result)
{
    if (result < 0)
        return tcpm__lua_failure(L, result);
    lua_pushboolean(L, 1);
    if (result == 0)
        return 1;
    lua_pushliteral(L, "full");
    return 2;
}

/* What is too large says so with its size, and the limit: max_queued, or else that of all
   connections together. What the filter adds to the records is not known. */
static int refuse_queued(lua_State *L, const struct slot *slot, const struct batch *batch,
                         size_t bytes)
{
    struct tcpm_info info = {.size = sizeof info};
    const struct session *session = slot->session;
    uint64_t limit = session->max_queued > 0 ? (uint64_t) session->max_queued : MAX_QUEUED;
    char text[160];
    if (tcpm_info_get(session->core, tcpm__lua_id(slot), &info) < 0)
        return tcpm__lua_failure(L, -ENOBUFS);
    bool own = bytes + (uint64_t) batch->count * LONGEST_END + info.queued > limit;
    snprintf(text, sizeof text, "%zu bytes to send, %llu are queued, %s %llu", bytes,
             (unsigned long long) info.queued,
             own ? "max_queued is" : "and all connections hold as much as they may; max_queued is",
             (unsigned long long) limit);
    return tcpm__lua_failure_text(L, -ENOBUFS, text);
}

/* Of records that are strings. */
static int refuse_strings(lua_State *L, const struct slot *slot, const struct batch *batch,
                          int result)
{
    size_t bytes = 0;
    char text[96];
    for (int i = 0; i < batch->count; i++)
        bytes += batch->records[i].length;
    if (result == -ENOBUFS)
        return refuse_queued(L, slot, batch, bytes);
    snprintf(text, sizeof text, "%s of %zu bytes: more than the filter's length field can say",
             batch->count == 1 ? "a record" : "records", bytes);
    return tcpm__lua_failure_text(L, result, text);
}

static int strings_result(lua_State *L, const struct slot *slot, const struct batch *batch,
                          int result)
{
    if (result == -ENOBUFS || result == -EMSGSIZE)
        return refuse_strings(L, slot, batch, result);
    return send_result(L, result);
}

static bool has_lua_output(const struct slot *slot)
{
    return slot->extra != NULL && slot->extra->output != NULL;
}

static int send_values(lua_State *L, struct slot *slot, int first, struct batch *batch);

/* A number becomes a string first. Where memory is asked for, a finalizer of the script may run and
   give the connection another filter. */
static int send_strings(lua_State *L, struct slot *slot, int first, struct batch *batch)
{
    read_records(L, first, batch);
    if (has_lua_output(slot))
        return send_values(L, slot, first, batch);
    return strings_result(L, slot, batch,
                          tcpm_send_many(slot->session->core, tcpm__lua_id(slot), batch->records,
                                         (size_t) batch->count));
}

/* Through an output filter that is written in Lua: records are any values. Their table comes first,
   and a finalizer with it; then the filter stays: while it runs, its connection is busy. */
static int send_values(lua_State *L, struct slot *slot, int first, struct batch *batch)
{
    struct runtime *rt = tcpm__lua_runtime(L);
    struct tcpm_id id = tcpm__lua_id(slot);
    tcpm__lua_filter_push_batch(L, first, batch->count);
    slot = tcpm__lua_slot(rt, id.n);
    if (slot == NULL)
        return tcpm__lua_stale(L);
    if (!has_lua_output(slot))
        return send_strings(L, slot, first, batch);
    struct lua_filter *filter = slot->extra->output;
    struct session *session = slot->session;
    tcpm__lua_filter_put_begin(L, filter, batch->records, batch->count);
    struct entry entry = tcpm__lua_enter(rt, L);
    int result = tcpm_send_many(session->core, id, batch->records, (size_t) batch->count);
    tcpm__lua_leave(rt, entry);
    tcpm__lua_filter_put_end(L, filter);
    if (result < 0 && tcpm__lua_filter_push_message(L, filter))
        return 3;
    return send_result(L, result);
}

static int send_to(lua_State *L, struct slot *slot, int first)
{
    struct batch batch;
    if (!has_lua_output(slot)) {
        if (lua_gettop(L) == first && lua_type(L, first) == LUA_TSTRING) {
            struct tcpm_record *record = batch.records = batch.few;
            batch.count = 1;
            record->bytes = lua_tolstring(L, first, &record->length);
            return strings_result(
                L, slot, &batch,
                tcpm_send(slot->session->core, tcpm__lua_id(slot), record->bytes, record->length));
        }
    }
    begin_batch(L, first, &batch);
    if (batch.count <= 0)
        return tcpm__lua_failure_text(L, -EINVAL, "nothing to send");
    if (has_lua_output(slot))
        return send_values(L, slot, first, &batch);
    return send_strings(L, slot, first, &batch);
}

int tcpm__lua_cheap_send(lua_State *L)
{
    int code;
    struct slot *slot = tcpm__lua_usable(L, 1, &code);
    return slot == NULL ? tcpm__lua_failure(L, code) : send_to(L, slot, 2);
}

/* The connection at index 2 of a session's method; another session's is no such connection. */
static struct slot *find_own(lua_State *L, int *code)
{
    struct session *session = tcpm__lua_session(L, tcpm__lua_runtime(L), 1);
    struct slot *slot = tcpm__lua_usable(L, 2, code);
    if (session == NULL) {
        *code = 0;
        return NULL;
    }
    if (slot != NULL && slot->session != session) {
        *code = -ESTALE;
        return NULL;
    }
    return slot;
}

int tcpm__lua_session_send(lua_State *L)
{
    int code;
    struct slot *slot = find_own(L, &code);
    if (slot == NULL)
        return code == 0 ? tcpm__lua_session_over(L, NULL) : tcpm__lua_failure(L, code);
    return send_to(L, slot, 3);
}

/* ---- shutdown ---- */

static int shutdown_at(lua_State *L, struct slot *slot, int way)
{
    bool output = !lua_isnoneornil(L, way);
    if (output && (lua_type(L, way) != LUA_TSTRING || strcmp(lua_tostring(L, way), "output") != 0))
        return luaL_error(L, "shutdown: nothing or \"output\" expected, not %s",
                          tcpm__lua_describe(L, way));
    return tcpm__lua_result(L, output
                                   ? tcpm_shutdown_output(slot->session->core, tcpm__lua_id(slot))
                                   : tcpm_shutdown(slot->session->core, tcpm__lua_id(slot)));
}

int tcpm__lua_cheap_shutdown(lua_State *L)
{
    int code;
    struct slot *slot = tcpm__lua_usable(L, 1, &code);
    return slot == NULL ? tcpm__lua_failure(L, code) : shutdown_at(L, slot, 2);
}

int tcpm__lua_session_shutdown(lua_State *L)
{
    int code;
    struct slot *slot = find_own(L, &code);
    if (slot == NULL)
        return code == 0 ? tcpm__lua_session_over(L, NULL) : tcpm__lua_failure(L, code);
    return shutdown_at(L, slot, 3);
}
