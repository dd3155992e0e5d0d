-- SPDX-License-Identifier: MIT
-- Ours in Lua, as a user would write it: default options, so the line filter, and timeouts armed.
-- timeouts=0 takes them away, bulk, upload and the blaster take the stream filter; http takes lines
-- and orders the body. tls=FILE has all of them speak TLS, and resume=1 resume sessions. Run by
-- tests/bench/run:
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

-- Under TLS so many are opened at a time, so that a slow machine keeps the timeout.
local HANDSHAKES = 512

local function start_connections()
  for _ = 1, job.tls and math.min(job.connections, HANDSHAKES) or job.connections do
    start_connection()
  end
end

local function start_next()
  if job.tls and started < job.connections then
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
if job.tls then
  handlers.tls = { ca = job.tls, server_name = "peer.test", resumption = job.resume == 1 }
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
    else
      figures.resumed = session:stats().resumed
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
    start_next()
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

-- Under TLS the server's session tickets come after the handshake.
local function settle()
  session:delay("settled", measure.SETTLE_S)
  tcpmulti.run()
end

-- Each cheap gets two fields.
function work.idle()
  function handlers.on_initialize(cheap, addr)
    cheap.target = addr
  end
  function handlers.on_success(cheap)
    start_next()
    open = open + 1
    cheap.number = open
    if open == job.connections then
      tcpmulti.stop()
    end
  end
  handlers.inline_states = {
    settled = function()
      tcpmulti.stop()
    end,
  }
  session = tcpmulti.create(handlers)
  local memory, lua = measure.memory(job.tls)
  start_connections()
  tcpmulti.run()
  if job.tls then
    settle()
  end
  local memory_after, lua_after = measure.memory(job.tls)
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
  handlers.on_success = start_next
  handlers.filter = "stream"
  function handlers.on_input(_, record)
    bytes = bytes + #record
  end
  run_to_the_end()
  figures.operations, figures.bytes = bytes, bytes
end

-- The next batch is sent when the one before is in the kernel, so no more than one is queued. The
-- server says how many bytes it got.
function work.upload()
  local source = ("\0"):rep(measure.BATCH)
  local sent, received = 0, 0
  handlers.filter = "stream"
  local function send_next(cheap)
    if cheap.left == 0 then
      return
    end
    local batch = cheap.left < #source and source:sub(1, cheap.left) or source
    assert(cheap:send(batch))
    sent = sent + #batch
    cheap.left = cheap.left - #batch
    if cheap.left == 0 then
      cheap:shutdown "output"
    end
  end
  function handlers.on_success(cheap)
    cheap.left = per_connection
    send_next(cheap)
  end
  handlers.on_flushed = send_next
  function handlers.on_input(_, receipt)
    received = received + assert(tonumber(receipt))
  end
  run_to_the_end()
  figures.operations, figures.bytes = sent, received
end

-- The empty line behind the headers orders the body, by the length that they say.
function work.http()
  local request = "GET / HTTP/1.1\r\nHost: peer.test\r\n\r\n"
  local count, bytes = 0, 0
  handlers.output_filter = "stream"
  function handlers.on_success(cheap)
    cheap.left = per_connection
    cheap:send(request)
  end
  local function take_body(cheap, body)
    assert(body == LINE .. "\r\n")
    cheap.length = nil
    count, bytes = count + 1, bytes + #body
    cheap.left = cheap.left - 1
    if cheap.left > 0 then
      cheap:send(request)
    else
      cheap:shutdown()
    end
  end
  local function take_header(cheap, line)
    bytes = bytes + #line + 2
    if line == "" then
      cheap:take(cheap.announced)
      cheap.length = cheap.announced
      return
    end
    local length = line:match "^[Cc]ontent%-[Ll]ength:%s*(%d+)"
    cheap.announced = length and tonumber(length) or cheap.announced
  end
  function handlers.on_input(cheap, record)
    if cheap.length then
      take_body(cheap, record)
    else
      take_header(cheap, record)
    end
  end
  function handlers.on_disconnected(_, _, reason)
    assert(reason == "shutdown")
  end
  session = tcpmulti.create(handlers)
  measure.begin(figures)
  start_connections()
  tcpmulti.run()
  measure.finish(figures)
  figures.operations, figures.bytes = count, bytes
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

-- Of each line seven bytes are ordered, the rest is the next record.
function work.exact()
  local count, bytes, in_line = 0, 0, false
  local function order(cheap)
    cheap:take(7)
  end
  handlers.on_success = order
  function handlers.on_input(cheap, record)
    bytes = bytes + #record
    in_line = not in_line
    if not in_line then
      count = count + 1
      bytes = bytes + 2
      order(cheap)
    end
  end
  run_to_the_end()
  figures.operations, figures.bytes = count, bytes
end

-- So many alarms at a time as there would be connections, each set anew when it goes off.
function work.sleep()
  local count = 0
  local function go_off(_, left)
    count = count + 1
    if left > 1 then
      session:delay_set("go_off", 0.001, left - 1)
    end
  end
  handlers.inline_states = { go_off = go_off }
  session = tcpmulti.create(handlers)
  measure.begin(figures)
  for _ = 1, job.connections do
    session:delay_set("go_off", 0.001, per_connection)
  end
  tcpmulti.run()
  measure.finish(figures)
  figures.operations = count
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

-- The first line that each target sends unasked, of which up to 256 bytes are kept; each host is a
-- target once. What a job does besides, measured by tcpmulti_job.lua, is more than this.
function work.banner()
  local bytes = 0
  handlers.filter, handlers.max_connections = "stream", job.connections
  function handlers.on_success(cheap)
    cheap.banner = ""
  end
  function handlers.on_input(cheap, input)
    bytes = bytes + #input
    cheap.banner = (cheap.banner .. input):sub(1, measure.BANNER)
    if cheap.banner:find("\n", 1, true) or #cheap.banner == measure.BANNER then
      cheap:shutdown()
    end
  end
  function handlers.on_disconnected(_, _, reason)
    assert(reason == "shutdown")
    figures.operations = figures.operations + 1
  end
  local function next_target()
    if started < job.operations then
      started = started + 1
      return {}, measure.host(started), job.port
    end
  end
  session = tcpmulti.create(handlers)
  measure.begin(figures)
  session:connect(next_target)
  tcpmulti.run()
  measure.finish(figures)
  figures.bytes = bytes
end

work[job.work]()
measure.report(figures)
