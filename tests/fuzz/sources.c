/* SPDX-License-Identifier: MIT */
/*
 * The option bind_address: a list, and behind a NUL what happens to it. Every address that is taken
 * is in the list and not full; of a small pool it is one that is used least; and none is refused
 * while an address has ports.
 */
#include "fuzz.h"

#include "transport/prefix.h"
#include "transport/source.h"

#include <errno.h>

enum { MOST_SIZE = 1024, MOST_TAKEN = 128, MOST_FULL = 512, PEERS = 4, COMPARED = 256 };

struct taken {
    union tcpm__address address;
    uint32_t lease;
};

/* A pair that connect has called full. */
struct full {
    union tcpm__address address;
    unsigned peer;
    uint64_t until_ms;
};

struct model {
    const char *text;
    struct tcpm__sources *sources;
    uint64_t now_ms;
    struct taken taken[MOST_TAKEN];
    size_t taken_count;
    struct full full[MOST_FULL];
    size_t full_count;
    uint64_t sizes[2];   /* addresses of IPv4 and IPv6 in the list */
    bool is_distinct[2]; /* no address of the family is in the list twice */
};

static int family_of(unsigned peer)
{
    return peer % 2 == 0 ? AF_INET : AF_INET6;
}

static union tcpm__address peer_of(unsigned peer)
{
    union tcpm__address address = {.in6 = {.sin6_family = (sa_family_t) family_of(peer)}};

    tcpm__address_set_port(&address, 80 + peer);
    return address;
}

/* ---- the list ---- */

static unsigned host_bits(const struct tcpm__prefix *prefix)
{
    return (prefix->first.any.sa_family == AF_INET6 ? 128 : 32) - prefix->bits;
}

static bool covers(const struct tcpm__prefix *prefix, const union tcpm__address *address)
{
    size_t count, other_count;
    const unsigned char *bytes = tcpm__address_bytes(&prefix->first, &count);
    const unsigned char *others = tcpm__address_bytes(address, &other_count);

    if (count != other_count)
        return false;
    for (unsigned bit = 0; bit < prefix->bits; bit++)
        if (((bytes[bit / 8] ^ others[bit / 8]) & 0x80 >> bit % 8) != 0)
            return false;
    return true;
}

static bool is_in_list(const char *text, const union tcpm__address *address)
{
    struct tcpm__part list = tcpm__part_of(text, strlen(text)), word;
    struct tcpm__prefix prefix;

    while (tcpm__words_next_item(&list, &word)) {
        FUZZ_CHECK(tcpm__prefix_parse(word, &prefix) == 0);
        if (covers(&prefix, address))
            return true;
    }
    return false;
}

/* The addresses of a prefix that may be taken; 0: more than can be counted. */
static uint64_t size_of(const struct tcpm__prefix *prefix)
{
    unsigned bits = host_bits(prefix);

    if (bits > 16)
        return 0;
    if (bits < 2)
        return UINT64_C(1) << bits;
    return (UINT64_C(1) << bits) - (prefix->first.any.sa_family == AF_INET6 ? 1 : 2);
}

static bool overlaps_earlier(const char *text, const struct tcpm__prefix *prefix, const char *end)
{
    struct tcpm__part list = tcpm__part_of(text, (size_t) (end - text)), word;
    struct tcpm__prefix other;

    while (tcpm__words_next_item(&list, &word))
        if (tcpm__prefix_parse(word, &other) == 0 &&
            (covers(&other, &prefix->first) || covers(prefix, &other.first)))
            return true;
    return false;
}

/* Finds the sizes of both pools. A wide pool counts as of no address. */
static void measure(struct model *model)
{
    struct tcpm__part list = tcpm__part_of(model->text, strlen(model->text)), word;
    bool is_wide[2] = {false, false};
    struct tcpm__prefix prefix;

    model->is_distinct[0] = model->is_distinct[1] = true;
    while (tcpm__words_next_item(&list, &word)) {
        FUZZ_CHECK(tcpm__prefix_parse(word, &prefix) == 0);
        int pool = prefix.first.any.sa_family == AF_INET6;
        uint64_t size = size_of(&prefix);

        model->sizes[pool] += size;
        is_wide[pool] |= size == 0;
        if (overlaps_earlier(model->text, &prefix, word.at))
            model->is_distinct[pool] = false;
    }
    for (int pool = 0; pool < 2; pool++)
        if (is_wide[pool])
            model->sizes[pool] = 0;
}

/* ---- what is known of an address ---- */

static unsigned count_uses(const struct model *model, const union tcpm__address *address)
{
    unsigned uses = 0;

    for (size_t i = 0; i < model->taken_count; i++)
        uses += tcpm__address_equal(&model->taken[i].address, address);
    return uses;
}

static bool is_full(const struct model *model, const union tcpm__address *address, unsigned peer)
{
    for (size_t i = 0; i < model->full_count; i++)
        if (model->full[i].peer == peer && model->full[i].until_ms > model->now_ms &&
            tcpm__address_equal(&model->full[i].address, address))
            return true;
    return false;
}

/* How many addresses count as full for this peer. */
static size_t count_full(const struct model *model, unsigned peer)
{
    size_t count = 0;

    for (size_t i = 0; i < model->full_count; i++) {
        const struct full *full = &model->full[i];
        bool is_first = true;

        for (size_t k = 0; k < i; k++)
            if (model->full[k].peer == peer && model->full[k].until_ms > model->now_ms &&
                tcpm__address_equal(&model->full[k].address, &full->address))
                is_first = false;
        count += is_first && full->peer == peer && full->until_ms > model->now_ms;
    }
    return count;
}

/* The sockets of the family that the model knows. */
static size_t count_taken(const struct model *model, int family)
{
    size_t count = 0;

    for (size_t i = 0; i < model->taken_count; i++)
        count += model->taken[i].address.any.sa_family == family;
    return count;
}

/* Without full addresses a small pool never has an address that is used by two sockets more than
   its mean. */
static void check_use(const struct model *model, const union tcpm__address *address)
{
    int family = address->any.sa_family;
    uint64_t size = model->sizes[family == AF_INET6];

    if (size == 0 || size > COMPARED || !model->is_distinct[family == AF_INET6] ||
        model->full_count > 0)
        return;
    /* An address is chosen among those with the fewest, so these are at most the mean. */
    FUZZ_CHECK(count_uses(model, address) <= count_taken(model, family) / size);
}

/* ---- steps ---- */

static void take(struct model *model, unsigned peer_number)
{
    struct taken *taken = &model->taken[model->taken_count];
    union tcpm__address peer = peer_of(peer_number);
    int family = family_of(peer_number), pool = family == AF_INET6;

    if (model->taken_count == MOST_TAKEN)
        return;
    int result =
        tcpm__sources_take(model->sources, &peer, model->now_ms, &taken->address, &taken->lease);
    FUZZ_CHECK((result == -EAFNOSUPPORT) == !tcpm__sources_have(model->sources, family));
    if (result == -EADDRNOTAVAIL && model->is_distinct[pool])
        FUZZ_CHECK(model->sizes[pool] > 0 && count_full(model, peer_number) >= model->sizes[pool]);
    if (result < 0)
        return;
    FUZZ_CHECK(taken->address.any.sa_family == family && is_in_list(model->text, &taken->address));
    FUZZ_CHECK(tcpm__address_port(&taken->address) == 0);
    FUZZ_CHECK((taken->lease == 0) == (model->sizes[pool] == 0));
    if (model->is_distinct[pool] && taken->lease != 0)
        FUZZ_CHECK(!is_full(model, &taken->address, peer_number));
    check_use(model, &taken->address);
    model->taken_count++;
}

static void give(struct model *model, size_t index)
{
    if (model->taken_count == 0)
        return;
    index %= model->taken_count;
    tcpm__sources_give(model->sources, model->taken[index].lease);
    model->taken[index] = model->taken[--model->taken_count];
}

static void note_full(struct model *model, size_t index)
{
    if (model->taken_count == 0 || model->full_count == MOST_FULL)
        return;

    const struct taken *taken = &model->taken[index % model->taken_count];
    unsigned is_inet6 = taken->address.any.sa_family == AF_INET6;
    unsigned peer_number = is_inet6 + 2u * (index % 2 != 0);
    union tcpm__address peer = peer_of(peer_number);

    tcpm__sources_note_full(model->sources, taken->lease, &peer, model->now_ms);
    if (taken->lease != 0)
        model->full[model->full_count++] =
            (struct full){taken->address, peer_number, model->now_ms + 1000};
}

static void run(struct model *model, struct fuzz_input input)
{
    while (input.left > 0) {
        unsigned step = fuzz_byte(&input);

        if (step < 0x80)
            take(model, step % PEERS);
        else if (step < 0xc0)
            give(model, step - 0x80);
        else if (step < 0xf0)
            note_full(model, step - 0xc0);
        else
            model->now_ms += 100 * (step - 0xf0);
    }
}

static void end(struct model *model)
{
    while (model->taken_count > 0)
        give(model, 0);
    FUZZ_CHECK(tcpm__sources_validate(model->sources) == 0);
    tcpm__sources_drop(model->sources);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct model model;
    struct tcpm__part bad;

    if (size > MOST_SIZE)
        return 0;

    char *text = fuzz_text(data, size);
    size_t list = strlen(text);

    model = (struct model){.text = text, .now_ms = 5000};
    if (tcpm__sources_parse(&tcpm__memory_default, text, &model.sources, &bad) == 0) {
        measure(&model);
        if (list < size)
            run(&model, (struct fuzz_input){data + list + 1, size - list - 1});
        end(&model);
    } else {
        FUZZ_CHECK(text <= bad.at && bad.at <= bad.end && bad.end <= text + list);
    }
    free(text);
    return 0;
}
