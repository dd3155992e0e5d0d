-- SPDX-License-Identifier: MIT
-- Jobs whose targets are asked by tasks, one dialogue each.
local co = require "tcpmulti.co"
local lu = require "luaunit"
local support = require "behaviour.support"
local whole = require "jobs.whole"

local cases = support.cases "JobTasks"

local SMTP = 'send "220 ready\\r\\n"; recv line; send "250-a\\r\\n250 b\\r\\n"; recv all'

function cases.what_a_task_returns_are_the_data()
  local record, result = whole.one({
    filter = "reply",
    each = function(cheap, target)
      local greeting = co.try(cheap:expect "^220 (.*)")
      cheap:send "EHLO probe.example"
      return { greeting = greeting, features = co.try(cheap:expect "^250.*"), port = target.port }
    end,
  }, whole.target(SMTP))
  lu.assertEquals(result.status, 0)
  lu.assertEquals({ record.ok, record["end"], record.data.greeting, record.data.features },
    { true, "shutdown", "ready", "250-a\n250 b" })
  lu.assertEquals(record.data.port, record.port)
  lu.assertTrue(record.us.first_byte >= 0)
end

function cases.several_values_are_a_list()
  local record = whole.one({ each = function() return "a", nil, 3 end }, whole.target "recv all")
  lu.assertEquals({ record.data[1], record.data[3], #record.data }, { "a", 3, 3 })
end

function cases.no_value_is_no_data()
  local record = whole.one({ each = function() end }, whole.target "recv all")
  lu.assertEquals({ record.ok, record.data }, { true, nil })
end

for _, row in ipairs {
  { "a failure of expect", 'send "554 no\\r\\n"; recv all', function(cheap)
    co.try(cheap:expect { "^220", reject = "^5" })
  end, "error", "fail", "EREJECTED" },
  { "nil and a message", "recv all", function() return nil, "nothing there", "ENOENT" end, "error",
    "fail", "ENOENT" },
  { "the end by the peer", "close", function(cheap) co.try(cheap:receive()) end, "eof", "read",
    "EOF" },
  { "a reset by the peer", 'send "x"; rst', function(cheap)
    co.try(cheap:receive "all")
  end, "error", "read", "ECONNRESET" },
  { "the total timeout", "freeze", function(cheap) co.try(cheap:receive()) end, "timeout", nil,
    "ETIMEDOUT" },
} do
  local name, program, each, word, op, errname = unpack(row, 1, 6)
  cases[name .. " is the error of the target"] = function()
    local record, result = whole.one({ filter = "line", each = each }, "--total-timeout", "300ms",
      whole.target(program))
    lu.assertEquals({ record.ok, record["end"], record.error.name }, { false, word, errname })
    if op then lu.assertEquals(record.error.op, op) end
    lu.assertEquals(result.status, 0)
  end
end

function cases.a_connect_that_fails_has_no_task()
  local called = false
  local record = whole.one({ each = function() called = true end },
    whole.target("", { refuse = true }))
  lu.assertEquals({ record.ok, record["end"], record.error.op, called },
    { false, "failure", "connect", false })
end

function cases.J46_an_error_in_a_task_is_that_of_its_target_alone()
  local swarm = support.swarm("greet", 8)
  local result = whole.run({
    each = function(cheap, target)
      if target.host == "127.0.0.3" then error "a fault" end
      return { co.try(cheap:receive()) }
    end,
  }, "127.0.0.1-8:" .. swarm:port())
  lu.assertEquals({ result.status, #result.records, result.figures.ok }, { 1, 8, 7 })
  local record = result.by_host["127.0.0.3"]
  lu.assertEquals({ record.ok, record["end"], record.error.op, record.error.name },
    { false, "error", "script", "ESCRIPT" })
  lu.assertStrContains(result.errors, "test-job-tasks.lua:")
  lu.assertStrContains(result.errors, "stack traceback")
end

function cases.a_task_may_go_on_behind_its_connection()
  local record = whole.one({
    filter = "line",
    each = function(cheap)
      local line = co.try(cheap:receive())
      cheap:close()
      co.sleep(0.1)
      return { line = line }
    end,
  }, whole.target 'send "hi\\n"; recv all')
  lu.assertEquals({ record.ok, record.data.line }, { true, "hi" })
end

function cases.J36_a_target_that_floods_a_task_is_cut_off()
  local swarm = support.swarm("firehose", 1)
  local record = whole.one({
    each = function(cheap)
      while true do co.try(cheap:receive()) end
    end,
  }, "--max-bytes", "1M", "127.0.0.1:" .. swarm:port())
  lu.assertEquals({ record.ok, record.error.op, record.error.name }, { false, "fail", "EMSGSIZE" })
end

function cases.connections_of_the_script_have_no_line()
  local swarm = support.swarm("greet", 2)
  local port = swarm:port()
  local result = whole.run({
    each = function()
      return { co.try(co.try(co.open("127.0.0.2", port)):receive()) }
    end,
  }, "127.0.0.1:" .. port)
  lu.assertEquals({ #result.records, result.records[1].data[1] }, { 1, "hello\r\n" })
end

function cases.many_tasks_at_once()
  local swarm = support.swarm("echo", 32)
  local result = whole.run({
    filter = "line",
    each = function(cheap, target)
      cheap:send(target.host)
      return { echo = co.try(cheap:receive()) }
    end,
  }, "-c", "100", "127.0.0.1-32:" .. swarm:port(), unpack(whole.unlimited))
  lu.assertEquals(#result.records, 32)
  for _, record in ipairs(result.records) do lu.assertEquals(record.data.echo, record.host) end
end

function cases.handlers_beside_a_task_are_refused()
  lu.assertErrorMsgContains("'each' and 'on_input' exclude each other", whole.run,
    { each = function() end, on_input = function() end }, "127.0.0.1:1")
end

support.main(cases)
