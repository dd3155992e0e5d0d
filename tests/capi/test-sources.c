/* SPDX-License-Identifier: MIT */
/*
 * Local addresses and interfaces: which address of a list or range a connection gets, and what is
 * told when there is none. The functions setsockopt and connect are defined here, so that the
 * library's calls can be seen, and refused as other kernels would. What needs routes or a small
 * range of ports has a network namespace of its own.
 */
#include "crowd.h"
#include "namespace.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "swarm.h"

#define PORT_RANGE "/proc/sys/net/ipv4/ip_local_port_range"

/* ---- what the library asks the kernel ---- */

struct plan {
    int option;          /* of setsockopt, which fails */
    int error;           /* with this errno; 0: it does not */
    unsigned asked;      /* how often it was asked for */
    unsigned full_pairs; /* connects that found no port */
};

static struct plan *plan(void)
{
    static struct plan only;

    return &only;
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
    if (name == plan()->option && level != IPPROTO_TCP) {
        plan()->asked++;
        if (plan()->error != 0) {
            errno = plan()->error;
            return -1;
        }
    }
    return (int) syscall(SYS_setsockopt, fd, level, name, value, size);
}

int connect(int fd, const struct sockaddr *address, socklen_t size)
{
    int result = (int) syscall(SYS_connect, fd, address, size);

    plan()->full_pairs += result < 0 && errno == EADDRNOTAVAIL;
    return result;
}

/* A connection from a local address, port and interface; gives what has happened. */
static void run_from(struct host *host, struct track *track, struct tcpm_connect_options options)
{
    track_connect_with(track, track_session(host, NULL), options);
    host_run_until(host, track_ended, track);
}

static const char *const success_log = "initialize success error(read,EOF) disconnected(eof)";

/* ---- lists and ranges ---- */

static void test_P34_three_addresses_share_300_connections(void **state)
{
    struct host *host = *state;
    struct swarm *swarm = swarm_start("discard", 1, 300);
    struct crowd crowd;

    assert_non_null(swarm);
    crowd_open(&crowd, host,
               (struct tcpm_session_options){.bind_address = "127.0.0.2,127.0.0.3,127.0.0.4"}, 320);
    crowd_gather(&crowd, 300, "127.0.0.1", swarm_port(swarm));
    assert_int_equal(crowd_count(&crowd, "127.0.0.2"), 100);
    assert_int_equal(crowd_count(&crowd, "127.0.0.3"), 100);
    assert_int_equal(crowd_count(&crowd, "127.0.0.4"), 100);
    for (size_t i = 0; i < 20; i++) { /* each of them has the same address */
        crowd_end_member(&crowd, &crowd.members[3 * i]);
        crowd_gather(&crowd, 1, "127.0.0.1", swarm_port(swarm));
        assert_string_equal(crowd.members[300 + i].local, crowd.members[0].local);
    }
    crowd_close(&crowd);
    swarm_stop(swarm);
    host_close(host);
}

/* Ends all members with a local address. */
static void end_all(struct crowd *crowd, const char *local)
{
    for (size_t i = 0; i < crowd->started; i++)
        if (crowd->members[i].state == MEMBER_OPEN && strcmp(crowd->members[i].local, local) == 0)
            crowd_end_member(crowd, &crowd->members[i]);
}

/* A connection that fails has its address only as long as it takes: it is the unused one each time,
   and that stays unused. */
static void test_P34_failures_give_their_address_back(void **state)
{
    struct host *host = *state;
    struct peer *refused = host_peer(host, "", &(struct peer_options){.refuse = 1});
    struct swarm *swarm = swarm_start("discard", 1, 300);
    struct crowd crowd;

    assert_non_null(swarm);
    crowd_open(&crowd, host, (struct tcpm_session_options){.bind_address = "127.0.0.2,127.0.0.3"},
               120);
    crowd_gather(&crowd, 40, "127.0.0.1", swarm_port(swarm));
    end_all(&crowd, "127.0.0.3");
    for (int i = 0; i < 30; i++)
        crowd_gather(&crowd, 1, "127.0.0.1", peer_port(refused));
    assert_int_equal(crowd.failed, 30);
    crowd_gather(&crowd, 20, "127.0.0.1", swarm_port(swarm));
    assert_int_equal(crowd_count(&crowd, "127.0.0.2"), 20);
    assert_int_equal(crowd_count(&crowd, "127.0.0.3"), 20);
    crowd_close(&crowd);
    swarm_stop(swarm);
    host_close(host);
}

/* The largest number of members with one local address, and how many addresses there are. */
static size_t find_most(const struct crowd *crowd, size_t *different)
{
    size_t most = 0;

    *different = 0;
    for (size_t i = 0; i < crowd->started; i++) {
        size_t same = 0, before = 0;

        for (size_t k = 0; k < crowd->started; k++) {
            bool is_same = strcmp(crowd->members[i].local, crowd->members[k].local) == 0;

            same += is_same;
            before += is_same && k < i;
        }
        *different += before == 0;
        most = same > most ? same : most;
    }
    return most;
}

/* Asserts that connections from a range all stand, and gives the most of one address. */
static size_t gather_from(struct host *host, const char *range, const char *target, int port,
                          size_t count, size_t *different)
{
    struct crowd crowd;

    crowd_open(&crowd, host, (struct tcpm_session_options){.bind_address = range}, count);
    crowd_gather(&crowd, count, target, port);
    if (crowd.open != count)
        fail_msg("%zu of %zu are open, %s", crowd.open, count, crowd.message);
    size_t most = find_most(&crowd, different);
    crowd_close(&crowd);
    return most;
}

static void test_P35_a_range_is_used_evenly(void **state)
{
    struct host *host = *state;
    struct swarm *swarm = swarm_start("discard", 1, 1000);
    size_t different;

    assert_non_null(swarm);
    int port = swarm_port(swarm);
    assert_int_equal(gather_from(host, "127.0.1.0/24", "127.0.0.1", port, 254, &different), 1);
    assert_int_equal(different, 254);
    assert_int_equal(gather_from(host, "127.0.1.0/24", "127.0.0.1", port, 508, &different), 2);
    assert_in_range(gather_from(host, "127.1.0.0/16", "127.0.0.1", port, 1000, &different), 1, 3);
    assert_true(different > 900);
    swarm_stop(swarm);
    host_close(host);
}

/* A network of 2^64 addresses, of which the machine has none: the kernel has a route to itself. */
static void use_inet6_network(void *argument)
{
    struct host host;
    size_t different;

    (void) argument;
    namespace_run("ip -6 route add local 2001:db8:1::/64 dev lo");
    namespace_run("ip -6 address add 2001:db8:2::1/128 dev lo nodad");
    host_open(&host, NULL);
    struct peer *peer = host_peer(
        &host, "recv all", &(struct peer_options){.address = "2001:db8:2::1", .backlog = 200});
    gather_from(&host, "2001:db8:1::/64", "2001:db8:2::1", peer_port(peer), 100, &different);
    assert_int_equal(different, 100);
    host_close(&host);
}

static void test_P35_an_inet6_network_behind_a_local_route(void **state)
{
    (void) state;
    in_namespace(use_inet6_network, NULL);
}

static void test_P36_addresses_of_the_other_family_are_left_out(void **state)
{
    struct host *host = *state;
    struct track tracks[4] = {{.hook = NULL}};
    struct peer *four, *six;

    peers_of_both_families("close", &four, &six);
    int port = peer_port(four);
    run_from(host, &tracks[0],
             (struct tcpm_connect_options){.port = port, .bind_address = "::1,127.0.0.3"});
    assert_log(&tracks[0], success_log);
    run_from(host, &tracks[1],
             (struct tcpm_connect_options){
                 .address = "::1", .port = port, .bind_address = "127.0.0.3,::1"});
    assert_log(&tracks[1], success_log);
    run_from(host, &tracks[2],
             (struct tcpm_connect_options){.port = port, .bind_address = "::1,2001:db8::/64"});
    assert_log(&tracks[2], "initialize failure(bind,EAFNOSUPPORT) disconnected(failure)");
    run_from(host, &tracks[3],
             (struct tcpm_connect_options){
                 .address = "::1", .port = port, .bind_address = "127.0.0.0/24"});
    assert_log(&tracks[3], "initialize failure(bind,EAFNOSUPPORT) disconnected(failure)");
    peer_stop(four);
    peer_stop(six);
    host_close(host);
}

static void test_P37_an_address_that_is_not_ours_is_named(void **state)
{
    struct host *host = *state;
    struct swarm *swarm = swarm_start("discard", 1, 10);
    struct crowd crowd;

    assert_non_null(swarm);
    crowd_open(&crowd, host, (struct tcpm_session_options){.bind_address = "127.0.0.2,203.0.113.9"},
               2);
    crowd_gather(&crowd, 2, "127.0.0.1", swarm_port(swarm));
    assert_int_equal(crowd.failed, 1);
    assert_int_equal(crowd.op, TCPM_OP_BIND);
    assert_string_equal(tcpm_error_name(crowd.code), "EADDRNOTAVAIL");
    assert_non_null(strstr(crowd.message, "203.0.113.9"));
    assert_int_equal(crowd_count(&crowd, "127.0.0.2"), 1);
    crowd_close(&crowd);
    swarm_stop(swarm);
    host_close(host);
}

/* ---- no port left ---- */

/* Asserts that a connect finds no port between two addresses. */
static void check_full(struct crowd *crowd, int port)
{
    size_t failed = crowd->failed;

    crowd_gather(crowd, 1, "127.0.0.1", port);
    assert_int_equal(crowd->failed, failed + 1);
    assert_int_equal(crowd->op, TCPM_OP_CONNECT);
    assert_string_equal(tcpm_error_name(crowd->code), "EADDRNOTAVAIL");
    if (strstr(crowd->message, "no port left from 127.0.0.2 to 127.0.0.1") == NULL)
        fail_msg("%s", crowd->message);
}

static void use_up_1000_ports(void *argument)
{
    struct swarm *swarms[2] = {swarm_start("discard", 1, 1000), swarm_start("discard", 1, 1000)};
    struct tcpm_session_options one = {.bind_address = "127.0.0.2"},
                                two = {.bind_address = "127.0.0.2,127.0.0.3"};
    struct crowd crowd, other;
    struct host host;

    (void) argument;
    assert_true(swarms[0] != NULL && swarms[1] != NULL);
    namespace_set(PORT_RANGE, "20000 20999");
    host_open(&host, NULL);
    crowd_open(&crowd, &host, one, 2002);
    for (int i = 0; i < 2; i++)
        crowd_gather(&crowd, 1000, "127.0.0.1", swarm_port(swarms[i]));
    assert_int_equal(crowd.open, 2000);
    for (int i = 0; i < 2; i++)
        check_full(&crowd, swarm_port(swarms[i]));
    crowd_open(&other, &host, two, 10);
    crowd_gather(&other, 10, "127.0.0.1", swarm_port(swarms[0]));
    assert_int_equal(crowd_count(&other, "127.0.0.3"), 10);
    crowd_close(&other);
    crowd_close(&crowd);
    for (int i = 0; i < 2; i++)
        swarm_stop(swarms[i]);
    host_close(&host);
}

static void test_P38_a_port_serves_every_pair_once(void **state)
{
    (void) state;
    in_namespace(use_up_1000_ports, NULL);
}

enum { PORTS = 4, CONNECTS = 10000 };

/* One connect of the first of them asks the kernel, and after a second one more. */
static void try_10000_times(void *argument)
{
    struct swarm *swarm = swarm_start("discard", 1, 100);
    struct crowd crowd;
    struct host host;

    (void) argument;
    assert_non_null(swarm);
    namespace_set(PORT_RANGE, "20000 20003");
    host_open(&host, NULL);
    crowd_open(&crowd, &host, (struct tcpm_session_options){.bind_address = "127.0.0.2"},
               PORTS + CONNECTS + 1);
    crowd_gather(&crowd, PORTS, "127.0.0.1", swarm_port(swarm));
    assert_int_equal(crowd.open, PORTS);
    int64_t began_ns = tcpm_now_ns();
    crowd_gather(&crowd, CONNECTS, "127.0.0.1", swarm_port(swarm));
    int64_t seconds = (tcpm_now_ns() - began_ns) / 1000000000;
    assert_int_equal(crowd.failed, CONNECTS);
    assert_in_range(plan()->full_pairs, 1, 1 + seconds);
    unsigned before = plan()->full_pairs;
    stall_ms(1100);
    check_full(&crowd, swarm_port(swarm));
    assert_int_equal(plan()->full_pairs, before + 1);
    crowd_close(&crowd);
    swarm_stop(swarm);
    host_close(&host);
}

static void test_P39_a_full_pair_is_remembered_for_a_second(void **state)
{
    (void) state;
    in_namespace(try_10000_times, NULL);
}

/* ---- ports and interfaces ---- */

static void test_P41_a_port_of_the_callers_is_bound_at_once(void **state)
{
    struct host *host = *state;
    struct peer *peer = host_peer(host, "close", NULL);
    struct peer *holder = host_peer(host, "", &(struct peer_options){.address = "127.0.0.2"});
    struct tcpm_connect_options options = {.port = peer_port(peer), .bind_address = "127.0.0.2"};
    struct track tracks[4] = {{.hook = NULL}};

    *plan() = (struct plan){.option = IP_BIND_ADDRESS_NO_PORT};
    run_from(host, &tracks[0], options);
    assert_log(&tracks[0], success_log);
    assert_int_equal(plan()->asked, 1);
    options.bind_port = peer_port(holder);
    run_from(host, &tracks[1], options);
    assert_log(&tracks[1], "initialize failure(bind,EADDRINUSE) disconnected(failure)");
    options.bind_address = NULL;
    run_from(host, &tracks[2], options);
    assert_log(&tracks[2], "initialize failure(bind,EADDRINUSE) disconnected(failure)");
    options.bind_address = "127.0.0.3,127.0.0.4";
    run_from(host, &tracks[3], options);
    assert_log(&tracks[3], success_log);
    assert_int_equal(plan()->asked, 1);
    *plan() = (struct plan){.option = 0};
    host_close(host);
}

/* Its kernel is one from before 4.2. */
static void test_P41_a_kernel_without_late_ports_is_no_error(void **state)
{
    struct host *host = *state;
    struct peer *peer = host_peer(host, "close", NULL);
    struct track track = {.hook = NULL};

    *plan() = (struct plan){.option = IP_BIND_ADDRESS_NO_PORT, .error = ENOPROTOOPT};
    run_from(host, &track,
             (struct tcpm_connect_options){.port = peer_port(peer), .bind_address = "127.0.0.2"});
    assert_int_equal(plan()->asked, 1);
    *plan() = (struct plan){.option = 0};
    assert_log(&track, success_log);
    host_close(host);
}

static void test_P42_sockets_stay_on_an_interface(void **state)
{
    struct host *host = *state;
    struct peer *peer = host_peer(host, "close", NULL);
    struct tcpm_connect_options options = {.port = peer_port(peer), .bind_device = "lo"};
    struct track tracks[3] = {{.hook = NULL}};

    *plan() = (struct plan){.option = SO_BINDTODEVICE};
    run_from(host, &tracks[0], options);
    assert_log(&tracks[0], success_log);
    assert_int_equal(plan()->asked, 1);
    options.bind_device = "nosuch0";
    run_from(host, &tracks[1], options);
    assert_log(&tracks[1], "initialize failure(socket,ENODEV) disconnected(failure)");
    plan()->error = EPERM;
    options.bind_device = "lo";
    run_from(host, &tracks[2], options);
    assert_log(&tracks[2], "initialize failure(socket,EPERM) disconnected(failure)");
    assert_int_equal(plan()->asked, 3);
    *plan() = (struct plan){.option = 0};
    host_close(host);
}

static const struct CMUnitTest tests[] = {
    HOST_TEST(test_P34_three_addresses_share_300_connections),
    HOST_TEST(test_P34_failures_give_their_address_back),
    HOST_TEST(test_P35_a_range_is_used_evenly),
    cmocka_unit_test(test_P35_an_inet6_network_behind_a_local_route),
    HOST_TEST(test_P36_addresses_of_the_other_family_are_left_out),
    HOST_TEST(test_P37_an_address_that_is_not_ours_is_named),
    cmocka_unit_test(test_P38_a_port_serves_every_pair_once),
    cmocka_unit_test(test_P39_a_full_pair_is_remembered_for_a_second),
    HOST_TEST(test_P41_a_port_of_the_callers_is_bound_at_once),
    HOST_TEST(test_P41_a_kernel_without_late_ports_is_no_error),
    HOST_TEST(test_P42_sockets_stay_on_an_interface),
};

RUN_TESTS(tests)
