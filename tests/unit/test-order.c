/* SPDX-License-Identifier: MIT */
/* The order of a name's addresses: families by turns, no address twice, 64 at most. */
#include "addresses.h"

#include "transport/order.h"

enum { MOST = TCPM__MOST_ADDRESSES };

/* A list as a race keeps it. */
struct addresses {
    union tcpm__address list[MOST];
    size_t from, count;
};

/* Reads addresses that are separated by blanks. */
static size_t read_addresses(const char *text, union tcpm__address *ret)
{
    char copy[400], *saved, *word;
    size_t count = 0;

    assert_true(strlen(text) < sizeof copy);
    strncpy(copy, text, sizeof copy - 1);
    copy[sizeof copy - 1] = '\0';
    for (word = strtok_r(copy, " ", &saved); word != NULL; word = strtok_r(NULL, " ", &saved))
        ret[count++] = address_of(word);
    return count;
}

static void join(struct addresses *addresses, const char *more, int first, unsigned turn)
{
    union tcpm__address list[MOST];
    size_t count = read_addresses(more, list);

    addresses->count = tcpm__order_join(addresses->list, addresses->from, addresses->count, list,
                                        count, first, turn);
}

static void assert_addresses(const struct addresses *addresses, const char *expected)
{
    char text[2000] = "", printed[TCPM__ADDRESS_TEXT];

    for (size_t i = 0; i < addresses->count; i++) {
        size_t length = strlen(text);

        tcpm__address_print(&addresses->list[i], printed);
        snprintf(text + length, sizeof text - length, "%s%s", i > 0 ? " " : "", printed);
    }
    assert_string_equal(text, expected);
}

static void test_families_come_by_turns(void **state)
{
    static const struct {
        const char *more, *six_first, *four_first;
    } rows[] = {
        {"", "", ""},
        {"1.0.0.1", "1.0.0.1", "1.0.0.1"},
        {"1.0.0.1 1.0.0.2", "1.0.0.1 1.0.0.2", "1.0.0.1 1.0.0.2"},
        {"1.0.0.1 ::1", "::1 1.0.0.1", "1.0.0.1 ::1"},
        {"::1 ::2 ::3 1.0.0.1", "::1 1.0.0.1 ::2 ::3", "1.0.0.1 ::1 ::2 ::3"},
        {"1.0.0.1 1.0.0.2 1.0.0.3 ::1", "::1 1.0.0.1 1.0.0.2 1.0.0.3",
         "1.0.0.1 ::1 1.0.0.2 1.0.0.3"},
        {"1.0.0.1 ::1 1.0.0.2 ::2", "::1 1.0.0.1 ::2 1.0.0.2", "1.0.0.1 ::1 1.0.0.2 ::2"},
    };

    (void) state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct addresses six = {.count = 0}, four = {.count = 0};

        join(&six, rows[i].more, AF_INET6, 0);
        assert_addresses(&six, rows[i].six_first);
        join(&four, rows[i].more, AF_INET, 0);
        assert_addresses(&four, rows[i].four_first);
    }
}

static void test_a_late_family_joins_the_rest(void **state)
{
    struct addresses addresses = {.count = 0};

    (void) state;
    join(&addresses, "1.0.0.1 1.0.0.2 1.0.0.3", AF_INET6, 0);
    addresses.from = 1; /* 1.0.0.1 is under way, so the other family is next */
    join(&addresses, "::1 ::2", AF_INET6, 0);
    assert_addresses(&addresses, "1.0.0.1 ::1 1.0.0.2 ::2 1.0.0.3");
    addresses.from = 2;
    join(&addresses, "::3", AF_INET, 0);
    assert_addresses(&addresses, "1.0.0.1 ::1 1.0.0.2 ::2 1.0.0.3 ::3");
}

static void test_no_address_comes_twice(void **state)
{
    struct addresses addresses = {.count = 0};

    (void) state;
    join(&addresses, "1.0.0.1 1.0.0.1 ::1 ::1 1.0.0.1", AF_INET6, 0);
    assert_addresses(&addresses, "::1 1.0.0.1");
    join(&addresses, "::1 1.0.0.2", AF_INET6, 0);
    assert_addresses(&addresses, "::1 1.0.0.1 1.0.0.2");
    addresses.from = 2; /* those that were tried do not come again either */
    join(&addresses, "1.0.0.1 ::1 ::2", AF_INET6, 0);
    assert_addresses(&addresses, "::1 1.0.0.1 ::2 1.0.0.2");
    join(&addresses, "fe80::1%1 fe80::1%2", AF_INET6, 0);
    assert_addresses(&addresses, "::1 1.0.0.1 ::2 1.0.0.2 fe80::1%1 fe80::1%2");
}

static void test_ports_do_not_make_an_address_another_one(void **state)
{
    union tcpm__address list[MOST] = {address_with_port("1.0.0.1", 80)};
    union tcpm__address more[] = {address_of("1.0.0.1"), address_of("1.0.0.2")};

    (void) state;
    assert_int_equal(tcpm__order_join(list, 0, 1, more, COUNT(more), AF_INET6, 0), 2);
    assert_int_equal(tcpm__address_port(&list[0]), 80);
    assert_int_equal(tcpm__address_port(&list[1]), 0);
}

/* Each of four addresses is the first for a quarter of 400 connects, and the others follow it in
   the same order. */
static void test_N51_addresses_take_turns(void **state)
{
    static const char *const orders[] = {"::1 1.0.0.1 ::2 1.0.0.2 ::3 1.0.0.3 1.0.0.4",
                                         "::2 1.0.0.2 ::3 1.0.0.3 ::1 1.0.0.4 1.0.0.1",
                                         "::3 1.0.0.3 ::1 1.0.0.4 ::2 1.0.0.1 1.0.0.2",
                                         "::1 1.0.0.4 ::2 1.0.0.1 ::3 1.0.0.2 1.0.0.3"};
    unsigned firsts[4] = {0};

    (void) state;
    for (unsigned turn = 0; turn < COUNT(orders); turn++) {
        struct addresses addresses = {.count = 0};

        join(&addresses, "1.0.0.1 ::1 1.0.0.2 ::2 1.0.0.3 ::3 1.0.0.4", AF_INET6, turn);
        assert_addresses(&addresses, orders[turn]);
    }
    for (unsigned turn = 0; turn < 400; turn++) {
        struct addresses addresses = {.count = 0};

        join(&addresses, "1.0.0.1 1.0.0.2 1.0.0.3 1.0.0.4", AF_INET6, turn);
        firsts[ntohl(addresses.list[0].in.sin_addr.s_addr) % 16 - 1]++;
    }
    for (size_t i = 0; i < COUNT(firsts); i++)
        assert_int_equal(firsts[i], 100);
}

/* ---- the limit ---- */

static union tcpm__address numbered(int family, unsigned number)
{
    union tcpm__address address = address_of(family == AF_INET ? "1.0.0.0" : "1::");

    if (family == AF_INET)
        address.in.sin_addr.s_addr |= htonl(number);
    else
        address.in6.sin6_addr.s6_addr[15] = (unsigned char) number;
    return address;
}

static void fill(union tcpm__address *list, size_t count, int family)
{
    for (unsigned i = 0; i < count; i++)
        list[i] = numbered(family, i);
}

static void test_N48_64_addresses_are_all(void **state)
{
    struct addresses addresses = {.count = 0};
    union tcpm__address more[2000];

    (void) state;
    fill(more, COUNT(more), AF_INET);
    addresses.count =
        tcpm__order_join(addresses.list, 0, 0, more, COUNT(more), AF_INET6, COUNT(more) - 1);
    assert_int_equal(addresses.count, MOST);
    assert_true(tcpm__address_equal(&addresses.list[0], &more[COUNT(more) - 1]));
    for (size_t i = 1; i < MOST; i++)
        assert_true(tcpm__address_equal(&addresses.list[i], &more[i - 1]));
}

static void test_N48_a_late_family_has_half_of_the_room(void **state)
{
    struct addresses addresses = {.count = 0};
    union tcpm__address more[MOST];

    (void) state;
    fill(more, MOST, AF_INET);
    addresses.count = tcpm__order_join(addresses.list, 0, 0, more, MOST, AF_INET6, 0);
    addresses.from = 4;
    fill(more, MOST, AF_INET6);
    addresses.count = tcpm__order_join(addresses.list, 4, MOST, more, MOST, AF_INET6, 0);
    assert_int_equal(addresses.count, MOST);
    for (size_t i = 0; i < MOST; i++)
        assert_int_equal(addresses.list[i].any.sa_family, i < 4 || i % 2 == 1 ? AF_INET : AF_INET6);
    addresses.count = tcpm__order_join(addresses.list, MOST, MOST, more, MOST, AF_INET6, 0);
    assert_int_equal(addresses.count, MOST);
}

/* ---- against a model ---- */

static bool has(const struct addresses *addresses, size_t count, const union tcpm__address *address)
{
    for (size_t i = 0; i < count; i++)
        if (tcpm__address_equal(&addresses->list[i], address))
            return true;
    return false;
}

/* The candidates of one family, without regard to the limit, as one text says: the old ones that
   are left, then the new ones from the turn's on. */
struct candidates {
    union tcpm__address list[200];
    size_t count;
};

static void add_candidate(struct candidates *candidates, const struct addresses *tried,
                          const union tcpm__address *address)
{
    if (has(tried, tried->from, address))
        return;
    for (size_t i = 0; i < candidates->count; i++)
        if (tcpm__address_equal(&candidates->list[i], address))
            return;
    candidates->list[candidates->count++] = *address;
}

static void find_candidates(const struct addresses *old, const union tcpm__address *more,
                            size_t more_count, int family, unsigned turn, struct candidates *ret)
{
    union tcpm__address own[100];
    size_t count = 0;

    ret->count = 0;
    for (size_t i = old->from; i < old->count; i++)
        if (old->list[i].any.sa_family == family)
            add_candidate(ret, old, &old->list[i]);
    for (size_t i = 0; i < more_count; i++)
        if (more[i].any.sa_family == family)
            own[count++] = more[i];
    for (size_t i = 0; i < count; i++)
        add_candidate(ret, old, &own[(i + turn) % count]);
}

static void model_join(struct addresses *addresses, const union tcpm__address *more, size_t count,
                       int first, unsigned turn)
{
    struct candidates sides[2];
    size_t used[2] = {0, 0};

    find_candidates(addresses, more, count, first, turn, &sides[0]);
    find_candidates(addresses, more, count, first == AF_INET ? AF_INET6 : AF_INET, turn, &sides[1]);
    addresses->count = addresses->from;
    for (unsigned side = 0; addresses->count < MOST; side ^= 1) {
        if (used[side] == sides[side].count)
            side ^= 1;
        if (used[side] == sides[side].count)
            return;
        addresses->list[addresses->count++] = sides[side].list[used[side]++];
    }
}

static void assert_same(const struct addresses *a, const struct addresses *b)
{
    assert_int_equal(a->count, b->count);
    for (size_t i = 0; i < a->count; i++)
        assert_true(tcpm__address_equal(&a->list[i], &b->list[i]));
}

/* Answers of random addresses, most of them few, come to a list that is being tried. */
static void test_random_answers_are_joined_as_by_a_model(void **state)
{
    struct randomness random = {1};

    (void) state;
    for (int round = 0; round < 20000; round++) {
        struct addresses real = {.count = 0}, model = {.count = 0};
        uint64_t range = 1 + random_below(&random, 100);

        for (int answer = 0; answer < 3; answer++) {
            union tcpm__address more[100];
            size_t count = random_below(&random, 1 + random_below(&random, COUNT(more)));
            int first = random_below(&random, 2) == 0 ? AF_INET : AF_INET6;
            unsigned turn = (unsigned) random_below(&random, 1000);

            for (size_t i = 0; i < count; i++)
                more[i] = numbered(random_below(&random, 3) == 0 ? AF_INET : AF_INET6,
                                   (unsigned) random_below(&random, range));
            model_join(&model, more, count, first, turn);
            real.count =
                tcpm__order_join(real.list, real.from, real.count, more, count, first, turn);
            assert_same(&real, &model);
            real.from += random_below(&random, real.count - real.from + 1);
            model.from = real.from;
        }
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_families_come_by_turns),
    cmocka_unit_test(test_a_late_family_joins_the_rest),
    cmocka_unit_test(test_no_address_comes_twice),
    cmocka_unit_test(test_ports_do_not_make_an_address_another_one),
    cmocka_unit_test(test_N51_addresses_take_turns),
    cmocka_unit_test(test_N48_64_addresses_are_all),
    cmocka_unit_test(test_N48_a_late_family_has_half_of_the_room),
    cmocka_unit_test(test_random_answers_are_joined_as_by_a_model),
};

RUN_TESTS(tests)
