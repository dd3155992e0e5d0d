/* SPDX-License-Identifier: MIT */
/*
 * A scripted peer for tests: a listening socket and, for each accepted connection, a thread that
 * runs a small program with blocking calls. The peer lives in the process of the test: no server
 * has to be installed, and the test can hold a connection at any step of the program ("wait").
 *
 * A program is a text of steps, one per line or separated by ";". A comment goes from "#" to the
 * end of the line. Strings have C escapes (\n \r \t \0 \\ \" \xNN); numbers may end in k (1,024) or
 * m (1,048,576).
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
 * With TLS (options.tls, or a build with -Dtest_layer=tls) all of these go through TLS; an end is
 * close_notify and FIN; "rst" and "close_unread" send no close_notify; "recv all" and the like end
 * well only when close_notify came before FIN. The handshake comes before the first step, unless
 * the program has "starttls" or "plain" in it. More steps, for the misdeeds of servers:
 *
 *   starttls            begins TLS in the middle of a program
 *   plain               does nothing: this program has no TLS ("plain; freeze" is silent), or later
 *   raw "…"  rawhex 15  bytes past TLS
 *   garbage N           N pseudo-random bytes past TLS
 *   close_notify        and nothing more. "close_notify; freeze", "close_notify; rst"
 *   fin                 FIN without close_notify, and none later
 *   truncate            half a record, then FIN
 *   alert NAME          ends TLS by this alert ("bad_record_mac"), of TLS 1.3. Before TLS has begun
 *                       ("plain; alert handshake_failure"): it answers the ClientHello
 *   keyupdate N         N KeyUpdates, of TLS 1.3, sent together
 *   tickets N           N session tickets, of TLS 1.3, sent together
 *   empty_records N     N records without content, of TLS 1.3, sent together
 *   renegotiate         a HelloRequest, of TLS 1.2; the next read insists on it
 *   onebyte             from now on each byte is a record of its own; many are sent together
 *
 * A step of these that the connection cannot do is a failure, see peer_report.
 *
 * A step that meets the end of the connection ends the program. All functions may be called from
 * one thread, the test's; they do not touch signals. Waiting always has a limit.
 */
#ifndef PEER_H
#define PEER_H

#include <stddef.h>
#include <stdint.h>

struct peer;

enum peer_client { PEER_CLIENT_NONE, PEER_CLIENT_REQUESTED, PEER_CLIENT_REQUIRED };

/* All that is 0 is the default. Weak keys, signatures and versions are fine with a peer. */
struct peer_tls {
    const char *chain, *key;      /* PEM. Default: a good certificate for peer.test, 127.0.0.1 */
    int min_version, max_version; /* 0x0301 to 0x0304. Default: from TLS 1.2 on */
    const char *alpn;             /* "h2 http/1.1", the best first. Default: no answer */
    const char *ciphers;          /* as OpenSSL names them, up to TLS 1.2 */
    const char *ciphersuites;     /* of TLS 1.3 */
    enum peer_client client;      /* whether the client has to show a certificate */
    const char *client_root;      /* PEM: who must have issued that certificate */
    int tickets;                  /* of a handshake. Default: 2; a negative number: none */
};

struct peer_options {
    const char *address;        /* where to listen. Default: 127.0.0.1 */
    int port;                   /* 0: a free one; otherwise that of a peer that has ended */
    int backlog;                /* of listen. Default: the system's most; less than 0: 0 */
    int rcvbuf;                 /* bytes, of the accepted sockets. Default: what the kernel gives */
    int no_accept;              /* 1: listens and never accepts */
    int blackhole;              /* 1: never accepts, with a full backlog: no SYN gets an answer */
    int refuse;                 /* 1: binds and never listens: connects are refused */
    const struct peer_tls *tls; /* default: no TLS, or what the build says */
    size_t keep;                /* bytes to keep of each connection. Default: 64 KiB */
    char *message; /* buffer for the reason if peer_start fails. Default: standard error */
    size_t message_size;
};

/* How a connection ended, as the peer saw it. CLOSED: the peer closed first. */
enum peer_end { PEER_OPEN, PEER_EOF, PEER_RESET, PEER_ERROR, PEER_CLOSED, PEER_STOPPED };

struct peer_secured { /* of a connection with TLS */
    int version;      /* 0x0303; 0: no handshake is over */
    int is_resumed;   /* by a ticket */
    int is_notified;  /* the client's close_notify has come, and was read */
    char cipher[48];
    char server_name[128]; /* that the client has sent; "": none */
    char alpn[32];         /* the protocol that was chosen; "": none */
    char client[64];       /* common name in the client's certificate */
    char reason[96];       /* why TLS has failed; "": it has not */
};

struct peer_connection {
    enum peer_end end;
    unsigned port;     /* of the client */
    uint64_t received; /* bytes */
    uint64_t sent;
    uint64_t checksum;   /* of all received, see peer_checksum; not kept by discard */
    const char *content; /* the first bytes received, at most as many as options.keep; until stop */
    size_t content_length;
    struct peer_secured tls;
};

struct peer_report {
    uint64_t accepted, ended; /* connections */
    uint64_t received, sent;  /* bytes */
    uint64_t failures;        /* of expect */
    char failure[160];        /* the first of them */
};

/* Starts a peer. NULL: that failed, see options.message. */
struct peer *peer_start(const char *program, const struct peer_options *options_or_null);
int peer_port(const struct peer *peer);
const char *peer_address(const struct peer *peer);
/* Ends all connections that are left, joins all threads, frees everything. NULL is fine. */
void peer_stop(struct peer *peer);

void peer_report(struct peer *peer, struct peer_report *report);
/* Reads the state of a connection; they are numbered from 0 in the order of their accept. Returns
   0, or -1 if there is no such connection (yet). */
int peer_connection(struct peer *peer, size_t index, struct peer_connection *connection);
const char *peer_end_name(enum peer_end end);

/* Lets all connections pass "wait NAME", from now on. */
void peer_go(struct peer *peer, const char *name);
/* Returns how often "mark NAME" was reached, by all connections together. */
uint64_t peer_marks(struct peer *peer, const char *name);
/* Block until a mark was reached, or connections were accepted or have ended, so many times. Return
   0, or -1 if that has not happened after so many seconds. */
int peer_wait_mark(struct peer *peer, const char *name, uint64_t count, double seconds);
int peer_wait_accepted(struct peer *peer, uint64_t count, double seconds);
int peer_wait_ended(struct peer *peer, uint64_t count, double seconds);

/* FNV-1a with 64 bits; begin with PEER_CHECKSUM. */
#define PEER_CHECKSUM UINT64_C(0xcbf29ce484222325)
uint64_t peer_checksum(uint64_t checksum, const void *bytes, size_t length);
/* The bytes that "prng SEED N" sends. *state begins as SEED. */
void peer_prng(uint64_t *state, char *bytes, size_t length);

#endif
