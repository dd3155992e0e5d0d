/* SPDX-License-Identifier: MIT */
/*
 * What the two floors do alike, plain and under TLS: limits, the clock that is asked once per turn,
 * and a socket that is registered once for both directions.
 */
#ifndef BENCH_FLOOR_H
#define BENCH_FLOOR_H

#include "measure.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

enum {
    FLOOR_EVENTS = 1024,
    FLOOR_SWEEP_MS = 1000,
    FLOOR_CONNECT_TIMEOUT_MS = 30000,
    FLOOR_INPUT_TIMEOUT_MS = 300000,
    FLOOR_OTHER_DESCRIPTORS = 64
};

static inline uint32_t floor_clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint32_t) (now.tv_sec * 1000 + now.tv_nsec / 1000000);
}

/* Begins to connect where connection number `index` goes. Gives the descriptor, which is below
   `limit`, and is watched with the descriptor as data. */
static inline int floor_connect(const struct bench_job *job, uint64_t index, int epoll_fd,
                                unsigned limit)
{
    struct sockaddr_in addr;
    bench_address(job, index, &addr);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        bench_fail("socket", errno);
    if (connect(fd, (struct sockaddr *) &addr, sizeof addr) && errno != EINPROGRESS)
        bench_fail("connect", errno);
    if ((unsigned) fd >= limit)
        bench_fail("a descriptor above the expected ones", 0);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.fd = fd};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event))
        bench_fail("epoll_ctl", errno);
    return fd;
}

#endif
