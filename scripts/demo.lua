-- SPDX-License-Identifier: MIT
-- demo.lua: thousands of connections open at once, each exchanging lines with the practice peer.
-- Each connection always has one line under way, so a latency contains the wait behind all others.
-- usage: tcpmulti-lua --peer echo scripts/demo.lua [CONNECTIONS [LINES]]     (10000 and 10)
--
--   10000 connections open at once
--     connecting   0.19 s: 51873 connections per second
--     exchanging   1.46 s: 68616 messages per second
--     latency      50 % 133.2 ms, 90 % 146.3 ms, 99 % 160.0 ms, longest 164.9 ms
--     memory       0.4 KiB per connection (resident, this process)
--     failed       nothing
local tcpmulti = require "tcpmulti"
local ffi = require "ffi"
ffi.cdef "int isatty(int fd);"

local peer, wanted, lines = tcpmulti.peer, tonumber(arg[1] or 10000), tonumber(arg[2] or 10)
if type(peer) ~= "table" or not (wanted and lines) or wanted < 1 or lines < 1 or arg[3] then
  io.stderr:write("usage: tcpmulti-lua --peer echo scripts/demo.lua [CONNECTIONS [LINES]]\n")
  os.exit(2)
end

local function resident() -- KiB
  collectgarbage()
  return tonumber(io.open("/proc/self/status"):read("*a"):match("VmRSS:%s*(%d+)"))
end

local open, most, latencies, failed, memory = 0, 0, {}, {}, resident()
local started, opened_at, begun, ended = tcpmulti.now(), 0, nil, 0

local function send_line(cheap)
  cheap.line, cheap.sent_at = ("%d: %d to go"):format(cheap:id(), cheap.to_go), tcpmulti.now()
  cheap:send(cheap.line)
end

local function tick(session)
  local now = session:stats()
  local left = now.waiting + now.connecting + now.open
  if ffi.C.isatty(2) == 1 then
    local progress = ("%d open, %d messages"):format(now.open, #latencies)
    io.stderr:write("\r\27[K", left > 0 and progress or "")
  end
  if not begun and now.connecting == 0 then -- all are open, or as many as the file limit allows
    memory, begun = (resident() - memory) / math.max(open, 1), tcpmulti.now()
    for _, cheap in session:connections() do if cheap.to_go then send_line(cheap) end end
  end
  if left > 0 then session:delay(tick, 0.1) end
end

local session = tcpmulti.create {
  on_success = function(cheap)
    cheap.to_go, open, opened_at, most = lines, open + 1, tcpmulti.now(), math.max(most, open + 1)
    if begun then send_line(cheap) end
  end,
  on_input = function(cheap, record)
    if record ~= cheap.line then return cheap:fail("the echo is not what was sent") end
    ended, cheap.to_go = tcpmulti.now(), cheap.to_go - 1
    latencies[#latencies + 1] = ended - cheap.sent_at
    if cheap.to_go > 0 then send_line(cheap) else cheap:shutdown() end
  end,
  on_disconnected = function(cheap, _, reason)
    if cheap.to_go then open = open - 1 end
    local what = reason .. " " .. (select(4, cheap:cause()) or "")
    if cheap:cause() then failed[what] = (failed[what] or 0) + 1 end
  end,
}
for i = 1, wanted do session:connect(peer.addrs[i % #peer.addrs + 1], peer.port) end
session:delay(tick, 0.1)
tcpmulti.run()

table.sort(latencies)
local function percentile(p) return 1000 * (latencies[math.ceil(#latencies * p / 100)] or 0) end
local function rate(n, from, to) return math.max(to - from, 0), n / math.max(to - from, 1e-6) end
print(("%d connections open at once"):format(most))
print(("  connecting   %.2f s: %d connections per second"):format(rate(most, started, opened_at)))
print(("  exchanging   %.2f s: %d messages per second"):format(rate(#latencies, begun or 0, ended)))
print(("  latency      50 %% %.1f ms, 90 %% %.1f ms, 99 %% %.1f ms, longest %.1f ms"):format(
  percentile(50), percentile(90), percentile(99), percentile(100)))
print(("  memory       %.1f KiB per connection (resident, this process)"):format(memory))
if not next(failed) then print("  failed       nothing") end
for what, count in pairs(failed) do print(("  failed       %d: %s"):format(count, what)) end
if next(failed) then os.exit(1) end
