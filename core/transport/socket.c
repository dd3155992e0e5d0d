/*
 * Sockets on libuv: it tells when a connection stands and reads; all else goes to the kernel
 * directly. Called by the connection layer; every callback of libuv on a socket ends in one of the
 * four socket events, unless the socket has been given up (its network is NULL then).
 */
#include "transport/socket.h"

#include "tcpmulti.h"
#include "transport/address.h"

#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* The uv_tcp_t stays under malloc's rounding: one of these per connection. */
_Static_assert(sizeof(struct tcpm__socket) <= 264, "a socket record has outgrown its memory chunk");

static struct tcpm__socket *socket_of(const void *handle)
{
    return (struct tcpm__socket *) handle;
}

int tcpm__socket_fd(const struct tcpm__socket *socket)
{
    uv_os_fd_t fd = -1;

    uv_fileno((const uv_handle_t *) &socket->tcp, &fd);
    return fd;
}

static bool given_up(const struct tcpm__socket *socket)
{
    return socket->network == NULL;
}

/* ---- opening ---- */

int tcpm__socket_open(struct tcpm__network *network, int family, void *owner,
                      struct tcpm__socket **ret)
{
    struct tcpm__socket *socket = tcpm__memory_resize(network->memory, NULL, sizeof(*socket));
    int result;

    if (socket == NULL)
        return -ENOMEM;
    memset(socket, 0, sizeof(*socket));
    result = uv_tcp_init_ex(network->loop, &socket->tcp, (unsigned) family);
    if (result < 0) {
        tcpm__memory_free(network->memory, socket);
        return result;
    }
    socket->tcp.data = owner;
    socket->network = network;
    network->handles++;
    *ret = socket;
    return 0;
}

/* Our own bind, since uv_tcp_bind puts some errors off until connect. A port of its own is only
   taken at connect, where the kernel can give the same one to several destinations. */
int tcpm__socket_bind(struct tcpm__socket *socket, const union tcpm__address *address)
{
    int fd = tcpm__socket_fd(socket), on = 1;

    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
        return -errno;
    if (tcpm__address_port(address) == 0 &&
        setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on)) < 0)
        return -errno;
    if (bind(fd, &address->any, tcpm__address_size(address)) < 0)
        return -errno;
    return 0;
}

/* ---- reading ---- */

static uint32_t turn_allowance(struct tcpm__socket *socket)
{
    if (socket->turn != socket->network->turn) {
        socket->turn = socket->network->turn;
        socket->read_in_turn = 0;
    }
    return socket->read_in_turn >= TCPM__READ_PER_TURN ? 0
                                                       : TCPM__READ_PER_TURN - socket->read_in_turn;
}

static void count_read(struct tcpm__socket *socket, size_t length, size_t wanted)
{
    socket->read_in_turn += (uint32_t) length;
    socket->drained = length < wanted;
}

/* A buffer of no length ends libuv's read loop without a system call; read_cb gets UV_ENOBUFS. */
static void give_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct tcpm__socket *socket = socket_of(handle);

    (void) suggested;
    if (given_up(socket) || socket->held)
        *buf = uv_buf_init(NULL, 0);
    else
        *buf = uv_buf_init(socket->network->read_buffer, turn_allowance(socket));
}

static void rest_reading(struct tcpm__socket *socket)
{
    uv_read_stop((uv_stream_t *) &socket->tcp);
    socket->stopped = 1;
}

/* libuv says EOF with no buffer when the socket hung up after a short read: it has not looked for
   what else the kernel holds, nor whether it was a reset. */
static void take_read(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf)
{
    struct tcpm__socket *socket = socket_of(stream);

    if (given_up(socket) || nread == 0)
        return;
    if (nread > 0) {
        count_read(socket, (size_t) nread, buf->len);
        socket->network->events->received(stream->data, buf->base, (size_t) nread);
    } else if (nread == UV_ENOBUFS && buf->len == 0) {
        if (socket->held)
            rest_reading(socket);
    } else {
        socket->stopped = 1;
        if (nread == UV_EOF)
            nread = buf->base == NULL ? 0 : TCPM_EOF;
        socket->network->events->ended(stream->data, (int) nread);
    }
}

static void start_reading(struct tcpm__socket *socket)
{
    socket->stopped = uv_read_start((uv_stream_t *) &socket->tcp, give_buffer, take_read) < 0;
}

void tcpm__socket_hold(struct tcpm__socket *socket, bool hold)
{
    socket->held = hold;
    if (!hold && socket->stopped)
        start_reading(socket);
}

ssize_t tcpm__socket_read(struct tcpm__socket *socket)
{
    size_t wanted = turn_allowance(socket);
    ssize_t nread;

    if (wanted == 0)
        return -EBUSY;
    do {
        nread = recv(tcpm__socket_fd(socket), socket->network->read_buffer, wanted, 0);
    } while (nread < 0 && errno == EINTR);
    if (nread < 0)
        return -errno;
    count_read(socket, (size_t) nread, wanted);
    return nread;
}

bool tcpm__socket_is_drained(const struct tcpm__socket *socket)
{
    return socket->drained && socket->turn == socket->network->turn;
}

/* ---- connecting ---- */

static void take_connect(uv_connect_t *request, int status)
{
    struct tcpm__socket *socket = socket_of(request->handle);
    struct tcpm__network *network = request->data;

    tcpm__slab_give(&network->requests, request);
    if (!given_up(socket))
        network->events->connected(socket->tcp.data, status);
}

/* Reading starts before the connection stands: libuv then registers both interests by one
   epoll_ctl, and later only drops the one for writing. */
int tcpm__socket_connect(struct tcpm__socket *socket, const union tcpm__address *address)
{
    struct tcpm__network *network = socket->network;
    uv_connect_t *request = tcpm__slab_take(&network->requests);
    int result;

    if (request == NULL)
        return -ENOMEM;
    request->data = network;
    result = uv_tcp_connect(request, &socket->tcp, &address->any, take_connect);
    if (result < 0) {
        tcpm__slab_give(&network->requests, request);
        return result;
    }
    start_reading(socket);
    return 0;
}

/* ---- sending ---- */

ssize_t tcpm__socket_send(struct tcpm__socket *socket, const void *bytes, size_t length)
{
    ssize_t sent;

    do {
        sent = send(tcpm__socket_fd(socket), bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (sent < 0 && errno == EINTR);
    if (sent >= 0)
        return sent;
    return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
}

void tcpm__socket_finish(struct tcpm__socket *socket)
{
    shutdown(tcpm__socket_fd(socket), SHUT_WR);
}

int tcpm__socket_unacknowledged(const struct tcpm__socket *socket)
{
    int bytes = 0;

    ioctl(tcpm__socket_fd(socket), SIOCOUTQ, &bytes);
    return bytes;
}

bool tcpm__socket_has_news(const struct tcpm__socket *socket, bool connecting)
{
    struct pollfd pollfd = {.fd = tcpm__socket_fd(socket),
                            .events = connecting ? POLLIN | POLLOUT : POLLIN};

    return poll(&pollfd, 1, 0) > 0;
}

/* ---- closing ---- */

static void free_socket(uv_handle_t *handle)
{
    struct tcpm__network *network = handle->data;

    tcpm__memory_free(network->memory, socket_of(handle));
    tcpm__network_forget(network);
}

static void close_handle(struct tcpm__network *network, struct tcpm__socket *socket)
{
    int fd = tcpm__socket_fd(socket);

    socket->tcp.data = network;
    uv_close((uv_handle_t *) &socket->tcp, free_socket);
    if (fd <= STDERR_FILENO) /* libuv leaves those open, whatever they are */
        close(fd);
}

void tcpm__socket_close(struct tcpm__socket *socket, bool reset)
{
    static const struct linger now = {.l_onoff = 1, .l_linger = 0};
    struct tcpm__network *network = socket->network;

    if (reset)
        setsockopt(tcpm__socket_fd(socket), SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    socket->network = NULL;
    if (!network->dispatching) {
        close_handle(network, socket);
        return;
    }
    socket->tcp.data = network->closing;
    network->closing = socket;
    network->spare_descriptors++;
}

void tcpm__socket_close_waiting(struct tcpm__network *network)
{
    while (network->closing != NULL) {
        struct tcpm__socket *socket = network->closing;

        network->closing = socket->tcp.data;
        network->spare_descriptors--;
        close_handle(network, socket);
    }
}
