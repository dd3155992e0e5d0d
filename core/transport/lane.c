/* SPDX-License-Identifier: MIT */
/*
 * The channel of c-ares behind a lane, and the socket functions that it calls. c-ares would open
 * sockets that the set does not know, read until a socket is dry, and close one for a datagram
 * without bytes; hence functions of our own. Called by ares.c.
 *
 * Differences between the versions are settled here. 1.18 has no timeouts of its own to be afraid
 * of; 1.32 and later give up a question after five times the mean time of earlier answers, and
 * 1.22 and later drop all questions for one message that cannot be parsed. Neither happens here:
 * time-outs are not processed, and such messages do not reach c-ares.
 */
#include "transport/lane.h"

#include <ares_dns.h>
#include <arpa/nameser.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* ARES_VERSION as a number. */
#define VERSION(major, minor) (((major) << 16) | ((minor) << 8))

enum {
    READS = 64,               /* datagrams that one look for answers takes */
    MOST_UNREAD = 64,         /* questions in a row, before a look for answers */
    RECEIVE_BUFFER = 1 << 20, /* bytes; the kernel gives what it may */
    NEVER_MS = 86400000,      /* more than any question is out */
    LEAST_RECORD = 11,        /* bytes of a record without a name and data */
};

/* ---- the socket ---- */

static uint64_t tag_of(const struct tcpm__lane *lane, int fd)
{
    return tcpm__tag_other((uint64_t) lane->number << 32 | (uint32_t) fd);
}

/* A TCP socket has no delay, as each question is sent by itself. */
static void set_options(const struct tcpm__lane *lane, int fd)
{
    static const int on = 1, receive_buffer = RECEIVE_BUFFER;

    if (lane->tcp)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    else
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
}

/* The environment variable RES_OPTIONS can make c-ares use TCP in any lane. */
static ares_socket_t on_socket(int domain, int type, int protocol, void *user)
{
    struct tcpm__lane *lane = user;
    int fd = socket(domain, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);

    if (fd < 0) {
        lane->trouble = -errno;
        return ARES_SOCKET_BAD;
    }
    lane->tcp = type == SOCK_STREAM;
    set_options(lane, fd);
    return fd;
}

/* The set belongs to the other process too after a fork, and so stays as it is. */
static int on_close(ares_socket_t fd, void *user)
{
    struct tcpm__lane *lane = user;

    if (fd == lane->fd) {
        lane->fd = -1;
        if (!tcpm__network_is_forked(lane->network))
            tcpm__set_remove(&lane->network->set, fd);
    }
    return close(fd);
}

static int on_connect(ares_socket_t fd, const struct sockaddr *address, ares_socklen_t length,
                      void *user)
{
    struct tcpm__lane *lane = user;
    int result = connect(fd, address, length) < 0 ? -errno : 0;

    if (result == 0 || result == -EINPROGRESS) {
        int watched = tcpm__set_watch(&lane->network->set, fd, tag_of(lane, fd), true, false);

        result = watched < 0 ? watched : result;
        lane->fd = watched < 0 ? -1 : fd;
    }
    if (result != 0 && result != -EINPROGRESS)
        lane->trouble = result;
    errno = -result;
    return result < 0 ? -1 : 0;
}

/* Only TCP waits for room to write; the set knows already that the socket is read. */
static void on_state(void *user, ares_socket_t fd, int readable, int writable)
{
    const struct tcpm__lane *lane = user;

    if (lane->tcp && fd == lane->fd && (readable || writable) &&
        !tcpm__network_is_forked(lane->network))
        tcpm__set_watch(&lane->network->set, fd, tag_of(lane, fd), true, writable);
}

/* ---- messages ---- */

/* Whether the message may be an answer, by its header: it has one question, and as many records as
   fit into the bytes. For the records that a header only claims to have, c-ares 1.34 would take
   megabytes, and milliseconds. */
static bool is_plausible(const unsigned char *bytes, size_t length)
{
    return length >= NS_HFIXEDSZ && DNS_HEADER_QR(bytes) && DNS_HEADER_QDCOUNT(bytes) == 1 &&
           (length - NS_HFIXEDSZ) / LEAST_RECORD >= (size_t) DNS_HEADER_ANCOUNT(bytes) +
                                                        DNS_HEADER_NSCOUNT(bytes) +
                                                        DNS_HEADER_ARCOUNT(bytes);
}

#if ARES_VERSION >= VERSION(1, 22)
static bool can_be_parsed(const unsigned char *bytes, size_t length)
{
    ares_dns_record_t *record = NULL;
    bool result = ares_dns_parse(bytes, length, 0, &record) == ARES_SUCCESS;

    ares_dns_record_destroy(record);
    return result;
}
#else
/* Earlier versions drop by themselves what cannot be parsed. */
static bool can_be_parsed(const unsigned char *bytes, size_t length)
{
    (void) bytes;
    (void) length;
    return true;
}
#endif

/* The address is there for c-ares, which looks at it; the socket is connected, so that the kernel
   keeps away datagrams from elsewhere. */
static ares_ssize_t on_receive(ares_socket_t fd, void *buffer, size_t size, int flags,
                               struct sockaddr *address, ares_socklen_t *length, void *user)
{
    struct tcpm__lane *lane = user;

    while (lane->reads > 0) {
        ssize_t got = recvfrom(fd, buffer, size, flags, address, length);

        lane->reads--;
        lane->dry = got < 0;
        if (got < 0 || lane->tcp ||
            (is_plausible(buffer, (size_t) got) && can_be_parsed(buffer, (size_t) got)))
            return got;
    }
    errno = EAGAIN;
    return -1;
}

/* A datagram for which there is no room counts as sent: c-ares 1.18 would give its question up.
   Questions that get no answer are asked again. */
static ares_ssize_t on_send(ares_socket_t fd, const struct iovec *parts, int count, void *user)
{
    const struct tcpm__lane *lane = user;
    const struct msghdr message = {
        .msg_iov = (struct iovec *) (uintptr_t) parts,
        .msg_iovlen = (size_t) count,
    };
    ssize_t sent = count == 1 ? send(fd, parts->iov_base, parts->iov_len, MSG_NOSIGNAL)
                              : sendmsg(fd, &message, MSG_NOSIGNAL);

    if (sent < 0 && !lane->tcp && count == 1 && (errno == EAGAIN || errno == ENOBUFS))
        return (ares_ssize_t) parts->iov_len;
    return sent;
}

/* Lets c-ares look at the socket. With SKIP_NON_FD it looks at nothing else. */
static void process(const struct tcpm__lane *lane, int fd, bool reads, bool writes)
{
#if ARES_VERSION >= VERSION(1, 34)
    const ares_fd_events_t event = {
        .fd = fd,
        .events = (reads ? ARES_FD_EVENT_READ : 0u) | (writes ? ARES_FD_EVENT_WRITE : 0u),
    };

    ares_process_fds(lane->channel, &event, 1, ARES_PROCESS_FLAG_SKIP_NON_FD);
#else
    ares_process_fd(lane->channel, reads ? fd : ARES_SOCKET_BAD, writes ? fd : ARES_SOCKET_BAD);
#endif
}

/* Some versions take one datagram at a time, others all. c-ares may have closed the socket
   meanwhile: then it reads no more. */
static void look_for_answers(struct tcpm__lane *lane, int fd)
{
    unsigned left = READS + 1;

    lane->unread = 0;
    lane->reads = READS;
    lane->dry = false;
    while (!lane->dry && lane->reads > 0 && lane->reads < left) {
        left = lane->reads;
        process(lane, fd, true, false);
    }
}

void tcpm__lane_event(struct tcpm__lane *lane, uint64_t tag, uint32_t bits)
{
    int fd = (int) (uint32_t) tag;

    if (fd != lane->fd)
        return;
    if (bits & TCPM__SET_OUT)
        process(lane, fd, false, true);
    if (bits & (TCPM__SET_IN | TCPM__SET_FAILED))
        look_for_answers(lane, fd);
}

void tcpm__lane_ask(struct tcpm__lane *lane, const char *name, int family, ares_callback done,
                    void *owner)
{
    lane->asked++;
    lane->out++;
    ares_query(lane->channel, name, ns_c_in, family == AF_INET ? ns_t_a : ns_t_aaaa, done, owner);
    if (++lane->unread >= MOST_UNREAD && !lane->tcp && lane->fd >= 0)
        look_for_answers(lane, lane->fd);
}

/* ---- opening and closing ---- */

/* c-ares 1.18 does not tell that it has found no descriptor for /dev/urandom. */
static int check_descriptors(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return errno == EMFILE || errno == ENFILE ? -errno : 0;
    close(fd);
    return 0;
}

static int set_server(const struct tcpm__lane *lane)
{
    const union tcpm__address *server = &lane->server;
    int port = (int) tcpm__address_port(server);
    struct ares_addr_port_node node = {
        .family = server->any.sa_family, .udp_port = port, .tcp_port = port};

    if (node.family == AF_INET)
        node.addr.addr4 = server->in.sin_addr;
    else
        memcpy(&node.addr.addr6, &server->in6.sin6_addr, sizeof node.addr.addr6);
    return ares_set_servers_ports(lane->channel, &node);
}

/* All that c-ares would look for in files is given, so that it reads none. IGNTC: whether to ask by
   TCP decides the owner, as an error of one socket ends the questions of the other too. */
static int init_channel(struct tcpm__lane *lane)
{
    char lookups[] = "b", nothing[] = "/dev/null";
    struct ares_options options = {
        .flags = ARES_FLAG_NOCHECKRESP | (lane->tcp ? ARES_FLAG_USEVC : ARES_FLAG_IGNTC),
        .timeout = NEVER_MS,
        .tries = 1,
        .ndots = 1,
        .lookups = lookups,
        .sock_state_cb = on_state,
        .sock_state_cb_data = lane,
    };
    int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_NDOTS |
               ARES_OPT_SERVERS | ARES_OPT_DOMAINS | ARES_OPT_LOOKUPS | ARES_OPT_SORTLIST |
               ARES_OPT_SOCK_STATE_CB | ARES_OPT_NOROTATE;

#ifdef ARES_OPT_RESOLVCONF
    options.resolvconf_path = nothing;
    mask |= ARES_OPT_RESOLVCONF;
#else
    (void) nothing;
#endif
#ifdef ARES_OPT_QUERY_CACHE
    mask |= ARES_OPT_QUERY_CACHE; /* qcache_max_ttl is 0: no cache beside that of names.h */
#endif
    return ares_init_options(&lane->channel, &options, mask);
}

static int open_channel(struct tcpm__lane *lane)
{
    static const struct ares_socket_functions functions = {on_socket, on_close, on_connect,
                                                           on_receive, on_send};

    if (init_channel(lane) != ARES_SUCCESS)
        return -ENOMEM;
    ares_set_socket_functions(lane->channel, &functions, lane);
    if (set_server(lane) == ARES_SUCCESS)
        return 0;
    ares_destroy(lane->channel);
    return -ENOMEM;
}

int tcpm__lane_open(struct tcpm__network *network, const union tcpm__address *server, bool tcp,
                    uint32_t number, struct tcpm__lane **ret)
{
    int result = check_descriptors();

    if (result < 0)
        return result;

    struct tcpm__lane *lane = tcpm__memory_zeroed(network->memory, sizeof *lane);

    if (lane == NULL)
        return -ENOMEM;
    lane->network = network;
    lane->server = *server;
    lane->began_ns = network->now_ns;
    lane->number = number;
    lane->fd = -1;
    lane->tcp = tcp;
    result = open_channel(lane);
    if (result < 0) {
        tcpm__memory_free(network->memory, lane);
        return result;
    }
    *ret = lane;
    return 0;
}

void tcpm__lane_close(struct tcpm__lane *lane)
{
    ares_destroy(lane->channel);
    TCPM__ASSERT(lane->out == 0 && lane->fd < 0);
    tcpm__memory_free(lane->network->memory, lane);
}

/* c-ares 1.18 has closed the socket already. Without questions there are no timeouts to process. */
void tcpm__lane_rest(struct tcpm__lane *lane)
{
    if (lane->out == 0 && lane->fd >= 0)
        ares_process_fd(lane->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}
