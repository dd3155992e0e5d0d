/* SPDX-License-Identifier: MIT */
/*
 * Standard output, as a stream of C's that every way to print goes through: print and io.write, in
 * compiled loops too, and C code of modules. It differs from C's own in two points. Where somebody
 * has made the pipe, socket or terminal non-blocking, for all who share it, a write waits until
 * there is room; C's own drops what does not fit. And where nobody reads any more, the write ends
 * the program, as SIGPIPE would: SIGPIPE itself must not hit the connections.
 *
 * A script may also never print, so a pipe or a terminal is polled beside. A socket is not: its
 * other end may have stopped sending without having stopped reading (journald).
 */
#include "runner.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
#endif

#define GRACE_MS \
    250 /* a terminal that hangs up is followed by SIGHUP, which ends the run in order */

void tcpm__runner_check_leaks(void)
{
#if defined(__SANITIZE_ADDRESS__)
    __lsan_do_leak_check();
#endif
}

static bool reader_has_gone(void)
{
    struct pollfd output = {.fd = STDOUT_FILENO};

    return poll(&output, 1, 0) == 1 && (output.revents & (POLLERR | POLLHUP)) != 0;
}

/* At once, as SIGPIPE would do it; files that the script writes keep what it wrote. */
static void end_without_reader(void)
{
    fflush(NULL);
    _exit(RUNNER_NO_READER);
}

/* ---- writing ---- */

/* Whether what could not be written ends the program: not a full disk, and not while it ends
   already. */
static bool ends_program(int error)
{
    if (error == EPIPE)
        return !tcpm__runner_signals_ending();
    if (error != EIO || !reader_has_gone())
        return false;
    if (!tcpm__runner_signals_ending())
        poll(NULL, 0, GRACE_MS);
    return !tcpm__runner_signals_ending();
}

/* What has happened to standard output. The stream's functions get a pointer only, and outlive
   main; there is one standard output anyway. */
struct failures {
    bool ending; /* the end of the program, for want of a reader, has begun */
    int first;   /* error of the first write that has failed; 0: none */
};

static struct failures *output_failures(void)
{
    static struct failures failures;

    return &failures;
}

/* Standard output has taken less than it was given. How much counts as written. */
static size_t take_failure(size_t written, size_t size)
{
    struct failures *failures = output_failures();
    int error = errno;

    if (failures->ending) /* fflush(NULL) has come here again */
        return size;
    if (ends_program(error)) {
        failures->ending = true;
        end_without_reader();
    }
    if (error == EPIPE || reader_has_gone())
        return size;
    if (failures->first == 0)
        failures->first = error;
    errno = error;
    return written;
}

static void await_room(int descriptor)
{
    struct pollfd output = {.fd = descriptor, .events = POLLOUT};

    poll(&output, 1, -1);
}

/* Of fopencookie: fewer than size bytes are an error, and its number is errno. */
static ssize_t write_stream(void *cookie, const char *bytes, size_t size)
{
    int descriptor = (int) (intptr_t) cookie;
    size_t written = 0;

    while (written < size) {
        ssize_t count = write(descriptor, bytes + written, size - written);

        if (count > 0)
            written += (size_t) count;
        else if (count < 0 && errno == EAGAIN)
            await_room(descriptor);
        else if (count == 0 || errno != EINTR)
            break;
    }
    if (written < size && descriptor == STDOUT_FILENO)
        written = take_failure(written, size);
    return (ssize_t) written;
}

/* Of a descriptor that was closed, where there is no /dev/null. */
static ssize_t write_nowhere(void *cookie, const char *bytes, size_t size)
{
    (void) cookie;
    (void) bytes;
    return (ssize_t) size;
}

static int seek_stream(void *cookie, off64_t *offset, int whence)
{
    off64_t place = lseek64((int) (intptr_t) cookie, *offset, whence);

    if (place < 0)
        return -1;
    *offset = place;
    return 0;
}

/* NULL: no memory. C code may ask for its descriptor. */
static FILE *open_stream(int descriptor, int buffering)
{
    bool nowhere = (fcntl(descriptor, F_GETFL) & O_PATH) != 0;
    cookie_io_functions_t functions = {
        .write = nowhere ? write_nowhere : write_stream,
        .seek = seek_stream,
    };
    FILE *stream = fopencookie((void *) (intptr_t) descriptor, "w", functions);

    if (stream == NULL)
        return NULL;
    stream->_fileno = descriptor;
    setvbuf(stream, NULL, buffering, 0);
    return stream;
}

/* ---- at exit ---- */

int tcpm__runner_output_finish(int status)
{
    char line[128];

    fflush(stdout);
    if (output_failures()->first == 0)
        return status;
    snprintf(line, sizeof line, "standard output: %s", strerror(output_failures()->first));
    tcpm__runner_report(line);
    return status != RUNNER_DONE ? status : RUNNER_ERROR;
}

/* Behind os.exit too. The status of a process that exits can be changed only by exiting at once. */
static void on_exit_finish(int status, void *argument)
{
    int changed = tcpm__runner_output_finish(status);

    (void) argument;
    if (changed == status)
        return;
    fflush(NULL);
    tcpm__runner_check_leaks();
    _exit(changed);
}

static void on_sigpipe(int signum)
{
    (void) signum;
}

void tcpm__runner_output_open(void)
{
    struct sigaction action = {.sa_handler = on_sigpipe, .sa_flags = SA_RESTART};
    FILE *output = open_stream(STDOUT_FILENO, isatty(STDOUT_FILENO) ? _IOLBF : _IOFBF);
    FILE *errors = open_stream(STDERR_FILENO, _IONBF);

    if (output != NULL)
        stdout = output;
    if (errors != NULL)
        stderr = errors;
    sigaction(SIGPIPE, &action, NULL); /* until the loop is there: see signals.c */
    on_exit(on_exit_finish, NULL);
}

/* ---- watching ---- */

static void on_grace(uv_timer_t *grace)
{
    (void) grace;
    if (!tcpm__runner_signals_ending())
        end_without_reader();
}

static void on_output_event(uv_poll_t *poll, int status, int events)
{
    struct tcpm__runner_output *output = poll->data;

    (void) status;
    (void) events;
    if (!reader_has_gone())
        return;
    uv_poll_stop(poll);
    if (output->terminal)
        uv_timer_start(&output->grace, on_grace, GRACE_MS, 0);
    else
        on_grace(&output->grace);
}

/* libuv would make standard output itself non-blocking, for us and for whoever shares it; so it
   polls an epoll set of our own, which reports errors and hang-ups only. */
static int open_output_set(bool terminal)
{
    struct epoll_event event = {.events = 0};
    struct stat status;
    int set;

    if (fstat(STDOUT_FILENO, &status) != 0 || (!S_ISFIFO(status.st_mode) && !terminal))
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
    output->terminal = isatty(STDOUT_FILENO) != 0;
    output->epoll = open_output_set(output->terminal);
    if (output->epoll < 0)
        return;
    if (uv_poll_init(loop, &output->poll, output->epoll) != 0) {
        close(output->epoll);
        output->epoll = -1;
        return;
    }
    output->poll.data = output;
    uv_unref((uv_handle_t *) &output->poll);
    uv_timer_init(loop, &output->grace);
    uv_unref((uv_handle_t *) &output->grace);
    uv_poll_start(&output->poll, UV_READABLE, on_output_event);
}

void tcpm__runner_output_close(struct tcpm__runner_output *output)
{
    if (output->epoll < 0)
        return;
    uv_close((uv_handle_t *) &output->poll, NULL);
    uv_close((uv_handle_t *) &output->grace, NULL);
    close(output->epoll);
    output->epoll = -1;
}
