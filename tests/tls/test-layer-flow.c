/* SPDX-License-Identifier: MIT */
/*
 * Text through the layer of TLS: batches, a kernel that is full, accounts, and reads and writes of
 * one byte. Both directions are compared byte for byte.
 */
#include "layer_bed.h"

enum { SIZE = 2 << 20 };

static char text[SIZE], back[SIZE];

static void make_text(void)
{
    struct randomness random = {4711};

    for (size_t i = 0; i < SIZE; i += 8) {
        uint64_t bytes = random_next(&random);

        memcpy(text + i, &bytes, 8);
    }
}

/* Reads what the server has got into back, from *got on. */
static void server_reads(struct bed *bed, size_t *got)
{
    int length;

    bed_fetch(bed);
    while (*got < SIZE && (length = SSL_read(bed->server, back + *got, (int) (SIZE - *got))) > 0)
        *got += (size_t) length;
}

/* Sends the next bytes of the text, all of which the kernel takes. Gives the number of system calls
   for them. */
static int sends_for(struct bed *bed, size_t *got, size_t length)
{
    int sends = shim.sends;
    size_t end = *got + length;

    assert_int_equal(bed_send(bed, text + *got, length), length);
    while (*got < end)
        server_reads(bed, got);
    assert_memory_equal(back, text, end);
    return shim.sends - sends;
}

/* How the batches go out: one system call for each, of 64 KiB until the kernel has taken one of
   them whole. */
static void test_a_batch_is_one_send(void **state)
{
    struct bed bed;
    size_t got = 0;

    (void) state;
    make_text();
    bed_open(&bed, NULL);
    assert_int_equal(sends_for(&bed, &got, 262144), 2);
    assert_int_equal(sends_for(&bed, &got, 100), 1);
    assert_int_equal(sends_for(&bed, &got, 262144), 1);
    bed_end(&bed);
}

static void test_a_line_or_a_full_kernel_makes_the_next_batch_small(void **state)
{
    struct bed bed;
    size_t got = 0;

    (void) state;
    make_text();
    bed_open(&bed, NULL);
    assert_int_equal(sends_for(&bed, &got, 100), 1);
    assert_int_equal(sends_for(&bed, &got, 262144), 2);
    shim.room = 1000;
    assert_int_equal(bed_send(&bed, text + got, 20000), 0);
    shim.room = SIZE_MAX;
    bed.socket.blocked = false;
    assert_int_equal(sends_for(&bed, &got, 20000), 1); /* what the kernel lacks */
    assert_int_equal(sends_for(&bed, &got, 262144), 2);
    bed_end(&bed);
}

/* While the kernel is full bytes stay unsent, and come first in the next call. In any call that
   gives n, the records of n bytes of text are wholly in the kernel. */
static void send_against(struct bed *bed, size_t room, size_t size)
{
    size_t sent = 0, got = 0;

    while (sent < size) {
        shim.room = room;
        ssize_t result = bed_send(bed, text + sent, size - sent);

        assert_true(result >= 0);
        sent += (size_t) result;
        assert_int_equal(bed->layer->wire != NULL, bed->socket.blocked);
        assert_true(tcpm__stream_unsent(bed->layer) <= size - sent);
        bed->socket.blocked = false;
        server_reads(bed, &got);
        while (got < sent) { /* loopback may be late */
            bed_await_server(bed, 1);
            server_reads(bed, &got);
        }
        assert_true(got <= sent + tcpm__stream_unsent(bed->layer));
    }
    assert_int_equal(got, size);
    assert_memory_equal(back, text, size);
}

static void test_T49_T57_text_is_sent_when_its_records_are_in_the_kernel(void **state)
{
    const size_t rooms[] = {1, 7, 1000, 16384, 16406, 50000, 100000};
    const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    struct bed bed;

    (void) state;
    make_text();
    for (size_t v = 0; v < COUNT(versions); v++) {
        for (size_t i = 0; i < COUNT(rooms); i++) {
            struct bed_options options = {.version = versions[v]};

            bed_open(&bed, &options);
            send_against(&bed, rooms[i], rooms[i] < 1000 ? 20000 : 600000);
            bed_end(&bed);
        }
    }
}

/* Every byte of the wire is counted once. */
static void test_carried_counts_the_wire(void **state)
{
    struct bed bed;
    uint64_t before;

    (void) state;
    make_text();
    bed_open(&bed, NULL);
    bed_fetch(&bed);
    before = bed.layer->carried;
    assert_int_equal(bed_send(&bed, text, 100), 100);
    assert_int_equal(bed.layer->carried, before + 100 + 22);
    shim.room = 1000;
    assert_int_equal(bed_send(&bed, text, 20000), 0);
    assert_int_equal(tcpm__stream_unsent(bed.layer), 20000);
    assert_int_equal(bed.layer->carried, before + 122 + 1000);
    shim.room = 16384 + 22 - 1000;
    assert_int_equal(bed_send(&bed, text, 20000), 16384);
    assert_int_equal(tcpm__stream_unsent(bed.layer), 3616);
    shim.room = SIZE_MAX;
    assert_int_equal(bed_send(&bed, text + 16384, 3616), 3616);
    assert_int_equal(bed.layer->carried, before + 122 + 20000 + 44);
    bed_end(&bed);
}

/* An answer of TLS itself goes behind the records that wait, and is no text. */
static void test_an_answer_to_a_key_update_waits_behind_records(void **state)
{
    struct bed bed;
    size_t got = 0;

    (void) state;
    make_text();
    bed_open(&bed, NULL);
    shim.room = 100;
    assert_int_equal(bed_send(&bed, text, 40000), 0);
    assert_int_equal(SSL_key_update(bed.server, SSL_KEY_UPDATE_REQUESTED), 1);
    assert_int_equal(SSL_do_handshake(bed.server), 1);
    bed_say_and_give(&bed, "hello");
    bed_expect(&bed, "hello");
    assert_int_equal(tcpm__stream_unsent(bed.layer), 40000);
    shim.room = 20000;
    assert_int_equal(bed_send(&bed, text, 40000), 16384);
    shim.room = SIZE_MAX;
    assert_int_equal(bed_send(&bed, text + 16384, 40000 - 16384), 40000 - 16384);
    assert_null(bed.layer->wire);
    assert_int_equal(bed_send(&bed, text + 40000, 100), 100);
    while (got < 40100)
        server_reads(&bed, &got);
    assert_memory_equal(back, text, 40100);
    bed_end(&bed);
}

/* Also where the kernel has room again, and the event that tells so is still to come. */
static void test_an_alert_waits_behind_records(void **state)
{
    struct bed_options options = {.version = TLS1_2_VERSION};
    struct bed bed;
    size_t got = 0;

    (void) state;
    make_text();
    bed_open(&bed, &options);
    shim.room = 100;
    assert_int_equal(bed_send(&bed, text, 40000), 0);
    assert_int_equal(SSL_renegotiate(bed.server), 1);
    SSL_do_handshake(bed.server);
    bed_give(&bed);
    shim.room = SIZE_MAX;
    assert_int_equal(bed_code(&bed), -EINPROGRESS);
    assert_int_equal(tcpm__stream_unsent(bed.layer), 40000);
    assert_int_equal(bed_send(&bed, text, 40000), 40000);
    assert_null(bed.layer->wire);
    while (got < 40000) {
        bed_fetch(&bed);
        int length = SSL_read(bed.server, back + got, (int) (40000 - got));

        if (length <= 0)
            assert_int_equal(SSL_get_error(bed.server, length), SSL_ERROR_WANT_READ);
        else
            got += (size_t) length;
    }
    assert_memory_equal(back, text, 40000);
    assert_true(SSL_read(bed.server, back, 1) <= 0);
    assert_int_equal(ERR_GET_REASON(ERR_peek_last_error()), SSL_R_NO_RENEGOTIATION);
    bed_end(&bed);
}

/* What one side sends while the other does: neither waits for the other. */
static void test_T48_both_directions_at_once(void **state)
{
    static char heard[SIZE];
    struct bed bed;
    size_t sent = 0, got = 0, said = 0, read = 0;
    char *bytes;

    (void) state;
    make_text();
    bed_open(&bed, NULL);
    while (got < SIZE || read < SIZE) {
        shim.room = 100000;
        if (sent < SIZE)
            sent += (size_t) bed_send(&bed, text + sent, SIZE - sent);
        bed.socket.blocked = false;
        server_reads(&bed, &got);
        if (said < SIZE && read == said) {
            bed_say(&bed, text + SIZE - said - 65536, 65536);
            bed_give(&bed);
            said += 65536;
        }
        if (read < said) {
            ssize_t length = bed_read(&bed, &bytes);

            if (length > 0) {
                memcpy(heard + read, bytes, (size_t) length);
                read += (size_t) length;
            } else if (length == -EAGAIN) {
                bed_await_client(&bed);
            } else {
                assert_int_equal(length, -EINPROGRESS);
            }
        }
    }
    assert_memory_equal(back, text, SIZE);
    for (size_t i = 0; i < SIZE; i += 65536)
        assert_memory_equal(heard + i, text + SIZE - i - 65536, 65536);
    bed_end(&bed);
}

static void test_T50_one_byte_at_a_time_both_ways(void **state)
{
    const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    struct bed bed;
    char *bytes;

    (void) state;
    make_text();
    for (size_t v = 0; v < COUNT(versions); v++) {
        struct bed_options options = {.version = versions[v]};
        size_t got = 0;

        bed_open(&bed, &options);
        shim.most = 1;
        assert_int_equal(bed_send(&bed, text, 5000), 5000);
        while (got < 5000)
            server_reads(&bed, &got);
        assert_memory_equal(back, text, 5000);
        bed_say(&bed, text, 3000);
        bed_give(&bed);
        for (size_t read = 0; read < 3000;) {
            ssize_t length = bed_read(&bed, &bytes);

            if (length > 0) {
                assert_memory_equal(bytes, text + read, (size_t) length);
                read += (size_t) length;
            } else {
                assert_true(length == -EINPROGRESS || length == -EAGAIN);
            }
        }
        assert_int_equal(bed_finish(&bed), 1);
        bed_await_server(&bed, 1);
        while (SSL_read(bed.server, back, 1) < 0)
            bed_await_server(&bed, 1);
        assert_true((SSL_get_shutdown(bed.server) & SSL_RECEIVED_SHUTDOWN) != 0);
        bed_end(&bed);
    }
}

/* The server's wire in pieces of any size, as the network may cut it. */
static void test_the_wire_cut_anywhere_gives_the_same_text(void **state)
{
    const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    struct randomness random = {31};
    struct bed bed;

    (void) state;
    make_text();
    for (int round = 0; round < 12; round++) {
        struct bed_options options = {.version = versions[round % 2]};
        size_t said = 0, given = 0, read = 0, length;
        const size_t size = 300000, longest = round < 6 ? 100 : 40000;
        char *bytes;

        bed_open(&bed, &options);
        while (said < size) {
            size_t part = 1 + random_below(&random, round < 6 ? 2000 : 30000);

            part = part < size - said ? part : size - said;
            bed_say(&bed, text + said, part);
            said += part;
        }
        char *wire = bed_take(&bed, &length);

        while (read < size) {
            size_t part = 1 + random_below(&random, longest);

            part = part < length - given ? part : length - given;
            if (part > 0)
                bed_write(&bed, wire + given, part);
            given += part;
            tcpm__socket_mark_readable(&bed.socket);
            ssize_t got = bed_read(&bed, &bytes);

            assert_true(got > 0 || got == -EINPROGRESS || got == -EAGAIN);
            if (got > 0) {
                assert_memory_equal(bytes, text + read, (size_t) got);
                read += (size_t) got;
            }
        }
        assert_int_equal(read, size);
        free(wire);
        bed_end(&bed);
    }
}

/* close_notify stays behind the text, however long that waits. */
static void test_the_end_waits_for_the_kernel(void **state)
{
    struct bed bed;

    (void) state;
    bed_open(&bed, NULL);
    shim.room = 0;
    assert_int_equal(bed_finish(&bed), 0);
    assert_true(bed.socket.blocked);
    assert_int_equal(bed_finish(&bed), 0);
    shim.room = SIZE_MAX;
    assert_int_equal(bed_finish(&bed), 1);
    bed_await_server(&bed, 1);
    assert_int_equal(SSL_read(bed.server, back, 1), 0);
    bed_end(&bed);
}

static void test_T80_a_write_error_is_told_again_and_reading_goes_on(void **state)
{
    struct bed bed;

    (void) state;
    bed_open(&bed, NULL);
    bed_say_and_give(&bed, "hello");
    shim.failure = EPIPE;
    assert_int_equal(bed_send(&bed, "x", 1), -EPIPE);
    assert_string_equal(bed_reason(&bed), "none");
    assert_int_equal(bed_send(&bed, "x", 1), -EPIPE);
    bed_expect(&bed, "hello");
    bed_end(&bed);
}

static void test_without_memory_a_blocked_stream_is_broken(void **state)
{
    struct bed bed;

    (void) state;
    make_text();
    bed_open(&bed, NULL);
    bed.scarce.left = 0;
    bed.scarce.for_good = true;
    assert_int_equal(bed_send(&bed, text, 1000), 1000);
    shim.room = 20000;
    assert_int_equal(bed_send(&bed, text, 40000), 16384);
    assert_int_equal(bed_send(&bed, text + 16384, 40000 - 16384), -ENOMEM);
    assert_string_equal(bed_reason(&bed), "none");
    bed.scarce.left = -1;
    bed.scarce.for_good = false;
    bed_end(&bed);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_a_batch_is_one_send),
    cmocka_unit_test(test_a_line_or_a_full_kernel_makes_the_next_batch_small),
    cmocka_unit_test(test_T48_both_directions_at_once),
    cmocka_unit_test(test_T49_T57_text_is_sent_when_its_records_are_in_the_kernel),
    cmocka_unit_test(test_T50_one_byte_at_a_time_both_ways),
    cmocka_unit_test(test_T80_a_write_error_is_told_again_and_reading_goes_on),
    cmocka_unit_test(test_carried_counts_the_wire),
    cmocka_unit_test(test_the_wire_cut_anywhere_gives_the_same_text),
    cmocka_unit_test(test_an_answer_to_a_key_update_waits_behind_records),
    cmocka_unit_test(test_an_alert_waits_behind_records),
    cmocka_unit_test(test_the_end_waits_for_the_kernel),
    cmocka_unit_test(test_without_memory_a_blocked_stream_is_broken),
};

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, bed_make_authority, bed_free_authority);
}
