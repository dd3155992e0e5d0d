-- SPDX-License-Identifier: MIT
-- luv on LuaJIT, as its own examples are written: a tcp and a timer handle per connection, the
-- timer started again for each message, closures for callbacks. Lines are cut with string.find;
-- when a read is exactly one line, nothing is copied. tls=FILE: luv_tls.lua lies between. Run by
-- tests/bench/run.
local uv = require "luv"
local directory = arg[0]:gsub("[^/]*$", "")
local measure = dofile(directory .. "measure.lua")

local job = measure.job(arg)
local tls = job.tls and dofile(directory .. "luv_tls.lua")
local tls_context = tls and tls.context(job.tls)
local figures = measure.figures()
local LINE = "ping 0123456789 abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRS\r\n"
local CONNECT_TIMEOUT_MS, INPUT_TIMEOUT_MS = 30000, 300000
local HANDSHAKES = 512 -- at a time: each takes 40 KB
local per_connection = math.floor((job.operations or 0) / job.connections)
local expected = per_connection * job.connections
local ends_by_eof = job.work == "bulk" or job.work == "lines"
local find, sub = string.find, string.sub

local addresses = {}
for i = 0, 31 do
  addresses[i] = "127.0.0." .. i + 1
end

local started = 0
local open = {} -- connections that have succeeded, in that order
local operations, bytes = 0, 0
local start_connection

local function end_connection(connection)
  if connection.tcp:is_closing() then
    return
  end
  if tls and connection.stream then
    connection.stream:close()
  end
  connection.tcp:close()
  if connection.timer then
    connection.timer:close()
  end
end

local function break_connection(connection)
  figures.errors = figures.errors + 1
  end_connection(connection)
  uv.stop()
end

local take_line = {}

function take_line.storm(connection, line)
  assert(line == LINE)
  operations = operations + 1
  end_connection(connection)
  if started < job.operations then
    start_connection()
  end
end

function take_line.pingpong(connection, line)
  assert(line == LINE)
  operations = operations + 1
  local left = connection.left - 1
  connection.left = left
  if left > 0 then
    connection.stream:write(LINE)
  elseif operations == expected then
    uv.stop()
  end
end

local last_line

function take_line.lines(_, line)
  assert(line ~= last_line)
  last_line = line
  operations = operations + 1
end

take_line = take_line[job.work]

local function cut_lines(connection, chunk)
  if connection.rest then
    chunk = connection.rest .. chunk
    connection.rest = nil
  end
  local from = 1
  while true do
    local to = find(chunk, "\n", from, true)
    if not to then
      break
    end
    take_line(connection, sub(chunk, from, to))
    from = to + 1
  end
  if from <= #chunk then
    connection.rest = sub(chunk, from)
  end
end

local function on_read(connection, err, chunk)
  if err or not chunk and not ends_by_eof then
    break_connection(connection)
  elseif not chunk then
    end_connection(connection)
  else
    bytes = bytes + #chunk
    if connection.timer then
      connection.timer:again()
    end
    if take_line then
      cut_lines(connection, chunk)
    end
  end
end

local function on_open(connection)
  if connection.timer then
    connection.timer:start(INPUT_TIMEOUT_MS, INPUT_TIMEOUT_MS, connection.on_timeout)
  end
  if job.work == "storm" then
    connection.stream:write(LINE)
    return
  end
  open[#open + 1] = connection
  if tls and started < job.connections then
    start_connection()
  end
  if #open == job.connections and not ends_by_eof then
    uv.stop()
  end
end

local function on_connected(connection, err)
  if err then
    break_connection(connection)
    return
  end
  local function take(read_err, chunk)
    on_read(connection, read_err, chunk)
  end
  if tls then
    connection.stream = tls.start(tls_context, connection.tcp, function()
      on_open(connection)
    end, take)
  else
    connection.stream = connection.tcp
    connection.tcp:read_start(take)
    on_open(connection)
  end
end

function start_connection()
  local connection = { left = per_connection, target = addresses[started % 32] }
  started = started + 1
  connection.tcp = uv.new_tcp()
  connection.tcp:nodelay(true)
  if job.timeouts == 1 then
    connection.timer = uv.new_timer()
    connection.on_timeout = function()
      break_connection(connection)
    end
    connection.timer:start(CONNECT_TIMEOUT_MS, 0, connection.on_timeout)
  end
  connection.tcp:connect(connection.target, job.port, function(err)
    on_connected(connection, err)
  end)
end

local function start_connections()
  for _ = 1, tls and math.min(job.connections, HANDSHAKES) or job.connections do
    start_connection()
  end
end

local function run_pingpong()
  start_connections()
  uv.run()
  measure.begin(figures)
  for _, connection in ipairs(open) do
    connection.stream:write(LINE)
  end
  uv.run()
  measure.finish(figures)
end

-- Under TLS the server's session tickets come after the handshake.
local function settle()
  local timer = uv.new_timer()
  timer:start(measure.SETTLE_S * 1000, 0, uv.stop)
  uv.run()
end

local function run_idle()
  local memory, lua = measure.memory(tls)
  start_connections()
  uv.run()
  if tls then
    settle()
  end
  local memory_after, lua_after = measure.memory(tls)
  operations = #open
  figures.memory_bytes, figures.lua_bytes = memory_after - memory, lua_after - lua
end

local function run_to_the_end()
  measure.begin(figures)
  start_connections()
  uv.run()
  measure.finish(figures)
  if job.work == "bulk" then
    operations = bytes
  end
end

local works = { pingpong = run_pingpong, idle = run_idle }
local run = works[job.work] or run_to_the_end
run()
figures.operations, figures.bytes = operations, bytes
measure.report(figures)
io.stdout:flush()
os.exit(figures.errors == 0 and 0 or 1, false)
