/* SPDX-License-Identifier: MIT */
/* Names and texts of errors, and the words of the enums. */
#include "support.h"

#include "base/error.h"
#include "tcpmulti.h"

#include <errno.h>

static void test_every_errno_has_its_name_and_comes_back_by_it(void **state)
{
    int named = 0;

    (void) state;
    for (int number = 1; number < 4096; number++) {
        const char *name = tcpm_error_name(-number);
        assert_non_null(tcpm_error_text(-number));
        if (strcmp(name, "EUNKNOWN") == 0)
            continue;
        assert_int_equal(tcpm_error_code(name), -number);
        named++;
    }
    assert_true(named > 120);
}

#ifdef HAVE_STRERRORNAME_NP
static void test_names_and_texts_are_those_of_the_C_library(void **state)
{
    (void) state;
    for (int number = 1; number < 4096; number++) {
        const char *name = strerrorname_np(number), *text = strerrordesc_np(number);
        assert_string_equal(tcpm_error_name(-number), name != NULL ? name : "EUNKNOWN");
        assert_string_equal(tcpm_error_text(-number), text != NULL ? text : "unknown error");
    }
}
#endif

static void test_what_scripts_test_is_named_as_they_do(void **state)
{
#define NAMED(code) -(code), #code
    static const struct {
        int code;
        const char *name;
    } rows[] = {
        {NAMED(ECONNREFUSED)}, {NAMED(ECONNRESET)},    {NAMED(ETIMEDOUT)}, {NAMED(EHOSTUNREACH)},
        {NAMED(ENETUNREACH)},  {NAMED(EADDRNOTAVAIL)}, {NAMED(EMFILE)},    {NAMED(ENOMEM)},
        {NAMED(EPROTO)},       {NAMED(ESHUTDOWN)},     {NAMED(ESTALE)},    {NAMED(ENOBUFS)},
        {NAMED(EINVAL)},       {NAMED(EPIPE)},         {NAMED(EACCES)},    {NAMED(EADDRINUSE)},
        {NAMED(EBUSY)},        {NAMED(ESRCH)},         {NAMED(EEXIST)},    {NAMED(E2BIG)},
        {NAMED(EMSGSIZE)},     {NAMED(EAGAIN)},        {NAMED(ENFILE)},    {NAMED(ECONNABORTED)}};

    (void) state;
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_string_equal(tcpm_error_name(rows[i].code), rows[i].name);
    assert_string_equal(tcpm_error_text(-ECONNREFUSED), "Connection refused");
}

static void test_our_own_codes_are_in_the_list_of_the_header(void **state)
{
    (void) state;
#define CHECK(NAME, value, words)                             \
    assert_int_equal(TCPM_##NAME, value);                     \
    assert_string_equal(tcpm_error_name(TCPM_##NAME), #NAME); \
    assert_string_equal(tcpm_error_text(TCPM_##NAME), words); \
    assert_int_equal(tcpm_error_code(#NAME), TCPM_##NAME);
    TCPM_ERRORS(CHECK)
}

static void test_what_is_not_known_says_so(void **state)
{
    static const int codes[] = {1, 111, -4096, -20000, TCPM_ERROR_CODE_LAST, INT32_MAX, INT32_MIN};
    static const char *const names[] = {"", "econnrefused", "ECONN", "OK", "EUNKNOWN", "111"};

    (void) state;
    for (size_t i = 0; i < COUNT(codes); i++) {
        assert_string_equal(tcpm_error_name(codes[i]), "EUNKNOWN");
        assert_string_equal(tcpm_error_text(codes[i]), "unknown error");
    }
    for (size_t i = 0; i < COUNT(names); i++)
        assert_int_equal(tcpm_error_code(names[i]), 0);
    assert_int_equal(tcpm_error_code(NULL), 0);
    assert_string_equal(tcpm_error_name(0), "OK");
    assert_string_equal(tcpm_error_text(0), "no error");
}

static void test_second_names_of_one_number_are_known(void **state)
{
    (void) state;
    assert_int_equal(tcpm_error_code("EWOULDBLOCK"), -EWOULDBLOCK);
    assert_int_equal(tcpm_error_code("ENOTSUP"), -ENOTSUP);
    assert_int_equal(tcpm_error_code("EOPNOTSUPP"), -EOPNOTSUPP);
    assert_int_equal(tcpm_error_code("EDEADLOCK"), -EDEADLOCK);
}

static void test_the_words_of_the_enums(void **state)
{
    static const char *const ops[] = {"unknown", "resolve", "socket", "bind", "connect", "read",
                                      "write",   "filter",  "fail",   "tls",  "proxy",   "unknown"};
    static const char *const phases[] = {"unknown",  "waiting", "connecting", "open",
                                         "shutting", "closed",  "unknown"};
    static const char *const timers[] = {"unknown",  "connect", "input",  "shutdown",
                                         "deadline", "tls",     "unknown"};
    static const char *const reasons[] = {"unknown", "shutdown", "failure", "error",
                                          "eof",     "timeout",  "die",     "unknown"};

    (void) state;
    for (unsigned i = 0; i < COUNT(ops); i++)
        assert_string_equal(tcpm_op_name((enum tcpm_op) i), ops[i]);
    for (unsigned i = 0; i < COUNT(phases); i++)
        assert_string_equal(tcpm_phase_name((enum tcpm_phase) i), phases[i]);
    for (unsigned i = 0; i < COUNT(timers); i++)
        assert_string_equal(tcpm_timer_name((enum tcpm_timer) i), timers[i]);
    for (unsigned i = 0; i < COUNT(reasons); i++)
        assert_string_equal(tcpm_reason_name((enum tcpm_reason) i), reasons[i]);
    assert_string_equal(tcpm_op_name((enum tcpm_op) - 1), "unknown");
}

static void test_the_version_has_three_numbers(void **state)
{
    unsigned numbers[3];
    char rest = 0;

    (void) state;
    int read = sscanf(tcpm_version(), "%u.%u.%u%c", &numbers[0], &numbers[1], &numbers[2], &rest);
    assert_int_equal(read, 3);
}

static void test_a_line_is_printable_and_bounded(void **state)
{
    char all[256];
    char large[5000];

    (void) state;
    for (int i = 1; i < 256; i++)
        all[i - 1] = (char) i;
    all[255] = '\0';
    char *line = tcpm__error_line(&tcpm__memory_default, all);
    assert_int_equal(strlen(line), 255);
    for (int i = 1; i < 256; i++)
        assert_int_equal(line[i - 1], i >= 0x20 && i < 0x7f ? i : '?');
    free(line);

    memset(large, 'x', sizeof large);
    large[sizeof large - 1] = '\0';
    line = tcpm__error_line(&tcpm__memory_default, large);
    assert_int_equal(strlen(line), 4096);
    free(line);
    line = tcpm__error_line(&tcpm__memory_default, "");
    assert_string_equal(line, "");
    free(line);
    assert_null(tcpm__error_line(&tcpm__memory_default, NULL));
}

static void test_a_line_without_memory_is_null(void **state)
{
    struct scarce scarce;

    (void) state;
    scarce_init(&scarce);
    scarce.left = 0;
    assert_null(tcpm__error_line(&scarce.memory, "x"));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_every_errno_has_its_name_and_comes_back_by_it),
#ifdef HAVE_STRERRORNAME_NP
    cmocka_unit_test(test_names_and_texts_are_those_of_the_C_library),
#endif
    cmocka_unit_test(test_what_scripts_test_is_named_as_they_do),
    cmocka_unit_test(test_our_own_codes_are_in_the_list_of_the_header),
    cmocka_unit_test(test_what_is_not_known_says_so),
    cmocka_unit_test(test_second_names_of_one_number_are_known),
    cmocka_unit_test(test_the_words_of_the_enums),
    cmocka_unit_test(test_the_version_has_three_numbers),
    cmocka_unit_test(test_a_line_is_printable_and_bounded),
    cmocka_unit_test(test_a_line_without_memory_is_null),
};

RUN_TESTS(tests)
