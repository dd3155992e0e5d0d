/* SPDX-License-Identifier: MIT */
/*
 * The handshake of the layer of TLS: flights, what goes together, who is refused and why, and what
 * is known afterwards.
 */
#include "layer_bed.h"

#define VERSIONS                       \
    {                                  \
        TLS1_2_VERSION, TLS1_3_VERSION \
    }

static void test_T01_the_chain_is_verified_and_known(void **state)
{
    const int versions[] = VERSIONS;
    struct tcpm_tls_info info;
    struct tcpm_certificate certificate;
    struct bed bed;

    (void) state;
    for (size_t i = 0; i < COUNT(versions); i++) {
        struct bed_options options = {.version = versions[i]};
        char *strings = NULL;

        bed_begin(&bed, &options);
        assert_true(tcpm__layer_is_tls(bed.layer));
        assert_false(tcpm__layer_is_tls(NULL));
        tcpm__tls_get(bed.layer, &info);
        assert_int_equal(info.verified, 0);
        assert_int_equal(info.certificates, 0);
        size_t account = tcpm__tls_account(bed.layer);
        assert_int_equal(bed_shake(&bed), 1);
        bed_settle(&bed);
        tcpm__tls_get(bed.layer, &info);
        assert_string_equal(info.version, i == 0 ? "TLSv1.2" : "TLSv1.3");
        assert_string_equal(info.server_name, "peer.test");
        assert_non_null(info.cipher);
        assert_null(info.alpn);
        assert_null(info.problem);
        assert_int_equal(info.verified, 1);
        assert_int_equal(info.resumed, 0);
        assert_int_equal(info.certificates, 2);
        assert_true(tcpm__tls_account(bed.layer) < account);
        assert_int_equal(tcpm__tls_get_certificate(bed.layer, 1, &strings, &certificate), 1);
        assert_int_equal(tcpm__tls_get_certificate(bed.layer, 0, &strings, &certificate), 1);
        assert_non_null(strstr(certificate.sans, "DNS:peer.test"));
        assert_int_equal(tcpm__tls_get_certificate(bed.layer, 2, &strings, &certificate), 0);
        tcpm__memory_free(&bed.scarce.memory, strings);
        bed_end(&bed);
    }
}

/* The server sees the alert; not a byte of text leaves. */
static void test_T02_a_bad_certificate_is_refused_with_a_reason_and_an_alert(void **state)
{
    static const struct {
        const char *certificate, *word;
    } cases[] = {{"self-signed", "self-signed"},
                 {"expired", "expired"},
                 {"unknown-authority", "unknown authority"},
                 {"wrong-host", "host mismatch"}};
    struct bed bed;
    char text[8];

    (void) state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct bed_options options = {.certificate = cases[i].certificate};
        struct tcpm_certificate certificate;
        struct tcpm_tls_info info;
        char *strings = NULL;

        bed_begin(&bed, &options);
        assert_int_equal(bed_shake(&bed), TCPM_ECERT);
        assert_non_null(strstr(bed_reason(&bed), cases[i].word));
        tcpm__tls_get(bed.layer, &info);
        assert_string_equal(info.problem, cases[i].word);
        assert_int_equal(info.verified, 0);
        assert_true(info.certificates > 0);
        assert_int_equal(tcpm__tls_get_certificate(bed.layer, 0, &strings, &certificate),
                         1); /* T18 */
        tcpm__memory_free(&bed.scarce.memory, strings);
        bed_await_server(&bed, 1);
        assert_true(SSL_read(bed.server, text, sizeof text) <= 0);
        assert_true((SSL_get_shutdown(bed.server) & SSL_RECEIVED_SHUTDOWN) != 0);
        bed_end(&bed);
    }
}

static void test_T15_without_verification_the_problems_are_told_all_the_same(void **state)
{
    struct bed_options options = {.certificate = "expired-wrong-host", .tls = {.no_verify = 1}};
    struct tcpm_tls_info info;
    struct bed bed;

    (void) state;
    bed_open(&bed, &options);
    tcpm__tls_get(bed.layer, &info);
    assert_int_equal(info.verified, 0);
    assert_int_equal(info.problems, TCPM_PROBLEM_EXPIRED | TCPM_PROBLEM_HOST_MISMATCH);
    assert_string_equal(info.problem, "expired");
    bed_say_and_give(&bed, "hello");
    bed_expect(&bed, "hello");
    bed_end(&bed);
}

static void test_T12_an_address_is_verified_and_not_sent_as_a_name(void **state)
{
    struct bed_options options = {.certificate = "ip", .server_name = "127.0.0.1"};
    struct bed bed;

    (void) state;
    bed_open(&bed, &options);
    assert_null(SSL_get_servername(bed.server, TLSEXT_NAMETYPE_host_name));
    bed_end(&bed);
    options.certificate = "ip-as-name";
    bed_begin(&bed, &options);
    assert_int_equal(bed_shake(&bed), TCPM_ECERT);
    bed_end(&bed);
    bed_open(&bed, NULL);
    assert_string_equal(SSL_get_servername(bed.server, TLSEXT_NAMETYPE_host_name), "peer.test");
    bed_end(&bed);
}

static void test_T19_the_first_text_goes_in_one_send_with_Finished(void **state)
{
    struct bed bed;
    struct bed_options options = {.version = TLS1_3_VERSION};

    (void) state;
    bed_begin(&bed, &options);
    assert_int_equal(bed_shake(&bed), 1);
    assert_int_equal(shim.sends, 1);
    assert_int_equal(bed_fetch(&bed), 0);
    assert_int_equal(bed_send(&bed, "GET /", 5), 5);
    assert_int_equal(shim.sends, 2);
    assert_null(bed.layer->wire);
    bed_server_gets(&bed, "GET /");
    assert_int_equal(SSL_is_init_finished(bed.server), 1);
    bed_end(&bed);
}

static void test_T19_without_text_Finished_leaves_by_a_send_of_nothing(void **state)
{
    struct bed bed;
    struct bed_options options = {.version = TLS1_3_VERSION};

    (void) state;
    bed_begin(&bed, &options);
    assert_int_equal(bed_shake(&bed), 1);
    assert_true(tcpm__stream_holds_wire(bed.layer));
    assert_int_equal(tcpm__stream_unsent(bed.layer), 0);
    assert_int_equal(bed_send(&bed, "", 0), 0);
    assert_false(tcpm__stream_holds_wire(bed.layer));
    bed_await_server(&bed, 1);
    assert_int_equal(SSL_do_handshake(bed.server), 1);
    bed_end(&bed);
}

/* In TLS 1.2 the server has the last word. */
static void test_T21_data_in_the_segment_of_Finished_is_kept_for_the_first_read(void **state)
{
    struct bed bed;
    struct bed_options options = {.version = TLS1_2_VERSION};

    (void) state;
    bed_begin(&bed, &options);
    assert_int_equal(bed_handshake(&bed), 0);
    bed_await_server(&bed, 1);
    SSL_do_handshake(bed.server);
    bed_give(&bed);
    assert_int_equal(bed_handshake(&bed), 0);
    bed_await_server(&bed, 1);
    assert_int_equal(SSL_do_handshake(bed.server), 1);
    bed_say(&bed, "220 ", 4);
    bed_say(&bed, "hello", 5);
    SSL_shutdown(bed.server);
    bed_give(&bed);
    assert_int_equal(bed_handshake(&bed), 1);
    assert_true(bed.socket.readable);
    int receives = shim.receives;
    size_t wire = tcpm__buffer_length(bed.layer->wire);
    assert_true(tcpm__stream_kept(bed.layer) > wire + 9); /* what came behind Finished */
    bed_expect(&bed, "220 hello");
    assert_int_equal(tcpm__stream_kept(bed.layer), wire);
    assert_true(bed.socket.readable);
    assert_int_equal(bed_code(&bed), 0);
    assert_int_equal(shim.receives, receives);
    bed_end(&bed);
}

/* The server may speak before it has the client's Finished. */
static void test_T20_a_server_that_speaks_first_loses_nothing(void **state)
{
    struct bed bed;
    struct bed_options options = {.version = TLS1_3_VERSION};
    size_t written;

    (void) state;
    bed_begin(&bed, &options);
    assert_int_equal(bed_handshake(&bed), 0);
    bed_await_server(&bed, 1);
    SSL_set_max_early_data(bed.server, 1000);
    unsigned char early[8];
    assert_int_equal(SSL_read_early_data(bed.server, early, sizeof early, &written),
                     SSL_READ_EARLY_DATA_FINISH);
    assert_int_equal(SSL_write_early_data(bed.server, "220 hello", 9, &written), 1);
    bed_give(&bed);
    assert_int_equal(bed_handshake(&bed), 1);
    bed_expect(&bed, "220 hello");
    bed_end(&bed);
}

static void test_T31_what_is_no_ServerHello_fails_at_once(void **state)
{
    static char zeros[16384], noise[200000];
    static const struct {
        const char *bytes;
        size_t length;
    } cases[] = {{"HTTP/1.1 400 Bad Request\r\n\r\n", 28},
                 {"SSH-2.0-OpenSSH_9.2\r\n", 21},
                 {zeros, sizeof zeros},
                 {noise, sizeof noise}};
    struct randomness random = {7};
    struct bed bed;

    (void) state;
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (char) random_next(&random);
    for (size_t i = 0; i < COUNT(cases); i++) {
        bed_begin(&bed, NULL);
        assert_int_equal(bed_handshake(&bed), 0);
        bed_write(&bed, cases[i].bytes, cases[i].length);
        assert_int_equal(bed_handshake(&bed), TCPM_ETLS);
        assert_string_not_equal(bed_reason(&bed), "none");
        assert_true(shim.received <= 65536);
        bed_end(&bed);
    }
}

/* Halfway: the client has a part of the server's flight already. */
static void begin_and_hear(struct bed *bed, bool halfway)
{
    size_t length;
    char *flight;

    bed_begin(bed, NULL);
    assert_int_equal(bed_handshake(bed), 0);
    bed_await_server(bed, 1);
    SSL_do_handshake(bed->server);
    flight = bed_take(bed, &length);
    if (halfway) {
        bed_write(bed, flight, length / 2);
        assert_int_equal(bed_handshake(bed), 0);
    }
    free(flight);
}

static void test_T32_FIN_RST_and_an_alert_in_the_handshake(void **state)
{
    struct bed bed;

    (void) state;
    for (int halfway = 0; halfway < 2; halfway++) {
        begin_and_hear(&bed, halfway);
        bed_fin(&bed);
        assert_int_equal(bed_handshake(&bed), TCPM_EOF);
        assert_string_equal(bed_reason(&bed), "none");
        bed_end(&bed);
        begin_and_hear(&bed, halfway);
        bed_rst(&bed);
        assert_int_equal(bed_handshake(&bed), -ECONNRESET);
        assert_string_equal(bed_reason(&bed), "none");
        bed_end(&bed);
    }
    begin_and_hear(&bed, false);
    bed_write(&bed, "\x15\x03\x03\x00\x02\x02\x28", 7);
    assert_int_equal(bed_handshake(&bed), TCPM_ETLS);
    assert_string_equal(bed_reason(&bed), "handshake failure, sent by the peer");
    bed_end(&bed);
}

static void test_T34_versions_that_do_not_meet_are_an_alert_of_the_peer(void **state)
{
    struct bed_options options = {.version = TLS1_2_VERSION, .tls = {.min_version = 0x0304}};
    struct bed bed;

    (void) state;
    bed_begin(&bed, &options);
    assert_int_equal(bed_shake(&bed), TCPM_ETLS);
    assert_string_equal(bed_reason(&bed), "protocol version, sent by the peer");
    bed_end(&bed);
}

static void test_T37_the_protocol_that_the_server_has_chosen(void **state)
{
    struct bed_options options = {.tls = {.alpn = "h2,http/1.1"}, .alpn = "http/1.1"};
    struct tcpm_tls_info info;
    struct bed bed;

    (void) state;
    bed_open(&bed, &options);
    tcpm__tls_get(bed.layer, &info);
    assert_string_equal(info.alpn, "http/1.1");
    bed_end(&bed);
    options.alpn = NULL;
    bed_open(&bed, &options);
    tcpm__tls_get(bed.layer, &info);
    assert_null(info.alpn);
    bed_end(&bed);
}

/* Also where the first connection has ended without close_notify. */
static void test_T40_the_second_connection_resumes_the_session_of_the_first(void **state)
{
    const int versions[] = VERSIONS;
    struct tcpm_tls_info info;
    struct bed bed;

    (void) state;
    for (size_t i = 0; i < COUNT(versions); i++) {
        struct bed_options options = {.version = versions[i]};

        bed_open(&bed, &options);
        assert_false(tcpm__tls_is_resumed(bed.layer));
        bed_connect_again(&bed);
        assert_int_equal(bed_shake(&bed), 1);
        bed_settle(&bed);
        tcpm__tls_get(bed.layer, &info);
        assert_int_equal(info.resumed, 1);
        assert_int_equal(info.verified, 1);
        assert_int_equal(info.certificates, 2);
        bed_say_and_give(&bed, "hello");
        bed_expect(&bed, "hello");
        bed_end(&bed);
    }
}

/* TLS 1.3 tells it after the client's success. */
static void test_T38_a_certificate_that_the_server_wants_and_does_not_get(void **state)
{
    struct bed_options options = {.version = TLS1_3_VERSION, .asks_certificate = true};
    struct bed bed;

    (void) state;
    bed_begin(&bed, &options);
    assert_int_equal(bed_shake(&bed), 1);
    assert_int_equal(bed_send(&bed, "", 0), 0);
    bed_await_server(&bed, 1);
    assert_int_equal(SSL_do_handshake(bed.server), -1);
    bed_give(&bed);
    assert_int_equal(bed_code(&bed), TCPM_ETLS);
    assert_string_equal(bed_reason(&bed), "certificate required, sent by the peer");
    bed_end(&bed);
    options.version = TLS1_2_VERSION;
    bed_begin(&bed, &options);
    assert_int_equal(bed_shake(&bed), TCPM_ETLS);
    assert_string_equal(bed_reason(&bed), "handshake failure, sent by the peer");
    bed_end(&bed);
}

/* A client of one version, byte by byte in both directions. */
static void test_T50_a_handshake_byte_by_byte(void **state)
{
    const int versions[] = VERSIONS;
    struct bed bed;

    (void) state;
    for (size_t i = 0; i < COUNT(versions); i++) {
        struct bed_options options = {.version = versions[i]};

        bed_begin(&bed, &options);
        shim.most = 1;
        assert_int_equal(bed_shake(&bed), 1);
        bed_settle(&bed);
        assert_int_equal(bed_send(&bed, "hello", 5), 5);
        bed_server_gets(&bed, "hello");
        bed_end(&bed);
    }
}

/* A peer's alert is told, though the client could not send. */
static void test_a_write_error_counts_only_when_nothing_is_left_to_read(void **state)
{
    struct bed bed;

    (void) state;
    bed_begin(&bed, NULL);
    shim.failure = EPIPE;
    assert_int_equal(bed_handshake(&bed), -EPIPE);
    assert_string_equal(bed_reason(&bed), "none");
    bed_end(&bed);
    bed_begin(&bed, NULL);
    bed_write(&bed, "\x15\x03\x03\x00\x02\x02\x28", 7);
    shim.failure = EPIPE;
    assert_int_equal(bed_handshake(&bed), TCPM_ETLS);
    assert_string_equal(bed_reason(&bed), "handshake failure, sent by the peer");
    bed_end(&bed);
}

static void test_a_blocked_flight_is_kept_and_goes_on(void **state)
{
    struct bed bed;
    int result = 0;

    (void) state;
    bed_begin(&bed, NULL);
    for (int turns = 0; result == 0 && turns < 1000; turns++) {
        shim.room = 40;
        result = bed_handshake(&bed);
        if (bed.socket.blocked)
            assert_non_null(bed.layer->wire);
        bed.socket.blocked = false;
        bed_fetch(&bed);
        SSL_do_handshake(bed.server);
        bed_give(&bed);
    }
    assert_int_equal(result, 1);
    shim.room = SIZE_MAX;
    bed_settle(&bed);
    bed_say_and_give(&bed, "hello");
    bed_expect(&bed, "hello");
    bed_end(&bed);
}

/* The host has entries of its own in OpenSSL's queue of errors. */
static void test_T67_foreign_errors_in_the_queue_have_no_effect(void **state)
{
    struct bed bed;

    (void) state;
    bed_begin(&bed, NULL);
    ERR_raise(ERR_LIB_USER, 1);
    assert_int_equal(bed_handshake(&bed), 0);
    bed_await_server(&bed, 1);
    SSL_do_handshake(bed.server);
    bed_give(&bed);
    ERR_raise(ERR_LIB_USER, 1);
    assert_int_equal(bed_handshake(&bed), 1);
    ERR_clear_error();
    bed_settle(&bed);
    bed_say(&bed, "hello", 5);
    bed_give(&bed);
    ERR_raise(ERR_LIB_SSL, SSL_R_CERTIFICATE_VERIFY_FAILED);
    bed_expect(&bed, "hello");
    assert_int_equal(bed_code(&bed), -EAGAIN);
    SSL_shutdown(bed.server);
    bed_give(&bed);
    ERR_raise(ERR_LIB_SSL, SSL_R_CERTIFICATE_VERIFY_FAILED);
    assert_int_equal(bed_code(&bed), 0);
    assert_string_equal(bed_reason(&bed), "none");
    assert_int_equal(bed_send(&bed, "bye", 3), 3);
    assert_int_equal(bed_finish(&bed), 1);
    bed_end(&bed);
}

/* A connection that works from open to end, however memory fails. */
static int live(struct bed *bed)
{
    int result = bed_shake(bed);

    if (result != 1)
        return result;
    bed_fetch(bed);
    if (bed_send(bed, "x", 1) != 1)
        return -ENOMEM;
    bed_await_server(bed, 1);
    SSL_do_handshake(bed->server);
    bed_say(bed, "hello", 5);
    bed_give(bed);

    ssize_t length = bed_code(bed);

    return length == 5 ? 1 : (int) length;
}

static void test_T66_each_allocation_of_ours_fails_in_turn(void **state)
{
    struct bed_options options = {.tls = {.alpn = "h2"}, .alpn = "h2", .version = TLS1_2_VERSION};
    struct bed bed;
    int failures = 0;

    (void) state;
    for (long left = 0;; left++) {
        struct tcpm__layer *layer = NULL;

        bed_begin(&bed, &options);
        tcpm__layer_free(bed.layer);
        bed.layer = NULL;
        tcpm__memory_free(&bed.scarce.memory, bed.network.wire_buffer);
        bed.network.wire_buffer = NULL;
        bed.scarce.left = left;
        int result = tcpm__tls_open(&bed.network, bed.spec, "peer.test", 443, &layer);
        bed.layer = layer;
        if (result == 0)
            result = live(&bed);
        bool has_failed = bed.scarce.left < 0;
        bed_end(&bed);
        if (!has_failed) {
            assert_int_equal(result, 1);
            break;
        }
        assert_true(result == -ENOMEM ||
                    result == 1); /* a session that is not kept is no failure */
        failures += result < 0;
    }
    assert_true(failures >= 3);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_T01_the_chain_is_verified_and_known),
    cmocka_unit_test(test_T02_a_bad_certificate_is_refused_with_a_reason_and_an_alert),
    cmocka_unit_test(test_T12_an_address_is_verified_and_not_sent_as_a_name),
    cmocka_unit_test(test_T15_without_verification_the_problems_are_told_all_the_same),
    cmocka_unit_test(test_T19_the_first_text_goes_in_one_send_with_Finished),
    cmocka_unit_test(test_T19_without_text_Finished_leaves_by_a_send_of_nothing),
    cmocka_unit_test(test_T20_a_server_that_speaks_first_loses_nothing),
    cmocka_unit_test(test_T21_data_in_the_segment_of_Finished_is_kept_for_the_first_read),
    cmocka_unit_test(test_T31_what_is_no_ServerHello_fails_at_once),
    cmocka_unit_test(test_T32_FIN_RST_and_an_alert_in_the_handshake),
    cmocka_unit_test(test_T34_versions_that_do_not_meet_are_an_alert_of_the_peer),
    cmocka_unit_test(test_T37_the_protocol_that_the_server_has_chosen),
    cmocka_unit_test(test_T38_a_certificate_that_the_server_wants_and_does_not_get),
    cmocka_unit_test(test_T40_the_second_connection_resumes_the_session_of_the_first),
    cmocka_unit_test(test_T50_a_handshake_byte_by_byte),
    cmocka_unit_test(test_T66_each_allocation_of_ours_fails_in_turn),
    cmocka_unit_test(test_T67_foreign_errors_in_the_queue_have_no_effect),
    cmocka_unit_test(test_a_write_error_counts_only_when_nothing_is_left_to_read),
    cmocka_unit_test(test_a_blocked_flight_is_kept_and_goes_on),
};

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, bed_make_authority, bed_free_authority);
}
