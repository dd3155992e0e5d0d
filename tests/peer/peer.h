/* SPDX-License-Identifier: MIT */
/*
 * A scripted peer for tests: a listening socket and, for each connection it accepts, a thread that
 * runs a small program with blocking calls. It lives in the process of the test, so a test needs no
 * server to be installed, and can hold a connection exactly where it wants it ("wait").
 *
 * A program is a text, one verb per line or separated by ";", "#" to the end of a line is a
 * comment. Strings have C escapes (\n \r \t \0 \\ \" \xNN), numbers may end in k or m (1024, its
 * square).
 *
 *   send "…"            sendhex 0A0B        sendn 100000 "x"     bytes, as they are
 *   prng SEED N         N bytes of peer_prng
 *   more "…"            a piece that the kernel holds back until the next one or a close (MSG_MORE)
 *   oob "X"             the last byte as urgent data
 *   dribble "…" USEC    byte by byte, so many microseconds apart
 *   blast N             N bytes in large pieces, 0: until the client is gone
 *   recv N|line|all     reads and keeps; all: to the end of the stream
 *   recvuntil "…"       reads and keeps, up to and with these bytes
 *   expect "…"          reads so many bytes; others are a failure of the test, see peer_report
 *   echo  discard  count   to the end of the stream; count has a checksum, discard only a number
 *   sleep MS            only where time itself is the subject
 *   mark NAME           tells the test that it came here; wait NAME: until the test calls peer_go
 *   shutwr  shutrd      half a close
 *   close               reads what is there, then closes: FIN. The end of the program does the same
 *   close_unread        closes when something is there to read and without reading it: RST
 *   rst                 closes with RST
 *   freeze              holds the connection open and does nothing until peer_stop
 *   loop N … end        N times, 0: until the connection ends
 *   next                begins the program of the next connection; the last one serves all others
 *
 * A step that meets the end of the connection ends the program. All functions may be called from
 * one thread, the test's; they do not touch signals. Waiting always has a limit.
 */
#ifndef PEER_H
#define PEER_H

#include <stddef.h>
#include <stdint.h>

struct peer;

struct peer_options {
    const char *address; /* where to listen; 127.0.0.1 */
    int port;            /* 0: a free one; else again one of a peer that has ended */
    int backlog;         /* 0: 511, negative: 0 */
    int rcvbuf;          /* bytes, of the sockets accepted; 0: the kernel's */
    int no_accept;       /* 1: listens, never accepts */
    int blackhole;       /* 1: never accepts and has its backlog filled: SYNs get no answer */
    int refuse;          /* 1: binds and never listens: connects are refused */
    size_t keep;         /* bytes to keep of each connection; 64 KiB */
    char *message;       /* where to write why peer_start failed; NULL: standard error */
    size_t message_size;
};

/* How a connection ended, as the peer saw it. CLOSED: the peer closed first. */
enum peer_end { PEER_OPEN, PEER_EOF, PEER_RESET, PEER_ERROR, PEER_CLOSED, PEER_STOPPED };

struct peer_connection {
    enum peer_end end;
    unsigned port;     /* of the client */
    uint64_t received; /* bytes */
    uint64_t sent;
    uint64_t checksum;   /* of all received, see peer_checksum; not kept by discard */
    const char *content; /* the first bytes received, at most as many as options.keep; until stop */
    size_t content_length;
};

struct peer_report {
    uint64_t accepted, ended; /* connections */
    uint64_t received, sent;  /* bytes */
    uint64_t failures;        /* of expect */
    char failure[160];        /* the first of them */
};

/* NULL: it did not start. */
struct peer *peer_start(const char *program, const struct peer_options *options_or_null);
int peer_port(const struct peer *peer);
const char *peer_address(const struct peer *peer);
/* Ends all connections that are left, joins all threads, frees everything. NULL is fine. */
void peer_stop(struct peer *peer);

void peer_report(struct peer *peer, struct peer_report *report);
/* Connections in the order of their accept, from 0. 0, or -1: there is no such. */
int peer_connection(struct peer *peer, size_t index, struct peer_connection *connection);
const char *peer_end_name(enum peer_end end);

void peer_go(struct peer *peer, const char *name);        /* opens a gate, for good */
uint64_t peer_marks(struct peer *peer, const char *name); /* how often it was passed */
/* 0 when it has happened, -1 when seconds have passed without. */
int peer_wait_mark(struct peer *peer, const char *name, uint64_t count, double seconds);
int peer_wait_accepted(struct peer *peer, uint64_t count, double seconds);
int peer_wait_ended(struct peer *peer, uint64_t count, double seconds);

/* FNV-1a with 64 bits; begin with PEER_CHECKSUM. */
#define PEER_CHECKSUM UINT64_C(0xcbf29ce484222325)
uint64_t peer_checksum(uint64_t checksum, const void *bytes, size_t length);
/* The bytes that "prng SEED N" sends. *state begins as SEED. */
void peer_prng(uint64_t *state, char *bytes, size_t length);

#endif
