/* SPDX-License-Identifier: MIT */
/*
 * What the servers of the benchmarks share: their start, and one port on many addresses. With a
 * single address the kernel's search for a free port costs more than all the rest of a connection
 * and hides every difference between clients.
 */
#ifndef BENCH_SERVING_H
#define BENCH_SERVING_H

#include <stddef.h>
#include <stdint.h>

enum { SERVING_ADDRESSES = 32 /* 127.0.0.1-32 */ };

/* Ends the program with the text of errno. */
void serving_fail(const char *what) __attribute__((noreturn));

/* Has this process end with its parent: the driver ends a server, or the kernel does, should the
   driver be killed first. */
void serving_end_with_parent(void);

/* Raises the soft limit of open files; gives the limit. */
size_t serving_raise_file_limit(void);

void serving_watch(int epoll_fd, int fd, uint32_t events, uint64_t tag);

/* A socket of this type at 127.0.0.1 + host, which listens if it is a stream. -1: the port is
   taken. */
int serving_bind(int type, unsigned host, unsigned port);

/* Listens on one port on all addresses, and binds a socket for datagrams to the same port on the
   first of them; datagrams may be NULL. Gives the port. */
unsigned serving_open(int listeners[SERVING_ADDRESSES], int *datagrams);

/* Prints the line "PID PORT": the server is ready. */
void serving_announce(unsigned port);

/* What a server does with a connection, which is a socket that does not block. */
struct serving_calls {
    void (*accepted)(void *server, int fd); /* watches it */
    void (*event)(void *server, int fd, uint32_t events);
    int is_everywhere; /* listens with one socket at all addresses of 127.0.0.0/8 */
};

/* Listens on one port on all addresses, announces it, and serves all that comes, for ever. A
   connection is watched with its descriptor as the tag. */
void serving_run(int epoll_fd, const struct serving_calls *calls, void *server)
    __attribute__((noreturn));

#endif
