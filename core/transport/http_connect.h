/* SPDX-License-Identifier: MIT */
/*
 * The dialogue with an HTTP proxy: CONNECT (RFC 9110, section 9.3.6), and Basic authentication (RFC
 * 7617) for user and password. Pure.
 */
#ifndef TCPM_TRANSPORT_HTTP_CONNECT_H
#define TCPM_TRANSPORT_HTTP_CONNECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "transport/route.h"

enum {
    TCPM__HTTP_CONNECT_BYTES = 1536, /* bytes that any request fits in */
    TCPM__HTTP_CONNECT_STATUS = 96,  /* bytes that are kept of a status line, with a NUL */
    TCPM__HTTP_CONNECT_WHY = 160     /* bytes that any reason fits in, with its NUL */
};

/* How far the reply is. */
struct tcpm__http_connect {
    const struct tcpm__hop *hop;
    uint16_t taken;                         /* bytes of all headers so far */
    uint16_t line;                          /* bytes of the current line so far */
    char last;                              /* byte before the current one, in the current line */
    bool is_in_header;                      /* behind the status line */
    uint8_t kept;                           /* bytes of status */
    char status[TCPM__HTTP_CONNECT_STATUS]; /* the status line, or how it begins */
};

/* Begins a dialogue: writes the request, and gives the number of its bytes. The name of the target
   has at most 253 bytes. The hop must stay. */
size_t tcpm__http_connect_begin(struct tcpm__http_connect *http, const struct tcpm__hop *hop,
                                const struct tcpm__proxy_target *target,
                                char ret[TCPM__HTTP_CONNECT_BYTES]);

/* Goes on by bytes of the proxy's. 1: the tunnel is open, and begins behind *used bytes; 0: more
   bytes are wanted; all are used. Negative: an error, and why is the reply of the proxy that means
   it, without anything of user and password. */
int tcpm__http_connect_take(struct tcpm__http_connect *http, const char *in, size_t length,
                            size_t *used, char why[TCPM__HTTP_CONNECT_WHY]);

#endif
