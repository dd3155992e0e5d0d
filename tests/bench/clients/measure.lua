-- SPDX-License-Identifier: MIT
-- What the benchmark clients in Lua share: the job they are given on the command line, the figures
-- they take, and the line of JSON they print. The twin of measure.h. Loaded by dofile.
local ffi = require "ffi"

ffi.cdef [[
struct bench_timeval { long sec, usec; };
struct bench_rusage { struct bench_timeval user, system; long rest[14]; };
struct bench_timespec { long sec, nsec; };
int getrusage(int who, struct bench_rusage *usage);
int clock_gettime(int clock, struct bench_timespec *time);
int malloc_trim(size_t pad);
]]

local RUSAGE_SELF, RUSAGE_CHILDREN, CLOCK_MONOTONIC = 0, -1, 1

local M = {}

M.BATCH = 262144 -- upload: bytes that are sent at a time
M.SETTLE_S = 0.5 -- idle with TLS: for what the server sends after the handshake

M.BANNER = 256 -- banner: bytes of a target that are kept

-- banner: the host number n, from 1 on.
function M.host(n)
  return ("127.1.%d.%d"):format(math.floor(n / 256), n % 256)
end

-- "key=value" arguments as a table; numbers where they are numbers.
function M.job(arguments)
  local job = { timeouts = 1 }
  for _, argument in ipairs(arguments) do
    local key, value = argument:match "^(%l+)=(%S+)$"
    if not key then
      error("what is " .. argument .. "?", 0)
    end
    job[key] = tonumber(value) or value
  end
  if not (job.work and job.port and job.connections) then
    error("usage: work=storm|pingpong|idle|bulk|lines|… port=N connections=N", 0)
  end
  return job
end

function M.figures()
  return {
    operations = 0,
    bytes = 0,
    errors = 0,
    resumed = 0,
    cpu_user_s = 0,
    cpu_system_s = 0,
    wall_s = 0,
    memory_bytes = 0,
    lua_bytes = 0,
  }
end

local function seconds(time)
  return tonumber(time.sec) + tonumber(time.usec) / 1e6
end

local function take()
  local usage, now = ffi.new "struct bench_rusage", ffi.new "struct bench_timespec"
  ffi.C.getrusage(RUSAGE_SELF, usage)
  ffi.C.clock_gettime(CLOCK_MONOTONIC, now)
  return seconds(usage.user), seconds(usage.system), tonumber(now.sec) + tonumber(now.nsec) / 1e9
end

-- Seconds of the monotonic clock.
function M.clock()
  return (select(3, take()))
end

-- CPU time of the programs that were started and have ended: in user space, in the kernel.
function M.children()
  local usage = ffi.new "struct bench_rusage"
  ffi.C.getrusage(RUSAGE_CHILDREN, usage)
  return seconds(usage.user), seconds(usage.system)
end

-- Between the two lies the measured phase.
function M.begin(figures)
  figures.cpu_user_s, figures.cpu_system_s, figures.wall_s = take()
end

function M.finish(figures)
  local user, system, wall = take()
  figures.cpu_user_s = user - figures.cpu_user_s
  figures.cpu_system_s = system - figures.cpu_system_s
  figures.wall_s = wall - figures.wall_s
end

-- Anonymous memory of this process as the page tables have it, and what of it is Lua's, in bytes.
-- `settled`: without what malloc keeps although it is free, of which handshakes leave much.
function M.memory(settled)
  collectgarbage()
  collectgarbage()
  if settled then
    ffi.C.malloc_trim(0)
  end
  for line in io.lines "/proc/self/smaps_rollup" do
    local kib = line:match "^Anonymous:%s+(%d+)"
    if kib then
      return tonumber(kib) * 1024, collectgarbage "count" * 1024
    end
  end
  error "/proc/self/smaps_rollup has no line Anonymous"
end

local LATENCY_UNIT_S = 1e-5

-- `latency`: how often each latency came, by units.
function M.add_latency(latency, seconds_taken)
  local unit = math.floor(seconds_taken / LATENCY_UNIT_S) + 1
  latency[unit] = (latency[unit] or 0) + 1
end

local function percentile(latency, units, share, all)
  local seen = 0
  for _, unit in ipairs(units) do
    seen = seen + latency[unit]
    if seen >= share * all then
      return unit * LATENCY_UNIT_S * 1e6
    end
  end
end

-- The median and the 99th percentile in microseconds.
function M.percentiles(latency)
  local units, all = {}, 0
  for unit, count in pairs(latency) do
    units[#units + 1] = unit
    all = all + count
  end
  table.sort(units)
  return percentile(latency, units, 0.5, all), percentile(latency, units, 0.99, all)
end

function M.report(figures)
  local fields = {}
  for key, value in pairs(figures) do
    fields[#fields + 1] = ("%q:%.6f"):format(key, value)
  end
  io.stdout:write("{", table.concat(fields, ","), "}\n")
  io.stdout:flush()
  if figures.errors > 0 then
    os.exit(1)
  end
end

return M
