/*
 * See shim.h. Calls that have no plan, and all others that are let through, are made by syscall(2):
 * nothing that is interposed can be in the way.
 */
#include "shim.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
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

/* Also when the call is only to come again. */
static bool transfer_fails(enum shim_call call)
{
    const struct shim *plan = shim();
    uint64_t number = plan->counts[call] + 1;

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
    return true;
}

static size_t cut_to(size_t length)
{
    const struct shim *plan = shim();

    return plan->active && plan->cut != 0 && length > plan->cut ? plan->cut : length;
}

static bool is_socket(int fd)
{
    struct stat facts;

    return shim()->active && fstat(fd, &facts) == 0 && S_ISSOCK(facts.st_mode);
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
    if (transfer_fails(SHIM_SEND))
        return -1;
    return syscall(SYS_sendto, fd, bytes, cut_to(length), flags, NULL, 0);
}

ssize_t recv(int fd, void *bytes, size_t length, int flags)
{
    if (transfer_fails(SHIM_RECEIVE))
        return -1;
    return syscall(SYS_recvfrom, fd, bytes, cut_to(length), flags, NULL, NULL);
}

ssize_t read(int fd, void *bytes, size_t length)
{
    bool ours = is_socket(fd);

    if (ours && transfer_fails(SHIM_RECEIVE))
        return -1;
    return syscall(SYS_read, fd, bytes, ours ? cut_to(length) : length);
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
