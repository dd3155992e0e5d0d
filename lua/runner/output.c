/* SPDX-License-Identifier: MIT */
/*
 * Standard output, as a stream of C through which every way to print goes: print and io.write, in
 * compiled loops too, and C code of modules. This stream differs from C's own in two points. Where
 * somebody has made the pipe, socket or terminal non-blocking, for all processes that share it, a
 * write waits until there is room; C's own stream drops bytes that do not fit. And once nobody
 * reads any more, a write ends the program, as SIGPIPE would: SIGPIPE itself must not hit the
 * connections.
 *
 * A script may also never print, so a pipe or a terminal is polled as well. A socket is not polled:
 * its other end may have stopped sending without having stopped reading (journald).
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
#include <sys/stat.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
#endif

/* A terminal that hangs up is followed by SIGHUP, which ends the run in order; so long the program
   waits for that signal. */
enum { GRACE_MS = 250 };

enum { RUNNER_NO_READER = 141 }; /* exit status: 128 + SIGPIPE */

void tcpm__runner_output_check_leaks(void)
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

/* Ends the process at once, as SIGPIPE would; the script's own files are flushed before. */
static void end_without_reader(void)
{
    fflush(NULL);
    _exit(RUNNER_NO_READER);
}

/* ---- writing ---- */

/* True: a write that has failed with this errno ends the program. A full disk does not, and nothing
   does while a signal is ending the program. */
static bool ends_program(int error)
{
    if (error == EPIPE)
        return !tcpm__runner_signals_is_ending();
    if (error != EIO || !reader_has_gone())
        return false;
    if (!tcpm__runner_signals_is_ending())
        poll(NULL, 0, GRACE_MS);
    return !tcpm__runner_signals_is_ending();
}

/* The failures of standard output. The stream's functions get one pointer only and run even after
   main, so this object must be found without an argument; a process has one standard output anyway.
 */
struct failures {
    bool exiting; /* end_without_reader has begun */
    int first;    /* errno of the first write that has failed; 0: none has */
};

static struct failures *output_failures(void)
{
    static struct failures failures;

    return &failures;
}

/* Standard output has taken fewer bytes than it was given; errno says why. Returns the bytes that
   count as written. */
static size_t note_failure(size_t written, size_t size)
{
    struct failures *failures = output_failures();
    int error = errno;

    if (failures->exiting) /* end_without_reader flushes, and is here again */
        return size;
    if (ends_program(error)) {
        failures->exiting = true;
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

/* Called by C's stream. A result below size is an error, with errno set. */
static ssize_t on_write(void *cookie, const char *bytes, size_t size)
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
        written = note_failure(written, size);
    return (ssize_t) written;
}

/* Called by the stream of a descriptor that was closed at the start, on a system without /dev/null.
 */
static ssize_t on_write_nowhere(void *cookie, const char *bytes, size_t size)
{
    (void) cookie;
    (void) bytes;
    return (ssize_t) size;
}

static int on_seek(void *cookie, off64_t *offset, int whence)
{
    off64_t place = lseek64((int) (intptr_t) cookie, *offset, whence);

    if (place < 0)
        return -1;
    *offset = place;
    return 0;
}

/* Returns NULL when out of memory. fopencookie, _fileno (by which C code finds the descriptor) and
   O_PATH are glibc's and Linux's. The BSDs and macOS have funopen for the first; musl has
   fopencookie, but its stdout cannot be replaced: there SIGPIPE's default would have to do, and a
   non-blocking descriptor loses bytes. */
static FILE *open_stream(int descriptor, int buffering)
{
    bool nowhere = (fcntl(descriptor, F_GETFL) & O_PATH) != 0;
    cookie_io_functions_t functions = {
        .write = nowhere ? on_write_nowhere : on_write,
        .seek = on_seek,
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
    fflush(stdout);
    if (output_failures()->first == 0)
        return status;
    char line[128];
    snprintf(line, sizeof line, "standard output: %s", strerror(output_failures()->first));
    tcpm__runner_report_text(line);
    return status != RUNNER_DONE ? status : RUNNER_ERROR;
}

/* Runs at os.exit too. The status of a process that is exiting can only be changed by _exit.
   on_exit is glibc's. Elsewhere atexit calls a function without the status, which main.c and
   os.exit would have to leave behind. */
static void on_exit_finish(int status, void *argument)
{
    int changed = tcpm__runner_output_finish(status);

    (void) argument;
    if (changed == status)
        return;
    fflush(NULL);
    tcpm__runner_output_check_leaks();
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
    sigaction(SIGPIPE, &action, NULL); /* signals.c replaces this handler */
    on_exit(on_exit_finish, NULL);
}

/* ---- watching ---- */

static void on_grace(uv_timer_t *grace)
{
    (void) grace;
    if (!tcpm__runner_signals_is_ending())
        end_without_reader();
}

/* Called by the inner loop. */
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

static void on_inner_event(uv_poll_t *poll, int status, int events)
{
    struct tcpm__runner_output *output = poll->data;

    (void) status;
    (void) events;
    uv_run(&output->inner, UV_RUN_NOWAIT);
}

/* The inner loop gives its descriptor to the kernel's set only when it runs. The first run must be
   inside the script's loop: it may end the program, and the script's main chunk comes first. */
static void on_first_turn(uv_timer_t *timer)
{
    struct tcpm__runner_output *output = timer->data;

    uv_run(&output->inner, UV_RUN_NOWAIT);
}

static bool is_watchable(bool terminal)
{
    struct stat status;

    return terminal || (fstat(STDOUT_FILENO, &status) == 0 && S_ISFIFO(status.st_mode));
}

/* uv_poll_init makes its descriptor non-blocking, here standard output, for us and for every
   process that shares it. So a pipe of our own takes the place of descriptor 1 while uv_poll_init
   runs. */
static int init_output_poll(struct tcpm__runner_output *output)
{
    int ends[2], result = -EMFILE;

    if (pipe(ends) != 0)
        return -errno;
    int saved = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (saved >= 0) {
        dup2(ends[1], STDOUT_FILENO);
        result = uv_poll_init(&output->inner, &output->output_poll, STDOUT_FILENO);
        dup2(saved, STDOUT_FILENO);
        close(saved);
    }
    close(ends[0]);
    close(ends[1]);
    return result;
}

static void close_output_poll(struct tcpm__runner_output *output)
{
    uv_close((uv_handle_t *) &output->output_poll, NULL);
    uv_run(&output->inner, UV_RUN_DEFAULT); /* completes the close */
}

/* The inner loop polls standard output, and the script's loop polls the inner loop: luv may have a
   handle of its own for descriptor 1, and a loop can have only one for each descriptor. */
static int init_polls(struct tcpm__runner_output *output, uv_loop_t *loop)
{
    int result = uv_loop_init(&output->inner);

    if (result != 0)
        return result;
    result = init_output_poll(output);
    if (result != 0)
        goto close_loop;
    result = uv_poll_init(loop, &output->inner_poll, uv_backend_fd(&output->inner));
    if (result == 0)
        return 0;
    close_output_poll(output);
close_loop:
    uv_loop_close(&output->inner);
    return result;
}

void tcpm__runner_output_watch(struct tcpm__runner_output *output, uv_loop_t *loop)
{
    output->terminal = isatty(STDOUT_FILENO) != 0;
    if (!is_watchable(output->terminal) || init_polls(output, loop) != 0)
        return;
    output->watched = true;
    output->output_poll.data = output->inner_poll.data = output->grace.data = output;
    /* UV_DISCONNECT: errors and hang-ups only. */
    uv_poll_start(&output->output_poll, UV_DISCONNECT, on_output_event);
    uv_poll_start(&output->inner_poll, UV_READABLE, on_inner_event);
    uv_unref((uv_handle_t *) &output->inner_poll);
    uv_timer_init(loop, &output->grace);
    uv_timer_start(&output->grace, on_first_turn, 0, 0);
    uv_unref((uv_handle_t *) &output->grace);
}

void tcpm__runner_output_close(struct tcpm__runner_output *output)
{
    if (!output->watched)
        return;
    uv_close((uv_handle_t *) &output->inner_poll, NULL);
    uv_close((uv_handle_t *) &output->grace, NULL);
    close_output_poll(output);
    uv_loop_close(&output->inner);
    output->watched = false;
}
