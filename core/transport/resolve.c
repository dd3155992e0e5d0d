/* SPDX-License-Identifier: MIT */
/*
 * Lookups by uv_getaddrinfo, in libuv's threads. Called by the attempt of a connection; a lookup
 * belongs to libuv until its callback, whether or not somebody still waits for it.
 */
#include "transport/resolve.h"

#include "tcpmulti.h"
#include "transport/address.h"

#include <errno.h>
#include <netdb.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define ADDRESSES_MAX 64 /* of one name; what exceeds it is not tried */

struct tcpm__lookup {
    uv_getaddrinfo_t request;
    struct tcpm__network *network;
    tcpm__lookup_done *done; /* NULL: cancelled */
    void *owner;
    unsigned port;
};

static int translate_status(int status)
{
    switch (status) {
    case UV_EAI_MEMORY:
        return -ENOMEM;
    case UV_EAI_AGAIN:
        return -EAGAIN;
    case UV_EAI_ADDRFAMILY:
    case UV_EAI_FAMILY:
        return -EAFNOSUPPORT;
    case UV_EAI_NODATA:
    case UV_EAI_NONAME:
    case UV_EAI_SERVICE:
    case UV_EAI_FAIL:
        return TCPM_ENOTFOUND;
    default:
        return status <= -3000 ? TCPM_ENOTFOUND : status; /* other UV_EAI_ codes: -3000 … -3014 */
    }
}

/* A resolver without a descriptor for its files and sockets says that there is no such name. 0, or
   -EMFILE or -ENFILE, as long as it lasts. */
static int lack_of_descriptors(void)
{
    int fd = epoll_create1(EPOLL_CLOEXEC);

    if (fd < 0)
        return errno == EMFILE || errno == ENFILE ? -errno : 0;
    close(fd);
    return 0;
}

static int explain_status(int status)
{
    int lack = lack_of_descriptors();

    return lack < 0 ? lack : translate_status(status);
}

static size_t gather(const struct addrinfo *info, unsigned port, union tcpm__address *addresses)
{
    size_t count = 0;

    for (; info != NULL && count < ADDRESSES_MAX; info = info->ai_next) {
        if (info->ai_family != AF_INET && info->ai_family != AF_INET6)
            continue;
        memcpy(&addresses[count], info->ai_addr, info->ai_addrlen);
        tcpm__address_set_port(&addresses[count], port);
        count++;
    }
    return count;
}

static void take_addresses(uv_getaddrinfo_t *request, int status, struct addrinfo *info)
{
    struct tcpm__lookup *lookup = (struct tcpm__lookup *) request;
    struct tcpm__network *network = lookup->network;
    union tcpm__address addresses[ADDRESSES_MAX];
    size_t count = 0;

    if (lookup->done != NULL) {
        if (status == 0) {
            count = gather(info, lookup->port, addresses);
            status = count == 0 ? UV_EAI_NODATA : 0;
        }
        lookup->done(lookup->owner, status < 0 ? explain_status(status) : 0, addresses, count);
    }
    uv_freeaddrinfo(info);
    tcpm__memory_free(network->memory, lookup);
    tcpm__network_forget(network);
}

int tcpm__lookup_start(struct tcpm__network *network, const char *name, unsigned port, int family,
                       tcpm__lookup_done *done, void *owner, struct tcpm__lookup **ret)
{
    const struct addrinfo hints = {.ai_family = family, .ai_socktype = SOCK_STREAM};
    struct tcpm__lookup *lookup = tcpm__memory_zeroed(network->memory, sizeof(*lookup));
    int result;

    if (lookup == NULL)
        return -ENOMEM;
    lookup->network = network;
    lookup->done = done;
    lookup->owner = owner;
    lookup->port = port;
    result = uv_getaddrinfo(network->loop, &lookup->request, take_addresses, name, NULL, &hints);
    if (result < 0) {
        tcpm__memory_free(network->memory, lookup);
        return translate_status(result);
    }
    network->handles++;
    *ret = lookup;
    return 0;
}

/* One whose thread already runs cannot be stopped; its answer comes and is dropped. */
void tcpm__lookup_cancel(struct tcpm__lookup *lookup)
{
    if (lookup == NULL)
        return;
    lookup->done = NULL;
    uv_cancel((uv_req_t *) &lookup->request);
}
