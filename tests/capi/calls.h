/* SPDX-License-Identifier: MIT */
/*
 * Every function of the C API that a connection or a session can be given, in one table, so that a
 * test can call each of them from everywhere.
 */
#ifndef TESTS_CAPI_CALLS_H
#define TESTS_CAPI_CALLS_H

#include "host.h"

/* What the table says of a call, for each situation of a connection. */
struct call {
    const char *name;
    int (*make)(struct tcpm_session *session, struct tcpm_id id);
    int waiting;      /* the result while it waits, connects or is open */
    int shut;         /* after shutdown, EOF or die */
    int ending;       /* in failure, error and timeout */
    int disconnected; /* in disconnected */
};

extern const struct call calls[];
extern const size_t call_count;

#endif
