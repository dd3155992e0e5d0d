-- SPDX-License-Identifier: MIT
-- The requests of a load and their connections. Connections are kept open, each to one of the
-- targets in turn; one that breaks is opened again. A connection has at most so many requests
-- under way, and their answers come in the order of the requests.
local tcpmulti = require "tcpmulti"
local ring = require "tcpmulti.job.load.ring"
local verdict = require "tcpmulti.job.verdict"
local abs = math.abs
local now = tcpmulti.now
local send = tcpmulti.send

local requests = {}
local Requests = {}
Requests.__index = Requests

local REOPEN_SECONDS = 0.1
local LINK = {} -- the field of a cheap with its connection

-- Reasons why nothing can be sent that are no fault of the request.
local ends_sending = { ESHUTDOWN = true, ESTALE = true }

-- Fields of a connection. owner: the requests it is one of. number: among them. cheap. is_alive: it
-- has succeeded. is_open: it takes requests. is_queued: it is in the queue of those that may take
-- one more. count: requests under way; first: the place of the oldest. due, sent: by place, the
-- time at which the request was wanted, negative if the request is not measured, and the time at
-- which it was sent.

-- ---- sending ----

-- Whether the connection takes a request now. If not, it takes none any more: it is shutting down,
-- or the request cannot be sent, which is told.
local function send_request(self, connection)
  local request = self.request
  if not self.is_constant then request = request(connection.cheap) end
  local ok, message, errname = send(connection.cheap, request)
  if ok then return true end
  connection.is_open = false
  if not ends_sending[errname] then
    self.load.messages:warn(errname, "a request was refused: " .. message)
  end
  return false
end

-- Sends a request. due: as in a connection. Where that is impossible the request waits.
local function launch(self, connection, due, time)
  if not send_request(self, connection) then
    self.backlog:push(due)
    return
  end
  local place = connection.first + connection.count
  if place > self.pipeline then place = place - self.pipeline end
  connection.due[place], connection.sent[place] = due, time
  connection.count = connection.count + 1
end

local function enqueue(self, connection)
  if connection.is_queued then return end
  connection.is_queued = true
  self.free:push(connection)
end

-- The connection may take a request: one that waits, or, without a schedule, one more.
local function go_on(self, connection, time)
  if self.backlog.count > 0 then
    launch(self, connection, self.backlog:pop(), time)
  elseif self.is_closed then
    local due = self.load:begin_at(time)
    if due then launch(self, connection, due, time) end
  else
    enqueue(self, connection)
  end
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
  local connection = take_free(self)
  if not connection then
    self.backlog:push(due)
    return
  end
  connection.is_queued = false
  launch(self, connection, due, now())
  if connection.count < self.pipeline then enqueue(self, connection) end
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
  local time, due = now(), connection.due[place]
  connection.count = count - 1
  connection.first = place < self.pipeline and place + 1 or 1
  if due > 0 then
    if ok == nil or ok then
      self.figures:note(due, connection.sent[place], time)
    else
      self.figures:fail(kind or "answer wrong", time)
    end
  end
  if connection.is_open then go_on(self, connection, time) end
end

-- The script has done what had to be done before the first request.
function requests.ready(cheap)
  local connection = cheap[LINK]
  if not connection then error("job.ready: this is no connection of a load", 2) end
  if connection.is_open then return end
  connection.is_open = true
  local time = now()
  for _ = 1, connection.owner.pipeline do go_on(connection.owner, connection, time) end
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
    due = {}, sent = {} }
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

local function add_success(self, handlers)
  local handler = handlers.on_success
  function handlers.on_success(cheap, fd, addr, port, old_id, id)
    cheap.target.addr = addr
    self.alive = self.alive + 1
    cheap[LINK].is_alive = true
    add_times(self, cheap)
    if handler then handler(cheap, fd, addr, port, old_id, id) end
    if not self.waits_for_script then requests.ready(cheap) end
  end
end

local function add_disconnected(self, handlers)
  local handler = handlers.on_disconnected
  function handlers.on_disconnected(cheap, id, reason)
    local connection = cheap[LINK]
    if handler then
      local good, message = xpcall(handler, verdict.traceback, cheap, id, reason)
      if not good then self.load:exception(message) end
    end
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
end

local function add_exception(self, handlers)
  local handler = handlers.on_exception
  function handlers.on_exception(session, message, cheap)
    self.load:exception(message)
    if handler then return handler(session, message, cheap) end
  end
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
    broken = {}, alive = 0, opened = 0 }, Requests)
  function self.reopen(_, number) open(self, number) end
  add_success(self, settings)
  add_disconnected(self, settings)
  add_exception(self, settings)
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
