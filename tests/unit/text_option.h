/* SPDX-License-Identifier: MIT */
/*
 * For tests of options that are texts, which are read into a structure of their own: what is said
 * of a text that cannot be read, and what is left when there is no memory.
 */
#ifndef TESTS_UNIT_TEXT_OPTION_H
#define TESTS_UNIT_TEXT_OPTION_H

#include "support.h"

#include "base/words.h"

#include <errno.h>

/* Reads a text and frees what was made of it. 0, -ENOMEM, or -EINVAL: *bad is the part of the text
   that is wrong. */
typedef int text_option_try(const struct tcpm__memory *memory, const char *text,
                            struct tcpm__part *bad);

/* Defines three functions with these names for an option whose struct is tcpm__NAME: a
   text_option_try; parse, which makes the struct of a text that can be read; drop, which frees the
   struct. */
#define TEXT_OPTION_FUNCTIONS(name, try_text, parse, drop)                   \
    static int try_text(const struct tcpm__memory *memory, const char *text, \
                        struct tcpm__part *bad)                              \
    {                                                                        \
        struct tcpm__##name *made = NULL;                                    \
        int result = tcpm__##name##_parse(memory, text, &made, bad);         \
                                                                             \
        tcpm__##name##_free(memory, made);                                   \
        return result;                                                       \
    }                                                                        \
                                                                             \
    static struct tcpm__##name *parse(const char *text)                      \
    {                                                                        \
        struct tcpm__##name *made = NULL;                                    \
        struct tcpm__part bad;                                               \
                                                                             \
        if (tcpm__##name##_parse(&tcpm__memory_default, text, &made, &bad))  \
            fail_msg("cannot read: %.*s", (int) (bad.end - bad.at), bad.at); \
        return made;                                                         \
    }                                                                        \
                                                                             \
    static void drop(struct tcpm__##name *made)                              \
    {                                                                        \
        tcpm__##name##_free(&tcpm__memory_default, made);                    \
    }

/* Asserts that a text of these three parts is refused, that just the wrong part is told, and that
   no memory is left. */
static inline void assert_refused(text_option_try *try_text, const char *before, const char *wrong,
                                  const char *behind)
{
    struct scarce scarce;
    struct tcpm__part bad;
    char text[200];

    scarce_init(&scarce);
    snprintf(text, sizeof text, "%s%s%s", before, wrong, behind);
    if (try_text(&scarce.memory, text, &bad) != -EINVAL)
        fail_msg("'%s' was read", wrong);
    assert_ptr_equal(bad.at, text + strlen(before));
    assert_int_equal(bad.end - bad.at, strlen(wrong));
    assert_int_equal(scarce.blocks, 0);
}

/* Lets each request for memory fail in turn: asserts that each failure is told, that a few requests
   were made, and that no memory is left. */
static inline void assert_fails_without_memory(text_option_try *try_text, const char *text)
{
    long failed = 0;

    for (int result = -ENOMEM; result != 0; failed++) {
        struct tcpm__part bad;
        struct scarce scarce;

        scarce_init(&scarce);
        scarce.left = failed;
        result = try_text(&scarce.memory, text, &bad);
        assert_true(result == 0 || result == -ENOMEM);
        assert_int_equal(scarce.blocks, 0);
    }
    assert_in_range(failed, 2, 10);
}

#endif
