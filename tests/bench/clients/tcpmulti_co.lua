-- SPDX-License-Identifier: MIT
-- Ours in Lua again, this time from top to bottom: a task for each connection, as a user of
-- tcpmulti.co would write it. Default options, so the line filter, and timeouts armed; timeouts=0
-- takes them away, and with timeouts=2 each wait for a line has a time of its own besides. Its twin
-- with handlers is tcpmulti.lua. Run by tests/bench/run:
--   tcpmulti-lua tcpmulti_co.lua work=storm port=7 connections=500 operations=50000
local tcpmulti, co = require "tcpmulti", require "tcpmulti.co"
local measure = dofile((arg[0]:gsub("[^/]*$", "")) .. "measure.lua")
local try = co.try

local job = measure.job(arg)
local figures = measure.figures()
local LINE = "ping 0123456789 abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRS"
local WIRE_LENGTH = #LINE + 2
local per_connection = math.floor((job.operations or 0) / job.connections)
local expected = per_connection * job.connections
local seconds = job.timeouts == 2 and 10 or nil -- of each wait for a line

local options = {}
if job.timeouts == 0 then
  options.connect_timeout, options.input_timeout = 0, 0
end
local session = tcpmulti.create(options)

local addresses = {}
for i = 0, 31 do
  addresses[i] = "127.0.0." .. i + 1
end

local function open_connection(number)
  return try(co.open(addresses[number % 32], job.port))
end

-- Runs f as a task, measured, to its end.
local function run_measured(f, ...)
  measure.begin(figures)
  try(co.run(session, f, ...))
  measure.finish(figures)
end

local work = {}

function work.storm()
  local started = 0
  local function numbers()
    started = started + 1
    return started <= job.operations and started or nil
  end
  local function probe(number)
    local cheap = open_connection(number)
    cheap:send(LINE)
    assert(cheap:receive(nil, seconds) == LINE)
  end
  run_measured(function()
    figures.operations, figures.errors = co.each(numbers, job.connections, probe)
    return true
  end)
  figures.bytes = figures.operations * WIRE_LENGTH
end

-- The connections stay open, since a task that has done its work waits for one more permit.
function work.pingpong()
  local open, count = 0, 0
  local permits = co.semaphore(0)
  local function play(number)
    local cheap = open_connection(number)
    open = open + 1
    if open == job.connections then
      tcpmulti.stop()
    end
    permits:acquire()
    for _ = 1, per_connection do
      cheap:send(LINE)
      assert(cheap:receive(nil, seconds) == LINE)
    end
    count = count + per_connection
    if count == expected then
      tcpmulti.stop()
    end
    permits:acquire()
  end
  for number = 1, job.connections do
    session:spawn(play, number)
  end
  tcpmulti.run()
  for _ = 1, job.connections do
    permits:release()
  end
  measure.begin(figures)
  tcpmulti.run()
  measure.finish(figures)
  figures.operations, figures.bytes = count, count * WIRE_LENGTH
end

-- Each task keeps two values, its own and the target, beside its connection.
function work.idle()
  local open = 0
  local function wait_for_input(number)
    local target = "127.0.0." .. number % 32 + 1
    local cheap = try(co.open(target, job.port))
    open = open + 1
    if open == job.connections then
      tcpmulti.stop()
    end
    try(cheap:receive(nil, seconds))
    error(("input of connection %d to %s"):format(number, target))
  end
  local memory, lua = measure.memory()
  for number = 1, job.connections do
    session:spawn(wait_for_input, number)
  end
  tcpmulti.run()
  local memory_after, lua_after = measure.memory()
  figures.operations = session:count()
  figures.memory_bytes, figures.lua_bytes = memory_after - memory, lua_after - lua
end

function work.lines()
  local count, bytes, last = 0, 0, nil
  local function read_lines(number)
    local cheap = open_connection(number)
    local line, _, errname = cheap:receive()
    while line do
      assert(line ~= last)
      last = line
      count = count + 1
      bytes = bytes + #line + 2
      line, _, errname = cheap:receive()
    end
    assert(errname == "EOF")
    return true
  end
  run_measured(read_lines, 0)
  figures.operations, figures.bytes = count, bytes
end

-- Of each line exactly seven bytes, then the rest as a line.
function work.exact()
  local count, bytes = 0, 0
  local function read_pieces(number)
    local cheap = open_connection(number)
    local piece, _, errname = cheap:receive(7)
    while piece do
      local rest = cheap:receive()
      count = count + 1
      bytes = bytes + #piece + #rest + 2
      piece, _, errname = cheap:receive(7)
    end
    assert(errname == "EOF")
    return true
  end
  run_measured(read_pieces, 0)
  figures.operations, figures.bytes = count, bytes
end

-- ---- costs without connections; the server is idle ----

-- So many tasks as there would be connections sleep again and again.
function work.sleep()
  local count = 0
  local function sleep_often()
    for _ = 1, per_connection do
      co.sleep(0.001)
      count = count + 1
    end
  end
  run_measured(function()
    for _ = 1, job.connections do
      co.spawn(sleep_often)
    end
    return true
  end)
  figures.operations = count
end

-- So many tasks at a time as there would be connections begin and end.
function work.spawn()
  local count = 0
  local function begin_and_end()
    count = count + 1
  end
  run_measured(function()
    for _ = 1, per_connection do
      for _ = 1, job.connections do
        co.spawn(begin_and_end)
      end
      co.sleep(0)
    end
    return true
  end)
  figures.operations = count
end

-- A task puts values into a queue, another gets them.
function work.queue()
  local queue, count = co.queue(10), 0
  local function put_all()
    for value = 1, job.operations do
      queue:put(value)
    end
    queue:close()
  end
  run_measured(function()
    co.spawn(put_all)
    for value in queue:values() do
      count = count + 1
      assert(value == count)
    end
    return true
  end)
  figures.operations = count
end

-- So many targets at a time as there would be connections, with which nothing is done.
function work.each()
  local targets = {}
  for number = 1, job.operations do
    targets[number] = number
  end
  local function use(target)
    return target
  end
  run_measured(function()
    figures.operations, figures.errors = co.each(targets, job.connections, use)
    return true
  end)
end

work[job.work]()
measure.report(figures)
