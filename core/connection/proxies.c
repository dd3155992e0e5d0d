/* SPDX-License-Identifier: MIT */
/*
 * Dialogues with the proxies of a route, hop by hop, over the socket of the connection; and the
 * PROXY header behind them. Begun by reach.c once the socket is connected, and continued by events
 * of the socket.
 *
 * What always holds: bytes that the kernel does not take wait in passage->unsent, and the socket is
 * blocked then. Bytes behind the reply of the last hop come from the target: they are kept. Nothing
 * of users and passwords gets into a message.
 */
#include "connection/flow.h"

#include <errno.h>

#include "transport/proxy_header.h"

enum { SLICE = 16384 /* bytes of one read */ };

/* ---- failures ---- */

bool tcpm__proxies_explain(const struct tcpm__connection *connection, int code,
                           char why[TCPM__DIALOGUE_WHY])
{
    const struct tcpm__passage *passage = tcpm__passage_of(connection);

    if (passage == NULL || passage->dialogue == NULL)
        return false;
    tcpm__dialogue_explain(passage->dialogue, code, why);
    return true;
}

/* Fails, as the dialogue was cut off. */
static int fail(struct tcpm__connection *connection, int code)
{
    char why[TCPM__DIALOGUE_WHY];
    bool is_explained = tcpm__proxies_explain(connection, tcpm__cause_code(code), why);

    tcpm__connection_fail(connection, TCPM_OP_PROXY, tcpm__cause_code(code),
                          is_explained ? why : NULL);
    return -1;
}

/* ---- sending ---- */

static const struct tcpm__memory *memory_of(const struct tcpm__connection *connection)
{
    return &tcpm__engine_of(connection)->memory;
}

static ssize_t send_some(struct tcpm__connection *connection, const char *bytes, size_t length)
{
    return tcpm__passage_of(connection)->has_header
               ? tcpm__socket_send_more(&connection->socket, bytes, length)
               : tcpm__socket_send(&connection->socket, bytes, length);
}

/* Sends bytes, until the socket is blocked. Gives the number that the kernel took; or negative. */
static ssize_t send_all(struct tcpm__connection *connection, const char *bytes, size_t length)
{
    size_t done = 0;

    while (done < length) {
        ssize_t sent = send_some(connection, bytes + done, length - done);

        if (sent < 0)
            return sent;
        if (sent == 0)
            break;
        done += (size_t) sent;
    }
    return (ssize_t) done;
}

/* Sends what waits. 0, or negative: the connection has failed. */
static int flush(struct tcpm__connection *connection)
{
    struct tcpm__buffer **unsent = &tcpm__passage_of(connection)->unsent;

    if (*unsent == NULL)
        return 0;
    ssize_t sent = send_all(connection, tcpm__buffer_bytes(*unsent), tcpm__buffer_length(*unsent));
    if (sent < 0)
        return fail(connection, (int) sent);
    tcpm__buffer_consume(memory_of(connection), unsent, (size_t) sent);
    return 0;
}

/* Sends bytes behind those that wait. 0, or negative: the connection has failed. */
static int push(struct tcpm__connection *connection, const char *bytes, size_t length)
{
    struct tcpm__buffer **unsent = &tcpm__passage_of(connection)->unsent;
    ssize_t sent = *unsent == NULL ? send_all(connection, bytes, length) : 0;

    if (sent < 0)
        return fail(connection, (int) sent);
    if (tcpm__buffer_append(memory_of(connection), unsent, bytes + sent, length - (size_t) sent) <
        0)
        return fail(connection, -ENOMEM);
    return 0;
}

/* ---- the PROXY header ---- */

/* Sends the header, if the options ask for one. 0, or negative: the connection has failed. */
static int push_header(struct tcpm__connection *connection)
{
    struct tcpm__passage *passage = tcpm__passage_of(connection);
    int version = tcpm__way_of(connection)->send_proxy;
    bool is_direct = passage->count == 0;
    char header[TCPM__PROXY_HEADER_SIZE];
    union tcpm__address local, peer;

    if (version == 0 || passage->has_header)
        return 0;
    if (is_direct && tcpm__socket_get_local(&connection->socket, &local) < 0)
        is_direct = false;
    tcpm__connection_peer(connection, &peer);
    size_t length = tcpm__proxy_header_write(version, is_direct ? &local : NULL,
                                             is_direct ? &peer : NULL, header);
    passage->has_header = true;
    return push(connection, header, length);
}

/* ---- dialogues ---- */

/* Makes one step of the dialogue, and sends what it gives. As tcpm__dialogue_step; a negative
   result means that the connection has failed. */
static int step(struct tcpm__connection *connection, struct tcpm__part *in)
{
    struct tcpm__dialogue *dialogue = tcpm__passage_of(connection)->dialogue;
    char why[TCPM__DIALOGUE_WHY];
    struct tcpm__part out;
    size_t used = 0;
    int result =
        tcpm__dialogue_step(dialogue, in->at, (size_t) (in->end - in->at), &used, &out, why);

    if (result < 0) {
        tcpm__connection_fail(connection, TCPM_OP_PROXY, result, why);
        return result;
    }
    in->at = result == 0 ? in->end : in->at + used;
    if (out.end > out.at && push(connection, out.at, (size_t) (out.end - out.at)) < 0)
        return -1;
    return result;
}

/* Opens the dialogue with the hop in hand, and sends what it begins with. 0, or negative: the
   connection has failed. */
static int open_hop(struct tcpm__connection *connection)
{
    struct tcpm__passage *passage = tcpm__passage_of(connection);
    struct tcpm__part nothing = tcpm__part_of("", 0);
    char name[TCPM__HOST_NAME_SIZE];
    struct tcpm__proxy_target target;

    TCPM__ASSERT(passage->dialogue == NULL && tcpm__has(connection, TCPM__PASSING));
    tcpm__hops_target(connection, passage->hop, name, &target);
    int result = tcpm__dialogue_open(memory_of(connection), tcpm__passage_route(connection),
                                     passage->hop, &target, &passage->dialogue);
    if (result < 0)
        return fail(connection, result);
    return step(connection, &nothing);
}

/* Goes over to the next hop. 1: there is none; 0; or negative: the connection has failed. */
static int leave_hop(struct tcpm__connection *connection)
{
    struct tcpm__passage *passage = tcpm__passage_of(connection);

    tcpm__dialogue_close(passage->dialogue);
    passage->dialogue = NULL;
    passage->hop++;
    return passage->hop == passage->count ? 1 : open_hop(connection);
}

/* Takes bytes that were read. 1: the last hop has opened its tunnel; 0: more is wanted; or
   negative: the connection has failed. */
static int take(struct tcpm__connection *connection, struct tcpm__part in)
{
    struct tcpm__passage *passage = tcpm__passage_of(connection);
    int result = 0;

    while (result == 0 && in.at < in.end) {
        result = step(connection, &in);
        if (result > 0)
            result = leave_hop(connection);
    }
    if (result <= 0)
        return result;
    if (tcpm__buffer_append(memory_of(connection), &passage->early, in.at,
                            (size_t) (in.end - in.at)) < 0)
        return fail(connection, -ENOMEM);
    return 1;
}

/* Reads on until the last hop has opened its tunnel. As take. */
static int speak(struct tcpm__connection *connection)
{
    struct tcpm__network *network = &tcpm__engine_of(connection)->network;
    int result = 0;

    while (result == 0 && tcpm__socket_is_readable(&connection->socket)) {
        ssize_t length = tcpm__socket_read(network, &connection->socket, SLICE);

        if (length == -EBUSY)
            tcpm__connection_mark_ready(connection); /* the next round reads on */
        if (length == -EAGAIN || length == -EBUSY)
            return 0;
        if (length <= 0)
            return fail(connection, length == 0 ? TCPM_EOF : (int) length);
        result = take(connection, tcpm__part_of(network->read_buffer, (size_t) length));
    }
    return result;
}

/* ---- all of them ---- */

/* The tunnels are open. 1: the way is free; 0: bytes are still to be sent; or negative. */
static int conclude(struct tcpm__connection *connection)
{
    const struct tcpm__passage *passage = tcpm__passage_of(connection);

    if (push_header(connection) < 0)
        return -1;
    if (passage->unsent != NULL)
        return 0;
    connection->flags &= ~(uint32_t) TCPM__PASSING;
    if (tcpm__times_are_kept(connection) && passage->count > 0)
        tcpm__times_set_first(connection, TCPM__PROXIED);
    return 1;
}

/* Accounts for the bytes that wait, after a step with this result. Gives it; or negative: they are
   too many, and the connection has failed. */
static int weigh(struct tcpm__connection *connection, int result)
{
    char text[TCPM__WEIGHT_TEXT];

    if (tcpm__target_weigh(connection) || result < 0)
        return result;
    tcpm__target_explain_weight(connection, text);
    tcpm__connection_fail(connection, TCPM_OP_PROXY, -ENOBUFS, text);
    return -1;
}

static int go_on(struct tcpm__connection *connection)
{
    const struct tcpm__passage *passage = tcpm__passage_of(connection);

    if (flush(connection) < 0)
        return -1;
    if (passage->hop < passage->count) {
        int result = speak(connection);

        if (result <= 0)
            return result;
    }
    return conclude(connection);
}

int tcpm__proxies_go_on(struct tcpm__connection *connection)
{
    return weigh(connection, go_on(connection));
}

int tcpm__proxies_begin(struct tcpm__connection *connection)
{
    const struct tcpm__way *way = tcpm__way_of(connection);

    if (way == NULL || (way->route == NULL && way->send_proxy == 0))
        return 1;
    if (tcpm__passage_make(connection) < 0)
        return fail(connection, -ENOMEM);
    const struct tcpm__passage *passage = tcpm__passage_of(connection);
    int result = passage->count == 0 || open_hop(connection) >= 0 ? go_on(connection) : -1;

    return weigh(connection, result);
}
