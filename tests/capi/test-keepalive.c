/* SPDX-License-Identifier: MIT */
/*
 * keepalive: a peer that is gone without a word is an error after about twice the time, whether or
 * not output waits for it. What the kernel is told is looked at; and, in a network of its own where
 * packets can be dropped, what comes of it.
 */
#include "plain.h"

#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static int option_of(int fd, int level, int name)
{
    int value = -1;
    socklen_t size = sizeof value;

    assert_int_equal(getsockopt(fd, level, name, &value, &size), 0);
    return value;
}

static void check_options(struct track *track, enum event event)
{
    int seconds = *(int *) track->user;

    if (event != EVENT_SUCCESS)
        return;
    int interval = option_of(track->fd, IPPROTO_TCP, TCP_KEEPINTVL);
    int count = option_of(track->fd, IPPROTO_TCP, TCP_KEEPCNT);
    assert_int_equal(option_of(track->fd, SOL_SOCKET, SO_KEEPALIVE), 1);
    assert_int_equal(option_of(track->fd, IPPROTO_TCP, TCP_KEEPIDLE), seconds);
    assert_in_range(interval * count, (seconds + 1) / 2, seconds);
    assert_int_equal(option_of(track->fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 2000 * seconds);
}

static void test_probes_end_after_twice_the_time(void **state)
{
    static int seconds[] = {1, 2, 3, 4, 5, 7, 11, 60, 7200, 32767};

    (void) state;
    for (size_t i = 0; i < COUNT(seconds); i++) {
        struct host host;
        struct track track = {.hook = check_options, .user = &seconds[i]};
        struct tcpm_session_options options = {.keepalive_s = seconds[i]};
        host_open(&host, NULL);
        struct peer *peer = peer_start("close", NULL);
        track_connect(&track, track_session(&host, &options), peer_port(peer));
        host_run(&host);
        assert_log(&track, "initialize success error(read,EOF) disconnected(eof)");
        peer_stop(peer);
        host_close(&host);
    }
}

/* ---- a peer that is gone ---- */

enum { NO_NETWORK = 77 };

static void bring_up_loopback(void)
{
    struct ifreq request = {.ifr_flags = IFF_UP};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    snprintf(request.ifr_name, sizeof request.ifr_name, "lo");
    assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &request), 0);
    close(fd);
}

/* From here on nothing arrives. False: it cannot be done here. */
static bool drop_all(void)
{
    return system("nft 'add table inet t; add chain inet t c { type filter hook input priority 0; "
                  "policy drop; }' 2>/dev/null") == 0;
}

struct gone {
    bool sends; /* output waits for the peer */
    int64_t since_ns, ended_ns;
};

static void on_gone(struct track *track, enum event event)
{
    struct gone *gone = track->user;

    if (event == EVENT_ERROR)
        gone->ended_ns = tcpm_now_ns();
    if (event != EVENT_INPUT)
        return;
    if (!drop_all())
        _exit(NO_NETWORK);
    gone->since_ns = tcpm_now_ns();
    if (gone->sends)
        assert_int_equal(tcpm_send(track->session, track->id, "x", 1), 0);
}

static void lose_the_peer(void *argument)
{
    struct gone *gone = argument;
    struct host host;
    struct track track = {.hook = on_gone, .user = gone};
    struct tcpm_session_options options = {.keepalive_s = 1, .input_timeout_ms = TCPM_NONE};

    if (unshare(CLONE_NEWNET) != 0)
        _exit(NO_NETWORK);
    bring_up_loopback();
    host_open(&host, NULL);
    struct peer *peer = peer_start("send \"hello\\n\"; freeze", NULL);
    assert_non_null(peer);
    track_connect(&track, track_session(&host, &options), peer_port(peer));
    host_run(&host);
    assert_log(&track, "initialize success input(hello) error(read,ETIMEDOUT) disconnected(error)");
    assert_in_range((gone->ended_ns - gone->since_ns) / 1000000, 1800, 4500);
    _exit(0);
}

static void run_gone(struct gone gone)
{
    int status = in_child(lose_the_peer, &gone);

    if (status == NO_NETWORK)
        print_message("# no network where packets can be dropped is to be had: left out\n");
    else
        assert_int_equal(status, 0);
}

static void test_I33_a_dead_peer_is_found_while_all_is_silent(void **state)
{
    (void) state;
    run_gone((struct gone){.sends = false});
}

static void test_I33_a_dead_peer_is_found_while_output_waits(void **state)
{
    (void) state;
    run_gone((struct gone){.sends = true});
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_probes_end_after_twice_the_time),
    cmocka_unit_test(test_I33_a_dead_peer_is_found_while_all_is_silent),
    cmocka_unit_test(test_I33_a_dead_peer_is_found_while_output_waits),
};

RUN_TESTS(tests)
