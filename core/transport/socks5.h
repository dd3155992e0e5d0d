/* SPDX-License-Identifier: MIT */
/*
 * The dialogue with a SOCKS 5 proxy: RFC 1928, and RFC 1929 for user and password. Pure.
 */
#ifndef TCPM_TRANSPORT_SOCKS5_H
#define TCPM_TRANSPORT_SOCKS5_H

#include <stddef.h>
#include <stdint.h>

#include "base/words.h"
#include "transport/route.h"

enum {
    TCPM__SOCKS5_BYTES = 1024, /* bytes that all that is sent fits in */
    TCPM__SOCKS5_WHY = 120     /* bytes that any reason fits in, with its NUL */
};

/* How far a dialogue is. */
struct tcpm__socks5 {
    uint8_t step;        /* enum step of socks5.c: to what the next reply is */
    uint8_t has_login;   /* whether user and password are offered */
    uint8_t have;        /* bytes of head that have come */
    uint8_t head[5];     /* how the reply begins: of a request with the first byte of its address */
    uint16_t rest;       /* bytes of a reply that are still to come behind its head */
    uint16_t lengths[3]; /* bytes of what is sent in each step */
};

/* Begins a dialogue: writes all that is to be sent in it, and gives the number of bytes. The name
   of the target has at most 253 bytes. */
size_t tcpm__socks5_begin(struct tcpm__socks5 *socks5, const struct tcpm__hop *hop,
                          const struct tcpm__proxy_target *target,
                          unsigned char ret[TCPM__SOCKS5_BYTES]);

/* Gives the bytes to be sent in this step, of those that were written. */
struct tcpm__part tcpm__socks5_output(const struct tcpm__socks5 *socks5, const char *bytes);

/* Goes on by bytes of the proxy's. 1: the tunnel is open, and begins behind *used bytes; 0: another
   step has begun, or more bytes are wanted; all are used. Negative: an error, and why says which
   reply of the proxy means it. */
int tcpm__socks5_take(struct tcpm__socks5 *socks5, const char *in, size_t length, size_t *used,
                      char why[TCPM__SOCKS5_WHY]);

/* Gives in words to what the next reply of the proxy is. */
const char *tcpm__socks5_waits_for(const struct tcpm__socks5 *socks5);

#endif
