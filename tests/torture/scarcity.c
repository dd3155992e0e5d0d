/* SPDX-License-Identifier: MIT */
/* See scarcity.h. */
#include "scarcity.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

struct scarcity *scarcity(void)
{
    static _Thread_local struct scarcity ours;

    return &ours;
}

/* In place of the C library's, for the library too. */
int socket(int domain, int type, int protocol)
{
    if (!scarcity()->out)
        return (int) syscall(SYS_socket, domain, type, protocol);
    errno = EMFILE;
    return -1;
}
