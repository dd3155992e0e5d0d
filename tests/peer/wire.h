/* SPDX-License-Identifier: MIT */
/*
 * All reads and writes of a peer's connection. In the usual build they are recv and send, until
 * wire_begin_tls. In a build with -Dtest_layer=identity they speak the code of the test layer
 * (tests/layer/identity.h) from the beginning. Lengths and contents are those of the plain text.
 *
 * Results are those of recv and send: a count, 0 at the end of the stream, or -1 with errno. EPROTO
 * is what the code cannot be: a wrong greeting, a byte that is none, FIN without the mark; or any
 * failure of TLS. "Greeting" also means the handshake of TLS, "mark" its close_notify.
 */
#ifndef PEER_WIRE_H
#define PEER_WIRE_H

#include "identity.h"

#include <sys/types.h>

#ifdef TEST_LAYER_TLS
enum { WIRE_ALWAYS_TLS = 1 }; /* all peers speak TLS, also those whose options do not say it */
#else
enum { WIRE_ALWAYS_TLS = 0 };
#endif
#if defined TEST_LAYER && !defined TEST_LAYER_TLS
enum { WIRE_LAYERED = 1 };
#else
enum { WIRE_LAYERED = 0 };
#endif
#ifdef TCPM_HAVE_OPENSSL
enum { WIRE_HAS_TLS = 1 };
#else
enum { WIRE_HAS_TLS = 0 };
#endif

struct secure_context;

struct wire {
    int fd;
    struct secure *secure; /* NULL: no TLS */
    struct identity_writer writer;
    struct identity_reader reader;
    bool has_half; /* of an escape: the kernel has taken the first byte only */
    char half;
    bool finished; /* the mark is written, or never will be */
};

/* The socket has just been accepted, and stays the caller's. Sends the greeting. */
void wire_open(struct wire *wire, int fd);
/* As wire_open, for peers that have no options: in a build with -Dtest_layer=tls they speak TLS. No
   record then waits for an acknowledgement of the one before, as a reset would destroy it. */
void wire_open_as_built(struct wire *wire, int fd);
/* From here on TLS is spoken, as a server; the handshake is up to wire_await_greeting, or to the
   first read or write. 0, or -1 with errno. */
int wire_begin_tls(struct wire *wire, struct secure_context *context);
/* Frees what the wire has. The socket stays open. */
void wire_free(struct wire *wire);

/* Some of the bytes, as by one send; 0 is possible. MSG_OOB: the last byte is in no stream. */
ssize_t wire_send(struct wire *wire, const void *bytes, size_t length, int flags);
/* Some bytes, as by one recv. */
ssize_t wire_receive(struct wire *wire, void *bytes, size_t size, int flags);

/* Reads the client's greeting, if that has not come yet: an end of ours, however it is made, would
   cut the handshake short. 0, or -1 with errno. */
int wire_await_greeting(struct wire *wire);
/* Writes the mark, once; FIN follows. Nothing may be sent after it. */
void wire_finish(struct wire *wire);

#endif
