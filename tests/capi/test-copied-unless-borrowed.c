/* SPDX-License-Identifier: MIT */
/*
 * The promise copied-unless-borrowed: what is passed is copied before the call returns, so it may
 * be overwritten and freed at once; what a handler gets stays as it is until the handler returns.
 * Everything passed here lies in memory of its own, so that a late look at it is found.
 */
#include "host.h"

/* A copy that is made worthless after use. */
static void *borrow(const void *bytes, size_t length)
{
    void *copy = malloc(length);

    assert_non_null(copy);
    memcpy(copy, bytes, length);
    return copy;
}

static void spoil(void *copy, size_t length)
{
    memset(copy, 0xee, length);
    free(copy);
}

static void send_spoiled(struct tcpm_session *session, struct tcpm_id id, const char *text)
{
    size_t length = strlen(text);
    char *copy = borrow(text, length);

    assert_true(tcpm_send(session, id, copy, length) >= 0);
    spoil(copy, length);
}

static struct tcpm_filter *make_line_filter(void)
{
    struct tcpm_line_options *options = calloc(1, sizeof *options);
    char *literal = borrow(";", 2);
    struct tcpm_filter *filter = NULL;

    assert_non_null(options);
    *options = (struct tcpm_line_options){
        .size = sizeof *options, .input_literal = literal, .output_literal = literal};
    assert_int_equal(tcpm_filter_line(options, &filter), 0);
    spoil(literal, 2);
    spoil(options, sizeof *options);
    return filter;
}

static void connect_spoiled(struct track *track, struct tcpm_session *session, int port)
{
    char service[16];
    struct tcpm_connect_options *options = calloc(1, sizeof *options);
    char *address = borrow("127.0.0.1", 10), *bind = borrow("127.0.0.9", 10);

    snprintf(service, sizeof service, "%d", port);
    char *decimal = borrow(service, sizeof service);
    assert_non_null(options);
    *options = (struct tcpm_connect_options){.size = sizeof *options,
                                             .address = address,
                                             .service = decimal,
                                             .bind_address = bind,
                                             .heap = track,
                                             .input_filter = make_line_filter()};
    struct tcpm_filter *filter = options->input_filter;
    assert_int_equal(tcpm_connect(session, options, NULL), 0);
    tcpm_filter_free(filter);
    spoil(options, sizeof *options);
    spoil(address, 10);
    spoil(bind, 10);
    spoil(decimal, sizeof service);
}

static void use_spoiled(struct track *track, enum event event)
{
    struct tcpm_info info = {.size = sizeof info};

    if (event == EVENT_INITIALIZE)
        send_spoiled(track->session, track->id, "early;");
    if (event == EVENT_SUCCESS) {
        send_spoiled(track->session, track->id, "hello;");
        char *front = borrow("put in front;", 13);
        assert_int_equal(tcpm_unread(track->session, track->id, front, 13), 0);
        spoil(front, 13);
    }
    if (event == EVENT_INPUT && strstr(track->log, "input(end)") != NULL) {
        assert_int_equal(tcpm_info_get(track->session, track->id, &info), 0);
        assert_string_equal(info.address, "127.0.0.1");
        assert_string_equal(track_endpoints(track).local, "127.0.0.9");
        char *message = borrow("it said end", 12);
        assert_int_equal(tcpm_fail(track->session, track->id, -EPROTO, message), 0);
        spoil(message, 12);
    }
    if (event == EVENT_ERROR)
        assert_string_equal(track->message, "it said end");
}

static void test_what_is_passed_may_be_overwritten_at_once(void **state)
{
    struct host host;
    struct track track = {.hook = use_spoiled};
    struct tcpm_session *session = NULL;
    struct tcpm_engine_options *engine_options = calloc(1, sizeof *engine_options);
    struct tcpm_session_options *options = calloc(1, sizeof *options);

    (void) state;
    assert_non_null(engine_options);
    assert_non_null(options);
    engine_options->size = sizeof *engine_options;
    host_open(&host, engine_options);
    spoil(engine_options, sizeof *engine_options);
    struct peer *peer =
        peer_start("recvuntil \"hello;\"; send \"one;two;end;more;\"; recv all", NULL);
    options->size = sizeof *options;
    options->events = track_events();
    options->output_filter = stream_filter();
    struct tcpm_filter *filter = options->output_filter;
    assert_int_equal(tcpm_session_create(host.engine, options, &session), 0);
    tcpm_filter_free(filter);
    spoil(options, sizeof *options);
    connect_spoiled(&track, session, peer_port(peer));
    host_run(&host);
    assert_log(&track, "initialize success input(put in front) input(one) input(two) input(end) "
                       "error(fail,EPROTO) disconnected(error)");
    struct peer_connection seen;
    assert_int_equal(peer_connection(peer, 0, &seen), 0);
    assert_int_equal(seen.content_length, strlen("early;hello;"));
    assert_memory_equal(seen.content, "early;hello;", seen.content_length);
    peer_stop(peer);
    host_close(&host);
}

/* Many records in one call, more than the kernel takes at once. */
static void send_large(struct track *track, enum event event)
{
    enum { PIECES = 30, SIZE = 500000 };
    struct tcpm_record *records = NULL;

    if (event != EVENT_SUCCESS)
        return;
    records = calloc(PIECES, sizeof *records);
    assert_non_null(records);
    for (size_t i = 0; i < PIECES; i++) {
        char *piece = malloc(SIZE);
        assert_non_null(piece);
        memset(piece, 'a' + (int) i % 26, SIZE);
        records[i] = (struct tcpm_record){piece, SIZE};
    }
    assert_int_equal(tcpm_send_many(track->session, track->id, records, PIECES), 1);
    for (size_t i = 0; i < PIECES; i++)
        spoil((void *) (uintptr_t) records[i].bytes, SIZE);
    spoil(records, PIECES * sizeof *records);
    assert_int_equal(tcpm_shutdown(track->session, track->id), 0);
}

static void test_what_is_queued_is_a_copy(void **state)
{
    struct host *host = *state;
    struct track track = {.hook = send_large};
    struct tcpm_session_options options = {.output_filter = stream_filter()};
    uint64_t checksum = PEER_CHECKSUM;

    struct peer *peer = host_peer(host, "count", NULL);
    track_connect(&track, track_session(host, &options), peer_port(peer));
    tcpm_filter_free(options.output_filter);
    host_run(host);
    assert_log(&track, "initialize success disconnected(shutdown)");
    char *piece = malloc(500000);
    assert_non_null(piece);
    for (int i = 0; i < 30; i++) {
        memset(piece, 'a' + i % 26, 500000);
        checksum = peer_checksum(checksum, piece, 500000);
    }
    free(piece);
    assert_int_equal(peer_wait_ended(peer, 1, 20), 0);
    struct peer_connection seen;
    assert_int_equal(peer_connection(peer, 0, &seen), 0);
    assert_int_equal(seen.received, 15000000);
    assert_true(seen.checksum == checksum);
    host_close(host);
}

/* Whatever the handler does meanwhile, the record it was given does not change. */
static void disturb(struct track *track, enum event event)
{
    char kept[16];
    struct tcpm_filter *filter = NULL;

    if (event != EVENT_INPUT || track->length != 8)
        return;
    memcpy(kept, track->record, track->length);
    filter = stream_filter();
    assert_int_equal(tcpm_filter_set(track->session, track->id, filter, filter), 0);
    tcpm_filter_free(filter);
    for (int i = 0; i < 100; i++)
        assert_int_equal(tcpm_unread(track->session, track->id, "abcdefghijklmnopqrst", 20), 0);
    assert_true(tcpm_send(track->session, track->id, "anything", 8) >= 0);
    assert_int_equal(tcpm_pause(track->session, track->id), 0);
    assert_int_equal(tcpm_resume(track->session, track->id), 0);
    assert_memory_equal(track->record, kept, track->length);
    assert_int_equal(tcpm_reset(track->session, track->id), 0);
    assert_memory_equal(track->record, kept, track->length);
}

static void test_a_record_stays_until_its_handler_returns(void **state)
{
    static const char *const programs[] = {
        "send \"12345678\\nmore\\nand\"; recv all", /* out of the read buffer */
        "send \"1234\"; mark half; wait go; send \"5678\\nmore\\n\"; recv all" /* held before */};

    (void) state;
    for (size_t i = 0; i < COUNT(programs); i++) {
        struct host host;
        struct track track = {.hook = disturb};
        struct tcpm_session *session = NULL;
        host_open(&host, NULL);
        struct peer *peer = peer_start(programs[i], NULL);
        session = track_session(&host, NULL);
        track_connect(&track, session, peer_port(peer));
        host_run_until(&host, track_open, &track);
        if (i == 1) {
            assert_int_equal(peer_wait_mark(peer, "half", 1, 20), 0);
            while (track.count[EVENT_DISCONNECTED] == 0) {
                const void *bytes = NULL;
                size_t length = 0;
                assert_int_equal(tcpm_pending(session, track.id, &bytes, &length), 0);
                if (length == 4)
                    break;
                uv_run(&host.loop, UV_RUN_NOWAIT);
            }
            peer_go(peer, "go");
        }
        host_run(&host);
        assert_log(&track, "initialize success input(12345678) disconnected(shutdown)");
        peer_stop(peer);
        host_close(&host);
    }
}

/* What info tells is the same in every event, and what it points to is there when it returns. */
static void check_told(struct track *track, enum event event)
{
    struct tcpm_info info = {.size = sizeof info};

    assert_int_equal(tcpm_info_get(track->session, track->id, &info), 0);
    assert_string_equal(info.address, track->user);
    if (event == EVENT_DISCONNECTED) {
        assert_int_equal(info.cause.code, TCPM_EOF);
        assert_string_equal(info.cause.message, tcpm_error_text(TCPM_EOF));
    }
}

static void test_the_address_is_told_as_given_in_every_event(void **state)
{
    static char *const addresses[] = {"::1", "[::1]", "127.0.0.1", "localhost"};
    struct host *host = *state;

    struct peer *four, *six;
    peers_of_both_families("close", &four, &six);
    struct tcpm_session *session = track_session(host, NULL);
    for (size_t i = 0; i < COUNT(addresses); i++) {
        struct track track = {.hook = check_told, .user = addresses[i]};
        track_connect_with(
            &track, session,
            (struct tcpm_connect_options){.address = addresses[i], .port = peer_port(six)});
        host_run(host);
        assert_log(&track, "initialize success error(read,EOF) disconnected(eof)");
    }
    peer_stop(four);
    peer_stop(six);
    host_close(host);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_what_is_passed_may_be_overwritten_at_once),
    HOST_TEST(test_what_is_queued_is_a_copy),
    cmocka_unit_test(test_a_record_stays_until_its_handler_returns),
    HOST_TEST(test_the_address_is_told_as_given_in_every_event),
};

RUN_TESTS(tests)
