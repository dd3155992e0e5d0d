/* SPDX-License-Identifier: MIT */
/*
 * The dialogue with one proxy, from the connection to it until the tunnel behind it is open: bytes
 * in, bytes out. Whoever owns the socket moves the bytes. Pure.
 */
#ifndef TCPM_TRANSPORT_DIALOGUE_H
#define TCPM_TRANSPORT_DIALOGUE_H

#include <stddef.h>

#include "base/memory.h"
#include "base/words.h"
#include "transport/route.h"

enum { TCPM__DIALOGUE_WHY = 512 /* bytes that any reason fits in, with its NUL */ };

struct tcpm__dialogue;

/* Makes a dialogue with the hop of this index. A hop that takes no names needs the address of the
   target, and gets it; any other hop gets the name, where there is one. The target is copied, the
   route is held. The scope of an IPv6 address means nothing to a proxy, and is not sent. 0; or
   -ENOMEM; or TCPM_EBADNAME: the name has no byte or more than 253, or a byte that no name has. */
int tcpm__dialogue_open(const struct tcpm__memory *memory, struct tcpm__route *route,
                        unsigned index, const struct tcpm__proxy_target *target,
                        struct tcpm__dialogue **ret);

/* Goes on by bytes that the proxy has sent. The first call has no bytes: it only gives what is sent
   first. 1: the tunnel is open, and the bytes behind *used come from the target. 0: more bytes are
   wanted; all are used, and *out is to be sent, unless it is empty; it lies in the dialogue.
   Negative: *out is empty, and why says which hop has replied what; the operation is "proxy".
     TCPM_EPROXYAUTH: the proxy wants other credentials, or any
     -ENETUNREACH, -EHOSTUNREACH, -ECONNREFUSED, -ETIMEDOUT, -EAFNOSUPPORT: the connect of a SOCKS
       proxy has failed so
     TCPM_EPROXY: any other refusal, and a reply that is none
   After 1 or a negative result there is no further call. */
int tcpm__dialogue_step(struct tcpm__dialogue *dialogue, const char *in, size_t length,
                        size_t *used, struct tcpm__part *out, char why[TCPM__DIALOGUE_WHY]);

/* Explains a dialogue that was cut off, by an error of the socket, by TCPM_EOF or -ETIMEDOUT: why
   says which hop, the error, and to what the hop had not yet replied. */
void tcpm__dialogue_explain(const struct tcpm__dialogue *dialogue, int code,
                            char why[TCPM__DIALOGUE_WHY]);

/* NULL is allowed. */
void tcpm__dialogue_close(struct tcpm__dialogue *dialogue);

#endif
