-- SPDX-License-Identifier: MIT
-- require "luv" in a script: Debian's lua-luv on the loop that the connections use.
local lu = require "luaunit"
local harness = require "scripts.harness"
local support = require "runner.support"
local expect = support.expect

local cases = harness.cases "Luv"

local function run(text, options)
  local path = support.script(text)
  return support.run({ "--peer", "echo", path }, options), path
end

-- A connection that echoes ten lines, beside whatever a case does with luv; done(f) runs after it.
local beside = [[
  local tcpmulti, uv = require "tcpmulti", require "luv"
  local echoed = 0
  local session = tcpmulti.create {
    on_success = function(cheap) tcpmulti.send(cheap, "line") end,
    on_input = function(cheap, line)
      assert(line == "line")
      echoed = echoed + 1
      if echoed < 10 then tcpmulti.send(cheap, line) else tcpmulti.shutdown(cheap) end
    end }
  session:connect(tcpmulti.peer.addr, tcpmulti.peer.port)
]]

function cases.a_timer_a_file_and_a_child_process_beside_a_connection()
  expect(run(beside .. [[
    local ticks, status, text = 0, nil, nil
    local timer = uv.new_timer()
    timer:start(1, 1, function()
      ticks = ticks + 1
      if ticks == 5 then timer:close() end
    end)
    uv.fs_open("/proc/self/comm", "r", 0, function(failure, fd)
      assert(not failure, failure)
      uv.fs_read(fd, 100, 0, function(_, bytes)
        text = bytes
        uv.fs_close(fd, function() end)
      end)
    end)
    local child
    child = uv.spawn("sh", { args = { "-c", "exit 3" } }, function(code)
      status = code
      child:close()
    end)
    tcpmulti.run()
    print(echoed, ticks, status, text)]]), 0, "10\t5\t3\ttcpmulti-lua\n\n", "")
end

function cases.run_goes_on_while_luv_has_something_to_do()
  expect(run [[
    local tcpmulti, uv = require "tcpmulti", require "luv"
    local timer = uv.new_timer()
    timer:start(50, 0, function() print "timer" timer:close() end)
    tcpmulti.run()
    print "behind"]], 0, "timer\nbehind\n", "")
end

function cases.without_run_the_runner_runs_luvs_handles_as_well()
  expect(run [[
    local timer = require "luv".new_timer()
    timer:start(10, 0, function() print "timer" timer:close() end)]], 0, "timer\n", "")
end

function cases.luv_run_runs_what_tcpmulti_run_does()
  expect(run(beside .. [[ print(uv.run(), echoed) print(uv.run "default")]]), 0,
    "false\t10\nfalse\n", "")
end

function cases.luv_run_in_another_mode_raises()
  expect(run(beside .. [[
    local good, message = pcall(uv.run, "nowait")
    print(good, message:match "no mode 'nowait' here")
    tcpmulti.run()
    print(echoed)]]), 0, "false\tno mode 'nowait' here\n10\n", "")
end

function cases.luv_stop_stops_like_tcpmulti_stop_and_run_goes_on()
  expect(run(beside .. [[
    local timer = uv.new_timer()
    timer:start(1, 0, function() uv.stop() end)
    local late = uv.new_timer()
    late:start(100, 0, function() print "late" timer:close() late:close() end)
    tcpmulti.run()
    print "stopped"
    tcpmulti.run()
    print(echoed)]]), 0, "stopped\nlate\n10\n", "")
end

function cases.a_nested_luv_run_raises()
  expect(run(beside .. [[
    local timer = uv.new_timer()
    timer:start(1, 0, function()
      timer:close()
      print(pcall(uv.run))
      print(pcall(tcpmulti.run))
    end)
    tcpmulti.run()
    print(echoed)]]), 0, nil, "")
end

function cases.a_nested_luv_run_that_is_not_caught_traceback_and_exit_1()
  local failed, path = run(beside .. [[
    local timer = uv.new_timer()
    timer:start(1, 0, function() uv.run() end)
    tcpmulti.run()]])
  expect(failed, 1, "", "stack traceback:")
  lu.assertStrContains(failed.errors(), path)
end

function cases.an_error_in_a_luv_callback_traceback_and_exit_1_and_no_events()
  local failed, path = run [[
    local tcpmulti, uv = require "tcpmulti", require "luv"
    local session = tcpmulti.create {
      on_success = function()
        local timer = uv.new_timer()
        timer:start(1, 0, function() error "from the timer" end)
      end,
      on_disconnected = function() print "disconnected" end }
    session:connect(tcpmulti.peer.addr, tcpmulti.peer.port)
    tcpmulti.run()
    print "not reached"]]
  expect(failed, 1, "", path .. ":5: from the timer\nstack traceback:")
end

function cases.what_stands_behind_a_nul_byte_in_the_message_of_a_luv_callback_is_shown()
  expect(run [[
    local timer = require "luv".new_timer()
    timer:start(1, 0, function() error("a\0b", 0) end)]], 1, "", "a\\0b\nstack traceback:")
end

function cases.an_error_value_of_a_luv_callback_that_is_no_string_is_described()
  expect(run [[
    local timer = require "luv".new_timer()
    timer:start(1, 0, function() error {} end)]], 1, "", "error object is a table value")
end

function cases.run_raises_the_error_of_a_luv_callback_and_can_be_called_again()
  expect(run(beside .. [[
    local timer = uv.new_timer()
    timer:start(0, 0, function() timer:close() error("caught", 0) end)
    local good, message = pcall(tcpmulti.run)
    print(good, message:match "^[^\n]*")
    timer = uv.new_timer()
    timer:start(1, 0, function() timer:close() print "second" end)
    tcpmulti.run()]]), 0, "false\tcaught\nsecond\n", "")
end

function cases.handles_left_open_are_closed_at_the_end()
  expect(run(beside .. [[
    local timer, pipe, tcp, check = uv.new_timer(), uv.new_pipe(false), uv.new_tcp(), uv.new_check()
    timer:start(3600000, 0, function() print "never" end)
    timer:unref()
    tcp:bind("127.0.0.1", 0)
    tcp:listen(10, function() end)
    tcp:unref()
    check:start(function() end)
    check:unref()
    uv.new_async(function() end):unref()
    kept = { timer, pipe, tcp, check }
    tcpmulti.run()
    print(echoed)]]), 0, "10\n", "")
end

function cases.handles_that_are_active_after_stop_are_closed_at_the_end()
  expect(run(beside .. [[
    local timer, closing = uv.new_timer(), uv.new_timer()
    timer:start(1, 1, function() tcpmulti.stop() end)
    closing:close(function() print "closed" end)
    tcpmulti.run()
    uv.fs_stat("/", function() print "never" end)
    uv.spawn("sleep", { args = { "0.1" } }, function() print "never" end)]]), 0, nil, "")
end

function cases.handles_that_an_error_leaves_are_closed_at_the_end()
  expect(run(beside .. [[
    uv.new_timer():start(1, 1, function() end)
    uv.new_idle():start(function() end)
    error "left"]]), 1, "", "left")
end

function cases.luv_required_in_a_coroutine_that_is_collected_calls_back_on_the_main_state()
  expect(run [[
    local tcpmulti = require "tcpmulti"
    local timer, thread
    for _, make in ipairs { coroutine.wrap, function(f)
      local t = coroutine.create(f)
      return function() assert(coroutine.resume(t)) end
    end } do
      package.loaded.luv = nil
      make(function()
        local uv = require "luv"
        timer = uv.new_timer()
        timer:start(1, 0, function()
          thread = coroutine.running()
          timer:close()
        end)
      end)()
      for _ = 1, 10 do
        collectgarbage()
        coroutine.wrap(function() return ("x"):rep(1000) end)()
      end
      tcpmulti.run()
      print(thread)
    end]], 0, "nil\nnil\n", "")
end

function cases.luv_walk_sees_luvs_handles_only_and_may_close_them()
  expect(run(beside .. [[
    local timer, pipe = uv.new_timer(), uv.new_pipe(false)
    timer:start(1000, 1000, function() end)
    local seen = 0
    session:delay(function()
      uv.walk(function(handle)
        seen = seen + 1
        assert(handle == timer or handle == pipe)
        if not handle:is_closing() then handle:close() end
      end)
    end, 0.01)
    tcpmulti.run()
    print(seen, echoed)]]), 0, "2\t10\n", "")
end

function cases.luv_loop_close_does_not_take_the_loop_away()
  expect(run(beside .. [[
    print((pcall(function() assert(uv.loop_close()) end)))
    tcpmulti.run()
    print(echoed)]]), 0, "false\n10\n", "")
end

function cases.a_luv_thread_works_beside()
  expect(run(beside .. [[
    local result
    local work = uv.new_work(function(a) return a * 2 end, function(b) result = b end)
    work:queue(21)
    tcpmulti.run()
    print(result, echoed)]]), 0, "42\t10\n", "")
end

function cases.without_luv_require_says_so_and_all_else_works()
  expect(run [[
    package.cpath = "/nowhere/?.so"
    local good, message = pcall(require, "luv")
    print(good, message:match "module 'luv' not found", message:match "/nowhere/luv.so")
    local tcpmulti = require "tcpmulti"
    local session = tcpmulti.create {
      on_success = function(cheap) tcpmulti.shutdown(cheap) end,
      on_disconnected = function(_, _, reason) print(reason) end }
    session:connect(tcpmulti.peer.addr, tcpmulti.peer.port)]], 0,
    "false\tmodule 'luv' not found\t/nowhere/luv.so\nshutdown\n", "")
end

harness.main(cases, 30)
