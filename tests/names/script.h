/* SPDX-License-Identifier: MIT */
/*
 * What a name tells the scripted name server to do. A test writes the behaviour into the labels of
 * the name that it looks up, so that a test can be read without a second file:
 *
 *     a-2.aaaa-1.6-delay-200.x1.test      two IPv4 addresses; one of IPv6, which comes 200 ms late
 *
 * A label is a word, or a word with a number behind a hyphen. Capitals count as small letters, and
 * labels that are no words of the script only make a name another one.
 *
 *   a-N  aaaa-N             N numbered addresses: 127.0.0.1 and on; 2001:db8::1 and on
 *   from-N                  leaves out the first N of these
 *   v4-A-B-C-D  v6-HEX      one address, of 32 hexadecimal digits for IPv6; may stand several times
 *   ttl-N                   seconds. Default: 60
 *   cname-N  chainttl-N     a chain of N aliases, and their ttl. Default: that of the addresses
 *   loop                    two aliases that point at each other
 *   nodata                  no addresses, whatever other labels say
 *   nx servfail refused formerr notimp    the answer is this error
 *   delay-MS  jitter-MS     the answer comes so late; so late at most, drawn at random
 *   silent                  no answer
 *   twice                   the answer comes twice
 *   truncate                the answer by UDP says only that it was too long
 *   hangup                  the connection by TCP is closed instead of an answer
 *   badid-N badname-N badfrom-N junk-N header-N empty-N    by UDP, N datagrams before the answer:
 *                           with another id, with another question, from another address, of random
 *                           bytes, of a header only, of no byte
 *
 * Words before these make a label count only sometimes; there may be several:
 *
 *   4-  6-                  for the question for IPv4, for IPv6
 *   udp-  tcp-              when it is asked so
 *   first-  later-          when this name and type is asked for the first time; after that
 *   s1- … s9-               by the server of this number
 *
 * What always holds: nothing here depends on anything but the arguments.
 */
#ifndef NAMES_SCRIPT_H
#define NAMES_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>

enum { SCRIPT_A = 1, SCRIPT_AAAA = 28 };

enum { SCRIPT_ADDRESSES = 16 }; /* the most that are written out */

struct script_address {
    unsigned type;
    unsigned char bytes[16];
};

struct script {
    unsigned a, aaaa, from, ttl, cname, chainttl, loop, nodata, rcode;
    unsigned delay_ms, jitter_ms, silent, twice, truncate, hangup;
    unsigned badid, badname, badfrom, junk, header, empty;
    struct script_address addresses[SCRIPT_ADDRESSES];
    size_t address_count;
};

struct script_asked {
    unsigned type, server;
    bool tcp;
    bool first; /* nobody has asked for this name and type before */
};

void script_read(const char *name, const struct script_asked *asked, struct script *ret);

/* Whether it matters for this name what was asked before. */
bool script_counts(const char *name);

#endif
