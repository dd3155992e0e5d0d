/* SPDX-License-Identifier: MIT */
/*
 * The option max_per_address: never more sockets to one address than it says, others wait at that
 * address in order and hold up nobody (JOBS J31).
 */
#include "racing.h"

enum { MANY = 50 };

/* Connections that stay open for a few ms each, all to addresses that count together. */
struct queue {
    struct track tracks[MANY];
    unsigned now, most; /* connections that are open */
    size_t order[MANY]; /* in which order they became so */
    size_t started;
};

static void stay_a_while(struct track *track, enum event event)
{
    struct queue *queue = track->user;

    if (event == EVENT_SUCCESS) {
        queue->order[queue->started++] = (size_t) (track - queue->tracks);
        if (++queue->now > queue->most)
            queue->most = queue->now;
        assert_int_equal(tcpm_timeout(track->session, track->id, 5), 0);
    }
    if (event == EVENT_TIMEOUT)
        queue->now--;
}

static struct track *next_track(struct queue *queue, size_t index)
{
    queue->tracks[index].hook = stay_a_while;
    queue->tracks[index].user = queue;
    return &queue->tracks[index];
}

static void run_queue(struct host *host, const struct queue *queue, size_t count)
{
    host_run(host);
    for (size_t i = 0; i < count; i++)
        assert_log(&queue->tracks[i], "initialize success timeout(input) disconnected(timeout)");
}

static struct peer *peer_at(struct host *host, const char *address, int port)
{
    return host_peer(host, "freeze", &(struct peer_options){.address = address, .port = port});
}

static void connect_to(struct track *track, struct tcpm_session *session, const char *address,
                       int port)
{
    track_connect_with(track, session,
                       (struct tcpm_connect_options){.address = address, .port = port});
}

static enum tcpm_phase phase_of(const struct track *track)
{
    struct tcpm_info info = {.size = sizeof info};

    assert_int_equal(tcpm_info_get(track->session, track->id, &info), 0);
    return info.phase;
}

static bool is_waiting(void *track)
{
    return phase_of(track) == TCPM_PHASE_WAITING;
}

/* ---- the dump ---- */

struct lines {
    unsigned full;  /* connections that wait at an address */
    char last[512]; /* line of the last of them */
};

static void look_at_line(const char *line, void *user)
{
    struct lines *lines = user;

    if (strstr(line, " waiting ") == NULL || strstr(line, "address_full") == NULL)
        return;
    lines->full++;
    snprintf(lines->last, sizeof lines->last, "%s", line);
}

static struct lines lines_of(struct host *host)
{
    struct lines lines = {.full = 0};

    assert_int_equal(tcpm_engine_dump(host->engine, look_at_line, &lines), 0);
    return lines;
}

/* ---- counting ---- */

static void test_J31_fifty_names_of_one_address_four_sockets(void **state)
{
    struct host *host = *state;
    struct queue queue = {.now = 0};
    struct peer *peer = peer_at(host, "127.0.0.2", 0);
    struct tcpm_session *session =
        racing_session(host, (struct tcpm_session_options){.max_per_address = 4});

    for (size_t i = 0; i < MANY; i++)
        racing_connect(next_track(&queue, i), session, racing_new_name("127.0.0.2"),
                       peer_port(peer));
    run_queue(host, &queue, MANY);
    assert_int_equal(queue.most, 4);
    host_close(host);
}

static void test_J31_numbers_in_the_order_of_their_requests_whatever_the_port(void **state)
{
    struct host *host = *state;
    struct queue queue = {.now = 0};
    struct peer *peers[] = {peer_at(host, "127.0.0.1", 0), peer_at(host, "127.0.0.1", 0)};
    struct tcpm_session *session =
        track_session(host, &(struct tcpm_session_options){.max_per_address = 1});

    for (size_t i = 0; i < MANY; i++)
        track_connect(next_track(&queue, i), session, peer_port(peers[i % 2]));
    assert_int_equal(lines_of(host).full, MANY - 1);
    run_queue(host, &queue, MANY);
    assert_int_equal(queue.most, 1);
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(queue.order[i], i);
    host_close(host);
}

/* Connects to two texts, ten times each. Gives how many were open at once. */
static unsigned most_open(struct host *host, const struct tcpm_session_options *options,
                          const char *const texts[2], int port)
{
    struct queue queue = {.now = 0};
    struct tcpm_session *session = track_session(host, options);

    for (size_t i = 0; i < 20; i++)
        connect_to(next_track(&queue, i), session, texts[i % 2], port);
    run_queue(host, &queue, 20);
    return queue.most;
}

static void test_what_counts_as_one_address(void **state)
{
    static const struct {
        const char *texts[2];
        unsigned most;
    } rows[] = {
        {{"127.0.0.1", "127.0.0.1"}, 2}, {{"127.0.0.1", "::ffff:127.0.0.1"}, 2},
        {{"::1", "0:0::1"}, 2},          {{"[::1]", "::1%lo"}, 2},
        {{"127.0.0.1", "::1"}, 4},
    };
    const struct tcpm_session_options options = {.max_per_address = 2};
    struct host *host = *state;
    struct peer *four, *six;

    peers_of_both_families("freeze", &four, &six);
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_int_equal(most_open(host, &options, rows[i].texts, peer_port(four)), rows[i].most);
    peer_stop(four);
    peer_stop(six);
    host_close(host);
}

static void test_local_addresses_make_no_difference(void **state)
{
    const char *const texts[] = {"127.0.0.1", "127.0.0.1"};
    struct host *host = *state;
    struct peer *peer = peer_at(host, "127.0.0.1", 0);
    const struct tcpm_session_options options = {.max_per_address = 2,
                                                 .bind_address = "127.0.5.0/28"};

    assert_int_equal(most_open(host, &options, texts, peer_port(peer)), 2);
    host_close(host);
}

static void
test_two_sessions_count_for_themselves_and_a_smaller_max_connections_counts(void **state)
{
    const char *const texts[] = {"127.0.0.1", "127.0.0.1"};
    struct host *host = *state;
    struct queue queues[2] = {{.now = 0}, {.now = 0}};
    struct peer *peer = peer_at(host, "127.0.0.1", 0);

    for (size_t i = 0; i < 2; i++) {
        struct tcpm_session *session =
            track_session(host, &(struct tcpm_session_options){.max_per_address = 3});

        for (size_t j = 0; j < 10; j++)
            track_connect(next_track(&queues[i], j), session, peer_port(peer));
    }
    assert_int_equal(racing_places(host), 6);
    for (size_t i = 0; i < 2; i++) {
        run_queue(host, &queues[i], 10);
        assert_int_equal(queues[i].most, 3);
    }
    const struct tcpm_session_options options = {.max_per_address = 4, .max_connections = 2};
    assert_int_equal(most_open(host, &options, texts, peer_port(peer)), 2);
    host_close(host);
}

/* All sockets go to the proxy; to whom the proxy connects is not known here. */
static void test_through_a_proxy_nothing_is_counted(void **state)
{
    struct host *host = *state;
    struct queue queue = {.now = 0};
    struct peer *peer = host_peer(
        host, "recvuntil \"\\r\\n\\r\\n\"; send \"HTTP/1.1 200 OK\\r\\n\\r\\n\"; recv all", NULL);
    char proxy[64];

    snprintf(proxy, sizeof proxy, "http://127.0.0.1:%d", peer_port(peer));
    struct tcpm_session *session =
        track_session(host, &(struct tcpm_session_options){.max_per_address = 1, .proxy = proxy});
    for (size_t i = 0; i < 5; i++)
        connect_to(next_track(&queue, i), session, "192.0.2.1", 80);
    assert_int_equal(lines_of(host).full, 0);
    assert_int_equal(racing_places(host), 5);
    run_queue(host, &queue, 5);
    host_close(host);
}

/* ---- who waits, and for how long ---- */

/* A session with one connection open to 127.0.0.2, where all others wait. */
static struct tcpm_session *open_full(struct host *host, struct tcpm_session_options options,
                                      struct track *holder, int *port)
{
    struct peer *peer = peer_at(host, "127.0.0.2", 0);

    options.max_per_address = 1;
    *port = peer_port(peer);
    struct tcpm_session *session = track_session(host, &options);
    connect_to(holder, session, "127.0.0.2", *port);
    host_run_until(host, track_open, holder);
    return session;
}

static void end(struct host *host, struct track *track)
{
    assert_int_equal(tcpm_shutdown(track->session, track->id), 0);
    host_run_until(host, track_ended, track);
}

static void test_others_are_not_held_up(void **state)
{
    struct host *host = *state;
    struct track holder = {.hook = NULL}, waiters[20] = {{.hook = NULL}}, other = {.hook = NULL};
    int port;
    struct tcpm_session *session =
        open_full(host, (struct tcpm_session_options){0}, &holder, &port);
    struct peer *peer = peer_at(host, "127.0.0.3", 0);

    for (size_t i = 0; i < COUNT(waiters); i++)
        connect_to(&waiters[i], session, "127.0.0.2", port);
    connect_to(&other, session, "127.0.0.3", peer_port(peer));
    host_run_until(host, track_open, &other);
    for (size_t i = 0; i < COUNT(waiters); i++) {
        assert_log(&waiters[i], "initialize");
        assert_int_equal(phase_of(&waiters[i]), TCPM_PHASE_WAITING);
    }
    assert_int_equal(racing_places(host), 2); /* those who wait have none */
    assert_int_equal(tcpm_die(session), 0);
    host_run(host);
    for (size_t i = 0; i < COUNT(waiters); i++)
        assert_log(&waiters[i], "initialize disconnected(die)");
    host_close(host);
}

static void test_the_dump_tells_who_waits_and_where(void **state)
{
    struct host *host = *state;
    struct track holder = {.hook = NULL}, waiter = {.hook = NULL};
    struct peer *peer = peer_at(host, "127.0.0.2", 0);
    struct tcpm_session *session =
        racing_session(host, (struct tcpm_session_options){.max_per_address = 1});
    const char *name = racing_new_name("127.0.0.2");
    char part[80];

    connect_to(&holder, session, "127.0.0.2", peer_port(peer));
    racing_connect(&waiter, session, name, peer_port(peer));
    host_run_until(host, is_waiting, &waiter);
    struct lines lines = lines_of(host);
    assert_int_equal(lines.full, 1);
    snprintf(part, sizeof part, " %s:%d (127.0.0.2) waiting ", name, peer_port(peer));
    assert_non_null(strstr(lines.last, part));
    assert_non_null(strstr(lines.last, " timeout none "));
    assert_int_equal(tcpm_die(session), 0);
    host_run(host);
    host_close(host);
}

static void test_the_connect_timeout_stands_still_the_deadline_does_not(void **state)
{
    struct host *host = *state;
    struct track holder = {.hook = NULL}, patient = {.hook = NULL}, hasty = {.hook = NULL};
    int port;
    struct tcpm_session *session =
        open_full(host, (struct tcpm_session_options){.connect_timeout_ms = 100}, &holder, &port);

    connect_to(&patient, session, "127.0.0.2", port);
    track_connect_with(
        &hasty, session,
        (struct tcpm_connect_options){.address = "127.0.0.2", .port = port, .deadline_ms = 100});
    host_run_until(host, track_ended, &hasty);
    racing_run_for(host, 150);
    assert_log(&hasty, "initialize timeout(deadline) disconnected(timeout)");
    assert_log(&patient, "initialize");
    end(host, &holder);
    host_run_until(host, track_open, &patient);
    end(host, &patient);
    host_close(host);
}

/* A look-up has taken 600 of 1,000 ms before the wait, so 400 are left after it. */
static void test_the_connect_timeout_goes_on_where_it_stood(void **state)
{
    struct host *host = *state;
    struct crowd silent;
    struct track holder = {.hook = NULL}, waiter = {.hook = NULL}, other = {.hook = NULL};
    int port = crowds_open(&silent, "127.0.0.2");
    struct tcpm_session *session = racing_session(host, (struct tcpm_session_options){
                                                            .max_per_address = 1,
                                                            .connect_timeout_ms = 1000,
                                                        });

    track_connect_with(&holder, session,
                       (struct tcpm_connect_options){
                           .address = "127.0.0.2", .port = port, .connect_timeout_ms = TCPM_NONE});
    racing_delay(600);
    racing_connect(&waiter, session, racing_new_name("127.0.0.2"), port);
    host_run_until(host, is_waiting, &waiter);
    racing_delay(0);
    racing_connect(&other, session, racing_new_name("127.0.0.2"), port);
    host_run_until(host, is_waiting, &other);
    racing_run_for(host, 500);
    assert_log(&waiter, "initialize");
    assert_int_equal(tcpm_timeout(session, other.id, 200), 0); /* begins when the wait is over */
    int64_t began = tcpm_now_ns();
    end(host, &holder);
    host_run_until(host, track_ended, &waiter);
    assert_in_range(racing_ms_since(began), 200, 900);
    began = tcpm_now_ns();
    host_run_until(host, track_ended, &other);
    assert_in_range(racing_ms_since(began), 190, 900);
    assert_log(&waiter, "initialize timeout(connect) disconnected(timeout)");
    assert_log(&other, "initialize timeout(connect) disconnected(timeout)");
    crowd_close(&silent);
    host_close(host);
}

static void test_the_wait_counts_as_time_in_the_queue(void **state)
{
    struct host *host = *state;
    struct track holder = {.hook = NULL}, waiter = {.hook = NULL};
    struct peer *peer = peer_at(host, "127.0.0.2", 0);
    struct tcpm_times times = {.size = sizeof times};
    struct tcpm_session *session =
        racing_session(host, (struct tcpm_session_options){.max_per_address = 1, .times = 1});

    connect_to(&holder, session, "127.0.0.2", peer_port(peer));
    racing_delay(100);
    racing_connect(&waiter, session, racing_new_name("127.0.0.2"), peer_port(peer));
    host_run_until(host, is_waiting, &waiter);
    racing_delay(0);
    racing_run_for(host, 500);
    assert_int_equal(tcpm_times_get(session, waiter.id, &times), 0);
    uint32_t resolve_us = times.resolved_us - times.started_us, started_us = times.started_us;
    assert_true(resolve_us >= 100000);
    end(host, &holder);
    host_run_until(host, track_open, &waiter);
    assert_int_equal(tcpm_times_get(session, waiter.id, &times), 0);
    assert_true(times.started_us - started_us >= 490000);
    assert_in_range(times.resolved_us - times.started_us, resolve_us - 2, resolve_us + 2);
    assert_true(times.connected_us >= times.resolved_us);
    assert_true(times.connected_us - times.resolved_us < 450000);
    end(host, &waiter);
    host_close(host);
}

static void check_times(struct track *track, enum event event)
{
    struct tcpm_times times = {.size = sizeof times};

    if (event != EVENT_SUCCESS)
        return;
    assert_int_equal(tcpm_times_get(track->session, track->id, &times), 0);
    assert_true(times.started_us > 0 && times.started_us <= times.resolved_us);
    assert_true(times.resolved_us <= times.connected_us);
}

/* Numbers are known within the microsecond in which the connection was made. */
static void test_no_step_comes_before_the_one_that_it_follows(void **state)
{
    struct host *host = *state;
    struct track tracks[MANY] = {{.hook = NULL}};
    struct peer *peer = host_peer(host, "close", NULL);
    struct tcpm_session *session =
        track_session(host, &(struct tcpm_session_options){.max_per_address = 1, .times = 1});

    for (size_t i = 0; i < MANY; i++) {
        tracks[i].hook = check_times;
        track_connect(&tracks[i], session, peer_port(peer));
    }
    host_run(host);
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(tracks[i].count[EVENT_SUCCESS], 1);
    host_close(host);
}

/* ---- turns ---- */

static void connect_again(struct track *track, enum event event)
{
    if (event == EVENT_DISCONNECTED)
        connect_to(track->user, track->session, "127.0.0.2", (int) track->port);
}

static void test_nobody_overtakes_those_who_wait(void **state)
{
    struct host *host = *state;
    struct track late = {.hook = NULL}, holder = {.hook = connect_again, .user = &late};
    struct track waiters[3] = {{.hook = NULL}};
    int port;
    struct tcpm_session *session =
        open_full(host, (struct tcpm_session_options){0}, &holder, &port);

    for (size_t i = 0; i < COUNT(waiters); i++)
        connect_to(&waiters[i], session, "127.0.0.2", port);
    end(host, &holder);
    for (size_t i = 0; i < COUNT(waiters); i++) {
        host_run_until(host, track_open, &waiters[i]);
        assert_log(&late, "initialize");
        end(host, &waiters[i]);
    }
    host_run_until(host, track_open, &late);
    end(host, &late);
    host_close(host);
}

/* Those who end while they wait are passed over, whoever they are. */
static void test_those_who_end_while_they_wait(void **state)
{
    struct host *host = *state;
    struct track holder = {.hook = NULL}, waiters[5] = {{.hook = NULL}};
    int port;
    struct tcpm_session *session =
        open_full(host, (struct tcpm_session_options){0}, &holder, &port);

    for (size_t i = 0; i < COUNT(waiters); i++)
        connect_to(&waiters[i], session, "127.0.0.2", port);
    assert_int_equal(tcpm_reset(session, waiters[0].id), 0);
    assert_int_equal(tcpm_shutdown(session, waiters[2].id), 0);
    assert_int_equal(tcpm_fail(session, waiters[4].id, -EPROTO, "enough"), 0);
    end(host, &holder);
    host_run_until(host, track_open, &waiters[1]);
    assert_log(&waiters[0], "initialize disconnected(shutdown)");
    assert_log(&waiters[2], "initialize disconnected(shutdown)");
    assert_log(&waiters[4], "initialize failure(fail,EPROTO) disconnected(failure)");
    end(host, &waiters[1]);
    host_run_until(host, track_open, &waiters[3]);
    end(host, &waiters[3]);
    host_close(host);
}

/* A rate counts sockets: who waits at an address takes no turn of it. One whose turn has come there
   waits for the rate, keeps the address meanwhile, and gives it on when it ends. */
static void test_a_turn_at_the_address_is_kept_while_the_rate_holds_it_up(void **state)
{
    struct host *host = *state;
    struct track holder = {.hook = NULL}, first = {.hook = NULL}, second = {.hook = NULL},
                 other = {.hook = NULL};
    const struct tcpm_session_options rate = {.connect_interval_ns = 500 * INT64_C(1000000)};
    struct peer *peer = peer_at(host, "127.0.0.3", 0);
    int port;
    struct tcpm_session *session = open_full(host, rate, &holder, &port);
    int64_t began = tcpm_now_ns();

    connect_to(&first, session, "127.0.0.2", port);
    connect_to(&second, session, "127.0.0.2", port);
    connect_to(&other, session, "127.0.0.3", peer_port(peer));
    host_run_until(host, track_open, &other);
    assert_in_range(racing_ms_since(began), 400, 1400); /* not the third turn */
    assert_int_equal(lines_of(host).full, 2);
    end(host, &holder);
    assert_int_equal(lines_of(host).full, 1);
    assert_int_equal(phase_of(&first), TCPM_PHASE_WAITING);
    assert_int_equal(tcpm_reset(session, first.id), 0);
    host_run_until(host, track_ended, &first);
    assert_int_equal(lines_of(host).full, 0);
    host_run_until(host, track_open, &second);
    assert_true(racing_ms_since(began) > 900);
    assert_int_equal(tcpm_die(session), 0);
    host_run(host);
    host_close(host);
}

/* ---- how many may wait ---- */

static void test_as_many_as_max_connections_wait_at_addresses(void **state)
{
    struct host *host = *state;
    struct track holder = {.hook = NULL}, waiters[10] = {{.hook = NULL}}, other = {.hook = NULL};
    int port;
    struct tcpm_session *session =
        open_full(host, (struct tcpm_session_options){.max_connections = 3}, &holder, &port);
    struct peer *peer = peer_at(host, "127.0.0.3", 0);

    for (size_t i = 0; i < COUNT(waiters); i++)
        connect_to(&waiters[i], session, "127.0.0.2", port);
    connect_to(&other, session, "127.0.0.3", peer_port(peer));
    racing_run_for(host, 50);
    assert_int_equal(lines_of(host).full, 3);
    assert_log(&other, "initialize");
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(tcpm_reset(session, waiters[9 - i].id), 0);
    host_run_until(host, track_open, &other);
    assert_int_equal(lines_of(host).full, 2);
    end(host, &holder);
    host_run_until(host, track_open, &waiters[0]);
    assert_int_equal(tcpm_die(session), 0);
    host_run(host);
    host_close(host);
}

struct source {
    struct track tracks[40];
    size_t next;
    unsigned most; /* connections at once */
    int port;
};

static void fill_room(struct tcpm_session *session, void *user)
{
    struct source *source = user;
    struct tcpm_stats stats = {.size = sizeof stats};

    while (source->next < COUNT(source->tracks) && tcpm_has_room(session) == 1) {
        connect_to(&source->tracks[source->next++], session, "127.0.0.2", source->port);
        assert_int_equal(tcpm_stats_get(session, &stats), 0);
        uint64_t now = stats.waiting + stats.connecting + stats.open + stats.shutting;
        source->most = now > source->most ? (unsigned) now : source->most;
    }
}

static void test_there_is_room_for_as_many_as_may_wait(void **state)
{
    struct host *host = *state;
    struct source source = {.next = 0};
    struct tcpm_events events = *track_events();
    struct peer *peer = host_peer(host, "close", &(struct peer_options){.address = "127.0.0.2"});

    events.room = fill_room;
    source.port = peer_port(peer);
    struct tcpm_session *session = track_session(
        host, &(struct tcpm_session_options){
                  .events = &events, .user = &source, .max_connections = 4, .max_per_address = 2});
    fill_room(session, &source);
    assert_int_equal(source.next, 6); /* two have places, four wait */
    host_run(host);
    assert_int_equal(source.next, COUNT(source.tracks));
    assert_in_range(source.most, 6, 8); /* some of those that have places are shutting */
    for (size_t i = 0; i < COUNT(source.tracks); i++)
        assert_log(&source.tracks[i], "initialize success error(read,EOF) disconnected(eof)");
    host_close(host);
}

/* Without a limit of the session, that of the engine counts. */
static void test_the_limit_of_the_engine_counts_too(void **state)
{
    struct host host;
    struct track holder = {.hook = NULL}, waiters[6] = {{.hook = NULL}};
    int port;

    (void) state;
    host_open(&host, &(struct tcpm_engine_options){.size = sizeof(struct tcpm_engine_options),
                                                   .max_connections = 4});
    struct tcpm_session *session = open_full(
        &host, (struct tcpm_session_options){.max_connections = TCPM_NONE}, &holder, &port);
    for (size_t i = 0; i < COUNT(waiters); i++)
        connect_to(&waiters[i], session, "127.0.0.2", port);
    racing_run_for(&host, 50);
    assert_int_equal(lines_of(&host).full, 4);
    host_close(&host); /* with all of them */
    for (size_t i = 0; i < COUNT(waiters); i++)
        assert_log(&waiters[i], "initialize disconnected(die)");
}

static const struct CMUnitTest tests[] = {
    HOST_TEST(test_J31_fifty_names_of_one_address_four_sockets),
    HOST_TEST(test_J31_numbers_in_the_order_of_their_requests_whatever_the_port),
    HOST_TEST(test_what_counts_as_one_address),
    HOST_TEST(test_local_addresses_make_no_difference),
    HOST_TEST(test_two_sessions_count_for_themselves_and_a_smaller_max_connections_counts),
    HOST_TEST(test_through_a_proxy_nothing_is_counted),
    HOST_TEST(test_others_are_not_held_up),
    HOST_TEST(test_the_dump_tells_who_waits_and_where),
    HOST_TEST(test_the_connect_timeout_stands_still_the_deadline_does_not),
    HOST_TEST(test_the_connect_timeout_goes_on_where_it_stood),
    HOST_TEST(test_the_wait_counts_as_time_in_the_queue),
    HOST_TEST(test_no_step_comes_before_the_one_that_it_follows),
    HOST_TEST(test_nobody_overtakes_those_who_wait),
    HOST_TEST(test_those_who_end_while_they_wait),
    HOST_TEST(test_a_turn_at_the_address_is_kept_while_the_rate_holds_it_up),
    HOST_TEST(test_as_many_as_max_connections_wait_at_addresses),
    HOST_TEST(test_there_is_room_for_as_many_as_may_wait),
    cmocka_unit_test(test_the_limit_of_the_engine_counts_too),
};

RUN_TESTS(tests)
