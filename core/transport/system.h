/* SPDX-License-Identifier: MIT */
/*
 * The system's resolver as a backend of names.h: getaddrinfo, which knows nsswitch.conf, in threads
 * of our own. libuv's threads would do, but nobody can leave while one of them waits for a name
 * server: not the loop, not the process.
 *
 * What always holds: at most four threads run, and nobody waits for them. The loop may end, the
 * engine may be closed and a module may be unloaded while they do; the library itself stays mapped
 * (linked with -z nodelete).
 */
#ifndef TCPM_TRANSPORT_SYSTEM_H
#define TCPM_TRANSPORT_SYSTEM_H

#include "transport/names.h"
#include "transport/network.h"

/* The tag of the descriptor in the network's set that tells of answers. */
#define TCPM__SYSTEM_TAG (UINT64_C(3) << 62)

/* Begins with its struct tcpm__backend, which asks for all families at once. Its ask fails with
   -EAGAIN when the system gives no further thread. */
struct tcpm__system;

/* names: hears the answers. 0, -ENOMEM or -errno. */
int tcpm__system_open(struct tcpm__network *network, struct tcpm__names *names,
                      struct tcpm__system **ret);

/* An event of the set with TCPM__SYSTEM_TAG: hands the answers that have come to the names. */
void tcpm__system_event(struct tcpm__system *system);

/* Look-ups that run go on, and their answers are dropped. Not from inside tcpm__system_event.
   system: NULL is allowed. */
void tcpm__system_close(struct tcpm__system *system);

/* Closes in a forked process, which has none of the threads, and shares the set with the process
   that has them. system: NULL is allowed. */
void tcpm__system_abandon(struct tcpm__system *system);

void tcpm__system_validate(const struct tcpm__system *system);

#endif
