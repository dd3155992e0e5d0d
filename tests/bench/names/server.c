/* SPDX-License-Identifier: MIT */
/*
 * The other side of the benchmark of names: a name server that knows each name nNUMBER.bench.test,
 * and listeners on the addresses that it gives. It does as little as possible for each query, so
 * that the client is the side that is busy.
 *
 *   server          queries come to the port that is printed, on 127.0.0.1
 *   server 53       and to port 53, for those who read /etc/resolv.conf
 *
 * Name nNUMBER.bench.test has the address 127.0.0.1 + NUMBER % 32, where TCP is listened on the
 * same port, and no IPv6 address. The line "PID PORT" tells that the server is ready.
 */
#include "serving.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 256, BATCH = 64, QUERY_BYTES = 512, HEADER_BYTES = 12, TYPE_A = 1 };

/* What an event of the epoll set is about; the descriptor is in the lower half of the tag. */
enum { TAG_CONNECTION, TAG_LISTENER, TAG_QUERIES };

struct batch {
    unsigned char bytes[BATCH][QUERY_BYTES];
    struct sockaddr_in from[BATCH];
    struct iovec parts[BATCH];
    struct mmsghdr messages[BATCH];
};

static void watch(int epoll_fd, int fd, uint64_t tag)
{
    serving_watch(epoll_fd, fd, EPOLLIN, tag << 32 | (uint64_t) fd);
}

/* ---- queries ---- */

/* The number in a name like n123.bench.test. */
static unsigned number_of(const unsigned char *query)
{
    const unsigned char *label = query + HEADER_BYTES;
    unsigned number = 0;
    for (unsigned i = 2; i <= label[0]; i++)
        number = number * 10 + (unsigned) (label[i] - '0');
    return number;
}

/* Makes a query its own answer. The length of the answer; 0: there is none. */
static size_t answer(unsigned char *query, size_t length)
{
    static const unsigned char flags[] = {0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0};
    static const unsigned char record[] = {0xc0, HEADER_BYTES, 0, TYPE_A, 0, 1, 0, 0, 1, 44, 0, 4};
    size_t name = length > HEADER_BYTES
                      ? strnlen((char *) query + HEADER_BYTES, length - HEADER_BYTES)
                      : length;
    size_t end = HEADER_BYTES + name + 5; /* the name's last byte, type and class */
    if (end > length || end + sizeof record + 4 > QUERY_BYTES)
        return 0;
    memcpy(query + 2, flags, sizeof flags);
    if (query[end - 3] != TYPE_A)
        return end;
    uint32_t address = htonl(INADDR_LOOPBACK + number_of(query) % SERVING_ADDRESSES);
    query[7] = 1;
    memcpy(query + end, record, sizeof record);
    memcpy(query + end + sizeof record, &address, sizeof address);
    return end + sizeof record + sizeof address;
}

static void prepare(struct batch *batch)
{
    for (unsigned i = 0; i < BATCH; i++) {
        batch->parts[i] = (struct iovec){batch->bytes[i], QUERY_BYTES};
        batch->messages[i].msg_hdr = (struct msghdr){
            .msg_name = &batch->from[i],
            .msg_namelen = sizeof batch->from[i],
            .msg_iov = &batch->parts[i],
            .msg_iovlen = 1,
        };
    }
}

static void answer_some(int fd, struct batch *batch)
{
    prepare(batch);
    int count = recvmmsg(fd, batch->messages, BATCH, 0, NULL);
    unsigned answers = 0;
    for (int i = 0; i < count; i++) {
        size_t length = answer(batch->bytes[i], batch->messages[i].msg_len);
        if (length == 0)
            continue;
        batch->parts[i].iov_len = length;
        batch->messages[answers++].msg_hdr = batch->messages[i].msg_hdr;
    }
    for (unsigned sent = 0; sent < answers;) {
        int result = sendmmsg(fd, batch->messages + sent, answers - sent, 0);
        sent += result > 0 ? (unsigned) result : 1; /* a client that has gone */
    }
}

/* ---- connections: accepted, and closed when the client has closed them ---- */

static void accept_some(int epoll_fd, int listener)
{
    for (int i = 0; i < BATCH; i++) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        watch(epoll_fd, fd, TAG_CONNECTION);
    }
}

static void read_some(int fd)
{
    char buffer[4096];
    ssize_t n = recv(fd, buffer, sizeof buffer, 0);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        close(fd);
}

static void serve(int epoll_fd, struct batch *batch)
{
    struct epoll_event events[EVENTS];
    for (;;) {
        int count = epoll_wait(epoll_fd, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            int fd = (int) (events[i].data.u64 & 0xffffffff);
            switch (events[i].data.u64 >> 32) {
            case TAG_LISTENER:
                accept_some(epoll_fd, fd);
                break;
            case TAG_QUERIES:
                answer_some(fd, batch);
                break;
            default:
                read_some(fd);
                break;
            }
        }
    }
}

/* ---- start ---- */

int main(int argc, char **argv)
{
    int listeners[SERVING_ADDRESSES], queries, epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct batch *batch = calloc(1, sizeof *batch);
    serving_end_with_parent();
    if (epoll_fd < 0 || !batch)
        serving_fail("start");
    serving_raise_file_limit();
    unsigned port = serving_open(listeners, &queries);
    for (int i = 0; i < SERVING_ADDRESSES; i++)
        watch(epoll_fd, listeners[i], TAG_LISTENER);
    watch(epoll_fd, queries, TAG_QUERIES);
    if (argc > 1 && strcmp(argv[1], "53") == 0) {
        int fd = serving_bind(SOCK_DGRAM, 0, 53);
        if (fd < 0)
            serving_fail("port 53");
        watch(epoll_fd, fd, TAG_QUERIES);
    }
    serving_announce(port);
    serve(epoll_fd, batch);
}
