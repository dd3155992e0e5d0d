/* SPDX-License-Identifier: MIT */
/*
 * Addresses in the order of Happy Eyeballs. Called for each answer to a look-up, while addresses of
 * an earlier answer may be tried already.
 *
 * What always holds: no address is in the list twice, and none that was tried moves. While both
 * families have addresses left, two neighbours are of different families.
 */
#include "transport/order.h"

#include <string.h>

#include "base/assert.h"

/* Addresses of one family that are to be tried. */
struct queue {
    int family;
    const union tcpm__address *tried; /* addresses that must not come in again */
    size_t tried_count;
    size_t count;
    union tcpm__address addresses[TCPM__MOST_ADDRESSES];
};

/* Not all of a struct queue is set: its addresses are many bytes for a look-up. */
static void init_queue(struct queue *queue, int family, const union tcpm__address *tried,
                       size_t tried_count)
{
    queue->family = family;
    queue->tried = tried;
    queue->tried_count = tried_count;
    queue->count = 0;
}

/* Whether both are the same host; scopes count, ports do not. */
static bool is_same(const union tcpm__address *a, const union tcpm__address *b)
{
    if (a->any.sa_family != b->any.sa_family)
        return false;
    if (a->any.sa_family == AF_INET)
        return a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
    return a->in6.sin6_scope_id == b->in6.sin6_scope_id &&
           memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, sizeof a->in6.sin6_addr) == 0;
}

static bool contains(const union tcpm__address *list, size_t count,
                     const union tcpm__address *address)
{
    for (size_t i = 0; i < count; i++)
        if (is_same(&list[i], address))
            return true;
    return false;
}

/* Puts an address behind the others if it is of the family, new, and has room. */
static void offer(struct queue *queue, const union tcpm__address *address)
{
    if (address->any.sa_family == queue->family && queue->count < TCPM__MOST_ADDRESSES &&
        !contains(queue->tried, queue->tried_count, address) &&
        !contains(queue->addresses, queue->count, address))
        queue->addresses[queue->count++] = *address;
}

/* The index of the address with which a list begins after so many turns: the next address of the
   family in each. 0: the list has none of the family. */
static size_t find_start(const union tcpm__address *list, size_t count, int family, unsigned turn)
{
    size_t found = 0;

    for (size_t i = 0; i < count; i++)
        found += list[i].any.sa_family == family;
    if (found == 0)
        return 0;
    size_t skipped = turn % found, at = 0;
    while (list[at].any.sa_family != family || skipped-- > 0)
        at++;
    return at;
}

static void offer_rotated(struct queue *queue, const union tcpm__address *list, size_t count,
                          unsigned turn)
{
    size_t start = find_start(list, count, queue->family, turn);

    for (size_t i = start; i < count; i++)
        offer(queue, &list[i]);
    for (size_t i = 0; i < start; i++)
        offer(queue, &list[i]);
}

/* Writes both queues, one address of each in turn, as far as there is room. Gives the number of
   addresses written. */
static size_t interleave(const struct queue *one, const struct queue *other,
                         union tcpm__address *ret, size_t room)
{
    size_t written = 0;

    for (size_t i = 0; i < one->count || i < other->count; i++) {
        if (i < one->count && written < room)
            ret[written++] = one->addresses[i];
        if (i < other->count && written < room)
            ret[written++] = other->addresses[i];
    }
    return written;
}

size_t tcpm__order_join(union tcpm__address *list, size_t from, size_t count,
                        const union tcpm__address *more, size_t more_count, int first,
                        unsigned turn)
{
    struct queue one, other;

    TCPM__ASSERT(from <= count && count <= TCPM__MOST_ADDRESSES);
    init_queue(&one, first, list, from);
    init_queue(&other, first == AF_INET ? AF_INET6 : AF_INET, list, from);
    for (size_t i = from; i < count; i++) {
        offer(&one, &list[i]);
        offer(&other, &list[i]);
    }
    offer_rotated(&one, more, more_count, turn);
    offer_rotated(&other, more, more_count, turn);
    return from + interleave(&one, &other, list + from, TCPM__MOST_ADDRESSES - from);
}
