-- SPDX-License-Identifier: MIT
-- cqueues on LuaJIT, as its manual shows it: one controller, a coroutine for each connection, calls
-- that wait. Binary mode, so that no line end is converted, small buffers, and timeouts set on each
-- socket: all waits of cqueues have times of their own. Run by tests/bench/run.
local cqueues = require "cqueues"
local condition = require "cqueues.condition"
local socket = require "cqueues.socket"
local measure = dofile((arg[0]:gsub("[^/]*$", "")) .. "measure.lua")

local job = measure.job(arg)
local figures = measure.figures()
local LINE = "ping 0123456789 abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRS\r\n"
local CONNECT_TIMEOUT_S, INPUT_TIMEOUT_S = 30, 300
local LINE_BUFFER, BULK_BUFFER = 256, 65536
local per_connection = math.floor((job.operations or 0) / job.connections)
local expected = per_connection * job.connections
local controller = cqueues.new()

local function open_connection(number, buffer)
  local connection = assert(socket.connect("127.0.0." .. number % 32 + 1, job.port))
  connection:setmode("b", "bn")
  connection:setbufsiz(buffer, buffer)
  assert(connection:connect(job.timeouts ~= 0 and CONNECT_TIMEOUT_S or nil))
  if job.timeouts ~= 0 then
    connection:settimeout(INPUT_TIMEOUT_S)
  end
  return connection
end

local function echo(connection)
  assert(connection:write(LINE))
  assert(connection:read "*L" == LINE)
end

-- Runs f(number) as a coroutine for each connection, and all of them to their ends.
local function run_each(f)
  for number = 1, job.connections do
    controller:wrap(f, number)
  end
  assert(controller:loop())
end

local function run_measured(f)
  measure.begin(figures)
  run_each(f)
  measure.finish(figures)
end

local work = {}

function work.storm()
  local left = job.operations
  run_measured(function(number)
    while left > 0 do
      left = left - 1
      local connection = open_connection(number, LINE_BUFFER)
      echo(connection)
      connection:close()
      figures.operations = figures.operations + 1
    end
  end)
  figures.bytes = figures.operations * #LINE
end

-- The last connection that opens wakes the others. None is closed before all is measured.
function work.pingpong()
  local open, count = {}, 0
  local all_open = condition.new()
  run_each(function(number)
    local connection = open_connection(number, LINE_BUFFER)
    open[#open + 1] = connection
    if #open < job.connections then
      all_open:wait()
    else
      all_open:signal()
      measure.begin(figures)
    end
    for _ = 1, per_connection do
      echo(connection)
    end
    count = count + per_connection
    if count == expected then
      measure.finish(figures)
    end
  end)
  figures.operations, figures.bytes = count, count * #LINE
end

-- Each coroutine keeps two values, its number and the target, beside its connection.
function work.idle()
  local open = 0
  local memory, lua = measure.memory()
  for number = 1, job.connections do
    controller:wrap(function()
      local target = number % 32
      local connection = open_connection(target, LINE_BUFFER)
      open = open + 1
      connection:read "*L"
      error(("input of connection %d to %d"):format(number, target))
    end)
  end
  while open < job.connections do
    assert(controller:step())
  end
  local memory_after, lua_after = measure.memory()
  figures.operations = open
  figures.memory_bytes, figures.lua_bytes = memory_after - memory, lua_after - lua
end

function work.lines()
  run_measured(function(number)
    local last
    for line in open_connection(number, BULK_BUFFER):lines "*L" do
      assert(line ~= last)
      last = line
      figures.operations = figures.operations + 1
      figures.bytes = figures.bytes + #line
    end
  end)
end

work[job.work]()
measure.report(figures)
