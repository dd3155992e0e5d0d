/* SPDX-License-Identifier: MIT */
/* Names of servers that TLS verifies: OpenSSL gets only what it really verifies. */
#include "support.h"

#include <errno.h>

#include "tcpmulti.h"
#include "transport/server_name.h"

static const struct {
    const char *text, *form;
    bool is_address;
} good[] = {
    {"a.test", "a.test", false},
    {"A.Test.", "a.test", false},
    {"localhost", "localhost", false},
    {"127.0.0.1", "127.0.0.1", true},
    {"::1", "::1", true},
    {"2001:DB8::1", "2001:DB8::1", true},
    {"fe80::1%eth0", "fe80::1", true},
    {"::ffff:192.0.2.1", "::ffff:192.0.2.1", true},
};

static void test_names_and_addresses_have_one_form(void **state)
{
    char form[TCPM__HOST_NAME_SIZE];
    const char *why;

    (void) state;
    for (size_t i = 0; i < COUNT(good); i++) {
        assert_int_equal(tcpm__server_name_make(good[i].text, form, &why), 0);
        assert_string_equal(form, good[i].form);
        assert_int_equal(tcpm__server_name_is_address(form), good[i].is_address);
    }
}

static const struct {
    const char *text;
    int code;
} bad[] = {
    {"", TCPM_EBADNAME},        {".", TCPM_EBADNAME},        {".a.test", TCPM_EBADNAME},
    {"a..test", TCPM_EBADNAME}, {"a.test..", TCPM_EBADNAME}, {"[::1]", -EINVAL},
    {"[127.0.0.1]", -EINVAL},   {"[a.test]", -EINVAL},       {"*.test", TCPM_EBADNAME},
    {"a test", TCPM_EBADNAME},  {"127.1", TCPM_ENOTFOUND},   {"127.0.0.1%lo", TCPM_EBADNAME},
};

static void test_what_openssl_would_not_verify_is_refused(void **state)
{
    char form[TCPM__HOST_NAME_SIZE], longest[600];

    (void) state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        const char *why = NULL;
        int code = tcpm__server_name_make(bad[i].text, form, &why);

        if (code != bad[i].code || why == NULL)
            fail_msg("%s: %d, %s", bad[i].text, code, why != NULL ? why : "no reason");
    }
    for (size_t length = 250; length < sizeof longest; length++) {
        const char *why = NULL;

        memset(longest, ':', length);
        longest[length] = '\0';
        assert_int_not_equal(tcpm__server_name_make(longest, form, &why), 0);
        assert_non_null(why);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_names_and_addresses_have_one_form),
    cmocka_unit_test(test_what_openssl_would_not_verify_is_refused),
};

RUN_TESTS(tests)
