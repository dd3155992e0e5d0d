-- SPDX-License-Identifier: MIT
-- The recorded budgets of what is counted (driver/counts.lua): a text file, one line each, with the
-- date and the reason of its last change. Instructions may exceed their budget by 2 %: runs on an
-- idle machine differ by less than 1 %, because events come in other batches. Of allocations and
-- system calls not even a tenth of one may be new.
-- How many instructions there are depends on the compiler and on LuaJIT: the budget is that of one
-- release of Debian, and elsewhere only allocations and system calls are compared.
local M = {}

local KINDS = { "instructions", "allocations", "system_calls" }
M.RELEASE = "12" -- whose instructions are budgets
local ROOM = { instructions = 0.02, allocations = 0.1, system_calls = 0.1 }
local UNIT = { instructions = math.huge, allocations = 1, system_calls = 1 }
-- Two runs never share their start exactly: an allocation more, a read in two pieces.
local SLACK = { instructions = 0, allocations = 0.002, system_calls = 0.005 }
-- What moved less is no change.
local SAME = 0.02

local HEADING = [[
# What one operation may cost. The test allows 2 % more instructions, and a tenth of an
# allocation or system call. Written by tests/bench/count --record REASON BUILD_DIRECTORY, which
# renews only what has moved by more than 2 %; each line has date and reason of its last change.
# workload client what budget date reason
]]

local function number(value)
  return (value >= 100 and "%.0f" or "%.3f"):format(value)
end

-- A list of entries, in the order of the file; empty when there is no file.
function M.read(path)
  local entries = {}
  local file = io.open(path)
  if not file then
    return entries
  end
  for line in file:lines() do
    local workload, client, kind, budget, date, reason =
      line:match "^([^#%s]%S*)%s+(%S+)%s+(%S+)%s+(%S+)%s+(%S+)%s+(.+)$"
    if workload then
      entries[#entries + 1] = {
        workload = workload,
        client = client,
        kind = kind,
        budget = assert(tonumber(budget), line),
        date = date,
        reason = reason,
      }
    end
  end
  file:close()
  return entries
end

function M.write(path, entries)
  local file = assert(io.open(path, "w"))
  file:write(HEADING)
  for _, entry in ipairs(entries) do
    local line = ("%-12s %-12s %-12s %8s  %s  %s"):format(
      entry.workload,
      entry.client,
      entry.kind,
      number(entry.budget),
      entry.date,
      entry.reason
    )
    file:write(line, "\n")
  end
  file:close()
end

local function find(entries, workload, client, kind)
  for _, entry in ipairs(entries) do
    if entry.workload == workload and entry.client == client and entry.kind == kind then
      return entry
    end
  end
  return nil
end

function M.limit(entry)
  local kind = entry.kind
  return entry.budget + ROOM[kind] * math.min(entry.budget, UNIT[kind]) + SLACK[kind]
end

local function describe(kind, count, entry, kept)
  local name = kind:gsub("_", " ")
  if not entry then
    return ("%s: %s, and no budget is recorded"):format(name, number(count))
  end
  return ("%s: %s%s, at most %s: the budget of %s is %s"):format(
    name,
    number(count),
    kept and "" or " EXCEEDS",
    number(M.limit(entry)),
    entry.date,
    number(entry.budget)
  )
end

-- What is compared on a release of Debian. of_library: much of the work is that of a library, each
-- of whose releases has other counts. paced: the peer's pace decides how often the kernel is asked.
function M.kinds_on(release, workload)
  if release ~= M.RELEASE then
    return workload.of_library and {} or { "allocations", "system_calls" }
  end
  return workload.paced and { "instructions", "allocations" } or KINDS
end

-- Whether the counts, of these kinds, of one client at one workload keep to their budgets, and a
-- line for each. A count without a budget fails: nothing goes unwatched.
function M.compare(entries, workload, client, counts, kinds)
  local good, details = true, {}
  for _, kind in ipairs(kinds) do
    local entry = find(entries, workload, client, kind)
    local kept = entry ~= nil and counts[kind] <= M.limit(entry)
    good = good and kept
    details[#details + 1] = describe(kind, counts[kind], entry, kept)
  end
  return good, details
end

local function moved(old, new, kind)
  return math.abs(new - old) > old * SAME + SLACK[kind]
end

-- Takes over what has moved, with date and reason.
function M.renew(entries, workload, client, counts, kinds, date, reason)
  for _, kind in ipairs(kinds) do
    local entry = find(entries, workload, client, kind)
    if not entry then
      entry = { workload = workload, client = client, kind = kind }
      entries[#entries + 1] = entry
    end
    -- what is too little to see is nothing
    local count = counts[kind] < SLACK[kind] and 0 or counts[kind]
    if not entry.budget or moved(entry.budget, count, kind) then
      entry.budget, entry.date, entry.reason = count, date, reason
    end
  end
end

return M
