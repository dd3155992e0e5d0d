/* SPDX-License-Identifier: MIT */
/*
 * The scripted peer: listening, accepting, one thread per connection, and the account of what
 * happened. peer.h is the manual. What always holds: every thread is joined by peer_stop, finished
 * ones already at the next accept, so a peer can serve any number of connections one after another.
 */
#include "internal.h"

#include "secure.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define STACK_BYTES ((size_t) 256 * 1024)

uint64_t peer_checksum(uint64_t checksum, const void *bytes, size_t length)
{
    const unsigned char *at = bytes;

    for (size_t i = 0; i < length; i++) {
        checksum = (checksum ^ at[i]) * UINT64_C(0x100000001b3);
    }
    return checksum;
}

/* splitmix64, one byte of each number: the same stream however it is cut into pieces. */
void peer_prng(uint64_t *state, char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        uint64_t mixed = (*state += UINT64_C(0x9e3779b97f4a7c15));

        mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
        bytes[i] = (char) (unsigned char) (mixed >> 56);
    }
}

const char *peer_end_name(enum peer_end end)
{
    static const char *const names[] = {"open", "eof", "reset", "error", "closed", "stopped"};

    return names[end];
}

/* ---- waiting ---- */

void peer_deadline(double seconds, struct timespec *deadline)
{
    long nanoseconds;

    clock_gettime(CLOCK_MONOTONIC, deadline);
    nanoseconds = deadline->tv_nsec + (long) ((seconds - (double) (long) seconds) * 1e9);
    deadline->tv_sec += (time_t) seconds + nanoseconds / 1000000000;
    deadline->tv_nsec = nanoseconds % 1000000000;
}

int peer_wait_change(struct peer *peer, const struct timespec *deadline)
{
    if (deadline == NULL) {
        return pthread_cond_wait(&peer->changed, &peer->lock) == 0 ? 0 : -1;
    }
    return pthread_cond_timedwait(&peer->changed, &peer->lock, deadline) == 0 ? 0 : -1;
}

struct peer_name *peer_name_find(struct peer *peer, const char *name)
{
    struct peer_name *names;

    for (size_t i = 0; i < peer->name_count; i++) {
        if (strcmp(peer->names[i].name, name) == 0) {
            return &peer->names[i];
        }
    }
    names = realloc(peer->names, (peer->name_count + 1) * sizeof *names);
    if (names == NULL) {
        return NULL;
    }
    peer->names = names;
    names += peer->name_count;
    memset(names, 0, sizeof *names);
    names->name = strdup(name);
    if (names->name == NULL) {
        return NULL;
    }
    peer->name_count++;
    return names;
}

void peer_go(struct peer *peer, const char *name)
{
    struct peer_name *gate;

    pthread_mutex_lock(&peer->lock);
    gate = peer_name_find(peer, name);
    if (gate != NULL) {
        gate->open = true;
    }
    pthread_cond_broadcast(&peer->changed);
    pthread_mutex_unlock(&peer->lock);
}

static uint64_t count_marks(struct peer *peer, const char *name)
{
    struct peer_name *mark = peer_name_find(peer, name);

    return mark == NULL ? 0 : mark->marks;
}

uint64_t peer_marks(struct peer *peer, const char *name)
{
    uint64_t marks;

    pthread_mutex_lock(&peer->lock);
    marks = count_marks(peer, name);
    pthread_mutex_unlock(&peer->lock);
    return marks;
}

static uint64_t count_accepted(struct peer *peer, const char *unused)
{
    (void) unused;
    return peer->report.accepted;
}

static uint64_t count_ended(struct peer *peer, const char *unused)
{
    (void) unused;
    return peer->report.ended;
}

/* Until one of these counters has reached a number. */
static int wait_count(struct peer *peer, uint64_t (*counter)(struct peer *, const char *),
                      const char *name, uint64_t count, double seconds)
{
    struct timespec deadline;
    int result = 0;

    peer_deadline(seconds, &deadline);
    pthread_mutex_lock(&peer->lock);
    while (counter(peer, name) < count && result == 0) {
        result = peer_wait_change(peer, &deadline);
    }
    result = counter(peer, name) < count ? -1 : 0;
    pthread_mutex_unlock(&peer->lock);
    return result;
}

int peer_wait_mark(struct peer *peer, const char *name, uint64_t count, double seconds)
{
    return wait_count(peer, count_marks, name, count, seconds);
}

int peer_wait_accepted(struct peer *peer, uint64_t count, double seconds)
{
    return wait_count(peer, count_accepted, NULL, count, seconds);
}

int peer_wait_ended(struct peer *peer, uint64_t count, double seconds)
{
    return wait_count(peer, count_ended, NULL, count, seconds);
}

/* ---- reports ---- */

int peer_port(const struct peer *peer)
{
    return peer->port;
}

const char *peer_address(const struct peer *peer)
{
    return peer->address;
}

void peer_report(struct peer *peer, struct peer_report *report)
{
    pthread_mutex_lock(&peer->lock);
    *report = peer->report;
    pthread_mutex_unlock(&peer->lock);
}

int peer_connection(struct peer *peer, size_t index, struct peer_connection *connection)
{
    int result = -1;

    pthread_mutex_lock(&peer->lock);
    if (index < peer->link_count) {
        *connection = peer->links[index]->seen;
        result = 0;
    }
    pthread_mutex_unlock(&peer->lock);
    return result;
}

/* ---- connections ---- */

void peer_link_close(struct peer_link *link, enum peer_end end)
{
    int fd;

    pthread_mutex_lock(&link->peer->lock);
    fd = link->fd;
    link->fd = -1;
    if (link->seen.end == PEER_OPEN) {
        link->seen.end = link->peer->stopping ? PEER_STOPPED : end;
    }
    pthread_mutex_unlock(&link->peer->lock);
    if (fd >= 0) {
        close(fd);
    }
}

static void end_link(struct peer_link *link)
{
    struct peer *peer = link->peer;

    pthread_mutex_lock(&peer->lock);
    link->finished = true;
    peer->report.ended++;
    pthread_cond_broadcast(&peer->changed);
    pthread_mutex_unlock(&peer->lock);
}

static void *link_main(void *argument)
{
    peer_act(argument);
    end_link(argument);
    return NULL;
}

/* Threads are never interrupted by the signals that a test sends to its process. */
static int start_thread(pthread_t *thread, void *(*entry)(void *), void *argument)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    int result;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    result = pthread_create(thread, &attributes, entry, argument);
    pthread_attr_destroy(&attributes);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return result == 0 ? 0 : -1;
}

static unsigned port_of(const struct sockaddr_storage *address)
{
    return address->ss_family == AF_INET6
               ? ntohs(((const struct sockaddr_in6 *) address)->sin6_port)
               : ntohs(((const struct sockaddr_in *) address)->sin_port);
}

/* Puts a link into the list; its number chooses the program. Under the lock. */
static int add_link(struct peer *peer, struct peer_link *link)
{
    size_t last = peer->script.count - 1;

    if (peer->link_count == peer->link_capacity) {
        size_t capacity = peer->link_capacity == 0 ? 16 : peer->link_capacity * 2;
        struct peer_link **links = realloc(peer->links, capacity * sizeof(struct peer_link *));

        if (links == NULL) {
            return -1;
        }
        peer->links = links;
        peer->link_capacity = capacity;
    }
    link->program = &peer->script.programs[peer->link_count < last ? peer->link_count : last];
    peer->links[peer->link_count++] = link;
    peer->report.accepted++;
    pthread_cond_broadcast(&peer->changed);
    return 0;
}

static void add_connection(struct peer *peer, int fd, const struct sockaddr_storage *address)
{
    struct peer_link *link = calloc(1, sizeof *link);
    int on = 1, added;

    if (link == NULL) {
        close(fd);
        return;
    }
    link->peer = peer;
    link->fd = fd;
    link->seen.port = port_of(address);
    link->seen.checksum = PEER_CHECKSUM;
    (void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    pthread_mutex_lock(&peer->lock);
    added = add_link(peer, link);
    pthread_mutex_unlock(&peer->lock);
    if (added != 0) {
        close(fd);
        free(link);
        return;
    }
    if (start_thread(&link->thread, link_main, link) != 0) {
        link->joined = true;
        peer_link_close(link, PEER_ERROR);
        end_link(link);
    }
}

/* Joins what has finished, so that their stacks are free again. By the accept thread only, and by
   peer_stop after it. */
static void join_finished(struct peer *peer, bool all)
{
    for (size_t i = 0; i < peer->link_count; i++) {
        struct peer_link *link = peer->links[i];
        bool ready;

        pthread_mutex_lock(&peer->lock);
        ready = !link->joined && (all || link->finished);
        pthread_mutex_unlock(&peer->lock);
        if (ready) {
            pthread_join(link->thread, NULL);
            link->joined = true;
        }
    }
}

static void *accept_main(void *argument)
{
    struct peer *peer = argument;
    struct pollfd wanted[2] = {{peer->listen_fd, POLLIN, 0}, {peer->wake_fd, POLLIN, 0}};

    for (;;) {
        struct sockaddr_storage address;
        socklen_t length = sizeof address;
        int fd;

        if (poll(wanted, 2, -1) < 0 && errno != EINTR) {
            break;
        }
        if (wanted[1].revents != 0) {
            break;
        }
        fd = accept4(peer->listen_fd, (struct sockaddr *) &address, &length, SOCK_CLOEXEC);
        if (fd >= 0) {
            if (peer->link_count % 64 == 63) {
                join_finished(peer, false);
            }
            add_connection(peer, fd, &address);
        } else if (errno == EMFILE || errno == ENFILE) {
            (void) poll(&wanted[1], 1, 1); /* the test has used up the descriptors: later */
        }
    }
    return NULL;
}

/* ---- start and stop ---- */

static int parse_address(const char *text, int port, struct sockaddr_storage *address,
                         socklen_t *length)
{
    struct sockaddr_in *four = (struct sockaddr_in *) address;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *) address;

    memset(address, 0, sizeof *address);
    if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons((uint16_t) port);
        *length = sizeof *four;
        return 0;
    }
    six->sin6_family = AF_INET6;
    six->sin6_port = htons((uint16_t) port);
    *length = sizeof *six;
    return inet_pton(AF_INET6, text, &six->sin6_addr) == 1 ? 0 : -1;
}

/* Connects that are never accepted take the places of the backlog; the last of them get no answer
   already, which shows that it is full. */
static void fill_backlog(struct peer *peer, const struct sockaddr_storage *address,
                         socklen_t length)
{
    for (size_t i = 0; i < sizeof peer->fill_fds / sizeof peer->fill_fds[0]; i++) {
        struct pollfd writable = {-1, POLLOUT, 0};
        int fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        peer->fill_fds[i] = fd;
        if (fd < 0 || connect(fd, (const struct sockaddr *) address, length) == 0) {
            continue;
        }
        writable.fd = fd;
        if (poll(&writable, 1, 20) == 0) {
            return;
        }
    }
}

static int open_socket(struct peer *peer, const struct peer_options *options)
{
    struct sockaddr_storage address;
    socklen_t length;
    int on = 1, backlog = options->backlog == 0 ? SOMAXCONN : options->backlog;

    if (parse_address(peer->address, options->port, &address, &length) != 0) {
        errno = EINVAL;
        return -1;
    }
    peer->listen_fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (peer->listen_fd < 0) {
        return -1;
    }
    if (options->port != 0) { /* else another one could bind the same port before we listen */
        (void) setsockopt(peer->listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    }
    if (options->rcvbuf > 0) {
        (void) setsockopt(peer->listen_fd, SOL_SOCKET, SO_RCVBUF, &options->rcvbuf,
                          sizeof options->rcvbuf);
    }
    if (bind(peer->listen_fd, (struct sockaddr *) &address, length) != 0) {
        return -1;
    }
    if (!options->refuse &&
        listen(peer->listen_fd, options->blackhole || backlog < 0 ? 0 : backlog) != 0) {
        return -1;
    }
    if (getsockname(peer->listen_fd, (struct sockaddr *) &address, &length) != 0) {
        return -1;
    }
    peer->port = (int) port_of(&address);
    if (options->blackhole) {
        fill_backlog(peer, &address, length);
    }
    return 0;
}

static struct peer *new_peer(const struct peer_options *options)
{
    struct peer *peer = calloc(1, sizeof *peer);
    pthread_condattr_t attributes;

    if (peer == NULL) {
        return NULL;
    }
    pthread_mutex_init(&peer->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&peer->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    peer->listen_fd = peer->wake_fd = -1;
    memset(peer->fill_fds, -1, sizeof peer->fill_fds);
    peer->keep = options->keep > 0 ? options->keep : 65536;
    (void) snprintf(peer->address, sizeof peer->address, "%s",
                    options->address == NULL ? "127.0.0.1" : options->address);
    return peer;
}

static void say_why(const struct peer_options *options, const char *what, const char *why)
{
    if (options->message == NULL) {
        (void) fprintf(stderr, "%s%s\n", what, why);
    } else {
        (void) snprintf(options->message, options->message_size, "%s%s", what, why);
    }
}

/* 0, or -1 with what is wrong in message. */
static int open_tls(struct peer *peer, const struct peer_options *options, char *message,
                    size_t size)
{
    if (options->tls == NULL && !WIRE_ALWAYS_TLS) {
        return 0;
    }
    (void) snprintf(message, size, "built without OpenSSL");
    if (WIRE_HAS_TLS) {
        peer->tls = secure_context_open(options->tls, message, size);
    }
    return peer->tls != NULL ? 0 : -1;
}

struct peer *peer_start(const char *program, const struct peer_options *options_or_null)
{
    const struct peer_options none = {0};
    const struct peer_options *options = options_or_null == NULL ? &none : options_or_null;
    struct peer *peer = new_peer(options);
    char message[160];

    if (peer == NULL || peer_script_parse(program, &peer->script, message, sizeof message) != 0) {
        say_why(options, peer == NULL ? "peer: out of memory" : message, "");
        peer_stop(peer);
        return NULL;
    }
    if (open_tls(peer, options, message, sizeof message) != 0) {
        say_why(options, "peer: tls: ", message);
        peer_stop(peer);
        return NULL;
    }
    peer->wake_fd = eventfd(0, EFD_CLOEXEC);
    if (peer->wake_fd < 0 || open_socket(peer, options) != 0) {
        say_why(options, "peer: ", strerror(errno));
        peer_stop(peer);
        return NULL;
    }
    peer->accepting = !options->no_accept && !options->blackhole && !options->refuse;
    if (peer->accepting && start_thread(&peer->accept_thread, accept_main, peer) != 0) {
        peer->accepting = false;
        say_why(options, "peer: ", "no thread");
        peer_stop(peer);
        return NULL;
    }
    return peer;
}

/* Wakes every thread: those that wait for a change, and those that sit in a call on a socket. */
static void end_threads(struct peer *peer)
{
    uint64_t one = 1;

    if (peer->accepting) {
        if (write(peer->wake_fd, &one, sizeof one) < 0) {
            return;
        }
        pthread_join(peer->accept_thread, NULL);
    }
    pthread_mutex_lock(&peer->lock);
    peer->stopping = true;
    for (size_t i = 0; i < peer->link_count; i++) {
        if (peer->links[i]->fd >= 0) {
            (void) shutdown(peer->links[i]->fd, SHUT_RDWR);
        }
    }
    pthread_cond_broadcast(&peer->changed);
    pthread_mutex_unlock(&peer->lock);
    join_finished(peer, true);
}

static void close_if_open(int fd)
{
    if (fd >= 0) {
        close(fd);
    }
}

static void free_kept(struct peer_kept *kept)
{
    while (kept != NULL) {
        struct peer_kept *before = kept->before;

        free(kept);
        kept = before;
    }
}

void peer_stop(struct peer *peer)
{
    if (peer == NULL) {
        return;
    }
    end_threads(peer);
    for (size_t i = 0; i < peer->link_count; i++) {
        free_kept(peer->links[i]->kept);
        free(peer->links[i]);
    }
    for (size_t i = 0; i < peer->name_count; i++) {
        free(peer->names[i].name);
    }
    for (size_t i = 0; i < sizeof peer->fill_fds / sizeof peer->fill_fds[0]; i++) {
        close_if_open(peer->fill_fds[i]);
    }
    free(peer->links);
    free(peer->names);
    close_if_open(peer->listen_fd);
    close_if_open(peer->wake_fd);
    if (WIRE_HAS_TLS) {
        secure_context_close(peer->tls);
    }
    peer_script_free(&peer->script);
    pthread_cond_destroy(&peer->changed);
    pthread_mutex_destroy(&peer->lock);
    free(peer);
}
