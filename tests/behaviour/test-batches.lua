-- SPDX-License-Identifier: MIT
-- The event batch: behind the records that one read has brought.
local lu = require "luaunit"
local support = require "behaviour.support"
local tcpmulti = require "tcpmulti"

local cases = support.cases "Batches"
local HOST = "127.0.0.1"

-- Connects a session whose handlers write to the list, and gives the list as a text. handlers: to
-- be called besides.
local function run(program, options)
  local list = {}
  local input, batch = options.on_input, options.on_batch
  function options.on_input(cheap, record)
    list[#list + 1] = record
    if input then return input(cheap, record) end
  end
  function options.on_batch(cheap, id)
    lu.assertEquals(id, cheap:id())
    list[#list + 1] = "|"
    if batch then return batch(cheap) end
  end
  local session = support.session(options)
  session:connect(HOST, support.peer(program):port())
  support.run()
  return table.concat(list, " ")
end

function cases.one_batch_comes_behind_the_records_of_each_read()
  local text = run('send "a\\nb\\nc\\nd"; recv line; send "\\ne\\n"; close', {
    on_batch = function(cheap)
      if not cheap.has_sent then cheap:send "go" end
      cheap.has_sent = true
    end,
  })
  lu.assertEquals(text, "a b c | d e |")
end

function cases.answers_of_a_batch_leave_in_one_piece()
  local count, answer = 0, nil
  run('send "a\\nb\\nc\\n"; recv line; recv line; recv line; send "ok\\n"; recv all', {
    on_input = function(cheap, line)
      count = count + 1
      if line == "ok" then answer = line return cheap:shutdown() end
    end,
    on_batch = function(cheap)
      if count == 3 then lu.assertTrue(cheap:send("x", "y", "z")) end
    end,
  })
  lu.assertEquals(answer, "ok")
end

function cases.a_batch_comes_behind_each_record_of_a_filter_in_lua()
  local filter = tcpmulti.filters.map { get = function(line) return line .. line end,
    put = function(line) return line end }
  lu.assertEquals(run('send "a\\nb\\n"; close', { filter = { "stack", "line", filter } }),
    "aa | bb |")
end

function cases.a_pause_ends_a_batch()
  lu.assertEquals(run('send "a\\nb\\nc\\n"; close', {
    on_input = function(cheap, line)
      if line ~= "b" then return end
      cheap:pause()
      cheap:delay(function() cheap:resume() end, 0.01)
    end,
  }), "a b | c |")
end

function cases.a_handler_that_ends_the_connection_ends_the_batch()
  for _, ending in ipairs { "shutdown", "reset", "fail" } do
    lu.assertEquals(run('send "a\\nb\\nc\\n"; recv all', {
      on_input = function(cheap, line)
        if line == "b" then cheap[ending](cheap, ending == "fail" and "enough" or nil) end
      end,
    }), "a b |", ending)
  end
end

function cases.no_batch_comes_behind_an_error_of_a_handler()
  local messages = {}
  lu.assertEquals(run('send "a\\nb\\nc\\n"; recv all', {
    on_input = function(_, line) if line == "b" then error "wrong" end end,
    on_exception = function(_, message) messages[#messages + 1] = message:match "wrong" end,
  }), "a b")
  lu.assertEquals(messages, { "wrong" })
end

function cases.an_error_in_a_batch_resets_that_connection()
  local message, reason
  lu.assertEquals(run('send "a\\nb\\n"; recv all', {
    on_batch = function() error "in a batch" end,
    on_exception = function(_, text) message = text end,
    on_disconnected = function(_, _, text) reason = text end,
  }), "a b |")
  lu.assertStrContains(message, "in a batch")
  lu.assertEquals(reason, "error")
end

function cases.a_connection_may_have_a_batch_of_its_own()
  local own, common = 0, 0
  local session = support.session {
    on_input = function() end,
    on_batch = function() common = common + 1 end,
  }
  local port = support.peer('send "a\\nb\\n"; close'):port()
  session:connect { remote_address = HOST, remote_port = port,
    on_batch = function() own = own + 1 end }
  session:connect(HOST, support.peer('send "a\\nb\\n"; close'):port())
  support.run()
  lu.assertEquals({ own, common }, { 1, 1 })
end

support.main(cases)
