/* SPDX-License-Identifier: MIT */
/*
 * The part that an engine's sockets share, from its opening to the moment when libuv has let go of
 * it; the engine owns and calls it. Nothing here knows a socket: dispatch.c hands out their events.
 *
 * What always holds: the poll does not keep the loop running, and its data is NULL, as other users
 * of the loop, luv for one, take what they find there for their own.
 */
#include "transport/network.h"

#include <errno.h>
#include <sys/mman.h>

#include "base/list.h"

enum {
    HOME_SIZE = 4096,      /* bytes; the kernel maps the page around them */
    TABLE_LIMIT = 1048576, /* most descriptors for which libuv's table is made */
};

/* ---- time ---- */

/* An alarm that has gone off rests, whether its event has been taken or not. */
void tcpm__network_wake_at(struct tcpm__network *network, uint64_t ns)
{
    if (!tcpm__network_sleeps_beyond(network, ns))
        return;
    network->alarm_ns = ns;
    tcpm__set_wake_at(&network->set, ns);
}

/* The set gives events in the order in which they came. So a round is over when the set has no more
   events, or has given as many as there are sockets. */
void tcpm__network_begin_turn(struct tcpm__network *network)
{
    network->turn++;
    if (!network->crowded) {
        network->round = network->turn;
        network->in_round = 0;
    }
    network->crowded = false; /* the turn may find more events than it takes */
}

/* ---- handles ---- */

void tcpm__network_release(struct tcpm__network *network)
{
    if (--network->held == 0 && network->on_released != NULL)
        network->on_released(network);
}

void tcpm__network_await_release(struct tcpm__network *network,
                                 void (*on_released)(struct tcpm__network *network))
{
    network->on_released = on_released;
    if (network->held == 0)
        on_released(network);
}

void tcpm__network_close_handle(struct tcpm__network *network, uv_handle_t *handle,
                                void (*on_closed)(uv_handle_t *handle))
{
    if (uv_is_closing(handle))
        return;
    tcpm__network_hold(network);
    uv_close(handle, on_closed);
}

/* ---- opening and closing ---- */

/* libuv aborts when its table cannot grow. A probe of the table's size goes first: memory that the
   probe gets, the table will get. The probe does not come from the allocator, which would take its
   size for a usual one and stop giving large blocks back to the system. */
static bool memory_suffices(uint64_t limit)
{
    if (limit > SIZE_MAX / (2 * sizeof(void *)) - 2)
        return false;

    size_t size = ((size_t) limit + 2) * 2 * sizeof(void *);
    void *probe = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return probe != MAP_FAILED && munmap(probe, size) == 0;
}

/* A page that the kernel empties in the child of a fork: MADV_WIPEONFORK of Linux, elsewhere
   minherit with INHERIT_ZERO. A kernel that knows neither leaves forks unnoticed, which
   pthread_atfork would mend. */
static int make_home(struct tcpm__network *network)
{
    char *page = mmap(NULL, HOME_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (page == MAP_FAILED)
        return -ENOMEM;
    madvise(page, HOME_SIZE, MADV_WIPEONFORK);
    *page = 1;
    network->home = page;
    return 0;
}

static int open_set(struct tcpm__network *network, uint64_t limit)
{
    if (!memory_suffices(limit))
        return -ENOMEM;

    int result = tcpm__set_open((int) limit, &network->set);

    if (result < 0)
        return result;
    result = uv_poll_init(network->loop, &network->poll, network->set.fd);
    if (result < 0) {
        tcpm__set_close(&network->set);
        return result;
    }
    network->poll.data = NULL;
    uv_unref((uv_handle_t *) &network->poll);
    return 0;
}

/* A buffer behind its headroom; NULL: no memory. */
static char *make_buffer(const struct tcpm__memory *memory, size_t size)
{
    char *block = tcpm__memory_resize(memory, NULL, TCPM__READ_HEADROOM + size);

    return block == NULL ? NULL : block + TCPM__READ_HEADROOM;
}

static void free_buffer(const struct tcpm__memory *memory, char *buffer)
{
    if (buffer != NULL)
        tcpm__memory_free(memory, buffer - TCPM__READ_HEADROOM);
}

int tcpm__network_make_layer_buffers(struct tcpm__network *network)
{
    if (network->plain_buffer == NULL)
        network->plain_buffer = make_buffer(network->memory, TCPM__PLAIN_SIZE);
    if (network->wire_buffer == NULL)
        network->wire_buffer = tcpm__memory_resize(network->memory, NULL, TCPM__WIRE_SIZE);
    return network->plain_buffer == NULL || network->wire_buffer == NULL ? -ENOMEM : 0;
}

int tcpm__network_open(struct tcpm__network *network, uv_loop_t *loop,
                       const struct tcpm__memory *memory, const struct tcpm__socket_events *events,
                       uint64_t limit)
{
    *network = (struct tcpm__network){.loop = loop,
                                      .memory = memory,
                                      .events = events,
                                      .set = TCPM__SET_CLOSED,
                                      .turn = 1,
                                      .alarm_ns = UINT64_MAX};

    network->read_buffer = make_buffer(memory, TCPM__READ_PER_ROUND);
    if (network->read_buffer == NULL)
        return -ENOMEM;

    int result = make_home(network);

    if (result == 0)
        result = open_set(network, limit < TABLE_LIMIT ? limit : TABLE_LIMIT);
    if (result < 0) {
        tcpm__network_free(network);
        return result;
    }
    tcpm__network_read_clock(network);
    return 0;
}

static void on_poll_closed(uv_handle_t *poll)
{
    tcpm__network_release(TCPM__CONTAINER(poll, struct tcpm__network, poll));
}

void tcpm__network_abandon(struct tcpm__network *network)
{
    uv_poll_stop(&network->poll);
    tcpm__set_close(&network->set);
}

/* The poll is closed first: libuv takes the descriptor out of its own set, which has to be while
   the descriptor is open. */
void tcpm__network_close(struct tcpm__network *network)
{
    tcpm__network_close_handle(network, (uv_handle_t *) &network->poll, on_poll_closed);
    tcpm__set_close(&network->set);
}

void tcpm__network_free(struct tcpm__network *network)
{
    if (network->home != NULL)
        munmap((void *) (uintptr_t) network->home, HOME_SIZE);
    free_buffer(network->memory, network->plain_buffer);
    tcpm__memory_free(network->memory, network->wire_buffer);
    free_buffer(network->memory, network->read_buffer);
}
