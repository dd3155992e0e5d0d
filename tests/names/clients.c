/* SPDX-License-Identifier: MIT */
/*
 * Connections by TCP of a scripted name server. A message there has its length before it, in two
 * bytes. A client is freed only between two rounds of the thread's loop, as a late event of the
 * same round may still point to it.
 */
#include "internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* Bytes that the kernel keeps for a client that reads late: more than the longest message. */
enum { SEND_BUFFER = 262144 };

static void add_client(struct nameserver *server, int fd)
{
    struct client *client = calloc(1, sizeof *client);
    int size = SEND_BUFFER;

    if (client == NULL) {
        close(fd);
        return;
    }
    (void) setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    client->fd = fd;
    client->serial = ++server->serial;
    client->next = server->clients;
    server->clients = client;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
    client->over = epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0;
}

void clients_accept(struct nameserver *server)
{
    int fd;

    while ((fd = accept4(server->tcp_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
        add_client(server, fd);
}

static struct client *find_client(struct nameserver *server, uint64_t serial)
{
    struct client *client = server->clients;

    while (client != NULL && client->serial != serial)
        client = client->next;
    return client;
}

void client_send(struct nameserver *server, uint64_t serial, const unsigned char *bytes,
                 size_t length)
{
    struct client *client = find_client(server, serial);

    if (client == NULL || client->over)
        return;
    server->out[0] = (unsigned char) (length >> 8);
    server->out[1] = (unsigned char) length;
    memcpy(server->out + 2, bytes, length);
    ssize_t sent = send(client->fd, server->out, length + 2, MSG_NOSIGNAL);
    client->over = sent != (ssize_t) length + 2;
}

void client_hang_up(struct nameserver *server, uint64_t serial)
{
    struct client *client = find_client(server, serial);

    if (client != NULL)
        client->over = true;
}

/* Answers the first question of those that have come; false: it is not whole yet. */
static bool serve_first(struct nameserver *server, struct client *client)
{
    struct whither whither = {.fd = client->fd, .serial = client->serial};
    size_t length = client->length < 2 ? 0 : (size_t) client->bytes[0] << 8 | client->bytes[1];

    if (client->length < 2 || client->length < length + 2)
        return false;
    serve_question(server, client->bytes + 2, length, &whither);
    client->length -= length + 2;
    memmove(client->bytes, client->bytes + length + 2, client->length);
    return true;
}

void client_read(struct nameserver *server, struct client *client)
{
    size_t room = sizeof client->bytes - client->length;
    ssize_t size = client->over ? -1 : recv(client->fd, client->bytes + client->length, room, 0);

    if (size <= 0) {
        client->over = true;
        return;
    }
    client->length += (size_t) size;
    while (!client->over && serve_first(server, client))
        continue;
}

void clients_close(struct nameserver *server, bool all)
{
    struct client **link = &server->clients;

    while (*link != NULL) {
        struct client *client = *link;
        if (all || client->over) {
            *link = client->next;
            close(client->fd);
            free(client);
        } else {
            link = &client->next;
        }
    }
}
