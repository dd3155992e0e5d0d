/* SPDX-License-Identifier: MIT */
/*
 * The steps of a program that only a connection with TLS knows. Only where OpenSSL is found. What
 * always holds: EOPNOTSUPP is a mistake of the program, any other errno an end of the connection.
 */
#include "internal.h"
#include "secure.h"

#include <errno.h>
#include <sys/socket.h>

/* Before TLS has begun, the alert is all that the client ever hears. */
static int send_alert(struct peer_link *link, const char *name)
{
    int number = secure_alert_number(name);

    errno = EOPNOTSUPP;
    if (number < 0) {
        return -1;
    }
    if (link->wire.secure != NULL) {
        return secure_alert(link->wire.secure, number);
    }
    if (wire_begin_tls(&link->wire, link->peer->tls) != 0) {
        return -1;
    }
    return secure_refuse(link->wire.secure, number);
}

int peer_do_tls(struct peer_link *link, const struct peer_step *step)
{
    struct secure *secure = link->wire.secure;
    size_t count = (size_t) step->numbers[0];

    if (step->verb == VERB_ALERT) {
        return send_alert(link, step->bytes);
    }
    errno = EOPNOTSUPP;
    if (secure == NULL) {
        return -1;
    }
    switch ((int) step->verb) {
    case VERB_TRUNCATE:
        return secure_truncate(secure) < 0 ? -1 : shutdown(link->fd, SHUT_WR);
    case VERB_KEYUPDATE:
        return secure_update_keys(secure, count);
    case VERB_TICKETS:
        return secure_send_tickets(secure, count);
    case VERB_EMPTY:
        return secure_send_empty(secure, count);
    case VERB_RENEGOTIATE:
        return secure_renegotiate(secure);
    default:
        secure_send_single_bytes(secure);
        return 0;
    }
}
