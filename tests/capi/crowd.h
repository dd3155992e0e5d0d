/* SPDX-License-Identifier: MIT */
/*
 * Many connections of one session that only come to stand, or fail: which local address each has
 * got, and how many there are of each kind. Lighter than tracks (host.h), for thousands.
 */
#ifndef TESTS_CAPI_CROWD_H
#define TESTS_CAPI_CROWD_H

#include "host.h"

enum member_state { MEMBER_CONNECTING, MEMBER_OPEN, MEMBER_FAILED, MEMBER_ENDED };

struct member {
    struct crowd *crowd;
    struct tcpm_id id;
    enum member_state state;
    char local[64]; /* address, since success */
};

struct crowd {
    struct host *host;
    struct tcpm_session *session;
    struct member *members;
    size_t most, started;            /* members that have room, and those that were used */
    size_t connecting, open, failed; /* members in these states */
    size_t live;                     /* members that have not had their last event */
    /* Of the last failure. */
    enum tcpm_op op;
    int code;
    char message[400];
};

/* Makes the session, with these options and events of the crowd's own. */
void crowd_open(struct crowd *crowd, struct host *host, struct tcpm_session_options options,
                size_t most);
/* Starts one member more. */
struct member *crowd_connect(struct crowd *crowd, const char *address, int port);
/* Starts so many, to one target, and runs the loop until all are open or have failed. */
void crowd_gather(struct crowd *crowd, size_t count, const char *address, int port);
/* Resets a member, and runs the loop until that is over. */
void crowd_end_member(struct crowd *crowd, struct member *member);
/* How many open members have this local address. */
size_t crowd_count(const struct crowd *crowd, const char *local);
/* Resets all members, and runs the loop until they are gone. */
void crowd_close(struct crowd *crowd);

/* Conditions for host_run_until. */
bool crowd_is_decided(void *crowd); /* nobody is connecting */

#endif
