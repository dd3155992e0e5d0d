-- SPDX-License-Identifier: MIT
-- Starts the server and one client, each on a core of its own where there are two, and gives back
-- what the client printed, with how busy both were. A server serves one client and is ended by its
-- pid; should the driver die, the kernel ends it.
local ffi = require "ffi"
local json = require "driver.json"

ffi.cdef [[
struct bench_driver_time { long sec, nsec; };
int clock_gettime(int clock, struct bench_driver_time *time);
int kill(int pid, int signal);
]]

local CLOCK_MONOTONIC, SIGTERM = 1, 15
local CLIENT_LIMIT_S = 180

local M = {}

local function now()
  local time = ffi.new "struct bench_driver_time"
  ffi.C.clock_gettime(CLOCK_MONOTONIC, time)
  return tonumber(time.sec) + tonumber(time.nsec) / 1e9
end

local function read_all(path)
  local file = io.open(path)
  local text = file and file:read "*a"
  if file then
    file:close()
  end
  return text
end

-- The first and the last core we may use, or nil when there is only one.
function M.cores()
  local list = read_all("/proc/self/status"):match "Cpus_allowed_list:%s*(%S+)"
  local first, last = list:match "^%d+", list:match "%d+$"
  if first ~= last then
    return { server = first, client = last }
  end
  return nil
end

local function quote(word)
  return "'" .. tostring(word):gsub("'", "'\\''") .. "'"
end

local function command_line(core, words)
  local quoted = {}
  for i, word in ipairs(words) do
    quoted[i] = quote(word)
  end
  local pin = core and "taskset -c " .. core .. " " or ""
  return "exec " .. pin .. table.concat(quoted, " ")
end

-- How long a process has run on a core so far, in seconds; /proc/PID/stat only knows ticks.
local function cpu_time(pid)
  local text = read_all("/proc/" .. pid .. "/schedstat")
  return text and tonumber(text:match "^%d+") / 1e9 or 0
end

local function start_server(core, words)
  local pipe = assert(io.popen(command_line(core, words), "r"))
  local pid, port = (pipe:read "*l" or ""):match "^(%d+) (%d+)$"
  if not pid then
    pipe:close()
    return nil, "the server did not start: " .. table.concat(words, " ")
  end
  return { pipe = pipe, pid = tonumber(pid), port = tonumber(port) }
end

local function stop_server(server)
  ffi.C.kill(server.pid, SIGTERM)
  server.pipe:close()
end

-- `server_words`: program and arguments of the server. `client_words`: those of the client, to
-- which the port is added. Returns the figures, or nil and what went wrong.
function M.measure(cores, server_words, client_words)
  local server, message = start_server(cores and cores.server, server_words)
  if not server then
    return nil, message
  end
  local words = { "timeout", CLIENT_LIMIT_S, unpack(client_words) }
  words[#words + 1] = "port=" .. server.port
  local server_cpu, began = cpu_time(server.pid), now()
  local pipe = assert(io.popen(command_line(cores and cores.client, words), "r"))
  local figures = json.decode(pipe:read "*l")
  pipe:close()
  local life = now() - began
  server_cpu = cpu_time(server.pid) - server_cpu
  stop_server(server)
  if not figures then
    return nil, "no figures from " .. table.concat(client_words, " ")
  end
  figures.server_cpu_s, figures.server_busy = server_cpu, server_cpu / life
  return figures
end

return M
