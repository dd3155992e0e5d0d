/* SPDX-License-Identifier: MIT */
/*
 * What the tests of races share: names with addresses that the test gives, in place of the system's
 * resolver; listeners whose queue is full until the test accepts; kernels that have no route.
 */
#ifndef TESTS_CAPI_RACING_H
#define TESTS_CAPI_RACING_H

#include "host.h"

/* Gives a name addresses, separated by spaces, in this order. Both are borrowed. An engine keeps
   the answer, and rotates the addresses each time: what shall begin with the first one needs a new
   name (racing_new_name). */
void racing_name(const char *name, const char *addresses);
/* A name of its own for these addresses. Only the newest names are remembered. */
const char *racing_new_name(const char *addresses);
/* Forgets all names. */
void racing_forget(void);
/* The family that the last look-up has asked for: AF_INET, AF_INET6 or AF_UNSPEC. */
int racing_family(void);

/* From here on each look-up takes so many milliseconds. */
void racing_delay(int ms);

/* From here on each connect to this address fails at once with this errno. NULL: none does. */
void racing_unroute(const char *address, int error);

/* A listener that answers no SYN, as its queue is full. */
struct crowd {
    int listener;
    int waiting[8];   /* sockets that fill the queue; -1: none */
    int accepted[16]; /* sockets accepted by crowd_accept; -1: none */
};

/* Listens on a numeric address; port 0: a free one. Gives the port, or -1: it is in use. */
int crowd_open(struct crowd *crowd, const char *address, int port);
/* Accepts all who wait, and makes room in the queue for one more. */
void crowd_accept(struct crowd *crowd);
void crowd_close(struct crowd *crowd);

/* Opens as many crowds as there are addresses, separated by spaces, all on one port that no other
   listener has at these addresses. Gives the port. */
int crowds_open(struct crowd *crowds, const char *addresses);
void crowds_close(struct crowd *crowds, size_t count);

/* A session whose names are looked up by the system. */
struct tcpm_session *racing_session(struct host *host, struct tcpm_session_options options);
/* Connects to a name. */
void racing_connect(struct track *track, struct tcpm_session *session, const char *name, int port);

/* Sockets that the engine counts, by its dump. */
unsigned racing_places(struct host *host);

/* Milliseconds since a reading of tcpm_now_ns(). */
int racing_ms_since(int64_t began_ns);

/* Runs the loop for so many milliseconds. */
void racing_run_for(struct host *host, int ms);

#endif
