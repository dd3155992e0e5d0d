/* SPDX-License-Identifier: MIT */
/*
 * What TLS holds is counted, and bounded by max_memory: 40 KiB for a handshake, 24 KiB afterwards,
 * records that the kernel does not take, and wire that has come and is not decrypted yet. The
 * figure is that in the first line of the dump; when a connection is over it is 0 again.
 */
#include "host.h"

enum {
    KIB = 1024,
    PIECE = 256 * KIB,
    SHAKING = 40 * KIB,
    OPEN = 24 * KIB,
    RECORD = 16 * KIB,
    MANY = 16 * KIB * KIB,
    ALL = 20000
};

static char bytes[PIECE];

/* ---- the figure ---- */

static void read_figure(const char *line, void *user)
{
    const char *figure = strstr(line, " memory ");

    if (strncmp(line, "engine ", 7) == 0 && figure != NULL)
        *(uint64_t *) user = strtoull(figure + strlen(" memory "), NULL, 10);
}

static uint64_t memory_of(struct host *host)
{
    uint64_t memory = UINT64_MAX;

    assert_int_equal(tcpm_engine_dump(host->engine, read_figure, &memory), 0);
    return memory;
}

struct expected {
    struct host *host;
    uint64_t memory;
};

static bool is_held(void *argument)
{
    const struct expected *expected = argument;

    return memory_of(expected->host) == expected->memory;
}

static void run_until_held(struct host *host, uint64_t memory)
{
    host_run_until(host, is_held, &(struct expected){.host = host, .memory = memory});
}

static bool has_input(void *track)
{
    return ((struct track *) track)->count[EVENT_INPUT] > 0;
}

static bool has_all(void *track)
{
    return ((struct track *) track)->received == ALL;
}

static uint64_t queued_in(const struct track *track)
{
    struct tcpm_stats stats = {.size = sizeof stats};

    assert_int_equal(tcpm_stats_get(track->session, &stats), 0);
    return stats.queued;
}

/* ---- connections ---- */

/* A host whose engine may hold so many bytes; 0: the default. */
static void begin(struct host *host, int64_t max_memory, int64_t max_handshakes)
{
    host_open(host, &(struct tcpm_engine_options){.size = sizeof(struct tcpm_engine_options),
                                                  .max_memory = max_memory,
                                                  .max_handshakes = max_handshakes});
}

/* A connection by TLS whose records are what comes. */
static void connect_tls(struct host *host, struct track *track, const struct peer *peer,
                        const char *proxy)
{
    struct tcpm_tls_options options = {.size = sizeof options, .no_verify = 1, .no_resumption = 1};
    struct tcpm_tls *tls = NULL;

    assert_int_equal(tcpm_tls_create(host->engine, &options, &tls, NULL), 0);
    struct tcpm_session *session =
        stream_session(host, (struct tcpm_session_options){.tls = tls, .proxy = proxy});
    tcpm_tls_free(tls);
    track_connect(track, session, peer_port(peer));
}

static struct peer *secure_peer(struct host *host, const char *program, int rcvbuf, int version)
{
    struct peer_tls tls = {.tickets = -1, .min_version = version, .max_version = version};

    return host_peer(host, program, &(struct peer_options){.tls = &tls, .rcvbuf = rcvbuf});
}

/* Sends until the kernel takes no more, and some steps on. */
static void fill(struct host *host, struct track *track)
{
    host_run_until(host, track_open, track);
    for (size_t sent = 0; sent < MANY && queued_in(track) < 2 * sizeof bytes; sent += PIECE) {
        assert_true(tcpm_send(track->session, track->id, bytes, sizeof bytes) >= 0);
        uv_run(&host->loop, UV_RUN_NOWAIT);
    }
    assert_true(queued_in(track) >= 2 * sizeof bytes);
}

/* ---- what is counted ---- */

static void test_a_handshake_and_an_open_connection(void **state)
{
    struct host host;
    struct track open = {.hook = NULL}, silent = {.hook = NULL};

    (void) state;
    begin(&host, 0, 0);
    struct peer *peer = secure_peer(&host, "send \"hello\"; recv all", 0, 0);
    connect_tls(&host, &open, peer, NULL);
    assert_int_equal(memory_of(&host), 0); /* before the handshake */
    host_run_until(&host, has_input, &open);
    /* the last flight may wait for a step */
    run_until_held(&host, OPEN);
    connect_tls(&host, &silent, host_peer(&host, "freeze", NULL), NULL);
    run_until_held(&host, OPEN + SHAKING);
    assert_int_equal(tcpm_reset(silent.session, silent.id), 0);
    host_run_until(&host, track_ended, &silent);
    assert_int_equal(memory_of(&host), OPEN);
    assert_int_equal(tcpm_shutdown(open.session, open.id), 0);
    host_run(&host);
    assert_int_equal(memory_of(&host), 0);
    host_close(&host);
}

static void end_by_reset(struct host *host, struct track *track)
{
    (void) host;
    assert_int_equal(tcpm_reset(track->session, track->id), 0);
}

static void end_by_fail(struct host *host, struct track *track)
{
    (void) host;
    assert_int_equal(tcpm_fail(track->session, track->id, -EPROTO, "enough"), 0);
}

static void end_by_die(struct host *host, struct track *track)
{
    peer_go(host->peers[0], "read"); /* the queue is sent first */
    assert_int_equal(tcpm_die(track->session), 0);
}

static void end_by_the_peer(struct host *host, struct track *track)
{
    (void) track;
    peer_go(host->peers[0], "end");
}

static void end_by_reading(struct host *host, struct track *track)
{
    peer_go(host->peers[0], "read");
    assert_int_equal(tcpm_shutdown(track->session, track->id), 0);
}

/* Records that are encrypted are held beside their text, which is queued until the kernel has
   taken them. */
static void test_unsent_records_are_counted_until_the_connection_is_over(void **state)
{
    static const struct {
        const char *program;
        void (*end)(struct host *host, struct track *track);
    } cases[] = {
        {"freeze", end_by_reset},
        {"freeze", end_by_fail},
        {"wait read; count", end_by_die},
        {"wait end; rst", end_by_the_peer},
        {"wait read; count", end_by_reading},
    };

    (void) state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct host host;
        struct track track = {.hook = NULL};

        begin(&host, 0, 0);
        connect_tls(&host, &track, secure_peer(&host, cases[i].program, 4 * KIB, 0), NULL);
        fill(&host, &track);
        uint64_t beside = memory_of(&host) - queued_in(&track);
        assert_true(beside > OPEN);
        assert_true(beside < OPEN + sizeof bytes + RECORD);
        cases[i].end(&host, &track);
        host_run_until(&host, track_ended, &track);
        assert_int_equal(memory_of(&host), 0);
        host_close(&host);
    }
}

/* A teardown tells nothing of the figure, but asserts in builds that do, and frees the wire. */
static void test_an_engine_is_closed_with_records_unsent(void **state)
{
    struct host host;
    struct track track = {.hook = NULL};

    (void) state;
    begin(&host, 0, 0);
    connect_tls(&host, &track, secure_peer(&host, "freeze", 4 * KIB, 0), NULL);
    fill(&host, &track);
    assert_true(memory_of(&host) > queued_in(&track) + OPEN);
    host_close(&host);
}

/* Wire behind 1,024 records of one slice waits for the next round. */
struct seen {
    struct host *host;
    uint64_t most;
};

static void note_memory(struct track *track, enum event event)
{
    struct seen *seen = track->user;
    uint64_t memory = memory_of(seen->host);

    if (event == EVENT_INPUT && memory > seen->most)
        seen->most = memory;
}

static void test_wire_that_waits_to_be_decrypted_is_counted(void **state)
{
    struct host host;
    struct seen seen = {.host = &host};
    struct track track = {.hook = note_memory, .user = &seen};

    (void) state;
    begin(&host, 0, 0);
    connect_tls(&host, &track,
                secure_peer(&host, "onebyte; sendn 20000 \"x\"; mark sent; recv all", 0, 0), NULL);
    host_run_until(&host, track_open, &track);
    assert_int_equal(peer_wait_mark(host.peers[0], "sent", 1, HOST_PATIENCE), 0);
    host_run_until(&host, has_all, &track);
    assert_true(seen.most > OPEN + RECORD);
    run_until_held(&host, OPEN);
    assert_int_equal(tcpm_reset(track.session, track.id), 0);
    host_run(&host);
    assert_int_equal(memory_of(&host), 0);
    host_close(&host);
}

/* What comes behind the reply of a proxy waits for the turn of the handshake. */
static void test_wire_that_waits_for_its_handshake_is_counted(void **state)
{
    struct host host;
    struct track silent = {.hook = NULL}, waiter = {.hook = NULL};
    char proxy[64];

    (void) state;
    begin(&host, 0, 1);
    struct peer *peer = host_peer(&host, "freeze", NULL);
    struct peer *http = host_peer(&host,
                                  "recvuntil \"\\r\\n\\r\\n\"; "
                                  "send \"HTTP/1.1 200 OK\\r\\n\\r\\n0123456789\"; freeze",
                                  NULL);
    connect_tls(&host, &silent, peer, NULL);
    run_until_held(&host, SHAKING);
    snprintf(proxy, sizeof proxy, "http://127.0.0.1:%d", peer_port(http));
    connect_tls(&host, &waiter, peer, proxy);
    run_until_held(&host, SHAKING + 10);
    assert_int_equal(tcpm_reset(waiter.session, waiter.id), 0);
    host_run_until(&host, track_ended, &waiter);
    assert_int_equal(memory_of(&host), SHAKING);
    assert_int_equal(tcpm_reset(silent.session, silent.id), 0);
    host_run(&host);
    assert_int_equal(memory_of(&host), 0);
    host_close(&host);
}

/* ---- what max_memory does ---- */

static void test_a_handshake_beyond_max_memory_fails(void **state)
{
    struct host host;
    struct track track = {.hook = NULL};

    (void) state;
    begin(&host, SHAKING - 1, 0);
    connect_tls(&host, &track, secure_peer(&host, "recv all", 0, 0), NULL);
    host_run(&host);
    assert_log(&track, "initialize failure(tls,ENOBUFS) disconnected(failure)");
    assert_string_equal(track.message, "40960 bytes for TLS and proxies, max_memory is 40959");
    assert_int_equal(memory_of(&host), 0);
    host_close(&host);
}

static void test_sends_beyond_max_memory_are_refused_and_then_go_on(void **state)
{
    enum { LIMIT = 1024 * KIB, SOME = 48 * KIB };
    struct host host;
    struct track track = {.hook = NULL};
    uint64_t sent = 0;
    int result = 0;

    (void) state;
    begin(&host, LIMIT, 0);
    struct peer *peer = secure_peer(&host, "wait read; count", 4 * KIB, 0);
    connect_tls(&host, &track, peer, NULL);
    host_run_until(&host, track_open, &track);
    while (result >= 0 && sent < MANY) {
        result = tcpm_send(track.session, track.id, bytes, SOME);
        sent += result >= 0 ? SOME : 0;
        uv_run(&host.loop, UV_RUN_NOWAIT);
        assert_true(memory_of(&host) <= LIMIT + RECORD + 256);
    }
    assert_int_equal(result, -ENOBUFS);
    assert_true(memory_of(&host) > LIMIT - SOME - RECORD);
    assert_true(queued_in(&track) + OPEN < memory_of(&host));
    peer_go(peer, "read");
    run_until_held(&host, OPEN);
    assert_true(tcpm_send(track.session, track.id, bytes, SOME) >= 0);
    assert_int_equal(tcpm_shutdown(track.session, track.id), 0);
    host_run(&host);
    assert_int_equal(track.reason, TCPM_REASON_SHUTDOWN);
    struct peer_connection connection;
    assert_int_equal(peer_wait_ended(peer, 1, HOST_PATIENCE), 0);
    assert_int_equal(peer_connection(peer, 0, &connection), 0);
    assert_int_equal(connection.received, sent + SOME);
    assert_int_equal(memory_of(&host), 0);
    host_close(&host);
}

/* Each HelloRequest is answered by an alert. A peer that reads none of them would have them heaped
   up without end, though no record of its own is too many. */
static void test_answers_that_the_peer_does_not_read_end_the_connection(void **state)
{
    struct host host;
    struct track track = {.hook = NULL};

    (void) state;
    begin(&host, 200 * KIB, 0);
    connect_tls(&host, &track,
                secure_peer(&host, "loop 0; renegotiate; send \"x\"; end", 4 * KIB, 0x0303), NULL);
    host_run_until(&host, track_ended, &track);
    assert_int_equal(track.count[EVENT_SUCCESS], 1);
    assert_int_equal(track.op, TCPM_OP_READ);
    assert_int_equal(track.code, -ENOBUFS);
    assert_non_null(strstr(track.message, " bytes for TLS and proxies, max_memory is 204800"));
    assert_int_equal(memory_of(&host), 0);
    host_close(&host);
}

/* The text of the read that is too much comes before the error. */
static void test_wire_to_be_decrypted_beyond_max_memory_ends_the_connection(void **state)
{
    struct host host;
    struct track track = {.hook = NULL};

    (void) state;
    begin(&host, SHAKING + KIB, 0);
    connect_tls(&host, &track,
                secure_peer(&host, "onebyte; sendn 20000 \"x\"; mark sent; recv all", 0, 0), NULL);
    host_run_until(&host, track_open, &track);
    assert_int_equal(peer_wait_mark(host.peers[0], "sent", 1, HOST_PATIENCE), 0);
    host_run(&host);
    assert_int_equal(track.op, TCPM_OP_READ);
    assert_int_equal(track.code, -ENOBUFS);
    assert_true(track.received >= 1024 && track.received < ALL);
    assert_int_equal(memory_of(&host), 0);
    host_close(&host);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_a_handshake_and_an_open_connection),
    cmocka_unit_test(test_unsent_records_are_counted_until_the_connection_is_over),
    cmocka_unit_test(test_an_engine_is_closed_with_records_unsent),
    cmocka_unit_test(test_wire_that_waits_to_be_decrypted_is_counted),
    cmocka_unit_test(test_wire_that_waits_for_its_handshake_is_counted),
    cmocka_unit_test(test_a_handshake_beyond_max_memory_fails),
    cmocka_unit_test(test_sends_beyond_max_memory_are_refused_and_then_go_on),
    cmocka_unit_test(test_answers_that_the_peer_does_not_read_end_the_connection),
    cmocka_unit_test(test_wire_to_be_decrypted_beyond_max_memory_ends_the_connection),
};

RUN_TESTS(tests)
