-- SPDX-License-Identifier: MIT
-- max_per_address: so many sockets to one address, and what is seen of those who wait for one.

local lu = require "luaunit"
local support = require "behaviour.support"

local cases = support.cases "PerAddress"
local HOST = "127.0.0.1"

-- Counts the connections that are open; in the options of a session.
local function counting(options)
  local open = { now = 0, most = 0 }
  function options.on_success()
    open.now = open.now + 1
    open.most = math.max(open.most, open.now)
  end
  function options.on_disconnected(_, _, reason)
    if reason ~= "failure" then open.now = open.now - 1 end
  end
  return open, options
end

function cases.J31_fifty_names_of_one_address_never_more_than_four_sockets()
  local closer = support.peer "sleep 2; close"
  local open, options = counting { max_per_address = 4 }
  options.resolve = { ["*:" .. closer:port()] = HOST }
  local session, log = support.record(options)
  for i = 1, 50 do session:connect(("n%d.test"):format(i), closer:port()) end
  support.run()
  lu.assertEquals(open.most, 4)
  lu.assertEquals(log:count "disconnected eof", 50)
  log:check_grammar()
end

function cases.those_who_wait_are_in_the_phase_waiting_and_hold_up_nobody()
  local silent, closer = support.peer "count", support.peer("close", { address = "127.0.0.2" })
  local session, log
  session, log = support.record { max_per_address = 1, connect_timeout = 0.1, input_timeout = 0,
    on_success = function(cheap)
      if cheap.name ~= "holder" then return end
      support.after(0.3, function() cheap:shutdown() end)
    end }
  session:connect({ name = "holder" }, HOST, silent:port())
  local waiter = session:connect({ name = "waiter" }, HOST, silent:port())
  session:connect({ name = "other" }, "127.0.0.2", closer:port())
  support.after(0.2, function()
    lu.assertEquals(waiter:phase(), "waiting")
    lu.assertEquals(select(2, session:count()), 1)
    lu.assertEquals(log:list(), { "initialize", "initialize", "initialize", "success", "success",
      "error read EOF", "disconnected eof" })
    log:forget()
  end)
  support.when(function() return log:count "success" == 1 and log:count "disconnected" == 1 end,
    function() waiter:shutdown() end)
  support.run()
  lu.assertEquals(log:list(), { "disconnected shutdown", "success", "disconnected shutdown" })
end

function cases.the_wait_is_a_part_of_queue_and_of_no_other_step()
  local silent = support.peer "count"
  local queue, resolve, connect
  local session = support.session { max_per_address = 1, times = true,
    on_success = function(cheap)
      if cheap.is_holder then return support.after(0.3, function() cheap:shutdown() end) end
      queue, resolve, connect = cheap:times()
      cheap:shutdown()
    end }
  session:connect({ is_holder = true }, HOST, silent:port())
  session:connect(HOST, silent:port())
  support.run()
  support.at(queue, 0.3)
  support.within(resolve, 0, 0.1, "resolve")
  support.within(connect, 0, 0.1, "connect")
end

function cases.the_pull_form_goes_on_while_there_is_room_at_addresses()
  local closer = support.peer "sleep 1; close"
  local open, options = counting { max_per_address = 2, max_connections = 5 }
  local session = support.session(options)
  local asked, most = 0, 0
  session:connect(function()
    most = math.max(most, (session:count()))
    asked = asked + 1
    if asked <= 100 then return HOST, closer:port() end
  end)
  support.run()
  lu.assertEquals({ asked, open.most, open.now }, { 101, 2, 0 })
  support.within(most, 6, 9, "connections when asked")
end

support.main(cases)
