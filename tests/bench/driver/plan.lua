-- SPDX-License-Identifier: MIT
-- One measurement: a competitor at a workload. Knows what to tell both sides, what must have been
-- counted at the end, and what the figures cost per operation.
local process = require "driver.process"

local M = {}

-- The part of the work that a competitor does.
function M.share(workload, competitor)
  local share = workload.tls and tonumber(competitor.tls) or competitor.share
  return share or 1
end

-- How much a competitor has to do; always the same number for each connection.
local function operations_of(workload, competitor, size)
  if workload.memory then
    return workload.connections
  end
  local all = workload.operations[size] * M.share(workload, competitor)
  return math.max(1, math.floor(all / workload.connections)) * workload.connections
end

-- `root`: the file that a server with TLS writes its root to.
local function server_words(paths, workload, operations, root)
  if workload.programs then
    return { paths.programs .. "/" .. workload.programs.server }
  end
  local words =
    { paths.programs .. (workload.tls and "/bench-tls-server" or "/bench-server"), workload.server }
  if workload.server == "bulk" or workload.server == "lines" then
    words[3] = ("%.0f"):format(operations / workload.connections)
  end
  words[#words + 1] = root
  return words
end

-- `prefix`: what is put in front of the client, nil or the words of a tool that watches it.
local function client_words(paths, workload, competitor, operations, root, prefix)
  local words = { unpack(prefix or {}) }
  local own = workload.programs and { paths.programs .. "/" .. workload.programs.client }
  for _, word in ipairs(own or competitor.command(paths, workload)) do
    words[#words + 1] = word
  end
  words[#words + 1] = "work=" .. workload.work
  words[#words + 1] = "connections=" .. workload.connections
  words[#words + 1] = ("operations=%.0f"):format(operations)
  words[#words + 1] = "timeouts=" .. (workload.timeouts or 1)
  if workload.window then
    words[#words + 1] = "window=" .. workload.window
  end
  if root then
    words[#words + 1] = "tls=" .. root
  end
  if workload.resume then
    words[#words + 1] = "resume=1"
  end
  if workload.families then
    words[#words + 1] = "families=" .. workload.families
  end
  return words
end

local BYTES_PER_OPERATION =
  { storm = 64, pingpong = 64, mixed = 64, bulk = 1, lines = 40, exact = 40, idle = 0, numbers = 0,
    names = 0, again = 0, upload = 1, http = 103, sleep = 0, spawn = 0, queue = 0, each = 0,
    banner = 40 }

-- Where sessions are resumed, all handshakes but the first of each place do so; elsewhere none.
local function check_resumed(workload, operations, resumed)
  local least = workload.resume and operations - workload.connections or 0
  if resumed < least or (resumed > 0 and not workload.resume) then
    return nil, ("%.0f handshakes resumed a session instead of %.0f"):format(resumed, least)
  end
  return true
end

-- Every client does the same work, and has to have counted it.
local function check(workload, competitor, operations, figures)
  operations = competitor.by_time and math.max(1, figures.operations) or operations
  local bytes = operations * BYTES_PER_OPERATION[workload.work]
  if figures.errors ~= 0 then
    return nil, figures.errors .. " errors"
  elseif figures.operations ~= operations then
    return nil, ("%.0f operations instead of %.0f"):format(figures.operations, operations)
  elseif figures.bytes ~= bytes then
    return nil, ("%.0f bytes instead of %.0f"):format(figures.bytes, bytes)
  end
  return check_resumed(workload, operations, figures.resumed or 0)
end

-- Whether a workload is for this competitor: not everyone has a client for all of them, and some
-- would take minutes to open that many connections.
function M.takes_part(workload, competitor)
  local named = workload.only and workload.only[competitor.name]
  if (workload.only or competitor.only_where_named) and not named then
    return false
  elseif workload.tls and not competitor.tls then
    return false
  end
  return workload.connections <= (competitor.most_connections or math.huge)
end

-- Whether the programs of a workload were built: the library may be built without what it is about.
function M.is_built(setting, workload)
  local program = workload.tls and "bench-tls-server"
    or workload.programs and workload.programs.client
  if not program then
    return true
  end
  local file = io.open(setting.paths.programs .. "/" .. program)
  if file then
    file:close()
  end
  return file ~= nil
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
  local root = workload.tls and os.tmpname()
  local figures, message = process.measure(
    setting.cores,
    server_words(setting.paths, workload, operations, root),
    client_words(setting.paths, workload, competitor, operations, root, setting.prefix)
  )
  if root then
    os.remove(root)
  end
  if not figures then
    return nil, message
  end
  local good
  good, message = check(workload, competitor, operations, figures)
  if not good then
    return nil, competitor.name .. " at " .. workload.name .. ": " .. message
  end
  figures.cost = M.cost(workload, figures)
  return figures
end

return M
