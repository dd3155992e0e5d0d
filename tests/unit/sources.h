/* SPDX-License-Identifier: MIT */
/* Pools of local addresses for tests: read, taken from and given back in made-up time. */
#ifndef TESTS_UNIT_SOURCES_H
#define TESTS_UNIT_SOURCES_H

#include "addresses.h"

#include "transport/source.h"

enum { NOW_MS = 5000 };

static inline struct tcpm__sources *parse(const char *text)
{
    struct tcpm__sources *sources = NULL;
    struct tcpm__part bad;

    if (tcpm__sources_parse(&tcpm__memory_default, text, &sources, &bad) != 0)
        fail_msg("cannot read: %.*s", (int) (bad.end - bad.at), bad.at);
    return sources;
}

static const char *const inet_peer = "198.51.100.1", *const inet6_peer = "2001:db8::1";

static inline int take_at(struct tcpm__sources *sources, const char *peer_text, uint64_t now_ms,
                          union tcpm__address *ret, uint32_t *lease)
{
    union tcpm__address peer = address_with_port(peer_text, 80);

    return tcpm__sources_take(sources, &peer, now_ms, ret, lease);
}

static inline void note_full(struct tcpm__sources *sources, uint32_t lease, const char *peer_text,
                             uint64_t now_ms)
{
    union tcpm__address peer = address_with_port(peer_text, 80);

    tcpm__sources_note_full(sources, lease, &peer, now_ms);
}

/* Takes an address, and gives its last 32 bits. */
static inline uint32_t take(struct tcpm__sources *sources, const char *peer, uint32_t *lease)
{
    union tcpm__address address;

    assert_int_equal(take_at(sources, peer, NOW_MS, &address, lease), 0);
    assert_int_equal(tcpm__address_port(&address), 0);
    if (address.any.sa_family == AF_INET)
        return ntohl(address.in.sin_addr.s_addr);
    return ntohl(address.in6.sin6_addr.s6_addr32[3]);
}

static inline void give_all(struct tcpm__sources *sources, const uint32_t *leases, size_t count)
{
    for (size_t i = 0; i < count; i++)
        tcpm__sources_give(sources, leases[i]);
    assert_int_equal(tcpm__sources_validate(sources), 0);
    tcpm__sources_drop(sources);
}

#endif
