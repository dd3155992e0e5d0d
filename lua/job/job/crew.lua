-- SPDX-License-Identifier: MIT
-- The workers of a job, in the place of its connections: what they tell becomes lines, figures and
-- messages of this process, which opens no connection itself.
local results = require "tcpmulti.results"
local summary = require "tcpmulti.summary"
local fleet = require "tcpmulti.fleet"
local format, gmatch, sub = string.format, string.gmatch, string.sub

local crew = {}
local Crew = {}
Crew.__index = Crew

local PATIENCE = 0.5 -- seconds after the grace, in which workers may end themselves

-- Fields. figures: by worker, what its last status has told. past: the same of workers that were
-- lost. pending: by worker, lines that no status has counted yet.
function crew.new(job, command)
  local self = setmetatable({ job = job, command = command, cut = 0, figures = {}, pending = {},
    past = { cut = 0, retries = 0, exceptions = 0 }, attempts = { open = 0, retries = 0 } }, Crew)
  for w = 0, job.worker[2] - 1 do self.figures[w], self.pending[w] = {}, { count = 0 } end
  function self.more() self:resume() end
  self.session = { die = function() self:kill() end }
  return self
end

-- ---- what workers tell ----

local function on_line(self, w, line)
  if self.is_foreign then return end
  local pending, output = self.pending[w], self.job.output
  local count = pending.count + 1
  pending[count], pending.count = line, count
  output:pass(line)
  if output:is_full() then self.supervisor:pause() end
end

-- Figures of all workers, those that were lost included.
local function add_up(self)
  local open, cut, retries, exceptions = 0, self.past.cut, self.past.retries, self.past.exceptions
  for _, figures in pairs(self.figures) do
    open, cut = open + (figures.open or 0), cut + (figures.cut or 0)
    retries = retries + (figures.retries or 0)
    exceptions = exceptions + (figures.exceptions or 0)
  end
  self.attempts.open, self.attempts.retries, self.cut = open, retries, cut
  self.job:count_exceptions(exceptions)
end

-- A worker has read other targets than this process: nothing of any worker counts any more.
local function refuse(self, w, plan)
  if self.is_foreign then return end
  self.is_foreign = true
  self.job.messages:say("worker %d has other targets, of plan %s and not %s: has a file changed?",
    w + 1, tostring(plan), self.job.source.id)
  self.job:stop "worker"
end

local function on_status(self, w, status)
  if status.plan ~= self.job.source.id then refuse(self, w, status.plan) end
  if self.is_foreign then return end
  self.figures[w] = status
  if status.summary then
    local figures, message = summary.decode(status.summary)
    if not figures then error(message, 0) end
    self.job.total:merge(figures)
    self.pending[w] = { count = 0 }
  end
  add_up(self)
end

local function on_text(self, w, line)
  self.job.messages:show(format("worker %d: %s", w + 1, line))
end

local function on_message(self, w, message)
  local messages = self.job.messages
  if message.exception then
    messages:exception(message.exception)
  elseif message.want then
    messages:want { errname = message.want, op = message.op }
  elseif message.warn then
    messages:warn(message.warn, message.text)
  elseif message.say then
    messages:say("worker %d: %s", w + 1, message.say)
  else
    for line in gmatch(tostring(message.text), "[^\n]+") do on_text(self, w, line) end
  end
end

local function describe(how)
  if how.message then return how.message end
  if how.signal ~= 0 then return format("ended by signal %d", how.signal) end
  return format("ended with exit status %d", how.status)
end

-- Counts the worker's lines that no status has counted, one by one.
local function on_loss(self, w, how)
  for _, line in ipairs(self.pending[w]) do
    local record = results.parse(sub(line, 1, -2))
    if record then self.job.total:add(record) end
  end
  self.pending[w] = { count = 0 }
  local figures = self.figures[w]
  for name, count in pairs(self.past) do self.past[name] = count + (figures[name] or 0) end
  self.figures[w] = {}
  self.lost = how
  add_up(self)
end

-- The next worker finds in the file what the last one has done.
local function may_restart(self, w)
  local job = self.job
  if not job.can_resume or job.reason then return false end
  job.messages:say("worker %d %s; started again", w + 1, describe(self.lost))
  return job.output:flush() ~= false
end

local function on_incomplete(self, w, how)
  local job = self.job
  if job.reason and job.reason ~= "worker" then return end
  job.messages:say("worker %d %s; its part is not complete", w + 1, describe(how))
  self.is_incomplete = true
end

local function on_over(self)
  if self.is_incomplete and not self.job.reason then self.job.reason = "worker" end
  self.job:finish()
end

-- ---- what the job asks ----

local function bind(self, f)
  return function(...) return f(self, ...) end
end

function Crew:start()
  local message
  self.supervisor, message = fleet.supervise {
    workers = self.job.worker[2],
    command = self.command,
    env = { TCPMULTI_INPUT = self.job.source.input_path or false },
    on_line = function(w, line) on_line(self, w, line) end,
    on_status = bind(self, on_status),
    on_message = bind(self, on_message),
    on_text = bind(self, on_text),
    on_loss = bind(self, on_loss),
    may_restart = bind(self, may_restart),
    on_incomplete = bind(self, on_incomplete),
    on_over = bind(self, on_over),
  }
  if self.supervisor then
    if self.job.source.deal then self.job.source:deal(self.job, self.supervisor) end
    return
  end
  self.job.messages:say("a worker cannot be started: %s", message)
  self.job.reason = "worker"
  self.job:finish()
end

-- Lets the workers stop in order, which have the same grace as this process.
function Crew:stop()
  if self.supervisor then return self.supervisor:stop() end
  self.job:finish() -- none has been started yet
end

-- The grace is over: workers cut what is open. Those that do not end by themselves are killed.
function Crew:cut_all()
  if not self.supervisor then return end
  self.job.control:delay(function() self:kill() end, PATIENCE)
end

function Crew:kill()
  if self.supervisor then self.supervisor:kill() end
end

function Crew:resume()
  if self.supervisor then self.supervisor:resume() end
end

return crew
