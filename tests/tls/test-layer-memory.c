/* SPDX-License-Identifier: MIT */
/*
 * Memory that OpenSSL does not get. Allocations of the client's side fail one after the other, from
 * the ClientHello to the end; OpenSSL's own errors are then as good as any, as long as nothing is
 * accepted that is not good.
 */
#include "layer_bed.h"

static struct {
    long left;     /* allocations of the client that succeed; negative: all do */
    bool for_good; /* whether all fail after the first that has failed */
    bool has_failed;
} scarcity = {.left = -1};

static bool is_refused(void)
{
    if (!bed_is_client || scarcity.left < 0)
        return false;
    if (scarcity.left > 0) {
        scarcity.left--;
        return false;
    }
    scarcity.has_failed = true;
    if (!scarcity.for_good)
        scarcity.left = -1;
    return true;
}

static void *allocate(size_t size, const char *file, int line)
{
    (void) file, (void) line;
    return is_refused() ? NULL : malloc(size);
}

static void *reallocate(void *block, size_t size, const char *file, int line)
{
    (void) file, (void) line;
    return is_refused() ? NULL : realloc(block, size);
}

static void release(void *block, const char *file, int line)
{
    (void) file, (void) line;
    free(block);
}

/* As bed_shake, without waiting for a client that has failed. */
static int shake(struct bed *bed)
{
    int result = bed_handshake(bed);

    for (int turns = 0; result == 0 && turns < 4; turns++) {
        bed_fetch(bed);
        SSL_do_handshake(bed->server);
        if (BIO_pending(bed->from_server) == 0)
            break;
        bed_give(bed);
        result = bed_handshake(bed);
    }
    return result;
}

/* 1: the connection has worked from begin to end. */
static int live(struct bed *bed)
{
    char got[8];
    int result = shake(bed);

    if (result != 1)
        return result;
    ssize_t length = bed_send(bed, "hello", 5);
    if (length != 5)
        return (int) length;
    bed_fetch(bed);
    SSL_do_handshake(bed->server);
    if (SSL_read(bed->server, got, sizeof got) != 5)
        return -EPROTO; /* nothing may be sent wrongly */
    bed_say(bed, "world", 5);
    bed_give(bed);
    do {
        length = bed_code(bed);
        if (length == -EAGAIN)
            bed_await_client(bed);
    } while (length == -EINPROGRESS || length == -EAGAIN);
    if (length != 5)
        return (int) length;
    return bed_finish(bed);
}

/* Gives how many runs have failed. Later allocations are tried less densely. */
static int fail_in_turn(const struct bed_options *options, bool for_good, void (*check)(int result))
{
    int failures = 0;

    for (long left = 0;; left += 1 + left / 40) {
        struct bed bed;

        bed_begin(&bed, options);
        scarcity.left = left;
        scarcity.for_good = for_good;
        scarcity.has_failed = false;
        int result = live(&bed);
        bool has_failed = scarcity.has_failed;

        scarcity.left = -1;
        check(result);
        failures += result != 1;
        bed_end(&bed);
        if (!has_failed)
            return failures;
    }
}

/* OpenSSL does not always say that it lacked memory: where it cannot read the key of an authority,
   the authority is unknown. */
static void expect_failure_of_memory(int result)
{
    if (result != 1 && result != TCPM_ETLS && result != TCPM_ECERT)
        assert_int_equal(result, -ENOMEM);
}

static void expect_refusal(int result)
{
    if (result != TCPM_ETLS && result != -ENOMEM)
        assert_int_equal(result, TCPM_ECERT);
}

static void test_T66_each_allocation_of_OpenSSL_fails_in_turn(void **state)
{
    const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

    (void) state;
    for (size_t i = 0; i < COUNT(versions); i++) {
        struct bed_options options = {.version = versions[i]};

        assert_true(fail_in_turn(&options, false, expect_failure_of_memory) > 20);
        assert_true(fail_in_turn(&options, true, expect_failure_of_memory) > 20);
    }
}

static void test_without_memory_no_bad_certificate_is_accepted(void **state)
{
    static const char *const certificates[] = {"wrong-host", "self-signed", "expired"};

    (void) state;
    for (size_t i = 0; i < COUNT(certificates); i++) {
        struct bed_options options = {.certificate = certificates[i]};

        assert_true(fail_in_turn(&options, false, expect_refusal) > 20);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_T66_each_allocation_of_OpenSSL_fails_in_turn),
    cmocka_unit_test(test_without_memory_no_bad_certificate_is_accepted),
};

int main(void)
{
    if (CRYPTO_set_mem_functions(allocate, reallocate, release) != 1)
        return 1;
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, bed_make_authority, bed_free_authority);
}
