/* SPDX-License-Identifier: MIT */
/*
 * The module is closed from inside: by a host, in any handler, state or function of a filter, which
 * may raise after that. No handler runs any more, and the loop or the engine goes in order.
 */
#include "state.h"

static int quit(lua_State *L)
{
    tcpm_lua_close(L);
    return 0;
}

/* quit is called in one place, and most often the handler raises after that. */
static const char closing[] =
    "local tcpmulti = require 'tcpmulti'\n"
    "local function at(place)\n"
    "  if place == where and not closed then\n"
    "    closed = true\n"
    "    quit()\n"
    "    after = { select(3, s:yield(print)), select(3, tcpmulti.create {}), s:count() }\n"
    "    if raises then error('raised in ' .. place) end\n"
    "  elseif closed then late = place end\n"
    "end\n"
    "local filter = { feed = function(self, b) self.b = b end,\n"
    "  get_one = function(self) at 'get_one' local b = self.b self.b = nil return b end,\n"
    "  put = function(_, r) at 'put' return r end,\n"
    "  pending = function() at 'pending' return '' end }\n"
    "function filter.clone()\n"
    "  at 'clone' return setmetatable({}, { __index = filter }) end\n"
    "local stays = where == 'timeout' or where == 'cheap alarm'\n"
    "local in_lua = ({ get_one = 1, put = 1, pending = 1, clone = 1 })[where]\n"
    "s = tcpmulti.create {\n"
    "  filter = in_lua and filter or nil, input_timeout = where == 'timeout' and 0.05 or nil,\n"
    "  on_initialize = function() at 'initialize' end,\n"
    "  on_success = function(c) at 'success' c:send 'x' c:send 'y'\n"
    "    c:delay(function() at 'cheap alarm' end, 0.001) end,\n"
    "  on_input = function(c) at 'input' if closed then return end\n"
    "    coroutine.wrap(function() at 'coroutine' end)()\n"
    "    s:call(function() at 'call' end)\n"
    "    if where == 'pending' then c:filter 'line' end\n"
    "    if where == 'error' then c:fail 'x' elseif not stays then c:shutdown() end end,\n"
    "  on_batch = function() at 'batch' end,\n"
    "  on_flushed = function() at 'flushed' end,\n"
    "  on_error = function() at 'error' end,\n"
    "  on_failure = function() at 'failure' end,\n"
    "  on_timeout = function() at 'timeout' end,\n"
    "  on_disconnected = function() at 'disconnected' end,\n"
    "  on_exception = where == 'exception' and function() at 'exception' end or nil,\n"
    "  inline_states = { _start = function(session) s = session at 'start' end,\n"
    "    _stop = function() at 'stop' end, go = function() at 'yield' end },\n"
    "}\n"
    "if not s then return end\n"
    "s:delay(function() at 'alarm' if where == 'exception' then error 'x' end end, 0.001)\n"
    "s:every(function() at 'beat' end, 0.001)\n"
    "s:yield 'go'\n"
    "s:sig('USR2', function() at 'signal' end)\n"
    "local left = 2\n"
    "s:connect(function() at 'pull' left = left - 1\n"
    "  if left > 0 then return '127.0.0.1', port end end)\n"
    "for _ = 1, 3 do s:connect('127.0.0.1', where == 'failure' and 1 or port) end\n"
    "tcpmulti.create { inline_states = { _stop = function() at 'another stop' end } }:die()\n"
    "s:delay(function() s:die() end, where == 'stop' and 0.1 or 2)\n";

static const char *const closing_places[] = {
    "initialize", "batch",        "success",     "input",   "coroutine", "call",
    "flushed",    "error",        "failure",     "timeout", "alarm",     "beat",
    "exception",  "disconnected", "yield",       "pull",    "get_one",   "put",
    "clone",      "pending",      "cheap alarm", "stop",    "start",     "another stop",
};

static void prepare_closing(lua_State *L, const struct peer *peer, const char *where, bool raises)
{
    state_set_port(L, peer);
    lua_pushcfunction(L, quit);
    lua_setglobal(L, "quit");
    lua_pushstring(L, where);
    lua_setglobal(L, "where");
    lua_pushboolean(L, raises);
    lua_setglobal(L, "raises");
}

static void assert_closed(lua_State *L)
{
    lua_settop(L, 0);
    state_assert(L, "closed and late == nil or error(where .. ' ' .. tostring(late))");
    state_assert(L, "after[1] == 'ESHUTDOWN' and after[2] == 'ESHUTDOWN' and after[3] == 0");
}

static void test_a_host_may_close_the_module_in_any_handler(void **state)
{
    (void) state;
    for (size_t i = 0; i < 2 * COUNT(closing_places); i++) {
        struct host host;
        struct heard heard = {0};
        host_open(&host, NULL);
        struct peer *peer = peer_start("echo", NULL);
        lua_State *L = state_open(&host, &heard);
        prepare_closing(L, peer, closing_places[i / 2], i % 2 == 1);
        if (luaL_dostring(L, closing) != 0)
            lua_settop(L, 0);
        host_run(&host);
        assert_closed(L);
        assert_int_equal(heard.calls, 0);
        lua_close(L);
        peer_stop(peer);
        host_close(&host);
    }
}

static void test_the_loop_of_the_module_goes_when_run_has_returned(void **state)
{
    (void) state;
    int descriptors = host_descriptors();
    struct peer *peer = peer_start("echo", NULL);
    for (size_t i = 0; i < 2 * COUNT(closing_places); i++) {
        lua_State *L = luaL_newstate();
        luaL_openlibs(L);
        lua_getglobal(L, "package");
        lua_getfield(L, -1, "preload");
        lua_pushcfunction(L, luaopen_tcpmulti);
        lua_setfield(L, -2, "tcpmulti");
        lua_settop(L, 0);
        prepare_closing(L, peer, closing_places[i / 2], i % 2 == 1);
        if (luaL_dostring(L, closing) == 0 && luaL_dostring(L, "if not closed then\n"
                                                               "  require 'tcpmulti'.run()\n"
                                                               "end\n") != 0)
            fail_msg("%s: %s", closing_places[i / 2], lua_tostring(L, -1));
        assert_closed(L);
        tcpm_lua_close(L);
        state_run(L, "package.loaded.tcpmulti = nil\n"
                     "local ran\n"
                     "local tcpmulti = require 'tcpmulti'\n"
                     "tcpmulti.create {}:yield(function() ran = true end)\n"
                     "tcpmulti.run()\n"
                     "assert(ran)\n");
        lua_close(L);
    }
    peer_stop(peer);
    assert_int_equal(host_descriptors(), descriptors);
}

static void close_state(const char *traceback, void *user)
{
    assert_non_null(strstr(traceback, "fatal"));
    lua_State **L = user;
    lua_close(*L);
    *L = NULL;
}

/* Nothing of Lua is below it on the C stack. */
static void test_a_host_may_close_its_state_when_it_hears_of_a_fatal_error(void **state)
{
    static const char *const chunks[] = {
        "s:yield(function() error 'fatal' end)",
        "s:delay(function() error 'fatal' end, 0.001)",
        "s:every(function() error 'fatal' end, 0.001)",
        "s:connect(function() error 'fatal' end)",
        "s:connect('127.0.0.1', port)",
        "bad = 'disconnected' s:connect('127.0.0.1', port)",
        "bad = 'initialize' s:connect('127.0.0.1', port)",
        "tcpmulti.create { inline_states = { _stop = function() error 'fatal' end } }:die()",
    };

    (void) state;
    for (size_t i = 0; i < COUNT(chunks); i++) {
        struct host host;
        host_open(&host, NULL);
        struct peer *peer = peer_start("close", NULL);
        lua_State *L = luaL_newstate();
        const struct tcpm_lua_options options = {
            .size = sizeof options,
            .exception = close_state,
            .user = &L,
        };
        luaL_openlibs(L);
        assert_int_equal(tcpm_lua_open(L, host.engine, &options), 0);
        lua_settop(L, 0);
        state_set_port(L, peer);
        state_run(L, "tcpmulti = require 'tcpmulti'\n"
                     "local function at(place)\n"
                     "  return function() if place == bad then error 'fatal' end end end\n"
                     "bad = 'success'\n"
                     "s = tcpmulti.create { on_success = at 'success',\n"
                     "  on_initialize = at 'initialize', on_disconnected = at 'disconnected' }\n");
        state_run(L, chunks[i]);
        host_run(&host);
        assert_null(L);
        peer_stop(peer);
        host_close(&host);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_a_host_may_close_the_module_in_any_handler),
    cmocka_unit_test(test_the_loop_of_the_module_goes_when_run_has_returned),
    cmocka_unit_test(test_a_host_may_close_its_state_when_it_hears_of_a_fatal_error),
};

RUN_TESTS(tests)
