/* SPDX-License-Identifier: MIT */
/*
 * Two sources and two ports carry more connections than one of either could: 40,200 stand at once,
 * of three processes to three servers, in a network namespace of their own.
 */
#include "crowd.h"
#include "namespace.h"

#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "wire.h"

enum {
    PROCESSES = 3,
    EACH = 13400, /* connections of a process; a pair of source and port has 28,232 */
    BATCH = 200,
    FIRST_PORT = 9001, /* the namespace has no others */
    PORTS = 2,
    PATIENCE = 150,
};

/* What the children say, and how they are told to end: both are pipes. */
struct round {
    int said[2], told[2];
};

static void start_child(void (*run)(const struct round *round), const struct round *round)
{
    pid_t child = fork();

    assert_true(child >= 0);
    if (child > 0)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(round->told[1]); /* or this child would never hear the end of it */
    run(round);
    _exit(0);
}

/* Says that this child has come so far, and gives up its end of the pipe, so that the silence of
   another that fails is heard. The number of descriptors stays, as a host compares it. */
static void say(const struct round *round)
{
    assert_int_equal(write(round->said[1], "x", 1), 1);
    assert_int_equal(dup2(round->told[0], round->said[1]), round->said[1]);
}

/* Waits until all others have come so far. */
static void meet(const struct round *round)
{
    char nothing;

    say(round);
    assert_int_equal(read(round->told[0], &nothing, 1), 0);
}

/* ---- servers ---- */

/* Each server has a listener of its own for each port; the kernel deals out the connections. */
static int listen_at(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t) port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;

    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on), 0);
    assert_int_equal(bind(fd, (struct sockaddr *) &address, sizeof address), 0);
    assert_int_equal(listen(fd, PROCESSES * BATCH), 0);
    return fd;
}

static void accept_all(int listener)
{
    struct wire wire;

    for (int fd; (fd = accept(listener, NULL, NULL)) >= 0;)
        wire_open(&wire, fd);
    assert_int_equal(errno, EAGAIN);
}

/* Accepts until the test ends; its end closes all sockets. */
static void serve(const struct round *round)
{
    struct pollfd fds[PORTS + 1] = {{.fd = round->told[0], .events = POLLIN}};

    for (int i = 0; i < PORTS; i++)
        fds[1 + i] = (struct pollfd){.fd = listen_at(FIRST_PORT + i), .events = POLLIN};
    say(round);
    while (fds[0].revents == 0) {
        assert_true(poll(fds, COUNT(fds), PATIENCE * 1000) > 0);
        for (int i = 1; i <= PORTS; i++)
            accept_all(fds[i].fd);
    }
}

/* ---- clients ---- */

static void connect_all(const struct round *round)
{
    struct tcpm_session_options options = {.bind_address = "127.0.0.2,127.0.0.3"};
    struct crowd crowd;
    struct host host;

    host_open(&host, NULL);
    crowd_open(&crowd, &host, options, EACH);
    while (crowd.started < EACH)
        crowd_gather(&crowd, BATCH, "127.0.0.1",
                     FIRST_PORT + (int) (crowd.started / BATCH) % PORTS);
    if (crowd.open != EACH)
        fail_msg("%zu of %d are open: %s", crowd.open, EACH, crowd.message);
    assert_int_equal(crowd_count(&crowd, "127.0.0.2"), EACH / 2);
    meet(round);
    crowd_close(&crowd);
    host_close(&host);
}

/* ---- both ---- */

static void await(const struct round *round, int children)
{
    char nothing;

    for (int i = 0; i < children; i++)
        assert_int_equal(read(round->said[0], &nothing, 1), 1);
}

/* TCP sockets of this namespace. */
static int count_sockets(void)
{
    FILE *file = fopen("/proc/net/sockstat", "r");
    char line[200];
    int count = -1;

    assert_non_null(file);
    while (count < 0 && fgets(line, sizeof line, file) != NULL)
        sscanf(line, "TCP: inuse %d", &count);
    fclose(file);
    return count;
}

static void stand_together(void *argument)
{
    struct round round;

    (void) argument;
    alarm(PATIENCE);
    namespace_set("/proc/sys/net/ipv4/ip_local_port_range", "32768 60999");
    assert_int_equal(pipe(round.said), 0);
    assert_int_equal(pipe(round.told), 0);
    for (int i = 0; i < PROCESSES; i++)
        start_child(serve, &round);
    await(&round, PROCESSES);
    for (int i = 0; i < PROCESSES; i++)
        start_child(connect_all, &round);
    close(round.said[1]);
    await(&round, PROCESSES);
    assert_in_range(count_sockets(), 2 * PROCESSES * EACH, 2 * PROCESSES * EACH + 100);
    close(round.told[1]);
    for (int i = 0; i < 2 * PROCESSES; i++) {
        int status;

        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
}

static void test_P33_two_sources_and_two_ports_carry_40200(void **state)
{
    struct rlimit limit;

    (void) state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_max < EACH + EACH / 5) {
        print_message("# left out: it takes 16,000 descriptors in a process\n");
        return;
    }
    limit.rlim_cur = limit.rlim_max < 20000 ? limit.rlim_max : 20000;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    in_namespace(stand_together, NULL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_P33_two_sources_and_two_ports_carry_40200),
};

RUN_TESTS(tests)
