/*
 * Watches on sockets whose buffer in the kernel is full. libuv allows one watcher per descriptor
 * and has its own on the socket, so a watch works on a duplicate, which counts as a descriptor.
 */
#include "transport/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

struct tcpm__watch {
    uv_poll_t poll; /* data: the owner; once closed: the next one to close */
    struct tcpm__network *network;
    int fd; /* the duplicate */
    bool closed;
};

static void take_writable(uv_poll_t *poll, int status, int events)
{
    struct tcpm__watch *watch = (struct tcpm__watch *) poll;

    (void) status;
    (void) events;
    if (!watch->closed)
        watch->network->events->writable(poll->data);
}

int tcpm__watch_open(struct tcpm__socket *socket, void *owner, struct tcpm__watch **ret)
{
    struct tcpm__network *network = socket->network;
    struct tcpm__watch *watch = tcpm__memory_zeroed(network->memory, sizeof(*watch));
    int result;

    if (watch == NULL)
        return -ENOMEM;
    watch->network = network;
    watch->fd = fcntl(tcpm__socket_fd(socket), F_DUPFD_CLOEXEC, 3);
    result = watch->fd < 0 ? -errno : uv_poll_init(network->loop, &watch->poll, watch->fd);
    if (result < 0) {
        if (watch->fd >= 0)
            close(watch->fd);
        tcpm__memory_free(network->memory, watch);
        return result;
    }
    watch->poll.data = owner;
    network->spare_descriptors++;
    network->handles++;
    uv_poll_start(&watch->poll, UV_WRITABLE, take_writable);
    *ret = watch;
    return 0;
}

static void free_watch(uv_handle_t *handle)
{
    struct tcpm__network *network = ((struct tcpm__watch *) handle)->network;

    tcpm__memory_free(network->memory, handle);
    tcpm__network_forget(network);
}

static void close_watch(struct tcpm__watch *watch)
{
    watch->network->spare_descriptors--;
    uv_close((uv_handle_t *) &watch->poll, free_watch);
    close(watch->fd); /* after libuv has let go of it */
}

void tcpm__watch_close(struct tcpm__watch *watch)
{
    if (watch == NULL)
        return;
    watch->closed = true;
    if (!watch->network->dispatching) {
        close_watch(watch);
        return;
    }
    watch->poll.data = watch->network->unwatched;
    watch->network->unwatched = watch;
}

void tcpm__watch_close_waiting(struct tcpm__network *network)
{
    while (network->unwatched != NULL) {
        struct tcpm__watch *watch = network->unwatched;

        network->unwatched = watch->poll.data;
        close_watch(watch);
    }
}
