-- SPDX-License-Identifier: MIT
-- relay.lua: connects to two servers and passes on what each says to the other. Who reads slowly
-- slows the other side down: little is held here, however much is under way.
--
-- usage: tcpmulti-lua scripts/relay.lua HOST:PORT HOST:PORT
--
--   50000000 bytes there, 12 bytes back, at most 280 KiB held
local tcpmulti, co = require "tcpmulti", require "tcpmulti.co"
local try = co.try

local host_a, port_a = (arg[1] or ""):match("^%[?(.-)%]?:(%w+)$")
local host_b, port_b = (arg[2] or ""):match("^%[?(.-)%]?:(%w+)$")
if not (host_a and host_b) or arg[3] then
  io.stderr:write("usage: tcpmulti-lua scripts/relay.lua HOST:PORT HOST:PORT\n")
  os.exit(2)
end
local most = 0 -- bytes held for one side

local function pass_on(from, to)
  local passed = 0
  for bytes in from:records() do
    try(to:write(bytes)) -- waits while the queue is full, and meanwhile nothing is read
    passed, most = passed + #bytes, math.max(most, to:queued() or 0)
  end
  to:shutdown("output") -- the other direction goes on
  return passed
end

local session = tcpmulti.create { filter = "stream", high_mark = 262144,
  half_open = true, on_eof = function() end } -- tasks hear of the end by their records
local passed, message = co.run(session, co.protect(function()
  local a, b = try(co.open(host_a, port_a)), try(co.open(host_b, port_b))
  return try(co.all { function() return pass_on(a, b) end, function() return pass_on(b, a) end })
end))
if not passed then
  io.stderr:write("relay.lua: ", tcpmulti.escape(message), "\n")
  os.exit(1)
end
local report = "%d bytes there, %d bytes back, at most %.0f KiB held"
print(report:format(passed[1], passed[2], most / 1024))
