/* SPDX-License-Identifier: MIT */
/*
 * Memory errors of Lua: each allocation of a run with handlers, states, alarms and filters in Lua
 * fails once, and a run of them fails. Nothing crashes, nothing jumps over the loop, every
 * connection ends, and the loop closes clean. LuaJIT's compiler is off: with it on, Debian's
 * LuaJIT does not survive this by itself.
 */
#include "host.h"

#include <lauxlib.h>
#include <lua.h>
#include <luajit.h>
#include <lualib.h>

#include "tcpmulti_lua.h"

struct memory {
    long calls;   /* that asked for more memory, since counting began */
    long fail_at; /* the first one that fails; 0: none */
    long fails;   /* how many in a row */
    bool counting;
};

static void *reallocate(void *user, void *block, size_t old_size, size_t size)
{
    struct memory *memory = user;

    if (size == 0) {
        free(block);
        return NULL;
    }
    if (memory->counting && (block == NULL || size > old_size)) {
        memory->calls++;
        if (memory->fail_at > 0 && memory->calls >= memory->fail_at &&
            memory->calls < memory->fail_at + memory->fails)
            return NULL;
    }
    return realloc(block, size);
}

static const char scenario[] =
    "local tcpmulti = require 'tcpmulti'\n"
    "local mqtt = { feed = function(self, bytes) self.held = (self.held or '') .. bytes end,\n"
    "  get_one = function(self) local held = self.held self.held = nil return held end,\n"
    "  put = function(_, record) return record .. '!' end,\n"
    "  finish = function() return { 'over' } end }\n"
    "function mqtt.clone() return setmetatable({}, { __index = mqtt }) end\n"
    "local s = tcpmulti.create { alias = 'memory', input_timeout = 0.3, shutdown_timeout = 0.3,\n"
    "  on_exception = function(_, message) events = events + 1 end,\n"
    "  on_initialize = function(cheap) cheap.words = { 'one', 'two' } end,\n"
    "  on_success = function(cheap, fd, addr)\n"
    "    cheap.addr_text = addr .. tostring(fd)\n"
    "    cheap:send(unpack(cheap.words))\n"
    "    cheap:delay('later', 0.001, {})\n"
    "    cheap:session():yield('queued', cheap:id())\n"
    "  end,\n"
    "  on_input = function(cheap, line)\n"
    "    cheap.got = (cheap.got or '') .. tostring(line)\n"
    "    if cheap.lua then cheap:filter 'line' end\n"
    "    if #cheap.got > 4 then cheap:shutdown() end\n"
    "  end,\n"
    "  on_disconnected = function(cheap) events = events + 1 end,\n"
    "  inline_states = { later = function(_, cheap) cheap.later = {} end,\n"
    "    queued = function(_, id) return { id } end } }\n"
    "s:connect('127.0.0.1', port)\n"
    "s:connect { remote_address = '127.0.0.1', remote_port = port, filter = mqtt,\n"
    "  heap = { lua = true } }\n"
    "s:connect { remote_address = '127.0.0.1', remote_port = port, filter = mqtt,\n"
    "  on_success = function(cheap) cheap:shutdown 'output' end,\n"
    "  on_input = function(_, record) events = events + #record end }\n"
    "s:connect('127.0.0.1', 1)\n"
    "local n, ticks = 0, 0\n"
    "s:connect { remote_address = '127.0.0.1', remote_port = port, half_open = true,\n"
    "  on_eof = function(cheap) cheap:shutdown() end,\n"
    "  on_success = function(cheap) cheap:take(2) cheap:send('a', 'b') end,\n"
    "  on_input = function(cheap, bytes) cheap.got = bytes cheap:shutdown 'output' end }\n"
    "s:connect(function() n = n + 1\n"
    "  if n == 2 then return 'no address', port end\n"
    "  if n == 3 then return false end\n"
    "  if n < 5 then return { n = n }, '127.0.0.1', port end end)\n"
    "s:every(function(z) ticks = ticks + 1 if ticks >= 3 then z:alarm_remove_all() end end, "
    "0.002)\n"
    "for _ = 1, 3 do\n"
    "  tcpmulti.create { inline_states = { _stop = function(z) z.tallied = z:tally() end } }\n"
    "end\n"
    "collectgarbage()\n";

static void ignore_fatal(const char *traceback, void *user)
{
    assert_non_null(traceback);
    (*(int *) user)++;
}

/* One run in which allocation number fail_at fails, and fails - 1 after it. Gives how many there
   were. */
static long run_scenario(long fail_at, long fails)
{
    struct host host;
    struct memory memory = {.fail_at = fail_at, .fails = fails};
    int fatal = 0;
    const struct tcpm_lua_options options = {
        .size = sizeof options,
        .exception = ignore_fatal,
        .user = &fatal,
    };

    host_open(&host, NULL);
    struct peer *peer = peer_start("echo", NULL);
    lua_State *L = lua_newstate(reallocate, &memory);
    assert_non_null(L);
    luaL_openlibs(L);
    luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF);
    memory.counting = true;
    int result = tcpm_lua_open(L, host.engine, &options);
    if (result == 0) {
        lua_settop(L, 0);
        memory.counting = false; /* the globals are the test's own */
        lua_pushinteger(L, peer_port(peer));
        lua_setglobal(L, "port");
        lua_pushinteger(L, 0);
        lua_setglobal(L, "events");
        memory.counting = true;
        if (luaL_dostring(L, scenario) != 0)
            lua_settop(L, 0);
        host_run(&host);
        assert_int_equal(lua_gettop(L), 0);
    } else {
        assert_int_equal(result, -ENOMEM);
    }
    memory.counting = false;
    lua_close(L);
    peer_stop(peer);
    host_close(&host);
    return memory.calls;
}

static void test_each_allocation_fails_once(void **state)
{
    (void) state;
    long calls = run_scenario(0, 0);
    long step = calls / 1500 + 1;

    assert_true(calls > 200);
    for (long at = 1; at <= calls; at += step)
        run_scenario(at, 1);
}

static void test_a_row_of_allocations_fails(void **state)
{
    (void) state;
    long calls = run_scenario(0, 0);
    long step = calls / 300 + 1;

    for (long at = 1; at <= calls; at += step)
        run_scenario(at, 20);
}

/* ---- in a coroutine, which is gone when the loop goes on ---- */

static int arm(lua_State *L)
{
    struct memory *memory = lua_touserdata(L, lua_upvalueindex(1));

    memory->calls = 0;
    memory->counting = true;
    return 0;
}

static int disarm(lua_State *L)
{
    struct memory *memory = lua_touserdata(L, lua_upvalueindex(1));

    memory->counting = false;
    return 0;
}

static const char in_a_coroutine[] =
    "local tcpmulti = require 'tcpmulti'\n"
    "local mqtt = { feed = function(self, bytes) self.held = (self.held or '') .. bytes end,\n"
    "  get_one = function(self) local held = self.held self.held = nil return held end,\n"
    "  put = function(_, r) return r .. '!' end, pending = function(s) return s.held or '' end }\n"
    "function mqtt.clone() return setmetatable({}, { __index = mqtt }) end\n"
    "local function f() end\n"
    "local s\n"
    "local operations = {\n"
    "  sig = function() return s:sig('USR1', f) end,\n"
    "  sig_off = function() s:sig('USR1', f) return s:sig 'USR1' end,\n"
    "  connect = function() return s:connect('127.0.0.1', port) end,\n"
    "  connect_filter = function() return s:connect { remote_address = '127.0.0.1',\n"
    "    remote_port = port, filter = mqtt, heap = { 1, 2, 3 } } end,\n"
    "  send = function(c) return c:send('a', 'b') end,\n"
    "  filter = function(c) c:filter(mqtt) return c:send('x', 'y'), c:unread 'zz', c:pending(),\n"
    "    c:filter 'line' end,\n"
    "  values = function(c) c:filter 'resp' c:send({ 'GET', 'k', 1.5 }, '+x')\n"
    "    local one = tcpmulti.filters.resp():clone()\n"
    "    one:feed '*3\\r\\n-E\\r\\n%1\\r\\n+k\\r\\n$1\\r\\nv\\r\\n,1.5\\r\\n'\n"
    "    local value = one:get_one()\n"
    "    return tcpmulti.is_error(value[1]), tostring(value[1]), one:put { 1, 'b' }, c:filter "
    "'line' "
    "end,\n"
    "  delay = function(c) s:delay('x', 1) s:delay 'x' return c:delay('x', 1), c:delay 'x' end,\n"
    "  every = function() return s:alarm_remove(s:every(f, 1)) end,\n"
    "  create = function() return tcpmulti.create { alias = 'z', inline_states = {\n"
    "    _start = function(z) z:yield(f) end } }:die() end,\n"
    "  handlers = function() return s:connect { remote_address = '127.0.0.1', remote_port = port,\n"
    "    filter = mqtt, on_input = f, on_flushed = f, on_eof = f, half_open = true } end,\n"
    "  unknown_service = function() return s:connect { remote_address = '127.0.0.1',\n"
    "    remote_port = 'nosuchservice', filter = mqtt, on_input = f } end,\n"
    "  take = function(c) c:filter(mqtt) return c:take(3), c:take(false), tostring(c), s:tally() "
    "end,\n"
    "  call = function() return s:call('x', 1, 2, 3), s:yield('x', 4) end,\n"
    "  pull = function() return s:connect(f) end,\n"
    "}\n"
    "s = tcpmulti.create { on_exception = f, inline_states = { x = function(...) return { ... } "
    "end },\n"
    "  input_timeout = 0.3, shutdown_timeout = 0.3, connect_timeout = 0.3,\n"
    "  on_success = function(cheap)\n"
    "    if not tried then\n"
    "      tried = true\n"
    "      for _ = 1, alarms do s:delay_set('x', 0.01) end\n"
    "      local thread = coroutine.create(function() arm() operations[operation](cheap) end)\n"
    "      coroutine.resume(thread)\n"
    "      disarm()\n"
    "    end\n"
    "    collectgarbage() collectgarbage()\n"
    "    cheap:delay(function() collectgarbage() cheap:send 'hello' cheap:shutdown() end, 0.001)\n"
    "  end,\n"
    "  on_disconnected = function() collectgarbage() ended = true end }\n"
    "s:connect('127.0.0.1', port)\n"
    "s:delay(function() s:die() end, 0.02)\n";

/* Gives the number of allocations; alarms: so that tables grow in different places. */
static long run_in_a_coroutine(const char *operation, int alarms, long fail_at)
{
    struct host host;
    struct memory memory = {.fail_at = fail_at, .fails = 1};
    const lua_CFunction functions[] = {arm, disarm};
    const char *const names[] = {"arm", "disarm"};

    host_open(&host, NULL);
    struct peer *peer = peer_start("echo", NULL);
    lua_State *L = lua_newstate(reallocate, &memory);
    assert_non_null(L);
    luaL_openlibs(L);
    luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF);
    assert_int_equal(tcpm_lua_open(L, host.engine, NULL), 0);
    lua_settop(L, 0);
    for (size_t i = 0; i < COUNT(functions); i++) {
        lua_pushlightuserdata(L, &memory);
        lua_pushcclosure(L, functions[i], 1);
        lua_setglobal(L, names[i]);
    }
    lua_pushinteger(L, peer_port(peer));
    lua_setglobal(L, "port");
    lua_pushinteger(L, alarms);
    lua_setglobal(L, "alarms");
    lua_pushstring(L, operation);
    lua_setglobal(L, "operation");
    if (luaL_dostring(L, in_a_coroutine) != 0)
        fail_msg("%s", lua_tostring(L, -1));
    host_run(&host);
    lua_getglobal(L, "ended");
    assert_true(lua_toboolean(L, -1));
    lua_close(L);
    peer_stop(peer);
    host_close(&host);
    return memory.calls;
}

static void test_each_allocation_in_a_coroutine_fails_once(void **state)
{
    static const char *const operations[] = {
        "sig",    "sig_off", "connect",  "connect_filter", "send",
        "filter", "values",  "delay",    "every",          "call",
        "create", "pull",    "handlers", "take",           "unknown_service"};

    (void) state;
    for (size_t i = 0; i < COUNT(operations); i++)
        for (int alarms = 0; alarms < 5; alarms += i < 2 ? 1 : 4) {
            long calls = run_in_a_coroutine(operations[i], alarms, 0);
            for (long at = 1; at <= calls; at++)
                run_in_a_coroutine(operations[i], alarms, at);
        }
}

/* ---- texts of JSON, and result lines ---- */

static const char writing[] =
    "local json, results = require 'tcpmulti.json', require 'tcpmulti.results'\n"
    "local data = { { x = '\\255', x_b64 = 'both', [1] = 2 ^ 60, ['\\254'] = 0.5 },\n"
    "  { 'a', ('b'):rep(70000), '\\255' }, many = {} }\n"
    "for i = 1, 40 do data.many['key ' .. i] = { i } end\n"
    "local record = { key = 'ab:0', host = '\\255', port = 7, addr = '127.0.0.1', id = { 'i' },\n"
    "  ok = false, ['end'] = 'error', attempts = 1, time = 1, us = { total = 5 }, ['in'] = 0,\n"
    "  out = 0, error = { op = 'read', name = 'EIO', text = 'wrong' }, data = data }\n"
    "local text, line\n"
    "local count = 0\n"
    "function write()\n"
    "  count = count + 1\n"
    "  data[count + 0.5], data[count - 0.5] = count, nil\n"
    "  return json.encode(data), results.line(record)\n"
    "end\n"
    "function check()\n"
    "  data[count + 0.5] = nil\n"
    "  local one, other = json.encode(data), results.line(record)\n"
    "  text, line = text or one, line or other\n"
    "  assert(one == text and other == line and #line > #text)\n"
    "end\n"
    "check()\n";

static void test_each_allocation_of_a_text_fails_once(void **state)
{
    struct host host;
    struct memory memory = {.fails = 1};

    (void) state;
    host_open(&host, NULL);
    lua_State *L = lua_newstate(reallocate, &memory);
    assert_non_null(L);
    luaL_openlibs(L);
    luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF);
    assert_int_equal(tcpm_lua_open(L, host.engine, NULL), 0);
    if (luaL_dostring(L, writing) != 0)
        fail_msg("%s", lua_tostring(L, -1));
    long failed = 0;
    do {
        memory.calls = 0;
        memory.fail_at++;
        lua_getglobal(L, "write");
        memory.counting = true;
        int status = lua_pcall(L, 0, 0, 0);
        memory.counting = false;
        assert_true(status == 0 || status == LUA_ERRMEM);
        failed += status != 0;
        lua_getglobal(L, "check");
        if (lua_pcall(L, 0, 0, 0) != 0)
            fail_msg("%s", lua_tostring(L, -1));
        lua_settop(L, 0);
    } while (memory.calls >= memory.fail_at);
    assert_true(failed > 15);
    lua_close(L);
    host_run(&host);
    host_close(&host);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_each_allocation_of_a_text_fails_once),
    cmocka_unit_test(test_each_allocation_in_a_coroutine_fails_once),
    cmocka_unit_test(test_each_allocation_fails_once),
    cmocka_unit_test(test_a_row_of_allocations_fails),
};

RUN_TESTS(tests)
