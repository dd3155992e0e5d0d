-- SPDX-License-Identifier: MIT
-- The requests of a load and their connections. Connections are kept open, each to one of the
-- targets in turn; one that breaks is opened again. A connection has at most so many requests
-- under way, and their answers come in the order of the requests.
local tcpmulti = require "tcpmulti"
local handlers = require "tcpmulti.job.handlers"
local ring = require "tcpmulti.job.load.ring"
local abs, min = math.abs, math.min
local now = tcpmulti.now
local send = tcpmulti.send

local requests = {}
local Requests = {}
Requests.__index = Requests

local REOPEN_SECONDS = 0.1
local MOST_AT_ONCE = 256 -- requests of one send
local LINK = {} -- the field of a cheap with its connection

-- Reasons why nothing can be sent that are no fault of the request.
local ends_sending = { ESHUTDOWN = true, ESTALE = true }

-- Fields of a connection. owner: the requests it is one of. number: among them. cheap. is_alive: it
-- has succeeded. is_open: it takes requests. is_queued: it is in the queue of those that may take
-- one more. count: requests under way; first: the place of the oldest. due, sent: by place, the
-- time at which the request was wanted, negative if the request is not measured, and the time at
-- which it was sent. time: when the bytes were read whose records on_input gets; nil: it gets none.
-- answered: answers among these records, whose places are filled behind the last record.

-- ---- sending ----

-- The next requests of the script, in a list that is used again.
local function list_requests(self, cheap, count)
  local list, request = self.list, self.request
  for i = 1, count do list[i] = self.is_constant and request or request(cheap) end
  return list
end

-- Whether the connection takes so many requests now, all in one call. If not, it takes none any
-- more: it is shutting down, or a request cannot be sent, which is told.
local function send_requests(self, connection, count)
  local cheap = connection.cheap
  local ok, message, errname
  if count == 1 then
    ok, message, errname = send(cheap, self.is_constant and self.request or self.request(cheap))
  else
    ok, message, errname = send(cheap, unpack(list_requests(self, cheap, count), 1, count))
  end
  if ok then return true end
  connection.is_open = false
  if not ends_sending[errname] then
    self.load.messages:warn(errname, "a request was refused: " .. message)
  end
  return false
end

local function enqueue(self, connection)
  if connection.is_queued then return end
  connection.is_queued = true
  self.free:push(connection)
end

-- The number of requests, of so many, that may begin now: those that wait, or, without a schedule,
-- as many as there are places.
local function count_wanted(self, places, time)
  if self.is_closed and self.load:may_begin(time) then return places end
  return min(places, self.backlog.count)
end

-- Begins requests in at most so many free places, by one send, which has a limit. Gives their
-- number. Requests leave the backlog once they are sent.
local function begin(self, connection, places, time)
  local count = min(count_wanted(self, places, time), MOST_AT_ONCE)
  if count == 0 or not send_requests(self, connection, count) then return 0 end
  local place = connection.first + connection.count
  for _ = 1, count do
    if place > self.pipeline then place = place - self.pipeline end
    connection.due[place] = self.backlog:pop() or self.load:begin_at(time)
    connection.sent[place] = time
    place = place + 1
  end
  connection.count = connection.count + count
  return count
end

-- The connection has so many free places.
local function fill(self, connection, places)
  local time = now()
  local count = begin(self, connection, places, time)
  while count == MOST_AT_ONCE do
    places = places - count
    count = begin(self, connection, places, time)
  end
  if connection.count < self.pipeline and not self.is_closed then enqueue(self, connection) end
end

-- A connection that may take a request; nil: none may.
local function take_free(self)
  local connection = self.free:pop()
  while connection and not connection.is_open do connection = self.free:pop() end
  return connection
end

-- A request is wanted. due: as in a connection. A connection that has got a request goes to the end
-- of the queue, so that requests are spread over all connections.
function Requests:start(due)
  self.backlog:push(due)
  local connection = take_free(self)
  if not connection then return end
  connection.is_queued = false
  fill(self, connection, 1)
end

-- Gives up a request that was wanted before this time and still waits: gives when it was due; nil:
-- there is none.
function Requests:drop(time)
  local first = self.backlog:first()
  if first and abs(first) < time then return self.backlog:pop() end
end

-- ---- answers ----

-- The oldest request of the connection is answered. ok: whether well, by default true; kind: a text
-- for the count of bad answers.
function requests.reply(cheap, ok, kind)
  local connection = cheap[LINK]
  if not connection then error("job.reply: this is no connection of a load", 2) end
  local self, count, place = connection.owner, connection.count, connection.first
  if count == 0 then return cheap:fail("an answer without a request", "EPROTO") end
  local time, due = connection.time or now(), connection.due[place]
  connection.count = count - 1
  connection.first = place < self.pipeline and place + 1 or 1
  if due > 0 then
    if ok == nil or ok then
      self.figures:note(due, connection.sent[place], time)
    else
      self.figures:fail(kind or "answer wrong", time)
    end
  end
  if connection.time and self.pipeline > 1 then
    connection.answered = connection.answered + 1
  elseif connection.is_open then
    fill(self, connection, 1)
  end
end

-- The last of the records that were read together has been handled.
local function end_batch(self, connection)
  local answered = connection.answered
  connection.time, connection.answered = nil, 0
  if answered > 0 and connection.is_open then fill(self, connection, answered) end
end

-- The script has done what had to be done before the first request.
function requests.ready(cheap)
  local connection = cheap[LINK]
  if not connection then error("job.ready: this is no connection of a load", 2) end
  if connection.is_open then return end
  connection.is_open = true
  local self = connection.owner
  fill(self, connection, self.pipeline - connection.count)
end

-- ---- connections ----

local function kind_of(cheap, reason)
  local op, _, _, errname = cheap:cause()
  return op and op .. " " .. errname or reason
end

-- Requests under way fail with their connection.
local function fail_all(self, connection, kind)
  local time = now()
  for _ = 1, connection.count do
    local place = connection.first
    if connection.due[place] > 0 then self.figures:fail(kind, time) end
    connection.first = place < self.pipeline and place + 1 or 1
  end
  connection.count = 0
end

local function open(self, number)
  if self.is_over then return end
  local host, port = self.plan:target((number - 1) % self.plan.total)
  local connection = { owner = self, number = number, is_open = false, first = 1, count = 0,
    due = {}, sent = {}, answered = 0 }
  self.connections[number] = connection
  self.opened = self.opened + 1
  local cheap = { target = { host = host, port = port } }
  cheap[LINK] = connection
  connection.cheap = self.session:connect(cheap, host, port)
end

local function add_times(self, cheap)
  local _, resolve, connect, proxy, tls = cheap:times()
  local times = { resolve = resolve, connect = connect, proxy = proxy, tls = tls }
  for phase, seconds in pairs(times) do
    if seconds > 0 then self.total:histogram(phase):record(seconds * 1e6) end
  end
end

local function add_success(self, settings)
  local handler = settings.on_success
  function settings.on_success(cheap, fd, addr, port, old_id, id)
    cheap.target.addr = addr
    self.alive = self.alive + 1
    cheap[LINK].is_alive = true
    add_times(self, cheap)
    if handler then handler(cheap, fd, addr, port, old_id, id) end
    if not self.waits_for_script then requests.ready(cheap) end
  end
end

-- All answers of one read have the time of that read.
local function add_input(self, settings)
  local handler, is_pipelined = settings.on_input, self.pipeline > 1
  if not handler then return end
  function settings.on_input(cheap, record, id)
    local connection = cheap[LINK]
    if not connection then return handler(cheap, record, id) end
    connection.time = connection.time or now()
    handler(cheap, record, id)
    if not is_pipelined then connection.time = nil end
  end
  if not is_pipelined then return end
  local batch_handler = settings.on_batch
  function settings.on_batch(cheap, id)
    local connection = cheap[LINK]
    if connection then end_batch(self, connection) end
    if batch_handler then return batch_handler(cheap, id) end
  end
end

local function on_disconnected(self, cheap, reason)
  local connection = cheap[LINK]
  if not connection then return end
  local kind = kind_of(cheap, reason)
  connection.is_open = false
  if connection.is_alive then self.alive = self.alive - 1 end
  if reason == "die" then return end
  self.broken[kind] = (self.broken[kind] or 0) + 1
  fail_all(self, connection, kind)
  if not self.is_over then
    self.control:delay_set(self.reopen, REOPEN_SECONDS, connection.number)
  end
end

local function add_handlers(self, settings)
  add_success(self, settings)
  add_input(self, settings)
  handlers.add_disconnected(settings, function(cheap, _, reason)
    on_disconnected(self, cheap, reason)
  end)
  handlers.add_exception(settings, function(message) self.load:exception(message) end)
end

-- load: says when requests are due, and hears of errors in the script. settings: options of the
-- session. spec: the table load of the script. plan: the targets. control: a session for alarms.
-- Raises what create raises.
function requests.new(load, settings, spec, plan, control)
  local options = load.options
  local self = setmetatable({ load = load, plan = plan, control = control, figures = load.figures,
    total = load.total, request = spec.request, is_constant = type(spec.request) ~= "function",
    waits_for_script = spec.waits, pipeline = options.pipeline, is_closed = options.rate == 0,
    width = options.concurrency, backlog = ring.new(), free = ring.new(), connections = {},
    broken = {}, list = {}, alive = 0, opened = 0 }, Requests)
  function self.reopen(_, number) open(self, number) end
  add_handlers(self, settings)
  if load.trace then load.trace:wrap(settings) end
  self.session = tcpmulti.create(settings)
  return self
end

function Requests:open_all()
  for number = 1, self.width do open(self, number) end
end

-- Ends connections whose oldest request has waited for its answer since before this time.
function Requests:end_silent(time)
  for _, connection in ipairs(self.connections) do
    if connection.count > 0 and connection.sent[connection.first] < time then
      connection.cheap:fail("no answer in time", "ETIMEDOUT")
    end
  end
end

function Requests:close()
  self.is_over = true
  self.session:die()
end

return requests
