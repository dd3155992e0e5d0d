/*
 * Standard streams and limits of the process. Descriptors 0 to 2 are always open, so that no
 * connection can become somebody's standard output; as many descriptors as the system allows may
 * be opened; a reader of standard output that has gone ends the program, as SIGPIPE would, but
 * noticed by poll: SIGPIPE itself must not hit the connections, and a script may never print.
 */
#include "runner.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static void open_missing_streams(void)
{
    int fd;

    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

static void raise_file_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static void take_nothing(int signum)
{
    (void) signum;
}

/* A handler that does nothing instead of SIG_IGN: programs that the script starts by io.popen get
   the default back, as they expect it. */
static void ignore_sigpipe(void)
{
    struct sigaction action = {.sa_handler = take_nothing, .sa_flags = SA_RESTART};

    sigaction(SIGPIPE, &action, NULL);
}

void tcpm__runner_descriptors_prepare(void)
{
    open_missing_streams();
    raise_file_limit();
    ignore_sigpipe();
}

static bool reader_has_gone(void)
{
    struct pollfd output = {.fd = STDOUT_FILENO};

    return poll(&output, 1, 0) == 1 && (output.revents & (POLLERR | POLLHUP)) != 0;
}

static void take_output_event(uv_poll_t *poll, int status, int events)
{
    (void) poll;
    (void) status;
    (void) events;
    if (!reader_has_gone())
        return;
    /* At once, as the signal would do it; files that the script writes keep what it wrote. */
    fflush(NULL);
    _exit(RUNNER_NO_READER);
}

/* libuv would make standard output itself non-blocking, for us and for whoever shares it; so it
   polls an epoll set of our own, which reports errors and hang-ups only. */
static int open_output_set(void)
{
    struct epoll_event event = {.events = 0};
    struct stat status;
    int set;

    if (fstat(STDOUT_FILENO, &status) != 0 ||
        (!S_ISFIFO(status.st_mode) && !S_ISSOCK(status.st_mode)))
        return -1;
    set = epoll_create1(EPOLL_CLOEXEC);
    if (set >= 0 && epoll_ctl(set, EPOLL_CTL_ADD, STDOUT_FILENO, &event) == 0)
        return set;
    if (set >= 0)
        close(set);
    return -1;
}

void tcpm__runner_output_watch(struct tcpm__runner_output *output, uv_loop_t *loop)
{
    output->epoll = open_output_set();
    if (output->epoll < 0)
        return;
    if (uv_poll_init(loop, &output->poll, output->epoll) != 0) {
        close(output->epoll);
        output->epoll = -1;
        return;
    }
    uv_unref((uv_handle_t *) &output->poll);
    uv_poll_start(&output->poll, UV_READABLE, take_output_event);
}

void tcpm__runner_output_close(struct tcpm__runner_output *output)
{
    if (output->epoll < 0)
        return;
    uv_close((uv_handle_t *) &output->poll, NULL);
    close(output->epoll);
    output->epoll = -1;
}

int tcpm__runner_output_finish(int status)
{
    bool failed = ferror(stdout) != 0;
    int error = 0;

    if (fflush(stdout) != 0)
        error = errno;
    if (error == 0 && !failed)
        return status;
    if (error == EPIPE || reader_has_gone())
        return RUNNER_NO_READER;
    fprintf(stderr, RUNNER_NAME ": standard output: %s\n",
            error != 0 ? strerror(error) : "not all could be written");
    return status != RUNNER_DONE ? status : RUNNER_ERROR;
}
