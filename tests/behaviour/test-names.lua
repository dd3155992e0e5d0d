-- SPDX-License-Identifier: MIT
-- Names: lookups never block the loop, are covered by the connect timeout, can be cancelled, and a
-- name with several addresses is tried address by address. Each case runs in a network namespace of
-- its own, whose name server is a luv socket in the loop of the script under test.

local lu = require "luaunit"
local support = require "behaviour.support"

local cases = support.cases "Names"

-- What stands before each script: names[NAME] = { delay = ms, a = { … }, aaaa = { … }, code = n }.
local PRELUDE = [[
  local tcpmulti, peer, uv = require "tcpmulti", require "peer", require "luv"
  local names, timers, asked = {}, {}, {}
  local server = uv.new_udp()
  assert(server:bind("127.0.0.1", 53))

  local function question(query)
    local labels, at = {}, 13
    while query:byte(at) ~= 0 do
      labels[#labels + 1] = query:sub(at + 1, at + query:byte(at))
      at = at + query:byte(at) + 1
    end
    return table.concat(labels, "."), query:byte(at + 2), query:sub(13, at + 4)
  end

  local function answer(query)
    local name, kind, asked_for = question(query)
    local known = names[name] or { code = 3 }
    local records = {}
    for _, bytes in ipairs((kind == 1 and known.a or kind == 28 and known.aaaa) or {}) do
      records[#records + 1] = "\192\12\0" .. string.char(kind) .. "\0\1\0\0\0\60\0" ..
        string.char(#bytes) .. bytes
    end
    return known.delay or 0, query:sub(1, 2) .. "\129" .. string.char(128 + (known.code or 0)) ..
      "\0\1\0" .. string.char(#records) .. "\0\0\0\0" .. asked_for .. table.concat(records)
  end

  server:recv_start(function(_, query, from)
    if not query then return end
    local delay, reply = answer(query)
    local timer = uv.new_timer()
    timers[timer] = true
    asked[#asked + 1] = question(query)
    timer:start(delay, 0, function()
      timers[timer] = nil
      timer:close()
      if not server:is_closing() then server:send(reply, from.ip, from.port) end
    end)
  end)

  local function finish()
    for timer in pairs(timers) do timer:stop() timer:close() end
    if not server:is_closing() then server:close() end
  end

  local start = tcpmulti.now()
  local function say(...) print(...) end
  local function passed() return math.floor((tcpmulti.now() - start) * 10) / 10 end
]]

local function run_child(script)
  local output, status = support.child(support.namespace(true), PRELUDE .. script)
  lu.skipIf(output:find "unshare failed", "no network namespaces here")
  lu.assertEquals(status, 0, output)
  return output
end

function cases.a_name_is_looked_up_and_its_address_reported()
  lu.assertEquals(run_child [[
    local closer = peer.start("close", { address = "127.0.0.9" })
    names["good.test"] = { a = { "\127\0\0\9" } }
    local s = tcpmulti.create {
      on_success = function(cheap, _, addr) say(addr, cheap:addr(), (cheap:peer())) finish() end,
      on_disconnected = function(_, _, reason) say(reason) end,
    }
    s:connect("good.test", closer:port())
    tcpmulti.run()
    closer:stop()
  ]], "127.0.0.9\tgood.test\t127.0.0.9\neof\n")
end

function cases.the_next_address_is_tried_when_one_refuses()
  lu.assertEquals(run_child [[
    local closer = peer.start("close", { address = "127.0.0.3" })
    names["many.test"] = { a = { "\127\0\0\1", "\127\0\0\2", "\127\0\0\3" } }
    local s = tcpmulti.create {
      on_success = function(_, _, addr) say(addr) end,
      on_failure = function(_, _, _, _, _, errname) say(errname) end,
      on_disconnected = function(_, _, reason) say(reason) finish() end,
    }
    s:connect("many.test", closer:port())
    tcpmulti.run()
    closer:stop()
  ]], "127.0.0.3\neof\n")
end

function cases.a_dead_ipv6_address_does_not_hide_a_good_ipv4_one()
  lu.assertEquals(run_child [[
    local closer = peer.start "close"
    names["both.test"] = { a = { "\127\0\0\1" }, aaaa = { ("\0"):rep(15) .. "\1" } }
    local s = tcpmulti.create {
      on_success = function(_, _, addr) say(addr) end,
      on_failure = function(_, _, _, _, _, errname) say(errname) end,
      on_disconnected = function(_, _, reason) say(reason) finish() end,
    }
    s:connect("both.test", closer:port())
    tcpmulti.run()
    closer:stop()
  ]], "127.0.0.1\neof\n")
end

function cases.when_all_addresses_fail_there_is_one_failure()
  lu.assertEquals(run_child [[
    local refused = peer.start("", { refuse = true })
    names["dead.test"] = { a = { "\127\0\0\1", "\127\0\0\2", "\127\0\0\3" } }
    local s = tcpmulti.create {
      on_failure = function(_, op, _, _, _, errname) say(op, errname) end,
      on_disconnected = function(_, _, reason) say(reason) finish() end,
    }
    s:connect("dead.test", refused:port())
    tcpmulti.run()
    refused:stop()
  ]], "connect\tECONNREFUSED\nfailure\n")
end

function cases.the_connect_timeout_covers_the_lookup()
  lu.assertEquals(run_child [[
    names["slow.test"] = { a = { "\127\0\0\1" }, delay = 900 }
    local s = tcpmulti.create {
      connect_timeout = 0.3,
      on_success = function() say "success" end,
      on_timeout = function(_, _, timer) say(timer, passed() >= 0.3 and passed() <= 0.8) end,
      on_disconnected = function(_, _, reason) say(reason) end,
    }
    s:connect("slow.test", 80)
    local t = tcpmulti.create { inline_states = { over = finish } }
    t:delay_set("over", 1.2)
    tcpmulti.run()
  ]], "connect\ttrue\ntimeout\n")
end

function cases.a_shutdown_during_the_lookup_is_at_once_and_the_answer_is_dropped()
  lu.assertEquals(run_child [[
    names["slow.test"] = { a = { "\127\0\0\1" }, delay = 700 }
    local closer = peer.start "close"
    local first
    local s = tcpmulti.create {
      on_success = function() say "success" end,
      on_failure = function() say "failure" end,
      on_disconnected = function(_, _, reason) say(reason, passed() <= 0.4) end,
    }
    s:connect("slow.test", closer:port())
    local t = tcpmulti.create {
      inline_states = {
        cancel = function() for _, cheap in s:connections() do cheap:shutdown() end end,
        over = finish,
      },
    }
    t:delay_set("cancel", 0.2)
    t:delay_set("over", 1.2)
    tcpmulti.run()
    say(closer:report().accepted)
    closer:stop()
  ]], "shutdown\ttrue\n0\n")
end

function cases.a_server_that_cannot_answer_is_another_error_than_an_unknown_name()
  local output = run_child [[
    names["broken.test"] = { code = 2 }
    local left = 2
    local s = tcpmulti.create {
      on_failure = function(cheap, op, _, _, _, errname) say(cheap:addr(), op, errname) end,
      on_disconnected = function()
        left = left - 1
        if left == 0 then finish() end
      end,
    }
    s:connect("broken.test", 80)
    s:connect("unknown.test", 80)
    tcpmulti.run()
  ]]
  lu.assertStrContains(output, "unknown.test\tresolve\tENOTFOUND\n")
  lu.assertStrContains(output, "broken.test\tresolve\tE")
  lu.assertNotStrContains(output, "broken.test\tresolve\tENOTFOUND")
end

function cases.numbers_are_not_looked_up_and_do_not_wait_for_lookups()
  lu.assertEquals(run_child [[
    local closer = peer.start "close"
    for i = 1, 8 do names["slow" .. i .. ".test"] = { a = { "\127\0\0\1" }, delay = 400 } end
    local ended = 0
    local s = tcpmulti.create {
      on_disconnected = function(cheap, _, reason)
        ended = ended + 1
        if cheap:addr():find "^%d" or cheap:addr():find ":" then
          say(cheap:addr(), reason, passed() <= 0.2)
        end
        if ended == 10 then finish() end
      end,
    }
    for i = 1, 8 do s:connect("slow" .. i .. ".test", closer:port()) end
    s:connect("127.0.0.1", closer:port())
    s:connect("::1", closer:port())
    tcpmulti.run()
    for _, name in ipairs(asked) do assert(name:find "^slow", name) end
    closer:stop()
  ]]:gsub("::1\tfailure\ttrue\n", ""), "127.0.0.1\teof\ttrue\n")
end

function cases.sends_before_the_lookup_has_ended_arrive()
  lu.assertEquals(run_child [[
    local sink = peer.start "recv all"
    names["late.test"] = { a = { "\127\0\0\1" }, delay = 200 }
    local s = tcpmulti.create {
      on_success = function(cheap) cheap:shutdown() finish() end,
      on_disconnected = function(_, _, reason) say(reason) end,
    }
    local cheap = s:connect("late.test", sink:port())
    say(cheap:send "early")
    tcpmulti.run()
    assert(sink:ended(1))
    say((sink:connection(1).content:gsub("\r\n", "|")))
    sink:stop()
  ]], "true\nshutdown\nearly|\n")
end

support.main(cases)
