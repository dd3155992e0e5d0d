/* SPDX-License-Identifier: MIT */
/*
 * Each allocation of the backend and of c-ares fails, one after the other. c-ares gets its memory
 * here from functions of the test, which the library itself never does.
 */
#include "bed.h"

#include <ares.h>
#include <errno.h>

#include "tcpmulti.h"

enum {
    MOST_ALLOCATIONS = 2000,
    TIMEOUT_MS = 20, /* where an answer or a question may be lost for want of memory */
    PATIENCE_MS = 5000,
};

/* Blocks that c-ares itself loses in 1.34: one if it gets no memory for its list of servers, and
   the eleven of an answer that it has read if it gets none for what it makes of the answer. */
enum { LEAKED_BY_C_ARES = ARES_VERSION >= 0x012200 ? 11 : 0 };

/* Counts down to the request that fails, of both allocators together. */
struct supply {
    long left;   /* requests that still succeed; negative: all do */
    long blocks; /* allocated and not yet freed */
};

/* ares_library_init_mem takes no argument of the user's. */
static struct supply supply = {.left = -1};

static bool refuses(void)
{
    return supply.left >= 0 && supply.left-- == 0;
}

static void *take(size_t size)
{
    void *block = refuses() ? NULL : malloc(size);

    supply.blocks += block != NULL;
    return block;
}

static void give(void *block)
{
    supply.blocks -= block != NULL;
    free(block);
}

static void *resize(void *block, size_t size)
{
    void *made = refuses() ? NULL : realloc(block, size);

    supply.blocks += made != NULL && block == NULL;
    return made;
}

static void *reallocate(void *block, size_t size, void *user)
{
    (void) user;
    if (size > 0)
        return resize(block, size);
    give(block);
    return NULL;
}

static const struct tcpm__memory memory = {reallocate, NULL};

/* One that is answered, by UDP, by TCP, not at all. */
static const char *const names[] = {"a-3.aaaa-3.test", "udp-truncate.a-3.aaaa-3.test",
                                    "servfail.test"};

static void ask(struct bed *bed, const char *name, int family)
{
    struct asked asked;
    int result = bed_ask(bed, name, family, &asked);

    if (result == 0) {
        bed_wait(bed, &asked, 1);
        result = asked.code;
    }
    if (result != 0 && result != -ENOMEM && result != -ETIMEDOUT && result != TCPM_ESERVFAIL &&
        result != TCPM_EBADRESP)
        fail_msg("%s: %s", name, tcpm_error_name(result));
}

/* Whether the request of this number was made, and so failed. */
static bool fail_at(struct bed *bed, const char *name, int family, long number)
{
    supply.left = number;
    ask(bed, name, family);
    bool failed = supply.left < 0;
    supply.left = -1;

    struct asked asked; /* all is well again */
    bed_configure(bed, 0, 1, PATIENCE_MS);
    bed_look_up(bed, name, family, &asked);
    assert_int_equal(asked.code, name == names[2] ? TCPM_ESERVFAIL : 0);
    return failed;
}

static void check_name(const char *name, int family, bool is_fresh)
{
    long number = 0;
    bool failed = true;

    for (; failed; number++) {
        long blocks = supply.blocks;
        struct bed bed;
        struct asked asked;

        assert_true(number < MOST_ALLOCATIONS);
        bed_open(&bed, 1, &memory);
        bed_configure(&bed, 0, 1, TIMEOUT_MS);
        if (!is_fresh)
            bed_look_up(&bed, "a-1.test", AF_INET, &asked);
        failed = fail_at(&bed, name, family, number);
        bed_close(&bed);
        assert_in_range(supply.blocks - blocks, 0, LEAKED_BY_C_ARES);
    }
    assert_true(number > 5);
}

static void test_N63_each_allocation_of_a_question_fails(void **state)
{
    (void) state;
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        check_name(names[i], AF_INET, true);
        check_name(names[i], AF_INET6, false);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_N63_each_allocation_of_a_question_fails),
};

int main(void)
{
    if (ares_library_init_mem(ARES_LIB_INIT_ALL, take, give, resize) != ARES_SUCCESS)
        return 1;
    cmocka_set_message_output(CM_OUTPUT_TAP);
    int result = cmocka_run_group_tests(tests, NULL, NULL);
    ares_library_cleanup();
    return result;
}
