/* SPDX-License-Identifier: MIT */
/* See common.h. */
#include "common.h"

#include <dirent.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- random numbers: splitmix64 ---- */

uint64_t chance_next(struct chance *chance)
{
    uint64_t z = chance->state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

unsigned chance_below(struct chance *chance, unsigned bound)
{
    return (unsigned) (chance_next(chance) % bound);
}

bool chance_one_in(struct chance *chance, unsigned times)
{
    return chance_below(chance, times) == 0;
}

size_t chance_size(struct chance *chance, size_t largest)
{
    size_t size = largest >> chance_below(chance, 20);

    return size == 0 ? 1 : 1 + (size_t) (chance_next(chance) % size);
}

/* ---- checks ---- */

static char *noted(void)
{
    static char text[256];

    return text;
}

void torture_note(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(noted(), 256, format, arguments);
    va_end(arguments);
}

void torture_fail(const char *file, int line, const char *format, ...)
{
    va_list arguments;

    printf("not ok - %s\n# %s:%d: ", noted(), file, line);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
    fflush(stdout);
    _exit(1);
}

static void time_is_over(int signum)
{
    static const char text[] = "not ok - it hangs\n# ";

    (void) signum;
    (void) !write(STDOUT_FILENO, text, sizeof text - 1);
    (void) !write(STDOUT_FILENO, noted(), strlen(noted()));
    (void) !write(STDOUT_FILENO, "\n", 1);
    _exit(1);
}

void torture_watch(unsigned seconds)
{
    signal(SIGALRM, time_is_over);
    alarm(seconds);
}

static int *count_passed(void)
{
    static int passed;

    return &passed;
}

void torture_plan(int tests)
{
    printf("1..%d\n", tests);
    fflush(stdout);
}

void torture_pass(const char *format, ...)
{
    va_list arguments;

    printf("ok %d - ", ++*count_passed());
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
    fflush(stdout);
}

double torture_seconds(void)
{
    struct timespec used;
    static double began;

    clock_gettime(CLOCK_MONOTONIC, &used);
    if (began == 0)
        began = (double) used.tv_sec + (double) used.tv_nsec / 1e9;
    return (double) used.tv_sec + (double) used.tv_nsec / 1e9 - began;
}

/* ---- an engine on its loop ---- */

static int count_descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    int count = 0;

    EXPECT(directory != NULL, "no /proc");
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count;
}

static bool shall_fail(struct memory *memory)
{
    uint64_t number = ++memory->requests;

    if (memory->fail_at == 0 || number < memory->fail_at)
        return false;
    return number == memory->fail_at || memory->fail_on;
}

static void *reallocate(void *block, size_t size, void *user)
{
    struct memory *memory = user;
    void *result;

    if (size == 0) {
        memory->blocks -= block != NULL;
        free(block);
        return NULL;
    }
    if (shall_fail(memory)) {
        memory->failed++;
        return NULL;
    }
    result = realloc(block, size);
    EXPECT(result != NULL, "really out of memory");
    memory->blocks += block == NULL;
    return result;
}

/* What stays open after a first loop: libuv's signal pipe. */
static void open_what_stays(void)
{
    uv_loop_t loop;

    CHECK(uv_loop_init(&loop) == 0);
    CHECK(uv_loop_close(&loop) == 0);
}

void stage_begin(struct stage *stage)
{
    memset(stage, 0, sizeof *stage);
    open_what_stays();
    stage->descriptors = count_descriptors();
}

int stage_open(struct stage *stage, const struct tcpm_engine_options *options)
{
    struct tcpm_engine_options all = {0};

    if (options != NULL)
        all = *options;
    CHECK(uv_loop_init(&stage->loop) == 0);
    all.size = sizeof all;
    all.reallocate = reallocate;
    all.user = &stage->memory;
    return tcpm_engine_create(&stage->loop, &all, &stage->engine);
}

static void note_closed(void *user)
{
    struct stage *stage = user;

    EXPECT(!stage->closed, "closed came twice");
    stage->closed = true;
}

void stage_close_engine(struct stage *stage)
{
    if (stage->engine != NULL)
        tcpm_engine_close(stage->engine, note_closed, stage);
    stage->engine = NULL;
}

void stage_finish(struct stage *stage)
{
    bool made = stage->engine != NULL || stage->closed;

    stage_close_engine(stage);
    uv_run(&stage->loop, UV_RUN_DEFAULT);
    EXPECT(!made || stage->closed, "the loop ran out of work before the engine had closed");
}

void stage_close(struct stage *stage)
{
    int result = uv_loop_close(&stage->loop);

    EXPECT(result == 0, "uv_loop_close: %s", uv_strerror(result));
    EXPECT(stage->memory.blocks == 0, "%ld blocks are left", stage->memory.blocks);
    EXPECT(count_descriptors() == stage->descriptors, "%d descriptors, %d before",
           count_descriptors(), stage->descriptors);
}
