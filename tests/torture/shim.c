/* SPDX-License-Identifier: MIT */
/*
 * See shim.h. Calls that have no plan, and all others that are let through, are made by syscall(2):
 * nothing that is interposed can be in the way.
 */
#include "shim.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

struct shim *shim(void)
{
    static _Thread_local struct shim plan;

    return &plan;
}

static bool is_socket(int fd)
{
    struct stat facts;

    return shim()->active && fstat(fd, &facts) == 0 && S_ISSOCK(facts.st_mode);
}

static bool fails(enum shim_call call)
{
    struct shim *plan = shim();
    uint64_t number;

    if (!plan->active)
        return false;
    number = ++plan->counts[call];
    if (plan->call != call || plan->fail_at == 0 || number < plan->fail_at)
        return false;
    if (number > plan->fail_at && !plan->fail_on)
        return false;
    errno = plan->error;
    return true;
}

/* What the sockets of this thread were registered with. */
enum { REGISTRATIONS = 4096 };

struct registration {
    int set;
    struct epoll_event event;
};

static struct registration *registration_of(int fd)
{
    static _Thread_local struct registration all[REGISTRATIONS];

    return fd < REGISTRATIONS ? &all[fd] : NULL;
}

/* An edge-triggered event comes only after the kernel itself has refused or cut a transfer. After
   we have, the socket is registered anew: then it comes at once, if there is something to do. */
static void raise_event(int fd)
{
    struct registration *registration = registration_of(fd);

    if (registration != NULL && registration->set != 0)
        syscall(SYS_epoll_ctl, registration->set, EPOLL_CTL_MOD, fd, &registration->event);
}

int epoll_ctl(int set, int operation, int fd, struct epoll_event *event)
{
    bool ours = operation == EPOLL_CTL_ADD && is_socket(fd);
    struct registration *registration = ours ? registration_of(fd) : NULL;

    if (ours && fails(SHIM_REGISTER))
        return -1;
    if (registration != NULL)
        *registration = (struct registration){set, *event};
    return (int) syscall(SYS_epoll_ctl, set, operation, fd, event);
}

/* Also when the call is only to come again. */
static bool transfer_fails(enum shim_call call, int fd)
{
    const struct shim *plan = shim();
    uint64_t number = plan->counts[call] + 1;
    int error;

    if (fails(call))
        return true;
    if (!plan->active)
        return false;
    if (plan->interrupt_every != 0 && number % plan->interrupt_every == 0)
        errno = EINTR;
    else if (plan->again_every != 0 && number % plan->again_every == 0)
        errno = EAGAIN;
    else
        return false;
    error = errno;
    raise_event(fd);
    errno = error;
    return true;
}

static size_t cut_to(size_t length)
{
    const struct shim *plan = shim();

    return plan->active && plan->cut != 0 && length > plan->cut ? plan->cut : length;
}

/* The transfer's result, when it may have been cut. */
static ssize_t cut_result(int fd, ssize_t result, size_t length)
{
    int error = errno;

    if (cut_to(length) < length)
        raise_event(fd);
    errno = error;
    return result;
}

int socket(int domain, int type, int protocol)
{
    if (fails(SHIM_SOCKET))
        return -1;
    return (int) syscall(SYS_socket, domain, type, protocol);
}

int connect(int fd, const struct sockaddr *address, socklen_t size)
{
    if (fails(SHIM_CONNECT))
        return -1;
    return (int) syscall(SYS_connect, fd, address, size);
}

int bind(int fd, const struct sockaddr *address, socklen_t size)
{
    if (fails(SHIM_BIND))
        return -1;
    return (int) syscall(SYS_bind, fd, address, size);
}

ssize_t send(int fd, const void *bytes, size_t length, int flags)
{
    if (transfer_fails(SHIM_SEND, fd))
        return -1;
    return cut_result(fd, syscall(SYS_sendto, fd, bytes, cut_to(length), flags, NULL, 0), length);
}

ssize_t recv(int fd, void *bytes, size_t length, int flags)
{
    if (transfer_fails(SHIM_RECEIVE, fd))
        return -1;
    return cut_result(fd, syscall(SYS_recvfrom, fd, bytes, cut_to(length), flags, NULL, NULL),
                      length);
}

int setsockopt(int fd, int level, int option, const void *value, socklen_t size)
{
    if ((level != SOL_SOCKET || option != SO_LINGER) && fails(SHIM_SETSOCKOPT))
        return -1;
    return (int) syscall(SYS_setsockopt, fd, level, option, value, size);
}

int getsockname(int fd, struct sockaddr *address, socklen_t *size)
{
    if (fails(SHIM_GETSOCKNAME))
        return -1;
    return (int) syscall(SYS_getsockname, fd, address, size);
}

int shutdown(int fd, int how)
{
    if (fails(SHIM_SHUTDOWN))
        return -1;
    return (int) syscall(SYS_shutdown, fd, how);
}

int poll(struct pollfd *pollfds, nfds_t count, int timeout)
{
    if (fails(SHIM_POLL))
        return -1;
    return (int) syscall(SYS_poll, pollfds, count, timeout);
}

/* The third argument of both is a number or a pointer; the kernel takes it as it is. */
int ioctl(int fd, unsigned long request, ...)
{
    va_list arguments;

    va_start(arguments, request);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    if (fails(SHIM_IOCTL))
        return -1;
    return (int) syscall(SYS_ioctl, fd, request, argument);
}

static int control(int fd, int command, void *argument)
{
    if (command == F_DUPFD_CLOEXEC && fails(SHIM_DUPLICATE))
        return -1;
    return (int) syscall(SYS_fcntl, fd, command, argument);
}

/* The header may have renamed one into the other. */
int control_plain(int fd, int command, ...) __asm__("fcntl");
int control_large(int fd, int command, ...) __asm__("fcntl64");

int control_plain(int fd, int command, ...)
{
    va_list arguments;

    va_start(arguments, command);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    return control(fd, command, argument);
}

int control_large(int fd, int command, ...)
{
    va_list arguments;

    va_start(arguments, command);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    return control(fd, command, argument);
}
