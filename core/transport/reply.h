/* SPDX-License-Identifier: MIT */
/*
 * The meaning of an answer to a question for addresses. c-ares parses the message; here its status,
 * its header and its addresses become one of four kinds of reply. Pure.
 */
#ifndef TCPM_TRANSPORT_REPLY_H
#define TCPM_TRANSPORT_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "transport/address.h"
#include "transport/order.h"

enum tcpm__reply_kind {
    TCPM__REPLY_FINAL,     /* code is the answer of the name server, or an error of this machine */
    TCPM__REPLY_NO,        /* the server cannot answer, another one may; code tells why */
    TCPM__REPLY_TRUNCATED, /* the answer is too long for UDP */
    TCPM__REPLY_BROKEN,    /* no answer, and none will come */
};

struct tcpm__reply {
    enum tcpm__reply_kind kind;
    int code; /* as in struct tcpm__result; of FINAL and NO only */
    uint32_t ttl_s;
    size_t count; /* addresses; 0 unless code is 0 */
    union tcpm__address addresses[TCPM__MOST_ADDRESSES];
};

/* family: AF_INET or AF_INET6; status, bytes and length: as c-ares gives them to the callback of
   ares_query, bytes being NULL where no answer has come. */
void tcpm__reply_read(int family, bool tcp, int status, const unsigned char *bytes, int length,
                      struct tcpm__reply *ret);

#endif
