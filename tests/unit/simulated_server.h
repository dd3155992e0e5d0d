/* SPDX-License-Identifier: MIT */
/*
 * A name server in made-up time, and the way to it, for tests of the window of names. The client's
 * resolver behaves like c-ares: it sends the same query again after 2, 4 and 8 s without an answer.
 * The server behaves like dnsmasq 2.90 (forward.c there): it has a socket buffer, forwards each
 * question at once, holds so many questions at most, and refuses the next one, or drops it, as
 * others do; a question that it holds already takes no second place.
 */
#ifndef TESTS_UNIT_SIMULATED_SERVER_H
#define TESTS_UNIT_SIMULATED_SERVER_H

#include "support.h"

#include <errno.h>

#include "tcpmulti.h"
#include "transport/names.h"

#define MS UINT64_C(1000000)
#define S  UINT64_C(1000000000)

enum {
    MOST_QUESTIONS = 2 * 20000,
    SENDS = 3,    /* of a query, by c-ares */
    BUFFER = 277, /* packets that a socket of Linux has room for */
};

struct server {
    unsigned limit; /* questions that it holds at once. 0: any number */
    bool drops;     /* what is too much; otherwise it refuses */
    bool refuses_all;
    uint64_t service_ns;    /* to read and forward one packet. 0: 20 µs */
    uint64_t answer_ns;     /* until the answer is there */
    uint64_t way_ns;        /* between client and server, one way. 0: 50 µs */
    unsigned cached;        /* the first questions, so many, are answered at once */
    unsigned mute;          /* number of the question that is never answered; 0: none */
    unsigned lost_percent;  /* packets of clients that never arrive */
    uint64_t dead_until_ns; /* nothing arrives before */
};

enum happening { ARRIVE, READ, RESOLVED, REPLY, EXPIRE };

struct event {
    uint64_t ns, order;
    enum happening happening;
    uint32_t question, flight, send;
    int code;
};

/* Of a name and a family. */
struct question {
    struct tcpm__query *query; /* while it is out */
    uint32_t flight;           /* number of the query, so that late events are known */
    bool lost;
    bool is_held; /* by the server */
};

struct simulation {
    struct tcpm__backend backend;
    struct server server;
    struct tcpm__names *names;
    struct randomness random;
    uint64_t now_ns, busy_ns, last_order;
    struct event *events; /* a heap, from 1 */
    size_t event_count, event_room;
    struct question *questions;
    uint64_t sent; /* packets */
    unsigned held, unsuccessful, done;
    uint64_t last_done_ns;
};

/* ---- events ---- */

static inline bool is_before(const struct event *a, const struct event *b)
{
    return a->ns != b->ns ? a->ns < b->ns : a->order < b->order;
}

static inline void add_event(struct simulation *sim, uint64_t ns, struct event event)
{
    if (sim->event_count + 2 > sim->event_room) {
        sim->event_room = sim->event_room * 2 + 1024;
        sim->events = realloc(sim->events, sim->event_room * sizeof *sim->events);
        assert_non_null(sim->events);
    }
    event.ns = ns;
    event.order = ++sim->last_order;
    size_t place = ++sim->event_count;

    for (; place > 1 && is_before(&event, &sim->events[place / 2]); place /= 2)
        sim->events[place] = sim->events[place / 2];
    sim->events[place] = event;
}

static inline struct event take_event(struct simulation *sim)
{
    struct event first = sim->events[1], last = sim->events[sim->event_count--];
    size_t place = 1;

    for (size_t child; (child = 2 * place) <= sim->event_count; place = child) {
        if (child < sim->event_count && is_before(&sim->events[child + 1], &sim->events[child]))
            child++;
        if (!is_before(&sim->events[child], &last))
            break;
        sim->events[place] = sim->events[child];
    }
    sim->events[place] = last;
    return first;
}

/* ---- the client's side ---- */

static inline void send_packet(struct simulation *sim, struct event event)
{
    bool is_dead = sim->now_ns < sim->server.dead_until_ns;

    sim->sent++;
    if (!is_dead && random_below(&sim->random, 100) >= sim->server.lost_percent) {
        event.happening = ARRIVE;
        add_event(sim, sim->now_ns + sim->server.way_ns, event);
    }
    event.happening = EXPIRE;
    add_event(sim, sim->now_ns + (UINT64_C(2) << event.send) * S, event);
}

static inline int on_ask(struct tcpm__backend *backend, struct tcpm__query *query)
{
    struct simulation *sim = (struct simulation *) backend;
    uint32_t number = (uint32_t) strtoul(query->name + 1, NULL, 10) * 2 + query->families - 1;
    struct question *question = &sim->questions[number];

    assert_null(question->query);
    question->query = query;
    question->lost = false;
    question->flight++;
    send_packet(sim, (struct event){.question = number, .flight = question->flight});
    return 0;
}

static const struct tcpm__backend_kind simulated_kind = {.name = "simulated", .ask = on_ask};

static inline void end_query(struct simulation *sim, struct question *question, int code)
{
    union tcpm__address address = {.any = {.sa_family = AF_INET}};
    struct tcpm__query *query = question->query;
    struct tcpm__result result = {.code = code, .ttl_s = 60, .lost = question->lost};

    if (code == 0) {
        result.addresses = &address;
        result.count = 1;
    }
    question->query = NULL;
    tcpm__names_answered(sim->names, query, &result, sim->now_ns);
}

/* ---- the server's side ---- */

static inline void on_read(struct simulation *sim, struct event event)
{
    struct question *question = &sim->questions[event.question];

    if (question->is_held)
        return;
    if (sim->server.refuses_all || (sim->server.limit != 0 && sim->held == sim->server.limit)) {
        event.happening = REPLY;
        event.code = TCPM_EREFUSED;
        if (!sim->server.drops)
            add_event(sim, sim->now_ns + sim->server.way_ns, event);
        return;
    }
    if (sim->server.mute != 0 && event.question == sim->server.mute)
        return;
    bool is_cached = event.question < sim->server.cached;

    question->is_held = true;
    sim->held++;
    event.happening = RESOLVED;
    add_event(sim, sim->now_ns + (is_cached ? 0 : sim->server.answer_ns), event);
}

static inline void on_arrive(struct simulation *sim, struct event event)
{
    uint64_t begin_ns = sim->busy_ns > sim->now_ns ? sim->busy_ns : sim->now_ns;

    if ((begin_ns - sim->now_ns) / sim->server.service_ns >= BUFFER)
        return;
    sim->busy_ns = begin_ns + sim->server.service_ns;
    event.happening = READ;
    add_event(sim, sim->busy_ns, event);
}

static inline void on_event(struct simulation *sim, struct event event)
{
    struct question *question = &sim->questions[event.question];
    bool is_out = question->query != NULL && question->flight == event.flight;

    switch (event.happening) {
    case ARRIVE:
        on_arrive(sim, event);
        break;
    case READ:
        on_read(sim, event);
        break;
    case RESOLVED:
        question->is_held = false;
        sim->held--;
        event.happening = REPLY;
        event.flight = question->flight; /* those who have asked again are told, too */
        event.code = 0;
        add_event(sim, sim->now_ns + sim->server.way_ns, event);
        break;
    case REPLY:
        if (is_out)
            end_query(sim, question, event.code);
        break;
    case EXPIRE:
    default:
        if (!is_out)
            break;
        question->lost = true;
        event.send++;
        if (event.send < SENDS)
            send_packet(sim, event);
        else
            end_query(sim, question, -ETIMEDOUT);
    }
}

/* ---- the whole ---- */

static inline void simulation_open(struct simulation *sim, const struct server *server)
{
    *sim = (struct simulation){.backend = {&simulated_kind}, .server = *server};
    sim->random.state = 88172645463325252u;
    sim->now_ns = 5 * S;
    if (sim->server.service_ns == 0)
        sim->server.service_ns = MS / 50;
    if (sim->server.way_ns == 0)
        sim->server.way_ns = MS / 20;
    if (sim->server.dead_until_ns > 0)
        sim->server.dead_until_ns += sim->now_ns;
    sim->questions = calloc(MOST_QUESTIONS, sizeof *sim->questions);
    assert_non_null(sim->questions);
    assert_int_equal(tcpm__names_create(&tcpm__memory_default, &sim->names), 0);
}

static inline void simulation_close(struct simulation *sim)
{
    tcpm__names_free(sim->names);
    free(sim->questions);
    free(sim->events);
}

/* The next event, or the tick before it. False: there are no more. */
static inline bool simulation_step(struct simulation *sim)
{
    uint64_t due_ns = tcpm__names_due_ns(sim->names);

    if (sim->event_count == 0 && due_ns == UINT64_MAX)
        return false;
    if (sim->event_count == 0 || due_ns < sim->events[1].ns) {
        sim->now_ns = due_ns > sim->now_ns ? due_ns : sim->now_ns;
        tcpm__names_tick(sim->names, sim->now_ns);
        return true;
    }
    struct event event = take_event(sim);

    sim->now_ns = event.ns;
    on_event(sim, event);
    return true;
}

static inline void on_simulated_done(void *owner, const struct tcpm__answer *answer)
{
    struct simulation *sim = owner;

    sim->done++;
    sim->unsuccessful += answer->code != 0;
    sim->last_done_ns = sim->now_ns;
}

/* Asks for both families of this many names, numbered from first. */
static inline void simulation_ask(struct simulation *sim, unsigned first, unsigned count)
{
    for (unsigned i = first; i < first + count; i++) {
        char name[16];
        struct tcpm__answer known[2];
        struct tcpm__asker *asker;

        snprintf(name, sizeof name, "n%u", i);
        int result = tcpm__names_ask(sim->names,
                                     &(struct tcpm__ask){.name = name,
                                                         .absolute = true,
                                                         .families = TCPM__ANY_FAMILY,
                                                         .backend = &sim->backend,
                                                         .done = on_simulated_done,
                                                         .owner = sim},
                                     sim->now_ns, known, &asker);

        assert_int_equal(result, 0);
        assert_non_null(asker);
    }
}

#endif
