-- SPDX-License-Identifier: MIT
-- Mistakes in calls of tcpmulti.co: each is told at the line of the script that has made it, and
-- changes nothing.

local co = require "tcpmulti.co"
local dialogue = require "behaviour.dialogue"
local lu = require "luaunit"
local support = require "behaviour.support"

local cases = support.cases "CoMistakes"
local HERE = "[^:]*test%-co%-mistakes%.lua:%d+: "

-- Asserts that f raises this text at a line of this file, for each of { text, f }.
local function check_lines(list)
  for _, each in ipairs(list) do
    local err = dialogue.raises(each[1], each[2])
    lu.assertStrMatches(err:match "^[^\n]*", HERE .. ".*")
  end
end

function cases.arguments_of_waits_on_connections()
  dialogue.run(function()
    local cheap = dialogue.open "echo"
    check_lines {
      { "receive: a whole number of bytes", function() cheap:receive(-1) end },
      { "receive: the time must be", function() cheap:receive(nil, "x") end },
      { "max_length", function() cheap:receive { "all", max_length = "x" } end },
      { "unknown filter 'nosuch'", function() cheap:receive "nosuch" end },
      { "expect: a pattern", function() cheap:expect() end },
      { "expect: a pattern", function() cheap:expect { "x", reject = 5 } end },
      { "expect: max_length", function() cheap:expect { "x", max_length = 0 } end },
      { "expect: the time must be", function() cheap:expect("x", "y") end },
      { "records: the time must be", function() cheap:records(nil, "x") end },
      { "unknown filter 'nosuch'", function() cheap:records "nosuch" end },
      { "unknown option 'x'", function() cheap:records { "line", x = 1 } end },
      { "records: a whole number", function() cheap:records(-1) end },
      { "records: max_length", function() cheap:records { "all", max_length = 0 } end },
      { "record 1 must be a string", function() cheap:write {} end },
      { "close: the time must be", function() cheap:close "x" end },
      { "receive: connection heap expected", function() cheap.receive "x" end },
      { "receive: connection heap expected", function() co.receive() end },
      { "expect: connection heap expected", function() cheap.expect "x" end },
      { "write: connection heap expected", function() cheap.write "x" end },
      { "records: connection heap expected", function() cheap.records() end },
      { "close: connection heap expected", function() cheap.close() end },
      { "adopt: connection heap expected", function() co.adopt(1) end },
      { "release: connection heap expected", function() co.release() end },
      { "starttls: connection heap expected", function() co.starttls {} end },
      { "starttls: the time must be", function() co.starttls(cheap, nil, "x") end },
    }
    cheap:send "one"
    lu.assertEquals(cheap:receive(nil, 5), "one")
  end)
end

function cases.a_pattern_that_is_none_and_records_that_are_no_strings()
  dialogue.run(function()
    local cheap = dialogue.open "echo"
    cheap:send "abc"
    check_lines { { "malformed pattern", function() cheap:expect "b[" end } }
  end)
  dialogue.run({ filter = "resp" }, function()
    local cheap = dialogue.open [[send ":1\r\n"; freeze]]
    check_lines { { "use functions", function() cheap:expect "1" end } }
  end)
end

function cases.arguments_of_tasks_and_of_what_they_wait_for()
  dialogue.run(function(session)
    check_lines {
      { "sleep: a number of seconds", function() co.sleep() end },
      { "deadline: a function", function() co.deadline(1) end },
      { "shield: a number of seconds", function() co.shield() end },
      { "spawn: a function", function() session:spawn() end },
      { "spawn: session expected", function() session.spawn(print) end },
      { "open: session expected", function() session.open("127.0.0.1", 9) end },
      { "all: a table of functions", function() co.all { 1 } end },
      { "each: how many at once", function() co.each({}, 0, print) end },
      { "retry: unknown option 'x'", function() co.retry({ x = 1 }, print) end },
      { "every: the time must be", function() co.every(0, print) end },
      { "semaphore: how many", function() co.semaphore "x" end },
      { "A whole number, 0 or more, expected, not 0.5", function() co.semaphore(0.5) end },
      { "put: nil cannot be put", function() co.queue():put(nil) end },
      { "await: a function", function() co.await(1) end },
      { "sig: unknown signal 'NOSUCH'", function() co.signal "NOSUCH" end },
      { "sig: the signal must be", function() co.signal() end },
      { "max_length must be", function() co.lines "x" end },
      { "run: not from inside", function() co.run(session, print) end },
      { "join: a task cannot wait for itself", function() co.current():join() end },
      { "cancel: a message expected", function() co.current():cancel {} end },
    }
    lu.assertEquals({ co.sleep(0) }, { true })
  end)
end

function cases.filters_and_options_of_open_that_are_not_known()
  dialogue.run(function(session)
    local target = { remote_address = dialogue.HOST, remote_port = 9, filter = "nosuch" }
    check_lines {
      { "connect: filter: unknown filter 'nosuch'", function() co.open(target) end },
      { "connect: filter: unknown filter 'nosuch'", function() session:open(target) end },
      { "connect: unknown option 'x'", function() co.open { x = 1 } end },
      { "connect: port must be", function() co.open(dialogue.HOST, 0) end },
      { "connect: address must be a string", function() session:open(print) end },
    }
    lu.assertEquals({ session:count() }, { 0, 0 })
  end)
end

function cases.waits_inside_of_a_c_function()
  dialogue.run(function()
    local cheap = dialogue.open "echo"
    local gate, full = co.semaphore(1), co.queue(1)
    full:put "one"
    local function inside(name, f)
      return { name .. ": cannot wait inside a C function", function()
        return (string.gsub("x", "x", f))
      end }
    end
    check_lines {
      inside("receive", function() cheap:receive() end),
      inside("records", function() for _ in cheap:records() do lu.fail "a record" end end),
      inside("write", function() cheap:write "x" end),
      inside("open", function() co.open(dialogue.HOST, 9) end),
      inside("get", function() co.queue():get() end),
      inside("put", function() full:put "two" end),
      inside("values", function() for _ in full:values() do lu.fail "a value" end end),
      inside("with", function() gate:with(lu.fail) end),
      inside("each", function() co.each({ 1 }, 1, lu.fail) end),
    }
    lu.assertEquals({ full:count(), gate:acquire(0) }, { 1, true })
    cheap:send "one"
    lu.assertEquals(cheap:receive(nil, 5), "one")
  end)
end

support.main(cases)
