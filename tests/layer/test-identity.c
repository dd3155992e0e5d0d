/* SPDX-License-Identifier: MIT */
/* The code of the test layer: every split of the wire, the greeting, the mark, and what breaks. */
#include "support.h"

#include "identity.h"

enum { PLAIN = 600, WIRE = IDENTITY_GREETING + IDENTITY_EXPANSION * PLAIN + IDENTITY_MARK };

/* All bytes, and long rows of one: each value meets each key. */
static void fill(char *plain)
{
    for (size_t i = 0; i < PLAIN; i++)
        plain[i] = (char) (i < 256 ? i : i * 7 / 3);
}

/* A whole stream: greeting, the text, the mark. Gives its length. */
static size_t write_stream(enum identity_side side, const char *plain, size_t length, char *wire)
{
    struct identity_writer writer = identity_writer(side);
    size_t written = IDENTITY_GREETING;

    identity_greet(&writer, wire);
    written += identity_encode(&writer, plain, length, wire + written);
    identity_end(wire + written);
    return written + IDENTITY_MARK;
}

static void test_a_stream_comes_back_whole(void **state)
{
    char plain[PLAIN], wire[WIRE], back[WIRE];

    (void) state;
    fill(plain);
    for (int side = IDENTITY_CLIENT; side <= IDENTITY_PEER; side++) {
        struct identity_reader reader = identity_reader((enum identity_side) side);
        size_t length = write_stream((enum identity_side) side, plain, PLAIN, wire);

        assert_true(length > PLAIN + 20); /* escapes are no rarity */
        assert_int_equal(identity_decode(&reader, wire, length, back), PLAIN);
        assert_memory_equal(back, plain, PLAIN);
        assert_int_equal(reader.state, IDENTITY_ENDED);
    }
}

static void test_the_directions_differ(void **state)
{
    char plain[PLAIN], ours[WIRE], theirs[WIRE];

    (void) state;
    fill(plain);
    write_stream(IDENTITY_CLIENT, plain, PLAIN, ours);
    write_stream(IDENTITY_PEER, plain, PLAIN, theirs);
    assert_memory_not_equal(ours, theirs, IDENTITY_GREETING);
    assert_memory_not_equal(ours + IDENTITY_GREETING, theirs + IDENTITY_GREETING, 16);
}

static void test_every_split_of_the_wire_gives_the_same_text(void **state)
{
    char plain[PLAIN], wire[WIRE], back[WIRE];
    size_t length;

    (void) state;
    fill(plain);
    length = write_stream(IDENTITY_PEER, plain, PLAIN, wire);
    for (size_t cut = 0; cut <= length; cut++) {
        struct identity_reader reader = identity_reader(IDENTITY_PEER);
        size_t got = identity_decode(&reader, wire, cut, back);

        got += identity_decode(&reader, wire + cut, length - cut, back + got);
        assert_int_equal(got, PLAIN);
        assert_memory_equal(back, plain, PLAIN);
        assert_int_equal(reader.state, IDENTITY_ENDED);
    }
}

static void test_byte_by_byte_and_in_place(void **state)
{
    char plain[PLAIN], wire[WIRE];
    struct identity_reader reader = identity_reader(IDENTITY_CLIENT);
    size_t length, got = 0;

    (void) state;
    fill(plain);
    length = write_stream(IDENTITY_CLIENT, plain, PLAIN, wire);
    for (size_t i = 0; i < length; i++)
        got += identity_decode(&reader, wire + i, 1, wire + got);
    assert_int_equal(got, PLAIN);
    assert_memory_equal(wire, plain, PLAIN);
}

static void test_the_wire_does_not_depend_on_how_the_text_is_cut(void **state)
{
    char plain[PLAIN], whole[WIRE], pieces[WIRE];
    size_t length;

    (void) state;
    fill(plain);
    length = write_stream(IDENTITY_CLIENT, plain, PLAIN, whole);
    for (size_t cut = 0; cut <= PLAIN; cut++) {
        struct identity_writer writer = identity_writer(IDENTITY_CLIENT);
        size_t written = IDENTITY_GREETING;

        written += identity_encode(&writer, plain, cut, pieces + written);
        written += identity_encode(&writer, plain + cut, PLAIN - cut, pieces + written);
        assert_int_equal(written, length - IDENTITY_MARK);
        assert_memory_equal(pieces + IDENTITY_GREETING, whole + IDENTITY_GREETING,
                            written - IDENTITY_GREETING);
    }
}

static void test_a_wrong_greeting_breaks_the_stream(void **state)
{
    static const char *const wrong[] = {"xL", "cx", "pL", "\xe0\x01"};
    char back[8];

    (void) state;
    for (size_t i = 0; i < COUNT(wrong); i++) {
        struct identity_reader reader = identity_reader(IDENTITY_CLIENT);

        assert_int_equal(identity_decode(&reader, wrong[i], 2, back), 0);
        assert_int_equal(reader.state, IDENTITY_BROKEN);
        assert_int_equal(identity_decode(&reader, "more", 4, back), 0);
        assert_int_equal(reader.state, IDENTITY_BROKEN);
    }
}

static void test_half_a_greeting_waits(void **state)
{
    struct identity_reader reader = identity_reader(IDENTITY_CLIENT);
    char back[8];

    (void) state;
    assert_int_equal(identity_decode(&reader, "c", 1, back), 0);
    assert_int_equal(reader.state, IDENTITY_GREETED_NOT);
    assert_int_equal(identity_decode(&reader, "L", 1, back), 0);
    assert_int_equal(reader.state, IDENTITY_OPEN);
}

static void test_what_cannot_be_breaks_the_stream_behind_its_text(void **state)
{
    static const char *const tails[] = {"\xe1", "\xe0\x41", "\xe0\x01", "\xef"};
    char wire[16], back[16];

    (void) state;
    for (size_t i = 0; i < COUNT(tails); i++) {
        struct identity_reader reader = identity_reader(IDENTITY_PEER);
        size_t length = write_stream(IDENTITY_PEER, "abc", 3, wire) - IDENTITY_MARK;

        memcpy(wire + length, tails[i], strlen(tails[i]));
        assert_int_equal(identity_decode(&reader, wire, length + strlen(tails[i]), back), 3);
        assert_memory_equal(back, "abc", 3);
        assert_int_equal(reader.state, IDENTITY_BROKEN);
    }
}

static void test_a_cut_stream_has_no_end_and_none_goes_on_behind_it(void **state)
{
    struct identity_reader reader = identity_reader(IDENTITY_PEER);
    char wire[16], back[16];
    size_t length = write_stream(IDENTITY_PEER, "abc", 3, wire);

    (void) state;
    assert_int_equal(identity_decode(&reader, wire, length - 1, back), 3);
    assert_int_equal(reader.state, IDENTITY_OPEN);
    assert_true(reader.escaped);
    assert_int_equal(identity_decode(&reader, wire + length - 1, 1, back), 0);
    assert_int_equal(reader.state, IDENTITY_ENDED);
    assert_int_equal(identity_decode(&reader, "z", 1, back), 0);
    assert_int_equal(reader.state, IDENTITY_BROKEN);
}

/* What the kernel has taken of the wire, wherever that ends, is counted as text. */
static void test_bytes_of_the_wire_are_counted_as_text(void **state)
{
    char plain[PLAIN], wire[WIRE];
    struct identity_writer writer = identity_writer(IDENTITY_CLIENT);
    size_t length;

    (void) state;
    fill(plain);
    length = identity_encode(&writer, plain, PLAIN, wire);
    identity_end(wire + length);
    length += IDENTITY_MARK;
    for (size_t cut = 0; cut <= length; cut++) {
        bool escaped = false;
        size_t before = identity_completed(wire, cut, &escaped);
        struct identity_reader reader = identity_reader(IDENTITY_CLIENT);
        char back[WIRE];

        reader.state = IDENTITY_OPEN;
        assert_int_equal(before, identity_decode(&reader, wire, cut, back));
        before += identity_completed(wire + cut, length - cut, &escaped);
        assert_int_equal(before, PLAIN);
        assert_false(escaped);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_a_stream_comes_back_whole),
    cmocka_unit_test(test_the_directions_differ),
    cmocka_unit_test(test_every_split_of_the_wire_gives_the_same_text),
    cmocka_unit_test(test_byte_by_byte_and_in_place),
    cmocka_unit_test(test_the_wire_does_not_depend_on_how_the_text_is_cut),
    cmocka_unit_test(test_a_wrong_greeting_breaks_the_stream),
    cmocka_unit_test(test_half_a_greeting_waits),
    cmocka_unit_test(test_what_cannot_be_breaks_the_stream_behind_its_text),
    cmocka_unit_test(test_a_cut_stream_has_no_end_and_none_goes_on_behind_it),
    cmocka_unit_test(test_bytes_of_the_wire_are_counted_as_text),
};

RUN_TESTS(tests)
