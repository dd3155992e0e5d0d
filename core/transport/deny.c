/* SPDX-License-Identifier: MIT */
/*
 * A list of ranges of addresses, searched for each address that a connection is about to try. IPv4
 * addresses are looked for in all forms in which a route or a translator leads to them.
 *
 * What always holds: the ranges are in ascending order and disjoint. A range of addresses like
 * ::ffff:a is kept as the range of the IPv4 addresses that it stands for.
 */
#include "transport/deny.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "transport/prefix.h"

enum {
    INET6_BYTES = 16,
    QUAD_BYTES = 4,
    FORM_BYTES = 12 /* before the IPv4 address in the longest of the forms */
};

/* An address such that all addresses have one order: those of IPv4 first. */
struct key {
    unsigned char is_inet6;
    unsigned char bytes[INET6_BYTES]; /* an IPv4 address is followed by zeros */
};

struct range {
    struct key first, last;
};

struct tcpm__deny {
    size_t count;
    struct range ranges[];
};

/* ---- classes ---- */

static const struct {
    const char *name;
    const char *prefixes;
} classes[] = {
    /* Networks of one owner: RFC 1918, 6598, 4193, 3879; RFC 8215: translators of one owner. */
    {"private", "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 100.64.0.0/10 fc00::/7 fec0::/10 "
                "64:ff9b:1::/48"},
    {"loopback", "127.0.0.0/8 ::1"},
    {"linklocal", "169.254.0.0/16 fe80::/10"},
    {"multicast", "224.0.0.0/4 ff00::/8"},
    {"unspecified", "0.0.0.0 ::"},
    /* Nobody's networks, by the special-purpose registries of IANA (RFC 6890). */
    {"reserved", "0.0.0.0/8 192.0.0.0/24 192.0.2.0/24 192.88.99.0/24 198.18.0.0/15 "
                 "198.51.100.0/24 203.0.113.0/24 240.0.0.0/4 "
                 "100::/64 2001::/23 2001:db8::/32 3fff::/20 5f00::/16"},
};

/* NULL: there is no such class. */
static const char *find_class(struct tcpm__part word)
{
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++)
        if (tcpm__words_equal(word, classes[i].name))
            return classes[i].prefixes;
    return NULL;
}

/* ---- IPv4 addresses in IPv6 addresses ---- */

/* The bytes in front of the IPv4 address. */
static const struct {
    size_t length;
    unsigned char bytes[FORM_BYTES];
} forms[] = {
    {12, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}}, /* ::ffff:a, mapped: RFC 4291 */
    {12, {0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0}}, /* ::ffff:0:a, translated: RFC 2765 */
    {12, {0, 0x64, 0xff, 0x9b}},                      /* 64:ff9b::a, translated: RFC 6052 */
    {2, {0x20, 0x02}},                                /* 2002:a::, 6to4: RFC 3056 */
};

/* The bytes of the IPv4 address that has this form in an IPv6 address; NULL: there is none. */
static const unsigned char *find_quad(const unsigned char *inet6, size_t form)
{
    if (memcmp(inet6, forms[form].bytes, forms[form].length) != 0)
        return NULL;
    return inet6 + forms[form].length;
}

/* ---- ranges ---- */

static struct key make_key(const unsigned char *bytes, size_t count)
{
    struct key key = {.is_inet6 = count == INET6_BYTES};

    memcpy(key.bytes, bytes, count);
    return key;
}

static int compare_keys(const struct key *a, const struct key *b)
{
    return memcmp(a, b, sizeof *a);
}

/* bits: those that are the same in all addresses of the range. */
static struct range make_range(const unsigned char *bytes, size_t count, unsigned bits)
{
    struct range range;

    range.first = range.last = make_key(bytes, count);
    for (unsigned bit = bits; bit < count * 8; bit++)
        range.last.bytes[bit / 8] |= (unsigned char) (0x80 >> bit % 8);
    return range;
}

static struct range range_of(const struct tcpm__prefix *prefix)
{
    const unsigned bits_before = 8 * FORM_BYTES;
    size_t count;
    const unsigned char *bytes = tcpm__address_bytes(&prefix->first, &count), *quad = NULL;

    if (count == INET6_BYTES && prefix->bits >= bits_before)
        quad = find_quad(bytes, 0);
    return quad != NULL ? make_range(quad, QUAD_BYTES, prefix->bits - bits_before)
                        : make_range(bytes, count, prefix->bits);
}

static int on_compare(const void *a, const void *b)
{
    const struct range *one = a, *other = b;

    return compare_keys(&one->first, &other->first);
}

/* Puts the ranges in order, and makes one of those that overlap. */
static void settle(struct tcpm__deny *deny)
{
    size_t kept = 0;

    qsort(deny->ranges, deny->count, sizeof deny->ranges[0], on_compare);
    for (size_t i = 1; i < deny->count; i++) {
        struct range *last = &deny->ranges[kept], *next = &deny->ranges[i];

        if (compare_keys(&next->first, &last->last) > 0)
            deny->ranges[++kept] = *next;
        else if (compare_keys(&next->last, &last->last) > 0)
            last->last = next->last;
    }
    if (deny->count > 0)
        deny->count = kept + 1;
}

/* ---- reading ---- */

static struct tcpm__part list_of(const char *text)
{
    return tcpm__part_of(text, strlen(text));
}

static size_t count_words(struct tcpm__part list)
{
    struct tcpm__part word;
    size_t count = 0;

    while (tcpm__words_next_item(&list, &word))
        count++;
    return count;
}

/* How many ranges a list has room for: a class is as many as it has prefixes. */
static size_t count_ranges(struct tcpm__part list)
{
    struct tcpm__part word;
    size_t count = 0;

    while (tcpm__words_next_item(&list, &word)) {
        const char *prefixes = find_class(word);

        count += prefixes == NULL ? 1 : count_words(list_of(prefixes));
    }
    return count;
}

/* Adds the ranges of a list; a class stands for a list of its own, without further classes. 0, or
   -EINVAL: *bad is no range. */
static int add_list(struct tcpm__deny *deny, struct tcpm__part list, struct tcpm__part *bad)
{
    struct tcpm__prefix prefix;

    while (tcpm__words_next_item(&list, bad)) {
        const char *prefixes = find_class(*bad);

        if (prefixes != NULL) {
            add_list(deny, list_of(prefixes), bad);
            continue;
        }
        if (tcpm__prefix_parse(*bad, &prefix) < 0)
            return -EINVAL;
        deny->ranges[deny->count++] = range_of(&prefix);
    }
    return 0;
}

int tcpm__deny_parse(const struct tcpm__memory *memory, const char *text, struct tcpm__deny **ret,
                     struct tcpm__part *bad)
{
    struct tcpm__part list = list_of(text);
    size_t count = count_ranges(list);
    struct tcpm__deny *made =
        tcpm__memory_zeroed(memory, sizeof *made + count * sizeof made->ranges[0]);

    if (made == NULL)
        return -ENOMEM;
    if (add_list(made, list, bad) < 0) {
        tcpm__memory_free(memory, made);
        return -EINVAL;
    }
    TCPM__ASSERT(made->count == count);
    settle(made);
    *ret = made;
    return 0;
}

void tcpm__deny_free(const struct tcpm__memory *memory, struct tcpm__deny *deny)
{
    tcpm__memory_free(memory, deny);
}

/* ---- asking ---- */

/* Whether one of the ranges has the address of these bytes. */
static bool contains(const struct tcpm__deny *deny, const unsigned char *bytes, size_t count)
{
    struct key key = make_key(bytes, count);
    size_t low = 0, high = deny->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (compare_keys(&deny->ranges[middle].last, &key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < deny->count && compare_keys(&deny->ranges[low].first, &key) <= 0;
}

bool tcpm__deny_has(const struct tcpm__deny *deny, const union tcpm__address *address)
{
    size_t count;
    const unsigned char *bytes = tcpm__address_bytes(address, &count);

    if (contains(deny, bytes, count))
        return true;
    for (size_t form = 0; count == INET6_BYTES && form < sizeof forms / sizeof forms[0]; form++) {
        const unsigned char *quad = find_quad(bytes, form);

        if (quad != NULL && contains(deny, quad, QUAD_BYTES))
            return true;
    }
    return false;
}
