/* SPDX-License-Identifier: MIT */
/*
 * Out of memory among tasks (row Y124): scenarios of tasks.lua are run in a host again and again,
 * and in each run another request for memory fails, alone or with some that follow it, whoever asks
 * for memory: LuaJIT, the binding, the engine or libuv. Whatever happens, nothing crashes, the loop
 * comes to its end, every connection gets its last event, every task ends or is dropped by a fatal
 * error that the host is told, no session is left, and tasks begun afterwards do their work. The
 * same while tcpmulti.co is loaded: it raises, and can be loaded again.
 *
 * LuaJIT's compiler is off, as in binding/test-memory.c.
 *
 * usage: test-tasks [SCENARIO REQUEST COUNT]: this run alone, in which so many requests fail from
 * that one on
 */
#include "host.h"

#include <lauxlib.h>
#include <limits.h>
#include <lua.h>
#include <luajit.h>
#include <lualib.h>
#include <string.h>

#include "tcpmulti_lua.h"

/* The path of tasks.lua, whether TLS can be spoken, and the most runs of a scenario. */
#ifndef SCENARIOS
#define SCENARIOS ""
#define SECURED   0
#define MOST      1000
#endif

/* ---- memory ---- */

struct memory {
    bool counting;    /* whether requests are counted, and may fail */
    long requests;    /* since counting began */
    long refuse;      /* number of the first one that fails; 0: none */
    long refuse_most; /* so many fail */
};

/* That of the thread; those of the peers and of libuv's pool never count. */
static struct memory *memory(void)
{
    static _Thread_local struct memory ours;

    return &ours;
}

static bool may_have(void)
{
    struct memory *plan = memory();

    if (!plan->counting)
        return true;
    plan->requests++;
    return plan->refuse == 0 || plan->requests < plan->refuse ||
           plan->requests - plan->refuse >= plan->refuse_most;
}

/* Those of the C library. */
void *real_malloc(size_t size) __asm__("__real_malloc");
void *real_calloc(size_t count, size_t size) __asm__("__real_calloc");
void *real_realloc(void *block, size_t size) __asm__("__real_realloc");
char *real_strdup(const char *text) __asm__("__real_strdup");

/* The linker takes these in place of the former, for the library and the binding. */
void *try_malloc(size_t size) __asm__("__wrap_malloc");
void *try_calloc(size_t count, size_t size) __asm__("__wrap_calloc");
void *try_realloc(void *block, size_t size) __asm__("__wrap_realloc");
char *try_strdup(const char *text) __asm__("__wrap_strdup");

void *try_malloc(size_t size)
{
    return may_have() ? real_malloc(size) : NULL;
}

void *try_calloc(size_t count, size_t size)
{
    return may_have() ? real_calloc(count, size) : NULL;
}

void *try_realloc(void *block, size_t size)
{
    return may_have() ? real_realloc(block, size) : NULL;
}

char *try_strdup(const char *text)
{
    return may_have() ? real_strdup(text) : NULL;
}

static void *reallocate_lua(void *user, void *block, size_t old_size, size_t size)
{
    (void) user;
    if (size == 0) {
        free(block);
        return NULL;
    }
    if (block != NULL && size <= old_size)
        return real_realloc(block, size);
    return try_realloc(block, size);
}

/* ---- one run ---- */

struct served {
    const char *name; /* in the scenarios' table of ports */
    const char *program;
    struct peer_options options;
};

static const struct served all_served[] = {
    {.name = "echo", .program = "echo"},
    {.name = "page", .program = "send \"one\\ntwo\\nthree\\n\"; close"},
    {.name = "freeze", .program = "freeze"},
    {.name = "reset", .program = "send \"one\\n\"; recv line; rst"},
    {.name = "refused", .program = "", .options.refuse = 1},
#if SECURED
    {.name = "starttls",
     .program = "plain; send \"go\\n\"; recv line; starttls; send \"hello\\n\"; recv all",
     .options.tls = &(const struct peer_tls){.tickets = -1}},
#endif
};

struct run {
    struct host host;
    lua_State *L;
    const char *scenario;
    int fatal; /* errors that the host was told */
};

static void on_fatal(const char *traceback, void *user)
{
    assert_non_null(traceback);
    ((struct run *) user)->fatal++;
}

/* Calls a function of the table that the scenarios have returned, which lies at index 1. */
static void call_scenario(lua_State *L, const char *name, int results)
{
    lua_getfield(L, 1, name);
    if (lua_pcall(L, 0, results, 0) != 0)
        fail_msg("%s: %s", name, lua_tostring(L, -1));
}

/* To fill its backlog takes a while, so this peer lives as long as the process. */
static int silent_port(void)
{
    static struct peer *peer;

    if (peer == NULL)
        peer = peer_start("", &(const struct peer_options){.blackhole = 1});
    assert_non_null(peer);
    return peer_port(peer);
}

static void push_ports(struct run *run)
{
    lua_newtable(run->L);
    lua_pushinteger(run->L, silent_port());
    lua_setfield(run->L, -2, "silent");
    for (size_t i = 0; i < COUNT(all_served); i++) {
        const struct served *one = &all_served[i];

        lua_pushinteger(run->L, peer_port(host_peer(&run->host, one->program, &one->options)));
        lua_setfield(run->L, -2, one->name);
    }
}

/* Opens the module on a new state. */
static void open_state(struct run *run)
{
    const struct tcpm_lua_options options = {
        .size = sizeof options,
        .exception = on_fatal,
        .user = run,
    };

    host_open(&run->host, NULL);
    run->L = lua_newstate(reallocate_lua, NULL);
    assert_non_null(run->L);
    luaL_openlibs(run->L);
    luaJIT_setmode(run->L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF);
    assert_int_equal(tcpm_lua_open(run->L, run->host.engine, &options), 0);
    lua_settop(run->L, 0);
}

static void open_run(struct run *run)
{
    silent_port(); /* whose descriptors are none of the host's */
    open_state(run);
    if (luaL_loadfile(run->L, SCENARIOS) != 0)
        fail_msg("%s", lua_tostring(run->L, -1));
    push_ports(run);
    lua_pushboolean(run->L, SECURED);
    if (lua_pcall(run->L, 2, 1, 0) != 0)
        fail_msg("%s", lua_tostring(run->L, -1));
}

/* Fails if the function has found something wrong. */
static void check_run(struct run *run, const char *name, long refuse, long refuse_most)
{
    lua_getfield(run->L, 1, name);
    lua_pushboolean(run->L, run->fatal > 0);
    if (lua_pcall(run->L, 1, 1, 0) != 0)
        fail_msg("%s: %s", name, lua_tostring(run->L, -1));
    if (!lua_isnil(run->L, -1))
        fail_msg("%s, %ld requests from %ld on fail, %d fatal errors: %s", run->scenario,
                 refuse_most, refuse, run->fatal, lua_tostring(run->L, -1));
    lua_settop(run->L, 1);
}

/* Sessions that nobody refers to any more die from the loop. */
static void check_what_is_left(struct run *run, long refuse, long refuse_most)
{
    lua_gc(run->L, LUA_GCCOLLECT, 0);
    host_run(&run->host);
    lua_gc(run->L, LUA_GCCOLLECT, 0);
    check_run(run, "check_left", refuse, refuse_most);
}

/* Gives the number of requests. refuse 0: none fails. */
static long run_once(const char *scenario, long refuse, long refuse_most)
{
    struct run run = {.scenario = scenario};
    struct memory *plan = memory();

    open_run(&run);
    call_scenario(run.L, "make", 1);
    lua_getfield(run.L, 1, scenario);
    lua_insert(run.L, 2);
    lua_gc(run.L, LUA_GCCOLLECT, 0);
    *plan = (struct memory){.counting = true, .refuse = refuse, .refuse_most = refuse_most};
    if (lua_pcall(run.L, 1, 0, 0) != 0)
        assert_int_not_equal(refuse, 0);
    lua_settop(run.L, 1);
    host_run(&run.host);
    plan->counting = false;
    assert_int_equal(lua_gettop(run.L), 1);
    check_run(&run, "check", refuse, refuse_most);
    check_what_is_left(&run, refuse, refuse_most);
    if (refuse == 0)
        assert_int_equal(run.fatal, 0);
    run.fatal = 0;
    call_scenario(run.L, "again", 0);
    host_run(&run.host);
    check_run(&run, "check_again", refuse, refuse_most);
    check_what_is_left(&run, refuse, refuse_most);
    assert_int_equal(run.fatal, 0);
    lua_close(run.L);
    host_close(&run.host);
    return plan->requests;
}

/* ---- loading tcpmulti.co ---- */

static const char loading[] = "return require 'tcpmulti.co'";

/* What is loaded at last does its work, the filters of dialogues too, which parts that were loaded
   before have wrapped. */
static const char after_loading[] =
    "local port = ...\n"
    "package.loaded['tcpmulti.co'] = nil -- require keeps a mark where loading has failed\n"
    "local tcpmulti, co = require 'tcpmulti', require 'tcpmulti.co'\n"
    "session = tcpmulti.create {}\n"
    "session:spawn(function()\n"
    "  local cheap = co.try(co.open('127.0.0.1', port))\n"
    "  cheap:send 'one\\r\\ntwo'\n"
    "  local stand_in, own = co.try(cheap:receive 'stream'), nil\n"
    "  cheap:unread(stand_in)\n"
    "  own = { cheap:receive(), cheap:receive(nil, 5) }\n"
    "  done = own[1] == 'one' and own[2] == 'two'\n"
    "end)\n";

static void run_chunk(lua_State *L, const char *chunk, int port)
{
    assert_int_equal(luaL_loadstring(L, chunk), 0);
    lua_pushinteger(L, port);
    if (lua_pcall(L, 1, 0, 0) != 0)
        fail_msg("%s", lua_tostring(L, -1));
}

/* Gives the number of requests that loading makes. refuse 0: none fails. */
static long load_once(long refuse, long refuse_most)
{
    struct run run = {.scenario = "loading"};
    struct memory *plan = memory();

    open_state(&run);
    int port = peer_port(host_peer(&run.host, "echo", NULL));
    assert_int_equal(luaL_loadstring(run.L, loading), 0);
    lua_gc(run.L, LUA_GCCOLLECT, 0);
    *plan = (struct memory){.counting = true, .refuse = refuse, .refuse_most = refuse_most};
    int status = lua_pcall(run.L, 0, 1, 0);
    plan->counting = false;
    assert_true(refuse != 0 || status == 0);
    if (status != 0)
        assert_non_null(strstr(lua_tostring(run.L, -1), "memory"));
    lua_settop(run.L, 0);
    run_chunk(run.L, after_loading, port);
    host_run(&run.host);
    lua_getglobal(run.L, "done");
    assert_true(lua_toboolean(run.L, -1));
    assert_int_equal(run.fatal, 0);
    lua_close(run.L);
    host_close(&run.host);
    return plan->requests;
}

static void torture_loading(long most, long refuse_most)
{
    long requests = load_once(0, 0);
    long step = requests / most + 1;

    assert_true(requests > most);
    for (long at = 1; at <= requests; at += step)
        load_once(at, refuse_most);
}

static void test_Y124_a_request_fails_while_it_is_loaded(void **state)
{
    (void) state;
    torture_loading(300, 1);
}

static void test_Y124_all_requests_fail_from_some_point_while_it_is_loaded(void **state)
{
    (void) state;
    torture_loading(30, LONG_MAX);
}

/* ---- all runs ---- */

static void torture(const char *scenario, long most, long refuse_most)
{
    long requests = run_once(scenario, 0, 0);
    long step = requests / most + 1;

    assert_true(requests > 30);
    for (long at = 1; at <= requests; at += step)
        run_once(scenario, at, refuse_most);
}

/* most: runs of each kind; in a tenth of them a row of requests fails. */
#define SCENARIO(name, most)                                                        \
    static void test_Y124_each_request_fails_once_in_##name(void **state)           \
    {                                                                               \
        (void) state;                                                               \
        torture(#name, most, 1);                                                    \
    }                                                                               \
    static void test_Y124_a_row_of_requests_fails_in_##name(void **state)           \
    {                                                                               \
        (void) state;                                                               \
        torture(#name, (most) / 10, 20);                                            \
    }                                                                               \
    static void test_Y124_all_requests_fail_from_some_point_in_##name(void **state) \
    {                                                                               \
        (void) state;                                                               \
        torture(#name, (most) / 10, LONG_MAX);                                      \
    }

SCENARIO(dialogue, MOST)
SCENARIO(company, MOST)
SCENARIO(ends, MOST)
#if SECURED
SCENARIO(starttls, MOST / 3)
#endif

#define TESTS(name)                                                    \
    cmocka_unit_test(test_Y124_each_request_fails_once_in_##name),     \
        cmocka_unit_test(test_Y124_a_row_of_requests_fails_in_##name), \
        cmocka_unit_test(test_Y124_all_requests_fail_from_some_point_in_##name)

static const struct CMUnitTest tests[] = {
    TESTS(dialogue),
    TESTS(company),
    TESTS(ends),
#if SECURED
    TESTS(starttls),
#endif
    cmocka_unit_test(test_Y124_a_request_fails_while_it_is_loaded),
    cmocka_unit_test(test_Y124_all_requests_fail_from_some_point_while_it_is_loaded),
};

int main(int argc, char **argv)
{
    if (uv_replace_allocator(try_malloc, try_realloc, try_calloc, free) != 0)
        return 1;
    if (argc < 4)
        return host_run_tests(tests, COUNT(tests), LEFT_OUT);
    printf("%ld requests\n",
           run_once(argv[1], strtol(argv[2], NULL, 10), strtol(argv[3], NULL, 10)));
    return 0;
}
