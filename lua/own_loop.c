/* SPDX-License-Identifier: MIT */
/*
 * The loop and the engine of the module's own, where no host brings them. Both go only when no
 * function of theirs or ours is below on the C stack: at once, when run returns, or with the Lua
 * state. If the process exits from inside a handler, they go with the process.
 */
#include "life.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <uv.h>

#include "runtime.h"

/* ---- opening ---- */

/* Without /dev/null, a descriptor that can neither be read nor written takes the number. */
static int open_nowhere(void)
{
    int descriptor = open("/dev/null", O_RDWR);

    return descriptor >= 0 ? descriptor : open("/", O_PATH | O_DIRECTORY);
}

/* libuv aborts when it closes a descriptor of its own with a number below 3. The loop would get
   such numbers in a process that was started with 0, 1 or 2 closed. */
void tcpm__lua_fill_descriptors(void)
{
    int descriptor;

    do
        descriptor = open_nowhere();
    while (descriptor >= 0 && descriptor <= STDERR_FILENO);
    if (descriptor >= 0)
        close(descriptor);
}

/* Whether libuv will find descriptors: it makes an epoll set, on newer kernels a ring of io_uring,
   and a pipe, and aborts if it cannot make the pipe. Two pipes are as many descriptors. */
static int try_descriptors(void)
{
    int first[2], second[2];

    if (pipe2(first, O_CLOEXEC) < 0)
        return -errno;
    int result = pipe2(second, O_CLOEXEC) < 0 ? -errno : 0;
    if (result == 0) {
        close(second[0]);
        close(second[1]);
    }
    close(first[0]);
    close(first[1]);
    return result;
}

int tcpm__lua_loop_open(struct tcpm__lua_runtime *rt, const struct tcpm_engine_options *options)
{
    tcpm__lua_fill_descriptors();
    struct tcpm__lua_link *link = tcpm__lua_link_new();
    uv_loop_t *loop = malloc(sizeof *loop);
    int result = link == NULL || loop == NULL ? -ENOMEM : try_descriptors();
    if (result == 0)
        result = uv_loop_init(loop);
    if (result < 0)
        goto fail;
    result = tcpm_engine_create(loop, options, &rt->engine);
    if (result == 0) {
        rt->loop = loop;
        tcpm__lua_link_set(rt, link);
        return 0;
    }
    uv_loop_close(loop);
fail:
    free(loop);
    free(link);
    return result;
}

/* ---- closing ---- */

static void on_each_handle(uv_handle_t *handle, void *found)
{
    if (!uv_is_closing(handle))
        *(bool *) found = true;
}

/* Whether luv or the program has handles on the loop. The loop must not run for those any more, so
   it stays. */
static bool has_foreign_handles(uv_loop_t *loop)
{
    bool found = false;

    uv_walk(loop, on_each_handle, &found);
    return found;
}

static void close_loop(uv_loop_t *loop)
{
    if (has_foreign_handles(loop))
        return;
    while (uv_run(loop, UV_RUN_DEFAULT) != 0)
        ;
    if (uv_loop_close(loop) == 0)
        free(loop);
}

void tcpm__lua_loop_close(struct tcpm__lua_runtime *rt)
{
    if (rt->leaving == NULL)
        return;
    struct tcpm_engine *engine = rt->leaving;
    uv_loop_t *loop = rt->loop;
    rt->leaving = NULL;
    rt->loop = NULL;
    rt->owner = NULL;
    tcpm_engine_close_now(engine);
    close_loop(loop);
}
