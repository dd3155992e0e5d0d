/* SPDX-License-Identifier: MIT */
/*
 * When a flush is over: FIN goes out behind the queue whatever still comes in, the looks at what is
 * not acknowledged come less and less often, none of them closes over input, and no call is spent
 * where the socket can be closed at once. The calls are counted by functions of this program, which
 * take the place of the C library's for the built library too.
 */
#include "plain.h"

#include <netinet/in.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

/* ---- calls ---- */

static _Thread_local unsigned looks, fins, reads;

int ioctl(int fd, unsigned long request, ...)
{
    va_list arguments;

    va_start(arguments, request);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    looks += request == TIOCOUTQ; /* SIOCOUTQ */
    return (int) syscall(SYS_ioctl, fd, request, argument);
}

int shutdown(int fd, int how)
{
    fins++;
    return (int) syscall(SYS_shutdown, fd, how);
}

ssize_t recv(int fd, void *buffer, size_t length, int flags)
{
    reads++;
    return syscall(SYS_recvfrom, fd, buffer, length, flags, NULL, NULL);
}

static void forget_calls(void)
{
    looks = fins = reads = 0;
}

/* ---- a peer that never stops sending ---- */

struct flood {
    pthread_t thread;
    int listener, port;
    double limit; /* seconds in which nothing but the end of the client stops it */
    size_t received;
    bool fin_seen; /* while it was sending */
};

static double now_s(void)
{
    return (double) tcpm_now_ns() / 1e9;
}

static void *flood(void *argument)
{
    static const char bytes[65536];
    struct flood *flood = argument;
    double until = now_s() + flood->limit;
    char buffer[100];
    int fd = accept(flood->listener, NULL, NULL);

    while (now_s() < until && send(fd, bytes, sizeof bytes, MSG_NOSIGNAL) > 0) {
        ssize_t length = flood->fin_seen ? -1 : recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
        flood->received += length > 0 ? (size_t) length : 0;
        flood->fin_seen |= length == 0;
    }
    close(fd);
    return NULL;
}

static void flood_start(struct flood *flood_, double limit)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;

    *flood_ = (struct flood){.limit = limit};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    flood_->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(flood_->listener, (struct sockaddr *) &address, sizeof address), 0);
    assert_int_equal(listen(flood_->listener, 1), 0);
    getsockname(flood_->listener, (struct sockaddr *) &address, &size);
    flood_->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&flood_->thread, NULL, flood, flood_), 0);
}

static void flood_stop(struct flood *flood)
{
    pthread_join(flood->thread, NULL);
    close(flood->listener);
}

static void say_and(struct track *track, int (*end)(struct track *track))
{
    assert_int_equal(tcpm_send(track->session, track->id, "enough", 6), 0);
    assert_int_equal(end(track), 0);
}

static int shut(struct track *track)
{
    return tcpm_shutdown(track->session, track->id);
}

static int die(struct track *track)
{
    return tcpm_die(track->session);
}

static void shut_when_flooded(struct track *track, enum event event)
{
    if (event == EVENT_SUCCESS)
        enlarge_buffer(track->fd);
    if (event == EVENT_INPUT && track->received > 1000000)
        say_and(track, shut);
}

static void die_when_flooded(struct track *track, enum event event)
{
    if (event == EVENT_SUCCESS)
        enlarge_buffer(track->fd);
    if (event == EVENT_INPUT && track->received > 1000000)
        say_and(track, die);
}

/* Each turn of the loop is so long that more comes in than it may read. */
static void on_check(uv_check_t *check)
{
    (void) check;
    stall_ms(2);
}

/* The peer hears of it while it sends, has all that was promised, and the end is no timeout. */
static void run_flood(void (*hook)(struct track *track, enum event event), const char *end)
{
    struct host host;
    struct track track = {.hook = hook};
    struct flood flood;
    uv_check_t check;

    host_open(&host, NULL);
    uv_check_init(&host.loop, &check);
    uv_check_start(&check, on_check);
    uv_unref((uv_handle_t *) &check);
    flood_start(&flood, 20);
    track_connect(&track,
                  stream_session(&host, (struct tcpm_session_options){.shutdown_timeout_ms = 400}),
                  flood.port);
    host_run(&host);
    flood_stop(&flood);
    assert_non_null(strstr(track.log, end));
    assert_int_equal(track.count[EVENT_TIMEOUT] + track.count[EVENT_ERROR], 0);
    assert_int_equal(flood.received, 6);
    assert_true(flood.fin_seen);
    uv_close((uv_handle_t *) &check, NULL);
    host_close(&host);
}

static void test_a_peer_that_never_stops_sending_gets_the_fin(void **state)
{
    (void) state;
    run_flood(shut_when_flooded, "disconnected(shutdown)");
    run_flood(die_when_flooded, "disconnected(die)");
}

/* ---- looks ---- */

static void send_much_and_shut(struct track *track, enum event event)
{
    static char bytes[60000];

    if (event != EVENT_SUCCESS)
        return;
    assert_int_equal(tcpm_send(track->session, track->id, bytes, sizeof bytes), 0);
    assert_int_equal(tcpm_shutdown(track->session, track->id), 0);
}

/* A connection whose flush has begun: the peer has a small buffer, and does not read yet. */
static struct peer *begin_linger(struct host *host, struct track *track, const char *program)
{
    host_open(host, NULL);
    struct peer *peer = peer_start(program, &(struct peer_options){.rcvbuf = 4096});
    assert_non_null(peer);
    track->hook = send_much_and_shut;
    track_connect(track, stream_session(host, (struct tcpm_session_options){0}), peer_port(peer));
    host_run_until(host, track_open, track);
    forget_calls();
    return peer;
}

static void on_closed(uv_handle_t *handle)
{
    *(bool *) handle->data = true;
}

static void on_timer(uv_timer_t *timer)
{
    uv_close((uv_handle_t *) timer, on_closed);
}

static bool is_true(void *argument)
{
    return *(bool *) argument;
}

static void run_for(struct host *host, uint64_t ms)
{
    uv_timer_t timer;
    bool over = false;

    uv_timer_init(&host->loop, &timer);
    timer.data = &over;
    uv_timer_start(&timer, on_timer, ms, 0);
    host_run_until(host, is_true, &over);
}

static void test_looks_at_a_silent_peer_become_rare(void **state)
{
    struct host host;
    struct track track = {.hook = NULL};

    (void) state;
    struct peer *peer = begin_linger(&host, &track, "wait go; count");
    run_for(&host, 1500);
    assert_in_range(looks, 8, 16); /* every 50 ms would be 36 */
    forget_calls();
    run_for(&host, 1500);
    assert_in_range(looks, 2, 5);
    assert_log(&track, "initialize success");
    int64_t began_ns = tcpm_now_ns();
    peer_go(peer, "go");
    host_run(&host);
    assert_true(tcpm_now_ns() - began_ns < 400000000); /* and yet the end is noticed at once */
    assert_log(&track, "initialize success disconnected(shutdown)");
    assert_int_equal(peer_wait_ended(peer, 1, 20), 0);
    peer_stop(peer);
    host_close(&host);
}

static void answer_and_shut_late(struct track *track, enum event event)
{
    static char bytes[60000];

    if (event != EVENT_INPUT)
        return;
    assert_int_equal(tcpm_send(track->session, track->id, "y", 1), 0);
    if (track->count[EVENT_INPUT] < 40)
        return;
    assert_int_equal(tcpm_send(track->session, track->id, bytes, sizeof bytes), 0);
    assert_int_equal(tcpm_shutdown(track->session, track->id), 0);
}

static bool has_looked(void *argument)
{
    (void) argument;
    return looks > 0;
}

/* It has been the only busy one, and was watched for its input alone. */
static void test_the_end_of_the_only_busy_connection_is_noticed_at_once(void **state)
{
    struct host *host = *state;
    struct track track = {.hook = answer_and_shut_late};

    struct peer *peer = host_peer(host, "loop 40; send \"x\"; recv 1; end; wait go; count",
                                  &(struct peer_options){.rcvbuf = 4096});
    track_connect(&track, stream_session(host, (struct tcpm_session_options){0}), peer_port(peer));
    run_for(host, 2500);
    assert_int_equal(track.count[EVENT_INPUT], 40);
    assert_int_equal(track.count[EVENT_DISCONNECTED], 0);
    forget_calls();
    host_run_until(host, has_looked, NULL); /* again in 500 ms */
    int64_t began_ns = tcpm_now_ns();
    peer_go(peer, "go");
    host_run(host);
    assert_true(tcpm_now_ns() - began_ns < 400000000);
    assert_int_equal(peer_wait_ended(peer, 1, 20), 0);
    host_close(host);
}

/* The loop was busy elsewhere. When it looks, all is acknowledged, and the peer has said a word. */
static void test_no_look_closes_over_input_that_has_come(void **state)
{
    struct host host;
    struct track track = {.hook = NULL};
    struct peer_connection seen;

    (void) state;
    struct peer *peer =
        begin_linger(&host, &track, "wait go; recv 60000; send \"thanks\"; mark said; count");
    run_for(&host, 30);
    peer_go(peer, "go");
    assert_int_equal(peer_wait_mark(peer, "said", 1, 20), 0);
    stall_ms(120);
    host_run(&host);
    assert_log(&track, "initialize success disconnected(shutdown)");
    assert_int_equal(peer_wait_ended(peer, 1, 20), 0);
    assert_int_equal(peer_connection(peer, 0, &seen), 0);
    assert_int_equal(seen.received, 60000);
    assert_int_equal(seen.end, PEER_EOF);
    peer_stop(peer);
    host_close(&host);
}

/* The handler takes its time, and meanwhile the answer to what it has sent has come. */
static void part_slowly(struct track *track, enum event event)
{
    if (event != EVENT_INPUT)
        return;
    assert_int_equal(tcpm_send(track->session, track->id, "QUIT", 4), 0);
    assert_int_equal(tcpm_shutdown(track->session, track->id), 0);
    assert_int_equal(peer_wait_mark(track->user, "parted", 1, 20), 0);
}

static void test_no_end_closes_over_the_answer_to_its_last_word(void **state)
{
    struct host *host = *state;
    struct track track = {.hook = part_slowly};
    struct peer_connection seen;

    struct peer *peer = host_peer(
        host, "send \"hello\\n\"; recvuntil \"QUIT\"; send \"bye\\n\"; mark parted; count", NULL);
    track.user = peer;
    track_connect(&track, track_session(host, NULL), peer_port(peer));
    host_run(host);
    assert_log(&track, "initialize success input(hello) disconnected(shutdown)");
    assert_int_equal(peer_wait_ended(peer, 1, 20), 0);
    assert_int_equal(peer_connection(peer, 0, &seen), 0);
    assert_int_equal(seen.end, PEER_EOF);
    host_close(host);
}

/* ---- what a plain end costs ---- */

static void shut_at_input(struct track *track, enum event event)
{
    if (event == EVENT_SUCCESS)
        assert_int_equal(tcpm_send(track->session, track->id, "a", 1), 0);
    if (event != EVENT_INPUT)
        return;
    forget_calls();
    assert_int_equal(tcpm_shutdown(track->session, track->id), 0);
}

static void forget_at_success(struct track *track, enum event event)
{
    (void) track;
    if (event == EVENT_SUCCESS)
        forget_calls();
}

static void ask_at_success(struct track *track, enum event event)
{
    forget_at_success(track, event);
    if (event == EVENT_SUCCESS)
        assert_int_equal(tcpm_send(track->session, track->id, "a", 1), 0);
}

static void expect_calls(const char *program, void (*hook)(struct track *track, enum event event),
                         const char *log, unsigned expected_looks, unsigned expected_reads)
{
    struct host host;
    struct track track = {.hook = hook};

    host_open(&host, NULL);
    struct peer *peer = peer_start(program, NULL);
    track_connect(&track, track_session(&host, NULL), peer_port(peer));
    host_run(&host);
    assert_log(&track, log);
    assert_int_equal(fins, 0);
    assert_int_equal(looks, expected_looks);
    assert_in_range(reads, 0, expected_reads);
    peer_stop(peer);
    host_close(&host);
}

static void test_an_end_that_can_be_at_once_costs_no_more(void **state)
{
    (void) state;
    expect_calls("recv line; send \"b\\n\"; count", shut_at_input,
                 "initialize success input(b) disconnected(shutdown)", 1, 0);
    expect_calls("close", forget_at_success, "initialize success error(read,EOF) disconnected(eof)",
                 0, 1);
    expect_calls("recv line; shutwr; count", ask_at_success,
                 "initialize success error(read,EOF) disconnected(eof)", 1, 2);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_a_peer_that_never_stops_sending_gets_the_fin),
    cmocka_unit_test(test_looks_at_a_silent_peer_become_rare),
    HOST_TEST(test_the_end_of_the_only_busy_connection_is_noticed_at_once),
    cmocka_unit_test(test_no_look_closes_over_input_that_has_come),
    HOST_TEST(test_no_end_closes_over_the_answer_to_its_last_word),
    cmocka_unit_test(test_an_end_that_can_be_at_once_costs_no_more),
};

RUN_TESTS(tests)
