/* SPDX-License-Identifier: MIT */
/*
 * The proxies on the way to a target: the option proxy, which is a list of URLs. Pure but for the
 * names of network interfaces. How one of the proxies is spoken to is in dialogue.h.
 */
#ifndef TCPM_TRANSPORT_ROUTE_H
#define TCPM_TRANSPORT_ROUTE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/memory.h"
#include "transport/address.h"

enum {
    TCPM__ROUTE_WHY = 160,       /* bytes that any reason fits in, with its NUL */
    TCPM__ROUTE_HOP_TEXT = 320,  /* bytes that the text of any hop fits in, with its NUL */
    TCPM__CREDENTIAL_BYTES = 255 /* a user or a password has at most (RFC 1929) */
};

/* How a proxy is spoken to. */
enum tcpm__scheme {
    TCPM__SCHEME_SOCKS5,  /* RFC 1928: the proxy gets an address */
    TCPM__SCHEME_SOCKS5H, /* RFC 1928: the proxy gets a name, where there is one */
    TCPM__SCHEME_HTTP     /* CONNECT (RFC 9110, section 9.3.6): the proxy gets a name too */
};

struct tcpm__hop {
    enum tcpm__scheme scheme;
    unsigned port;        /* 1 to 65535 */
    const char *host;     /* a name as given, or a numeric address without brackets */
    const char *user;     /* 1 to 255 bytes, none of them a control character; NULL: none */
    const char *password; /* likewise; NULL where user is NULL */
};

/* 1 to 8 hops, nearest first. Never changes. Counted: each holder holds the route, and drops it. */
struct tcpm__route;

/* Where a proxy is to connect to. */
struct tcpm__proxy_target {
    const char *name;                   /* as it is looked up, in ASCII; NULL: the address counts */
    const union tcpm__address *address; /* without regard to its port and scope; or NULL */
    unsigned port;
};

/* Reads URLs, separated by spaces: "scheme://host:port" or "scheme://user:password@host:port". The
   scheme is socks5, socks5h or http. Default for the port: 1080, for http 3128. User and password
   are percent-decoded; an IPv6 address has brackets. 0; or an error, and then why says what is
   wrong with which hop, without anything of its user and password:
     -EOPNOTSUPP: a scheme of proxies that are not supported, such as socks4 and https; or a host
       beyond ASCII, and the library was built without libidn2
     -EINVAL: what is no such list
     -ENOMEM: why is empty
   The memory must stay until the last holder has dropped. */
int tcpm__route_parse(const struct tcpm__memory *memory, const char *text, struct tcpm__route **ret,
                      char why[TCPM__ROUTE_WHY]);

struct tcpm__route *tcpm__route_hold(struct tcpm__route *route);
void tcpm__route_drop(struct tcpm__route *route); /* NULL is allowed */

/* The number of hops. */
unsigned tcpm__route_count(const struct tcpm__route *route);

/* A hop by its index: 0 is the nearest. */
const struct tcpm__hop *tcpm__route_hop(const struct tcpm__route *route, unsigned index);

/* Whether this hop takes names, so that it looks up the name of what comes behind it. */
bool tcpm__hop_takes_names(const struct tcpm__hop *hop);

/* A hop for messages, as "hop 2, http proxy.test:3128". */
void tcpm__route_print_hop(const struct tcpm__route *route, unsigned index,
                           char ret[TCPM__ROUTE_HOP_TEXT]);

#endif
