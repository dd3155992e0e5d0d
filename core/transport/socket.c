/* SPDX-License-Identifier: MIT */
/*
 * System calls on one socket, and the meaning of its events. Called by the connection layer, which
 * owns the sockets; its own calls go up through the network's socket events.
 */
#include "transport/socket.h"

#include "tcpmulti.h"
#include "transport/address.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define LONE_READ     65536 /* bytes: the only one that is busy stays in the processor's caches */
#define LONE_MUCH     49152
#define READS_AT_MARK 3 /* of an urgent mark, that say EAGAIN */

#define PROBES 4 /* of a peer that may be gone */

#define TICK_MS 10 /* of the kernel's own clock, at most */

static void reset_at_close(const struct tcpm__socket *socket)
{
    static const struct linger now = {.l_onoff = 1, .l_linger = 0};

    setsockopt(socket->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

static void forget_lone(struct tcpm__network *network, const struct tcpm__socket *socket)
{
    if (network->lone != socket)
        return;
    network->lone = NULL;
    network->last_events = 0;
}

/* ---- connecting ---- */

int tcpm__socket_open(struct tcpm__network *network, struct tcpm__socket *opened, int family)
{
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    *opened = (struct tcpm__socket){.fd = fd};
    network->sockets++;
    return 0;
}

/* operation: EPOLL_CTL_ADD or EPOLL_CTL_MOD. */
static int watch(const struct tcpm__network *network, const struct tcpm__socket *socket,
                 uint64_t tag, int operation, uint32_t output)
{
    struct epoll_event event = {
        .events = EPOLLIN | EPOLLRDHUP | EPOLLPRI | EPOLLET | output,
        .data.u64 = tag,
    };

    return epoll_ctl(network->epoll_fd, operation, socket->fd, &event) < 0 ? -errno : 0;
}

/* A port of its own is only taken at connect, where the kernel can give the same one to several
   destinations. */
int tcpm__socket_bind(const struct tcpm__socket *socket, const union tcpm__address *address)
{
    int on = 1;

    if (setsockopt(socket->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
        return -errno;
    if (tcpm__address_port(address) == 0 &&
        setsockopt(socket->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on)) < 0)
        return -errno;
    if (bind(socket->fd, &address->any, tcpm__address_size(address)) < 0)
        return -errno;
    return 0;
}

int tcpm__socket_connect(const struct tcpm__network *network, struct tcpm__socket *socket,
                         const union tcpm__address *address, uint64_t tag)
{
    int result;

    if (connect(socket->fd, &address->any, tcpm__address_size(address)) < 0 &&
        errno != EINPROGRESS && errno != EINTR)
        return -errno;
    result = watch(network, socket, tag, EPOLL_CTL_ADD, EPOLLOUT);
    if (result < 0)
        reset_at_close(socket); /* it may stand already: nobody shall take it for a whole stream */
    else
        socket->connecting = true;
    return result;
}

/* ---- events ---- */

int tcpm__socket_error(const struct tcpm__socket *socket)
{
    int error = 0;
    socklen_t size = sizeof(error);

    if (getsockopt(socket->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
        return -errno;
    return -error;
}

/* How the attempt has ended; 0: it has not failed. */
static int attempt_status(const struct tcpm__socket *socket, uint32_t events)
{
    return (events & (EPOLLERR | EPOLLHUP)) == 0 ? 0 : tcpm__socket_error(socket);
}

/* False: there is no connection. */
static bool serve_attempt(const struct tcpm__network *network, struct tcpm__socket *socket,
                          uint32_t events)
{
    int status = attempt_status(socket, events);

    if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) == 0)
        return false;
    socket->connecting = false;
    network->events->connected(socket, status);
    return status == 0;
}

void tcpm__socket_serve(const struct tcpm__network *network, struct tcpm__socket *socket,
                        uint32_t events)
{
    if (socket->connecting && !serve_attempt(network, socket, events))
        return;
    if ((events & ~(uint32_t) EPOLLOUT) != 0) {
        socket->readable = true;
        if ((events & ~(uint32_t) (EPOLLIN | EPOLLOUT)) != 0)
            socket->thorough = true;
        network->events->readable(socket);
    }
    if ((events & EPOLLOUT) != 0 && socket->blocked) {
        socket->blocked = false;
        network->events->writable(socket);
    }
}

void tcpm__socket_be_lone(struct tcpm__network *network, struct tcpm__socket *socket, uint64_t tag)
{
    if (socket->blocked)
        return;
    if (!socket->input_only)
        socket->input_only = watch(network, socket, tag, EPOLL_CTL_MOD, 0) == 0;
    if (socket->input_only)
        network->lone = socket;
}

int tcpm__socket_watch_output(struct tcpm__network *network, struct tcpm__socket *socket,
                              uint64_t tag)
{
    if (!socket->input_only)
        return 0;
    socket->input_only = false;
    forget_lone(network, socket);
    return watch(network, socket, tag, EPOLL_CTL_MOD, EPOLLOUT);
}

/* ---- reading ---- */

static void enter_turn(const struct tcpm__network *network, struct tcpm__socket *socket)
{
    if (socket->turn == network->turn)
        return;
    if (socket->turn < network->round) {
        socket->read_in_round = 0;
        socket->spent = false;
    }
    socket->drained = false;
    socket->turn = network->turn;
}

/* A read that did not fill its buffer has left nothing, unless the end, an error or urgent data was
   announced; what comes later comes with an event. But when the only peer that is busy has sent
   much, reading again costs less than the turn of the loop that the next event is. */
static void note_read(struct tcpm__network *network, struct tcpm__socket *socket, ssize_t nread,
                      size_t wanted)
{
    bool drained = nread < 0 || (size_t) nread < wanted;

    if (nread > 0) {
        socket->read_in_round = (socket->read_in_round + (uint32_t) nread) & 0xfffff;
        network->reads++;
    }
    socket->drained = drained;
    if (drained && !(nread > 0 && socket->thorough) &&
        !(nread >= LONE_MUCH && network->lone == socket))
        socket->readable = false;
}

bool tcpm__socket_may_read(const struct tcpm__network *network, struct tcpm__socket *socket)
{
    enter_turn(network, socket);
    return socket->read_in_round < TCPM__READ_PER_ROUND;
}

static ssize_t receive(const struct tcpm__socket *socket, void *bytes, size_t length)
{
    ssize_t nread;

    do {
        nread = recv(socket->fd, bytes, length, 0);
    } while (nread < 0 && errno == EINTR);
    return nread < 0 ? -errno : nread;
}

/* At an urgent mark the kernel says EAGAIN also when a signal, or work of a ring of io_uring, is
   pending just then (tcp_recvmsg of Linux). The event for what stands behind the mark has been. */
static bool is_at_mark(const struct tcpm__socket *socket)
{
    int at_mark = 0;

    return socket->thorough && ioctl(socket->fd, SIOCATMARK, &at_mark) == 0 && at_mark;
}

ssize_t tcpm__socket_read(struct tcpm__network *network, struct tcpm__socket *socket)
{
    size_t wanted;
    ssize_t nread;

    if (!tcpm__socket_may_read(network, socket))
        return -EBUSY;
    wanted = TCPM__READ_PER_ROUND - socket->read_in_round;
    if (network->lone == socket && wanted > LONE_READ)
        wanted = LONE_READ;
    nread = receive(socket, network->read_buffer, wanted);
    for (int more = READS_AT_MARK; nread == -EAGAIN && more > 0 && is_at_mark(socket); more--)
        nread = receive(socket, network->read_buffer, wanted);
    note_read(network, socket, nread, wanted);
    return nread;
}

void tcpm__socket_read_on(struct tcpm__socket *socket)
{
    socket->readable = true;
    socket->thorough = true;
}

/* ---- sending ---- */

bool tcpm__socket_is_spent(const struct tcpm__network *network, struct tcpm__socket *socket)
{
    enter_turn(network, socket);
    return socket->spent;
}

void tcpm__socket_spend(struct tcpm__socket *socket)
{
    socket->spent = true;
}

/* The answer to it may be there at once. */
ssize_t tcpm__socket_send(struct tcpm__socket *socket, const void *bytes, size_t length)
{
    ssize_t sent;

    socket->drained = false;
    do {
        sent = send(socket->fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (sent < 0 && errno == EINTR);
    if (sent >= 0)
        return sent;
    socket->blocked = errno == EAGAIN;
    return socket->blocked ? 0 : -errno;
}

void tcpm__socket_finish(const struct tcpm__socket *socket)
{
    shutdown(socket->fd, SHUT_WR);
}

int tcpm__socket_unacknowledged(const struct tcpm__socket *socket)
{
    int bytes = 0;

    ioctl(socket->fd, SIOCOUTQ, &bytes);
    return bytes;
}

/* Probes begin when nothing has come for so many seconds, and go on for as many more. */
void tcpm__socket_keep_alive(const struct tcpm__socket *socket, int seconds)
{
    const int on = 1, count = seconds < PROBES ? seconds : PROBES, interval = seconds / count;
    const int most_ms = 2 * seconds * 1000;

    setsockopt(socket->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    setsockopt(socket->fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof(seconds));
    setsockopt(socket->fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
    setsockopt(socket->fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
    setsockopt(socket->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &most_ms, sizeof(most_ms));
}

uint64_t tcpm__socket_since_acknowledged(const struct tcpm__socket *socket)
{
    struct tcp_info info = {.tcpi_last_ack_recv = 0};
    socklen_t size = sizeof(info);

    if (getsockopt(socket->fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0)
        return 0;
    return info.tcpi_last_ack_recv > TICK_MS ? info.tcpi_last_ack_recv - TICK_MS : 0;
}

bool tcpm__socket_has_news(const struct tcpm__socket *socket, bool input_over)
{
    struct pollfd pollfd = {.fd = socket->fd, .events = POLLIN};

    if (socket->connecting)
        pollfd.events |= POLLOUT;
    if (input_over)
        pollfd.events = 0; /* POLLERR is told in any case */
    return poll(&pollfd, 1, 0) > 0;
}

/* ---- closing ---- */

void tcpm__socket_close(struct tcpm__network *network, struct tcpm__socket *socket, bool reset)
{
    network->sockets--;
    forget_lone(network, socket);
    if (reset)
        reset_at_close(socket);
    close(socket->fd); /* which takes it out of the set */
    *socket = TCPM__SOCKET_CLOSED;
}

void tcpm__socket_drop(struct tcpm__network *network, struct tcpm__socket *socket)
{
    epoll_ctl(network->epoll_fd, EPOLL_CTL_DEL, socket->fd, NULL);
    tcpm__socket_close(network, socket, false);
}
