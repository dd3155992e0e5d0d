/* SPDX-License-Identifier: MIT */
/*
 * The life of lanes, from the first question that needs one to the last answer that counts. Called
 * by ares.c.
 */
#include "transport/lanes.h"

enum {
    MOST_ASKED = 4096,        /* questions in one lane, and so from one port */
    LAST_NUMBER = 0x3fffffff, /* numbers of lanes begin again behind it */
};

static const uint64_t most_age_ns = UINT64_C(30000000000); /* older lanes are not chosen */

static struct tcpm__lane *lane_at(struct tcpm__list *node)
{
    return TCPM__CONTAINER(node, struct tcpm__lane, node);
}

/* The place of a current lane, or NULL. */
static struct tcpm__lane **find_place(struct tcpm__lanes *lanes, const struct tcpm__lane *lane)
{
    struct tcpm__lane **places = &lanes->current[0][0];

    for (size_t i = 0; i < sizeof lanes->current / sizeof *places; i++)
        if (places[i] == lane)
            return &places[i];
    return NULL;
}

static bool is_worn(const struct tcpm__lanes *lanes, const struct tcpm__lane *lane)
{
    return lane->asked >= MOST_ASKED || lanes->network->now_ns - lane->began_ns >= most_age_ns;
}

static int open_lane(struct tcpm__lanes *lanes, unsigned server, bool tcp, struct tcpm__lane **ret)
{
    uint32_t number = (lanes->number + 1) & LAST_NUMBER;
    int result = tcpm__lane_open(lanes->network, &lanes->servers[server], tcp, number, ret);

    if (result < 0)
        return result;
    lanes->number = number;
    tcpm__list_append(&lanes->open, &(*ret)->node);
    return 0;
}

int tcpm__lanes_choose(struct tcpm__lanes *lanes, unsigned server, bool tcp,
                       struct tcpm__lane **ret)
{
    struct tcpm__lane **place = &lanes->current[server][tcp];

    if (*place == NULL || is_worn(lanes, *place)) {
        struct tcpm__lane *lane;
        int result = open_lane(lanes, server, tcp, &lane);

        if (result < 0)
            return result;
        *place = lane;
    }
    *ret = *place;
    return 0;
}

void tcpm__lanes_note_silence(struct tcpm__lanes *lanes, const struct tcpm__lane *lane,
                              uint64_t since_ns)
{
    struct tcpm__lane **place = find_place(lanes, lane);

    if (place == NULL || lane->heard_ns >= since_ns)
        return;
    *place = NULL;
    if (!lane->tcp && tcpm__address_equal(&lanes->servers[lanes->first], &lane->server))
        lanes->first = (lanes->first + 1) % lanes->count;
}

static void close_lane(struct tcpm__lanes *lanes, struct tcpm__lane *lane)
{
    struct tcpm__lane **place = find_place(lanes, lane);

    if (place != NULL)
        *place = NULL;
    tcpm__list_remove(&lane->node);
    tcpm__lane_close(lane);
}

/* A question that hangs would keep the socket of a lane open that is current, and rests. */
void tcpm__lanes_sweep(struct tcpm__lanes *lanes)
{
    struct tcpm__list *node = lanes->open.next;

    while (node != &lanes->open) {
        struct tcpm__lane *lane = lane_at(node);

        node = node->next;
        if (lane->awaited > 0)
            continue;
        if (lane->out > 0 || find_place(lanes, lane) == NULL)
            close_lane(lanes, lane);
        else
            tcpm__lane_rest(lane);
    }
}

void tcpm__lanes_close_all(struct tcpm__lanes *lanes)
{
    while (!tcpm__list_empty(&lanes->open))
        close_lane(lanes, lane_at(lanes->open.next));
}

struct tcpm__lane *tcpm__lanes_find(const struct tcpm__lanes *lanes, uint64_t tag)
{
    struct tcpm__list *node = lanes->open.next;

    while (node != &lanes->open && lane_at(node)->number != tcpm__lane_number_of(tag))
        node = node->next;
    return node == &lanes->open ? NULL : lane_at(node);
}

static bool has_servers(const struct tcpm__lanes *lanes, const union tcpm__address *servers,
                        unsigned count)
{
    for (unsigned i = 0; i < count && i < lanes->count; i++)
        if (!tcpm__address_equal(&lanes->servers[i], &servers[i]))
            return false;
    return count == lanes->count;
}

bool tcpm__lanes_set_servers(struct tcpm__lanes *lanes, const union tcpm__address *servers,
                             unsigned count)
{
    TCPM__ASSERT(count <= TCPM__MOST_SERVERS);
    if (has_servers(lanes, servers, count))
        return false;
    memset(lanes->current, 0, sizeof lanes->current);
    lanes->count = count;
    lanes->first = 0;
    for (unsigned i = 0; i < count; i++)
        lanes->servers[i] = servers[i];
    return true;
}

void tcpm__lanes_init(struct tcpm__lanes *lanes, struct tcpm__network *network)
{
    *lanes = (struct tcpm__lanes){.network = network};
    tcpm__list_init(&lanes->open);
}
