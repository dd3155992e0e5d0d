/* SPDX-License-Identifier: MIT */
/* See racing.h. getaddrinfo and connect stand in place of the C library's, for the library too. */
#include "racing.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>

enum { MOST_NAMES = 64, MOST_ADDRESSES = 80 };

static struct {
    const char *name, *addresses;
} given[MOST_NAMES];
static int asked_family = -1;
static int delay_ms;

static struct {
    struct sockaddr_storage address;
    int error; /* 0: every address has a route */
} unrouted[4];

/* ---- addresses ---- */

/* Reads a numeric address. Gives its size; 0: it is none. */
static socklen_t parse(const char *text, int port, struct sockaddr_storage *ret)
{
    struct sockaddr_in *in = (struct sockaddr_in *) ret;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *) ret;

    memset(ret, 0, sizeof *ret);
    if (inet_pton(AF_INET, text, &in->sin_addr) == 1) {
        in->sin_family = AF_INET;
        in->sin_port = htons((uint16_t) port);
        return sizeof *in;
    }
    if (inet_pton(AF_INET6, text, &in6->sin6_addr) != 1)
        return 0;
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons((uint16_t) port);
    return sizeof *in6;
}

/* Copies the next word of a text, and moves *text behind it. False: there is none. */
static bool next_word(const char **text, char ret[64])
{
    size_t length;

    *text += strspn(*text, " ");
    length = strcspn(*text, " ");
    if (length == 0 || length >= 64)
        return false;
    memcpy(ret, *text, length);
    ret[length] = '\0';
    *text += length;
    return true;
}

/* ---- names ---- */

void racing_forget(void)
{
    memset(given, 0, sizeof given);
}

void racing_name(const char *name, const char *addresses)
{
    size_t i = 0;

    while (given[i].name != NULL && strcmp(given[i].name, name) != 0)
        i++;
    assert_true(i < MOST_NAMES);
    given[i].name = name;
    given[i].addresses = addresses;
}

const char *racing_new_name(const char *addresses)
{
    static char names[MOST_NAMES][24];
    static unsigned count;
    char *name = names[count % MOST_NAMES];

    snprintf(name, sizeof names[0], "new-%u.test", count);
    given[count % MOST_NAMES].name = name;
    given[count % MOST_NAMES].addresses = addresses;
    count++;
    return name;
}

void racing_delay(int ms)
{
    delay_ms = ms;
}

int racing_family(void)
{
    return asked_family;
}

struct found {
    struct addrinfo info;
    struct sockaddr_storage address;
};

static struct addrinfo *make_info(const char *text)
{
    struct found *found = calloc(1, sizeof *found);

    found->info.ai_addrlen = parse(text, 0, &found->address);
    found->info.ai_family = found->address.ss_family;
    found->info.ai_socktype = SOCK_STREAM;
    found->info.ai_addr = (struct sockaddr *) &found->address;
    return &found->info;
}

/* The addresses of one family, in their order. NULL: there is none. */
static struct addrinfo *find_addresses(const char *addresses, int family)
{
    struct addrinfo *first = NULL, **end = &first;
    char word[64];

    while (next_word(&addresses, word)) {
        int of_word = strchr(word, ':') == NULL ? AF_INET : AF_INET6;

        if (family != AF_UNSPEC && family != of_word)
            continue;
        *end = make_info(word);
        end = &(*end)->ai_next;
    }
    return first;
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **ret)
{
    (void) service;
    asked_family = hints->ai_family;
    *ret = NULL;
    usleep((useconds_t) delay_ms * 1000);
    for (size_t i = 0; i < MOST_NAMES && given[i].name != NULL; i++)
        if (strcmp(given[i].name, name) == 0)
            *ret = find_addresses(given[i].addresses, hints->ai_family);
    return *ret == NULL ? EAI_NONAME : 0;
}

void freeaddrinfo(struct addrinfo *info)
{
    while (info != NULL) {
        struct addrinfo *next = info->ai_next;

        free(info);
        info = next;
    }
}

/* ---- routes ---- */

void racing_unroute(const char *address, int error)
{
    size_t i = 0;

    if (address == NULL) {
        memset(unrouted, 0, sizeof unrouted);
        return;
    }
    while (unrouted[i].error != 0)
        i++;
    assert_true(i < COUNT(unrouted));
    assert_true(parse(address, 0, &unrouted[i].address) > 0);
    unrouted[i].error = error;
}

/* Whether both are the same address, whatever their ports. */
static bool is_same(const struct sockaddr *a, const struct sockaddr_storage *b)
{
    if (a->sa_family != b->ss_family)
        return false;
    if (a->sa_family == AF_INET)
        return ((const struct sockaddr_in *) a)->sin_addr.s_addr ==
               ((const struct sockaddr_in *) b)->sin_addr.s_addr;
    return memcmp(&((const struct sockaddr_in6 *) a)->sin6_addr,
                  &((const struct sockaddr_in6 *) b)->sin6_addr, sizeof(struct in6_addr)) == 0;
}

int connect(int fd, const struct sockaddr *address, socklen_t size)
{
    for (size_t i = 0; i < COUNT(unrouted) && unrouted[i].error != 0; i++)
        if (is_same(address, &unrouted[i].address)) {
            errno = unrouted[i].error;
            return -1;
        }
    return (int) syscall(SYS_connect, fd, address, size);
}

/* ---- listeners that answer no SYN ---- */

static int open_socket(const struct sockaddr_storage *address)
{
    int fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    assert_true(fd >= 0);
    return fd;
}

/* Lets sockets connect until one gets no answer. */
static void fill_queue(struct crowd *crowd, const struct sockaddr_storage *address, socklen_t size)
{
    for (size_t i = 0; i < COUNT(crowd->waiting); i++) {
        struct pollfd pollfd = {.events = POLLOUT};

        pollfd.fd = crowd->waiting[i] = open_socket(address);
        (void) connect(pollfd.fd, (const struct sockaddr *) address, size);
        if (poll(&pollfd, 1, 10) == 0)
            return;
    }
    fail_msg("the queue is never full");
}

int crowd_open(struct crowd *crowd, const char *address, int port)
{
    struct sockaddr_storage local;
    socklen_t size = parse(address, port, &local);

    memset(crowd, -1, sizeof *crowd);
    assert_true(size > 0);
    crowd->listener = open_socket(&local);
    if (bind(crowd->listener, (struct sockaddr *) &local, size) < 0) {
        crowd_close(crowd);
        return -1;
    }
    assert_int_equal(listen(crowd->listener, 0), 0);
    assert_int_equal(getsockname(crowd->listener, (struct sockaddr *) &local, &size), 0);
    fill_queue(crowd, &local, size);
    return ntohs(
        ((struct sockaddr_in *) &local)->sin_port); /* at the same place in both families */
}

static void close_all(int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
        fds[i] = -1;
    }
}

void crowd_accept(struct crowd *crowd)
{
    size_t i = 0;

    close_all(crowd->waiting, COUNT(crowd->waiting)); /* their SYNs must not come again */
    while (i < COUNT(crowd->accepted) && crowd->accepted[i] >= 0)
        i++;
    while (i < COUNT(crowd->accepted)) {
        int fd = accept4(crowd->listener, NULL, NULL, SOCK_CLOEXEC);

        if (fd < 0)
            return;
        crowd->accepted[i++] = fd;
    }
}

void crowd_close(struct crowd *crowd)
{
    close_all(&crowd->listener, 1);
    close_all(crowd->waiting, COUNT(crowd->waiting));
    close_all(crowd->accepted, COUNT(crowd->accepted));
    memset(crowd, -1, sizeof *crowd);
}

/* Opens crowds at all addresses, the first of them at any port. Gives how many could be opened. */
static size_t open_crowds(struct crowd *crowds, const char *addresses, int *port)
{
    char word[64];
    size_t count = 0;

    for (*port = 0; next_word(&addresses, word); count++) {
        int result = crowd_open(&crowds[count], word, *port);

        if (result < 0)
            return count;
        *port = result;
    }
    return count;
}

static size_t count_words(const char *text)
{
    char word[64];
    size_t count = 0;

    while (next_word(&text, word))
        count++;
    return count;
}

int crowds_open(struct crowd *crowds, const char *addresses)
{
    int port = 0;

    for (int left = 100; left > 0; left--) {
        size_t count = open_crowds(crowds, addresses, &port);

        if (count == count_words(addresses))
            return port;
        crowds_close(crowds, count);
    }
    fail_msg("no port is free at all of %s", addresses);
    return -1;
}

void crowds_close(struct crowd *crowds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        crowd_close(&crowds[i]);
}

/* ---- sessions ---- */

struct tcpm_session *racing_session(struct host *host, struct tcpm_session_options options)
{
    struct tcpm_names_options names = {.size = sizeof names, .ttl_s = TCPM_NONE};
    struct track track = {.hook = NULL};

    options.dns = TCPM_DNS_SYSTEM;
    assert_int_equal(tcpm_names_set(host->engine, &names), 0);
    racing_connect(&track, track_session(host, &options), "unknown.test", 1);
    host_run(host);
    assert_log(&track, "initialize failure(resolve,ENOTFOUND) disconnected(failure)");
    return track_session(host, &options);
}

void racing_connect(struct track *track, struct tcpm_session *session, const char *name, int port)
{
    track_connect_with(track, session,
                       (struct tcpm_connect_options){.address = name, .port = port});
}

static void read_places(const char *line, void *user)
{
    const char *places = strncmp(line, "engine ", 7) == 0 ? strstr(line, " places ") : NULL;

    if (places != NULL)
        *(unsigned *) user = (unsigned) strtoul(places + strlen(" places "), NULL, 10);
}

unsigned racing_places(struct host *host)
{
    unsigned places = UINT32_MAX;

    assert_int_equal(tcpm_engine_dump(host->engine, read_places, &places), 0);
    assert_true(places != UINT32_MAX);
    return places;
}

int racing_ms_since(int64_t began_ns)
{
    return (int) ((tcpm_now_ns() - began_ns) / 1000000);
}

void racing_run_for(struct host *host, int ms)
{
    int64_t began = tcpm_now_ns();

    while (racing_ms_since(began) < ms) {
        uv_run(&host->loop, UV_RUN_NOWAIT);
        usleep(500);
    }
}
