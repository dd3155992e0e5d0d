/* SPDX-License-Identifier: MIT */
/* See plain.h. */
#include "plain.h"

#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

bool plain_is_known(void)
{
    if (uv_version() >> 8 == ((1 << 8) | 44))
        return true;
    print_message("# libuv %s: what plain libuv does was only looked at in 1.44\n",
                  uv_version_string());
    return false;
}

__attribute__((format(printf, 2, 3))) static void note(struct plain *plain, const char *format, ...)
{
    size_t length = strlen(plain->log);
    va_list arguments;

    if (length > 0 && length + 1 < sizeof plain->log)
        plain->log[length++] = ' ';
    va_start(arguments, format);
    vsnprintf(plain->log + length, sizeof plain->log - length, format, arguments);
    va_end(arguments);
}

static void on_closed(uv_handle_t *handle)
{
    struct plain *plain = handle->data;

    plain->closed = true;
    note(plain, "closed");
}

void plain_close(struct plain *plain)
{
    if (!uv_is_closing((uv_handle_t *) &plain->tcp))
        uv_close((uv_handle_t *) &plain->tcp, on_closed);
}

static void give_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct plain *plain = handle->data;

    (void) suggested;
    *buf = uv_buf_init(plain->buffer, sizeof plain->buffer);
}

static void on_read(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf)
{
    struct plain *plain = stream->data;

    if (nread > 0) {
        size_t room = sizeof plain->bytes - plain->length;
        size_t kept = (size_t) nread < room ? (size_t) nread : room;
        memcpy(plain->bytes + plain->length, buf->base, kept);
        plain->length += kept;
        note(plain, "read(%zd)", nread);
    } else if (nread < 0) {
        note(plain, "read(%s)", uv_err_name((int) nread));
        plain_close(plain);
    }
}

void plain_read(struct plain *plain, bool read)
{
    if (read)
        assert_int_equal(uv_read_start((uv_stream_t *) &plain->tcp, give_buffer, on_read), 0);
    else
        uv_read_stop((uv_stream_t *) &plain->tcp);
}

static void on_connect(uv_connect_t *request, int status)
{
    struct plain *plain = request->handle->data;

    note(plain, "connect(%s)", status == 0 ? "0" : uv_err_name(status));
    plain->open = status == 0;
    if (status == 0)
        uv_read_start(request->handle, give_buffer, on_read);
}

void plain_connect(struct plain *plain, uv_loop_t *loop, int port)
{
    struct sockaddr_in address;

    memset(plain, 0, sizeof *plain);
    assert_int_equal(uv_ip4_addr("127.0.0.1", port, &address), 0);
    assert_int_equal(uv_tcp_init(loop, &plain->tcp), 0);
    plain->tcp.data = plain;
    assert_int_equal(
        uv_tcp_connect(&plain->connect, &plain->tcp, (struct sockaddr *) &address, on_connect), 0);
}

static void on_written(uv_write_t *request, int status)
{
    note(request->handle->data, "write(%s)", status == 0 ? "0" : uv_err_name(status));
}

void plain_write(struct plain *plain, const char *text)
{
    uv_buf_t buf = uv_buf_init((char *) (uintptr_t) text, (unsigned) strlen(text));

    assert_int_equal(uv_write(&plain->write, (uv_stream_t *) &plain->tcp, &buf, 1, on_written), 0);
}

int in_child(void (*run)(void *argument), void *argument)
{
    int status = 0;

    fflush(stdout);
    fflush(stderr);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        dup2(STDERR_FILENO, STDOUT_FILENO); /* what it says is no part of the parent's report */
        alarm(HOST_PATIENCE);
        run(argument);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

void enlarge_buffer(int fd)
{
    static const int size = 4 << 20;

    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size), 0);
}

void wait_readable(int fd, int bytes)
{
    struct pollfd pollfd = {.fd = fd, .events = POLLIN | POLLRDHUP};

    for (int there = 0, turn = 0; turn < HOST_PATIENCE * 1000; turn++) {
        assert_true(poll(&pollfd, 1, HOST_PATIENCE * 1000) > 0);
        assert_int_equal(ioctl(fd, FIONREAD, &there), 0);
        if (there >= bytes || (pollfd.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0)
            return;
        usleep(1000);
    }
    fail_msg("%d bytes have not come", bytes);
}

void stall_ms(int milliseconds)
{
    struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000L};

    while (nanosleep(&time, &time) < 0)
        continue;
}
