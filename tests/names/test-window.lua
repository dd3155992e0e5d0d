-- SPDX-License-Identifier: MIT
-- Names by the hundred and by the ten thousand: how many are asked for at once, what becomes of
-- those that a busy name server drops, what a name costs, and what strangers on the wire see.
local lu = require "luaunit"
local peer = require "peer"
local support = require "names.support"
local tcpmulti = require "tcpmulti"
local uv = require "luv"

local cases = support.cases "Window"
local server = support.server()

local function names_of(number, ...)
  local names = {}
  for i = 1, number do names[i] = support.name(...) end
  return names
end

---------------------------------------------------------------- many at once

-- Two of the twenty may be slow for another reason: this machine has more to do.
function cases.N37_500_names_of_a_second_and_numbers_beside_them()
  local port = support.swarm("close", 1, 1024):port()
  local waits = {}
  local beside = support.session {
    on_success = function(cheap)
      waits[#waits + 1] = tcpmulti.now() - cheap.began
      cheap:reset()
    end,
  }
  for i = 1, 20 do
    support.after(i * 0.04, function()
      beside:connect({ began = tcpmulti.now() }, "127.0.0.1", port)
    end)
  end
  local names = names_of(500, "a-1", "delay-1000")
  local log, took = support.look(names, { short = true }, { port = port })
  support.all_reached(log, 500)
  support.within(took, 1, support.limit(3), "seconds for all")
  lu.assertEquals(#waits, 20)
  table.sort(waits)
  support.within(waits[18], 0, support.limit(0.05), "seconds of a number")
end

-- Whether somebody is bound to this address and port by UDP.
local function is_bound(address, port)
  local a, b, c, d = address:match "(%d+)%.(%d+)%.(%d+)%.(%d+)"
  local place = ("%02X%02X%02X%02X:%04X"):format(d, c, b, a, port)
  local file = assert(io.open "/proc/net/udp")
  local text = file:read "*a"
  file:close()
  return text:find(place, 1, true) ~= nil
end

-- Starts Debian's dnsmasq at 127.0.0.53, as it is by default, but that it reads none of this
-- machine's files and asks our name server at 127.0.0.1. It ends with the case, and with this
-- process.
local function start_dnsmasq()
  local process, pid = uv.spawn("setpriv", {
    args = {
      "--pdeathsig", "KILL", "--", "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null",
      "--no-resolv", "--no-hosts", "--server=127.0.0.1", "--listen-address=127.0.0.53",
      "--bind-interfaces", "--user=root", "--pid-file=", "--log-facility=/dev/null",
    },
  }, function() end)
  lu.assertNotNil(process, pid)
  process:unref()
  support.finally(function()
    process:kill "sigkill"
    process:close()
  end)
  for _ = 1, 200 do -- few readings: for each the kernel walks a large table
    if is_bound("127.0.0.53", 53) then return end
    peer.block(0.05)
  end
  lu.fail "dnsmasq does not listen"
end

local function through_dnsmasq(number, delay, limit)
  start_dnsmasq()
  support.dns { servers = { "127.0.0.53" } }
  local port = support.swarm("close", 1, 1024):port()
  local names = names_of(number, "a-1", "delay-" .. delay)
  local log, took = support.look(names, { short = true, connect_timeout = 0 },
    { port = port, seconds = limit })
  support.all_reached(log, number)
  return took
end

function cases.N38_500_names_of_a_second_through_dnsmasq()
  support.within(through_dnsmasq(500, 1000, 60), 3, 30, "seconds for all")
end

function cases.N38_2000_names_of_20_ms_through_dnsmasq()
  through_dnsmasq(2000, 20, 60)
end

---------------------------------------------------------------- what a name costs

-- Connects to 20,000 hosts, of which 1,000 at a time wait for their turn: seconds, and CPU seconds
-- of this thread. The address of number i is of(i).
local function measure(of)
  local port = support.swarm("close", 1, 4096):port()
  local total, begun, done, good = 20000, 0, 0, 0
  local session
  local function go_on()
    begun = begun + 1
    if begun <= total then session:connect(of(begun), port) end
  end
  session = support.session {
    input_timeout = 10,
    on_success = function(cheap) good = good + 1 cheap:reset() end,
    on_disconnected = function() done = done + 1 go_on() end,
  }
  local cpu = peer.cpu()
  for _ = 1, 1000 do go_on() end
  local took = support.run(60)
  lu.assertEquals({ good, done }, { total, total })
  return took, peer.cpu() - cpu
end

-- On a machine that is busy all takes longer: there the names may take three times the time that as
-- many numbers take, and a name twice the CPU of a connect to a number.
function cases.N39_20000_names()
  lu.skipIf(support.sanitized(), "times say nothing in this build")
  local took, cost, most_s, most_us
  for round = 1, 3 do
    local base, number = measure(function() return "127.0.0.1" end)
    local seconds, name = measure(function(i) return ("a-1.r%d.n%d.test"):format(round, i) end)
    took, most_s = seconds, math.max(2, 3 * base)
    cost, most_us = (name - number) / 20000 * 1e6, math.max(25, number / 20000 * 2e6)
    if took < most_s and cost < most_us then break end
  end
  print(("# 20,000 names in %.2f s, %.1f us of CPU each beyond the connect"):format(took, cost))
  support.within(took, 0, most_s, "seconds")
  support.within(cost, 0, most_us, "microseconds")
end

---------------------------------------------------------------- strangers on the wire

-- How late each alarm of every 5 ms is while a name is looked up, sorted.
local function lateness_during(name)
  local late, over = {}, false
  local ticker
  ticker = support.session {
    inline_states = {
      tick = function(s)
        late[#late + 1] = tcpmulti.now() - s.heap.due
        s.heap.due = tcpmulti.now() + 0.005
        if not over then s:delay_set("tick", 0.005) end
      end,
    },
    heap = { due = tcpmulti.now() + 0.005 },
  }
  ticker:delay_set("tick", 0.005)
  local session, log = support.record { on_disconnected = function() over = true end }
  session:connect(name, support.peer("close"):port())
  support.run(30)
  table.sort(late)
  return late, log
end

-- One alarm in ten may be late for another reason: this machine has more to do.
function cases.N61_100000_junk_datagrams_hold_up_nobody()
  support.dns { timeout = 10, tries = 1 }
  local late, log = lateness_during(support.name("junk-25000", "badid-25000", "a-1", "delay-1000"))
  support.reached(log, "127.0.0.1")
  lu.assertTrue(#late > 10, #late)
  support.within(late[math.ceil(#late * 0.9)], 0, support.sanitized() and 0.03 or 0.01,
    "seconds late")
end

-- Ids in order would differ by one from each to the next; so would those of a constant step.
local function repeated_steps(asked)
  local steps, most = {}, 0
  for i = 2, #asked do
    local step = (asked[i].id - asked[i - 1].id) % 65536
    steps[step] = (steps[step] or 0) + 1
    most = math.max(most, steps[step])
  end
  return most
end

function cases.N62_ports_and_ids_cannot_be_guessed()
  server:forget()
  local names = names_of(10000, "nx")
  local log = support.look(names, { short = true }, { port = 1, seconds = 60 })
  lu.assertEquals(log:count "failure resolve ENOTFOUND", 10000)
  local asked, ports, ids = server:asked(), {}, {}
  local different, used = 0, 0
  for _, one in ipairs(asked) do
    if not ports[one.port] then different = different + 1 end
    if not ids[one.id] then used = used + 1 end
    ports[one.port], ids[one.id] = true, true
  end
  lu.assertTrue(#asked >= 20000, #asked)
  lu.assertTrue(different >= 3, different)
  lu.assertTrue(used > 10000, used)
  lu.assertTrue(repeated_steps(asked) < 20, "the most frequent step of ids")
end

support.main(cases)
