/* SPDX-License-Identifier: MIT */
/*
 * send and shutdown: methods of cheaps and of sessions, and module functions. All take a cheap or
 * an id. Anything else, and in a session's method a connection of another session, answers ESTALE.
 */
#include "functions.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
    RECORDS_ON_STACK = 16,
    MAX_QUEUED = 67108864, /* Default: the core's, if the session has set none */
    LONGEST_END = 4096,    /* bytes that a line may end in */
};

struct batch {
    struct tcpm_record few[RECORDS_ON_STACK];
    struct tcpm_record *records;
    int count;
};

/* Replaces the list at index by the bytes of the command, for the filter resp. */
static void encode_list(lua_State *L, int index, int number)
{
    const char *problem = tcpm__lua_resp_encode(L, index);

    if (problem != NULL)
        luaL_error(L, "send: record %d: %s", number, problem);
    lua_replace(L, index);
}

/* Fills the batch with the records from index first on. Strings are not copied. */
static void read_records(lua_State *L, const struct tcpm__lua_slot *slot, int first,
                         struct batch *batch)
{
    for (int i = 0; i < batch->count; i++) {
        if (lua_istable(L, first + i) && tcpm__lua_resp_is_output(slot))
            encode_list(L, first + i, i + 1);
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

/* Too much is queued: the message tells how much, and the limit (max_queued, or that of all
   connections together). The bytes that the filter would add are not known. */
static int refuse_queued(lua_State *L, const struct tcpm__lua_slot *slot, const struct batch *batch,
                         size_t bytes)
{
    struct tcpm_info info = {.size = sizeof info};
    const struct tcpm__lua_session *session = slot->session;
    uint64_t limit = session->max_queued > 0 ? (uint64_t) session->max_queued : MAX_QUEUED;
    char text[160];

    if (tcpm_info_get(session->inner, tcpm__lua_slot_id(slot), &info) < 0)
        return tcpm__lua_failure(L, -ENOBUFS);
    bool own = bytes + (uint64_t) batch->count * LONGEST_END + info.queued > limit;
    snprintf(text, sizeof text, "%zu bytes to send, %llu are queued, %s %llu", bytes,
             (unsigned long long) info.queued,
             own ? "max_queued is" : "and all connections hold as much as they may; max_queued is",
             (unsigned long long) limit);
    return tcpm__lua_failure_text(L, -ENOBUFS, text);
}

/* Records that are strings were refused: tells their size. */
static int refuse_strings(lua_State *L, const struct tcpm__lua_slot *slot,
                          const struct batch *batch, int result)
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

static int strings_result(lua_State *L, const struct tcpm__lua_slot *slot,
                          const struct batch *batch, int result)
{
    if (result == -ENOBUFS || result == -EMSGSIZE)
        return refuse_strings(L, slot, batch, result);
    return send_result(L, result);
}

static bool has_lua_output(const struct tcpm__lua_slot *slot)
{
    return slot->extra != NULL && slot->extra->output != NULL;
}

static int send_values(lua_State *L, struct tcpm__lua_slot *slot, int first, struct batch *batch);

/* Turns numbers, and for the filter resp lists, into strings first. That may need memory, so a
   finalizer of the script may run and end the connection, or give it another filter. */
static int send_strings(lua_State *L, struct tcpm__lua_slot *slot, int first, struct batch *batch)
{
    struct tcpm__lua_runtime *rt = tcpm__lua_runtime(L);
    struct tcpm_id id = tcpm__lua_slot_id(slot);

    read_records(L, slot, first, batch);
    slot = tcpm__lua_slot_find(rt, id.n);
    if (slot == NULL)
        return tcpm__lua_stale(L);
    if (has_lua_output(slot))
        return send_values(L, slot, first, batch);
    return strings_result(L, slot, batch,
                          tcpm_send_many(slot->session->inner, tcpm__lua_slot_id(slot),
                                         batch->records, (size_t) batch->count));
}

/* Sends through an output filter written in Lua: records are any values. Their table is made first,
   which may run a finalizer; after that the filter stays, because its connection is busy. */
static int send_values(lua_State *L, struct tcpm__lua_slot *slot, int first, struct batch *batch)
{
    struct tcpm__lua_runtime *rt = tcpm__lua_runtime(L);
    struct tcpm_id id = tcpm__lua_slot_id(slot);

    tcpm__lua_filter_push_batch(L, first, batch->count);
    slot = tcpm__lua_slot_find(rt, id.n);
    if (slot == NULL)
        return tcpm__lua_stale(L);
    if (!has_lua_output(slot))
        return send_strings(L, slot, first, batch);
    struct tcpm__lua_filter *filter = slot->extra->output;
    struct tcpm__lua_session *session = slot->session;
    tcpm__lua_filter_put_begin(L, filter, batch->records, batch->count);
    struct tcpm__lua_saved entry = tcpm__lua_enter(rt, L);
    int result = tcpm_send_many(session->inner, id, batch->records, (size_t) batch->count);
    tcpm__lua_leave(rt, entry);
    tcpm__lua_filter_put_end(L, filter);
    if (result < 0 && tcpm__lua_filter_push_message(L, filter))
        return 3;
    return send_result(L, result);
}

static int send_to(lua_State *L, struct tcpm__lua_slot *slot, int first)
{
    struct batch batch;

    if (!has_lua_output(slot)) {
        if (lua_gettop(L) == first && lua_type(L, first) == LUA_TSTRING) {
            struct tcpm_record *record = batch.records = batch.few;

            batch.count = 1;
            record->bytes = lua_tolstring(L, first, &record->length);
            return strings_result(L, slot, &batch,
                                  tcpm_send(slot->session->inner, tcpm__lua_slot_id(slot),
                                            record->bytes, record->length));
        }
    }
    begin_batch(L, first, &batch);
    if (batch.count <= 0)
        return tcpm__lua_failure_text(L, -EINVAL, "nothing to send");
    if (has_lua_output(slot))
        return send_values(L, slot, first, &batch);
    return send_strings(L, slot, first, &batch);
}

static int cheap_send(lua_State *L)
{
    int code;
    struct tcpm__lua_slot *slot = tcpm__lua_slot_to_change_at(L, 1, &code);

    return slot == NULL ? tcpm__lua_failure(L, code) : send_to(L, slot, 2);
}

/* The connection at index 2 of a session's method. NULL: *ret_code says why; 0: the session has
   stopped. */
static struct tcpm__lua_slot *find_own(lua_State *L, int *ret_code)
{
    struct tcpm__lua_session *session = tcpm__lua_check_session(L, tcpm__lua_runtime(L), 1);
    struct tcpm__lua_slot *slot = tcpm__lua_slot_to_change_at(L, 2, ret_code);

    if (session == NULL) {
        *ret_code = 0;
        return NULL;
    }
    if (slot != NULL && slot->session != session) {
        *ret_code = -ESTALE;
        return NULL;
    }
    return slot;
}

static int session_send(lua_State *L)
{
    int code;
    struct tcpm__lua_slot *slot = find_own(L, &code);

    if (slot == NULL)
        return code == 0 ? tcpm__lua_session_failure(L, NULL) : tcpm__lua_failure(L, code);
    return send_to(L, slot, 3);
}

/* ---- shutdown ---- */

static int shutdown_at(lua_State *L, struct tcpm__lua_slot *slot, int way)
{
    bool output = !lua_isnoneornil(L, way);

    if (output && (lua_type(L, way) != LUA_TSTRING || strcmp(lua_tostring(L, way), "output") != 0))
        return luaL_error(L, "shutdown: nothing or \"output\" expected, not %s",
                          tcpm__lua_describe(L, way));
    return tcpm__lua_result(
        L, output ? tcpm_shutdown_output(slot->session->inner, tcpm__lua_slot_id(slot))
                  : tcpm_shutdown(slot->session->inner, tcpm__lua_slot_id(slot)));
}

static int cheap_shutdown(lua_State *L)
{
    int code;
    struct tcpm__lua_slot *slot = tcpm__lua_slot_to_change_at(L, 1, &code);

    return slot == NULL ? tcpm__lua_failure(L, code) : shutdown_at(L, slot, 2);
}

static int session_shutdown(lua_State *L)
{
    int code;
    struct tcpm__lua_slot *slot = find_own(L, &code);

    if (slot == NULL)
        return code == 0 ? tcpm__lua_session_failure(L, NULL) : tcpm__lua_failure(L, code);
    return shutdown_at(L, slot, 3);
}

const luaL_Reg tcpm__lua_send_methods[] = {
    {"send", cheap_send},
    {"shutdown", cheap_shutdown},
    {NULL, NULL},
};

const luaL_Reg tcpm__lua_send_session_methods[] = {
    {"send", session_send},
    {"shutdown", session_shutdown},
    {NULL, NULL},
};
