/* SPDX-License-Identifier: MIT */
/*
 * A client on plain libuv, written as its documentation suggests, and children that may die: with
 * these the tests of the traps show what happens without this library. What they show is true of
 * libuv 1.44; with another release those halves say so and are left out.
 */
#ifndef TESTS_CAPI_PLAIN_H
#define TESTS_CAPI_PLAIN_H

#include "host.h"

struct plain {
    uv_tcp_t tcp;
    uv_connect_t connect;
    uv_write_t write;
    uv_shutdown_t shutdown;
    char log[600]; /* "connect(0) read(5) read(EOF) closed", as its callbacks came */
    char bytes[200000];
    size_t length;
    bool open, closed;
    char buffer[65536];
};

/* Whether the claims about plain libuv can be checked; says so if not. */
bool plain_is_known(void);
/* Connects to a port on 127.0.0.1 and reads whatever comes; closes at EOF or error. */
void plain_connect(struct plain *plain, uv_loop_t *loop, int port);
void plain_write(struct plain *plain, const char *text); /* uv_write; the text must stay */
void plain_close(struct plain *plain);
void plain_read(struct plain *plain, bool read); /* stops reading, and starts again */

static inline bool plain_open(void *plain)
{
    return ((struct plain *) plain)->open;
}

static inline bool plain_closed(void *plain)
{
    return ((struct plain *) plain)->closed;
}

/* What libuv writes and never changes; the text must stay. */
static inline uv_buf_t plain_buf(const char *text)
{
    return uv_buf_init((char *) (uintptr_t) text, (unsigned) strlen(text));
}

/* Runs in a child; 0..255: its exit status; negative: the signal that ended it. */
int in_child(void (*run)(void *argument), void *argument);
/* Its kernel may hold 4 MiB for us: more than a turn of the loop takes. */
void enlarge_buffer(int fd);
/* Waits until so many bytes, or the end of the stream, are there to read at this socket. */
void wait_readable(int fd, int bytes);
/* Sleeps although the loop has work: the host stalls. */
void stall_ms(int milliseconds);
#endif
