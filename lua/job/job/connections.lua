-- SPDX-License-Identifier: MIT
-- The session of a job: its handlers around those of the script, the next target whenever a place
-- is free, and one conclusion for each target. Connections that the script opens besides are the
-- script's own: they have no target, and end with the job.
local tcpmulti = require "tcpmulti"
local attempts = require "tcpmulti.job.attempts"
local handlers = require "tcpmulti.job.handlers"
local tasks = require "tcpmulti.job.tasks"
local verdict = require "tcpmulti.job.verdict"
local format = string.format
local now = tcpmulti.now

local connections = {}
local Connections = {}
Connections.__index = Connections

local CHECK_SECONDS = 0.2

-- Iterates over the connections; a session that has stopped has none.
local function each_connection(self)
  local step, state, first = self.session:connections()
  if not step then return function() end end
  return step, state, first
end

-- ---- conclusions ----

-- The data of the target, the verdict of the script included. Gives ok, error, data.
local function ask_script(self, cheap, ending)
  local ok, problem = verdict.judge(ending, self.spec.eof == "error")
  local outcome = ending.outcome
  if outcome then return ok, problem, outcome.data end
  if not self.spec.result then return ok, problem end
  local good, data, said, message = xpcall(self.spec.result, verdict.traceback, cheap, ok)
  if not good then
    self.job:exception(data)
    return false, verdict.script_error(data)
  end
  ok, problem = verdict.overrule(ok, problem, said, message)
  return ok, problem, data
end

-- Whether the target is attempted again.
local function try_again(self, target, ending)
  local outcome = ending.outcome
  if self.is_stopping or ending.exception or outcome and not outcome.failed then return false end
  if not self.attempts:again(target, ending, now()) then return false end
  if attempts.is_local(ending) then self.job.messages:want(ending) end
  target.addr, target.outcome, target.ending = nil, nil, nil
  return true
end

local function conclude(self, cheap, target, ending)
  if target.is_cut or ending.reason == "die" then
    self.cut = self.cut + 1
  elseif not try_again(self, target, ending) then
    local ok, problem, data = ask_script(self, cheap, ending)
    if problem and attempts.is_local(ending) then problem["local"] = true end
    -- A script may keep what its function text gets.
    local record = self.record or verdict.new_record()
    self.record = nil
    self.job:conclude(verdict.record(record, target, ending, ok, problem, data))
    if not self.spec.text then self.record = record end
    self.source:finish(target)
  end
  if ending.reason == "die" then self.is_stopping = true end
  self:check_end()
end

-- ---- handlers ----

local function on_task_end(self, cheap, target, outcome)
  self.tasks = self.tasks - 1
  target.has_task, target.outcome = false, outcome
  target.is_cut = target.is_cut or self.is_cutting
  if outcome.exception and not target.is_cut then
    target.exception = outcome.exception
    self.job:exception(outcome.exception)
  end
  local ending = target.ending
  if not ending then return end -- the connection ends soon
  ending.outcome, ending.exception = outcome, target.exception
  conclude(self, cheap, target, ending)
end

local function start_task(self, cheap, target)
  local function on_end(outcome) on_task_end(self, cheap, target, outcome) end
  target.has_task = tasks.start(self.session, self.spec.each, cheap, on_end) ~= nil
  if target.has_task then self.tasks = self.tasks + 1 end
end

local function add_success(self, settings)
  local each, handler = self.spec.each, settings.on_success
  function settings.on_success(cheap, fd, addr, port, old_id, id)
    local target = cheap.target
    if target then target.addr = addr end
    if target and each then
      start_task(self, cheap, target)
    elseif handler then
      return handler(cheap, fd, addr, port, old_id, id)
    end
  end
end

local function refuse_size(cheap, most)
  return cheap:fail(format("more than %.0f bytes received", most), "EMSGSIZE")
end

local function add_input(self, settings)
  local handler, most = settings.on_input, self.options.max_bytes
  local received = tcpmulti.received
  function settings.on_input(cheap, record, id)
    if received(cheap) > most then return refuse_size(cheap, most) end
    if handler then return handler(cheap, record, id) end
  end
end

-- Records of tasks do not come by on_input.
local function check_sizes(self)
  for _, cheap in each_connection(self) do
    if cheap.target and cheap:received() > self.options.max_bytes then
      refuse_size(cheap, self.options.max_bytes)
    end
  end
end

local function on_disconnected(self, cheap, reason)
  local target = cheap.target
  if not target then return end
  self.attempts:leave(target)
  local ending = self.ending or verdict.new_ending()
  self.ending = nil
  verdict.ending(ending, cheap, target, reason, now())
  if target.has_task then
    target.ending = ending -- the task concludes
  else
    conclude(self, cheap, target, ending)
    self.ending = ending
  end
end

local function on_exception(self, message, cheap)
  if self.is_pulling then error(message, 0) end -- a fault of this library
  local target = cheap and cheap.target
  if target then target.exception = target.exception or message end
  self.job:exception(message)
end

local function add_handlers(self, settings)
  add_success(self, settings)
  add_input(self, settings)
  handlers.add_disconnected(settings, function(cheap, _, reason)
    on_disconnected(self, cheap, reason)
  end)
  handlers.add_exception(settings, function(message, cheap) on_exception(self, message, cheap) end)
end

-- ---- targets ----

local function pull(self)
  if self.is_stopping then return nil end
  if not self.job:may_begin() then return false end
  local time = now()
  local target, seconds = self.attempts:take(time)
  if target then
    target.begun = time
    self.heap.target = target
    return self.heap, target.host, target.port
  end
  if seconds then self.control:delay(self.more, seconds) end
  self:check_end()
  return false
end

-- settings: options of the session. job: what hears of results, and stops the whole, see job.lua.
-- control: a session that has the job's alarms. Raises what create raises.
function connections.new(job, settings, control)
  local self = setmetatable({ job = job, spec = job.spec, options = job.options,
    source = job.source, control = control, heap = {}, cut = 0, tasks = 0 }, Connections)
  self.attempts = attempts.new(job.options, function() return job.source:next() end)
  add_handlers(self, settings)
  if job.trace then job.trace:wrap(settings) end
  self.session = tcpmulti.create(settings)
  function self.more() self.session:more() end
  return self
end

function Connections:start()
  self.session:connect(function()
    self.is_pulling = true
    local heap, host, port = pull(self)
    self.is_pulling = false
    return heap, host, port
  end)
  if self.spec.each then self.control:every(function() check_sizes(self) end, CHECK_SECONDS) end
end

-- ---- the end ----

local function is_over(self)
  if self.tasks > 0 then return false end
  if self.is_stopping then return self.attempts.open == 0 end
  return self.source.over and self.attempts:is_idle()
end

-- Tells the job, once, that all is done.
function Connections:check_end()
  if self.is_told or not is_over(self) then return end
  self.is_told = true
  self.job:finish()
end

-- No new attempts; those that wait for their turn are given up.
function Connections:stop()
  self.is_stopping = true
  for _, cheap in each_connection(self) do
    if cheap.target and cheap:phase() == "waiting" then
      cheap.target.is_cut = true
      cheap:shutdown()
    end
  end
  self:check_end()
end

-- Ends all that is open, and counts it.
function Connections:cut_all()
  self.is_cutting = true
  for _, cheap in each_connection(self) do
    if cheap.target then cheap.target.is_cut = true end
    cheap:reset()
  end
  self.session:die()
end

return connections
