/* SPDX-License-Identifier: MIT */
/*
 * An engine in a process that got it by fork(). Sockets and set of the kernel belong to the other
 * process too, so this process gives them up untouched. The engine then rests until it is closed.
 * Every callback of the loop calls this file first.
 */
#include "connection/attempt.h"

void tcpm__engine_abandon(struct tcpm_engine *engine)
{
    struct tcpm__connection *connection = tcpm__pool_next(&engine->connections, 0);

    if (engine->end.abandoned)
        return;
    engine->end.abandoned = true;
    for (; connection != NULL; connection = tcpm__pool_next(&engine->connections, connection->id)) {
        tcpm__racers_abandon(connection);
        if (connection->rare != NULL)
            tcpm__addresses_give_all(connection);
        if (tcpm__socket_is_open(&connection->socket))
            tcpm__socket_close(&engine->network, &connection->socket, false);
    }
    tcpm__network_abandon(&engine->network);
    if (engine->lookups.resolver != NULL)
        tcpm__resolver_abandon(engine->lookups.resolver);
}

bool tcpm__engine_abandon_if_forked(struct tcpm_engine *engine)
{
    if (!tcpm__network_is_forked(&engine->network))
        return false;
    tcpm__engine_abandon(engine);
    if (engine->end.closing)
        return false;
    uv_timer_stop(&engine->handles.timer);
    uv_idle_stop(&engine->handles.idle);
    uv_unref((uv_handle_t *) &engine->handles.check);
    return true;
}
