-- SPDX-License-Identifier: MIT
-- Which process of a fleet this one is: part i of n by --shard, worker w of W by --workers. Process
-- j of J = n * W is (i - 1) + n * w, from 0 on. The process that starts workers is a supervisor,
-- and opens no connection.
local ffi, io = require "ffi", require "io"
local cores = require "tcpmulti.fleet.cores"
local fleet = require "tcpmulti.fleet"
local gmatch, match = string.gmatch, string.match

local processes = {}

local PATH_BYTES = 4096

ffi.cdef [[
  int tcpmulti_unsetenv(const char *name) __asm__("unsetenv");
  int64_t tcpmulti_readlink(const char *path, char *bytes, size_t size) __asm__("readlink");
]]

-- The worker that the environment makes of this process: { number from 0 on, workers }; nil: none.
function processes.worker(getenv)
  local number, count = match(getenv "TCPMULTI_WORKER" or "", "^(%d+)/(%d+)$")
  number, count = tonumber(number), tonumber(count)
  if number and number < count then return { number, count } end
end

-- Gives { part, parts }; nil, message.
local function part_of(shard, getenv)
  if shard == nil then return { 1, 1 } end
  if shard == "auto" then return fleet.detect(getenv) end
  if shard.auto then return fleet.detect(getenv, shard.auto) end
  return shard
end

-- Takes --shard and --workers to heart: sets part, worker, process and processes of the job,
-- is_worker or is_supervisor, and divides its limits. Gives true; nil, message.
function processes.read(self, getenv)
  local part, message = part_of(self.options.shard, getenv)
  if not part then return nil, message end
  local count = self.options.workers == "auto" and cores.count() or self.options.workers
  self.part = part
  local worker = processes.worker(getenv)
  self.is_worker = worker ~= nil
  self.is_supervisor = not worker and count > 1
  self.worker = worker or { 0, count }
  self.process = part[1] - 1 + part[2] * self.worker[1]
  self.processes = part[2] * self.worker[2]
  local divided
  divided, message = fleet.divide(self.options, self.process, self.processes)
  if not divided then return nil, message end
  if not self.is_supervisor then self.options = divided end
  return true
end

-- From now on no program that this process starts is a worker of our supervisor's.
function processes.forget_worker()
  ffi.C.tcpmulti_unsetenv "TCPMULTI_WORKER"
  ffi.C.tcpmulti_unsetenv "TCPMULTI_INPUT"
end

-- Runs this worker on a processor of its own, if there are enough. Parts that run beside each other
-- on a machine begin with different ones.
function processes.pin(part, worker)
  local allowed = cores.allowed()
  if worker[2] > #allowed then return end
  cores.pin(allowed[((part[1] - 1) * worker[2] + worker[1]) % #allowed + 1])
end

-- ---- the command of this process ----

-- Nil: it is not known.
local function program()
  local bytes = ffi.new("char[?]", PATH_BYTES)
  local length = ffi.C.tcpmulti_readlink("/proc/self/exe", bytes, PATH_BYTES)
  return length > 0 and ffi.string(bytes, length) or nil
end

-- The words by which this process was started; nil, message: they cannot start another one.
function processes.command(job)
  local script = job.script
  if not job.is_first then
    return nil, "--workers: only the first job of a process can have workers"
  end
  local file = io.open "/proc/self/cmdline"
  local text = file and file:read "*a"
  if file then file:close() end
  if not script or script == "-" then
    return nil, "--workers: the script must be a file, which each worker reads again"
  end
  local words = {}
  for word in gmatch(text or "", "([^%z]*)%z") do words[#words + 1] = word end
  words[1] = program()
  if not words[1] then return nil, "--workers: /proc does not tell which program this is" end
  return words
end

return processes
