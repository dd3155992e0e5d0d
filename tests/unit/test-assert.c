/* SPDX-License-Identifier: MIT */
/*
 * Assertions: in a build that has them, a false one ends the process, with a line that tells where;
 * in a release build no condition is evaluated.
 */
#include "support.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"

static void test_a_true_assertion_does_nothing(void **state)
{
    (void) state;
    TCPM__ASSERT(state != NULL || state == NULL);
}

#ifdef TCPM__ASSERTIONS

/* Runs a child whose assertion is false; its standard error goes to text. Gives its wait status. */
static int run_child(char *text, size_t size)
{
    int ends[2], status = 0;
    size_t length = 0;

    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGABRT, SIG_DFL); /* cmocka has a handler of its own */
        dup2(ends[1], STDERR_FILENO);
        TCPM__ASSERT(1 + 1 == 3);
        _exit(0);
    }
    close(ends[1]);
    for (ssize_t got = 0; (got = read(ends[0], text + length, size - 1 - length)) > 0;)
        length += (size_t) got;
    text[length] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void test_a_false_assertion_tells_its_place_and_aborts(void **state)
{
    char text[512];

    (void) state;
    int status = run_child(text, sizeof text);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_non_null(strstr(text, "test-assert.c:"));
    assert_non_null(strstr(text, ": run_child: assertion failed: 1 + 1 == 3\n"));
}

#else

static void test_a_release_build_evaluates_no_assertion(void **state)
{
    int evaluated = 0;

    (void) state;
    TCPM__ASSERT(++evaluated == 0);
    assert_int_equal(evaluated, 0);
}

#endif

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_a_true_assertion_does_nothing),
#ifdef TCPM__ASSERTIONS
    cmocka_unit_test(test_a_false_assertion_tells_its_place_and_aborts),
#else
    cmocka_unit_test(test_a_release_build_evaluates_no_assertion),
#endif
};

RUN_TESTS(tests)
