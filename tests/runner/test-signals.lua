-- SPDX-License-Identifier: MIT
-- SIGINT and SIGTERM: the first shuts every session down, the second ends the process at once.
-- SIGUSR1 prints the state of the engine.
local lu = require "luaunit"
local harness = require "scripts.harness"
local support = require "runner.support"
local uv = require "luv"
local await_output, expect = support.await_output, support.expect

local cases = harness.cases "Signals"

-- A session with one connection to a peer that says nothing, and what it prints of its end.
local connected = [[
  local tcpmulti = require "tcpmulti"
  io.stdout:setvbuf "no"
  local session = tcpmulti.create {
    input_timeout = 0, shutdown_timeout = %s,
    on_success = function() print "ready" end,
    on_disconnected = function(_, _, reason) print("disconnected", reason) end,
    inline_states = { _stop = function() print "stop" end } }
  local cheap = session:connect(tcpmulti.peer.addr, tcpmulti.peer.port)
]]

local function start(text, timeout)
  return support.start { "--peer", "discard", "-e", connected:format(timeout or 30) .. text }
end

-- How long it takes from now until the process has ended, in seconds.
local function time_to_end(process)
  local begin = uv.hrtime()
  harness.finish(process)
  return (uv.hrtime() - begin) / 1e9
end

-- Sends a signal once the process has printed the text, and waits for the end of the process.
local function signal_at(process, text, signal)
  await_output(process, text)
  process.kill(signal)
  harness.finish(process)
end

for _, signal in ipairs { "sigint", "sigterm", "sighup" } do
  cases["the first " .. signal .. " shuts every session down"] = function()
    local process = start "tcpmulti.run() print 'behind run'"
    signal_at(process, "ready", signal)
    expect(process, signal, "ready\ndisconnected\tdie\nstop\nbehind run\n", "")
  end

  cases["the second signal ends a busy loop at once: " .. signal] = function()
    local process = start [[
      tcpmulti.create { inline_states = { _start = function(s) s:delay("busy", 0.1) end,
        busy = function() print "busy" local i = 0 while true do i = i + 1 end end } }
      tcpmulti.run()]]
    await_output(process, "busy")
    process.kill(signal)
    process.kill(signal) -- the kernel may make one of two that come at once
    local timer = uv.new_timer()
    timer:start(50, 50, function() process.kill(signal) end)
    local seconds = time_to_end(process)
    timer:close()
    assert(seconds < 3, seconds)
    expect(process, signal)
  end
end

function cases.two_that_come_at_once_as_timeout_1_sends_them_are_one()
  local tried, judged = 0, 0
  while judged < 3 and tried < 30 do
    local process = start "tcpmulti.run() print 'behind run'"
    await_output(process, "ready")
    local begin = uv.hrtime()
    process.kill "sigterm"
    process.kill "sigterm"
    local apart = (uv.hrtime() - begin) / 1e6
    harness.finish(process)
    tried = tried + 1
    if apart < 10 then -- not if we were kept from running between the two
      judged = judged + 1
      expect(process, "sigterm", "ready\ndisconnected\tdie\nstop\nbehind run\n", "")
    end
  end
  assert(judged > 0, "the two never came at once")
end

function cases.the_second_of_two_at_once_may_come_in_the_last_steps()
  local run = support.run { "--peer", "discard", "-e", connected:format(30) .. [[
    local last = newproxy(true)
    getmetatable(last).__gc = function() os.execute "kill -TERM $PPID" end
    session:yield(function() os.execute "kill -TERM $PPID" end)
    tcpmulti.run() print "behind run"
  ]] }
  expect(run, "sigterm")
end

function cases.sigterm_after_sigint_is_a_second_signal()
  local process = start "print 'busy' while true do end"
  await_output(process, "busy")
  process.kill "sigint"
  harness.await(function(go_on) -- the two are delivered in any order if both wait
    local timer = uv.new_timer()
    timer:start(200, 0, function() timer:close() go_on() end)
  end)
  process.kill "sigterm"
  local seconds = time_to_end(process)
  assert(seconds < 3, seconds)
  expect(process, "sigterm")
end

function cases.one_signal_ends_a_loop_that_never_ends_after_5_seconds()
  local process = start "print 'busy' while true do end"
  await_output(process, "busy")
  process.kill "sigint"
  local seconds = time_to_end(process)
  assert(seconds > 4 and seconds < 8, seconds)
  expect(process, "sigint")
end

function cases.a_session_that_cannot_end_is_ended_within_5_seconds()
  local process = support.start { "-e", ([[
    local tcpmulti = require "tcpmulti"
    io.stdout:setvbuf "no"
    local s = tcpmulti.create { filter = "stream", shutdown_timeout = 60,
      on_success = function(cheap)
        tcpmulti.send(cheap, ("x"):rep(16 * 1024 * 1024))
        print "ready"
      end }
    s:connect("127.0.0.1", %d)
    tcpmulti.run()]]):format(harness.listen("127.0.0.1", nil, function() end)) }
  await_output(process, "ready")
  process.kill "sigint"
  local seconds = time_to_end(process)
  assert(seconds < 8, seconds)
  expect(process, "sigint", "ready\n", "interrupted")
end

function cases.a_signal_before_run_ends_the_run_that_follows()
  local process = start [[
    io.popen "kill -INT $PPID":close() -- the signal has come once the pipe is closed
    tcpmulti.run()
    print "behind"]]
  harness.finish(process)
  expect(process, "sigint", nil, "")
  lu.assertStrContains(process.output(), "disconnected\tdie\nstop\nbehind\n")
end

function cases.a_session_that_watches_the_signal_takes_the_first_one()
  local process = start [[
    session:sig("INT", function() print "taken" session:shutdown(cheap) end)
    tcpmulti.run()]]
  signal_at(process, "ready", "sigint")
  expect(process, 0, "ready\ntaken\ndisconnected\tshutdown\nstop\n", "")
end

-- A script whose session takes this signal, and goes on.
local function watching(signal, text)
  return start(([[
    local n = 0
    session:sig("%s", function(_, name)
      n = n + 1
      print("taken", n, name)
      %s
    end)
    tcpmulti.run()]]):format(signal:sub(4):upper(), text or ""))
end

for _, signal in ipairs { "sigint", "sigterm", "sighup", "sigusr1" } do
  cases["a session that watches the signal takes it each time: " .. signal] = function()
    local process = watching(signal, "if n == 4 then session:shutdown(cheap) end")
    await_output(process, "ready")
    for n = 1, 4 do
      process.kill(signal)
      await_output(process, "taken\t" .. n)
    end
    harness.finish(process)
    lu.assertEquals(process.code, 0, "exit status")
    lu.assertStrContains(process.output(), "taken\t4\t" .. signal:sub(4):upper())
  end
end

-- ---- SIGUSR1 ----

-- Waits for a whole dump that has come since offset bytes of standard error; returns its text.
local function await_dump(process, offset)
  return harness.wait_until(30, "a dump", function()
    local text = process.errors():sub((offset or 0) + 1)
    return text:find "held %d+\n$" and text or process.done and process.errors()
  end)
end

local engine_line = "engine sessions 1 waiting 0 connecting 0 open 1 shutting 0 places 1 of %d+ "
  .. "memory %d+ of %d+ work %d+"
local connection_line = "\n%d+ 127%.0%.0%.1:%d+ open [%w_,]+ output open timeout none "
  .. "deadline none received 0 sent 0 queued 0 held 0\n"

function cases.sigusr1_prints_the_engine_and_each_connection()
  local process = start "tcpmulti.run()"
  await_output(process, "ready")
  local offset = 0
  for _ = 1, 3 do
    process.kill "sigusr1"
    local text = await_dump(process, offset)
    lu.assertStrMatches(text, engine_line .. connection_line)
    offset = offset + #text
  end
  signal_at(process, "ready", "sigterm")
  expect(process, "sigterm", "ready\ndisconnected\tdie\nstop\n")
end

function cases.sigusr1_while_the_script_is_busy_is_answered_behind_it()
  local process = start [[
    session:delay(function()
      print "busy"
      local ends = os.clock() + 0.3
      while os.clock() < ends do end
      io.stderr:write "busy no more\n"
    end, 0.05)
    tcpmulti.run()]]
  await_output(process, "busy")
  process.kill "sigusr1"
  lu.assertStrMatches(await_dump(process), "busy no more\n.*")
  signal_at(process, "ready", "sigterm")
end

function cases.sigusr1_that_was_ignored_stays_ignored()
  local path = support.script((connected:format(30)) .. [[
    session:sig("USR2", function() session:shutdown(cheap) end)
    tcpmulti.run()]])
  local process = harness.start("bash", { "-c", [[trap '' USR1; exec "$0" --peer discard "$1"]],
    support.runner, path })
  await_output(process, "ready")
  process.kill "sigusr1"
  harness.wait(100)
  process.kill "sigusr2"
  harness.finish(process)
  expect(process, 0, "ready\ndisconnected\tshutdown\nstop\n", "")
end

function cases.sigusr1_is_the_runners_again_when_no_session_watches_it()
  local process = watching("sigusr1", "session:sig('USR1', nil) print 'ended'")
  await_output(process, "ready")
  process.kill "sigusr1"
  await_output(process, "ended")
  process.kill "sigusr1"
  lu.assertStrContains(await_dump(process), "engine sessions 1 ")
  signal_at(process, "ready", "sigterm")
  expect(process, "sigterm", "ready\ntaken\t1\tUSR1\nended\ndisconnected\tdie\nstop\n")
end

function cases.sigusr1_that_luv_watches_is_the_scripts()
  local process = start [[
    local watcher = require "luv".new_signal()
    watcher:start("sigusr1", function() print "luv" session:shutdown(cheap) watcher:close() end)
    tcpmulti.run()]]
  signal_at(process, "ready", "sigusr1")
  expect(process, 0, "ready\nluv\ndisconnected\tshutdown\nstop\n", "")
end

function cases.sigusr1_to_the_practice_peer_ends_nothing()
  local process = start "tcpmulti.run()"
  await_output(process, "ready")
  local list = ("/proc/%d/task/%d/children"):format(process.pid, process.pid)
  uv.kill(assert(tonumber(io.open(list):read "*a":match "^(%d+)")), "sigusr1")
  process.kill "sigusr1"
  lu.assertStrMatches(await_dump(process), engine_line .. connection_line)
  signal_at(process, "ready", "sigterm")
  expect(process, "sigterm", "ready\ndisconnected\tdie\nstop\n")
end

-- ---- more of signals that a session watches ----

function cases.its_echo_never_kills_nor_does_what_comes_while_the_script_is_busy()
  local process = watching("sigint", [[
    if n > 1 then return end
    print "busy"
    local ends = os.clock() + 0.5
    while os.clock() < ends do end
    session:delay(function() session:shutdown(cheap) end, 0.1)]])
  await_output(process, "ready")
  process.kill "sigint"
  process.kill "sigint"
  await_output(process, "busy")
  for _ = 1, 4 do
    process.kill "sigint"
    harness.wait(80)
  end
  harness.finish(process)
  expect(process, 0, nil, "")
  lu.assertStrContains(process.output(), "disconnected\tshutdown\nstop\n")
end

function cases.one_whose_watch_has_ended_ends_at_once_not_its_echo()
  local process = watching("sigint", "session:sig('INT', nil)")
  await_output(process, "ready")
  process.kill "sigint"
  process.kill "sigint"
  await_output(process, "taken")
  harness.wait(100)
  process.kill "sigint"
  harness.finish(process)
  expect(process, "sigint", "ready\ntaken\t1\tINT\n", "")
end

function cases.a_session_that_dies_has_ceased_to_watch()
  local process = start("session:sig('INT', function() print 'never' end) " .. [[
    tcpmulti.create { inline_states = { _start = function(s)
      s:delay(function() session:die() print "dead" end, 0.01)
      s:delay(function() end, 3600)
    end, _stop = function() print "other stop" end } }
    tcpmulti.run()]])
  signal_at(process, "dead", "sigint")
  expect(process, "sigint", nil, "")
  lu.assertStrContains(process.output(), "other stop\n")
end

function cases.another_signal_than_the_one_that_is_watched_ends_in_order()
  local process = start [[
    session:sig("INT", function() print "taken" end)
    tcpmulti.run()]]
  await_output(process, "ready")
  process.kill "sigint"
  signal_at(process, "taken", "sigterm")
  expect(process, "sigterm", "ready\ntaken\ndisconnected\tdie\nstop\n", "")
end

function cases.a_signal_that_is_not_watched_any_more_ends_in_order()
  local process = start [[
    session:sig("INT", function() print "taken" end)
    session:sig("INT", nil)
    tcpmulti.run()]]
  signal_at(process, "ready", "sigint")
  expect(process, "sigint", "ready\ndisconnected\tdie\nstop\n", "")
end

function cases.a_signal_that_luv_watches_is_the_scripts()
  local process = start [[
    local uv = require "luv"
    local watcher = uv.new_signal()
    watcher:start("sigint", function()
      print "taken"
      watcher:close()
      session:shutdown(cheap)
    end)
    tcpmulti.run()]]
  signal_at(process, "ready", "sigint")
  expect(process, 0, "ready\ntaken\ndisconnected\tshutdown\nstop\n", "")
end

function cases.a_signal_that_luv_watches_comes_each_time_and_ends_at_once_after_that()
  local process = start [[
    local uv = require "luv"
    local watcher, n = uv.new_signal(), 0
    uv.signal_start(watcher, "sigint", function()
      n = n + 1
      print("taken", n)
      if n == 3 then watcher:close() end
    end)
    tcpmulti.run()]]
  await_output(process, "ready")
  for n = 1, 3 do
    process.kill "sigint"
    await_output(process, "taken\t" .. n)
  end
  harness.wait(100)
  process.kill "sigint"
  harness.finish(process)
  expect(process, "sigint", "ready\ntaken\t1\ntaken\t2\ntaken\t3\n", "")
end

function cases.luvs_open_handles_are_nothing_to_wait_for()
  local process = start [[
    timer = require "luv".new_timer()
    timer:start(1, 100, function() end)
    tcpmulti.run()
    print "behind"]]
  await_output(process, "ready")
  process.kill "sigint"
  local seconds = time_to_end(process)
  assert(seconds < 2, seconds)
  expect(process, "sigint", "ready\ndisconnected\tdie\nstop\nbehind\n", "")
end

function cases.a_script_of_luvs_alone_ends_too()
  local process = support.start { "-e", [[
    io.stdout:setvbuf "no"
    require "luv".new_timer():start(1, 3600000, function() print "ready" end)]] }
  await_output(process, "ready")
  process.kill "sigterm"
  local seconds = time_to_end(process)
  assert(seconds < 2, seconds)
  expect(process, "sigterm", "ready\n", "")
end

local function shell(command, text)
  local path = support.script(text)
  return harness.start("bash", { "-c", command, support.runner, path })
end

-- Not os.execute, which ignores SIGINT until its command has ended.
local signals_of_its_own = [[
  local tcpmulti = require "tcpmulti"
  io.stdout:setvbuf "no"
  local function kill(name) io.popen("kill -" .. name .. " $PPID"):close() end
]]

function cases.signals_that_were_ignored_at_the_start_stay_ignored()
  local process = shell("trap '' INT TERM HUP; exec \"$0\" \"$1\"", signals_of_its_own .. [[
    local s = tcpmulti.create {}
    s:delay(function() print "still alive" end, 0.2)
    for _ = 1, 2 do kill "INT" kill "TERM" kill "HUP" end
    tcpmulti.run()
    kill "INT"
    os.execute [=[bash -c 'kill -INT $$; echo a child ignores it too']=] ]])
  harness.finish(process)
  expect(process, 0, "still alive\na child ignores it too\n", "")
end

for watch, text in pairs {
  ["a session"] = [[
    s:sig("INT", function(_, name) taken(name) end)
    unwatch = function() s:sig("INT", nil) end]],
  ["luv"] = [[
    local watcher = require "luv".new_signal()
    watcher:start("sigint", function() taken "INT" end)
    unwatch = function() watcher:close() end]],
} do
  cases["an ignored signal is taken while it is watched: " .. watch] = function()
    local process = shell("trap '' INT; exec \"$0\" \"$1\"", signals_of_its_own .. [[
      local s, n, unwatch = tcpmulti.create {}, 0, nil
      local function taken(name)
        n = n + 1
        print("taken", n, name)
        if n < 3 then return kill "INT" end
        unwatch()
        kill "INT"
        s:delay(function() kill "INT" print "still alive" end, 0.1)
      end
      s:delay(function() end, 0.5)
      ]] .. text .. [[
      s:delay(function() kill "INT" end, 0.01)
      tcpmulti.run()]])
    harness.finish(process)
    expect(process, 0, "taken\t1\tINT\ntaken\t2\tINT\ntaken\t3\tINT\nstill alive\n", "")
  end
end

function cases.sigpipe_is_harmless_before_while_and_after_a_session_watches_it()
  local process = shell("exec \"$0\" \"$1\"", signals_of_its_own .. [[
    local s = tcpmulti.create {}
    kill "PIPE"
    s:sig("PIPE", function(session, name)
      print("taken", name)
      session:sig("PIPE", nil)
      kill "PIPE"
      session:delay(function() kill "PIPE" print "still alive" end, 0.05)
    end)
    s:delay(function() kill "PIPE" end, 0.01)
    s:delay_set(function() end, 0.5)
    tcpmulti.run()]])
  harness.finish(process)
  expect(process, 0, "taken\tPIPE\nstill alive\n", "")
end

function cases.one_ctrl_c_ends_a_shells_loop()
  local script = support.script [[
    local tcpmulti = require "tcpmulti"
    io.stdout:setvbuf "no"
    tcpmulti.create { inline_states = {
      _start = function(s) s:delay(print, 3600) print "ready" end,
      _stop = function() print "stop" end } }
    tcpmulti.run()]]
  local process = harness.start("setsid", { "bash", "-c",
    [[for i in 1 2 3; do echo item $i; "$0" "$1"; done; echo ended]], support.runner, script })
  await_output(process, "ready")
  uv.kill(-process.pid, "sigint")
  harness.finish(process)
  expect(process, "sigint", "item 1\nready\nstop\n", "")
end

for _, name in ipairs { "INT", "TERM", "HUP" } do
  cases["process 1 ends by the status of the signal: " .. name] = function()
    if harness.run("unshare", { "-pf", "true" }).code ~= 0 then return end
    local script = support.script(signals_of_its_own .. ([[
      tcpmulti.create { inline_states = {
        _start = function(s) s:delay(print, 3600) end,
        _stop = function() print "stop" end } }
      kill "%s"
      tcpmulti.run()]]):format(name))
    local run = harness.run("unshare", { "-pf", support.runner, script })
    expect(run, 128 + uv.constants["SIG" .. name], "stop\n", "")
  end
end

function cases.a_second_signal_ends_process_1_out_of_a_busy_loop()
  if harness.run("unshare", { "-pf", "true" }).code ~= 0 then return end
  local script = support.script(signals_of_its_own .. [[
    kill "INT"
    io.popen "sleep 0.1; kill -INT $PPID"
    while true do end]])
  expect(harness.run("unshare", { "-pf", support.runner, script }), 130, "", "")
end

function cases.a_code_that_the_script_gives_os_exit_wins()
  for _, text in ipairs {
    "tcpmulti.create { inline_states = { _stop = function() os.exit(7) end } }:delay(print, 3600)",
    "tcpmulti.create {}:delay(print, 3600) tcpmulti.run() os.exit(7)",
    "tcpmulti.create {}:delay(print, 3600) tcpmulti.run() os.exit(7, true)",
  } do
    local process = shell("exec \"$0\" \"$1\"", signals_of_its_own .. "kill 'INT' " .. text)
    harness.finish(process)
    expect(process, 7, "", "")
  end
end

function cases.what_is_buffered_is_written_before_it_dies()
  local process = shell("exec \"$0\" \"$1\"", signals_of_its_own .. [[
    io.stdout:setvbuf "full"
    tcpmulti.create { inline_states = { _stop = function() io.write "last words" end } }
    kill "TERM"]])
  harness.finish(process)
  expect(process, "sigterm", "last words", "")
end

function cases.in_a_build_with_sanitizers_leaks_are_looked_for_before_it_dies()
  local process = shell("exec \"$0\" \"$1\"", signals_of_its_own .. [[
    local ffi = require "ffi"
    ffi.cdef "void *malloc(size_t size); void __lsan_do_leak_check(void);"
    print((pcall(function() return ffi.C.__lsan_do_leak_check end)))
    for _ = 1, 100 do ffi.C.malloc(12345) end
    tcpmulti.create {}:delay(print, 3600)
    kill "INT"]])
  harness.finish(process)
  if process.output() == "false\n" then return expect(process, "sigint", "false\n", "") end
  lu.assertEquals(process.signal, 0, "signal")
  lu.assertStrContains(process.errors(), "LeakSanitizer: detected memory leaks")
end

function cases.without_a_timer_for_the_limit_a_warning_and_all_goes_on()
  local process = shell("ulimit -i 0; exec \"$0\" \"$1\"", signals_of_its_own .. [[
    tcpmulti.create { inline_states = { _stop = function() print "stop" end } }:delay(print, 3600)
    kill "INT"]])
  harness.finish(process)
  expect(process, "sigint", "stop\n", "tcpmulti-lua: no timer: ")
end

function cases.the_practice_peer_outlives_a_signal_of_the_terminal_so_all_end_in_order()
  local process = start "print('pid', io.open('/proc/self/stat'):read '*n') tcpmulti.run()"
  await_output(process, "ready")
  local pid = tonumber(process.output():match "pid\t(%d+)")
  lu.assertEquals(pid, process.pid, "the script's process")
  local children = io.open(("/proc/%d/task/%d/children"):format(pid, pid)):read "*a"
  local peer = assert(tonumber(children:match "^(%d+)"), children)
  uv.kill(peer, "sigint")
  uv.kill(peer, "sigterm")
  uv.kill(peer, "sighup")
  process.kill "sigint"
  harness.finish(process)
  expect(process, "sigint", nil, "")
  lu.assertStrContains(process.output(), "disconnected\tdie")
end

harness.main(cases, 30)
