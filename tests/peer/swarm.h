/* SPDX-License-Identifier: MIT */
/*
 * A peer for thousands of connections: a process of its own (so that its descriptors do not count
 * against the test's limit) with one epoll loop, which does one thing with every connection:
 *
 *   echo      sends back what comes
 *   discard   reads and counts
 *   close     closes at once
 *   greet     sends "hello\r\n" and closes
 *   rst       resets at once
 *   firehose  sends without end
 *   fate      each connection the next of: echo, discard, close, greet, rst, greet and reset
 *
 * "tls echo" and so on: the mode with TLS, by a good certificate for peer.test.
 *
 * It ends with the process that started it, whatever happens.
 */
#ifndef SWARM_H
#define SWARM_H

#include <stdint.h>

struct swarm;

struct swarm_stats {
    uint64_t accepted, ended; /* connections, so far */
    uint64_t most;            /* at once */
    uint64_t received;        /* bytes */
};

/* Listens on one port of 127.0.0.1 to 127.0.0.<addresses>. NULL: it did not start. */
struct swarm *swarm_start(const char *mode, int addresses, int backlog);
int swarm_port(const struct swarm *swarm);
void swarm_stats(const struct swarm *swarm, struct swarm_stats *stats);
void swarm_kill(struct swarm *swarm); /* SIGKILL: the kernel ends all connections */
void swarm_stop(struct swarm *swarm); /* kills it too, and frees; NULL is fine */

#endif
