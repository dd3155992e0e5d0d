/* SPDX-License-Identifier: MIT */
/*
 * Calls a fuzz target for each input of a folder, and for all that an input of moderate size begins
 * with, so that what a fuzzer has found once is tried in every run of the tests, without a fuzzer.
 *
 * usage: fuzz-replay-TARGET FOLDER
 */
#include "fuzz.h"

#include <dirent.h>

enum {
    MOST_BYTES = 1 << 20, /* of an input */
    CUT_BYTES = 1024,     /* of an input that is tried cut off at each of its bytes */
};

static int is_input(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* Each run gets a block of its own, so that a sanitizer finds a read behind its end. */
static void run(const uint8_t *bytes, size_t length)
{
    uint8_t *block = malloc(length > 0 ? length : 1);

    FUZZ_CHECK(block != NULL);
    memcpy(block, bytes, length);
    FUZZ_CHECK(LLVMFuzzerTestOneInput(block, length) == 0);
    free(block);
}

static void replay(const char *folder, const char *name)
{
    static uint8_t bytes[MOST_BYTES];
    char path[4096];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    printf("# %s\n", name); /* the last one that is printed is the one that breaks */

    FILE *file = fopen(path, "rb");

    FUZZ_CHECK(file != NULL);
    size_t length = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    run(bytes, length);
    for (size_t cut = 0; cut < length && length <= CUT_BYTES; cut++)
        run(bytes, cut);
}

int main(int argc, char **argv)
{
    struct dirent **entries;
    int count = argc == 2 ? scandir(argv[1], &entries, is_input, alphasort) : -1;

    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    printf("1..1\n");
    if (count <= 0) {
        printf("not ok 1 - there are no inputs\n");
        return 1;
    }
    for (int i = 0; i < count; i++) {
        replay(argv[1], entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    printf("ok 1 - %d inputs, and all that they begin with\n", count);
    return 0;
}
