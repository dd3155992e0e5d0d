-- SPDX-License-Identifier: MIT
-- http_load.lua: requests to a web server at a steady rate, over connections that are kept. A
-- latency counts from the time at which the request was due, so waiting for a connection is in it.
--
-- usage: tcpmulti-lua scripts/http_load.lua HOST:PORT[/PATH] [RATE [SECONDS [CONNECTIONS]]]
--        Default: 100 requests a second, 5 seconds, 10 connections.
--
--   500 requests in 5.00 s, 0.3 MB
--   500 x 200
--   latency      50 % 0.3 ms, 90 % 0.4 ms, 99 % 0.9 ms, longest 1.4 ms
local tcpmulti, co = require "tcpmulti", require "tcpmulti.co"
local now, try = tcpmulti.now, co.try

local target, path = (arg[1] or ""):match("^([^/]*)(.*)$")
local host, port = target:match("^%[?(.-)%]?:(%d+)$")
local rate, seconds, width = tonumber(arg[2] or 100), tonumber(arg[3] or 5), tonumber(arg[4] or 10)
if not (host and rate and seconds and width) or arg[5] then
  io.stderr:write("usage: http_load.lua HOST:PORT[/PATH] [RATE [SECONDS [CONNECTIONS]]]\n")
  os.exit(2)
end

local due, latencies, counts, bytes, started = co.queue(), {}, {}, 0, now()

local function request(cheap)
  cheap = cheap or try(co.open(host, port))
  cheap:send { path = path ~= "" and path or "/", headers = { Host = host .. ":" .. port } }
  return try(cheap:receive()), cheap
end

local function work()
  local reply, cheap
  for intended in due:values() do
    reply, cheap = co.protect(request)(cheap)
    local word = reply and tostring(reply.status) or cheap -- the message of a failure
    counts[word] = (counts[word] or 0) + 1
    if reply then latencies[#latencies + 1], bytes = now() - intended, bytes + #reply.body end
    if not reply or reply.headers.connection == "close" then cheap = nil end
  end
end

co.run(tcpmulti.create { filter = "http", connect_timeout = 10, input_timeout = 10 }, function()
  for _ = 1, width do co.spawn(work) end
  for i = 0, rate * seconds - 1 do
    co.sleep(math.max(started + i / rate - now(), 0))
    due:put(started + i / rate)
  end
  due:close()
end)

table.sort(latencies)
local function percentile(p) return 1000 * (latencies[math.ceil(#latencies * p / 100)] or 0) end
print(("%d requests in %.2f s, %.1f MB"):format(rate * seconds, now() - started, bytes / 1e6))
for word, count in pairs(counts) do print(count .. " x " .. tcpmulti.escape(word)) end
print(("latency      50 %% %.1f ms, 90 %% %.1f ms, 99 %% %.1f ms, longest %.1f ms"):format(
  percentile(50), percentile(90), percentile(99), percentile(100)))
if #latencies < rate * seconds then os.exit(1) end
