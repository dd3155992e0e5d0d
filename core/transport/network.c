/*
 * The shared part of an engine's sockets; the engine owns it. Nothing here knows a single socket.
 */
#include "transport/network.h"

#include "transport/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

int tcpm__network_init(struct tcpm__network *network, uv_loop_t *loop,
                       const struct tcpm__memory *memory, const struct tcpm__socket_events *events)
{
    *network = (struct tcpm__network){.loop = loop, .memory = memory, .events = events, .turn = 1};
    tcpm__slabs_init(&network->requests, memory, sizeof(uv_connect_t));
    network->read_buffer = tcpm__memory_resize(memory, NULL, TCPM__READ_PER_TURN);
    if (network->read_buffer == NULL)
        return -ENOMEM;
    tcpm__network_now(network);
    return 0;
}

void tcpm__network_free(struct tcpm__network *network)
{
    tcpm__slabs_free(&network->requests);
    tcpm__memory_free(network->memory, network->read_buffer);
    network->read_buffer = NULL;
}

uint64_t tcpm__network_now(struct tcpm__network *network)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    network->now_ms = (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000;
    return network->now_ms;
}

void tcpm__network_forget(struct tcpm__network *network)
{
    if (--network->handles == 0 && network->emptied != NULL)
        network->emptied(network);
}

static void forget_handle(uv_handle_t *handle)
{
    struct tcpm__network *network = handle->data;

    tcpm__memory_free(network->memory, handle);
    tcpm__network_forget(network);
}

/* libuv aborts when its table cannot grow. A probe of this size goes first: what it can get, the
   table will get. Not by the allocator, which would take the size for a usual one and stop giving
   large blocks back. */
static bool memory_suffices(uint64_t limit)
{
    size_t size = (limit + 2) * 2 * sizeof(void *);
    void *probe = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return probe != MAP_FAILED && munmap(probe, size) == 0;
}

/* The highest number that is free. Never dup2: it could be a descriptor of the host's. */
static int duplicate_high(int fd, int limit)
{
    int high = -1;

    for (int number = limit - 1; high < 0 && number > fd; number--) {
        high = fcntl(fd, F_DUPFD_CLOEXEC, number);
        if (high < 0 && errno != EMFILE && errno != EINVAL)
            return -errno;
    }
    return high < 0 ? -EMFILE : high;
}

static void close_handle(struct tcpm__network *network, uv_handle_t *handle)
{
    handle->data = network;
    network->handles++;
    uv_close(handle, forget_handle);
}

/* libuv opens a spare descriptor with its first stream, and aborts when it has to close one of 0 to
   2. A host may have closed those: they are taken while libuv opens its own. */
static void open_spare(struct tcpm__network *network)
{
    uv_tcp_t *stream = tcpm__memory_zeroed(network->memory, sizeof(*stream));
    int low[STDERR_FILENO + 2], count = 0;

    if (stream == NULL)
        return;
    do
        low[count] = eventfd(0, EFD_CLOEXEC);
    while (low[count] >= 0 && low[count++] <= STDERR_FILENO);
    if (uv_tcp_init(network->loop, stream) == 0)
        close_handle(network, (uv_handle_t *) stream);
    else
        tcpm__memory_free(network->memory, stream);
    while (count > 0)
        close(low[--count]);
}

int tcpm__network_presize(struct tcpm__network *network, uint64_t limit)
{
    uv_poll_t *poll;
    int fd, high, result;

    if (limit > 1048576)
        limit = 1048576;
    if (!memory_suffices(limit))
        return -ENOMEM;
    fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        return -errno;
    high = duplicate_high(fd, (int) limit);
    close(fd);
    if (high < 0)
        return high == -EMFILE ? 0 : high; /* all in use: the table cannot grow any more */
    poll = tcpm__memory_zeroed(network->memory, sizeof(*poll));
    result = poll == NULL ? -ENOMEM : uv_poll_init(network->loop, poll, high);
    if (result < 0) {
        tcpm__memory_free(network->memory, poll);
    } else {
        uv_poll_start(poll, UV_READABLE, NULL);
        uv_poll_stop(poll);
        close_handle(network, (uv_handle_t *) poll);
        open_spare(network);
    }
    close(high);
    return result;
}
