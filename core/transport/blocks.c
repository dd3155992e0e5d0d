/* SPDX-License-Identifier: MIT */
/*
 * Numbers for the addresses of prefixes, and addresses drawn from prefixes that are too large for
 * numbers. Called by source.c.
 *
 * What always holds: a block that has numbers lies within 65,536 addresses with the same first
 * bits, so an address and its successor differ in the last four bytes alone.
 */
#include "transport/blocks.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"

enum {
    NUMBERED_BITS = 16, /* bits in which the addresses of a block differ, if they have numbers */
    INET_BITS = 32,
    INET6_BITS = 128,
};

/* ---- random numbers ---- */

/* SplitMix64. */
static uint64_t draw(uint64_t *random)
{
    uint64_t bits = *random + UINT64_C(0x9e3779b97f4a7c15);

    *random = bits;
    bits = (bits ^ bits >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    bits = (bits ^ bits >> 27) * UINT64_C(0x94d049bb133111eb);
    return bits ^ bits >> 31;
}

uint32_t tcpm__random_below(uint64_t *random, uint32_t limit)
{
    return (uint32_t) ((draw(random) >> 32) * limit >> 32);
}

/* ---- addresses ---- */

/* Moves an address up. The last four bytes are enough, as blocks never cross their limit. */
static void add_offset(union tcpm__address *address, uint32_t offset)
{
    unsigned char *last = address->any.sa_family == AF_INET6
                              ? &address->in6.sin6_addr.s6_addr[12]
                              : (unsigned char *) &address->in.sin_addr;
    uint32_t value;

    memcpy(&value, last, sizeof value);
    value = htonl(ntohl(value) + offset);
    memcpy(last, &value, sizeof value);
}

/* The block that has the address with this number. */
static const struct tcpm__block *find_block(const struct tcpm__blocks *blocks, uint32_t number)
{
    uint32_t low = 0, high = blocks->length - 1;

    TCPM__ASSERT(number < blocks->count && !blocks->is_wide);
    while (low < high) {
        uint32_t middle = low + (high - low + 1) / 2;

        if (blocks->list[middle].before <= number)
            low = middle;
        else
            high = middle - 1;
    }
    return &blocks->list[low];
}

void tcpm__blocks_find(const struct tcpm__blocks *blocks, uint32_t number, union tcpm__address *ret)
{
    const struct tcpm__block *block = find_block(blocks, number);

    *ret = block->first;
    add_offset(ret, number - block->before);
}

/* Whether the first bits of the address are those of the block's prefix. */
static bool is_of_prefix(const struct tcpm__block *block, const union tcpm__address *address)
{
    size_t count;
    const unsigned char *bytes = tcpm__address_bytes(address, &count);
    const unsigned char *prefix = tcpm__address_bytes(&block->first, &count);
    size_t bits = 8 * count - block->host_bits, whole = bits / 8;

    if (memcmp(bytes, prefix, whole) != 0)
        return false;
    return bits % 8 == 0 || (bytes[whole] ^ prefix[whole]) >> (8 - bits % 8) == 0;
}

bool tcpm__blocks_have_prefix_of(const struct tcpm__blocks *blocks,
                                 const union tcpm__address *address)
{
    for (uint32_t i = 0; i < blocks->length; i++)
        if (blocks->list[i].host_bits > 0 && is_of_prefix(&blocks->list[i], address))
            return true;
    return false;
}

/* Sets the last bits of an IPv6 address to anything but 0. */
static void draw_bits(uint64_t *state, struct in6_addr *address, unsigned bits)
{
    bool is_zero = true;
    uint64_t random = 0;

    for (unsigned done = 0; done < bits; done++) {
        unsigned bit = INET6_BITS - 1 - done;

        random = done % 64 == 0 ? draw(state) : random >> 1;
        if ((random & 1) == 0)
            continue;
        address->s6_addr[bit / 8] |= (unsigned char) (0x80 >> bit % 8);
        is_zero = false;
    }
    if (is_zero)
        address->s6_addr[sizeof address->s6_addr - 1] |= 1;
}

void tcpm__blocks_draw(const struct tcpm__blocks *blocks, uint64_t *random,
                       union tcpm__address *ret)
{
    const struct tcpm__block *block = &blocks->list[tcpm__random_below(random, blocks->length)];

    *ret = block->first;
    if (block->count > 0)
        add_offset(ret, tcpm__random_below(random, block->count));
    else
        draw_bits(random, &ret->in6.sin6_addr, block->host_bits);
}

int tcpm__block_make(const struct tcpm__prefix *prefix, struct tcpm__block *ret)
{
    bool is_inet6 = prefix->first.any.sa_family == AF_INET6;
    uint32_t width = is_inet6 ? INET6_BITS : INET_BITS, host_bits = width - prefix->bits;

    *ret = (struct tcpm__block){.first = prefix->first, .host_bits = host_bits};
    if (host_bits > NUMBERED_BITS)
        return is_inet6 ? 0 : -EINVAL;
    ret->count = 1u << host_bits;
    if (host_bits >= 2) {
        add_offset(&ret->first, 1);
        ret->count -= is_inet6 ? 1 : 2;
    }
    return 0;
}

void tcpm__blocks_add(struct tcpm__blocks *blocks, const struct tcpm__block *block)
{
    struct tcpm__block *place = &blocks->list[blocks->length++];

    *place = *block;
    place->before = blocks->count;
    blocks->count += block->count;
    blocks->is_wide |= block->count == 0;
}
