/* SPDX-License-Identifier: MIT */
/*
 * The text of /etc/resolv.conf (resolv.conf(5)): name servers, domains to search in, ndots. Other
 * lines and options are ignored, and so is the environment. Pure.
 */
#ifndef TCPM_TRANSPORT_RESOLV_CONF_H
#define TCPM_TRANSPORT_RESOLV_CONF_H

#include <stddef.h>

#include "transport/address.h"
#include "transport/host_name.h"

enum { TCPM__MOST_SERVERS = 8, TCPM__MOST_DOMAINS = 16 };

struct tcpm__resolv_conf {
    union tcpm__address servers[TCPM__MOST_SERVERS]; /* addresses and ports */
    unsigned server_count;
    unsigned unusable; /* servers that stand in the text and cannot be asked: link-local ones */
    char domains[TCPM__MOST_DOMAINS][TCPM__HOST_NAME_SIZE]; /* ASCII, no dot at the end */
    unsigned domain_count;
    unsigned ndots; /* dots of a name that is asked as it is first, 0 to 15. Default: 1 */
};

/* Reads the text of the file. A key word stands at the beginning of its line; the last line domain
   or search counts; '#' and ';' begin a comment. Lines that make no sense are skipped. A text that
   names no server names 127.0.0.1. text: NULL is allowed where the length is 0. */
void tcpm__resolv_conf_parse(const char *text, size_t length, struct tcpm__resolv_conf *ret);

/* Reads a list of servers, such as "1.2.3.4:53, [::1]:5353 10.0.0.1", into the servers of ret, and
   changes nothing else in it. 0; -EINVAL: no server, too many, or a word that is none. */
int tcpm__resolv_conf_parse_servers(const char *list, struct tcpm__resolv_conf *ret);

#endif
