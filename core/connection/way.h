/* SPDX-License-Identifier: MIT */
/*
 * How the connections of a session, or one alone, reach their targets: who looks names up, what
 * stands for an address, which addresses are denied, how addresses are raced, which local address
 * and interface sockets are bound to, and which proxies are between. Read once from the options,
 * then shared.
 */
#ifndef TCPM_CONNECTION_WAY_H
#define TCPM_CONNECTION_WAY_H

#include <net/if.h>

#include "base/memory.h"
#include "transport/deny.h"
#include "transport/overrides.h"
#include "transport/route.h"
#include "transport/source.h"
#include "transport/tls_spec.h"

enum {
    TCPM__ATTEMPT_DELAY_MS = 250,   /* default of attempt_delay_ms (RFC 8305, section 5) */
    TCPM__RESOLUTION_DELAY_MS = 50, /* default of resolution_delay_ms (RFC 8305, section 3) */
};

/* The options of a session or connect that make a way. 0 and NULL: as in the base. "": none. Ranges
   are checked. */
struct tcpm__way_options {
    int64_t dns; /* enum tcpm_dns */
    const char *resolve;
    const char *deny;
    int64_t attempt_delay_ms;
    int64_t resolution_delay_ms;
    const char *bind_address;
    const char *bind_device;
    struct tcpm_tls *tls;
    int64_t plain; /* 1: no TLS, though the base has it */
    const char *proxy;
    int64_t direct;     /* 1: no proxy, though the base has one */
    int64_t send_proxy; /* version of the PROXY header; TCPM_NONE: no header */
};

/* Immutable and counted. What is NULL, 0 or empty is the default. */
struct tcpm__way {
    const struct tcpm__memory *memory;
    uint32_t holders;                  /* the way is freed when nobody holds it any more */
    int dns;                           /* enum tcpm_dns; 0: the default */
    uint32_t attempt_delay_ms;         /* 0: the default */
    uint32_t resolution_delay_ms;      /* 0: the default */
    struct tcpm__way *base;            /* owner of the parts that this way shares; or NULL */
    struct tcpm__way_options made_of;  /* the options as given, with texts of our own */
    char *texts;                       /* block of the texts in made_of; NULL: there are none */
    struct tcpm__overrides *overrides; /* NULL: none */
    struct tcpm__deny *deny;           /* NULL: none */
    struct tcpm__sources *sources;     /* local addresses; NULL: the kernel chooses */
    const char *sources_text;          /* the option that sources was made from, for messages */
    char device[IFNAMSIZ];             /* interface; "": any */
    struct tcpm_tls *tls;              /* held; NULL: plain text */
    struct tcpm__route *route;         /* held; NULL: no proxy */
    int send_proxy;                    /* version of the PROXY header; 0: no header */
};

/* base: NULL: all defaults. A part that the options leave open is shared with the base. 0, -ENOMEM,
   -EOPNOTSUPP: proxies that are not supported; or -EINVAL: a text cannot be read, or deny meets a
   proxy that looks the target up. */
int tcpm__way_make(const struct tcpm__memory *memory, struct tcpm__way *base,
                   const struct tcpm__way_options *options, struct tcpm__way **ret);

/* Whether the way was made of such options, whatever its base. way: NULL is allowed. */
bool tcpm__way_is_made_of(const struct tcpm__way *way, const struct tcpm__way_options *options);

/* Holds the way once more, and gives it back. way: NULL is allowed. */
struct tcpm__way *tcpm__way_keep(struct tcpm__way *way);

/* Holds the way once less. way: NULL is allowed. */
void tcpm__way_drop(struct tcpm__way *way);

static inline uint32_t tcpm__way_attempt_delay(const struct tcpm__way *way)
{
    return way == NULL || way->attempt_delay_ms == 0 ? TCPM__ATTEMPT_DELAY_MS
                                                     : way->attempt_delay_ms;
}

static inline uint32_t tcpm__way_resolution_delay(const struct tcpm__way *way)
{
    return way == NULL || way->resolution_delay_ms == 0 ? TCPM__RESOLUTION_DELAY_MS
                                                        : way->resolution_delay_ms;
}

static inline bool tcpm__way_denies(const struct tcpm__way *way, const union tcpm__address *address)
{
    return way != NULL && way->deny != NULL && tcpm__deny_has(way->deny, address);
}

/* Gives the lease of a local address back to the way's sources, and makes it 0, which is none. */
void tcpm__way_return(const struct tcpm__way *way, uint32_t *lease);

#endif
