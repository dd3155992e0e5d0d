/* SPDX-License-Identifier: MIT */
/*
 * System calls on one socket, and the meaning of its events. Called by the connection layer, which
 * owns the sockets; calls go up through the network's socket events only. Where a call is one of
 * Linux alone, a function of its own names the alternative.
 *
 * What always holds: while readable is not set, the set will tell of new input; while blocked is
 * set, the set will tell when the kernel takes more.
 */
#include "transport/socket.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    MARK_READS = 3,     /* further reads at an urgent mark, when the kernel says EAGAIN there */
    PROBES = 4,         /* questions to a peer that may be gone */
    CLOCK_TICK_MS = 10, /* longest tick of the kernel's own clock */
    ROUND_MASK = (1 << TCPM__ROUND_BITS) - 1,
};

_Static_assert((int) TCPM__READ_PER_ROUND <= (int) ROUND_MASK,
               "the bytes of a round fit into their count");

/* A close from here on sends RST. */
static void set_reset_at_close(const struct tcpm__socket *socket)
{
    static const struct linger now = {.l_onoff = 1, .l_linger = 0};

    setsockopt(socket->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

/* ---- connecting ---- */

/* SOCK_NONBLOCK and SOCK_CLOEXEC are known to Linux and the BSDs; macOS needs fcntl for both. */
int tcpm__socket_open(struct tcpm__network *network, struct tcpm__socket *ret, int family)
{
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    *ret = (struct tcpm__socket){.fd = fd};
    network->sockets++;
    return 0;
}

/* Leaves the choice of a port to connect, where the kernel can give one port to sockets of several
   targets. Elsewhere than on Linux bind chooses the port, and each socket needs another one. */
static int choose_port_at_connect(const struct tcpm__socket *socket)
{
    int on = 1, option = IP_BIND_ADDRESS_NO_PORT;

    if (setsockopt(socket->fd, IPPROTO_IP, option, &on, sizeof on) < 0 && errno != ENOPROTOOPT)
        return -errno;
    return 0;
}

int tcpm__socket_bind(const struct tcpm__socket *socket, const union tcpm__address *address)
{
    int on = 1, result = 0;

    if (setsockopt(socket->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        return -errno;
    if (tcpm__address_port(address) == 0)
        result = choose_port_at_connect(socket);
    if (result == 0 && bind(socket->fd, &address->any, tcpm__address_size(address)) < 0)
        result = -errno;
    return result;
}

int tcpm__socket_connect(const struct tcpm__network *network, struct tcpm__socket *socket,
                         const union tcpm__address *address, uint64_t tag)
{
    if (connect(socket->fd, &address->any, tcpm__address_size(address)) < 0 &&
        errno != EINPROGRESS && errno != EINTR)
        return -errno;

    int result = tcpm__set_add(&network->set, socket->fd, tag);

    if (result < 0)
        set_reset_at_close(
            socket); /* a connection that exists already looks like no empty stream */
    else
        socket->connecting = true;
    return result;
}

/* IPV6_FREEBIND of Linux, since 4.15. FreeBSD has IPV6_BINDANY, which takes a privilege. */
void tcpm__socket_set_freebind(const struct tcpm__socket *socket)
{
    int on = 1;

    setsockopt(socket->fd, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof on);
}

/* SO_BINDTODEVICE of Linux. Elsewhere IP_BOUND_IF and IPV6_BOUND_IF take the number of the
   interface. */
int tcpm__socket_bind_device(const struct tcpm__socket *socket, const char *name)
{
    socklen_t size = (socklen_t) strlen(name);

    return setsockopt(socket->fd, SOL_SOCKET, SO_BINDTODEVICE, name, size) < 0 ? -errno : 0;
}

int tcpm__socket_retag(const struct tcpm__network *network, struct tcpm__socket *socket,
                       uint64_t tag)
{
    socket->racing = false;
    return tcpm__set_retag(&network->set, socket->fd, tag);
}

int tcpm__socket_get_local(const struct tcpm__socket *socket, union tcpm__address *ret)
{
    socklen_t size = sizeof *ret;

    return getsockname(socket->fd, &ret->any, &size) < 0 ? -errno : 0;
}

int tcpm__socket_get_peer(const struct tcpm__socket *socket, union tcpm__address *ret)
{
    socklen_t size = sizeof *ret;

    return getpeername(socket->fd, &ret->any, &size) < 0 ? -errno : 0;
}

bool tcpm__socket_is_self_connected(const struct tcpm__socket *socket,
                                    const union tcpm__address *peer)
{
    union tcpm__address local = {.any = {.sa_family = AF_UNSPEC}};

    return tcpm__socket_get_local(socket, &local) == 0 && tcpm__address_equal(&local, peer);
}

/* ---- events ---- */

int tcpm__socket_take_error(const struct tcpm__socket *socket)
{
    int error = 0;
    socklen_t size = sizeof error;

    if (getsockopt(socket->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
        return -errno;
    return -error;
}

/* Ends the attempt if the event says so. False: there is nothing more to tell. */
static bool serve_attempt(const struct tcpm__network *network, struct tcpm__socket *socket,
                          uint32_t bits)
{
    if ((bits & (TCPM__SET_OUT | TCPM__SET_FAILED)) == 0)
        return false;

    int status = (bits & TCPM__SET_FAILED) != 0 ? tcpm__socket_take_error(socket) : 0;

    socket->connecting = false;
    if (socket->racing) {
        network->events->raced(socket, status);
        return false;
    }
    network->events->connected(socket, status);
    return status == 0;
}

void tcpm__socket_serve(const struct tcpm__network *network, struct tcpm__socket *socket,
                        uint32_t bits)
{
    if (socket->connecting && !serve_attempt(network, socket, bits))
        return;
    if ((bits & ~(uint32_t) TCPM__SET_OUT) != 0) {
        socket->readable = true;
        if ((bits & (TCPM__SET_URGENT | TCPM__SET_END | TCPM__SET_FAILED)) != 0)
            socket->end_announced = true;
        network->events->readable(socket);
    }
    if ((bits & TCPM__SET_OUT) != 0 && socket->blocked) {
        socket->blocked = false;
        network->events->writable(socket);
    }
}

bool tcpm__socket_has_news(const struct tcpm__socket *socket, bool input_is_over)
{
    struct pollfd pollfd = {.fd = socket->fd, .events = POLLIN};

    if (socket->connecting)
        pollfd.events |= POLLOUT;
    if (input_is_over)
        pollfd.events = 0; /* POLLERR is told in any case */
    return poll(&pollfd, 1, 0) > 0;
}

/* ---- rounds ---- */

/* Whether the counts of the socket are of this round. */
static bool is_in_round(const struct tcpm__network *network, const struct tcpm__socket *socket)
{
    return socket->turn >= network->round;
}

/* Begins to count anew if this turn, or this round, is another one than before. */
static void enter_turn(const struct tcpm__network *network, struct tcpm__socket *socket)
{
    if (socket->turn == network->turn)
        return;
    if (!is_in_round(network, socket)) {
        socket->read_in_round = 0;
        socket->spent = false;
    }
    socket->drained = false;
    socket->turn = network->turn;
}

bool tcpm__socket_may_read(const struct tcpm__network *network, const struct tcpm__socket *socket)
{
    return socket->read_in_round < TCPM__READ_PER_ROUND || !is_in_round(network, socket);
}

void tcpm__socket_end_round(const struct tcpm__network *network, struct tcpm__socket *socket)
{
    enter_turn(network, socket);
    socket->read_in_round = TCPM__READ_PER_ROUND;
}

bool tcpm__socket_is_spent(const struct tcpm__network *network, const struct tcpm__socket *socket)
{
    return socket->spent && is_in_round(network, socket);
}

void tcpm__socket_spend(const struct tcpm__network *network, struct tcpm__socket *socket)
{
    enter_turn(network, socket);
    socket->spent = true;
}

/* ---- reading ---- */

static ssize_t receive(const struct tcpm__socket *socket, void *bytes, size_t length)
{
    ssize_t nread;

    do {
        nread = recv(socket->fd, bytes, length, 0);
    } while (nread < 0 && errno == EINTR);
    return nread < 0 ? -errno : nread;
}

/* At an urgent mark the kernel says EAGAIN also when a signal, or work of a ring of io_uring, is
   pending just then (tcp_recvmsg of Linux). No
   event will come for the bytes behind the mark: that has been taken already. */
static bool is_at_mark(const struct tcpm__socket *socket)
{
    return socket->end_announced && sockatmark(socket->fd) == 1;
}

/* A read that did not fill its buffer has left nothing, unless the end, an error or an urgent byte
   was announced; later input comes with an event. */
static void note_read(struct tcpm__socket *socket, ssize_t nread, size_t wanted)
{
    bool drained = nread < 0 || (size_t) nread < wanted;

    if (nread > 0)
        socket->read_in_round = (socket->read_in_round + (uint32_t) nread) & ROUND_MASK;
    socket->drained = drained;
    if (drained && !(nread > 0 && socket->end_announced))
        socket->readable = false;
}

ssize_t tcpm__socket_read(struct tcpm__network *network, struct tcpm__socket *socket, size_t most)
{
    enter_turn(network, socket);
    if (!tcpm__socket_may_read(network, socket))
        return -EBUSY;

    size_t left = TCPM__READ_PER_ROUND - socket->read_in_round, wanted = left < most ? left : most;
    ssize_t nread = receive(socket, network->read_buffer, wanted);

    for (int more = MARK_READS; nread == -EAGAIN && more > 0 && is_at_mark(socket); more--)
        nread = receive(socket, network->read_buffer, wanted);
    note_read(socket, nread, wanted);
    return nread;
}

/* ---- sending ---- */

/* A send without the signal SIGPIPE. Where MSG_NOSIGNAL is missing, the option SO_NOSIGPIPE of the
   opened socket does the same. */
static ssize_t send_quietly(const struct tcpm__socket *socket, const void *bytes, size_t length,
                            int flags)
{
    ssize_t sent;

    do {
        sent = send(socket->fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT | flags);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : sent;
}

/* After a send the socket does not count as drained: the answer may be there at once. */
static inline ssize_t note_send(struct tcpm__socket *socket, ssize_t sent)
{
    socket->drained = false;
    if (sent >= 0)
        return sent;
    socket->blocked = sent == -EAGAIN;
    return socket->blocked ? 0 : sent;
}

ssize_t tcpm__socket_send(struct tcpm__socket *socket, const void *bytes, size_t length)
{
    return note_send(socket, send_quietly(socket, bytes, length, 0));
}

ssize_t tcpm__socket_send_more(struct tcpm__socket *socket, const void *bytes, size_t length)
{
    return note_send(socket, send_quietly(socket, bytes, length, MSG_MORE));
}

void tcpm__socket_push(const struct tcpm__socket *socket)
{
    int off = 0;

    setsockopt(socket->fd, IPPROTO_TCP, TCP_CORK, &off, sizeof off);
}

void tcpm__socket_send_fin(const struct tcpm__socket *socket)
{
    shutdown(socket->fd, SHUT_WR);
}

/* SIOCOUTQ of Linux. macOS has the socket option SO_NWRITE for it and FreeBSD the ioctl FIONWRITE,
   both without the FIN. */
int tcpm__socket_unacknowledged(const struct tcpm__socket *socket)
{
    int bytes = 0;

    ioctl(socket->fd, SIOCOUTQ, &bytes);
    return bytes;
}

/* TCP_INFO of Linux. Where the kernel does not tell the time, 0 is right too: less than it was. */
uint64_t tcpm__socket_since_acknowledged(const struct tcpm__socket *socket)
{
    struct tcp_info info = {.tcpi_last_ack_recv = 0};
    socklen_t size = sizeof info;

    if (getsockopt(socket->fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0)
        return 0;
    return info.tcpi_last_ack_recv > CLOCK_TICK_MS ? info.tcpi_last_ack_recv - CLOCK_TICK_MS : 0;
}

/* ---- options ---- */

void tcpm__socket_set_nodelay(const struct tcpm__socket *socket)
{
    int on = 1;

    setsockopt(socket->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/* Probes begin when nothing has come for so many seconds, and go on for as many more. macOS calls
   TCP_KEEPIDLE TCP_KEEPALIVE, and has TCP_RXT_CONNDROPTIME, in seconds, for TCP_USER_TIMEOUT. */
void tcpm__socket_set_keepalive(const struct tcpm__socket *socket, int seconds)
{
    const int on = 1, count = seconds < PROBES ? seconds : PROBES, interval = seconds / count;
    const int most_ms = 2 * seconds * 1000;

    setsockopt(socket->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(socket->fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof seconds);
    setsockopt(socket->fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
    setsockopt(socket->fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
    setsockopt(socket->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &most_ms, sizeof most_ms);
}

/* ---- closing ---- */

void tcpm__socket_close(struct tcpm__network *network, struct tcpm__socket *socket, bool reset)
{
    network->sockets--;
    if (reset)
        set_reset_at_close(socket);
    close(socket->fd); /* takes the socket out of the set */
    *socket = TCPM__SOCKET_CLOSED;
}

void tcpm__socket_drop(struct tcpm__network *network, struct tcpm__socket *socket)
{
    tcpm__set_remove(&network->set, socket->fd);
    tcpm__socket_close(network, socket, false);
}
