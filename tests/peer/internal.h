/* SPDX-License-Identifier: MIT */
/*
 * What the threads of a scripted peer share. peer.c owns it; act.c runs the program of one
 * connection. What always holds: a field that another thread may read is written under the lock.
 */
#ifndef PEER_INTERNAL_H
#define PEER_INTERNAL_H

#include "peer.h"
#include "program.h"
#include "wire.h"

#include <pthread.h>
#include <stdbool.h>

struct peer_name { /* of a mark, a gate or both */
    char *name;
    uint64_t marks;
    bool open;
};

/* A copy of what was received. A larger one takes its place, and it stays until the peer stops: the
   test may be reading it. */
struct peer_kept {
    struct peer_kept *before;
    char bytes[];
};

struct peer_link { /* one connection, for as long as its peer lives */
    struct peer *peer;
    const struct peer_program *program;
    pthread_t thread;
    int fd; /* -1: closed */
    struct wire wire;
    bool finished, joined;
    struct peer_kept *kept; /* the bytes of seen.content, and earlier copies of them */
    size_t content_capacity;
    struct peer_connection seen;
};

struct peer {
    pthread_mutex_t lock;
    pthread_cond_t changed; /* anything below */
    struct peer_script script;
    struct secure_context *tls; /* NULL: no TLS */
    size_t keep;
    int rcvbuf;
    int listen_fd, wake_fd; /* wake_fd: an eventfd that ends the accept thread */
    int fill_fds[4];        /* what fills the backlog of a blackhole */
    int port;
    char address[64];
    pthread_t accept_thread;
    bool accepting, stopping;
    struct peer_link **links;
    size_t link_count, link_capacity;
    struct peer_name *names;
    size_t name_count;
    struct peer_report report;
};

/* Runs the program of a connection to its end and closes the connection. */
void peer_act(struct peer_link *link);

/* Does a step that only TLS has. 0, or -1 with errno. */
int peer_do_tls(struct peer_link *link, const struct peer_step *step);

/* The entry of a name, made if there is none; NULL without memory. Under the lock. */
struct peer_name *peer_name_find(struct peer *peer, const char *name);

/* Closes the socket of a connection, once, and notes how it ended unless that is known. */
void peer_link_close(struct peer_link *link, enum peer_end end);

/* Waits for the next change, under the lock, at most until the deadline (CLOCK_MONOTONIC; NULL:
   none). 0, or -1: the deadline is over. */
struct timespec;
int peer_wait_change(struct peer *peer, const struct timespec *deadline);
void peer_deadline(double seconds, struct timespec *deadline);

#endif
