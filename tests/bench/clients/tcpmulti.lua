-- SPDX-License-Identifier: MIT
-- Ours in Lua, as a user would write it: default options, so the line filter, and timeouts armed.
-- timeouts=0 takes them away, bulk and the blaster take the stream filter. Run by tests/bench/run:
--   tcpmulti-lua tcpmulti.lua work=storm port=7 connections=1000 operations=100000
local tcpmulti = require "tcpmulti"
local measure = dofile((arg[0]:gsub("[^/]*$", "")) .. "measure.lua")

local job = measure.job(arg)
local figures = measure.figures()
local LINE = "ping 0123456789 abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRS"
local WIRE_LENGTH = #LINE + 2
local per_connection = math.floor((job.operations or 0) / job.connections)
local expected = per_connection * job.connections

local addresses = {}
for i = 0, 31 do
  addresses[i] = "127.0.0." .. i + 1
end

local started, open = 0, 0
local session

local function start_connection()
  local addr = addresses[started % 32]
  started = started + 1
  assert(session:connect(addr, job.port))
end

local function start_connections()
  for _ = 1, job.connections do
    start_connection()
  end
end

-- What all workloads share.
local handlers = {
  on_timeout = function()
    figures.errors = figures.errors + 1
  end,
  on_failure = function()
    figures.errors = figures.errors + 1
  end,
}
if job.timeouts == 0 then
  handlers.connect_timeout, handlers.input_timeout = 0, 0
end

local work = {}

function work.storm()
  function handlers.on_success(cheap)
    cheap:send(LINE)
  end
  function handlers.on_input(cheap, record)
    assert(record == LINE)
    figures.operations = figures.operations + 1
    cheap:shutdown()
  end
  function handlers.on_disconnected(_, _, reason)
    assert(reason == "shutdown")
    if started < job.operations then
      start_connection()
    end
  end
  session = tcpmulti.create(handlers)
  measure.begin(figures)
  start_connections()
  tcpmulti.run()
  measure.finish(figures)
  figures.bytes = figures.operations * WIRE_LENGTH
end

function work.pingpong()
  function handlers.on_success(cheap)
    cheap.left = per_connection
    open = open + 1
    if open == job.connections then
      tcpmulti.stop()
    end
  end
  local count = 0
  function handlers.on_input(cheap, record)
    assert(record == LINE)
    count = count + 1
    local left = cheap.left - 1
    cheap.left = left
    if left > 0 then
      cheap:send(LINE)
    elseif count == expected then
      tcpmulti.stop()
    end
  end
  session = tcpmulti.create(handlers)
  start_connections()
  tcpmulti.run()
  measure.begin(figures)
  for _, cheap in session:connections() do
    cheap:send(LINE)
  end
  tcpmulti.run()
  measure.finish(figures)
  figures.operations, figures.bytes = count, count * WIRE_LENGTH
end

-- Each cheap gets two fields.
function work.idle()
  function handlers.on_initialize(cheap, addr)
    cheap.target = addr
  end
  function handlers.on_success(cheap)
    open = open + 1
    cheap.number = open
    if open == job.connections then
      tcpmulti.stop()
    end
  end
  session = tcpmulti.create(handlers)
  local memory, lua = measure.memory()
  start_connections()
  tcpmulti.run()
  local memory_after, lua_after = measure.memory()
  figures.operations = session:count()
  figures.memory_bytes, figures.lua_bytes = memory_after - memory, lua_after - lua
end

local function run_to_the_end()
  function handlers.on_disconnected(_, _, reason)
    assert(reason == "eof")
  end
  session = tcpmulti.create(handlers)
  measure.begin(figures)
  start_connections()
  tcpmulti.run()
  measure.finish(figures)
end

function work.bulk()
  local bytes = 0
  handlers.filter = "stream"
  function handlers.on_input(_, record)
    bytes = bytes + #record
  end
  run_to_the_end()
  figures.operations, figures.bytes = bytes, bytes
end

function work.lines()
  local count, bytes, last = 0, 0, nil
  function handlers.on_input(_, record)
    assert(record ~= last)
    last = record
    count = count + 1
    bytes = bytes + #record + 2
  end
  run_to_the_end()
  figures.operations, figures.bytes = count, bytes
end

-- Half of the lines without the blaster, half beside it; job.window of them are under way at a
-- time, the connections in turn. An alarm every ALARM_S tells how late deadlines are.
local ALARM_S = 0.01

function work.mixed()
  local now = tcpmulti.now
  local latency, cheaps, sent_at = {}, {}, {}
  local left, under_way, blaster
  local late_s, blast_bytes, alarm_due = 0, 0, nil

  local function send_next()
    if left > 0 then
      local cheap = cheaps[left % job.connections + 1]
      left = left - 1
      sent_at[cheap] = now()
      cheap:send(LINE)
    end
  end
  function handlers.on_success(cheap)
    if blaster then
      cheap:send "blast"
      return
    end
    cheaps[#cheaps + 1] = cheap
    if #cheaps == job.connections then
      tcpmulti.stop()
    end
  end
  local function take_blast(record)
    if blast_bytes == 0 then
      tcpmulti.stop()
    end
    blast_bytes = blast_bytes + #record
  end
  function handlers.on_input(cheap, record)
    if cheap.is_blaster then
      take_blast(record)
      return
    end
    assert(record == LINE)
    figures.operations = figures.operations + 1
    measure.add_latency(latency, now() - sent_at[cheap])
    send_next()
    under_way = under_way - 1
    if under_way == 0 then
      tcpmulti.stop()
    end
  end
  handlers.inline_states = {
    tick = function()
      late_s = math.max(late_s, now() - alarm_due)
      alarm_due = now() + ALARM_S
      session:delay("tick", ALARM_S)
    end,
  }

  local function run_half()
    latency = {}
    left = math.floor(job.operations / 2)
    under_way = left
    for _ = 1, job.window do
      send_next()
    end
    -- not before: what is sent here is sent outside of the loop
    alarm_due = now() + ALARM_S
    session:delay("tick", ALARM_S)
    tcpmulti.run()
    session:delay "tick"
    return measure.percentiles(latency)
  end

  session = tcpmulti.create(handlers)
  start_connections()
  tcpmulti.run()
  measure.begin(figures)
  figures.p50_alone_us, figures.p99_alone_us = run_half()
  blaster = assert(session:connect {
    remote_address = addresses[0],
    remote_port = job.port,
    filter = "stream",
    heap = { is_blaster = true },
  })
  tcpmulti.run()
  figures.p50_beside_us, figures.p99_beside_us = run_half()
  measure.finish(figures)
  figures.late_ms, figures.blast_bytes = late_s * 1000, blast_bytes
  figures.bytes = figures.operations * WIRE_LENGTH
end

work[job.work]()
measure.report(figures)
