/* SPDX-License-Identifier: MIT */
/*
 * The floor of names: c-ares alone on an epoll loop, one channel, both families of each name asked
 * by queries, and nothing is done with the addresses but reading them.
 */
#include <ares.h>
#include <arpa/nameser.h>
#include <netdb.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "names/job.h"

enum {
    EVENTS = 64,
    POLL_MS = 100,
    MOST_ADDRESSES = 16,
    TRY_MS = 2000,
    TRIES = 3,
    RECEIVE_BYTES = 1 << 20
};

struct client {
    struct names_job job;
    struct bench_figures figures;
    ares_channel channel;
    int epoll_fd;
    unsigned started, under_way; /* names */
};

struct name {
    struct client *client;
    unsigned left, errors; /* of its queries */
};

static void start_more(struct client *client);

static void finish(struct name *name, int status)
{
    struct client *client = name->client;

    name->errors += status != ARES_SUCCESS && status != ARES_ENODATA;
    if (--name->left > 0)
        return;
    client->under_way--;
    client->figures.operations++;
    client->figures.errors += name->errors > 0;
    free(name);
}

static void on_inet(void *argument, int status, int timeouts, unsigned char *bytes, int length)
{
    struct ares_addrttl addresses[MOST_ADDRESSES];
    int count = MOST_ADDRESSES;

    (void) timeouts;
    if (status == ARES_SUCCESS)
        status = ares_parse_a_reply(bytes, length, NULL, addresses, &count);
    finish(argument, status);
}

static void on_inet6(void *argument, int status, int timeouts, unsigned char *bytes, int length)
{
    struct ares_addr6ttl addresses[MOST_ADDRESSES];
    int count = MOST_ADDRESSES;

    (void) timeouts;
    if (status == ARES_SUCCESS)
        status = ares_parse_aaaa_reply(bytes, length, NULL, addresses, &count);
    finish(argument, status);
}

static void start_more(struct client *client)
{
    while (client->under_way < client->job.window && client->started < client->job.count) {
        char text[NAMES_TEXT];
        struct name *name = calloc(1, sizeof *name);
        if (!name)
            bench_fail("calloc", 0);
        name->client = client;
        name->left = client->job.families == 4 ? 1 : 2;
        names_print(client->started++, text);
        client->under_way++;
        if (client->job.families != 4)
            ares_query(client->channel, text, ns_c_in, ns_t_aaaa, on_inet6, name);
        ares_query(client->channel, text, ns_c_in, ns_t_a, on_inet, name);
    }
}

static void on_socket(void *data, ares_socket_t fd, int reads, int writes)
{
    struct client *client = data;
    struct epoll_event event = {
        .events = (reads ? EPOLLIN : 0u) | (writes ? EPOLLOUT : 0u),
        .data.fd = fd,
    };

    if (!reads && !writes)
        epoll_ctl(client->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
    else if (epoll_ctl(client->epoll_fd, EPOLL_CTL_ADD, fd, &event))
        epoll_ctl(client->epoll_fd, EPOLL_CTL_MOD, fd, &event);
}

static void open_channel(struct client *client)
{
    char servers[NAMES_TEXT];
    struct ares_options options = {
        .flags = ARES_FLAG_STAYOPEN,
        .timeout = TRY_MS,
        .tries = TRIES,
        .sock_state_cb = on_socket,
        .sock_state_cb_data = client,
        .socket_receive_buffer_size = RECEIVE_BYTES,
    };
    int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB |
               ARES_OPT_SOCK_RCVBUF;

    snprintf(servers, sizeof servers, "127.0.0.1:%u", client->job.port);
    client->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (ares_init_options(&client->channel, &options, mask) != ARES_SUCCESS ||
        ares_set_servers_ports_csv(client->channel, servers) != ARES_SUCCESS)
        bench_fail("c-ares", 0);
}

int main(int argc, char **argv)
{
    struct client client = {.started = 0};

    names_job_read(argc, argv, &client.job);
    open_channel(&client);
    bench_begin(&client.figures);
    start_more(&client);
    while (client.under_way > 0) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(client.epoll_fd, events, EVENTS, POLL_MS);
        for (int i = 0; i < count; i++)
            ares_process_fd(client.channel, events[i].data.fd, ARES_SOCKET_BAD);
        if (count <= 0)
            ares_process_fd(client.channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
        start_more(&client);
    }
    bench_end(&client.figures);
    ares_destroy(client.channel);
    close(client.epoll_fd);
    return bench_report(&client.figures);
}
