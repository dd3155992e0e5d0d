/* SPDX-License-Identifier: MIT */
/* For tests of options that cannot be: a table of them, each of which must be -EINVAL. */
#ifndef TESTS_CAPI_REFUSED_H
#define TESTS_CAPI_REFUSED_H

#include "host.h"

/* Asserts that no row makes a session. The size of each row is filled in here. Default of events:
   those of the row. */
static inline void assert_no_session(struct host *host, const struct tcpm_session_options *rows,
                                     size_t count, const struct tcpm_events *events)
{
    struct tcpm_session *session = NULL;

    for (size_t i = 0; i < count; i++) {
        struct tcpm_session_options options = rows[i];
        options.size = sizeof options;
        if (events != NULL)
            options.events = events;
        int result = tcpm_session_create(host->engine, &options, &session);
        if (result != -EINVAL || session != NULL)
            fail_msg("row %zu: %d", i, result);
    }
}

/* Asserts that no row makes a connection. The size and the heap of each row are filled in here. */
static inline void assert_no_connection(struct tcpm_session *session,
                                        const struct tcpm_connect_options *rows, size_t count,
                                        void *heap)
{
    struct tcpm_id id = {7};

    for (size_t i = 0; i < count; i++) {
        struct tcpm_connect_options options = rows[i];
        options.size = sizeof options;
        options.heap = heap;
        int result = tcpm_connect(session, &options, &id);
        if (result != -EINVAL || id.n != 7)
            fail_msg("row %zu: %d", i, result);
    }
}

#endif
