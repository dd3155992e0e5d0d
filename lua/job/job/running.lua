-- SPDX-License-Identifier: MIT
-- A job while it runs: what its parts tell each other, from the first connection until nothing is
-- open any more.
local math, os = require "math", require "os"
local tcpmulti = require "tcpmulti"
local summary = require "tcpmulti.summary"
local ending = require "tcpmulti.job.ending"
local messages = require "tcpmulti.job.messages"
local output = require "tcpmulti.job.output"
local processes = require "tcpmulti.job.processes"
local system = require "tcpmulti.job.system"
local worker = require "tcpmulti.job.worker"
local match = string.match
local now = tcpmulti.now

local running = {}

-- Fields. spec, options, origins: what the script and the user want. source, connections, sink,
-- output, messages, trace: the parts. total: the summary. thresholds: those of --fail-if. control:
-- the session of alarms and signals. before: targets that an earlier run has done. exceptions:
-- errors in the script. reason: why the job was stopped; nil: it was not.
local Job = {}
Job.__index = Job

-- script: the path of the script, or nil.
function running.new(spec, script)
  local name = spec.name or script and match(script, "[^/]+$") or "job"
  local is_worker = processes.worker(os.getenv) ~= nil
  return setmetatable({ spec = spec, name = name, script = script, before = 0, exceptions = 0,
    of_workers = 0, messages = is_worker and worker.messages(name) or messages.new(name),
    total = summary.new() }, Job)
end

-- ---- what the parts tell ----

-- A target is done.
function Job:conclude(record) self.output:add(record) end

function Job:exception(text)
  self.exceptions = self.exceptions + 1
  self.messages:exception(text)
  if self.exceptions == self.options.max_exceptions then self:stop "exceptions" end
end

-- How many errors workers have had in the script.
function Job:count_exceptions(count)
  self.exceptions, self.of_workers = self.exceptions + count - self.of_workers, count
  if self.exceptions >= self.options.max_exceptions then self:stop "exceptions" end
end

function Job:may_begin() return not self.output:is_full() end

-- There is room again, or there are targets.
function Job:go_on() self.connections.more() end

-- No new attempts; what is open may end within the grace.
function Job:stop(reason)
  if self.reason then return end
  self.reason = reason
  self.connections:stop()
  if not self.is_finished then
    self.control:delay(function() self.connections:cut_all() end, self.options.grace)
  end
end

function Job:on_output_failure()
  self.reason = self.reason or "output"
  self.connections:stop()
  self.connections:cut_all()
end

-- The process ends now.
function Job:abandon()
  if self.is_supervisor then self.connections:kill() end
end

-- All that was begun has ended.
function Job:finish()
  self.is_finished = true
  self.connections.session:die()
  self.control:die()
end

-- ---- running ----

local function show_progress(self)
  if self.is_worker then return worker.begin(self) end
  local shown = self.messages:show_progress(self.options.quiet and "none" or self.options.progress)
  if shown.interval == math.huge then return end
  self.control:every(function()
    local total = self.total
    shown:update(now(), { done = total.done, total = self.source:total(), ok = total.ok,
      failed = total.failed, open = self.connections.attempts.open, errors = total.errors })
  end, shown.interval)
end

local function start(self)
  if self.source.start then
    self.source:start(self.control, self.connections.more,
      function(number, line) self.messages:malformed(number, line) end)
  end
  self.connections:start()
end

-- Seconds until the time of --start-at; nil: there is none.
local function seconds_to_start(at)
  if type(at) == "table" then
    local today = os.date "*t"
    at = os.time { year = today.year, month = today.month, day = today.day, hour = at.hour,
      min = at.min, sec = at.sec }
  end
  return at and at - system.time()
end

-- Calls begin(self) at the time of --start-at, or now.
function running.start_in_time(self, begin)
  local seconds = seconds_to_start(self.options.start_at)
  if seconds and seconds > 0 then
    self.control:delay(function() begin(self) end, seconds)
    return
  end
  if seconds and not self.is_worker then
    self.messages:say "the time of --start-at is over: starting now"
  end
  begin(self)
end

-- Runs the loop until the job is finished. A script that stops the loop stops the job.
local function run_loop(self)
  local ok, message = pcall(tcpmulti.run)
  if ok and not self.is_finished then
    self:stop "script"
    ok, message = pcall(tcpmulti.run)
  end
  if ok then return true end
  self.connections.session:die()
  self.control:die()
  return nil, message
end

-- Raises an error that has ended the loop.
function Job:run()
  self.began, self.started = now(), system.time()
  self.output = output.new(self, self.sink, self.control)
  ending.watch(self, self.control)
  show_progress(self)
  running.start_in_time(self, start)
  local ok, message = run_loop(self)
  if self.is_worker then worker.tell(self, true) end
  self.output:close()
  if self.trace then self.trace:close() end
  if self.messages.progress then self.messages.progress:clear() end
  self.seconds = now() - self.began
  if not ok then error(message, 0) end
end

return running
