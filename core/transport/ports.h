/* SPDX-License-Identifier: MIT */
/*
 * The range of ports from which the kernel gives one to a socket that asks for none. Where a target
 * has such a port, a connect to loopback may meet itself, see tcpm__socket_is_self_connected.
 */
#ifndef TCPM_TRANSPORT_PORTS_H
#define TCPM_TRANSPORT_PORTS_H

#include <stdbool.h>
#include <stdint.h>

enum { TCPM__PORTS_UNCHANGED_MS = 20 /* as long a range that was read counts as unchanged */ };

struct tcpm__ports {
    uint16_t first, last;
    uint64_t read_ms; /* when the range was last read from the system; 0: never */
};

static inline bool tcpm__ports_contain(const struct tcpm__ports *ports, unsigned port)
{
    return port >= ports->first && port <= ports->last;
}

/* Reads the range from the system. */
void tcpm__ports_refresh(struct tcpm__ports *ports, uint64_t now_ms);

/* Whether the kernel may have given this port by itself. An administrator may change the range: for
   a port outside of the range as known the range is read again, but not for each of many
   connections. */
static inline bool tcpm__ports_may_give(struct tcpm__ports *ports, unsigned port, uint64_t now_ms)
{
    bool is_inside = tcpm__ports_contain(ports, port);

    if (is_inside || now_ms - ports->read_ms < TCPM__PORTS_UNCHANGED_MS)
        return is_inside;
    tcpm__ports_refresh(ports, now_ms);
    return tcpm__ports_contain(ports, port);
}

#endif
