-- SPDX-License-Identifier: MIT
-- Many connections over TLS, or much on one of them: a pause stops the peer, one that sends without
-- end leaves the others their turns, and idle connections take little memory.
local lu = require "luaunit"
local peer = require "peer"
local support = require "behaviour.support"
local tcpmulti = require "tcpmulti"

local cases = support.cases "Loads"
local MIB = 1048576

local function percentile(values, part)
  table.sort(values)
  return values[math.max(1, math.ceil(#values * part))]
end

-- The peer is a process of its own, so all memory is ours.
function cases.T55_a_pause_is_felt_by_the_peer_and_takes_no_memory()
  lu.skipIf(support.sanitized(), "memory says nothing in this build")
  local source = support.swarm("tls firehose", 1, 16)
  local before, later, got, held = nil, nil, 0, nil
  local session
  session = support.session {
    tls = { verify = false },
    filter = "stream",
    on_input = function(cheap, bytes)
      got = got + #bytes
      if not before and got > 100 * MIB then -- all buffers have been used
        before, held = peer.resident(), got
        cheap:pause()
        support.after(1, function()
          later = peer.resident()
          lu.assertEquals(got, held)
          cheap:resume()
        end)
      elseif before and got > held + 100 * MIB then
        cheap:reset()
      end
    end,
  }
  session:connect("127.0.0.1", source:port())
  support.run(60)
  lu.assertTrue(got > 200 * MIB)
  support.within(later - before, -math.huge, MIB, "bytes more")
end

-- The round trips of echoes over TLS, in seconds, for so many of them.
local function echo(servers, source, number, rounds)
  local trips, left, blaster = {}, number, nil
  local session
  local function ping(cheap)
    cheap.at = tcpmulti.now()
    cheap:send(("x"):rep(64))
  end
  local function go()
    for i = 1, number do session:connect("127.0.0." .. 1 + i % 4, servers:port()) end
  end
  session = support.session {
    tls = { verify = false },
    filter = "stream",
    on_success = function(cheap) cheap.rounds = 0 ping(cheap) end,
    on_input = function(cheap)
      trips[#trips + 1] = tcpmulti.now() - cheap.at
      cheap.rounds = cheap.rounds + 1
      if cheap.rounds < rounds then ping(cheap) else cheap:reset() end
    end,
    on_disconnected = function()
      left = left - 1
      if left == 0 and blaster then blaster:die() end
    end,
  }
  if source then
    blaster = support.session { tls = { verify = false }, filter = "stream",
      on_success = go, on_input = function() end }
    blaster:connect("127.0.0.1", source:port())
  else
    go()
  end
  support.run(60)
  lu.assertEquals({ left, #trips }, { 0, number * rounds })
  return percentile(trips, 0.99)
end

-- The two cores of a small machine are busy with three processes: the best of five tries counts.
function cases.T59_a_blaster_beside_echoes()
  local servers = support.swarm("tls echo", 4, 1024)
  local source = support.swarm("tls firehose", 1, 16)
  local number = support.sanitized() and 100 or 999
  local alone, beside, ratio
  for _ = 1, 5 do
    alone = echo(servers, nil, number, 20)
    beside = echo(servers, source, number, 20)
    ratio = beside / alone
    if ratio <= 2 then break end
  end
  print(("# %d echoes: p99 %.1f ms, beside a blaster %.1f ms"):format(number, alone * 1e3,
    beside * 1e3))
  support.within(ratio, 0, 2, "times as long")
end

-- Runs one of the clients of tests/bench/ against its server of TLS; gives the bytes that one of
-- its open and idle connections takes.
local function weigh(client, port, root)
  local number = 10000
  local pipe = assert(io.popen(("timeout 60 %s/tests/bench/%s work=idle port=%s connections=%d "
    .. "operations=%d window=1 timeouts=0 tls=%s"):format(os.getenv "TCPMULTI_BUILD", client, port,
    number, number, root)))
  local text = pipe:read "*a"
  pipe:close()
  lu.assertStrContains(text, '"errors":0')
  return tonumber(text:match '"memory_bytes":(%d+)') / number
end

-- The floor is a client of the benchmark on OpenSSL alone: the chain and all else are equal. The
-- buffers that an engine has once count too.
function cases.T63_idle_connections_take_what_OpenSSL_takes()
  lu.skipIf(support.sanitized(), "memory says nothing in this build")
  local root = os.tmpname()
  support.finally(function() os.remove(root) end)
  local server = assert(io.popen("exec setpriv --pdeathsig KILL -- "
    .. os.getenv "TCPMULTI_BUILD" .. "/tests/bench/bench-tls-server hold " .. root))
  local pid, port = server:read "*l":match "(%d+) (%d+)"
  support.finally(function() os.execute("kill " .. pid) server:close() end)
  local floor, ours
  for _ = 1, 5 do
    floor, ours = weigh("bench-tls-floor", port, root), weigh("bench-tcpmulti", port, root)
    if ours - floor <= 1024 then break end
  end
  print(("# an idle connection: %.0f bytes, the floor %.0f"):format(ours, floor))
  support.within(ours - floor, -math.huge, 1024, "bytes more")
end

support.main(cases)
