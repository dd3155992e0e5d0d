/* SPDX-License-Identifier: MIT */
/*
 * The system calls of the set: epoll for its sockets, a timerfd for its alarm. Called by the
 * network, which owns the set, by the dispatch, and by each socket, which enters it once.
 *
 * The descriptors of the set stand at the highest numbers that are free, so that libuv's table of
 * watchers, which has to reach that far, never grows again.
 */
#include "transport/set.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static const uint64_t ns_per_s = 1000000000;

/* ---- opening and closing ---- */

/* Moves a descriptor to the highest number that is free. Never dup2: that number could be a
   descriptor of the host's. When all are in use, fd itself: the table cannot grow any more. */
static int move_high(int fd, int limit)
{
    int high = -1;

    for (int number = limit - 1; high < 0 && number > fd; number--) {
        high = fcntl(fd, F_DUPFD_CLOEXEC, number);
        if (high < 0 && errno != EMFILE && errno != EINVAL)
            return -errno;
    }
    return high < 0 ? fd : high;
}

/* The final number of a descriptor that has just been made; or -errno. */
static int place_descriptor(int fd, int limit)
{
    if (fd < 0)
        return -errno;

    int high = move_high(fd, limit);

    if (high != fd)
        close(fd);
    return high;
}

/* The alarm's descriptor. kqueue needs none: its timer is an event of the set itself.
   Edge-triggered, so that nothing has to be read from it. */
static int open_alarm(const struct tcpm__set *set, int limit)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = TCPM__SET_ALARM};
    int fd = place_descriptor(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC), limit);

    if (fd >= 0 && epoll_ctl(set->fd, EPOLL_CTL_ADD, fd, &event) < 0) {
        int result = -errno;

        close(fd);
        return result;
    }
    return fd;
}

int tcpm__set_open(int limit, struct tcpm__set *ret)
{
    struct tcpm__set set = TCPM__SET_CLOSED;

    set.fd = place_descriptor(epoll_create1(EPOLL_CLOEXEC), limit);
    if (set.fd < 0)
        return set.fd;
    set.alarm_fd = open_alarm(&set, limit);
    if (set.alarm_fd < 0) {
        close(set.fd);
        return set.alarm_fd;
    }
    *ret = set;
    return 0;
}

void tcpm__set_close(struct tcpm__set *set)
{
    if (set->fd < 0)
        return;
    close(set->alarm_fd);
    close(set->fd);
    *set = TCPM__SET_CLOSED;
}

/* ---- sockets ---- */

static int enter_socket(const struct tcpm__set *set, int operation, int fd, uint64_t tag)
{
    struct epoll_event event = {
        .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET,
        .data.u64 = tag,
    };

    return epoll_ctl(set->fd, operation, fd, &event) < 0 ? -errno : 0;
}

int tcpm__set_add(const struct tcpm__set *set, int fd, uint64_t tag)
{
    return enter_socket(set, EPOLL_CTL_ADD, fd, tag);
}

/* A change of an edge-triggered entry makes the kernel look at the socket anew (ep_modify of
   Linux). With kqueue, EV_ADD of the same events does. */
int tcpm__set_retag(const struct tcpm__set *set, int fd, uint64_t tag)
{
    return enter_socket(set, EPOLL_CTL_MOD, fd, tag);
}

int tcpm__set_watch(const struct tcpm__set *set, int fd, uint64_t tag, bool reads, bool writes)
{
    struct epoll_event event = {
        .events = (reads ? EPOLLIN : 0u) | (writes ? EPOLLOUT : 0u),
        .data.u64 = tag,
    };

    if (epoll_ctl(set->fd, EPOLL_CTL_ADD, fd, &event) == 0)
        return 0;
    if (errno == EEXIST && epoll_ctl(set->fd, EPOLL_CTL_MOD, fd, &event) == 0)
        return 0;
    return -errno;
}

void tcpm__set_remove(const struct tcpm__set *set, int fd)
{
    epoll_ctl(set->fd, EPOLL_CTL_DEL, fd, NULL);
}

/* ---- events ---- */

int tcpm__set_take(const struct tcpm__set *set, struct tcpm__set_batch *ret)
{
    int count = epoll_wait(set->fd, ret->events, TCPM__SET_BATCH, 0);

    return count > 0 ? count : 0;
}

/* The time 0 would take the alarm back: it counts as the first ns, which is over. */
void tcpm__set_wake_at(const struct tcpm__set *set, uint64_t ns)
{
    ns = ns == 0 ? 1 : ns;

    struct itimerspec at = {
        .it_value = {.tv_sec = (time_t) (ns / ns_per_s), .tv_nsec = (long) (ns % ns_per_s)},
    };

    timerfd_settime(set->alarm_fd, TFD_TIMER_ABSTIME, &at, NULL);
}
