-- SPDX-License-Identifier: MIT
-- Tasks in a process of their own: signals, standard input, luv beside.
local lu = require "luaunit"
local harness = require "scripts.harness"
local support = require "runner.support"
local await_output, expect = support.await_output, support.expect

local cases = harness.cases "Co"

local BEGIN = [[
  local tcpmulti, co = require "tcpmulti", require "tcpmulti.co"
  local try = co.try
  io.stdout:setvbuf "no"
  local session = tcpmulti.create {
    input_timeout = 0, shutdown_timeout = 30, filter = "line",
    on_disconnected = function(_, _, reason) print("disconnected", reason) end,
    inline_states = { _stop = function() print "_stop" end } }
]]

-- Starts a script with a practice peer of this mode.
local function start(mode, text)
  return support.start { "--peer", mode, "-e", BEGIN .. text }
end

-- ---- signals ----

function cases.Y94_sigint_cancels_waits_and_flushes_connections()
  local process = start("discard", [[
    print(co.run(session, function()
      local cheap = try(co.open(tcpmulti.peer.addr, tcpmulti.peer.port))
      co.spawn(function()
        local err = select(2, pcall(co.sleep, 60))
        print("child", err)
        error(err, 0)
      end)
      cheap:send(("x"):rep(100000))
      print "ready"
      cheap:receive()
    end))]])
  await_output(process, "ready")
  process.kill "sigint"
  harness.finish(process)
  expect(process, "sigint", nil, "")
  local output = process.output()
  lu.assertStrContains(output, "child\tcancelled: session is dying\n")
  lu.assertStrContains(output, "disconnected\tdie\n")
  lu.assertStrMatches(output, "ready\n.*_stop\nnil\tsession is dying\tECANCELED\n")
end

function cases.Y94_a_script_that_exits_behind_run_has_that_status()
  local process = start("discard", [[
    session:spawn(function() print "ready" co.sleep(60) end)
    tcpmulti.run()
    os.exit(130)]])
  await_output(process, "ready")
  process.kill "sigint"
  harness.finish(process)
  expect(process, 130, "ready\n_stop\n", "")
end

function cases.Y95_sigint_tells_tasks_before_the_flush_has_ended()
  local reading
  local port = harness.listen("127.0.0.1", nil, function(client) reading = client end)
  local process = support.start { "-e", BEGIN .. ([[
    co.run(session, function()
      local cheap = try(co.open("127.0.0.1", %d))
      cheap:output_filter "stream"
      cheap:send(("x"):rep(16000000))
      print "ready"
      local err = select(2, pcall(co.sleep, 60))
      print(err, cheap:phase(), cheap:queued() > 0)
      error(err, 0)
    end)]]):format(port) }
  await_output(process, "ready")
  process.kill "sigint"
  await_output(process, "cancelled: session is dying\tshutting\ttrue\n")
  lu.assertNotStrContains(process.output(), "disconnected")
  reading:read_start(function(_, bytes) if not bytes then reading:close() end end)
  harness.finish(process)
  expect(process, "sigint", nil, "")
  lu.assertStrContains(process.output(), "true\ndisconnected\tdie\n_stop\n")
end

function cases.Y96_a_script_that_watches_the_signal_says_goodbye()
  local process = start("echo", [[
    print(co.run(session, function()
      local main = co.current()
      session:sig("INT", function() main:cancel "interrupted" end)
      local cheap = try(co.open(tcpmulti.peer.addr, tcpmulti.peer.port))
      print "ready"
      local err = select(2, pcall(cheap.receive, cheap))
      session:sig("INT", nil)
      co.shield(5, function()
        cheap:send "QUIT"
        print("answer", cheap:receive())
      end)
      error(err, 0)
    end))]])
  await_output(process, "ready")
  process.kill "sigint"
  harness.finish(process)
  expect(process, 0, "ready\nanswer\tQUIT\ndisconnected\tshutdown\n_stop\n"
    .. "nil\tinterrupted\tECANCELED\n", "")
end

function cases.Y110_what_cannot_come_behind_a_signal_is_noticed_at_once()
  local process = start("discard", [[
    co.run(session, function()
      print "ready"
      co.signal "INT"
      co.queue(1, "jobs"):get()
    end)]])
  await_output(process, "ready")
  harness.wait(20)
  process.kill "sigint"
  harness.finish(process)
  expect(process, 1, "ready\n", "deadlock: task 'main' waits for queue:get 'jobs'")
end

function cases.Y110_a_signal_that_a_task_waits_for_ends_nothing()
  local process = start("discard", [[
    print(co.run(session, function()
      for _ = 1, 2 do
        print "ready"
        print(co.signal "INT")
      end
      print "behind"
      co.sleep(60)
    end))]])
  for count = 1, 2 do
    await_output(process, ("ready\nINT\n"):rep(count - 1) .. "ready\n")
    harness.wait(20) -- the print comes before the wait
    process.kill "sigint"
    await_output(process, ("ready\nINT\n"):rep(count))
  end
  await_output(process, "behind")
  harness.wait(100) -- an echo of the second one would do nothing
  process.kill "sigint" -- as of any watch that has ended, the next one ends the process
  harness.finish(process)
  expect(process, "sigint", "ready\nINT\nready\nINT\nbehind\n", "")
end

-- ---- standard input ----

local function run_lines(input, text)
  return support.run({ "-e", BEGIN .. text }, { stdin = input })
end

function cases.Y111_lines_up_to_the_end_of_input()
  local run = run_lines("one\ntwo\r\n\nlast", [[
    co.run(session, function()
      for line in co.lines() do print(#line, line) co.sleep(0.001) end
      print "end"
    end)]])
  expect(run, 0, "3\tone\n3\ttwo\n0\t\n4\tlast\nend\n_stop\n", "")
end

function cases.Y111_a_line_that_is_too_long_is_a_failure()
  local run = run_lines("short\n" .. ("x"):rep(200) .. "\n", [[
    print(co.run(session, co.protect(function()
      for line in co.lines(100) do print(line) end
    end)))]])
  expect(run, 0, nil, "")
  lu.assertStrMatches(run.output(), "short\n_?s?t?o?p?\n?nil\t.*\tETOOLONG.*")
end

function cases.Y111_a_million_lines_in_constant_memory()
  local path = support.script(BEGIN .. [[
    local function resident()
      return tonumber(io.open "/proc/self/statm":read "*a":match "^%d+ (%d+)") * 4
    end
    local count, sum, before, most = 0, 0, nil, 0
    co.run(session, function()
      for line in co.lines() do
        count, sum = count + 1, sum + tonumber(line)
        if count % 10000 == 0 then
          if count % 100000 == 0 then co.sleep(0.002) end
          before = before or resident()
          most = math.max(most, resident())
        end
      end
    end)
    print(count, sum, most - before)]])
  -- The address sanitizer would keep what was freed.
  local sanitized = io.open(support.runner, "rb"):read "*a":find("__asan_init", 1, true)
  local number = sanitized and 100000 or 1000000
  local command = 'seq ' .. number .. ' | ASAN_OPTIONS=$ASAN_OPTIONS:quarantine_size_mb=1 "$0" "$1"'
  local run = harness.run("sh", { "-c", command, support.runner, path })
  expect(run, 0, nil, "")
  local grown = run.output():match(("^_stop\n%d\t%d\t(%%d+)\n$"):format(number,
    number * (number + 1) / 2))
  lu.assertNotNil(grown, run.output())
  lu.assertTrue(tonumber(grown) < 16384, grown) -- KiB
end

-- ---- luv ----

function cases.Y112_callbacks_of_luv_wake_tasks()
  local run = support.chunk(BEGIN .. [[
    local uv = require "luv"
    co.run(session, function()
      local err, stat = co.await(function(done) uv.fs_stat("/", done) end)
      print(err, stat.type)
      local queue, one, timer = co.queue(1), co.spawn(co.sleep, 60), uv.new_timer()
      timer:start(5, 0, function()
        print("put", queue:put "from luv")
        print("put", queue:put "again")
        print("cancel", one:cancel "by luv")
      end)
      print(queue:get())
      print(one:join())
      print(queue:get(5))
      local stopped
      print(co.await(function(done)
        timer:start(60000, 0, done)
        return function() timer:stop() stopped = true end
      end, 0.01))
      timer:close()
      print(stopped)
    end)]])
  expect(run, 0, "nil\tdirectory\nput\ttrue\nput\ttrue\ncancel\ttrue\nfrom luv\n"
    .. "nil\tby luv\tECANCELED\nagain\nnil\tnothing for 0.01 s\tETIME\ntrue\n_stop\n", "")
end

harness.main(cases)
