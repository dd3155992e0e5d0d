/* SPDX-License-Identifier: MIT */
/*
 * System calls on sockets that can fail. The program defines them in place of the C library's, for
 * itself and for libuv; they go on to the kernel, unless the plan of the calling thread says
 * otherwise. Threads without a plan, such as those of the peer, notice nothing.
 */
#ifndef TESTS_TORTURE_SHIM_H
#define TESTS_TORTURE_SHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum shim_call {
    SHIM_SOCKET,
    SHIM_CONNECT,
    SHIM_BIND,
    SHIM_SEND,
    SHIM_RECEIVE,
    SHIM_DUPLICATE,
    SHIM_SETSOCKOPT, /* not SO_LINGER: how else could a connection be reset */
    SHIM_GETSOCKNAME,
    SHIM_IOCTL,
    SHIM_SHUTDOWN,
    SHIM_POLL,
    SHIM_REGISTER, /* epoll_ctl that adds a socket */
    SHIM_CALLS
};

struct shim {
    bool active;
    uint64_t counts[SHIM_CALLS]; /* calls made */
    enum shim_call call;         /* this one fails, */
    uint64_t fail_at;            /* so manieth time; 0: never */
    bool fail_on;                /* and ever after */
    int error;                   /* with this errno */
    size_t cut;                  /* send and receive take at most so many bytes; 0: all; the event
                                    that this holds back comes all the same */
    unsigned again_every;        /* so manieth send or receive: EAGAIN; 0: none */
    unsigned interrupt_every;    /* EINTR likewise */
};

/* The plan of this thread. */
struct shim *shim(void);

#endif
