/* SPDX-License-Identifier: MIT */
/*
 * TLS as a kind of layer (transport/stream.h), by OpenSSL: the handshake, records, and what is
 * known of both. Whom to trust and what to offer is the specification's (transport/tls_spec.h).
 */
#ifndef TCPM_TRANSPORT_TLS_H
#define TCPM_TRANSPORT_TLS_H

#include <errno.h>
#include <stdbool.h>

#include "transport/stream.h"
#include "transport/tls_spec.h"

#ifdef TCPM_HAVE_OPENSSL

/* Makes the layer of a connection to a server, and the network's buffers for layers. The
   specification is held until the layer is disposed of. server_name: as tcpm__server_name_make
   (transport/server_name.h) has written it; copied. 0 or -ENOMEM. */
int tcpm__tls_open(struct tcpm__network *network, struct tcpm_tls *spec, const char *server_name,
                   unsigned port, struct tcpm__layer **ret);

/* Has a byte dropped if it is the first one that comes: it belongs to what was before TLS. -1:
   none. Called before the handshake. */
void tcpm__tls_await(struct tcpm__layer *layer, int byte);

/* Gives the layer wire that has been read already: it comes before all that the socket has. Called
   before the handshake. */
void tcpm__tls_give_early(struct tcpm__layer *layer, struct tcpm__socket *socket,
                          struct tcpm__buffer *wire);

/* Whether the handshake has resumed a session. */
bool tcpm__tls_is_resumed(const struct tcpm__layer *layer);

/* Whether the layer is one of tcpm__tls_open. layer: NULL is allowed. */
bool tcpm__layer_is_tls(const struct tcpm__layer *layer);

/* For assertions (connection/validate.c): no call of the layer is running. */
void tcpm__tls_validate(const struct tcpm__layer *layer);

/* Bytes that the layer is reckoned to take from the C library, for the engine's account: more until
   its handshake is over. What the layer keeps of the wire comes on top. */
size_t tcpm__tls_account(const struct tcpm__layer *layer);

/* Fills ret, whose size is set here, with what the handshake has found so far. The strings live as
   long as the layer. */
void tcpm__tls_get(const struct tcpm__layer *layer, struct tcpm_tls_info *ret);

/* Describes a certificate of the chain that the server has sent, from 0, its own. strings: as of
   tcpm__certificate_describe. 1; 0: there is no such certificate; or -ENOMEM. */
int tcpm__tls_get_certificate(const struct tcpm__layer *layer, unsigned index, char **strings,
                              struct tcpm_certificate *ret);

#else

static inline int tcpm__tls_open(struct tcpm__network *network, struct tcpm_tls *spec,
                                 const char *server_name, unsigned port, struct tcpm__layer **ret)
{
    (void) network, (void) spec, (void) server_name, (void) port, (void) ret;
    return -EOPNOTSUPP;
}

static inline void tcpm__tls_await(struct tcpm__layer *layer, int byte)
{
    (void) layer, (void) byte;
}

static inline void tcpm__tls_give_early(struct tcpm__layer *layer, struct tcpm__socket *socket,
                                        struct tcpm__buffer *wire)
{
    (void) layer, (void) socket, (void) wire;
}

static inline bool tcpm__tls_is_resumed(const struct tcpm__layer *layer)
{
    (void) layer;
    return false;
}

static inline bool tcpm__layer_is_tls(const struct tcpm__layer *layer)
{
    (void) layer;
    return false;
}

static inline void tcpm__tls_validate(const struct tcpm__layer *layer)
{
    (void) layer;
}

static inline size_t tcpm__tls_account(const struct tcpm__layer *layer)
{
    (void) layer;
    return 0;
}

static inline void tcpm__tls_get(const struct tcpm__layer *layer, struct tcpm_tls_info *ret)
{
    (void) layer;
    *ret = (struct tcpm_tls_info){.size = sizeof *ret};
}

static inline int tcpm__tls_get_certificate(const struct tcpm__layer *layer, unsigned index,
                                            char **strings, struct tcpm_certificate *ret)
{
    (void) layer, (void) index, (void) strings, (void) ret;
    return 0;
}

#endif

#endif
