/* SPDX-License-Identifier: MIT */
/*
 * Takes events from the set when libuv says that there are some, and tells the owners of the
 * sockets. The only place where sockets learn of events; started by the engine.
 *
 * What always holds: an owner is looked up by its tag right before its turn, as the events before
 * it may have closed its socket. Descriptors that are no connection's cost the connections nothing:
 * their tags are looked at when no connection has been found.
 */
#include "transport/dispatch.h"

#include "base/list.h"
#include "transport/socket.h"

/* The set has told once that the time has come; there is nothing to read. */
static void serve_alarm(struct tcpm__network *network)
{
    network->alarm_ns = UINT64_MAX;
    tcpm__network_read_clock(network);
    network->events->served(network);
}

static void serve_socket(struct tcpm__network *network, struct tcpm__socket *socket, uint32_t bits)
{
    tcpm__network_read_clock(network);
    tcpm__socket_serve(network, socket, bits);
    network->events->served(network);
}

static void serve_other(struct tcpm__network *network, uint64_t tag, uint32_t bits)
{
    tcpm__network_read_clock(network);
    network->events->other(network, tag, bits);
    network->events->served(network);
}

static void on_set_readable(uv_poll_t *poll, int status, int events)
{
    struct tcpm__network *network = TCPM__CONTAINER(poll, struct tcpm__network, poll);

    (void) status;
    (void) events;
    if (tcpm__network_is_forked(network))
        return;

    struct tcpm__set_batch batch;
    int count = tcpm__set_take(&network->set, &batch);

    network->in_round += (uint32_t) count;
    network->crowded = count == TCPM__SET_BATCH && network->in_round < network->sockets;
    for (int i = 0; i < count; i++) {
        uint64_t tag = tcpm__set_tag(&batch, i);
        struct tcpm__socket *socket = network->events->find(network, tag);

        if (socket != NULL)
            serve_socket(network, socket, tcpm__set_bits(&batch, i));
        else if (tag == TCPM__SET_ALARM)
            serve_alarm(network);
        else if (tcpm__tag_is_other(tag))
            serve_other(network, tag, tcpm__set_bits(&batch, i));
    }
}

void tcpm__dispatch_start(struct tcpm__network *network)
{
    uv_poll_start(&network->poll, UV_READABLE, on_set_readable);
}
