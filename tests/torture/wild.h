/* SPDX-License-Identifier: MIT */
/*
 * A peer that does what it likes: for each connection it accepts, a thread that sends, reads,
 * waits, half-closes, resets or closes with unread input, as its random numbers say, or as it is
 * told. It listens on all of 127.0.0.0/8: each client connects to an address of its own, and is
 * known by it.
 *
 * What it sends is wild_byte of the address and the offset; what it receives it keeps.
 */
#ifndef TESTS_TORTURE_WILD_H
#define TESTS_TORTURE_WILD_H

#include "common.h"

struct wild;

enum wild_manner {
    WILD_RANDOM,
    WILD_ECHO,     /* sends back what it reads, to the end */
    WILD_READER,   /* reads to the end */
    WILD_SLOW,     /* reads to the end, slowly and late */
    WILD_SOURCE,   /* sends so many bytes, FIN, reads to the end */
    WILD_RESET,    /* sends so many bytes, RST */
    WILD_UNREAD,   /* sends so many bytes, waits for input, closes without reading it: RST */
    WILD_URGENT,   /* sends so many bytes, one of them urgent, FIN, reads to the end */
    WILD_FIN_LATE, /* reads to the end, then sends so many bytes, FIN */
    /* Only with TLS: sends half so many bytes of the handshake, of TLS 1.2 if the number is odd,
       and then FIN, RST, or nothing more. */
    WILD_CUT_FIN,
    WILD_CUT_RESET,
    WILD_CUT_SILENCE,
};

/* How a connection ended, as the peer saw it. */
enum wild_end { WILD_OPEN, WILD_EOF, WILD_WAS_RESET, WILD_LEFT };

struct wild_link {
    uint32_t key;      /* the address that the client connected to, host order */
    uint64_t sent;     /* bytes */
    char *received;    /* all of it */
    size_t length;     /* of it */
    enum wild_end end; /* LEFT: the peer closed without having read to the end */
    bool finished;     /* it has sent FIN, behind all it sent, unless input was unread */
    bool reader;       /* it has read to the end, whatever that was */
    bool whole;        /* CUT: the client got all that it needs of the handshake */
};

/* Clients come to 65536 addresses from the first on, or to 127.0.0.1.
   manner and bytes are asked for each new connection, from other threads; NULL: random ones. */
struct wild_plan {
    enum wild_manner manner;
    size_t bytes;
};
struct wild *wild_start(uint64_t seed, uint32_t first_key,
                        struct wild_plan (*plan)(uint32_t key, void *user), void *user);
/* It speaks TLS from the beginning; or, where plain is not 0, once so many bytes have come in plain
   text, and have gone back. Before the first connection. */
void wild_secure(struct wild *wild, size_t plain);
/* Its sockets hold little: the senders' queues fill up. */
void wild_shrink(struct wild *wild);
int wild_port(const struct wild *wild);
/* Ends when all connections have; then find may be asked, until free. */
void wild_join(struct wild *wild);
const struct wild_link *wild_find(const struct wild *wild, uint32_t key);
void wild_free(struct wild *wild);

char wild_byte(uint32_t key, uint64_t offset);
/* "127.1.2.3" */
void wild_address(uint32_t key, char text[16]);

#endif
