/* SPDX-License-Identifier: MIT */
/*
 * The steps between a socket that is connected and the success of its connection: dialogues with
 * proxies (proxies.c), then the handshake of TLS, when its turn has come (handshakes.c). The
 * handshake that tcpm_starttls begins later takes the same way. Called by attempt.c, by events of
 * sockets, and before the loop polls.
 *
 * What always holds: before success no byte of the user's is sent. A connection has a layer of TLS
 * from its first step on, and a struct tcpm__handshake until the last one. The handshakes of one
 * turn take a few ms of it, or one step where that takes longer.
 */
#include "connection/flow.h"

#include <errno.h>

#include "transport/server_name.h"
#include "transport/tls.h"

enum { SLICE_NS = 4000000 }; /* time for handshakes in one turn */

/* ---- success ---- */

/* Frees the attempt. Gives its passage, for the caller to free; NULL: it has none. */
static struct tcpm__passage *leave_attempt(struct tcpm__connection *connection)
{
    struct tcpm__attempt *attempt = connection->rare->attempt;
    struct tcpm__passage *passage = attempt == NULL ? NULL : attempt->passage;

    if (tcpm__times_are_kept(connection))
        tcpm__times_set_success(connection);
    if (passage != NULL) {
        attempt->passage = NULL;
        tcpm__target_weigh(connection);
    }
    tcpm__attempt_free(connection);
    return passage;
}

/* Delivers what the target has sent with the last reply of a proxy, and lets a PROXY header go if
   it still waits for bytes to go with. */
static void leave_passage(struct tcpm__connection *connection, struct tcpm__passage *passage)
{
    struct tcpm_engine *engine = tcpm__engine_of(connection);
    size_t length = tcpm__buffer_length(passage->early);

    if (passage->has_header && tcpm__sending_carried(connection) == 0)
        tcpm__socket_push(&connection->socket);
    if (length > 0) {
        memcpy(engine->network.read_buffer, tcpm__buffer_bytes(passage->early), length);
        tcpm__input_cut_read(connection, engine->network.read_buffer, length);
    }
    tcpm__passage_free(&engine->memory, passage);
}

void tcpm__reach_succeed(struct tcpm__connection *connection)
{
    struct tcpm__passage *passage = NULL;

    if (connection->rare != NULL)
        passage = leave_attempt(connection);
    connection->flags |= TCPM__HAD_SUCCESS;
    tcpm__connection_set_phase(connection, TCPM__PHASE_OPEN);
    tcpm__timers_start_timeout_now(connection, connection->input_timeout_ms);
    if (connection->input != NULL || connection->cutter.ordered)
        tcpm__input_refilter(connection); /* the user has called unread or take before success */
    tcpm__event_success(connection, passage);
    tcpm__output_flush(connection);
    if (passage != NULL)
        leave_passage(connection, passage);
    if (!tcpm__sending_takes_records(connection))
        tcpm__connection_mark_ready(connection);
}

/* ---- a step of the handshake ---- */

/* Hands the layer what has come with the last reply of a proxy. */
static void give_early(struct tcpm__connection *connection, struct tcpm__layer *layer)
{
    struct tcpm__attempt *attempt = tcpm__attempt_of(connection);

    if (attempt == NULL || attempt->passage == NULL || attempt->passage->early == NULL)
        return;
    tcpm__tls_give_early(layer, &connection->socket, attempt->passage->early);
    attempt->passage->early = NULL;
}

/* Gives the connection a layer of TLS. 0, or negative, and then *why is a static text, or NULL. */
static int open_layer(struct tcpm__connection *connection, const char **why)
{
    struct tcpm_engine *engine = tcpm__engine_of(connection);
    struct tcpm__target *target = connection->address.target;
    struct tcpm_tls *tls = target->tls != NULL ? target->tls : target->way->tls;
    const char *text = target->server_name != NULL ? target->server_name : target->text;
    char name[TCPM__HOST_NAME_SIZE];
    int result = tcpm__server_name_make(text, name, why);

    TCPM__ASSERT(target->layer == NULL && tls != NULL);
    if (result == 0)
        result = tcpm__tls_open(&engine->network, tls, name, connection->port, &target->layer);
    if (result < 0)
        return result;
    tcpm__target_forget_server(connection); /* the layer has the name now */
    connection->flags |= TCPM__LAYERED;
    target->layer->carried = connection->sent;
    give_early(connection, target->layer);
    if (tcpm__has(connection, TCPM__SECURING))
        tcpm__tls_await(target->layer, tcpm__cutter_awaited(&connection->cutter));
    return tcpm__target_weigh(connection) ? 0 : -ENOBUFS;
}

/* Accounts for what TLS keeps, after a step with this result. Gives it; or -ENOBUFS. */
static int weigh(struct tcpm__connection *connection, int result)
{
    return tcpm__target_weigh(connection) || result < 0 ? result : -ENOBUFS;
}

static void fail(struct tcpm__connection *connection, int code, const char *why)
{
    const struct tcpm__layer *layer = tcpm__layer_of(connection);
    char text[TCPM__WEIGHT_TEXT];

    connection->session->tls.failed++;
    if (layer != NULL)
        why = layer->kind->reason(layer);
    if (code == -ENOBUFS) {
        tcpm__target_explain_weight(connection, text);
        why = text;
    }
    tcpm__connection_fail(connection, TCPM_OP_TLS, tcpm__cause_code(code), why);
}

static void finish_handshake(struct tcpm__connection *connection)
{
    struct tcpm__layer *layer = tcpm__layer_of(connection);

    tcpm__handshake_close(connection);
    connection->session->tls.handshakes++;
    connection->session->tls.resumed += tcpm__tls_is_resumed(layer);
    if (tcpm__has(connection, TCPM__SECURING))
        tcpm__starttls_secured(connection);
    else
        tcpm__reach_succeed(connection);
    if (tcpm__socket_is_readable(&connection->socket))
        tcpm__connection_mark_ready(connection); /* text may have come with the last message */
}

static void shake_hands(struct tcpm__connection *connection)
{
    const char *why = NULL;
    int result = tcpm__layer_of(connection) == NULL ? open_layer(connection, &why) : 0;
    struct tcpm__layer *layer = tcpm__layer_of(connection);

    if (result == 0)
        result = weigh(connection, layer->kind->handshake(layer, &connection->socket));
    if (result < 0)
        fail(connection, result, why);
    else if (result > 0)
        finish_handshake(connection);
    else if (tcpm__socket_is_readable(&connection->socket))
        tcpm__connection_mark_ready(connection); /* the handshake goes on in the next round */
}

void tcpm__reach_serve(struct tcpm_engine *engine)
{
    struct tcpm__connection *connection;

    tcpm__handshakes_admit(engine);
    uint64_t until_ns = tcpm__network_read_clock_ns(&engine->network) + SLICE_NS;
    while ((connection = tcpm__handshakes_next(engine)) != NULL) {
        shake_hands(connection);
        if (tcpm__network_read_clock_ns(&engine->network) >= until_ns)
            break;
        tcpm__handshakes_admit(engine);
    }
    tcpm__handshakes_admit(engine);
}

/* ---- from the connect on ---- */

/* The layer that a build for the tests gives to every connection shakes hands at once. */
static bool go_on_at_once(struct tcpm__connection *connection)
{
    struct tcpm__layer *layer = tcpm__layer_of(connection);
    int result = weigh(connection, layer->kind->handshake(layer, &connection->socket));

    if (result < 0)
        tcpm__connection_fail(connection, layer->kind->op, tcpm__cause_code(result),
                              layer->kind->reason(layer));
    else if (result > 0)
        tcpm__reach_succeed(connection);
    else if (tcpm__socket_is_readable(&connection->socket))
        tcpm__connection_mark_ready(connection);
    return result > 0;
}

/* Begins what lies between a free way to the target and success. True: success was delivered. */
static bool secure(struct tcpm__connection *connection)
{
    const struct tcpm__way *way = tcpm__way_of(connection);

    if (tcpm__has(connection, TCPM__LAYERED))
        return go_on_at_once(connection);
    if (way != NULL && way->tls != NULL) {
        if (tcpm__handshake_open(connection) < 0)
            tcpm__connection_fail(connection, TCPM_OP_TLS, -ENOMEM, NULL);
        return false;
    }
    tcpm__reach_succeed(connection);
    return true;
}

bool tcpm__reach_go_on(struct tcpm__connection *connection)
{
    if (tcpm__has(connection, TCPM__PASSING))
        return tcpm__proxies_go_on(connection) > 0 && secure(connection);
    if (tcpm__handshake_of(connection) == NULL)
        return tcpm__has(connection, TCPM__LAYERED) && go_on_at_once(connection);
    tcpm__handshake_wake(connection);
    return false;
}

void tcpm__reach_begin(struct tcpm__connection *connection)
{
    if ((connection->flags & (TCPM__QUAD | TCPM__LAYERED)) == TCPM__QUAD)
        tcpm__reach_succeed(connection);
    else if (tcpm__proxies_begin(connection) > 0)
        secure(connection);
}
