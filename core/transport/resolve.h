/* SPDX-License-Identifier: MIT */
/*
 * Names to addresses, without blocking the loop. A lookup that nobody waits for any more goes on
 * in its thread, and its answer is dropped.
 */
#ifndef TCPM_TRANSPORT_RESOLVE_H
#define TCPM_TRANSPORT_RESOLVE_H

#include "transport/socket.h"

struct tcpm__lookup;

/* Called once from the loop, unless cancelled: status 0 and at least one address, each with the
   port that was asked for, valid until the call returns; or TCPM_ENOTFOUND or -errno. */
typedef void tcpm__lookup_done(void *owner, int status, const union tcpm__address *addresses,
                               size_t count);

/* family: AF_INET, AF_INET6 or AF_UNSPEC. 0, -ENOMEM, or -errno. */
int tcpm__lookup_start(struct tcpm__network *network, const char *name, unsigned port, int family,
                       tcpm__lookup_done *done, void *owner, struct tcpm__lookup **lookup);
void tcpm__lookup_cancel(struct tcpm__lookup *lookup);

#endif
