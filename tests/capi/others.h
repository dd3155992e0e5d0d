/* SPDX-License-Identifier: MIT */
/*
 * What a host does on its loop besides: a timer, a pipe, an async that another thread wakes, and a
 * TCP server and client of its own. With these the tests of embedding and teardown share the loop.
 */
#ifndef TESTS_CAPI_OTHERS_H
#define TESTS_CAPI_OTHERS_H

#include "host.h"

struct others {
    uv_timer_t timer;
    uv_pipe_t ends[2];
    uv_async_t async;
    uv_tcp_t server, accepted, client;
    uv_connect_t connect;
    uv_write_t write;
    uv_thread_t waker;
    int ticks, bytes, wakes, accepts, greeted;
    bool stop;
    char buffer[64];
};

void others_start(struct others *others, uv_loop_t *loop);
void others_stop(struct others *others);
/* Whether all of it has happened, and more than once. */
bool others_went_on(void *others);

#endif
