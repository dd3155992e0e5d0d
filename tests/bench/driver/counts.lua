-- SPDX-License-Identifier: MIT
-- What an operation costs apart from time, which noise cannot touch: user-space instructions and
-- allocations (callgrind), and system calls by name (strace). A client runs twice under each tool,
-- with less and with more work; what start and end cost falls out of the difference.
local plan = require "driver.plan"

local M = {}

M.WORKLOADS = {
  { name = "storm", server = "echo", connections = 100, operations = { less = 500, more = 2500 } },
  {
    name = "pingpong",
    server = "echo",
    connections = 100,
    operations = { less = 3000, more = 13000 },
  },
  {
    name = "lines",
    server = "lines",
    connections = 1,
    operations = { less = 20000, more = 100000 },
  },
}
-- A connect to a number, to a name not asked before, and to a name that is known: names/. One
-- family, since whether IPv6 is asked for depends on the machine.
for _, work in ipairs { "numbers", "names", "again" } do
  M.WORKLOADS[#M.WORKLOADS + 1] = {
    name = work,
    programs = { server = "bench-names-server", client = "bench-names-ours" },
    only = { ["tcpmulti-c"] = true },
    of_library = work == "names",
    families = 4,
    connections = 100,
    operations = { less = 500, more = 2500 },
  }
end
-- Over TLS most of the work is OpenSSL's. callgrind shows every machine the same processor, so
-- OpenSSL takes the same way through its code.
M.WORKLOADS[#M.WORKLOADS + 1] = {
  name = "tls-pingpong",
  work = "pingpong",
  of_library = true,
  tls = true,
  server = "echo",
  connections = 20,
  operations = { less = 1000, more = 5000 },
}
M.WORKLOADS[#M.WORKLOADS + 1] = {
  name = "tls-storm",
  work = "storm",
  of_library = true,
  paced = true,
  tls = true,
  server = "echo",
  connections = 4,
  operations = { less = 20, more = 120 },
}
for _, workload in ipairs(M.WORKLOADS) do
  workload.work, workload.scale = workload.work or workload.name, 1
end

-- Those of the C library that give memory; LuaJIT maps its own.
local ALLOCATORS = { malloc = true, calloc = true, realloc = true, memalign = true }
for _, name in ipairs { "aligned_alloc", "posix_memalign", "reallocarray", "strdup", "strndup" } do
  ALLOCATORS[name] = true
end

-- A callgrind file names a function in full where it first comes, "fn=(12) malloc", and then by its
-- number. "fn" begins what a function does, "cfn" names one that it calls, and the line "calls"
-- after that tells how often. What an allocator calls is its own affair: realloc calls malloc.
function M.read_callgrind(text)
  local names, allocations = {}, 0
  local caller, called
  for line in text:gmatch "[^\n]+" do
    local kind, number, name = line:match "^(c?fn)=%((%d+)%)%s*(%S*)"
    if kind then
      names[number] = name ~= "" and name or names[number]
      if kind == "fn" then
        caller = names[number]
      else
        called = names[number]
      end
    elseif line:find "^calls=" and ALLOCATORS[called] and not ALLOCATORS[caller] then
      allocations = allocations + tonumber(line:match "^calls=(%d+)")
    end
  end
  local instructions = text:match "\ntotals:%s*(%d+)" or text:match "\nsummary:%s*(%d+)"
  return { instructions = tonumber(instructions), allocations = allocations }
end

-- strace -c prints columns: time, seconds, usecs/call, calls, errors if any, name.
function M.read_strace(text)
  local calls = {}
  for line in text:gmatch "[^\n]+" do
    local count, name = line:match "^%s*[%d.]+%s+[%d.]+%s+%d+%s+(%d+)%s+%d*%s*([%l_%d]+)$"
    if name and name ~= "total" then
      calls[name] = tonumber(count)
    end
  end
  return calls
end

local CALLGRIND = {
  words = { "valgrind", "-q", "--tool=callgrind", "--callgrind-out-file=%s" },
  read = M.read_callgrind,
}
local STRACE = { words = { "strace", "-f", "-c", "-o", "%s" }, read = M.read_strace }

-- The tool that is missing here, or nil.
function M.missing()
  for _, tool in ipairs { CALLGRIND, STRACE } do
    if os.execute(tool.words[1] .. " --version >/dev/null 2>&1") ~= 0 then
      return tool.words[1]
    end
  end
  return nil
end

local function run_once(setting, workload, competitor, tool, size)
  local path = os.tmpname()
  local prefix = {}
  for i, word in ipairs(tool.words) do
    prefix[i] = word:gsub("%%s", path)
  end
  setting.size, setting.prefix = size, prefix
  local figures, message = plan.measure(setting, workload, competitor)
  local file = io.open(path)
  local text = file and file:read "*a" or ""
  if file then
    file:close()
  end
  os.remove(path)
  if not figures then
    error(message, 0)
  end
  return tool.read(text)
end

local function per_operation(setting, workload, competitor, tool)
  local operations = workload.operations.more - workload.operations.less
  local less = run_once(setting, workload, competitor, tool, "less")
  local more = run_once(setting, workload, competitor, tool, "more")
  local counts = {}
  for name, value in pairs(more) do
    counts[name] = (value - (less[name] or 0)) / operations
  end
  return counts
end

-- For one operation: instructions, allocations, system_calls, and calls, these by name. Raises when
-- the client did not do its work.
function M.count(setting, workload, competitor)
  local counts = per_operation(setting, workload, competitor, CALLGRIND)
  counts.calls = per_operation(setting, workload, competitor, STRACE)
  counts.system_calls = 0
  for _, value in pairs(counts.calls) do
    counts.system_calls = counts.system_calls + value
  end
  return counts
end

return M
