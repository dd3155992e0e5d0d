/* SPDX-License-Identifier: MIT */
/*
 * The backend of c-ares alone: a network on a loop, the backend, scripted name servers on loopback,
 * and in the place of names a function that writes the answers down. A test asks, waits until the
 * answers are there, and looks at them; bed_close fails if a descriptor is left.
 */
#ifndef NAMES_BED_H
#define NAMES_BED_H

#include "nameserver.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "transport/ares.h"
#include "transport/order.h"

enum {
    BED_SERVERS = 2,
    BED_TIMEOUT_MS = 100, /* for the first answer */
    BED_TRIES = 3,
};

/* A query with its answer. */
struct asked {
    struct tcpm__query query; /* the first member */
    unsigned over;            /* answers so far */
    int code;                 /* see struct tcpm__result */
    const char *message;
    uint32_t ttl_s;
    bool lost;
    size_t count;
    union tcpm__address addresses[TCPM__MOST_ADDRESSES];
    uint64_t took_ms;
    uint64_t began_ns;
};

struct bed {
    struct tcpm__network network; /* the first member */
    uv_loop_t loop;
    struct tcpm__ares *ares;
    struct nameserver *servers[BED_SERVERS];
    union tcpm__address addresses[BED_SERVERS];
    unsigned descriptors; /* open before */
    unsigned turns;       /* of the loop */
    unsigned answers;     /* to all questions */
};

/* A network, that many servers, and the backend that asks them. memory: NULL: the usual one. */
void bed_open(struct bed *bed, unsigned servers, const struct tcpm__memory *memory);
void bed_close(struct bed *bed);

/* The same servers in another order, or fewer: of addresses, from the given one on. */
void bed_configure(struct bed *bed, unsigned from, unsigned count, unsigned timeout_ms);

/* Stops a server, and starts it again at the same port. */
void bed_stop(struct bed *bed, unsigned server);
void bed_start(struct bed *bed, unsigned server, int no_tcp);

/* Asks: what the backend says at once. ret: zeroed before. family: AF_INET or AF_INET6. */
int bed_ask(struct bed *bed, const char *name, int family, struct asked *ret);

/* Runs one turn of the loop, or many until all of these have their answers; fails after 20 s. */
void bed_turn(struct bed *bed);
void bed_wait(struct bed *bed, const struct asked *asked, size_t count);

/* One question with its answer. */
void bed_look_up(struct bed *bed, const char *name, int family, struct asked *ret);

unsigned bed_count_descriptors(void);

#endif
