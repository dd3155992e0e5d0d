-- SPDX-License-Identifier: MIT
-- s:stdin: lines of pipes, files, terminals and what cannot be polled; its end, its limits, and how
-- it waits for places.
local lu = require "luaunit"
local harness = require "scripts.harness"
local support = require "runner.support"

local cases = harness.cases "Stdin"

local expect = support.expect

-- Runs a chunk under a shell that arranges its standard input.
local function shell(arrangement, text)
  local path = support.script(text)
  local command = arrangement:gsub("RUN", ("'%s' '%s'"):format(support.runner, path))
  return harness.run("sh", { "-c", command })
end

local print_lines = [[
  local tcpmulti = require "tcpmulti"
  tcpmulti.create { inline_states = {
    _start = function(s) print(s:stdin "line") end,
    line = function(s, line, message, errname)
      print(line and ("[%s]"):format(line), message, errname)
    end } }
]]

function cases.lines_of_a_pipe_the_last_one_without_its_end_then_nil()
  expect(shell("printf 'one\\r\\ntwo\\n\\nthree' | RUN", print_lines), 0,
    "true\n[one]\tnil\tnil\n[two]\tnil\tnil\n[]\tnil\tnil\n[three]\tnil\tnil\nnil\tnil\tnil\n", "")
end

function cases.lines_that_come_one_after_the_other()
  expect(shell("(echo one; sleep 0.05; printf tw; sleep 0.05; echo o) | RUN", print_lines), 0,
    "true\n[one]\tnil\tnil\n[two]\tnil\tnil\nnil\tnil\tnil\n", "")
end

function cases.a_file_also_where_somebody_has_read_its_beginning()
  local directory = harness.directory()
  harness.write_file(directory .. "/lines", "first\nsecond\nthird\n")
  expect(shell(("(read x; RUN) < '%s/lines'"):format(directory), print_lines), 0,
    "true\n[second]\tnil\tnil\n[third]\tnil\tnil\nnil\tnil\tnil\n", "")
end

function cases.what_cannot_be_polled_dev_null()
  expect(shell("RUN < /dev/null", print_lines), 0, "true\nnil\tnil\tnil\n", "")
end

function cases.a_directory_is_an_error_of_reading()
  expect(shell("RUN < /", print_lines), 0, "true\nnil\tIs a directory\tEISDIR\n", "")
end

function cases.a_terminal_keeps_its_mode()
  local script = support.script(print_lines .. "os.execute 'stty -a > /dev/null'\n")
  local run = harness.run("sh", { "-c", ("(sleep 0.2; echo typed; sleep 0.2; printf '\\004') | " ..
    "script -qec \"'%s' '%s'\" /dev/null"):format(support.runner, script) })
  lu.assertStrContains(run.output(), "[typed]")
end

-- The second line comes when RUN has ended, while the read of the shell waits.
function cases.a_pipe_stays_blocking_for_others()
  local command = ("(printf 'one\\n'; while [ ! -e '%s' ]; do sleep 0.01; done; sleep 0.1; " ..
    "printf 'two\\n') | (RUN; touch '%s'; read x; echo \"rest: $x\")"):gsub("%%s",
    harness.directory() .. "/done")
  expect(shell(command, [[
    local tcpmulti = require "tcpmulti"
    tcpmulti.create { inline_states = {
      _start = function(s) s:stdin "line" end,
      line = function(s, line)
        print(line)
        s:stdin(nil)
      end } }]]), 0, "one\nrest: two\n", "")
end

function cases.a_line_longer_than_the_limit_ends_it_with_etoolong()
  local text = [[
    local tcpmulti = require "tcpmulti"
    tcpmulti.create { inline_states = {
      _start = function(s) s:stdin("line", 5) end,
      line = function(_, line, ...) print(line, ...) end } }]]
  expect(shell("printf '12345\\r\\n123456\\nx\\n' | RUN", text), 0,
    "12345\nnil\tline too long\tETOOLONG\n", "")
  expect(shell("head -c 1000000 /dev/zero | RUN", text), 0, "nil\tline too long\tETOOLONG\n", "")
end

function cases.what_a_state_yields_runs_before_the_next_line()
  expect(shell("printf '1\\n2\\n3\\n' | RUN", [[
    local tcpmulti = require "tcpmulti"
    tcpmulti.create { inline_states = {
      _start = function(s) s:stdin "line" end,
      line = function(s, line)
        if not line then return end
        s:yield("later", line)
        io.write("line ", line, " ")
      end,
      later = function(s, line) io.write("later ", line, "\n") end } }]]), 0,
    "line 1 later 1\nline 2 later 2\nline 3 later 3\n", "")
end

function cases.nil_instead_of_a_state_ends_it_and_it_can_begin_again()
  expect(shell("printf '1\\n2\\n3\\n' | RUN", [[
    local tcpmulti = require "tcpmulti"
    tcpmulti.create { inline_states = {
      _start = function(s) s:stdin(function(session, line)
        print("first", line)
        session:stdin(nil)
        session:delay(function() print "still alive" end, 0.01)
      end) end } }]]), 0, "first\t1\nstill alive\n", "")
end

function cases.no_line_is_read_while_a_connect_of_the_session_waits()
  local address = harness.address()
  local port = harness.line_server(address, "welcome\r\n", function() return nil end)
  local run = shell("seq 1 50 | RUN", ([[
    local tcpmulti = require "tcpmulti"
    local highest, lines, done = 0, 0, 0
    tcpmulti.create {
      max_connections = 3,
      on_input = function(cheap) cheap:shutdown() end,
      on_disconnected = function() done = done + 1 end,
      inline_states = {
        _start = function(s) s:stdin "line" end,
        _stop = function() print(lines, done, highest) end,
        line = function(s, line)
          if not line then return end
          lines = lines + 1
          s:yield("connect", %q, %d)
          local live = s:count()
          highest = math.max(highest, live)
        end } }]]):format(address, port))
  expect(run, 0, nil, "")
  local lines, done, highest = run.output():match "(%d+)\t(%d+)\t(%d+)"
  lu.assertEquals(lines .. " " .. done, "50 50")
  assert(tonumber(highest) <= 4, "connections at once: " .. highest)
end

function cases.an_error_in_its_state_is_an_exception_of_the_session()
  expect(shell("printf '1\\n2\\n' | RUN", [[
    local tcpmulti = require "tcpmulti"
    tcpmulti.create {
      on_exception = function(_, message) print(message:match "bad line %d") end,
      inline_states = {
        _start = function(s) s:stdin "line" end,
        line = function(_, line) if line then error("bad line " .. line) end print "end" end } }]]),
    0, "bad line 1\nbad line 2\nend\n", "")
end

function cases.another_state_goes_on_with_what_was_read_of_a_pipe_and_of_a_file()
  local text = [[
    local tcpmulti = require "tcpmulti"
    tcpmulti.create { inline_states = {
      _start = function(s) s:stdin "header" end,
      header = function(s, line) print("header", line, s:stdin "body") end,
      body = function(_, line) print("body", line) end } }]]
  local expected = "header\th\ttrue\nbody\tb1\nbody\tb2\nbody\tnil\n"
  expect(shell("printf 'h\\nb1\\nb2\\n' | RUN", text), 0, expected, "")
  local path = harness.directory() .. "/lines"
  harness.write_file(path, "h\nb1\nb2\n")
  expect(shell(("RUN < '%s'"):format(path), text), 0, expected, "")
end

function cases.it_goes_on_behind_what_io_read_has_taken()
  local text = [[
    print("header", (io.read()))
    local tcpmulti = require "tcpmulti"
    tcpmulti.create { inline_states = {
      _start = function(s) s:stdin "body" end,
      body = function(_, line) print("body", line) end } }]]
  local expected = "header\th\nbody\tb1\nbody\tb2\nbody\tnil\n"
  expect(shell("printf 'h\\nb1\\nb2\\n' | RUN", text), 0, expected, "")
  local path = harness.directory() .. "/lines"
  harness.write_file(path, "h\nb1\nb2\n")
  expect(shell(("RUN < '%s'"):format(path), text), 0, expected, "")
end

function cases.a_file_is_left_where_it_has_ended_for_io_read_and_for_the_shell()
  local path = harness.directory() .. "/lines"
  harness.write_file(path, "h\nb1\nb2\n")
  expect(shell(("(RUN; read x; echo shell $x) < '%s'"):format(path), [[
    local tcpmulti = require "tcpmulti"
    tcpmulti.create { inline_states = {
      _start = function(s) s:stdin "line" end,
      line = function(s, line)
        s:stdin(nil)
        print(line)
        io.stdin:setvbuf "no"
        print(io.read())
      end } }]]), 0, "h\nb1\nshell b2\n", "")
end

-- Counts 20,000 lines that must come in order; at every hundredth runs a chunk, and goes on a
-- little later.
local function count_lines(stop)
  return ([[
    local tcpmulti = require "tcpmulti"
    local count, bad = 0, 0
    tcpmulti.create { inline_states = {
      _start = function(s) s:stdin "line" end,
      line = function(s, line)
        if not line then return print(count, bad) end
        count = count + 1
        if tonumber(line) ~= count then bad = bad + 1 end
        if count %% 100 ~= 0 then return end
        %s
        s:delay(function() s:stdin "line" end, 0.0001)
      end } }]]):format(stop)
end

for stop, what in pairs { ["nil"] = "nil ends it", ["false"] = "false holds it" } do
  cases[what .. ", and a later state goes on where it stopped"] = function()
    local text = count_lines(("s:stdin(%s)"):format(stop))
    expect(shell("seq 1 20000 | RUN", text), 0, "20000\t0\n", "")
  end
end

function cases.J79_while_it_is_held_the_pipe_fills_and_no_memory_does()
  expect(shell("seq 1 2000000 | RUN", [[
    local tcpmulti = require "tcpmulti"
    local function resident()
      return tonumber(io.open("/proc/self/statm"):read "*a":match "^%d+ (%d+)") * 4096
    end
    local before
    tcpmulti.create { inline_states = {
      _start = function(s) s:stdin "line" end,
      line = function(s, line)
        print(line, s:stdin(false))
        before = resident()
        s:delay("look", 0.3)
      end,
      look = function(s)
        print(resident() - before < 2 ^ 20, s:stdin(false))
        s:stdin "rest"
      end,
      rest = function(s, line) print(line) s:stdin(nil) end } }]]), 0,
    "1\ttrue\ntrue\ttrue\n2\n", "")
end

function cases.held_it_is_no_work_that_run_waits_for_and_only_who_reads_may_hold_it()
  expect(shell("(printf '1\\n2\\n'; sleep 0.2) | RUN", [[
    local tcpmulti = require "tcpmulti"
    tcpmulti.create { inline_states = {
      _start = function(s) print(s:stdin(false)) s:stdin "line" end,
      line = function(s, line) print(line) s:stdin(false) end,
      _stop = function() print "stop" end } }]]), 0,
    "nil\tthe session does not read standard input\tESRCH\n1\nstop\n", "")
end

function cases.another_session_goes_on_where_the_one_before_has_stopped()
  expect(shell("printf '1\\n2\\n3\\n' | RUN", [[
    local tcpmulti = require "tcpmulti"
    local second = tcpmulti.create { inline_states = {
      line = function(_, line) print("second", line) end } }
    tcpmulti.create { inline_states = {
      _start = function(s) s:stdin "line" end,
      line = function(s, line)
        print("first", line, second:stdin "line")
        s:die()
        second:stdin "line"
      end } }]]), 0,
    "first\t1\tnil\tanother session reads standard input\tEBUSY\n" ..
    "second\t2\nsecond\t3\nsecond\tnil\n", "")
end

function cases.states_set_many_times_in_a_turn_get_one_line_in_a_turn()
  expect(shell("printf '1\\n2\\n3\\n' | RUN", [[
    local tcpmulti = require "tcpmulti"
    tcpmulti.create { inline_states = {
      _start = function(s) for _ = 1, 5 do s:stdin(nil) s:stdin "line" end end,
      line = function(s, line)
        for _ = 1, 5 do s:stdin(line and "line" or nil) end
        if line then s:yield(function() io.write("behind ", line, "\n") end) end
        io.write("line ", tostring(line), "\n")
      end } }]]), 0, "line 1\nbehind 1\nline 2\nbehind 2\nline 3\nbehind 3\nline nil\n", "")
end

function cases.behind_the_end_and_behind_a_line_that_was_too_long_it_may_begin_again()
  expect(shell("printf '1\\n23456\\r\\n7\\n%1000000d\\n8\\n' 0 | RUN", [[
    local tcpmulti = require "tcpmulti"
    local ends = 0
    tcpmulti.create { inline_states = {
      _start = function(s) s:stdin("line", 4) end,
      line = function(s, line, _, errname)
        print(line, errname)
        if line then return end
        ends = ends + (errname and 0 or 1)
        if ends < 3 then s:stdin("line", 4) end
      end } }]]), 0,
    "1\tnil\nnil\tETOOLONG\n7\tnil\nnil\tETOOLONG\n8\tnil\nnil\tnil\nnil\tnil\nnil\tnil\n", "")
end

-- Prints each line, and whether O_NONBLOCK is set, as all see it who share descriptor 0.
local show_flags = [[
  local tcpmulti = require "tcpmulti"
  local function nonblocking()
    local flags = io.open "/proc/self/fdinfo/0":read "*a":match "flags:%s*(%d+)"
    return bit.band(tonumber(flags, 8), 2048) ~= 0
  end
  tcpmulti.create { inline_states = {
    _start = function(s) s:stdin "line" end,
    line = function(_, line, _, errname) print(line, errname, nonblocking()) end } }
]]

local function can_be_another()
  if harness.run("id", { "-u" }).output() ~= "0\n" then return false end
  local words = { "--reuid", "65534", "--clear-groups", "test", "-x", support.runner }
  return harness.run("setpriv", words).code == 0
end

local another = "setpriv --reuid 65534 --clear-groups RUN"
local sources = {
  ["a socket"] = { "RUN", "one\tnil\tfalse\nnil\tnil\tfalse\n" },
  ["a pipe"] = { "echo one | RUN", "one\tnil\tfalse\nnil\tnil\tfalse\n" },
  ["/dev/null"] = { "RUN < /dev/null", "nil\tnil\tfalse\n" },
  ["a file that can be polled"] = { "RUN < /proc/sys/kernel/ostype",
    "Linux\tnil\tfalse\nnil\tnil\tfalse\n" },
  ["/dev/zero"] = { "RUN < /dev/zero", "nil\tETOOLONG\tfalse\n" },
  ["a closed descriptor"] = { "RUN <&-", "nil\tnil\tfalse\n" },
  ["what can only be written"] = { "RUN 0> /dev/null", "nil\tEBADF\tfalse\n" },
  ["a pipe of another user"] = { "echo one | " .. another, "one\tnil\tfalse\nnil\tnil\tfalse\n",
    another = true },
  ["a terminal of another user"] = { "(sleep 0.2; echo one; sleep 0.2; printf '\\004') | " ..
    "script -qec \"stty -echo; " .. another .. "\" /dev/null | tr -d '\\r'",
    "one\tnil\tfalse\nnil\tnil\tfalse\n", another = true },
}
for what, source in pairs(sources) do
  cases["it is never made non-blocking for others: " .. what] = function()
    if source.another and not can_be_another() then return end
    local path = support.script(show_flags)
    harness.run("chmod", { "-R", "a+rX", path:match "^(.*)/" })
    local command = source[1]:gsub("RUN", ("'%s' '%s'"):format(support.runner, path))
    expect(harness.run("sh", { "-c", command }, { stdin = "one\n" }), 0, source[2], "")
  end
end

function cases.one_session_at_a_time_reads_it()
  expect(shell("printf 'a\\n' | RUN", [[
    local tcpmulti = require "tcpmulti"
    local other = tcpmulti.create { inline_states = {
      line = function(_, line) print("other", line) end } }
    tcpmulti.create { inline_states = {
      _start = function(s) print(s:stdin "line") end,
      line = function(s, line)
        print("first", line)
        print(other:stdin "line")
        s:stdin(nil)
        print(other:stdin "line")
      end } }]]),
    0, "true\nfirst\ta\nnil\tanother session reads standard input\tEBUSY\ntrue\nother\tnil\n", "")
end

function cases.die_ends_it()
  expect(shell("(sleep 0.3; echo line) | RUN", [[
    local tcpmulti = require "tcpmulti"
    tcpmulti.create { inline_states = {
      _start = function(s)
        s:stdin(function() print "never" end)
        s:delay(function() s:die() end, 0.02)
      end,
      _stop = function() print "stopped" end } }]]), 0, "stopped\n", "")
end

harness.main(cases, 60)
