/* SPDX-License-Identifier: MIT */
/*
 * The dump of an engine, for tcpm_engine_dump(): a line about the engine, then a line about each
 * connection, session by session, the oldest first. tcpmulti.h describes the form of the lines.
 *
 * What always holds: nothing is changed, and no memory is taken.
 */
#include "connection/line.h"

#include <ctype.h>
#include <stddef.h>

/* Adds a name like HALF_OPEN in lower case. */
static void add_lower(struct tcpm__line *line, const char *name)
{
    for (; *name != '\0'; name++)
        tcpm__line_add(line, "%c", tolower((unsigned char) *name));
}

void tcpm__dump_flags(struct tcpm__line *line, uint32_t flags)
{
#define TCPM__NAME(name) #name,
    static const char *const names[] = {TCPM__FLAGS(TCPM__NAME)};
#undef TCPM__NAME
    const char *before = "";

    if (flags == 0)
        tcpm__line_add(line, "-");
    for (unsigned bit = 0; bit < TCPM__FLAG_COUNT; bit++)
        if (flags & 1u << bit) {
            tcpm__line_add(line, "%s", before);
            add_lower(line, names[bit]);
            before = ",";
        }
}

static void add_number(struct tcpm__line *line, const char *name, uint64_t number)
{
    tcpm__line_add(line, " %s %llu", name, (unsigned long long) number);
}

/* Adds a number and its limit. limit: UINT64_MAX: no limit. */
static void add_share(struct tcpm__line *line, const char *name, uint64_t used, uint64_t limit)
{
    add_number(line, name, used);
    if (limit != UINT64_MAX)
        add_number(line, "of", limit);
}

/* Adds a time. ms: UINT64_MAX: none. */
static void add_time(struct tcpm__line *line, const char *name, uint64_t ms)
{
    if (ms == UINT64_MAX)
        tcpm__line_add(line, " %s none", name);
    else
        tcpm__line_add(line, " %s %llums", name, (unsigned long long) ms);
}

static uint64_t left_of(uint64_t due_ms, uint64_t now_ms)
{
    if (due_ms == UINT64_MAX)
        return due_ms;
    return due_ms > now_ms ? due_ms - now_ms : 0;
}

/* Time left until the deadline, in ms; UINT64_MAX: no deadline. Before the first attempt the
   deadline is still a duration. */
static uint64_t deadline_left(const struct tcpm__connection *connection, uint64_t now_ms)
{
    uint64_t due = tcpm__timers_deadline_due(connection);

    return tcpm__has(connection, TCPM__BEGUN) ? left_of(due, now_ms) : due;
}

/* Tells the two phases apart that are both shown as shutting. */
static const char *kind_of_shutting(enum tcpm__phase phase)
{
    if (phase == TCPM__PHASE_FLUSHING)
        return ":flushing";
    return phase == TCPM__PHASE_ENDING ? ":ending" : "";
}

static const char *name_of(enum tcpm__sending sending)
{
    static const char *const names[] = {
        [TCPM__SENDING_OPEN] = "open",           [TCPM__SENDING_BROKEN] = "broken",
        [TCPM__SENDING_SHUT] = "shut",           [TCPM__SENDING_FINISHED] = "finished",
        [TCPM__SENDING_LINGERING] = "lingering", [TCPM__SENDING_BROKEN_SHUT] = "broken_shut",
    };

    return names[sending];
}

static void add_connection(struct tcpm__line *line, const struct tcpm__connection *connection,
                           uint64_t now_ms)
{
    tcpm__line_add_connection(line, connection);
    tcpm__line_add(line, " %s%s ", tcpm_phase_name(tcpm__phase_shown(connection->phase)),
                   kind_of_shutting(connection->phase));
    tcpm__dump_flags(line, connection->flags);
    tcpm__line_add(line, " output %s", name_of(connection->sending));
    add_time(line, "timeout", left_of(tcpm__timers_timeout_due(connection), now_ms));
    add_time(line, "deadline", deadline_left(connection, now_ms));
    add_number(line, "received", connection->received);
    add_number(line, "sent", connection->sent);
    add_number(line, "queued", tcpm__sending_unsent(connection));
    add_number(line, "held", tcpm__buffer_length(connection->input));
}

static const struct tcpm_session *session_at(const struct tcpm__list *node)
{
    return TCPM__CONTAINER(node, struct tcpm_session, in_engine);
}

static void add_engine(struct tcpm__line *line, const struct tcpm_engine *engine)
{
    const struct tcpm__list *all = &engine->sessions.all;
    uint64_t phases[TCPM_PHASE_CLOSED + 1] = {0}, sessions = 0;

    for (const struct tcpm__list *node = all->next; node != all; node = node->next) {
        sessions++;
        for (enum tcpm__phase phase = TCPM__PHASE_WAITING; phase < TCPM__PHASE_CLOSED; phase++)
            phases[tcpm__phase_shown(phase)] += session_at(node)->phases[phase];
    }
    tcpm__line_add(line, "engine sessions %llu", (unsigned long long) sessions);
    for (enum tcpm_phase phase = TCPM_PHASE_WAITING; phase < TCPM_PHASE_CLOSED; phase++)
        add_number(line, tcpm_phase_name(phase), phases[phase]);
    add_share(line, "places", engine->admission.places, engine->admission.ceiling);
    add_share(line, "memory", engine->bytes.held, engine->bytes.max);
    add_number(line, "work", engine->turn.work);
}

static void dump_session(const struct tcpm_session *session, uint64_t now_ms,
                         void (*on_line)(const char *line, void *user), void *user)
{
    const struct tcpm__pool *pool = &session->engine->connections;
    const size_t offset = offsetof(struct tcpm__connection, in_session);

    for (uint32_t slot = session->connections.first; slot != 0;
         slot = tcpm__chain_next_of(pool, &session->connections, slot, offset)) {
        struct tcpm__line line = {.length = 0};

        add_connection(&line, tcpm__pool_at(pool, slot), now_ms);
        on_line(tcpm__line_finish(&line), user);
    }
}

void tcpm__dump_engine(const struct tcpm_engine *engine,
                       void (*on_line)(const char *line, void *user), void *user)
{
    const struct tcpm__list *all = &engine->sessions.all;
    uint64_t now_ms = tcpm__clock_ns() / 1000000;
    struct tcpm__line line = {.length = 0};

    add_engine(&line, engine);
    on_line(tcpm__line_finish(&line), user);
    for (const struct tcpm__list *node = all->next; node != all; node = node->next)
        dump_session(session_at(node), now_ms, on_line, user);
}
