/* SPDX-License-Identifier: MIT */
/*
 * TLS on a connection of a peer, as a server, by OpenSSL; and what a server does to a client beyond
 * sending and receiving. Only where OpenSSL is found; wire.c then calls it.
 *
 * Results are those of recv and send: a count, 0 at the end of the stream, or -1 with errno. The
 * end is close_notify and FIN behind it. EPROTO: TLS has failed, or FIN has come alone;
 * secure_describe tells the reason. EAGAIN: the socket does not block, and has no more. EOPNOTSUPP:
 * this version of TLS, or this connection, has no such thing.
 */
#ifndef PEER_SECURE_H
#define PEER_SECURE_H

#include "peer.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct secure_context; /* shared by all connections of a peer */
struct secure;         /* one connection */

/* Options of NULL: a good certificate of the process's own, and all else by default. NULL: refused,
   for the reason in message. */
struct secure_context *secure_context_open(const struct peer_tls *options_or_null, char *message,
                                           size_t size);
void secure_context_close(struct secure_context *context);
/* One with the default options, which is never closed. NULL: it could not be made. */
struct secure_context *secure_context_of_process(void);

/* The socket stays the caller's; nothing is read or sent yet. NULL: without memory. */
struct secure *secure_open(struct secure_context *context, int fd);
void secure_free(struct secure *secure);

/* Goes on with the handshake; 0: it is over. */
int secure_handshake(struct secure *secure);

/* Empties the queue of errors of OpenSSL. Gives the words of the last one that says something;
   NULL: there is none. "sslv3 alert bad record mac" and the like begin with "alert". */
const char *secure_reason(void);
/* Flags are those of send; MSG_OOB: the last byte goes past TLS. MSG_DONTWAIT waits, for the rest
   of one record, where the kernel takes the first bytes of it. */
ssize_t secure_send(struct secure *secure, const void *bytes, size_t length, int flags);
ssize_t secure_receive(struct secure *secure, void *bytes, size_t size);
/* Sends close_notify, unless the handshake is not over. */
void secure_finish(struct secure *secure);

/* Plain text has been taken from the kernel, and not by secure_receive yet. */
bool secure_has_text(const struct secure *secure);
/* What is known of the connection, as far as it has come. */
void secure_describe(struct secure *secure, struct peer_secured *ret);

/* ---- beyond sending and receiving; 0, or -1 with errno ---- */

/* The number of an alert, "handshake_failure"; or -1. */
int secure_alert_number(const char *name);
/* Answers the ClientHello with an alert. In place of the handshake. */
int secure_refuse(struct secure *secure, int alert);
/* Ends an open connection by an alert; of TLS 1.3. */
int secure_alert(struct secure *secure, int alert);
/* Sends half of a record; what follows it would be no TLS. */
int secure_truncate(struct secure *secure);
/* Records without content, of TLS 1.3. */
int secure_send_empty(struct secure *secure, size_t count);
int secure_update_keys(struct secure *secure, size_t count);
int secure_send_tickets(struct secure *secure, size_t count);
/* Sends a HelloRequest, of TLS 1.2. The next read insists that the client follows it. */
int secure_renegotiate(struct secure *secure);
/* From now on, each byte is a record of its own. */
void secure_send_single_bytes(struct secure *secure);

#endif
