/* SPDX-License-Identifier: MIT */
/*
 * A filter of a program's own, made of nothing but the public header: MQTT's packets (MQTT 3.1.1,
 * section 2.2), one byte of type, a length of 1 to 4 bytes with 7 bits each, and so many bytes. A
 * record is the whole packet; put makes one of a type and a payload.
 */
#include "host.h"

struct mqtt_options {
    size_t max_length;
};

struct mqtt {
    struct mqtt_options options;
    uint64_t packets; /* of this connection */
};

static int init_mqtt(void *self, const void *options)
{
    struct mqtt *mqtt = self;

    mqtt->options = *(const struct mqtt_options *) options;
    return mqtt->options.max_length == 0 ? -EDOM : 0;
}

static int get_packet(void *self, const char *bytes, size_t length, struct tcpm_cut *cut)
{
    struct mqtt *mqtt = self;
    size_t remaining = 0, at = 1;

    for (;; at++) {
        if (at >= length) {
            cut->need = at + 1;
            return 0;
        }
        if (at == 5) {
            cut->message = "a remaining length of more than four bytes";
            return TCPM_EFILTER;
        }
        remaining |= (size_t) (bytes[at] & 0x7f) << (7 * (at - 1));
        if ((bytes[at] & 0x80) == 0)
            break;
    }
    if (remaining > mqtt->options.max_length)
        return TCPM_ETOOLONG;
    cut->need = at + 1 + remaining;
    if (length < cut->need)
        return 0;
    cut->record = bytes;
    cut->length = cut->used = cut->need;
    mqtt->packets++;
    return 1;
}

/* The record's first byte is the type, the rest the payload. */
static int put_packet(void *self, const void *record, size_t length, struct tcpm_out *out)
{
    const char *bytes = record;
    char header[5];
    size_t size = 1, remaining = length - 1;

    (void) self;
    if (length == 0 || remaining > 268435455)
        return -EMSGSIZE;
    header[0] = bytes[0];
    do {
        header[size++] = (char) ((remaining & 0x7f) | (remaining > 0x7f ? 0x80 : 0));
        remaining >>= 7;
    } while (remaining > 0);
    int result = tcpm_out_write(out, header, size);
    return result < 0 ? result : tcpm_out_write(out, bytes + 1, length - 1);
}

static struct tcpm_filter *make_filter(size_t max_length)
{
    static const struct tcpm_filter_kind kind = {.size = sizeof kind,
                                                 .name = "mqtt",
                                                 .self_size = sizeof(struct mqtt),
                                                 .init = init_mqtt,
                                                 .get_one = get_packet,
                                                 .put = put_packet};
    struct mqtt_options options = {max_length};
    struct tcpm_filter *filter = NULL;

    assert_int_equal(tcpm_filter_custom(&kind, &options, &filter), max_length == 0 ? -EDOM : 0);
    return filter;
}

/* Connects, subscribes by one send of two packets, and takes what the broker publishes. */
static void speak(struct track *track, enum event event)
{
    static const char connect[] = "\x10payload of connect";
    char large[301] = "\x30";
    const struct tcpm_record records[] = {{connect, sizeof connect - 1}, {large, sizeof large}};

    memset(large + 1, 'p', 300);
    if (event == EVENT_SUCCESS)
        assert_int_equal(tcpm_send_many(track->session, track->id, records, 2), 0);
    if (event == EVENT_SUCCESS)
        assert_int_equal(tcpm_send(track->session, track->id, "", 0), -EMSGSIZE);
    if (event == EVENT_INPUT && track->record[0] == '\xe0')
        assert_int_equal(tcpm_shutdown(track->session, track->id), 0);
}

static void run_against(const char *program, size_t max_length, const char *log,
                        const char *message, bool check_sent)
{
    struct host host;
    struct track track = {.hook = speak};
    struct tcpm_session_options options = {.size = 0};

    host_open(&host, NULL);
    struct peer *peer = peer_start(program, NULL);
    assert_non_null(peer);
    options.input_filter = options.output_filter = make_filter(max_length);
    track_connect(&track, track_session(&host, &options), peer_port(peer));
    tcpm_filter_free(options.input_filter);
    host_run(&host);
    assert_log(&track, log);
    if (message != NULL)
        assert_string_equal(track.message, message);
    if (check_sent) {
        struct peer_report report;
        assert_int_equal(peer_wait_ended(peer, 1, 20), 0);
        peer_report(peer, &report);
        assert_string_equal(report.failure, "");
        assert_int_equal(report.received, 20 + 303);
    }
    peer_stop(peer);
    host_close(&host);
}

static void test_packets_come_whole_however_they_are_cut(void **state)
{
    (void) state;
    /* CONNACK, an empty packet, a PUBLISH of 130 bytes, DISCONNECT with one byte */
    static const char *const programs[] = {
        "expect \"\\x10\\x12payload of connect\\x30\\xac\\x02\"; recv 300;"
        "send \" \\x02ok\\x40\\x000\\x82\\x01\"; sendn 130 \"q\"; send \"\\xe0\\x01x\"; recv all",
        "expect \"\\x10\\x12payload of connect\\x30\\xac\\x02\"; recv 300;"
        "dribble \" \\x02ok\\x40\\x000\\x82\\x01\" 200; sendn 130 \"q\"; dribble \"\\xe0\\x01x\" "
        "200; "
        "recv all"};
    for (size_t i = 0; i < COUNT(programs); i++)
        run_against(programs[i], 1000,
                    "initialize success input( \x02ok) input(\x40) input[133] input(\xe0\x01x) "
                    "disconnected(shutdown)",
                    NULL, true);
}

static void test_what_is_no_packet_ends_that_connection(void **state)
{
    (void) state;
    run_against("send \"0\\x01a0\\xff\\xff\\xff\\xff\\x01\"; recv all", 1 << 29,
                "initialize success input(0\x01"
                "a) error(filter,EFILTER) disconnected(error)",
                "a remaining length of more than four bytes", false);
    run_against("send \"0\\xe9\\x07\"; recv all", 1000,
                "initialize success error(filter,ETOOLONG) disconnected(error)", "record too long",
                false);
    assert_null(make_filter(0));
}

static void count_both(struct track *track, enum event event)
{
    if (event == EVENT_SUCCESS) {
        struct tcpm_filter *filter = make_filter(1000), *stream = stream_filter();
        assert_int_equal(tcpm_filter_set(track->session, track->id, filter, stream), 0);
        tcpm_filter_free(filter);
        tcpm_filter_free(stream);
    }
    if (event == EVENT_INPUT && track->count[EVENT_INPUT] == 2) {
        struct tcpm_line_options lf = {.size = sizeof lf, .ends = TCPM_ENDS_LF};
        struct tcpm_filter *line = NULL;
        assert_int_equal(tcpm_filter_line(&lf, &line), 0);
        assert_int_equal(tcpm_filter_set(track->session, track->id, line, NULL), 0);
        tcpm_filter_free(line);
    }
}

/* Switched to and away from in the middle of what one read brought. */
static void test_it_can_be_switched_to_and_from(void **state)
{
    struct host *host = *state;
    struct track track = {.hook = count_both};

    track_run(host, &track, NULL, "send \"0\\x02ab0\\x01cline\\nrest\"; close");
    assert_log(&track, "initialize success input(0\x02"
                       "ab) input(0\x01"
                       "c) input(line) error(read,EOF) disconnected(eof)");
    host_close(host);
}

static void get_and_set(struct track *track, enum event event)
{
    struct tcpm_filter *input = NULL, *output = NULL;

    if (event != EVENT_SUCCESS)
        return;
    assert_int_equal(tcpm_filter_get(track->session, track->id, &input, &output), 0);
    assert_string_equal(tcpm_filter_name(input), "line");
    assert_ptr_equal(input, output);
    struct tcpm_filter *mqtt = make_filter(1000);
    assert_int_equal(tcpm_filter_set(track->session, track->id, mqtt, NULL), 0);
    tcpm_filter_free(mqtt);
    assert_int_equal(tcpm_filter_get(track->session, track->id, &mqtt, NULL), 0);
    assert_string_equal(tcpm_filter_name(mqtt), "mqtt");
    tcpm_filter_free(mqtt);
    assert_int_equal(tcpm_filter_set(track->session, track->id, input, NULL), 0);
    tcpm_filter_free(input);
    tcpm_filter_free(output);
}

static void test_the_filter_in_use_can_be_set_again(void **state)
{
    struct host *host = *state;
    struct track track = {.hook = get_and_set};
    struct tcpm_filter *input = NULL;

    track_run(host, &track, NULL, "send \"one\\n\"; close");
    assert_log(&track, "initialize success input(one) error(read,EOF) disconnected(eof)");
    assert_int_equal(tcpm_filter_get(track.session, track.id, &input, NULL), -ESTALE);
    assert_null(input);
    assert_string_equal(tcpm_filter_name(NULL), "");
    host_close(host);
}

/* ---- the byte that belongs to the record before ---- */

struct ended {
    char text[64];
};

/* A record ends in CR, and the LF behind it belongs to it. Each says what became of the LF of the
   one before. */
static int get_ended(void *self, const char *bytes, size_t length, struct tcpm_cut *cut)
{
    struct ended *ended = self;
    const char *end = memchr(bytes, '\r', length);

    if (end == NULL)
        return 0;
    snprintf(ended->text, sizeof ended->text, "%.*s %s", (int) (end - bytes), bytes,
             cut->swallowed > 0   ? "came"
             : cut->swallowed < 0 ? "to come"
                                  : "none");
    cut->record = ended->text;
    cut->length = strlen(ended->text);
    cut->used = (size_t) (end - bytes) + 1;
    cut->swallow = '\n';
    return 1;
}

static void go_on(struct track *track, enum event event)
{
    if (event == EVENT_INPUT)
        peer_go(track->user, "go");
}

/* Also where the filter is asked several times before there is a record. */
static void test_it_is_told_what_became_of_the_byte_it_named(void **state)
{
    static const struct tcpm_filter_kind kind = {.size = sizeof kind,
                                                 .name = "ended",
                                                 .self_size = sizeof(struct ended),
                                                 .get_one = get_ended,
                                                 .put = put_packet};
    struct host *host = *state;
    struct track track = {.hook = go_on};
    struct tcpm_session_options options = {.size = sizeof options};

    assert_int_equal(tcpm_filter_custom(&kind, NULL, &options.input_filter), 0);
    struct peer *peer =
        peer_start("send \"a\\r\"; wait go; dribble \"\\nbbb\\rccc\\r\" 20000", NULL);
    track.user = peer;
    track_connect(&track, track_session(host, &options), peer_port(peer));
    tcpm_filter_free(options.input_filter);
    host_run(host);
    assert_log(&track, "initialize success input(a none) input(bbb came) input(ccc none) "
                       "error(read,EOF) disconnected(eof)");
    peer_stop(peer);
    host_close(host);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_packets_come_whole_however_they_are_cut),
    cmocka_unit_test(test_what_is_no_packet_ends_that_connection),
    HOST_TEST(test_it_can_be_switched_to_and_from),
    HOST_TEST(test_the_filter_in_use_can_be_set_again),
    HOST_TEST(test_it_is_told_what_became_of_the_byte_it_named),
};

RUN_TESTS(tests)
