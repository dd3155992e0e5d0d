/* SPDX-License-Identifier: MIT */
/*
 * What the fuzz targets share. A target is a file with the one function that libFuzzer calls for
 * each input; test-replay.c calls the same for the inputs that are kept in corpora/.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/words.h"

/* Returns 0. The bytes are those of a block of exactly this size. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A promise that holds for every input. */
#define FUZZ_CHECK(condition) ((condition) ? (void) 0 : fuzz_fail(#condition, __FILE__, __LINE__))

__attribute__((noreturn)) static inline void fuzz_fail(const char *condition, const char *file,
                                                       int line)
{
    fprintf(stderr, "%s:%d: broken: %s\n", file, line, condition);
    abort();
}

/* A copy of the bytes with a NUL behind them, to be freed. */
static inline char *fuzz_text(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);

    FUZZ_CHECK(text != NULL);
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    return text;
}

/* Has an option read a text, if it has at most so many bytes: try_text gives 0, or a negative error
   and the part of the text that is wrong. That part must lie in the text. Returns 0. */
static inline int fuzz_option(const uint8_t *data, size_t size, size_t most,
                              int (*try_text)(const char *text, struct tcpm__part *bad))
{
    struct tcpm__part bad;

    if (size > most)
        return 0;

    char *text = fuzz_text(data, size);

    if (try_text(text, &bad) < 0)
        FUZZ_CHECK(text <= bad.at && bad.at < bad.end && bad.end <= text + strlen(text));
    free(text);
    return 0;
}

/* An input from which decisions are taken, byte by byte. At its end all further ones are 0. */
struct fuzz_input {
    const uint8_t *at;
    size_t left;
};

static inline unsigned fuzz_byte(struct fuzz_input *input)
{
    if (input->left == 0)
        return 0;
    input->left--;
    return *input->at++;
}

#endif
