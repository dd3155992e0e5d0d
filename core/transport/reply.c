/* SPDX-License-Identifier: MIT */
/*
 * The table of all that c-ares can say about a question. Called by ares.c.
 *
 * What always holds: a reply with code 0 has an address; the time to live is the least of all
 * records that lead to the addresses, as c-ares takes those of aliases into account.
 */
#include "transport/reply.h"

#include <ares.h>
#include <ares_dns.h>
#include <errno.h>
#include <string.h>

#include "tcpmulti.h"

enum { UDP_SIZE = 512 /* bytes of an answer by UDP, at most; c-ares cuts longer ones */ };

static void set(struct tcpm__reply *reply, enum tcpm__reply_kind kind, int code)
{
    reply->kind = kind;
    reply->code = code;
}

/* A time with the highest bit counts as 0 (RFC 2181, section 8). c-ares 1.34 has made it the
   longest time without that bit. */
static void note_ttl(struct tcpm__reply *reply, int ttl)
{
    uint32_t ttl_s = ttl < 0 ? 0 : (uint32_t) ttl;

    if (ttl_s < reply->ttl_s)
        reply->ttl_s = ttl_s;
}

static int read_quads(const unsigned char *bytes, int length, struct tcpm__reply *ret)
{
    struct ares_addrttl list[TCPM__MOST_ADDRESSES];
    int count = TCPM__MOST_ADDRESSES;
    int status = ares_parse_a_reply(bytes, length, NULL, list, &count);

    for (int i = 0; i < count; i++) {
        tcpm__address_make_quad(list[i].ipaddr, 0, &ret->addresses[i]);
        note_ttl(ret, list[i].ttl);
    }
    ret->count = (size_t) count;
    return status;
}

static int read_inet6(const unsigned char *bytes, int length, struct tcpm__reply *ret)
{
    struct ares_addr6ttl list[TCPM__MOST_ADDRESSES];
    int count = TCPM__MOST_ADDRESSES;
    int status = ares_parse_aaaa_reply(bytes, length, NULL, list, &count);

    for (int i = 0; i < count; i++) {
        ret->addresses[i].in6 = (struct sockaddr_in6){.sin6_family = AF_INET6};
        memcpy(&ret->addresses[i].in6.sin6_addr, &list[i].ip6addr, sizeof list[i].ip6addr);
        note_ttl(ret, list[i].ttl);
    }
    ret->count = (size_t) count;
    return status;
}

/* c-ares gives success for response codes that it does not know. An answer of aliases alone, in a
   ring for one, has no data. */
static void read_addresses(int family, const unsigned char *bytes, int length,
                           struct tcpm__reply *ret)
{
    if (DNS_HEADER_RCODE(bytes) != 0) {
        set(ret, TCPM__REPLY_NO, TCPM_EBADRESP);
        return;
    }
    ret->ttl_s = UINT32_MAX;
    int status =
        family == AF_INET ? read_quads(bytes, length, ret) : read_inet6(bytes, length, ret);
    if (status == ARES_ENOMEM)
        set(ret, TCPM__REPLY_FINAL, -ENOMEM);
    else if (status != ARES_SUCCESS && status != ARES_ENODATA)
        set(ret, TCPM__REPLY_NO, TCPM_EBADRESP);
    else
        set(ret, TCPM__REPLY_FINAL, ret->count > 0 ? 0 : -ENODATA);
}

/* Also of an answer that is no whole message because c-ares has cut it. */
static bool is_truncated(bool tcp, const unsigned char *bytes, int length,
                         const struct tcpm__reply *reply)
{
    return !tcp && bytes != NULL &&
           (DNS_HEADER_TC(bytes) || (length >= UDP_SIZE && reply->code == TCPM_EBADRESP));
}

static void read_status(int status, bool has_answer, struct tcpm__reply *ret)
{
    switch (status) {
    case ARES_ENODATA:
        set(ret, TCPM__REPLY_FINAL, -ENODATA);
        break;
    case ARES_ENOTFOUND: /* without an answer: a name below onion */
        set(ret, TCPM__REPLY_FINAL, TCPM_ENOTFOUND);
        break;
    case ARES_ENOMEM:
        set(ret, TCPM__REPLY_FINAL, -ENOMEM);
        break;
    case ARES_EBADNAME:
    case ARES_EBADQUERY:
        set(ret, TCPM__REPLY_FINAL, TCPM_EBADNAME);
        break;
    case ARES_ESERVFAIL:
        set(ret, TCPM__REPLY_NO, TCPM_ESERVFAIL);
        break;
    case ARES_EREFUSED:
        set(ret, TCPM__REPLY_NO, TCPM_EREFUSED);
        break;
    default: /* FORMERR and NOTIMP come with an answer */
        set(ret, has_answer ? TCPM__REPLY_NO : TCPM__REPLY_BROKEN, TCPM_EBADRESP);
    }
}

void tcpm__reply_read(int family, bool tcp, int status, const unsigned char *bytes, int length,
                      struct tcpm__reply *ret)
{
    ret->ttl_s = 0;
    ret->count = 0;
    if (status == ARES_SUCCESS && bytes != NULL)
        read_addresses(family, bytes, length, ret);
    else
        read_status(status, bytes != NULL, ret);
    if (ret->code != 0)
        ret->count = 0;
    if (is_truncated(tcp, bytes, length, ret))
        set(ret, TCPM__REPLY_TRUNCATED, 0);
}
