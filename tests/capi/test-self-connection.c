/* SPDX-License-Identifier: MIT */
/*
 * A connection to oneself: where nobody listens the kernel may give a socket the port that it wants
 * to connect to, and connects it to itself. That is a refused connect, through whatever address it
 * came about; and the peer that is told is the address that the kernel has really connected to.
 */
#include "plain.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static int free_port(void)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_ANY_INIT};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET6, SOCK_STREAM, 0);

    assert_int_equal(bind(fd, (struct sockaddr *) &address, sizeof address), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *) &address, &size), 0);
    close(fd);
    return ntohs(address.sin6_port);
}

static void test_R14_it_is_refused_through_any_address(void **state)
{
    static const char *const rows[] = {"127.0.0.1", "0.0.0.0",          "::1",
                                       "::",        "::ffff:127.0.0.1", "::ffff:0.0.0.0"};

    (void) state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct host host;
        struct track track = {.hook = NULL};
        int port = free_port();
        host_open(&host, NULL);
        track_connect_with(
            &track, track_session(&host, NULL),
            (struct tcpm_connect_options){.address = rows[i], .port = port, .bind_port = port});
        host_run(&host);
        if (strcmp(track.log, "initialize failure(connect,ECONNREFUSED) disconnected(failure)") !=
            0)
            fail_msg("%s: %s", rows[i], track.log);
        assert_non_null(strstr(track.message, "to itself"));
        host_close(&host);
    }
}

/* ---- the peer ---- */

static void check_peer(struct track *track, enum event event)
{
    struct tcpm_endpoints ends = {.size = sizeof ends};
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    char text[64];

    if (event != EVENT_SUCCESS)
        return;
    assert_int_equal(getpeername(track->fd, (struct sockaddr *) &address, &size), 0);
    if (address.ss_family == AF_INET)
        inet_ntop(AF_INET, &((struct sockaddr_in *) &address)->sin_addr, text, sizeof text);
    else
        inet_ntop(AF_INET6, &((struct sockaddr_in6 *) &address)->sin6_addr, text, sizeof text);
    assert_int_equal(tcpm_endpoints_get(track->session, track->id, &ends), 0);
    assert_string_equal(track->addr, text);
    assert_string_equal(ends.peer, text);
    assert_int_equal(ends.peer_port, track->port);
}

static void test_the_peer_is_the_address_that_the_kernel_connected_to(void **state)
{
    static const struct {
        const char *listen, *target;
    } rows[] = {{"127.0.0.1", "127.0.0.1"},
                {"127.0.0.1", "0.0.0.0"},
                {"::1", "::1"},
                {"::1", "::"},
                {"::1", "[::]"},
                {"127.0.0.1", "::ffff:127.0.0.1"},
                {"127.0.0.1", "::ffff:0.0.0.0"}};

    (void) state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct host host;
        struct track track = {.hook = check_peer};
        host_open(&host, NULL);
        struct peer *peer = peer_start("close", &(struct peer_options){.address = rows[i].listen});
        assert_non_null(peer);
        track_connect_with(
            &track, track_session(&host, NULL),
            (struct tcpm_connect_options){.address = rows[i].target, .port = peer_port(peer)});
        host_run(&host);
        assert_log(&track, "initialize success error(read,EOF) disconnected(eof)");
        peer_stop(peer);
        host_close(&host);
    }
}

/* ---- the kernel's ports ---- */

enum { UNSHARE_FAILED = 77 };

static void write_range(const char *range)
{
    FILE *file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "w");

    assert_non_null(file);
    assert_true(fputs(range, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void bring_up_loopback(void)
{
    struct ifreq request = {.ifr_flags = IFF_UP};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    snprintf(request.ifr_name, sizeof request.ifr_name, "lo");
    assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &request), 0);
    close(fd);
}

static void connect_to_the_only_port(struct host *host, int port)
{
    struct track track = {.hook = NULL};

    track_connect(&track, track_session(host, NULL), port);
    host_run(host);
    assert_log(&track, "initialize failure(connect,ECONNREFUSED) disconnected(failure)");
    assert_non_null(strstr(track.message, "to itself"));
}

/* In a network of its own, where the range of ports is made so small that the kernel has no choice:
   first before the engine has looked at it, then when it has long done so. */
static void change_the_range(void *argument)
{
    struct host host;

    (void) argument;
    if (unshare(CLONE_NEWNET) != 0)
        _exit(UNSHARE_FAILED);
    bring_up_loopback();
    write_range("40000 41000");
    host_open(&host, NULL);
    write_range("20005 20005");
    connect_to_the_only_port(&host, 20005);
    stall_ms(50);
    write_range("30007 30007");
    connect_to_the_only_port(&host, 30007);
    host_close(&host);
    _exit(0);
}

static void test_the_range_of_ports_may_change(void **state)
{
    int status = in_child(change_the_range, NULL);

    (void) state;
    if (status == UNSHARE_FAILED)
        print_message("# no network of its own is to be had: left out\n");
    else
        assert_int_equal(status, 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_R14_it_is_refused_through_any_address),
    cmocka_unit_test(test_the_peer_is_the_address_that_the_kernel_connected_to),
    cmocka_unit_test(test_the_range_of_ports_may_change),
};

RUN_TESTS(tests)
