/* SPDX-License-Identifier: MIT */
/* See crowd.h. */
#include "crowd.h"

/* Ends the time in which the member is connecting. */
static void decide(struct member *member, enum member_state state)
{
    assert_int_equal(member->state, MEMBER_CONNECTING);
    member->state = state;
    member->crowd->connecting--;
}

static void on_success(void *heap, struct tcpm_session *session, struct tcpm_id id, int fd,
                       const char *addr, unsigned port)
{
    struct tcpm_endpoints endpoints = {.size = sizeof endpoints};
    struct member *member = heap;

    (void) fd;
    (void) addr;
    (void) port;
    assert_int_equal(tcpm_endpoints_get(session, id, &endpoints), 0);
    snprintf(member->local, sizeof member->local, "%s", endpoints.local);
    decide(member, MEMBER_OPEN);
    member->crowd->open++;
}

static void on_failure(void *heap, struct tcpm_session *session, struct tcpm_id id,
                       const struct tcpm_error *error)
{
    struct member *member = heap;
    struct crowd *crowd = member->crowd;

    (void) session;
    (void) id;
    decide(member, MEMBER_FAILED);
    crowd->failed++;
    crowd->op = error->op;
    crowd->code = error->code;
    snprintf(crowd->message, sizeof crowd->message, "%s", error->message);
}

static void on_disconnected(void *heap, struct tcpm_session *session, struct tcpm_id id,
                            enum tcpm_reason reason)
{
    struct member *member = heap;

    (void) session;
    (void) id;
    (void) reason;
    member->crowd->live--;
    if (member->state == MEMBER_CONNECTING)
        decide(member, MEMBER_ENDED);
    if (member->state != MEMBER_OPEN)
        return;
    member->state = MEMBER_ENDED;
    member->crowd->open--;
}

void crowd_open(struct crowd *crowd, struct host *host, struct tcpm_session_options options,
                size_t most)
{
    static const struct tcpm_events events = {.size = sizeof events,
                                              .success = on_success,
                                              .failure = on_failure,
                                              .disconnected = on_disconnected};

    *crowd = (struct crowd){.host = host, .most = most};
    crowd->members = calloc(most, sizeof *crowd->members);
    assert_non_null(crowd->members);
    options.size = sizeof options;
    options.events = &events;
    options.input_timeout_ms = TCPM_NONE;
    assert_int_equal(tcpm_session_create(host->engine, &options, &crowd->session), 0);
}

struct member *crowd_connect(struct crowd *crowd, const char *address, int port)
{
    struct member *member = &crowd->members[crowd->started];
    struct tcpm_connect_options options = {
        .size = sizeof options, .address = address, .port = port, .heap = member};

    assert_true(crowd->started++ < crowd->most);
    member->crowd = crowd;
    crowd->connecting++;
    crowd->live++;
    assert_int_equal(tcpm_connect(crowd->session, &options, &member->id), 0);
    return member;
}

bool crowd_is_decided(void *crowd)
{
    return ((const struct crowd *) crowd)->connecting == 0;
}

void crowd_gather(struct crowd *crowd, size_t count, const char *address, int port)
{
    for (size_t i = 0; i < count; i++)
        crowd_connect(crowd, address, port);
    host_run_until(crowd->host, crowd_is_decided, crowd);
}

static bool has_ended(void *member)
{
    return ((struct member *) member)->state == MEMBER_ENDED;
}

void crowd_end_member(struct crowd *crowd, struct member *member)
{
    assert_int_equal(tcpm_reset(crowd->session, member->id), 0);
    host_run_until(crowd->host, has_ended, member);
}

size_t crowd_count(const struct crowd *crowd, const char *local)
{
    size_t count = 0;

    for (size_t i = 0; i < crowd->started; i++)
        count +=
            crowd->members[i].state == MEMBER_OPEN && strcmp(crowd->members[i].local, local) == 0;
    return count;
}

static bool is_gone(void *crowd)
{
    return ((const struct crowd *) crowd)->live == 0;
}

void crowd_close(struct crowd *crowd)
{
    for (size_t i = 0; i < crowd->started; i++)
        if (crowd->members[i].state == MEMBER_OPEN)
            assert_int_equal(tcpm_reset(crowd->session, crowd->members[i].id), 0);
    host_run_until(crowd->host, is_gone, crowd);
    free(crowd->members);
}
