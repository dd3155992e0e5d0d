/* SPDX-License-Identifier: MIT */
/*
 * The order of addresses: after each answer the list has each address once, what was tried stays,
 * neighbours are of different families while both have addresses left, and within a family the old
 * ones come first.
 */
#include "fuzz.h"

#include "transport/order.h"

enum { MOST = TCPM__MOST_ADDRESSES, MOST_ANSWER = 80 };

struct list {
    union tcpm__address addresses[MOST];
    size_t from, count;
};

/* One byte is an address: of IPv6 with its highest bit. */
static union tcpm__address address_of(unsigned byte)
{
    union tcpm__address address = {.in6 = {.sin6_family = AF_INET6}};

    if ((byte & 0x80) != 0) {
        address.in6.sin6_addr.s6_addr[0] = 0x20;
        address.in6.sin6_addr.s6_addr[15] = (unsigned char) byte;
        return address;
    }
    return (union tcpm__address){
        .in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x0a000000 | byte)}};
}

static size_t place_of(const struct list *list, const union tcpm__address *address)
{
    size_t at = 0;

    while (at < list->count && !tcpm__address_equal(&list->addresses[at], address))
        at++;
    return at;
}

static size_t count_family(const struct list *list, size_t from, int family)
{
    size_t count = 0;

    for (size_t i = from; i < list->count; i++)
        count += list->addresses[i].any.sa_family == family;
    return count;
}

static void check_tried(const struct list *old, const struct list *new)
{
    FUZZ_CHECK(new->count <= MOST &&new->count >= old->count);
    for (size_t i = 0; i < old->from; i++)
        FUZZ_CHECK(tcpm__address_equal(&old->addresses[i], &new->addresses[i]));
    for (size_t i = 0; i < new->count; i++)
        FUZZ_CHECK(place_of(new, &new->addresses[i]) == i);
}

static void check_turns(const struct list *list, int first)
{
    size_t left[2] = {count_family(list, list->from, AF_INET),
                      count_family(list, list->from, AF_INET6)};
    int next = first == AF_INET ? 0 : 1;

    for (size_t i = list->from; i < list->count; i++) {
        int family = list->addresses[i].any.sa_family == AF_INET6;

        FUZZ_CHECK(family == next || left[next] == 0);
        left[family]--;
        next = !family;
    }
}

/* An old address that was not tried stands behind those that stood before it in its family, and is
   left out only where there is no room. */
static void check_old(const struct list *old, const struct list *new)
{
    size_t last[2] = {0, 0};

    for (size_t i = old->from; i < old->count; i++) {
        int family = old->addresses[i].any.sa_family == AF_INET6;
        size_t place = place_of(new, &old->addresses[i]);

        FUZZ_CHECK(place < new->count || new->count == MOST);
        FUZZ_CHECK(place >= last[family]);
        last[family] = place;
    }
}

static void check_new(const struct list *new, const union tcpm__address *more, size_t count)
{
    for (size_t i = 0; i < count && new->count < MOST; i++)
        FUZZ_CHECK(place_of(new, &more[i]) < new->count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    struct list list = {.count = 0};

    while (input.left > 0) {
        union tcpm__address more[MOST_ANSWER];
        struct list old = list;
        size_t count = fuzz_byte(&input) % (MOST_ANSWER + 1);
        int first = fuzz_byte(&input) % 2 == 0 ? AF_INET : AF_INET6;
        unsigned turn = fuzz_byte(&input);

        for (size_t i = 0; i < count; i++)
            more[i] = address_of(fuzz_byte(&input));
        list.count =
            tcpm__order_join(list.addresses, list.from, list.count, more, count, first, turn);
        check_tried(&old, &list);
        check_turns(&list, first);
        check_old(&old, &list);
        check_new(&list, more, count);
        list.from += fuzz_byte(&input) % (list.count - list.from + 1);
    }
    return 0;
}
