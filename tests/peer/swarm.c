/* SPDX-License-Identifier: MIT */
/*
 * The peer for thousands of connections, see swarm.h. The parent makes the listening sockets, so
 * that it knows the port and what fails; the child serves them; the counters live in shared memory.
 */
#include "swarm.h"

#include "secure.h"
#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define ADDRESSES_MOST 32
#define PIECE          65536

enum mode {
    MODE_ECHO,
    MODE_DISCARD,
    MODE_CLOSE,
    MODE_GREET,
    MODE_RST,
    MODE_GREET_RST,
    MODE_FATES, /* those above are the fates */
    MODE_FIREHOSE = MODE_FATES,
    MODE_FATE
};

struct shared {
    _Atomic uint64_t accepted, ended, most, received;
};

struct swarm {
    struct shared *shared;
    pid_t child;
    int port;
};

struct client {
    int fd;
    struct wire wire;
    bool begun; /* does what its mode says */
    enum mode mode;
    char *unsent; /* of echo, while the kernel takes no more */
    size_t unsent_length;
};

struct server {
    struct shared *shared;
    enum mode mode;
    struct secure_context *tls; /* NULL: no TLS */
    int epoll_fd;
    int listen_fds[ADDRESSES_MOST];
    int count;
    char piece[PIECE];
};

static int find_mode(const char *name)
{
    static const struct {
        const char *name;
        enum mode mode;
    } modes[] = {
        {"echo", MODE_ECHO},   {"discard", MODE_DISCARD}, {"close", MODE_CLOSE},
        {"greet", MODE_GREET}, {"rst", MODE_RST},         {"firehose", MODE_FIREHOSE},
        {"fate", MODE_FATE},
    };

    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        if (strcmp(modes[i].name, name) == 0) {
            return (int) modes[i].mode;
        }
    }
    return -1;
}

/* ---- the child ---- */

static void end_client(struct server *server, struct client *client)
{
    wire_finish(&client->wire);
    wire_free(&client->wire);
    close(client->fd);
    free(client->unsent);
    free(client);
    atomic_fetch_add(&server->shared->ended, 1);
}

static void reset_client(struct server *server, struct client *client)
{
    struct linger now = {1, 0};

    (void) setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    client->wire.finished = true; /* there is no end but the reset */
    end_client(server, client);
}

static void watch(struct server *server, struct client *client, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = client};

    (void) epoll_ctl(server->epoll_fd, operation, client->fd, &event);
}

/* operation: how the set learns what it shall tell. */
static void act_on_client(struct server *server, struct client *client, int operation)
{
    static const char greeting[] = "hello\r\n";

    client->begun = true;
    if (client->mode == MODE_GREET || client->mode == MODE_GREET_RST) {
        (void) wire_send(&client->wire, greeting, sizeof greeting - 1, MSG_NOSIGNAL);
    }
    if (client->mode == MODE_CLOSE || client->mode == MODE_GREET) {
        end_client(server, client);
    } else if (client->mode == MODE_RST || client->mode == MODE_GREET_RST) {
        reset_client(server, client);
    } else {
        watch(server, client, operation,
              server->mode == MODE_FIREHOSE ? EPOLLIN | EPOLLOUT : EPOLLIN);
    }
}

/* False: the connection is over before it has begun. */
static bool await_client(struct server *server, struct client *client)
{
    if (wire_await_greeting(&client->wire) == 0) {
        act_on_client(server, client, EPOLL_CTL_MOD);
        return true;
    }
    return errno == EAGAIN;
}

static void begin_client(struct server *server, int fd)
{
    struct client *client = calloc(1, sizeof *client);
    uint64_t accepted = atomic_fetch_add(&server->shared->accepted, 1), live;
    int on = 1;

    if (client == NULL) {
        _exit(1);
    }
    client->fd = fd;
    wire_open(&client->wire, fd);
    if (server->tls != NULL && wire_begin_tls(&client->wire, server->tls) != 0) {
        _exit(1);
    }
    client->mode = server->mode == MODE_FATE ? (enum mode)(accepted % MODE_FATES) : server->mode;
    live = accepted + 1 - atomic_load(&server->shared->ended);
    if (live > atomic_load(&server->shared->most)) {
        atomic_store(&server->shared->most, live);
    }
    (void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (WIRE_LAYERED || server->tls != NULL) {
        watch(server, client, EPOLL_CTL_ADD, EPOLLIN);
    } else {
        act_on_client(server, client, EPOLL_CTL_ADD);
    }
}

static void accept_all(struct server *server, int listen_fd)
{
    for (int i = 0; i < 256; i++) {
        int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd < 0) {
            return;
        }
        begin_client(server, fd);
    }
}

/* Keeps what the kernel did not take; nothing is read until it has. */
static bool keep_unsent(struct server *server, struct client *client, const char *bytes,
                        size_t length)
{
    client->unsent = malloc(length);
    if (client->unsent == NULL) {
        return false;
    }
    memcpy(client->unsent, bytes, length);
    client->unsent_length = length;
    watch(server, client, EPOLL_CTL_MOD, EPOLLOUT);
    return true;
}

/* Both give false when the connection is over. */
static bool send_back(struct server *server, struct client *client, const char *bytes,
                      size_t length)
{
    ssize_t sent = wire_send(&client->wire, bytes, length, MSG_NOSIGNAL);

    if (sent < 0 && errno != EAGAIN) {
        return false;
    }
    sent = sent < 0 ? 0 : sent;
    return (size_t) sent == length ||
           keep_unsent(server, client, bytes + sent, length - (size_t) sent);
}

static bool read_some(struct server *server, struct client *client)
{
    ssize_t length = wire_receive(&client->wire, server->piece, PIECE, 0);

    if (length <= 0) {
        return length < 0 && errno == EAGAIN;
    }
    atomic_fetch_add(&server->shared->received, (uint64_t) length);
    return client->mode != MODE_ECHO || send_back(server, client, server->piece, (size_t) length);
}

static bool write_some(struct server *server, struct client *client)
{
    char *unsent = client->unsent;
    size_t length = client->unsent_length;
    bool alive;

    if (client->mode == MODE_FIREHOSE) {
        memset(server->piece, 'f', PIECE);
        return wire_send(&client->wire, server->piece, PIECE, MSG_NOSIGNAL) >= 0 || errno == EAGAIN;
    }
    client->unsent = NULL;
    alive = send_back(server, client, unsent, length);
    if (client->unsent == NULL && alive) {
        watch(server, client, EPOLL_CTL_MOD, EPOLLIN);
    }
    free(unsent);
    return alive;
}

static void serve_event(struct server *server, const struct epoll_event *event)
{
    struct client *client = event->data.ptr;
    bool alive = true;

    if (event->data.u64 < ADDRESSES_MOST) {
        accept_all(server, server->listen_fds[event->data.u64]);
        return;
    }
    if (!client->begun) {
        if (!await_client(server, client)) {
            end_client(server, client);
        }
        return;
    }
    if ((event->events & EPOLLOUT) != 0) {
        alive = write_some(server, client);
    }
    if (alive && (event->events & ~(uint32_t) EPOLLOUT) != 0) {
        alive = read_some(server, client);
    }
    if (!alive) {
        end_client(server, client);
    }
}

/* Nothing that the test had open may be held open here: its connections would not end. */
static void close_others(struct server *server)
{
    for (int i = 0; i < server->count; i++) {
        (void) dup2(server->listen_fds[i], 100 + i);
        server->listen_fds[i] = 100 + i;
    }
    (void) close_range(3, 99, 0);
    (void) close_range(100 + (unsigned) server->count, ~0U, 0);
}

static void raise_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void) setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void serve(struct server *server, pid_t parent)
{
    struct epoll_event events[512];

    (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) {
        _exit(0);
    }
    raise_limit();
    close_others(server);
    server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < server->count; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uint64_t) i};

        (void) epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, server->listen_fds[i], &event);
    }
    for (;;) {
        int count = epoll_wait(server->epoll_fd, events, 512, -1);

        for (int i = 0; i < count; i++) {
            serve_event(server, &events[i]);
        }
    }
}

/* ---- the parent ---- */

static int listen_on(int host, int *port, int backlog)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    address.sin_addr.s_addr = htonl(0x7f000000U + (uint32_t) host);
    address.sin_port = htons((uint16_t) *port);
    if (fd >= 0 && bind(fd, (struct sockaddr *) &address, length) == 0 &&
        listen(fd, backlog) == 0 && getsockname(fd, (struct sockaddr *) &address, &length) == 0) {
        *port = ntohs(address.sin_port);
        return fd;
    }
    if (fd >= 0) {
        close(fd);
    }
    return -1;
}

static void close_listeners(struct server *server)
{
    while (server->count > 0) {
        close(server->listen_fds[--server->count]);
    }
}

/* A port that is free on all addresses is soon found: others hold single ones. */
static int listen_on_all(struct server *server, int addresses, int backlog)
{
    for (int attempt = 0; attempt < 20; attempt++) {
        int port = 0;

        while (server->count < addresses) {
            int fd = listen_on(server->count + 1, &port, backlog);

            if (fd < 0) {
                break;
            }
            server->listen_fds[server->count++] = fd;
        }
        if (server->count == addresses) {
            return port;
        }
        close_listeners(server);
    }
    return -1;
}

/* "tls echo" is "echo" with TLS. Gives the mode without it; false: TLS is not to be had. */
static bool open_tls(struct server *server, const char **mode)
{
    bool has_tls = strncmp(*mode, "tls ", 4) == 0;
    char message[96];

    if (has_tls)
        *mode += 4;
    if (!has_tls && !WIRE_ALWAYS_TLS)
        return true;
    if (WIRE_HAS_TLS)
        server->tls = secure_context_open(NULL, message, sizeof message);
    return server->tls != NULL;
}

static void free_server(struct server *server)
{
    if (server != NULL && WIRE_HAS_TLS)
        secure_context_close(server->tls);
    free(server);
}

struct swarm *swarm_start(const char *mode, int addresses, int backlog)
{
    struct swarm *swarm = calloc(1, sizeof *swarm);
    struct server *server = calloc(1, sizeof *server);
    bool is_open = server != NULL && open_tls(server, &mode);
    int found = find_mode(mode);
    pid_t parent = getpid();
    void *shared = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (swarm == NULL || !is_open || found < 0 || addresses < 1 || addresses > ADDRESSES_MOST ||
        shared == MAP_FAILED) {
        free_server(server);
        free(swarm);
        return NULL;
    }
    swarm->shared = server->shared = shared;
    server->mode = (enum mode) found;
    swarm->port = listen_on_all(server, addresses, backlog > 0 ? backlog : 4096);
    swarm->child = swarm->port > 0 ? fork() : -1;
    if (swarm->child == 0) {
        serve(server, parent);
    }
    close_listeners(server);
    free_server(server);
    if (swarm->child < 0) {
        swarm_stop(swarm);
        return NULL;
    }
    return swarm;
}

int swarm_port(const struct swarm *swarm)
{
    return swarm->port;
}

void swarm_stats(const struct swarm *swarm, struct swarm_stats *stats)
{
    stats->accepted = atomic_load(&swarm->shared->accepted);
    stats->ended = atomic_load(&swarm->shared->ended);
    stats->most = atomic_load(&swarm->shared->most);
    stats->received = atomic_load(&swarm->shared->received);
}

void swarm_kill(struct swarm *swarm)
{
    if (swarm->child > 0) {
        (void) kill(swarm->child, SIGKILL);
        while (waitpid(swarm->child, NULL, 0) < 0 && errno == EINTR) {
        }
        swarm->child = 0;
    }
}

void swarm_stop(struct swarm *swarm)
{
    if (swarm == NULL) {
        return;
    }
    swarm_kill(swarm);
    (void) munmap(swarm->shared, sizeof *swarm->shared);
    free(swarm);
}
