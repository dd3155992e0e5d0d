/* SPDX-License-Identifier: MIT */
/*
 * Checks that several public functions make. Nothing here changes an engine, a session or a
 * connection.
 */
#include "api/check.h"

#include "transport/server_name.h"

int tcpm__check_unended(const struct tcpm_session *session, struct tcpm_id id,
                        struct tcpm__connection **ret)
{
    struct tcpm__connection *connection = NULL;
    int result = tcpm__check_live(session, id, &connection);

    if (result < 0)
        return result;
    if (tcpm__is_shutting(connection))
        return -ESHUTDOWN;
    *ret = connection;
    return 0;
}

int tcpm__check_receiving(const struct tcpm_session *session, struct tcpm_id id,
                          struct tcpm__connection **ret)
{
    struct tcpm__connection *connection = NULL;
    int result = tcpm__check_unended(session, id, &connection);

    if (result < 0)
        return result;
    if (tcpm__has(connection, TCPM__EOF_TOLD))
        return -ESHUTDOWN;
    *ret = connection;
    return 0;
}

bool tcpm__check_is_server_name(const char *text)
{
    char name[TCPM__HOST_NAME_SIZE];
    const char *why;

    return tcpm__server_name_make(text, name, &why) == 0;
}
