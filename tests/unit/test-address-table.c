/* SPDX-License-Identifier: MIT */
/* The table of addresses in use: what is one address, and what an entry costs. */
#include "addresses.h"

#include "transport/address_table.h"

/* An allocator that counts the bytes that are allocated now. */
struct measured {
    struct tcpm__memory memory;
    size_t bytes;
};

/* The size of a block lies in front of it. */
static void *measured_reallocate(void *block, size_t size, void *user)
{
    struct measured *measured = user;
    size_t *head = block == NULL ? NULL : (size_t *) block - 2;

    assert_true(head == NULL || size == 0); /* nothing grows in place */
    if (head != NULL) {
        measured->bytes -= head[0];
        free(head);
        return NULL;
    }
    head = malloc(size + 2 * sizeof *head);
    assert_non_null(head);
    head[0] = size;
    measured->bytes += size;
    return head + 2;
}

static union tcpm__address numbered(uint32_t number)
{
    union tcpm__address address = address_of("10.0.0.0");

    address.in.sin_addr.s_addr = htonl(0x0a000000 + number);
    return address;
}

static void test_what_is_one_address(void **state)
{
    struct tcpm__address_table table = {.buckets = NULL};
    static const char *const same[][2] = {{"10.0.0.1", "::ffff:10.0.0.1"},
                                          {"fe80::1%1", "fe80::1%1"},
                                          {"2001:db8::1", "2001:db8:0::1"}};
    static const char *const others[] = {"10.0.0.1",  "10.0.0.2",    "::10.0.0.1",   "fe80::1%1",
                                         "fe80::1%2", "2001:db8::1", "2001:db8:1::1"};
    struct tcpm__address_entry *entries[COUNT(others)];

    (void) state;
    for (size_t i = 0; i < COUNT(others); i++) {
        union tcpm__address address = address_with_port(others[i], (unsigned) i);

        assert_null(tcpm__address_table_find(&table, &address));
        entries[i] = tcpm__address_table_get(&table, &tcpm__memory_default, &address);
        assert_int_equal(table.count, i + 1);
        assert_int_equal(entries[i]->sockets, 0);
        tcpm__address_set_port(&address, 99); /* ports do not count */
        assert_ptr_equal(tcpm__address_table_find(&table, &address), entries[i]);
        for (size_t other = 0; other <= i; other++)
            assert_int_equal(tcpm__address_entry_is(entries[other], &address), other == i);
    }
    for (size_t i = 0; i < COUNT(same); i++) {
        union tcpm__address a = address_of(same[i][0]), b = address_of(same[i][1]);

        assert_non_null(tcpm__address_table_find(&table, &a));
        assert_ptr_equal(tcpm__address_table_find(&table, &a),
                         tcpm__address_table_get(&table, &tcpm__memory_default, &b));
    }
    tcpm__address_table_free(&table, &tcpm__memory_default);
}

/* The scope of an address that is not link-local means nothing. */
static void test_a_scope_counts_for_link_local_addresses_only(void **state)
{
    struct tcpm__address_table table = {.buckets = NULL};
    union tcpm__address global = address_of("2001:db8::1"), scoped = global;

    (void) state;
    scoped.in6.sin6_scope_id = 7;
    assert_ptr_equal(tcpm__address_table_get(&table, &tcpm__memory_default, &global),
                     tcpm__address_table_get(&table, &tcpm__memory_default, &scoped));
    assert_int_equal(table.count, 1);
    tcpm__address_table_free(&table, &tcpm__memory_default);
}

/* While entries come and go, and after. */
static void test_an_entry_takes_at_most_48_bytes(void **state)
{
    struct measured measured = {.memory = {measured_reallocate, &measured}};
    struct tcpm__address_table table = {.buckets = NULL};
    enum { MANY = 5000 };

    (void) state;
    for (uint32_t i = 0; i < MANY; i++) {
        union tcpm__address address = numbered(i);

        tcpm__address_table_get(&table, &measured.memory, &address);
        assert_true(measured.bytes <= 48 * (i < 8 ? 8 : i + 1));
    }
    for (uint32_t left = MANY; left > 0; left--) {
        union tcpm__address address = numbered(left - 1);

        assert_true(measured.bytes <= 48 * (left < 8 ? 8 : left));
        tcpm__address_table_remove(&table, &measured.memory,
                                   tcpm__address_table_find(&table, &address));
    }
    assert_int_equal(table.count, 0);
    tcpm__address_table_free(&table, &measured.memory);
    assert_int_equal(measured.bytes, 0);
}

static void test_any_sequence_does_what_a_list_does(void **state)
{
    enum { ADDRESSES = 300 };
    struct tcpm__address_table table = {.buckets = NULL};
    struct tcpm__address_entry *model[ADDRESSES] = {NULL};
    struct randomness random = {7};
    uint32_t count = 0;

    (void) state;
    for (int step = 0; step < 30000; step++) {
        /* Now few addresses are in use, now many. */
        uint64_t limit = step / 3000 % 2 == 0 ? ADDRESSES : 20;
        uint32_t number = (uint32_t) random_below(&random, ADDRESSES);
        union tcpm__address address = numbered(number);

        assert_ptr_equal(tcpm__address_table_find(&table, &address), model[number]);
        if (model[number] == NULL && number < limit) {
            model[number] = tcpm__address_table_get(&table, &tcpm__memory_default, &address);
            count++;
        } else if (model[number] != NULL && random_below(&random, limit) < 15) {
            tcpm__address_table_remove(&table, &tcpm__memory_default, model[number]);
            model[number] = NULL;
            count--;
        }
        assert_int_equal(table.count, count);
    }
    uint32_t found = 0;
    for (struct tcpm__address_entry *entry = NULL;
         (entry = tcpm__address_table_next(&table, entry)) != NULL; found++)
        assert_ptr_equal(model[ntohl(entry->address.s6_addr32[3]) - 0x0a000000], entry);
    assert_int_equal(found, count);
    tcpm__address_table_free(&table, &tcpm__memory_default);
    assert_null(tcpm__address_table_next(&table, NULL));
}

/* Without memory for the entry nothing changes; without memory for a larger or smaller table the
   table does its work as it is. */
static void test_without_memory(void **state)
{
    enum { MANY = 200 };
    long calls = 1;

    (void) state;
    for (long left = 0; left < calls; left++) {
        struct tcpm__address_table table = {.buckets = NULL};
        struct scarce scarce;
        unsigned refused = 0;

        scarce_init(&scarce);
        scarce.left = left;
        for (uint32_t i = 0; i < MANY; i++) {
            union tcpm__address address = numbered(i);

            if (tcpm__address_table_get(&table, &scarce.memory, &address) != NULL)
                continue;
            refused++;
            assert_int_equal(table.count, i);
            assert_non_null(tcpm__address_table_get(&table, &scarce.memory, &address));
        }
        assert_true(refused <= 1);
        for (uint32_t i = 0; i < MANY; i++) {
            union tcpm__address address = numbered(i);

            tcpm__address_table_remove(&table, &scarce.memory,
                                       tcpm__address_table_find(&table, &address));
        }
        calls = scarce.calls;
        tcpm__address_table_free(&table, &scarce.memory);
        assert_int_equal(scarce.blocks, 0);
    }
    assert_in_range(calls, MANY, MANY + 20);
}

/* Twice 20,000 are found in the time of 100,000 searches: no search walks through a crowd. */
static void test_a_search_does_not_depend_on_how_many_there_are(void **state)
{
    enum { MANY = 40000 };
    struct tcpm__address_table table = {.buckets = NULL};
    double seconds[2];

    (void) state;
    for (int half = 0; half < 2; half++) {
        for (uint32_t i = 0; i < MANY / 2; i++) {
            union tcpm__address address = numbered((uint32_t) half * MANY / 2 + i);

            tcpm__address_table_get(&table, &tcpm__memory_default, &address);
        }
        double began = cpu_seconds();
        for (uint32_t i = 0; i < 100000; i++) {
            union tcpm__address address = numbered(i % (MANY / 2));

            assert_true(tcpm__address_table_find(&table, &address) != NULL);
        }
        seconds[half] = cpu_seconds() - began;
    }
    print_message("# 100,000 searches: %.1f and %.1f ms\n", 1e3 * seconds[0], 1e3 * seconds[1]);
    assert_true(seconds[1] < 5 * seconds[0] + 0.01);
    tcpm__address_table_free(&table, &tcpm__memory_default);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_what_is_one_address),
    cmocka_unit_test(test_a_scope_counts_for_link_local_addresses_only),
    cmocka_unit_test(test_an_entry_takes_at_most_48_bytes),
    cmocka_unit_test(test_any_sequence_does_what_a_list_does),
    cmocka_unit_test(test_without_memory),
    cmocka_unit_test(test_a_search_does_not_depend_on_how_many_there_are),
};

RUN_TESTS(tests)
