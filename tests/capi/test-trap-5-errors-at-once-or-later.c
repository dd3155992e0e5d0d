/* SPDX-License-Identifier: MIT */
/*
 * Trap 5: some errors of bind and connect libuv returns at once, others it delays: the caller must
 * expect both. Here: each is a failure event, later, after initialize. Where it may, the program
 * moves into a network namespace of its own, with routes that the kernel refuses at once.
 */
#include "namespace.h"

#include <sys/socket.h>

struct refusal {
    const char *address, *bind_address, *log;
    int bind_port;
};

static const char *const refused_log =
    "initialize failure(connect,ECONNREFUSED) disconnected(failure)";

static void check_refusal(const struct refusal *refusal, int port)
{
    struct host host;
    struct track track = {.hook = NULL};
    struct tcpm_connect_options target = {.address = refusal->address,
                                          .port = port,
                                          .bind_address = refusal->bind_address,
                                          .bind_port = refusal->bind_port};

    host_open(&host, NULL);
    track_connect_with(&track, track_session(&host, NULL), target);
    assert_log(&track, "initialize"); /* nothing else inside connect */
    host_run(&host);
    assert_log(&track, refusal->log);
    host_close(&host);
}

/* BEHAVIOUR L3, E2; FAULTS C01, C12, C13. */
static void test_E2_each_becomes_a_failure_later(void **state)
{
    (void) state;
    struct peer *refused = peer_start("", &(struct peer_options){.refuse = 1});
    struct peer *peer = peer_start("recv all", NULL);
    const struct refusal rows[] = {
        {"127.0.0.1", NULL, refused_log, 0},
        {"127.0.0.1", "203.0.113.9", "initialize failure(bind,EADDRNOTAVAIL) disconnected(failure)",
         0},
        {"127.0.0.1", "127.0.0.1", "initialize failure(bind,EADDRINUSE) disconnected(failure)",
         peer_port(peer)},
        {"127.0.0.1", "::1", "initialize failure(bind,EAFNOSUPPORT) disconnected(failure)", 0},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        check_refusal(&rows[i], peer_port(refused));
    peer_stop(peer);
    peer_stop(refused);
}

/* BEHAVIOUR R14, FAULTS C09: the kernel connects it to itself, and nobody else is there. */
static void test_R14_a_connection_to_itself_is_refused(void **state)
{
    struct host *host = *state;
    struct track track = {.hook = NULL};

    struct tcpm_session *session = track_session(host, NULL);
    int attempts = 0;
    do { /* somebody else may take the port before we do */
        struct peer *holder = peer_start("", &(struct peer_options){.refuse = 1});
        int port = peer_port(holder);
        peer_stop(holder);
        track = (struct track){.hook = NULL};
        track_connect_with(&track, session,
                           (struct tcpm_connect_options){
                               .port = port, .bind_address = "127.0.0.1", .bind_port = port});
        host_run(host);
    } while (track.code == -EADDRINUSE && ++attempts < 50);
    assert_log(&track, refused_log);
    assert_non_null(strstr(track.message, "itself"));
    host_close(host);
}

struct many {
    struct track tracks[50];
    int initialized;
};

/* FAULTS C22: what fails at once cannot recurse. */
static void try_again(struct track *track, enum event event)
{
    struct many *many = track->user;

    if (event == EVENT_INITIALIZE)
        many->initialized++;
    if (event != EVENT_DISCONNECTED || many->initialized == COUNT(many->tracks))
        return;
    struct track *next = &many->tracks[many->initialized];
    next->hook = try_again;
    next->user = many;
    track_connect_with(next, track->session,
                       (struct tcpm_connect_options){.port = 1, .bind_address = "203.0.113.9"});
    assert_log(next, "initialize");
}

static void test_C22_failing_again_and_again_does_not_nest(void **state)
{
    struct host *host = *state;
    struct many many = {.initialized = 0};

    many.tracks[0].hook = try_again;
    many.tracks[0].user = &many;
    track_connect_with(&many.tracks[0], track_session(host, NULL),
                       (struct tcpm_connect_options){.port = 1, .bind_address = "203.0.113.9"});
    host_run(host);
    for (size_t i = 0; i < COUNT(many.tracks); i++)
        assert_log(&many.tracks[i], "initialize failure(bind,EADDRNOTAVAIL) disconnected(failure)");
    host_close(host);
}

/* ---- in a namespace of its own ---- */

static void refuse_in_namespace(void *argument)
{
    static const struct refusal rows[] = {
        {"198.51.100.1", NULL, "initialize failure(connect,EHOSTUNREACH) disconnected(failure)", 0},
        {"198.51.100.2", NULL, "initialize failure(connect,EACCES) disconnected(failure)", 0},
        {"198.51.100.3", NULL, "initialize failure(connect,EINVAL) disconnected(failure)", 0},
        {"203.0.113.1", NULL, "initialize failure(connect,ENETUNREACH) disconnected(failure)", 0},
        {"2001:db8::1", NULL, "initialize failure(connect,ENETUNREACH) disconnected(failure)", 0},
    };

    (void) argument;
    namespace_run("ip route add unreachable 198.51.100.1");
    namespace_run("ip route add prohibit 198.51.100.2");
    namespace_run("ip route add blackhole 198.51.100.3");
    for (size_t i = 0; i < COUNT(rows); i++)
        check_refusal(&rows[i], 80);
}

static void test_C05_errors_that_the_kernel_reports_at_once(void **state)
{
    (void) state;
    in_namespace(refuse_in_namespace, NULL);
}

struct ports {
    struct track tracks[8];
    unsigned open, failed;
};

static bool all_decided(void *argument)
{
    struct ports *ports = argument;

    ports->open = ports->failed = 0;
    for (size_t i = 0; i < COUNT(ports->tracks); i++) {
        ports->open += ports->tracks[i].count[EVENT_SUCCESS];
        ports->failed += ports->tracks[i].count[EVENT_FAILURE];
    }
    return ports->open + ports->failed == COUNT(ports->tracks);
}

/* FAULTS C08: four ports for eight connections. */
static void use_up_ports(void *argument)
{
    struct host host;
    struct ports ports = {.open = 0};

    (void) argument;
    namespace_set("/proc/sys/net/ipv4/ip_local_port_range", "42000 42003");
    host_open(&host, NULL);
    struct peer *peer = peer_start("recv all", &(struct peer_options){.port = 9000});
    struct tcpm_session *session = track_session(&host, NULL);
    for (size_t i = 0; i < COUNT(ports.tracks); i++)
        track_connect(&ports.tracks[i], session, peer_port(peer));
    host_run_until(&host, all_decided, &ports);
    for (size_t i = 0; i < COUNT(ports.tracks); i++)
        if (ports.tracks[i].count[EVENT_FAILURE] > 0)
            assert_string_equal(tcpm_error_name(ports.tracks[i].code), "EADDRNOTAVAIL");
        else
            assert_int_equal(tcpm_reset(session, ports.tracks[i].id), 0);
    host_run(&host);
    peer_stop(peer);
    host_close(&host);
    if (ports.open != 4 || ports.failed != 4)
        fail_msg("%u open, %u failed", ports.open, ports.failed);
}

static void test_C08_no_port_left(void **state)
{
    (void) state;
    in_namespace(use_up_ports, NULL);
}

/* ---- plain ---- */

static void on_status(uv_connect_t *request, int status)
{
    *(int *) request->data = status;
}

/* bind_address "" is none; what connect returned, and what its callback got later. */
static void connect_plain(uv_loop_t *loop, const char *bind_address, int bind_port,
                          const char *address, int *at_once, int *later)
{
    uv_tcp_t tcp;
    uv_connect_t request = {.data = later};
    struct sockaddr_in to;

    *at_once = *later = 0;
    assert_int_equal(uv_tcp_init(loop, &tcp), 0);
    if (bind_address[0] != '\0') {
        struct sockaddr_in from;
        assert_int_equal(uv_ip4_addr(bind_address, bind_port, &from), 0);
        *at_once = uv_tcp_bind(&tcp, (struct sockaddr *) &from, 0);
    }
    assert_int_equal(uv_ip4_addr(address, 80, &to), 0);
    if (*at_once == 0)
        *at_once = uv_tcp_connect(&request, &tcp, (struct sockaddr *) &to, on_status);
    if (*at_once == 0)
        while (*later == 0)
            uv_run(loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *) &tcp, NULL);
    uv_run(loop, UV_RUN_DEFAULT);
}

static void test_plain_libuv_does_it_both_ways(void **state)
{
    struct host host;
    int at_once = 0, later = 0;

    (void) state;
    host_loop_open(&host);
    struct peer *peer = peer_start("recv all", NULL);
    connect_plain(&host.loop, "203.0.113.9", 0, "127.0.0.1", &at_once, &later);
    if (plain_is_known()) {
        assert_int_equal(at_once, UV_EADDRNOTAVAIL);
        connect_plain(&host.loop, "127.0.0.1", peer_port(peer), "127.0.0.1", &at_once, &later);
        assert_int_equal(at_once, 0);
        assert_int_equal(later, UV_EADDRINUSE);
    }
    peer_stop(peer);
    host_loop_close(&host);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_E2_each_becomes_a_failure_later),
    HOST_TEST(test_R14_a_connection_to_itself_is_refused),
    HOST_TEST(test_C22_failing_again_and_again_does_not_nest),
    cmocka_unit_test(test_C05_errors_that_the_kernel_reports_at_once),
    cmocka_unit_test(test_C08_no_port_left),
    cmocka_unit_test(test_plain_libuv_does_it_both_ways),
};

RUN_TESTS(tests)
