/* SPDX-License-Identifier: MIT */
/*
 * Every function of the public header is in the built shared library, under its name, and this
 * program's list of them is the header's: a new function without a test is found here.
 * PUBLIC_HEADER is the header's path.
 */
#include "host.h"

#include <dlfcn.h>

#define FUNCTIONS(X)         \
    X(tcpm_abort)            \
    X(tcpm_alarm_connection) \
    X(tcpm_alarm_remove)     \
    X(tcpm_codec_clear)      \
    X(tcpm_codec_close)      \
    X(tcpm_codec_feed)       \
    X(tcpm_codec_finish)     \
    X(tcpm_codec_get_one)    \
    X(tcpm_codec_message)    \
    X(tcpm_codec_open)       \
    X(tcpm_codec_pending)    \
    X(tcpm_codec_put)        \
    X(tcpm_codec_swallowed)  \
    X(tcpm_codec_swallow)    \
    X(tcpm_connect)          \
    X(tcpm_deadline)         \
    X(tcpm_delay)            \
    X(tcpm_delay_adjust)     \
    X(tcpm_delay_adjust_ns)  \
    X(tcpm_delay_ns)         \
    X(tcpm_die)              \
    X(tcpm_endpoints_get)    \
    X(tcpm_engine_close)     \
    X(tcpm_engine_close_now) \
    X(tcpm_engine_create)    \
    X(tcpm_engine_dump)      \
    X(tcpm_engine_loop)      \
    X(tcpm_error_code)       \
    X(tcpm_error_name)       \
    X(tcpm_error_text)       \
    X(tcpm_events_set)       \
    X(tcpm_every)            \
    X(tcpm_fail)             \
    X(tcpm_fail_as)          \
    X(tcpm_filter_block)     \
    X(tcpm_filter_custom)    \
    X(tcpm_filter_free)      \
    X(tcpm_filter_get)       \
    X(tcpm_filter_line)      \
    X(tcpm_filter_name)      \
    X(tcpm_filter_names)     \
    X(tcpm_filter_netstring) \
    X(tcpm_filter_resp)      \
    X(tcpm_filter_set)       \
    X(tcpm_filter_stream)    \
    X(tcpm_has_room)         \
    X(tcpm_heap_get)         \
    X(tcpm_heap_set)         \
    X(tcpm_info_get)         \
    X(tcpm_input_next)       \
    X(tcpm_names_set)        \
    X(tcpm_names_stats_get)  \
    X(tcpm_next)             \
    X(tcpm_now_ns)           \
    X(tcpm_op_name)          \
    X(tcpm_out_write)        \
    X(tcpm_pause)            \
    X(tcpm_pending)          \
    X(tcpm_phase_name)       \
    X(tcpm_post)             \
    X(tcpm_reason_name)      \
    X(tcpm_reset)            \
    X(tcpm_resume)           \
    X(tcpm_send)             \
    X(tcpm_send_many)        \
    X(tcpm_session_create)   \
    X(tcpm_session_engine)   \
    X(tcpm_session_user)     \
    X(tcpm_shutdown)         \
    X(tcpm_shutdown_output)  \
    X(tcpm_sig)              \
    X(tcpm_starttls)         \
    X(tcpm_stats_get)        \
    X(tcpm_swallow)          \
    X(tcpm_take)             \
    X(tcpm_tally)            \
    X(tcpm_timeout)          \
    X(tcpm_timer_name)       \
    X(tcpm_times_get)        \
    X(tcpm_proxy_check)      \
    X(tcpm_tls_certificate)  \
    X(tcpm_tls_create)       \
    X(tcpm_tls_free)         \
    X(tcpm_tls_get)          \
    X(tcpm_tried_get)        \
    X(tcpm_unread)           \
    X(tcpm_version)

typedef void (*any_function)(void);

struct symbol {
    const char *name;
    any_function function;
};

#define SYMBOL(name) {#name, (any_function) (name)},
static const struct symbol symbols[] = {FUNCTIONS(SYMBOL)};

static void test_every_function_is_in_the_shared_library(void **state)
{
    (void) state;
    for (size_t i = 0; i < COUNT(symbols); i++) {
        void *found = dlsym(RTLD_DEFAULT, symbols[i].name);
        any_function function = NULL;
        Dl_info where;
        memcpy(&function, &found, sizeof function);
        if (found == NULL || function != symbols[i].function)
            fail_msg("%s", symbols[i].name);
        assert_int_not_equal(dladdr(found, &where), 0);
        if (strstr(where.dli_fname, "libtcpmulti.so") == NULL)
            fail_msg("%s comes from %s", symbols[i].name, where.dli_fname);
    }
}

static bool is_listed(const char *name, size_t length)
{
    for (size_t i = 0; i < COUNT(symbols); i++)
        if (strlen(symbols[i].name) == length && memcmp(symbols[i].name, name, length) == 0)
            return true;
    return false;
}

static char *read_header(void)
{
    static const size_t room = 1 << 20;
    FILE *file = fopen(PUBLIC_HEADER, "r");
    char *text = calloc(1, room);

    assert_non_null(file);
    assert_non_null(text);
    assert_true(fread(text, 1, room - 1, file) > 1000);
    fclose(file);
    return text;
}

/* A declaration is TCPM_API, a type, and the first name of ours before a parenthesis. */
static void test_the_list_is_the_headers(void **state)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz_0123456789";
    char *text = read_header();
    size_t declared = 0;

    (void) state;
    for (char *at = text; (at = strstr(at, "TCPM_API ")) != NULL;) {
        size_t length = 0;
        at += strlen("TCPM_API ");
        if (strncmp(at, "__attribute__", 13) == 0)
            continue; /* the macro itself */
        for (char *name = at; (name = strstr(name, "tcpm_")) != NULL; name += length) {
            length = strspn(name, letters);
            if (name[length] != '(')
                continue; /* a type */
            if (!is_listed(name, length))
                fail_msg("%.*s is in no test", (int) length, name);
            declared++;
            break;
        }
    }
    assert_int_equal(declared, COUNT(symbols));
    free(text);
}

static void test_the_clock_is_the_monotonic_one(void **state)
{
    int64_t before = (int64_t) uv_hrtime(), now = tcpm_now_ns(), after = (int64_t) uv_hrtime();

    (void) state;
    assert_true(before <= now && now <= after);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_every_function_is_in_the_shared_library),
    cmocka_unit_test(test_the_list_is_the_headers),
    cmocka_unit_test(test_the_clock_is_the_monotonic_one),
};

RUN_TESTS(tests)
