/* SPDX-License-Identifier: MIT */
/*
 * What the public functions share: options and times as the caller gives them, and the way from an
 * id to its connection.
 */
#ifndef TCPM_API_CHECK_H
#define TCPM_API_CHECK_H

#include "base/options.h"
#include "connection/layer.h"

#include <errno.h>

#define TCPM__TIME_MAX_MS (UINT32_MAX - 1)
#define TCPM__TIME_MAX_NS (INT64_C(1000000) * TCPM__TIME_MAX_MS)

/* The time of a call: 0 is none. 0, or -EINVAL. */
static inline int tcpm__check_delay(int64_t time_ms)
{
    return (uint64_t) time_ms > TCPM__TIME_MAX_MS ? -EINVAL : 0;
}

/* Replaces a time option by what the layer below takes, 0 for none: zero is the standard, TCPM_NONE
   is none. 0, or -EINVAL. */
static inline int tcpm__check_time(int64_t *time_ms, uint32_t standard)
{
    if (*time_ms == 0)
        *time_ms = standard;
    else if (*time_ms == TCPM_NONE)
        *time_ms = 0;
    return tcpm__check_delay(*time_ms);
}

/* The connection of this id in this session, or NULL; it may be in its disconnected. */
struct tcpm__connection *tcpm__check_find(const struct tcpm_session *session, struct tcpm_id id);

/* Likewise, but NULL once disconnected has begun, and in a process that was forked. */
struct tcpm__connection *tcpm__check_live(const struct tcpm_session *session, struct tcpm_id id);

/* Why there is none: -ESTALE, or -ECHILD in a process that was forked. */
int tcpm__check_missing(const struct tcpm_session *session);

/* Whether something may begin in this session: 0, -EINVAL (NULL), -ECHILD, or -ESHUTDOWN. */
int tcpm__check_session(const struct tcpm_session *session);

#endif
