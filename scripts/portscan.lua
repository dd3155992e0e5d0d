-- SPDX-License-Identifier: MIT
-- portscan.lua: which ports of a host accept connections? At most so many attempts at once.
--
-- usage: tcpmulti-lua scripts/portscan.lua [-t AT_ONCE] [-w SECONDS] HOST PORTS [PORTS ...]
--        PORTS: 22  1-1024  ssh  or several with commas; 100 at once, 2 seconds if not given
--
--   $ tcpmulti-lua scripts/portscan.lua 127.0.0.1 1-1024,http-alt
--   127.0.0.1 22
--   127.0.0.1 8080
--   1025 ports in 0.06 s: 2 open, 1023 ECONNREFUSED
local tcpmulti = require "tcpmulti"
local ffi = require "ffi"
ffi.cdef "int isatty(int fd);"

local function usage(message)
  io.stderr:write("portscan.lua: ", tcpmulti.escape(message), "\n",
    "usage: tcpmulti-lua scripts/portscan.lua [-t AT_ONCE] [-w SECONDS] HOST PORTS [PORTS ...]\n")
  os.exit(2)
end

local options = { ["-t"] = 100, ["-w"] = 2 }
while options[arg[1]] do
  local name, value = table.remove(arg, 1), tonumber(table.remove(arg, 1) or "")
  options[name] = value and value > 0 and value or usage(name .. " needs a number above 0")
end
local host = table.remove(arg, 1) or usage("which host?")
local ranges, total, done, open, others = {}, 0, 0, 0, {}
local started, terminal = tcpmulti.now(), ffi.C.isatty(2) == 1
local function clear() if terminal then io.stderr:write("\r\27[K") end end

local session = tcpmulti.create {
  connect_timeout = options["-w"], max_connections = options["-t"], filter = "stream",
  on_success = function(cheap)
    open = open + 1
    clear()
    print(host .. " " .. cheap:port())
    cheap:shutdown()
  end,
  on_failure = function(_, _, _, _, _, name) others[name] = (others[name] or 0) + 1 end,
  on_timeout = function() others["no answer"] = (others["no answer"] or 0) + 1 end,
  on_disconnected = function() done = done + 1 end,
}

for word in table.concat(arg, ","):gmatch("[^,]+") do
  local first, last = word:match("^(%d+)%-?(%d*)$")
  first, last = tonumber(first), tonumber(last) or tonumber(first)
  if not first then -- a service name: let connect look it up
    local known, message = pcall(session.connect, session, host, word)
    if not known then usage(message) end
    total = total + 1
  elseif first < 1 or last > 65535 or first > last then
    usage(word .. " is not a range of ports within 1-65535")
  else
    ranges[#ranges + 1], total = { next = first, last = last }, total + last - first + 1
  end
end
if total == 0 then usage("which ports?") end

session:connect(function() -- asked whenever a place is free: the next port, or nil at the end
  while ranges[1] and ranges[1].next > ranges[1].last do table.remove(ranges, 1) end
  if not ranges[1] then return nil end
  ranges[1].next = ranges[1].next + 1
  return host, ranges[1].next - 1
end)
local function progress(s)
  clear()
  if done == total then return end
  io.stderr:write(("%d of %d ports, %d open, %d at once"):format(done, total, open, s:count()))
  s:delay(progress, 0.2)
end
if terminal then session:delay(progress, 0.2) end
tcpmulti.run()

local parts = { open .. " open" }
for name, count in pairs(others) do parts[#parts + 1] = count .. " " .. name end
print(("%d ports in %.2f s: %s"):format(total, tcpmulti.now() - started, table.concat(parts, ", ")))
