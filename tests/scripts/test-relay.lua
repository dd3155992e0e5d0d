-- SPDX-License-Identifier: MIT
-- relay.lua between two servers: all passes both ways, and a side that does not read holds back the
-- other one.
local lu = require "luaunit"
local harness = require "scripts.harness"
local uv = require "luv"

local cases = harness.cases "Relay"
local script = os.getenv "TCPM_SOURCE" .. "/scripts/relay.lua"
local MIB = 1048576

-- A server of one connection: says what it is told to, and FIN; keeps what it hears once reading is
-- on. Gives its port and the table of what is known about it.
local function side(address, text, reading)
  local seen = { heard = {} }
  local port = harness.listen(address, nil, function(client)
    seen.client = client
    client:write(text)
    client:shutdown(function() seen.sent = true end)
    function seen.read()
      client:read_start(function(_, bytes)
        seen.ended = not bytes
        seen.heard[#seen.heard + 1] = bytes
      end)
    end
    if reading then seen.read() end
  end)
  return address .. ":" .. port, seen
end

function cases.all_passes_both_ways_to_the_end_of_each()
  local address = harness.address()
  local long, short = ("0123456789"):rep(200000), "hello\n"
  local a, seen_a = side(address, long, true)
  local b, seen_b = side(address, short, true)
  local told = harness.script("relay.lua", { a, b })
  lu.assertEquals(told.errors(), "", "standard error")
  lu.assertEquals(told.code, 0, "exit status")
  lu.assertStrContains(told.output(), "2000000 bytes there, 6 bytes back, at most ")
  assert(table.concat(seen_b.heard) == long, "what one has sent, the other has got")
  lu.assertEquals(table.concat(seen_a.heard), short)
  assert(seen_a.ended and seen_b.ended)
end

function cases.a_side_that_does_not_read_holds_the_other_one_back()
  local address = harness.address()
  local a, seen_a = side(address, ("x"):rep(64 * MIB), true)
  local b, seen_b = side(address, "", false)
  local relay = harness.start(arg[1], { script, a, b })
  harness.wait_until(20, "both", function() return seen_a.client and seen_b.client end)
  local function still_to_send() return uv.stream_get_write_queue_size(seen_a.client) end
  local left
  repeat -- until nothing moves any more
    left = still_to_send()
    harness.wait(200)
  until left == still_to_send()
  assert(left > 32 * MIB, ("%d bytes are held back"):format(left))
  assert(not relay.done, relay.errors())
  seen_b.read()
  harness.finish(relay)
  lu.assertEquals(relay.code, 0, "exit status " .. relay.errors())
  local held = relay.output():match "^67108864 bytes there, 0 bytes back, at most (%d+) KiB held\n$"
  assert(tonumber(held) <= 512, relay.output())
  lu.assertEquals(#table.concat(seen_b.heard), 64 * MIB)
end

function cases.nobody_there_and_bad_arguments()
  local address = harness.address()
  local told = harness.script("relay.lua", { address .. ":9", address .. ":9" })
  lu.assertEquals(told.code, 1, "exit status")
  lu.assertStrContains(told.errors(), "relay.lua: connect: Connection refused\n")
  for _, words in ipairs { {}, { "a:1" }, { "a", "b" }, { "a:1", "b:1", "c:1" } } do
    told = harness.script("relay.lua", words)
    lu.assertEquals(told.code, 2, "exit status")
    lu.assertStrContains(told.errors(), "usage: ")
  end
end

harness.main(cases)
