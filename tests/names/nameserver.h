/* SPDX-License-Identifier: MIT */
/*
 * A scripted name server for tests: a thread with sockets of UDP and TCP on one address, which does
 * what the labels of each name say (script.h is the manual), and a log of what was asked. It lives
 * in the process of the test, as the scripted peer does (tests/peer/peer.h), so the test can ask it
 * at any time. A test may start several, on several addresses.
 *
 * All functions may be called from one thread, the test's; they do not touch signals.
 */
#ifndef NAMES_NAMESERVER_H
#define NAMES_NAMESERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct nameserver;

struct nameserver_options {
    const char *address; /* Default: 127.0.0.1 */
    unsigned port;       /* Default: 53. NAMESERVER_ANY_PORT: one that is free */
    unsigned number;     /* for the labels that begin with s1- to s9-. Default: 1 */
    int no_tcp;          /* 1: connections by TCP are refused */
    char *message;       /* buffer for the reason if nameserver_start fails; or NULL */
    size_t message_size;
};

enum { NAMESERVER_ANY_PORT = 65536 };

/* A question as it came. */
struct nameserver_asked {
    const char *name; /* until the server is stopped or its log forgotten */
    unsigned type;    /* 1: IPv4, 28: IPv6 */
    unsigned id;
    unsigned port; /* of the asker */
    bool tcp;
    uint64_t at_ns; /* CLOCK_MONOTONIC */
};

/* Starts a server. NULL: that failed, see options.message. */
struct nameserver *nameserver_start(const struct nameserver_options *options_or_null);
unsigned nameserver_port(const struct nameserver *server);
/* Closes all sockets, joins the thread, frees everything. NULL is fine. */
void nameserver_stop(struct nameserver *server);

/* Like fork, at a moment at which the server's thread does not allocate: the allocator of the
   address sanitizer leaves its locks to the child as they are. */
pid_t nameserver_fork(struct nameserver *server);

/* How many questions have come: for this name (in any case; NULL: any) and this type (0: any). */
size_t nameserver_count(struct nameserver *server, const char *name, unsigned type);
/* Reads the question of this number, from 0 on, in the order of their coming. False: there is no
   such question (yet). */
bool nameserver_asked(struct nameserver *server, size_t number, struct nameserver_asked *ret);
/* Empties the log. "first-" of a script counts anew. */
void nameserver_forget(struct nameserver *server);

#endif
