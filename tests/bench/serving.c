/* SPDX-License-Identifier: MIT */
/* The start of a server of the benchmarks (see serving.h). */
#include "serving.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    BACKLOG = 4096,
    RECEIVE_BYTES = 1 << 20,
    FIRST_PORT = 10000,
    PORTS = 20000,
    PORT_ATTEMPTS = 100,
    EVENTS = 1024,
    ACCEPTS_PER_TURN = 64
};

void serving_fail(const char *what)
{
    fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(errno));
    exit(1);
}

void serving_end_with_parent(void)
{
    pid_t parent = getppid();
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        exit(0);
}

size_t serving_raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit))
        serving_fail("getrlimit");
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur;
}

void serving_watch(int epoll_fd, int fd, uint32_t events, uint64_t tag)
{
    struct epoll_event event = {.events = events, .data.u64 = tag};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event))
        serving_fail("epoll_ctl");
}

int serving_bind(int type, unsigned host, unsigned port)
{
    int one = 1, size = RECEIVE_BYTES;
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons((uint16_t) port)};
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK + host);
    int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        serving_fail("socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (type == SOCK_DGRAM && setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size))
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    if (bind(fd, (struct sockaddr *) &addr, sizeof addr) == 0 &&
        (type == SOCK_DGRAM || listen(fd, BACKLOG) == 0))
        return fd;
    close(fd);
    return -1;
}

/* Listens on one port at all addresses of 127.0.0.0/8, as the device keeps all others out. -1: the
   port is taken. */
static int listen_everywhere(unsigned port)
{
    static const char device[] = "lo";
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons((uint16_t) port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, sizeof device))
        serving_fail("socket");
    if (bind(fd, (struct sockaddr *) &addr, sizeof addr) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    close(fd);
    return -1;
}

/* Opens all sockets of one port. False: the port is taken somewhere. */
static int open_all(unsigned port, int listeners[SERVING_ADDRESSES], int *datagrams)
{
    unsigned open = 0;
    while (open < SERVING_ADDRESSES &&
           (listeners[open] = serving_bind(SOCK_STREAM, open, port)) >= 0)
        open++;
    if (open == SERVING_ADDRESSES &&
        (datagrams == NULL || (*datagrams = serving_bind(SOCK_DGRAM, 0, port)) >= 0))
        return 1;
    while (open > 0)
        close(listeners[--open]);
    return 0;
}

/* The ports to try are those where services listen, below those that the kernel gives to
   connections. */
static unsigned port_to_try(unsigned attempt)
{
    if (attempt == PORT_ATTEMPTS)
        serving_fail("no port is free on all addresses");
    return FIRST_PORT + ((unsigned) getpid() + attempt * 97) % PORTS;
}

unsigned serving_open(int listeners[SERVING_ADDRESSES], int *datagrams)
{
    for (unsigned attempt = 0;; attempt++) {
        unsigned port = port_to_try(attempt);
        if (open_all(port, listeners, datagrams))
            return port;
    }
}

static unsigned open_everywhere(int *listener)
{
    for (unsigned attempt = 0;; attempt++) {
        unsigned port = port_to_try(attempt);
        *listener = listen_everywhere(port);
        if (*listener >= 0)
            return port;
    }
}

void serving_announce(unsigned port)
{
    printf("%d %u\n", (int) getpid(), port);
    fflush(stdout);
}

static void accept_some(int listener, const struct serving_calls *calls, void *server)
{
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        calls->accepted(server, fd);
    }
}

void serving_run(int epoll_fd, const struct serving_calls *calls, void *server)
{
    static const uint64_t LISTENER = (uint64_t) 1 << 32; /* in the tag */
    struct epoll_event events[EVENTS];
    int listeners[SERVING_ADDRESSES];
    int is_single = calls->is_everywhere;
    unsigned port = is_single ? open_everywhere(listeners) : serving_open(listeners, NULL);
    for (int i = 0; i < (is_single ? 1 : SERVING_ADDRESSES); i++)
        serving_watch(epoll_fd, listeners[i], EPOLLIN, LISTENER | (uint64_t) listeners[i]);
    serving_announce(port);
    for (;;) {
        int count = epoll_wait(epoll_fd, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            int fd = (int) (events[i].data.u64 & 0xffffffff);
            if (events[i].data.u64 & LISTENER)
                accept_some(fd, calls, server);
            else
                calls->event(server, fd, events[i].events);
        }
    }
}
