/* SPDX-License-Identifier: MIT */
/*
 * A host that unloads the library while look-ups hang: nobody waits for them, and the code that
 * their threads return to later is still mapped. getaddrinfo is this program's own (stage.h), which
 * the library finds as the program exports it.
 *
 * usage: names-test-unload LIBTCPMULTI.SO
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <netdb.h>
#include <unistd.h>

#include <uv.h>

#include "stage.h"
#include "tcpmulti.h"

enum { NAMES = 50, THREADS = 4 };

static const char *library;

int __wrap_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                       struct addrinfo **ret);
void __wrap_freeaddrinfo(struct addrinfo *info);

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **ret)
{
    return __wrap_getaddrinfo(name, service, hints, ret);
}

void freeaddrinfo(struct addrinfo *info)
{
    __wrap_freeaddrinfo(info);
}

/* The functions of the library, found by name. */
struct api {
    void *handle;
    int (*engine_create)(uv_loop_t *loop, const struct tcpm_engine_options *options,
                         struct tcpm_engine **engine);
    void (*engine_close)(struct tcpm_engine *engine, void (*closed)(void *user), void *user);
    int (*session_create)(struct tcpm_engine *engine, const struct tcpm_session_options *options,
                          struct tcpm_session **session);
    int (*connect)(struct tcpm_session *session, const struct tcpm_connect_options *options,
                   struct tcpm_id *id);
};

static void find(const struct api *api, const char *name, void *ret)
{
    void *function = dlsym(api->handle, name);

    assert_non_null(function);
    memcpy(ret, &function, sizeof function);
}

static void load(struct api *api)
{
    api->handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (api->handle == NULL)
        fail_msg("%s", dlerror());
    find(api, "tcpm_engine_create", &api->engine_create);
    find(api, "tcpm_engine_close", &api->engine_close);
    find(api, "tcpm_session_create", &api->session_create);
    find(api, "tcpm_connect", &api->connect);
}

static void connect_all(const struct api *api, struct tcpm_engine *engine)
{
    static const struct tcpm_events events = {.size = sizeof events};
    const struct tcpm_session_options options = {
        .size = sizeof options, .events = &events, .dns = TCPM_DNS_SYSTEM};
    struct tcpm_session *session;
    char name[32];

    assert_int_equal(api->session_create(engine, &options, &session), 0);
    for (int i = 0; i < NAMES; i++) {
        const struct tcpm_connect_options target = {
            .size = sizeof target, .address = name, .port = 1};

        snprintf(name, sizeof name, "hang-%d.test", i);
        assert_int_equal(api->connect(session, &target, NULL), 0);
    }
}

/* REACH N41, N65. */
static void test_N65_a_library_is_unloaded_while_look_ups_hang(void **state)
{
    struct api api;
    uv_loop_t loop;
    struct tcpm_engine *engine;

    (void) state;
    load(&api);
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(api.engine_create(&loop, NULL, &engine), 0);
    connect_all(&api, engine);
    while (stage_inside() < THREADS)
        uv_run(&loop, UV_RUN_NOWAIT);

    uint64_t began = uv_hrtime();
    api.engine_close(engine, NULL, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    assert_true(uv_hrtime() - began < 200000000);
    assert_int_equal(dlclose(api.handle), 0);
    assert_non_null(dlopen(library, RTLD_NOW | RTLD_NOLOAD));
    stage_open_gate(true);
    stage_wait(THREADS, 0);
    usleep(50000); /* the threads return to the library, and end */
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_N65_a_library_is_unloaded_while_look_ups_hang),
};

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    library = argv[1];
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
