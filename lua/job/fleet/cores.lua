-- SPDX-License-Identifier: MIT
-- The processors that this process may use: by its affinity, and by the limit of its cgroup.
local bit, ffi, io = require "bit", require "ffi", require "io"
local floor, gsub, match, max, min = math.floor, string.gsub, string.match, math.max, math.min

local cores = {}

local SET_BYTES = 1024 -- 8,192 processors
local CGROUPS = "/sys/fs/cgroup"

ffi.cdef [[
  int tcpmulti_sched_getaffinity(int pid, size_t size, void *set) __asm__("sched_getaffinity");
  int tcpmulti_sched_setaffinity(int pid, size_t size, void *set) __asm__("sched_setaffinity");
]]
local C = ffi.C
local new_set = ffi.typeof "uint8_t[?]"

-- The numbers of the processors that this process may run on; empty: not known.
function cores.allowed()
  local set, list = new_set(SET_BYTES), {}
  if C.tcpmulti_sched_getaffinity(0, SET_BYTES, set) < 0 then return list end
  for core = 0, SET_BYTES * 8 - 1 do
    local byte = set[bit.rshift(core, 3)]
    if bit.band(byte, bit.lshift(1, bit.band(core, 7))) ~= 0 then list[#list + 1] = core end
  end
  return list
end

-- This process runs on one processor alone from now on.
function cores.pin(core)
  local set = new_set(SET_BYTES)
  set[bit.rshift(core, 3)] = bit.lshift(1, bit.band(core, 7))
  C.tcpmulti_sched_setaffinity(0, SET_BYTES, set)
end

local function read_file(path)
  local file = io.open(path)
  local text = file and file:read "*a"
  if file then file:close() end
  return text
end

-- Processors' time per time that the cgroup may use, by its own limit and those above; nil: none.
-- groups: the folder of all. group: the path of ours below it.
function cores.quota(groups, group)
  local least
  while true do
    local text = read_file(groups .. group .. "/cpu.max")
    local quota, period = match(text or "", "^(%d+) (%d+)")
    if quota then
      local share = tonumber(quota) / tonumber(period)
      least = min(least or share, share)
    end
    if group == "" then return least end
    group = gsub(group, "/[^/]*$", "")
  end
end

-- How many processes are as many as there are processors for them. The arguments are those of
-- cores.quota; default: those of this process.
function cores.count(groups, group)
  group = group or match(read_file "/proc/self/cgroup" or "", "0::(/[^\n]*)") or ""
  local quota = cores.quota(groups or CGROUPS, gsub(group, "/$", ""))
  return max(1, min(#cores.allowed(), quota and floor(quota) or math.huge))
end

return cores
