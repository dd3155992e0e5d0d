/* SPDX-License-Identifier: MIT */
/* See namespace.h. */
#include "namespace.h"

#include <fcntl.h>
#include <sched.h>

enum { NO_NAMESPACE = 77 };

struct guest {
    void (*run)(void *argument);
    void *argument;
};

static bool write_file(const char *path, const char *text)
{
    int file = open(path, O_WRONLY | O_CLOEXEC);
    bool written = file >= 0 && write(file, text, strlen(text)) == (ssize_t) strlen(text);

    if (file >= 0)
        close(file);
    return written;
}

static bool unshare_network(void)
{
    char map[32];

    if (unshare(CLONE_NEWNET) == 0)
        return true;
    snprintf(map, sizeof map, "0 %u 1", geteuid());
    return unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0 && write_file("/proc/self/uid_map", map);
}

static void run_guest(void *argument)
{
    const struct guest *guest = argument;

    if (!unshare_network() || system("ip link set lo up") != 0)
        _exit(NO_NAMESPACE);
    guest->run(guest->argument);
}

void in_namespace(void (*run)(void *argument), void *argument)
{
    struct guest guest = {run, argument};
    int status = in_child(run_guest, &guest);

    if (status == NO_NAMESPACE)
        print_message("# left out: it takes a network namespace, which we may not make\n");
    else
        assert_int_equal(status, 0);
}

void namespace_run(const char *command)
{
    if (system(command) != 0)
        fail_msg("failed: %s", command);
}

void namespace_set(const char *path, const char *text)
{
    if (!write_file(path, text))
        fail_msg("%s: %s", path, strerror(errno));
}
