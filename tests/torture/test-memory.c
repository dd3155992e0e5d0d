/* SPDX-License-Identifier: MIT */
/*
 * Out of memory, everywhere: each scenario is run again and again, and in each run another request
 * for memory fails, alone or with all that follow it. First the engine's own requests, then those
 * of libuv; and the engine's own where TLS is spoken (REACH T66). Whatever happens, the checks of
 * subject.h hold, and nothing is left.
 *
 * usage: memory [STRIDE]; every so manieth request fails, from the first on; 1: each of them
 */
#include "scenarios.h"

#include <errno.h>
#include <stdlib.h>

/* ---- libuv's memory ---- */

static struct memory *uv_memory(void)
{
    static struct memory memory;

    return &memory;
}

static bool uv_may_have(void)
{
    struct memory *memory = uv_memory();
    uint64_t number = ++memory->requests;

    if (memory->fail_at == 0 || number < memory->fail_at)
        return true;
    memory->failed++;
    return number > memory->fail_at && !memory->fail_on;
}

static void *uv_malloc(size_t size)
{
    return uv_may_have() ? malloc(size) : NULL;
}

static void *uv_realloc(void *block, size_t size)
{
    return uv_may_have() ? realloc(block, size) : NULL;
}

static void *uv_calloc(size_t count, size_t size)
{
    return uv_may_have() ? calloc(count, size) : NULL;
}

/* ---- runs ---- */

/* Once; memory is the one that fails, the engine's if NULL. Gives the requests made of it. */
static uint64_t run_once(const struct scenario *scenario, bool secured, struct memory *memory,
                         uint64_t fail_at, bool fail_on)
{
    struct company company;
    uint64_t requests;

    torture_note("%s: %srequest %llu fails%s", scenario->name, memory == NULL ? "" : "libuv's ",
                 (unsigned long long) fail_at, fail_on ? ", and all after it" : "");
    torture_watch(60);
    if (secured)
        scenario_open_secured(scenario, &company, fail_at == 0);
    else
        scenario_open(scenario, &company, fail_at == 0);
    if (memory == NULL)
        company.stage.memory = (struct memory){.fail_at = fail_at, .fail_on = fail_on};
    int result = company_open_engine(&company, NULL);
    if (memory != NULL)
        *memory = (struct memory){.fail_at = fail_at, .fail_on = fail_on};
    EXPECT(result == 0 || (result == -ENOMEM && fail_at != 0), "engine: %d", result);
    scenario_run(scenario, &company, fail_at == 0);
    requests = memory == NULL ? company.stage.memory.requests : memory->requests;
    if (memory != NULL)
        *memory = (struct memory){0};
    company_close(&company);
    return requests;
}

static void torture(const struct scenario *scenario, bool secured, struct memory *memory,
                    uint64_t stride)
{
    uint64_t requests = run_once(scenario, secured, memory, 0, false), runs = 0;

    for (uint64_t at = 1; at <= requests; at += stride, runs++) {
        run_once(scenario, secured, memory, at, false);
        run_once(scenario, secured, memory, at, true);
    }
    torture_pass("%s: %llu requests%s, %llu failed, alone and with all that follow", scenario->name,
                 (unsigned long long) requests, memory == NULL ? "" : " of libuv",
                 (unsigned long long) runs);
}

int main(int argc, char **argv)
{
    uint64_t stride = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    size_t count, secured_count;
    const struct scenario *all = scenarios(&count);
    const struct scenario *secured = secured_scenarios(&secured_count);

    CHECK(stride > 0);
    CHECK(uv_replace_allocator(uv_malloc, uv_realloc, uv_calloc, free) == 0);
    torture_plan(2 * (int) count + (int) secured_count);
    for (size_t i = 0; i < count; i++)
        torture(&all[i], false, NULL, stride);
    for (size_t i = 0; i < count; i++)
        torture(&all[i], false, uv_memory(), stride);
    for (size_t i = 0; i < secured_count; i++)
        torture(&secured[i], true, NULL, stride);
    return 0;
}
