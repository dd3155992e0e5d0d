/* SPDX-License-Identifier: MIT */
/*
 * The shared part of an engine's sockets; the engine owns it.
 *
 * The set is edge-triggered: an event tells once that something has changed, and the socket's flags
 * remember what is left to do. It stands at the highest descriptor that is free, so that libuv's
 * table of watchers, which has to reach that far, never grows again.
 */
#include "transport/network.h"

#include "base/list.h"
#include "transport/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/* Few enough that the host's handles, and our closing of what has ended, have their turn while what
   the kernel keeps of these sockets is still in the processor's caches. */
#define EVENTS_PER_TURN 64

#define LONE_EVENTS 16 /* in a row, and a socket is the only one that is busy */

#define ASK_MS 1 /* and then the set is asked for others, however much the only one reads */

#define HOME_SIZE 4096 /* or the page that it is in */

#define MAX_TABLE 1048576 /* descriptors that libuv's table is made for */

/* The alarm's tag in the set; no socket has it. */
#define ALARM_TAG 0

#define NS_PER_S UINT64_C(1000000000)

uint64_t tcpm__clock_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * NS_PER_S + (uint64_t) now.tv_nsec;
}

uint64_t tcpm__network_now_ns(struct tcpm__network *network)
{
    network->now_ns = tcpm__clock_ns();
    network->now_ms = network->now_ns / 1000000;
    return network->now_ns;
}

uint64_t tcpm__network_now(struct tcpm__network *network)
{
    tcpm__network_now_ns(network);
    return network->now_ms;
}

void tcpm__network_forget(struct tcpm__network *network)
{
    if (--network->handles == 0 && network->emptied != NULL)
        network->emptied(network);
}

/* ---- events ---- */

static void serve(struct tcpm__network *network, struct tcpm__socket *socket, uint32_t events)
{
    tcpm__network_now(network);
    tcpm__socket_serve(network, socket, events);
    network->events->served(network);
}

/* The only one that is busy is asked itself, which saves asking the set who it is that has an
   event. False: it has not read, so the set has to tell. */
static bool serve_lone(struct tcpm__network *network)
{
    uint32_t reads = network->reads;

    if (network->lone == NULL)
        return false;
    serve(network, network->lone, EPOLLIN);
    return network->reads != reads;
}

/* The tag of the only socket in a batch that is not empty; or 0. The alarm is not counted. */
static uint64_t only_tag(const struct epoll_event *batch, int count)
{
    if (count == 1)
        return batch[0].data.u64;
    if (count == 2 && batch[0].data.u64 == ALARM_TAG)
        return batch[1].data.u64;
    return count == 2 && batch[1].data.u64 == ALARM_TAG ? batch[0].data.u64 : 0;
}

/* Finds out whether one socket is the only one that has events. */
static void note_lone(struct tcpm__network *network, const struct epoll_event *batch, int count)
{
    uint64_t tag;
    struct tcpm__socket *socket;

    if (count == 0 || (count == 1 && batch[0].data.u64 == ALARM_TAG))
        return; /* the only one has read what there was */
    tag = only_tag(batch, count);
    if (tag == 0 || tag != network->last_tag) {
        network->last_tag = tag;
        network->last_events = 0;
        network->lone = NULL;
    } else if (++network->last_events >= LONE_EVENTS && network->lone == NULL) {
        socket = network->events->find(network, tag);
        if (socket != NULL)
            tcpm__socket_be_lone(network, socket, tag);
    }
}

/* The set has told once that the time has come; there is nothing to read. */
static void take_alarm(struct tcpm__network *network)
{
    network->alarm_ns = UINT64_MAX;
    tcpm__network_now(network);
    network->events->served(network);
}

static void take_events(uv_poll_t *poll, int status, int events)
{
    struct tcpm__network *network = TCPM__CONTAINER(poll, struct tcpm__network, poll);
    struct epoll_event batch[EVENTS_PER_TURN];
    int count;

    (void) status;
    (void) events;
    if (tcpm__network_is_forked(network))
        return;
    if (serve_lone(network) && tcpm__network_now(network) - network->asked_ms < ASK_MS)
        return;
    network->asked_ms = network->now_ms;
    count = epoll_wait(network->epoll_fd, batch, EVENTS_PER_TURN, 0);
    note_lone(network, batch, count);
    network->events_in_round += count > 0 ? (uint32_t) count : 0;
    network->crowded = count == EVENTS_PER_TURN && network->events_in_round < network->sockets;
    for (int i = 0; i < count; i++) {
        struct tcpm__socket *socket = network->events->find(network, batch[i].data.u64);

        if (socket != NULL)
            serve(network, socket, batch[i].events);
        else if (batch[i].data.u64 == ALARM_TAG)
            take_alarm(network);
    }
}

/* Once it has gone off it rests, whether the set has told or not. */
void tcpm__network_wake_at(struct tcpm__network *network, uint64_t ns)
{
    struct itimerspec at = {
        .it_value = {.tv_sec = (time_t) (ns / NS_PER_S), .tv_nsec = (long) (ns % NS_PER_S)},
    };

    if (!tcpm__network_sleeps_beyond(network, ns))
        return;
    network->alarm_ns = ns;
    timerfd_settime(network->alarm_fd, TFD_TIMER_ABSTIME, &at, NULL);
}

/* The set gives events in the order in which they came. So a round is over when it has no more, or
   has given as many as there are sockets. */
void tcpm__network_begin_turn(struct tcpm__network *network)
{
    network->turn++;
    if (!network->crowded) {
        network->round = network->turn;
        network->events_in_round = 0;
    }
    network->crowded = false; /* unless this turn finds that it still is */
}

/* ---- ports ---- */

/* Where it cannot be read every port counts as one that the kernel may give. */
static void read_port_range(struct tcpm__network *network)
{
    char text[32], *end;
    unsigned long first, last;
    int fd = open("/proc/sys/net/ipv4/ip_local_port_range", O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

    if (fd >= 0)
        close(fd);
    text[length > 0 ? length : 0] = '\0';
    first = strtoul(text, &end, 10);
    last = strtoul(end, NULL, 10);
    if (first == 0 || first > last || last > UINT16_MAX) {
        first = 1;
        last = UINT16_MAX;
    }
    network->first_port = (uint16_t) first;
    network->last_port = (uint16_t) last;
}

bool tcpm__network_may_give_now(struct tcpm__network *network, unsigned port)
{
    read_port_range(network);
    network->ports_ms = network->now_ms;
    return port >= network->first_port && port <= network->last_port;
}

/* ---- opening and closing ---- */

/* libuv aborts when its table cannot grow. A probe of this size goes first: what it can get, the
   table will get. Not by the allocator, which would take the size for a usual one and stop giving
   large blocks back. */
static bool memory_suffices(uint64_t limit)
{
    if (limit > SIZE_MAX / (2 * sizeof(void *)) - 2)
        return false;

    size_t size = ((size_t) limit + 2) * 2 * sizeof(void *);
    void *probe = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return probe != MAP_FAILED && munmap(probe, size) == 0;
}

/* The highest number that is free. Never dup2: it could be a descriptor of the host's. When all are
   in use, fd itself: the table cannot grow any more. */
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

static void close_descriptors(struct tcpm__network *network)
{
    if (network->alarm_fd >= 0)
        close(network->alarm_fd);
    if (network->epoll_fd >= 0)
        close(network->epoll_fd);
    network->alarm_fd = network->epoll_fd = -1;
}

/* A page that the kernel empties in the child of a fork; where it does not know how, no fork is
   noticed. */
static int make_home(struct tcpm__network *network)
{
    char *page = mmap(NULL, HOME_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (page == MAP_FAILED)
        return -ENOMEM;
    madvise(page, HOME_SIZE, MADV_WIPEONFORK);
    *page = 1;
    network->home = page;
    return 0;
}

/* A descriptor that has just been made, where it stays; or -errno. */
static int keep(int fd, int limit)
{
    int high;

    if (fd < 0)
        return -errno;
    high = move_high(fd, limit);
    if (high != fd)
        close(fd);
    return high;
}

/* Edge-triggered, so that nothing has to be read from it. */
static int add_alarm(const struct tcpm__network *network)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = ALARM_TAG};

    return epoll_ctl(network->epoll_fd, EPOLL_CTL_ADD, network->alarm_fd, &event) < 0 ? -errno : 0;
}

/* Both, or none of them. */
static int open_descriptors(struct tcpm__network *network, int limit)
{
    int result;

    network->epoll_fd = keep(epoll_create1(EPOLL_CLOEXEC), limit);
    if (network->epoll_fd < 0)
        return network->epoll_fd;
    network->alarm_fd = keep(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC), limit);
    result = network->alarm_fd < 0 ? network->alarm_fd : add_alarm(network);
    if (result < 0)
        close_descriptors(network);
    return result;
}

static int watch_set(struct tcpm__network *network, uint64_t limit)
{
    int result;

    if (!memory_suffices(limit))
        return -ENOMEM;
    result = open_descriptors(network, (int) limit);
    if (result < 0)
        return result;
    result = uv_poll_init(network->loop, &network->poll, network->epoll_fd);
    if (result < 0) {
        close_descriptors(network);
        return result;
    }
    network->poll.data = NULL;
    uv_unref((uv_handle_t *) &network->poll);
    uv_poll_start(&network->poll, UV_READABLE, take_events);
    return 0;
}

int tcpm__network_open(struct tcpm__network *network, uv_loop_t *loop,
                       const struct tcpm__memory *memory, const struct tcpm__socket_events *events,
                       uint64_t limit)
{
    char *block;
    int result;

    *network = (struct tcpm__network){
        .loop = loop, .memory = memory, .events = events, .turn = 1, .alarm_ns = UINT64_MAX};
    block = tcpm__memory_resize(memory, NULL, TCPM__READ_HEADROOM + TCPM__READ_PER_ROUND);
    if (block == NULL)
        return -ENOMEM;
    network->read_buffer = block + TCPM__READ_HEADROOM;
    result = make_home(network);
    if (result == 0)
        result = watch_set(network, limit < MAX_TABLE ? limit : MAX_TABLE);
    if (result < 0) {
        tcpm__network_free(network);
        return result;
    }
    tcpm__network_now(network);
    return 0;
}

void tcpm__network_close_handle(struct tcpm__network *network, uv_handle_t *handle,
                                void (*closed)(uv_handle_t *handle))
{
    if (uv_is_closing(handle))
        return;
    network->handles++;
    uv_close(handle, closed);
}

static void take_closed(uv_handle_t *poll)
{
    tcpm__network_forget(TCPM__CONTAINER(poll, struct tcpm__network, poll));
}

void tcpm__network_abandon(struct tcpm__network *network)
{
    uv_poll_stop(&network->poll);
    close_descriptors(network);
}

void tcpm__network_close(struct tcpm__network *network)
{
    tcpm__network_close_handle(network, (uv_handle_t *) &network->poll, take_closed);
    close_descriptors(network); /* after libuv has let go of them */
}

void tcpm__network_free(struct tcpm__network *network)
{
    if (network->home != NULL)
        munmap((void *) (uintptr_t) network->home, HOME_SIZE);
    tcpm__memory_free(network->memory, network->read_buffer - TCPM__READ_HEADROOM);
}
