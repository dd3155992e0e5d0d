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

for signal, code in pairs { sigint = 130, sigterm = 143 } do
  harness.case("the first " .. signal .. " shuts every session down", function()
    local process = start "tcpmulti.run() print 'behind run'"
    await_output(process, "ready")
    process.kill(signal)
    harness.finish(process)
    expect(process, code, "ready\ndisconnected\tdie\nstop\nbehind run\n", "")
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
    harness.equal(code, process.code, "exit status")
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
      expect(process, 143, "ready\ndisconnected\tdie\nstop\nbehind run\n", "")
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
  expect(run, 143)
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
  harness.equal(143, process.code, "exit status")
end)

harness.case("one signal ends a loop that never ends, after 5 seconds", function()
  local process = start "print 'busy' while true do end"
  await_output(process, "busy")
  process.kill "sigint"
  local seconds = time_to_end(process)
  assert(seconds > 4 and seconds < 8, seconds)
  harness.equal(130, process.code, "exit status")
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
  expect(process, 130, "ready\n", "interrupted")
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
  expect(process, 130, nil, "")
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

harness.case("the second one ends at once although a session watches", function()
  local process = start [[
    session:sig("INT", function() print "taken" end)
    tcpmulti.run()]]
  await_output(process, "ready")
  process.kill "sigint"
  await_output(process, "taken")
  process.kill "sigint"
  harness.finish(process)
  expect(process, 130, "ready\ntaken\n", "")
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
  expect(process, 143, "ready\ntaken\ndisconnected\tdie\nstop\n", "")
end)

harness.case("a signal that is not watched any more ends in order", function()
  local process = start [[
    session:sig("INT", function() print "taken" end)
    session:sig("INT", nil)
    tcpmulti.run()]]
  await_output(process, "ready")
  process.kill "sigint"
  harness.finish(process)
  expect(process, 130, "ready\ndisconnected\tdie\nstop\n", "")
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

harness.case("the practice peer outlives a signal of the terminal, so all end in order", function()
  local process = start "print('pid', io.open('/proc/self/stat'):read '*n') tcpmulti.run()"
  await_output(process, "ready")
  local pid = tonumber(process.output():match "pid\t(%d+)")
  harness.equal(process.pid, pid, "the script's process")
  local children = io.open(("/proc/%d/task/%d/children"):format(pid, pid)):read "*a"
  local peer = assert(tonumber(children:match "^(%d+)"), children)
  uv.kill(peer, "sigint")
  uv.kill(peer, "sigterm")
  process.kill "sigint"
  harness.finish(process)
  expect(process, 130, nil, "")
  harness.contains(process.output(), "disconnected\tdie")
end)

harness.main(30)
