/* SPDX-License-Identifier: MIT */
/* A file that others change is read again when it is another one, and not before a second is over;
   what cannot be read is a text of nothing (REACH N23, N25). */
#include "support.h"

#include "transport/text_file.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SECOND = 1000, START = 5000 };

struct place {
    char folder[64], path[80], other[80];
    struct tcpm__text_file file;
};

static void write_text(const char *path, const char *text)
{
    FILE *stream = fopen(path, "w");

    assert_non_null(stream);
    assert_true(fputs(text, stream) >= 0);
    assert_int_equal(fclose(stream), 0);
}

static int open_place(void **state)
{
    static struct place place;

    snprintf(place.folder, sizeof place.folder, "/tmp/tcpmulti-text-file-XXXXXX");
    if (mkdtemp(place.folder) == NULL)
        return -1;
    snprintf(place.path, sizeof place.path, "%s/text", place.folder);
    snprintf(place.other, sizeof place.other, "%s/other", place.folder);
    place.file = tcpm__text_file(place.path);
    *state = &place;
    return 0;
}

static int close_place(void **state)
{
    struct place *place = *state;

    unlink(place->path);
    rmdir(place->path);
    unlink(place->other);
    return rmdir(place->folder);
}

/* Reads at this time, and checks the result and the text; text NULL: there is none. */
static void expect(struct place *place, uint64_t now_ms, int result, const char *text)
{
    char *found = NULL;
    size_t length = 0;

    assert_int_equal(
        tcpm__text_file_read(&place->file, &tcpm__memory_default, now_ms, &found, &length), result);
    assert_int_equal(length, text == NULL ? 0 : strlen(text));
    if (text != NULL)
        assert_memory_equal(found, text, length);
    else
        assert_null(found);
    tcpm__memory_free(&tcpm__memory_default, found);
}

static void test_N23_a_text_is_read_when_it_is_another_one(void **state)
{
    struct place *place = *state;

    write_text(place->path, "first\n");
    expect(place, START, 1, "first\n");
    expect(place, START + SECOND, 0, NULL);
    write_text(place->path, "the second\n");
    expect(place, START + SECOND + 999, 0, NULL);
    expect(place, START + 2 * SECOND, 1, "the second\n");
}

/* As editors and programs for DHCP do: another file takes the name. The size is the same. */
static void test_N23_a_file_that_is_replaced_is_noticed(void **state)
{
    struct place *place = *state;

    write_text(place->path, "server a\n");
    expect(place, START, 1, "server a\n");
    write_text(place->other, "server b\n");
    assert_int_equal(rename(place->other, place->path), 0);
    expect(place, START + SECOND, 1, "server b\n");
}

static void test_N25_a_file_that_goes_and_comes(void **state)
{
    struct place *place = *state;

    expect(place, START, 1, NULL);
    expect(place, START + SECOND, 0, NULL);
    write_text(place->path, "here\n");
    expect(place, START + 2 * SECOND, 1, "here\n");
    unlink(place->path);
    expect(place, START + 3 * SECOND, 1, NULL);
    expect(place, START + 4 * SECOND, 0, NULL);
}

static void test_N25_an_empty_file_and_a_directory_have_no_text(void **state)
{
    struct place *place = *state;

    write_text(place->path, "");
    expect(place, START, 1, NULL);
    unlink(place->path);
    assert_int_equal(mkdir(place->path, 0700), 0);
    expect(place, START + SECOND, 1, NULL);
    expect(place, START + 2 * SECOND, 0, NULL);
}

/* Nobody writes to it: opening a FIFO for reading would wait. */
static void test_N25_a_fifo_holds_nobody_up(void **state)
{
    struct place *place = *state;

    assert_int_equal(mkfifo(place->path, 0600), 0);
    expect(place, START, 1, NULL);
}

static void test_N25_a_megabyte_is_read_whole(void **state)
{
    enum { SIZE = 1 << 20 };
    struct place *place = *state;
    char *text = malloc(SIZE + 1);

    assert_non_null(text);
    memset(text, '#', SIZE);
    text[SIZE] = '\0';
    write_text(place->path, text);
    expect(place, START, 1, text);
    free(text);
}

static void *no_memory(void *block, size_t size, void *user)
{
    (void) user;
    if (size == 0)
        free(block);
    return NULL;
}

static void test_without_memory_the_next_call_tries_again(void **state)
{
    const struct tcpm__memory none = {no_memory, NULL};
    struct place *place = *state;
    char *text;
    size_t length;

    write_text(place->path, "text\n");
    assert_int_equal(tcpm__text_file_read(&place->file, &none, START, &text, &length), -ENOMEM);
    assert_null(text);
    expect(place, START, 1, "text\n");
}

#define PLACE_TEST(test) cmocka_unit_test_setup_teardown(test, open_place, close_place)

static const struct CMUnitTest tests[] = {
    PLACE_TEST(test_N23_a_text_is_read_when_it_is_another_one),
    PLACE_TEST(test_N23_a_file_that_is_replaced_is_noticed),
    PLACE_TEST(test_N25_a_file_that_goes_and_comes),
    PLACE_TEST(test_N25_an_empty_file_and_a_directory_have_no_text),
    PLACE_TEST(test_N25_a_fifo_holds_nobody_up),
    PLACE_TEST(test_N25_a_megabyte_is_read_whole),
    PLACE_TEST(test_without_memory_the_next_call_tries_again),
};

RUN_TESTS(tests)
