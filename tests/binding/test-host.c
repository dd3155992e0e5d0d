/* SPDX-License-Identifier: MIT */
/*
 * The module in a program with a loop and a Lua state of its own: tcpmulti_lua.h. The loop is the
 * host's to run, a fatal error is the host's to hear, and the Lua state may be closed in the middle
 * of everything, before the engine and its loop.
 */
#include "state.h"

#include <luajit.h>

static void test_connections_run_on_the_hosts_loop(void **state)
{
    struct host *host = *state;
    struct heard heard = {0};

    lua_State *L = state_open_with_peer(host, &heard, "echo");
    state_run(L, "local tcpmulti = require 'tcpmulti'\n"
                 "log = {}\n"
                 "s = tcpmulti.create {\n"
                 "  on_success = function(cheap) cheap:send 'hello' end,\n"
                 "  on_input = function(cheap, line) log[#log + 1] = line cheap:shutdown() end,\n"
                 "  on_disconnected = function(_, _, why) log[#log + 1] = why end,\n"
                 "  inline_states = { later = function() log[#log + 1] = 'later' end } }\n"
                 "assert(s:connect('127.0.0.1', port))\n"
                 "s:yield 'later'\n"
                 "local ok, message = pcall(tcpmulti.run)\n"
                 "assert(not ok and message:find 'the host runs the loop')\n"
                 "ok, message = pcall(tcpmulti.run, { seconds = 1 })\n"
                 "assert(not ok and message:find 'the host runs the loop')\n"
                 "assert(tcpmulti.stop() == nil)\n"
                 "local _, _, name = s:stdin 'later'\n"
                 "assert(name == 'ENOTSUP' or name == 'EOPNOTSUPP', name)\n");
    host_run(host);
    state_assert(L, "table.concat(log, ' ') == 'later hello shutdown'");
    state_assert(L, "s:yield 'later'"); /* it lives on: no work is no reason to end in a host */
    host_run(host);
    state_assert(L, "#log == 4");
    state_run(L, "s:die()");
    host_run(host);
    state_assert(L, "select(3, s:yield 'later') == 'ESHUTDOWN'");
    assert_int_equal(heard.calls, 0);
    lua_close(L);
    host_close(host);
}

static void test_a_fatal_error_is_told_to_the_host(void **state)
{
    struct host *host = *state;
    struct heard heard = {0};

    lua_State *L = state_open_with_peer(host, &heard, "echo");
    state_run(L,
              "tcpmulti = require 'tcpmulti'\n"
              "events = 0\n"
              "s = tcpmulti.create {\n"
              "  on_success = function() error 'in a handler' end,\n"
              "  on_disconnected = function() events = events + 1 end }\n"
              "other = tcpmulti.create { on_disconnected = function() events = events + 1 end }\n"
              "cheap = s:connect('127.0.0.1', port)\n"
              "other:connect('127.0.0.1', port)\n");
    host_run(host);
    assert_int_equal(heard.calls, 1);
    assert_non_null(strstr(heard.traceback, "in a handler"));
    assert_non_null(strstr(heard.traceback, "stack traceback"));
    state_assert(L, "events == 0");
    state_assert(L, "select(3, cheap:send 'x') == 'ESTALE'");
    state_assert(L, "select(3, other:connect('127.0.0.1', port)) == 'ESHUTDOWN'");
    state_run(L, "s = tcpmulti.create { on_disconnected = function(_, _, r) events = r end,\n"
                 "  on_success = function(cheap) cheap:shutdown() end }\n"
                 "s:connect('127.0.0.1', port)");
    host_run(host);
    state_assert(L, "events == 'shutdown'");
    assert_int_equal(heard.calls, 1);
    lua_close(L);
    host_close(host);
}

/* Connections, alarms, queued states, signals, Lua filters: all at once. */
static const char everything[] =
    "tcpmulti = require 'tcpmulti'\n"
    "events = 0\n"
    "local function event() events = events + 1 end\n"
    "local filter = { feed = function() end, get_one = function() end,\n"
    "  put = function(_, r) return r end, pending = function() return '' end }\n"
    "function filter.clone() return setmetatable({}, { __index = filter }) end\n"
    "s = tcpmulti.create { filter = filter, on_disconnected = event, on_input = event,\n"
    "  on_success = function(cheap) open = (open or 0) + 1 cheap:delay(event, 3600) end,\n"
    "  inline_states = { _stop = event, alarm = event, signal = event } }\n"
    "cheaps = {}\n"
    "for i = 1, 20 do cheaps[i] = s:connect('127.0.0.1', port) cheaps[i]:send 'queued' end\n"
    "s:delay('alarm', 3600)\n"
    "s:sig('USR2', 'signal')\n"
    "s:connect(function() return nil end)\n"
    "other = tcpmulti.create { max_connections = 1, on_disconnected = event }\n"
    "for i = 1, 20 do other:connect('127.0.0.1', port) end\n"
    "for i = 1, 5 do other:yield(event) end\n";

static bool twenty_are_open(void *argument)
{
    lua_State *L = argument;

    lua_getglobal(L, "open");
    bool all = lua_tointeger(L, -1) == 20;
    lua_pop(L, 1);
    return all;
}

static void test_closing_in_the_middle_runs_no_handler(void **state)
{
    struct host *host = *state;
    struct heard heard = {0};

    lua_State *L = state_open_with_peer(host, &heard, "count");
    state_run(L, everything);
    host_run_until(host, twenty_are_open, L);
    state_run(L, "events = 0");
    tcpm_lua_close(L);
    tcpm_lua_close(L);
    state_assert(L, "events == 0");
    state_assert(L, "select(3, cheaps[1]:send 'x') == 'ESTALE'");
    state_assert(L, "select(3, cheaps[1]:shutdown()) == 'ESTALE'");
    state_assert(L, "select(3, s:connect('127.0.0.1', port)) == 'ESHUTDOWN'");
    state_assert(L, "select(3, s:yield 'x') == 'ESHUTDOWN'");
    state_assert(L, "select(3, s:delay('x', 1)) == 'ESHUTDOWN'");
    state_assert(L, "select(3, s:die()) == 'ESHUTDOWN'");
    state_assert(L, "s:count() == 0");
    state_assert(L, "select(3, tcpmulti.create {}) == 'ESHUTDOWN'");
    lua_close(L); /* the core's sessions are still there */
    host_run(host);
    host_close(host);
}

static void test_finalizers_may_call_the_library_while_the_state_closes(void **state)
{
    struct host *host = *state;
    struct heard heard = {0};

    lua_State *L = state_open_with_peer(host, &heard, "count");
    state_run(L, everything);
    state_run(L, "kept = {}\n"
                 "for i = 1, 10 do\n"
                 "  local proxy = newproxy(true)\n"
                 "  getmetatable(proxy).__gc = function()\n"
                 "    cheaps[i]:send 'x' cheaps[i]:reset() cheaps[i]:filter 'line'\n"
                 "    s:connect('127.0.0.1', port) s:yield 'x' s:delay('y', 1) s:die()\n"
                 "    tcpmulti.create {}\n"
                 "    tcpmulti.filters.line():clone():feed 'x'\n"
                 "  end\n"
                 "  kept[i] = proxy\n"
                 "end\n");
    host_run_until(host, twenty_are_open, L);
    lua_close(L);
    host_close(host);
}

static void test_the_engine_may_go_right_after_the_state(void **state)
{
    struct host host;
    struct heard heard = {0};

    (void) state;
    for (int turns = 0; turns < 5; turns++) {
        host_open(&host, NULL);
        struct peer *peer = peer_start("count", NULL);
        lua_State *L = state_open(&host, &heard);
        state_set_port(L, peer);
        state_run(L, everything);
        for (int turn = 0; turn < turns; turn++)
            uv_run(&host.loop, UV_RUN_NOWAIT);
        lua_close(L);
        peer_stop(peer);
        host_close(&host);
    }
}

static void test_c_and_lua_sessions_share_an_engine(void **state)
{
    struct host *host = *state;
    struct heard heard = {0};
    struct track tracks[10];

    memset(tracks, 0, sizeof tracks);
    struct peer *peer = host_peer(host, "echo", NULL);
    lua_State *L = state_open(host, &heard);
    state_set_port(L, peer);
    state_run(L,
              "tcpmulti = require 'tcpmulti'\n"
              "ended, ids = 0, {}\n"
              "s = tcpmulti.create {\n"
              "  on_success = function(cheap) cheap:send('n' .. cheap.n) end,\n"
              "  on_input = function(cheap, line)\n"
              "    assert(line == 'n' .. cheap.n) cheap:shutdown() end,\n"
              "  on_disconnected = function(cheap, id) ended = ended + 1 ids[id] = true end }\n");
    struct tcpm_session *session = track_session(host, NULL);
    for (int i = 0; i < 10; i++) {
        track_connect(&tracks[i], session, peer_port(peer));
        lua_pushinteger(L, i);
        lua_setglobal(L, "n");
        state_run(L, "s:connect({ n = n }, '127.0.0.1', port)");
        lua_pushnumber(L, (lua_Number) tracks[i].id.n);
        lua_setglobal(L, "foreign");
        state_assert(L, "select(3, s:send(foreign, 'x')) == 'ESTALE' and s:fetch(foreign) == nil");
        state_assert(L, "select(3, tcpmulti.send(foreign, 'x')) == 'ESTALE'");
    }
    lua_close(L);
    L = state_open(host, &heard); /* another state on the same engine */
    state_set_port(L, peer);
    state_run(L, "s = require 'tcpmulti'.create {\n"
                 "  on_success = function(cheap) cheap:shutdown() end,\n"
                 "  on_disconnected = function(_, _, why) reason = why end }\n"
                 "s:connect('127.0.0.1', port)");
    for (int i = 0; i < 10; i++)
        host_run_until(host, track_open, &tracks[i]);
    assert_int_equal(tcpm_die(session), 0);
    for (int i = 0; i < 10; i++)
        host_run_until(host, track_ended, &tracks[i]);
    host_run(host);
    state_assert(L, "reason == 'shutdown'");
    lua_close(L);
    host_close(host);
}

/* The wrong order, with and without sessions in Lua: nothing reaches into the engine that was. */
static void test_the_engine_may_go_before_the_state(void **state)
{
    static const char *const before[] = {
        "tcpmulti = require 'tcpmulti'",
        "tcpmulti = require 'tcpmulti' s = tcpmulti.create {} c = s:connect('127.0.0.1', port)",
        ("tcpmulti = require 'tcpmulti' s = tcpmulti.create { inline_states = {\n"
         "  _stop = function() stopping = { tcpmulti.create {} } end } }"),
    };

    (void) state;
    for (size_t i = 0; i < COUNT(before); i++) {
        struct host host;
        struct heard heard = {0};
        host_open(&host, NULL);
        struct peer *peer = peer_start("freeze", NULL);
        lua_State *L = state_open(&host, &heard);
        state_set_port(L, peer);
        state_run(L, before[i]);
        host_engine_close(&host);
        state_run(L, "local s2, message, name = tcpmulti.create { alias = 'late' }\n"
                     "assert(s2 == nil and name == 'ESHUTDOWN', name)\n"
                     "assert(message:find 'closed', message)\n"
                     "assert(not stopping or stopping[3] == 'ESHUTDOWN')\n");
        state_run(L, "if s then\n"
                     "  assert(select(3, s:connect('127.0.0.1', port)) == 'ESHUTDOWN')\n"
                     "  assert(select(3, s:yield(print)) == 'ESHUTDOWN')\n"
                     "  s:die() s:count() s:stats()\n"
                     "end\n"
                     "if c then assert(select(3, c:send 'x') == 'ESTALE') end\n");
        assert_int_equal(heard.calls, 0);
        lua_close(L);
        peer_stop(peer);
        host_loop_close(&host);
    }
}

static void test_an_engine_that_is_closing_is_refused(void **state)
{
    struct host host;
    struct heard heard = {0};

    (void) state;
    host_open(&host, NULL);
    lua_State *L = state_open(&host, &heard), *late = luaL_newstate();
    luaL_openlibs(late);
    tcpm_engine_close(host.engine, NULL, NULL);
    assert_int_equal(tcpm_lua_open(late, host.engine, NULL), -ESHUTDOWN);
    state_run(L, "assert(select(3, require 'tcpmulti'.create {}) == 'ESHUTDOWN')");
    host_run(&host);
    lua_close(late);
    lua_close(L);
    host_loop_close(&host);
}

static void count_down(lua_State *L, lua_Debug *debug)
{
    (void) debug;
    luaL_error(L, "the time is over");
}

/* The recipe of tcpm_lua_open. */
static void test_a_host_limits_how_long_handlers_run(void **state)
{
    struct host *host = *state;
    struct heard heard = {0};

    lua_State *L = state_open(host, &heard);
    assert_int_equal(luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF), 1);
    state_run(L,
              "local tcpmulti = require 'tcpmulti'\n"
              "s = tcpmulti.create { on_exception = function(_, message) said = message end,\n"
              "  inline_states = { busy = function() while true do end end,\n"
              "    wrapped = function() coroutine.wrap(function() while true do end end)() end,\n"
              "    idle = function() idled = true end } }\n"
              "s:yield 'busy' s:yield 'wrapped' s:yield 'idle'\n");
    lua_sethook(L, count_down, LUA_MASKCOUNT, 100000);
    host_run(host);
    lua_sethook(L, NULL, 0, 0);
    state_assert(L, "idled and said:find 'the time is over'");
    assert_int_equal(heard.calls, 0);
    lua_close(L);
    host_close(host);
}

static void test_opening_checks_its_arguments(void **state)
{
    struct host *host = *state;
    struct heard heard = {0};
    struct {
        struct tcpm_lua_options options;
        char later;
    } newer = {.options.size = sizeof newer};

    lua_State *L = luaL_newstate();
    assert_int_equal(tcpm_lua_open(NULL, host->engine, NULL), -EINVAL);
    assert_int_equal(tcpm_lua_open(L, NULL, NULL), -EINVAL);
    newer.later = 1;
    assert_int_equal(tcpm_lua_open(L, host->engine, &newer.options), -E2BIG);
    newer.later = 0;
    newer.options.size = 1;
    assert_int_equal(tcpm_lua_open(L, host->engine, &newer.options), -EINVAL);
    assert_int_equal(lua_gettop(L), 0);
    newer.options.size = sizeof newer;
    assert_int_equal(tcpm_lua_open(L, host->engine, &newer.options), -EINVAL); /* no libraries */
    luaL_openlibs(L);
    assert_int_equal(tcpm_lua_open(L, host->engine, &newer.options), 0);
    lua_settop(L, 0);
    assert_int_equal(tcpm_lua_open(L, host->engine, NULL), -EBUSY);
    tcpm_lua_close(L);
    assert_int_equal(tcpm_lua_open(L, host->engine, NULL), 0);
    lua_close(L);
    tcpm_lua_close(NULL);
    L = luaL_newstate();
    tcpm_lua_close(L);
    lua_close(L);
    assert_int_equal(heard.calls, 0);
    host_close(host);
}

static void test_the_module_function_opens_a_loop_of_its_own(void **state)
{
    (void) state;
    int descriptors = host_descriptors();
    for (int i = 0; i < 3; i++) {
        lua_State *L = luaL_newstate();
        luaL_openlibs(L);
        lua_pushcfunction(L, luaopen_tcpmulti);
        lua_call(L, 0, 1);
        lua_setglobal(L, "tcpmulti");
        state_run(L, "tcpmulti.create { inline_states = {\n"
                     "  _start = function(s) s:delay(function() done = true end, 0.001) end } }\n"
                     "tcpmulti.run()\n"
                     "assert(done)\n");
        lua_close(L);
    }
    assert_int_equal(host_descriptors(), descriptors);
}

static void test_modules_of_jobs_are_there_in_a_host(void **state)
{
    struct host *host = *state;
    struct heard heard = {0};

    lua_State *L = state_open(host, &heard);
    state_run(L, "local targets = require 'tcpmulti.targets'\n"
                 "local sources = { { words = { '127.0.0.0/30:1-2' } } }\n"
                 "total = targets.plan(sources).total\n");
    state_assert(L, "total == 8 and package.loaded['tcpmulti.permutation']");
    lua_close(L);
    host_close(host);
}

static const struct CMUnitTest tests[] = {
    HOST_TEST(test_connections_run_on_the_hosts_loop),
    HOST_TEST(test_a_fatal_error_is_told_to_the_host),
    HOST_TEST(test_closing_in_the_middle_runs_no_handler),
    HOST_TEST(test_finalizers_may_call_the_library_while_the_state_closes),
    cmocka_unit_test(test_the_engine_may_go_right_after_the_state),
    cmocka_unit_test(test_the_engine_may_go_before_the_state),
    cmocka_unit_test(test_an_engine_that_is_closing_is_refused),
    HOST_TEST(test_a_host_limits_how_long_handlers_run),
    HOST_TEST(test_c_and_lua_sessions_share_an_engine),
    HOST_TEST(test_opening_checks_its_arguments),
    HOST_TEST(test_modules_of_jobs_are_there_in_a_host),
    cmocka_unit_test(test_the_module_function_opens_a_loop_of_its_own),
};

RUN_TESTS(tests)
