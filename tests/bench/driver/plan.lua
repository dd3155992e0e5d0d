-- SPDX-License-Identifier: MIT
-- One measurement: a competitor at a workload. Knows what to tell both sides, what must have been
-- counted at the end, and what the figures cost per operation.
local process = require "driver.process"

local M = {}

-- How much a competitor has to do; always the same number for each connection.
local function operations_of(workload, competitor, size)
  if workload.memory then
    return workload.connections
  end
  local all = workload.operations[size] * (competitor.share or 1)
  return math.max(1, math.floor(all / workload.connections)) * workload.connections
end

local function server_words(paths, workload, operations)
  local words = { paths.programs .. "/bench-server", workload.server }
  if workload.server == "bulk" or workload.server == "lines" then
    words[3] = ("%.0f"):format(operations / workload.connections)
  end
  return words
end

-- `prefix`: what is put in front of the client, nil or the words of a tool that watches it.
local function client_words(paths, workload, competitor, operations, prefix)
  local words = { unpack(prefix or {}) }
  for _, word in ipairs(competitor.command(paths)) do
    words[#words + 1] = word
  end
  words[#words + 1] = "work=" .. workload.work
  words[#words + 1] = "connections=" .. workload.connections
  words[#words + 1] = ("operations=%.0f"):format(operations)
  words[#words + 1] = "timeouts=" .. (workload.timeouts or 1)
  if workload.window then
    words[#words + 1] = "window=" .. workload.window
  end
  return words
end

local BYTES_PER_OPERATION =
  { storm = 64, pingpong = 64, mixed = 64, bulk = 1, lines = 40, idle = 0 }

-- Every client does the same work, and has to have counted it.
local function check(workload, operations, figures)
  local bytes = operations * BYTES_PER_OPERATION[workload.work]
  if figures.errors ~= 0 then
    return nil, figures.errors .. " errors"
  elseif figures.operations ~= operations then
    return nil, ("%.0f operations instead of %.0f"):format(figures.operations, operations)
  elseif figures.bytes ~= bytes then
    return nil, ("%.0f bytes instead of %.0f"):format(figures.bytes, bytes)
  end
  return true
end

-- Whether a workload is for this competitor: not everyone has a client for all of them, and some
-- would take minutes to open that many connections.
function M.takes_part(workload, competitor)
  if workload.only and not workload.only[competitor.name] then
    return false
  end
  return workload.connections <= (competitor.most_connections or math.huge)
end

-- Seconds of client CPU per operation times the workload's scale, or bytes per connection, or what
-- the workload itself takes from the figures.
function M.cost(workload, figures)
  if workload.cost then
    return workload.cost(figures)
  end
  if workload.memory then
    return figures.memory_bytes / workload.connections
  end
  return (figures.cpu_user_s + figures.cpu_system_s) / figures.operations * workload.scale
end

-- The figures of one run, checked, or nil and what went wrong.
function M.measure(setting, workload, competitor)
  local operations = operations_of(workload, competitor, setting.size)
  local figures, message = process.measure(
    setting.cores,
    server_words(setting.paths, workload, operations),
    client_words(setting.paths, workload, competitor, operations, setting.prefix)
  )
  if not figures then
    return nil, message
  end
  local good
  good, message = check(workload, operations, figures)
  if not good then
    return nil, competitor.name .. " at " .. workload.name .. ": " .. message
  end
  figures.cost = M.cost(workload, figures)
  return figures
end

return M
