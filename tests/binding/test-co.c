/* SPDX-License-Identifier: MIT */
/*
 * Tasks in a program with a loop and a Lua state of its own: they run on the host's loop, and are
 * dropped without being resumed when the state or the module is closed.
 */
#include "state.h"

static void test_Y124_tasks_run_on_the_hosts_loop(void **state)
{
    struct host *host = *state;
    struct heard heard = {0};

    lua_State *L = state_open_with_peer(host, &heard, "echo");
    state_run(L, "local tcpmulti, co = require 'tcpmulti', require 'tcpmulti.co'\n"
                 "log = {}\n"
                 "s = tcpmulti.create {}\n"
                 "local function dialogue(word)\n"
                 "  local cheap = co.try(co.open('127.0.0.1', port))\n"
                 "  cheap:send(word)\n"
                 "  log[#log + 1] = co.try(cheap:receive())\n"
                 "  co.sleep(0.001)\n"
                 "  log[#log + 1] = select(3, cheap:receive(nil, 0.001))\n"
                 "end\n"
                 "s:spawn(co.each, { 'hello', 'world' }, 1, dialogue)\n"
                 "local ok, message = pcall(co.run, s, dialogue, 'never')\n"
                 "assert(not ok and message:find('the host runs the loop', 1, true), message)\n");
    host_run(host);
    state_assert(L, "table.concat(log, ' ') == 'hello ETIME world ETIME'");
    state_run(L, "for task in s:tasks() do error(task:traceback()) end");
    state_assert(L, "s:count() == 0");
    assert_int_equal(heard.calls, 0);
    lua_close(L);
    host_close(host);
}

static void test_Y124_an_error_of_a_task_is_told_to_the_host(void **state)
{
    struct host *host = *state;
    struct heard heard = {0};

    lua_State *L = state_open_with_peer(host, &heard, "echo");
    state_run(L, "local tcpmulti, co = require 'tcpmulti', require 'tcpmulti.co'\n"
                 "s = tcpmulti.create {}\n"
                 "s:spawn(function() co.semaphore(0):acquire() resumed = true end)\n"
                 "s:spawn(function() co.sleep(3600) resumed = true end)\n"
                 "s:spawn(function()\n"
                 "  co.try(co.open('127.0.0.1', port))\n"
                 "  error 'in a task'\n"
                 "end)\n");
    host_run(host);
    assert_int_equal(heard.calls, 1);
    assert_non_null(strstr(heard.traceback, "in a task"));
    assert_non_null(strstr(heard.traceback, "stack traceback"));
    state_assert(L, "resumed == nil");
    lua_close(L);
    host_close(host);
}

/* The error is fatal because on_exception raises: the task that goes on must not wait. */
static void test_Y124_a_task_waits_after_a_fatal_error(void **state)
{
    struct host *host = *state;
    struct heard heard = {0};

    lua_State *L = state_open_with_peer(host, &heard, "echo");
    state_run(L, "local tcpmulti, co = require 'tcpmulti', require 'tcpmulti.co'\n"
                 "s = tcpmulti.create { on_exception = function() error 'raised too' end }\n"
                 "s:spawn(function()\n"
                 "  co.try(co.open('127.0.0.1', port))\n"
                 "  co.each({ 1 }, 1, function() error 'raised' end)\n"
                 "  went_on = true\n"
                 "end)\n"
                 "s:spawn(function()\n"
                 "  co.each({ 1 }, 1, function() error 'raised' end, function()\n"
                 "    waits = true\n"
                 "    co.sleep(3600)\n"
                 "    resumed = true\n"
                 "  end)\n"
                 "end)\n");
    host_run(host);
    assert_int_equal(heard.calls, 1);
    assert_non_null(strstr(heard.traceback, "raised"));
    state_assert(L, "waits and not resumed");
    state_run(L, "s = nil collectgarbage() collectgarbage()");
    state_run(L, "local tcpmulti, co = require 'tcpmulti', require 'tcpmulti.co'\n"
                 "s = tcpmulti.create {}\n"
                 "s:spawn(function() co.sleep(0.001) later = true end)\n");
    host_run(host);
    state_assert(L, "later and not resumed");
    lua_close(L);
    host_close(host);
}

/* A task waits for each kind of thing. The peer never reads. */
static const char waiting[] =
    "tcpmulti, co = require 'tcpmulti', require 'tcpmulti.co'\n"
    "waits, resumed = 0, 0\n"
    "s = tcpmulti.create { shutdown_timeout = 3600 }\n"
    "local function open() return co.try(co.open('127.0.0.1', port)) end\n"
    "local queue, full, gate = co.queue(), co.queue(1), co.semaphore(0)\n"
    "full:put 'one'\n"
    "local function forever() co.sleep(3600) end\n"
    "local kinds = {\n"
    "  function() open():receive() end,\n"
    "  function() open():receive(nil, 3600) end,\n"
    "  function() open():receive 'all' end,\n"
    "  function() open():expect { 'x', timeout = 3600 } end,\n"
    "  function() open():write(('x'):rep(2 ^ 25)) end,\n"
    "  function() local c = open() c:send(('x'):rep(2 ^ 25)) c:close() end,\n"
    "  function() co.open('127.0.0.1', port) co.sleep(3600) end,\n"
    "  function() queue:get() end,\n"
    "  function() full:put 'two' end,\n"
    "  function() gate:with(forever) end,\n"
    "  function() co.await(function() return forever end) end,\n"
    "  function() co.signal 'USR2' end,\n"
    "  function() s:spawn(forever):join() end,\n"
    "  function() co.spawn(forever) end,\n"
    "  function() co.deadline(3600, co.shield, 3600, forever) end,\n"
    "  function() co.all { forever, forever } end,\n"
    "  function() co.each({ 1, 2 }, 2, forever) end,\n"
    "  function() co.retry({ min = 3600 }, function() return nil, 'no' end) end,\n"
    "}\n"
    "count = #kinds\n"
    "for _, kind in ipairs(kinds) do\n"
    "  s:spawn(function()\n"
    "    waits = waits + 1\n"
    "    pcall(kind)\n"
    "    resumed = resumed + 1\n"
    "  end)\n"
    "end\n"
    "s:delay(function() late = true end, 0.05)\n";

static bool is_late(void *argument)
{
    lua_State *L = argument;

    lua_getglobal(L, "late");
    bool late = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return late;
}

static lua_State *state_with_waiting_tasks(struct host *host, struct heard *heard)
{
    lua_State *L = state_open_with_peer(host, heard, "freeze");

    state_run(L, waiting);
    host_run_until(host, is_late, L);
    state_assert(L, "waits == count");
    return L;
}

static void test_Y124_the_state_is_closed_while_tasks_wait(void **state)
{
    struct host *host = *state;
    struct heard heard = {0};

    lua_State *L = state_with_waiting_tasks(host, &heard);
    lua_close(L);
    host_run(host);
    assert_int_equal(heard.calls, 0);
    host_close(host);
}

static void test_Y124_the_module_is_closed_while_tasks_wait(void **state)
{
    struct host *host = *state;
    struct heard heard = {0};

    lua_State *L = state_with_waiting_tasks(host, &heard);
    state_run(L, "before = resumed");
    tcpm_lua_close(L);
    state_assert(L, "resumed == before");
    state_assert(L, "select(3, s:spawn(print)) == 'ESHUTDOWN'");
    host_run(host);
    state_run(L, "collectgarbage() collectgarbage()");
    state_assert(L, "resumed == before");
    assert_int_equal(heard.calls, 0);
    lua_close(L);
    host_close(host);
}

static int quit(lua_State *L)
{
    tcpm_lua_close(L);
    return 0;
}

static const char closing[] = "tcpmulti, co = require 'tcpmulti', require 'tcpmulti.co'\n"
                              "local s = tcpmulti.create {}\n"
                              "s:spawn(function() co.sleep(3600) resumed = true end)\n"
                              "s:spawn(function()\n"
                              "  cheap = co.try(co.open('127.0.0.1', port))\n"
                              "  cheap:send 'hello' co.try(cheap:receive())\n"
                              "  quit()\n"
                              "  closed = true\n"
                              "  assert(loadstring(afterwards))()\n"
                              "end)\n";

/* What the task does behind quit. */
static const char *const afterwards[] = {"",
                                         "co.sleep(1)",
                                         "cheap:receive()",
                                         "error 'raised'",
                                         "co.open('127.0.0.1', port)",
                                         "co.spawn(print)"};

static void test_Y124_a_task_closes_the_module(void **state)
{
    (void) state;
    for (size_t i = 0; i < COUNT(afterwards); i++) {
        struct host host;
        struct heard heard = {0};
        host_open(&host, NULL);
        struct peer *peer = peer_start("echo", NULL);
        lua_State *L = state_open(&host, &heard);
        state_set_port(L, peer);
        lua_pushcfunction(L, quit);
        lua_setglobal(L, "quit");
        lua_pushstring(L, afterwards[i]);
        lua_setglobal(L, "afterwards");
        state_run(L, closing);
        host_run(&host);
        state_assert(L, "closed and not resumed");
        lua_close(L);
        peer_stop(peer);
        host_close(&host);
    }
}

static const struct CMUnitTest tests[] = {
    HOST_TEST(test_Y124_tasks_run_on_the_hosts_loop),
    HOST_TEST(test_Y124_an_error_of_a_task_is_told_to_the_host),
    HOST_TEST(test_Y124_a_task_waits_after_a_fatal_error),
    HOST_TEST(test_Y124_the_state_is_closed_while_tasks_wait),
    HOST_TEST(test_Y124_the_module_is_closed_while_tasks_wait),
    cmocka_unit_test(test_Y124_a_task_closes_the_module),
};

RUN_TESTS(tests)
