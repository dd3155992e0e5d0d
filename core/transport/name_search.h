/* SPDX-License-Identifier: MIT */
/*
 * The search list of resolv.conf: which names a short one may stand for, in the order in which they
 * are asked for. A name with as many dots as ndots says comes first as it is, another one last.
 * Pure.
 *
 * What always holds: each candidate comes once, none is longer than 253 bytes, and one of them is
 * the name as it is.
 */
#ifndef TCPM_TRANSPORT_NAME_SEARCH_H
#define TCPM_TRANSPORT_NAME_SEARCH_H

#include <stdbool.h>

#include "transport/resolv_conf.h"

struct tcpm__name_search {
    unsigned ndots, domain_count;
    char domains[TCPM__MOST_DOMAINS][TCPM__HOST_NAME_SIZE];
};

/* How far the search for a name has come. */
struct tcpm__candidates {
    const char *name;
    unsigned next;   /* index of the next domain */
    bool had_as_is;  /* the name as it is was given */
    bool only_as_is; /* an absolute name */
};

void tcpm__name_search_init(struct tcpm__name_search *search);
void tcpm__name_search_set(struct tcpm__name_search *search, const struct tcpm__resolv_conf *conf);

/* The next candidate: in the room, or the name itself. NULL: there is none. */
const char *tcpm__name_search_next(const struct tcpm__name_search *search,
                                   struct tcpm__candidates *candidates,
                                   char room[TCPM__HOST_NAME_SIZE]);

#endif
