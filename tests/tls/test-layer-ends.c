/* SPDX-License-Identifier: MIT */
/*
 * How a stream over TLS can end, as the layer tells it: the text before comes first, then the end,
 * which needs no further read of the socket where it came with the text.
 */
#include "layer_bed.h"

#include "sealer.h"

/* ---- the server's end ---- */

static void close_notify(struct bed *bed)
{
    SSL_shutdown(bed->server);
    bed_give(bed);
}

static void test_T22_T23_close_notify_is_the_end(void **state)
{
    struct bed bed;

    (void) state;
    for (int with_fin = 0; with_fin < 2; with_fin++) {
        for (int at_once = 0; at_once < 2; at_once++) {
            bed_open(&bed, NULL);
            bed_say(&bed, "bye", 3);
            if (!at_once) {
                bed_give(&bed);
                bed_expect(&bed, "bye");
                assert_int_equal(bed_code(&bed), -EAGAIN);
            }
            close_notify(&bed);
            if (with_fin)
                bed_fin(&bed);
            if (at_once)
                bed_expect(&bed, "bye");
            assert_true(bed.socket.readable);
            int receives = shim.receives;
            assert_int_equal(bed_code(&bed), 0);
            assert_int_equal(shim.receives, receives + !at_once);
            assert_string_equal(bed_reason(&bed), "none");
            assert_int_equal(bed_code(&bed), 0); /* told again */
            bed_end(&bed);
        }
    }
}

/* The wire of text and close_notify is read; what the socket says then is not asked. */
static void test_T24_RST_behind_close_notify_is_no_error(void **state)
{
    struct bed bed;

    (void) state;
    bed_open(&bed, NULL);
    bed_say(&bed, "bye", 3);
    close_notify(&bed);
    bed_expect(&bed, "bye");
    bed_rst(&bed);
    assert_int_equal(bed_code(&bed), 0);
    bed_end(&bed);
}

static void test_T25_FIN_alone_is_a_truncation(void **state)
{
    struct bed bed;

    (void) state;
    bed_open(&bed, NULL);
    bed_say_and_give(&bed, "bye");
    bed_fin(&bed);
    bed_expect(&bed, "bye");
    bed.socket.readable = true;
    assert_int_equal(bed_code(&bed), TCPM_ETRUNCATED);
    assert_string_equal(bed_reason(&bed), "FIN without close_notify");
    bed_end(&bed);
}

static void test_T26_half_a_record_and_FIN_is_a_truncation(void **state)
{
    struct bed bed;

    (void) state;
    for (size_t part = 1; part < 30; part += 7) {
        size_t length;

        bed_open(&bed, NULL);
        bed_say(&bed, "half a record", 13);
        char *wire = bed_take(&bed, &length);
        assert_true(length > 30);
        bed_write(&bed, wire, part);
        free(wire);
        assert_int_equal(bed_code(&bed), -EINPROGRESS);
        bed_fin(&bed);
        assert_int_equal(bed_code(&bed), TCPM_ETRUNCATED);
        bed_end(&bed);
    }
}

static void test_T27_RST_is_told_by_the_socket(void **state)
{
    struct bed bed;

    (void) state;
    bed_open(&bed, NULL);
    bed_say_and_give(&bed, "bye");
    bed_expect(&bed, "bye");
    bed_rst(&bed);
    assert_int_equal(bed_code(&bed), -ECONNRESET);
    assert_string_equal(bed_reason(&bed), "none");
    bed_end(&bed);
}

static void test_T28_a_truncation_that_is_allowed_is_an_end(void **state)
{
    struct bed_options options = {.tls = {.allow_truncation = 1}};
    struct bed bed;

    (void) state;
    bed_open(&bed, &options);
    bed_say_and_give(&bed, "bye");
    bed_expect(&bed, "bye");
    bed_fin(&bed);
    assert_int_equal(bed_code(&bed), 0);
    assert_string_equal(bed_reason(&bed), "none");
    bed_end(&bed);
}

/* nginx ends so after our close_notify: the text tells the two apart. */
static void test_T53_a_truncation_after_our_end_says_so(void **state)
{
    struct bed bed;

    (void) state;
    bed_open(&bed, NULL);
    assert_int_equal(bed_finish(&bed), 1);
    bed_say_and_give(&bed, "the answer");
    bed_expect(&bed, "the answer");
    bed_fin(&bed);
    assert_int_equal(bed_code(&bed), TCPM_ETRUNCATED);
    assert_string_equal(bed_reason(&bed), "FIN without close_notify, after ours");
    bed_end(&bed);
}

/* ---- records that are none ---- */

static void say_and_spoil(struct bed *bed, void (*spoil)(struct bed *bed))
{
    bed_say(bed, "good", 4);
    spoil(bed);
    bed_expect(bed, "good");
    assert_true(bed->socket.readable);
    int receives = shim.receives, sends = shim.sends;
    assert_int_equal(bed_code(bed), TCPM_ETLS);
    assert_string_not_equal(bed_reason(bed), "none");
    assert_int_equal(shim.receives, receives);
    assert_int_equal(shim.sends, sends);
}

/* Sends the server's wire, with other bytes behind it. */
static void give_with(struct bed *bed, const char *more, size_t more_length)
{
    size_t length;
    char *wire = bed_take(bed, &length), *all = malloc(length + more_length);

    memcpy(all, wire, length);
    memcpy(all + length, more, more_length);
    bed_write(bed, all, length + more_length);
    free(all);
    free(wire);
}

static void change_a_bit(struct bed *bed)
{
    size_t first, length;
    char *good = bed_take(bed, &first);

    bed_say(bed, "bad record", 10);
    char *wire = bed_take(bed, &length), *all = malloc(first + length);

    memcpy(all, good, first);
    memcpy(all + first, wire, length);
    all[first + length - 1] ^= 1;
    bed_write(bed, all, first + length);
    free(all);
    free(wire);
    free(good);
}

static void use_a_type_that_is_none(struct bed *bed)
{
    give_with(bed, "\x63\x03\x03\x00\x04text", 9);
}

static void alert_in_plain_text(struct bed *bed)
{
    give_with(bed, "\x15\x03\x03\x00\x02\x02\x0a", 7);
}

static void send_garbage(struct bed *bed)
{
    char garbage[100];
    struct randomness random = {99};

    for (size_t i = 0; i < sizeof garbage; i++)
        garbage[i] = (char) (random_next(&random) | 0x80);
    give_with(bed, garbage, sizeof garbage);
}

static void test_T30_what_is_no_record_is_told_behind_the_records_before_it(void **state)
{
    static void (*const spoils[])(struct bed * bed) = {change_a_bit, use_a_type_that_is_none,
                                                       alert_in_plain_text, send_garbage};
    const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    struct bed bed;

    (void) state;
    for (size_t v = 0; v < COUNT(versions); v++) {
        for (size_t i = 0; i < COUNT(spoils); i++) {
            struct bed_options options = {.version = versions[v]};

            bed_open(&bed, &options);
            say_and_spoil(&bed, spoils[i]);
            bed_end(&bed);
        }
    }
}

/* The server learns why. */
static void test_T30_after_a_bad_record_our_alert_is_sent(void **state)
{
    struct bed bed;
    char text[8];

    (void) state;
    bed_open(&bed, NULL);
    bed_fetch(&bed);
    say_and_spoil(&bed, change_a_bit);
    bed_await_server(&bed, 1);
    assert_true(SSL_read(bed.server, text, sizeof text) <= 0);
    assert_int_equal(SSL_R_SSLV3_ALERT_BAD_RECORD_MAC, ERR_GET_REASON(ERR_peek_last_error()));
    bed_end(&bed);
}

/* ---- messages that cost work ---- */

static void update_keys(struct bed *bed, int kind)
{
    assert_int_equal(SSL_key_update(bed->server, kind), 1);
    assert_int_equal(SSL_do_handshake(bed->server), 1);
}

static void test_T45_key_updates_without_data_end_it(void **state)
{
    const int kinds[] = {SSL_KEY_UPDATE_NOT_REQUESTED, SSL_KEY_UPDATE_REQUESTED};
    struct bed bed;

    (void) state;
    for (size_t i = 0; i < COUNT(kinds); i++) {
        bed_open(&bed, NULL);
        for (int updates = 0; updates < 1000; updates++)
            update_keys(&bed, kinds[i]);
        bed_give(&bed);
        assert_int_equal(bed_code(&bed), TCPM_ETLS);
        assert_non_null(strstr(bed_reason(&bed), "too many messages"));
        bed_end(&bed);
    }
}

static void test_T45_key_updates_with_data_between_them_are_fine(void **state)
{
    static char text[16384];
    struct bed bed;

    (void) state;
    bed_open(&bed, NULL);
    for (int i = 0; i < 3; i++) { /* all in one slice */
        for (int updates = 0; updates < 64; updates++)
            update_keys(&bed, SSL_KEY_UPDATE_NOT_REQUESTED);
        bed_say(&bed, "x", 1);
    }
    bed_give(&bed);
    bed_expect(&bed, "xxx");
    for (int updates = 0; updates < 64; updates++) {
        update_keys(&bed, SSL_KEY_UPDATE_REQUESTED);
        bed_say(&bed, text, sizeof text);
        bed_give(&bed);
        for (size_t got = 0; got < sizeof text;) {
            ssize_t length = bed_code(&bed);

            if (length == -EAGAIN)
                bed_await_client(&bed);
            else if (length != -EINPROGRESS)
                got += (size_t) length;
            assert_true(length > 0 || length == -EAGAIN || length == -EINPROGRESS);
        }
    }
    assert_int_equal(bed_send(&bed, "hello", 5), 5);
    bed_server_gets(&bed, "hello");
    bed_end(&bed);
}

/* A server that insists ends the connection itself. */
static void test_T44_a_new_handshake_is_refused(void **state)
{
    struct bed_options options = {.version = TLS1_2_VERSION};
    struct bed bed;
    char text[8];

    (void) state;
    bed_open(&bed, &options);
    assert_int_equal(SSL_renegotiate(bed.server), 1);
    SSL_do_handshake(bed.server);
    bed_give(&bed);
    assert_int_equal(bed_code(&bed), -EINPROGRESS);
    bed_await_server(&bed, 1);
    assert_true(SSL_read(bed.server, text, sizeof text) <= 0);
    assert_int_equal(ERR_GET_REASON(ERR_peek_last_error()), SSL_R_NO_RENEGOTIATION);
    bed_give(&bed);
    assert_int_equal(bed_code(&bed), TCPM_ETLS);
    assert_string_equal(bed_reason(&bed), "handshake failure, sent by the peer");
    bed_end(&bed);
}

static void test_T46_records_of_one_byte_end_the_round(void **state)
{
    enum { RECORDS = 65536 };
    struct bed bed;
    size_t got = 0, ended = 0;
    char *wire, *text;
    size_t length, given = 0;

    (void) state;
    bed_open(&bed, NULL);
    for (int i = 0; i < RECORDS; i++)
        bed_say(&bed, &(char){(char) i}, 1);
    wire = bed_take(&bed, &length);
    while (got < RECORDS) {
        size_t part = length - given < 32768 ? length - given : 32768;

        if (part > 0)
            bed_write(&bed, wire + given, part);
        given += part;
        if (part > 0)
            bed_await_client(&bed);
        else
            tcpm__network_begin_turn(&bed.network); /* the layer has kept the rest */
        ssize_t read = bed_read(&bed, &text);
        assert_true(read > 0);
        for (ssize_t i = 0; i < read; i++)
            assert_int_equal((unsigned char) text[i], (unsigned char) (got + (size_t) i));
        got += (size_t) read;
        if (read >= 1024) {
            tcpm__socket_mark_readable(&bed.socket);
            assert_int_equal(tcpm__stream_read(bed.layer, &bed.network, &bed.socket, &text),
                             -EBUSY);
            ended++;
        }
    }
    assert_true(ended > 10);
    free(wire);
    bed_end(&bed);
}

static unsigned char secret[SEALER_SECRET];
static long secret_length;

static void keep_secret(const SSL *ssl, const char *line)
{
    (void) ssl;
    if (strncmp(line, "SERVER_TRAFFIC_SECRET_0 ", 24) != 0)
        return;
    unsigned char *bytes = OPENSSL_hexstr2buf(strrchr(line, ' ') + 1, &secret_length);

    assert_true(bytes != NULL && secret_length <= SEALER_SECRET);
    memcpy(secret, bytes, (size_t) secret_length);
    OPENSSL_free(bytes);
}

/* OpenSSL has a bound of its own: 32. The server's records before these are its two tickets. */
static ssize_t send_empty_records(struct bed *bed, int count)
{
    struct bed_options options = {.version = TLS1_3_VERSION};
    unsigned char wire[64 * SEALER_OVERHEAD];
    struct sealer sealer;
    size_t length = 0;

    bed_begin(bed, &options);
    SSL_CTX_set_keylog_callback(bed->context, keep_secret);
    assert_int_equal(bed_shake(bed), 1);
    bed_settle(bed);
    assert_int_equal(sealer_open(&sealer, bed->server, secret, (size_t) secret_length, 2), 0);
    for (int i = 0; i < count; i++)
        length += sealer_seal(&sealer, SSL3_RT_APPLICATION_DATA, "", 0, wire + length);
    sealer_close(&sealer);
    bed_write(bed, wire, length);
    return bed_code(bed);
}

static void test_T47_records_without_text_end_it(void **state)
{
    struct bed bed;

    (void) state;
    assert_int_equal(send_empty_records(&bed, 32), -EINPROGRESS);
    bed_end(&bed);
    assert_int_equal(send_empty_records(&bed, 33), TCPM_ETLS);
    assert_string_equal(bed_reason(&bed), "record too small");
    bed_end(&bed);
}

/* ---- our end ---- */

static void test_T52_our_end_right_after_success_reaches_the_peer(void **state)
{
    struct bed bed;
    char text[8];

    (void) state;
    bed_begin(&bed, NULL);
    assert_int_equal(bed_shake(&bed), 1);
    int sends = shim.sends;
    assert_int_equal(bed_send(&bed, "bye", 3), 3);
    assert_int_equal(bed_finish(&bed), 1);
    assert_int_equal(bed_finish(&bed), 1); /* once */
    assert_int_equal(shim.sends, sends + 2);
    bed_server_gets(&bed, "bye");
    assert_int_equal(SSL_read(bed.server, text, sizeof text), 0);
    assert_int_equal(SSL_get_error(bed.server, 0), SSL_ERROR_ZERO_RETURN);
    bed_end(&bed);
    bed_begin(&bed, NULL);
    assert_int_equal(bed_shake(&bed), 1);
    assert_int_equal(bed_finish(&bed), 1);
    bed_await_server(&bed, 1);
    assert_int_equal(SSL_read(bed.server, text, sizeof text), 0);
    assert_int_equal(SSL_get_error(bed.server, 0), SSL_ERROR_ZERO_RETURN);
    bed_end(&bed);
}

/* After the peer's close_notify our side goes on. */
static void test_half_open_the_other_way(void **state)
{
    struct bed bed;

    (void) state;
    bed_open(&bed, NULL);
    close_notify(&bed);
    assert_int_equal(bed_code(&bed), 0);
    assert_int_equal(bed_send(&bed, "more", 4), 4);
    bed_server_gets(&bed, "more");
    bed_end(&bed);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_T22_T23_close_notify_is_the_end),
    cmocka_unit_test(test_T24_RST_behind_close_notify_is_no_error),
    cmocka_unit_test(test_T25_FIN_alone_is_a_truncation),
    cmocka_unit_test(test_T26_half_a_record_and_FIN_is_a_truncation),
    cmocka_unit_test(test_T27_RST_is_told_by_the_socket),
    cmocka_unit_test(test_T28_a_truncation_that_is_allowed_is_an_end),
    cmocka_unit_test(test_T30_what_is_no_record_is_told_behind_the_records_before_it),
    cmocka_unit_test(test_T30_after_a_bad_record_our_alert_is_sent),
    cmocka_unit_test(test_T44_a_new_handshake_is_refused),
    cmocka_unit_test(test_T45_key_updates_without_data_end_it),
    cmocka_unit_test(test_T45_key_updates_with_data_between_them_are_fine),
    cmocka_unit_test(test_T46_records_of_one_byte_end_the_round),
    cmocka_unit_test(test_T47_records_without_text_end_it),
    cmocka_unit_test(test_T52_our_end_right_after_success_reaches_the_peer),
    cmocka_unit_test(test_T53_a_truncation_after_our_end_says_so),
    cmocka_unit_test(test_half_open_the_other_way),
};

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, bed_make_authority, bed_free_authority);
}
