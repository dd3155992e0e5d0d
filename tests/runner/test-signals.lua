-- SPDX-License-Identifier: MIT
-- SIGINT and SIGTERM: the first shuts every session down, the second ends the process at once.
local harness = require "scripts.harness"
local support = require "runner.support"
local uv = require "luv"
local await_output, expect = support.await_output, support.expect

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

for _, signal in ipairs { "sigint", "sigterm", "sighup" } do
  harness.case("the first " .. signal .. " shuts every session down", function()
    local process = start "tcpmulti.run() print 'behind run'"
    await_output(process, "ready")
    process.kill(signal)
    harness.finish(process)
    expect(process, signal, "ready\ndisconnected\tdie\nstop\nbehind run\n", "")
  end)

  harness.case("the second signal ends a busy loop at once: " .. signal, function()
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
  end)
end

harness.case("two that come at once, as timeout(1) sends them, are one", function()
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
end)

harness.case("the second of two at once may come in the last steps", function()
  local run = support.run { "--peer", "discard", "-e", connected:format(30) .. [[
    local last = newproxy(true)
    getmetatable(last).__gc = function() os.execute "kill -TERM $PPID" end
    session:yield(function() os.execute "kill -TERM $PPID" end)
    tcpmulti.run() print "behind run"
  ]] }
  expect(run, "sigterm")
end)

harness.case("SIGTERM after SIGINT is a second signal", function()
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
end)

harness.case("one signal ends a loop that never ends, after 5 seconds", function()
  local process = start "print 'busy' while true do end"
  await_output(process, "busy")
  process.kill "sigint"
  local seconds = time_to_end(process)
  assert(seconds > 4 and seconds < 8, seconds)
  expect(process, "sigint")
end)

harness.case("a session that cannot end is ended within 5 seconds", function()
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
end)

harness.case("a signal before run ends the run that follows", function()
  local process = start [[
    print "busy"
    local ends = os.clock() + 1
    while os.clock() < ends do end
    tcpmulti.run()
    print "behind"]]
  await_output(process, "busy")
  process.kill "sigint"
  harness.finish(process)
  expect(process, "sigint", nil, "")
  harness.contains(process.output(), "disconnected\tdie\nstop\nbehind\n")
end)

harness.case("a session that watches the signal takes the first one", function()
  local process = start [[
    session:sig("INT", function() print "taken" session:shutdown(cheap) end)
    tcpmulti.run()]]
  await_output(process, "ready")
  process.kill "sigint"
  harness.finish(process)
  expect(process, 0, "ready\ntaken\ndisconnected\tshutdown\nstop\n", "")
end)

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
  harness.case("a session that watches the signal takes it each time: " .. signal, function()
    local process = watching(signal, "if n == 4 then session:shutdown(cheap) end")
    await_output(process, "ready")
    for n = 1, 4 do
      process.kill(signal)
      await_output(process, "taken\t" .. n)
    end
    harness.finish(process)
    harness.equal(0, process.code, "exit status")
    harness.contains(process.output(), "taken\t4\t" .. signal:sub(4):upper())
  end)
end

harness.case("its echo never kills, nor does what comes while the script is busy", function()
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
  harness.contains(process.output(), "disconnected\tshutdown\nstop\n")
end)

harness.case("one whose watch has ended ends at once; not its echo", function()
  local process = watching("sigint", "session:sig('INT', nil)")
  await_output(process, "ready")
  process.kill "sigint"
  process.kill "sigint"
  await_output(process, "taken")
  harness.wait(100)
  process.kill "sigint"
  harness.finish(process)
  expect(process, "sigint", "ready\ntaken\t1\tINT\n", "")
end)

harness.case("a session that dies has ceased to watch", function()
  local process = start("session:sig('INT', function() print 'never' end) " .. [[
    tcpmulti.create { inline_states = { _start = function(s)
      s:delay(function() session:die() print "dead" end, 0.01)
      s:delay(function() end, 3600)
    end, _stop = function() print "other stop" end } }
    tcpmulti.run()]])
  await_output(process, "dead")
  process.kill "sigint"
  harness.finish(process)
  expect(process, "sigint", nil, "")
  harness.contains(process.output(), "other stop\n")
end)

harness.case("another signal than the one that is watched ends in order", function()
  local process = start [[
    session:sig("INT", function() print "taken" end)
    tcpmulti.run()]]
  await_output(process, "ready")
  process.kill "sigint"
  await_output(process, "taken")
  process.kill "sigterm"
  harness.finish(process)
  expect(process, "sigterm", "ready\ntaken\ndisconnected\tdie\nstop\n", "")
end)

harness.case("a signal that is not watched any more ends in order", function()
  local process = start [[
    session:sig("INT", function() print "taken" end)
    session:sig("INT", nil)
    tcpmulti.run()]]
  await_output(process, "ready")
  process.kill "sigint"
  harness.finish(process)
  expect(process, "sigint", "ready\ndisconnected\tdie\nstop\n", "")
end)

harness.case("a signal that luv watches is the script's", function()
  local process = start [[
    local uv = require "luv"
    local watcher = uv.new_signal()
    watcher:start("sigint", function()
      print "taken"
      watcher:close()
      session:shutdown(cheap)
    end)
    tcpmulti.run()]]
  await_output(process, "ready")
  process.kill "sigint"
  harness.finish(process)
  expect(process, 0, "ready\ntaken\ndisconnected\tshutdown\nstop\n", "")
end)

harness.case("a signal that luv watches comes each time, and ends at once after that", function()
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
end)

harness.case("luv's open handles are nothing to wait for", function()
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
end)

harness.case("a script of luv's alone ends too", function()
  local process = support.start { "-e", [[
    io.stdout:setvbuf "no"
    require "luv".new_timer():start(1, 3600000, function() print "ready" end)]] }
  await_output(process, "ready")
  process.kill "sigterm"
  local seconds = time_to_end(process)
  assert(seconds < 2, seconds)
  expect(process, "sigterm", "ready\n", "")
end)

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

harness.case("signals that were ignored at the start stay ignored", function()
  local process = shell("trap '' INT TERM HUP; exec \"$0\" \"$1\"", signals_of_its_own .. [[
    local s = tcpmulti.create {}
    s:delay(function() print "still alive" end, 0.2)
    for _ = 1, 2 do kill "INT" kill "TERM" kill "HUP" end
    tcpmulti.run()
    kill "INT"
    os.execute [=[bash -c 'kill -INT $$; echo a child ignores it too']=] ]])
  harness.finish(process)
  expect(process, 0, "still alive\na child ignores it too\n", "")
end)

for watch, text in pairs {
  ["a session"] = [[
    s:sig("INT", function(_, name) taken(name) end)
    unwatch = function() s:sig("INT", nil) end]],
  ["luv"] = [[
    local watcher = require "luv".new_signal()
    watcher:start("sigint", function() taken "INT" end)
    unwatch = function() watcher:close() end]],
} do
  harness.case("an ignored signal is taken while it is watched: " .. watch, function()
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
  end)
end

harness.case("SIGPIPE is harmless before, while and after a session watches it", function()
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
end)

harness.case("one Ctrl-C ends a shell's loop", function()
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
end)

for _, name in ipairs { "INT", "TERM", "HUP" } do
  harness.case("process 1 ends by the status of the signal: " .. name, function()
    if harness.run("unshare", { "-pf", "true" }).code ~= 0 then return end
    local script = support.script(signals_of_its_own .. ([[
      tcpmulti.create { inline_states = {
        _start = function(s) s:delay(print, 3600) end,
        _stop = function() print "stop" end } }
      kill "%s"
      tcpmulti.run()]]):format(name))
    local run = harness.run("unshare", { "-pf", support.runner, script })
    expect(run, 128 + uv.constants["SIG" .. name], "stop\n", "")
  end)
end

harness.case("a second signal ends process 1 out of a busy loop", function()
  if harness.run("unshare", { "-pf", "true" }).code ~= 0 then return end
  local script = support.script(signals_of_its_own .. [[
    kill "INT"
    io.popen "sleep 0.1; kill -INT $PPID"
    while true do end]])
  expect(harness.run("unshare", { "-pf", support.runner, script }), 130, "", "")
end)

harness.case("a code that the script gives os.exit wins", function()
  for _, text in ipairs {
    "tcpmulti.create { inline_states = { _stop = function() os.exit(7) end } }:delay(print, 3600)",
    "tcpmulti.create {}:delay(print, 3600) tcpmulti.run() os.exit(7)",
    "tcpmulti.create {}:delay(print, 3600) tcpmulti.run() os.exit(7, true)",
  } do
    local process = shell("exec \"$0\" \"$1\"", signals_of_its_own .. "kill 'INT' " .. text)
    harness.finish(process)
    expect(process, 7, "", "")
  end
end)

harness.case("what is buffered is written before it dies", function()
  local process = shell("exec \"$0\" \"$1\"", signals_of_its_own .. [[
    io.stdout:setvbuf "full"
    tcpmulti.create { inline_states = { _stop = function() io.write "last words" end } }
    kill "TERM"]])
  harness.finish(process)
  expect(process, "sigterm", "last words", "")
end)

harness.case("in a build with sanitizers leaks are looked for before it dies", function()
  local process = shell("exec \"$0\" \"$1\"", signals_of_its_own .. [[
    local ffi = require "ffi"
    ffi.cdef "void *malloc(size_t size); void __lsan_do_leak_check(void);"
    print((pcall(function() return ffi.C.__lsan_do_leak_check end)))
    for _ = 1, 100 do ffi.C.malloc(12345) end
    tcpmulti.create {}:delay(print, 3600)
    kill "INT"]])
  harness.finish(process)
  if process.output() == "false\n" then return expect(process, "sigint", "false\n", "") end
  harness.equal(0, process.signal, "signal")
  harness.contains(process.errors(), "LeakSanitizer: detected memory leaks")
end)

harness.case("without a timer for the limit: a warning, and all goes on", function()
  local process = shell("ulimit -i 0; exec \"$0\" \"$1\"", signals_of_its_own .. [[
    tcpmulti.create { inline_states = { _stop = function() print "stop" end } }:delay(print, 3600)
    kill "INT"]])
  harness.finish(process)
  expect(process, "sigint", "stop\n", "tcpmulti-lua: no timer: ")
end)

harness.case("the practice peer outlives a signal of the terminal, so all end in order", function()
  local process = start "print('pid', io.open('/proc/self/stat'):read '*n') tcpmulti.run()"
  await_output(process, "ready")
  local pid = tonumber(process.output():match "pid\t(%d+)")
  harness.equal(process.pid, pid, "the script's process")
  local children = io.open(("/proc/%d/task/%d/children"):format(pid, pid)):read "*a"
  local peer = assert(tonumber(children:match "^(%d+)"), children)
  uv.kill(peer, "sigint")
  uv.kill(peer, "sigterm")
  uv.kill(peer, "sighup")
  process.kill "sigint"
  harness.finish(process)
  expect(process, "sigint", nil, "")
  harness.contains(process.output(), "disconnected\tdie")
end)

harness.main(30)
