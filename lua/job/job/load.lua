-- SPDX-License-Identifier: MIT
-- Loads: requests at a rate, whether or not earlier ones have been answered, and two latencies of
-- each: the response, from when the schedule wanted the request, and the service, from when it was
-- sent. A job whose table has `load` is one.
--
-- The schedule has ticks of 1 ms. A request belongs to the first tick that is not before its exact
-- time, and its response runs from when that tick was due, so that the grain adds nothing. The
-- lateness of the ticks themselves is measured too.
local tcpmulti = require "tcpmulti"
local summary = require "tcpmulti.summary"
local conclusion = require "tcpmulti.job.load.conclusion"
local ending = require "tcpmulti.job.ending"
local figures = require "tcpmulti.job.load.figures"
local messages = require "tcpmulti.job.messages"
local preparation = require "tcpmulti.job.load.preparation"
local running = require "tcpmulti.job.running"
local schedule = require "tcpmulti.job.load.schedule"
local system = require "tcpmulti.job.system"
local collectgarbage = require "_G".collectgarbage
local floor, match = math.floor, string.match
local now = tcpmulti.now

local load = {}
local Load = {}
Load.__index = Load

local TICK_SECONDS = 0.001
local GARBAGE = 400 -- per cent of memory before the collector works; all of it is garbage at once
local LOOK_SECONDS = 0.1 -- between two looks for requests without an answer

-- Fields. spec, options, origins, thresholds: what the script and the user want. plan, requests,
-- figures, schedule, messages, trace: the parts. total: the summary. control: the session of
-- signals, alarms and ticks. tick: the number of the last one; zero: the time at which tick 0 was
-- due. begin, finish: the times between which all is measured, and the ticks of both: first, last;
-- last is not measured. exceptions: errors in the script. reason: why the load was stopped; nil: it
-- was not.
local function new(spec, script)
  local name, total = spec.name or script and match(script, "[^/]+$") or "load", summary.new()
  return setmetatable({ spec = spec, name = name, exceptions = 0, tick = 0,
    messages = messages.new(name), total = total,
    figures = figures.new(total, system.time() - now()) }, Load)
end

-- ---- for the requests ----

-- Without a schedule: whether a request may begin now.
function Load:may_begin(time) return time < self.finish and not self.reason end

-- A request begins now, so it is due now. Negative: it is not measured.
function Load:begin_at(time)
  if time < self.begin then return -time end
  self.figures.arrivals = self.figures.arrivals + 1
  return time
end

function Load:exception(text)
  self.exceptions = self.exceptions + 1
  self.messages:exception(text)
  if self.exceptions == self.options.max_exceptions then self:stop "exceptions" end
end

-- ---- ticks ----

-- Requests are wanted whose exact time is this tick's or earlier.
local function start_due(self, tick)
  local offset = tick * TICK_SECONDS
  local warm_up, duration = self.options.warm_up, self.options.duration
  local due, arrival = self.zero + offset, self.schedule:take(offset)
  while arrival do
    local is_measured = arrival >= warm_up and arrival < warm_up + duration
    if is_measured then self.figures.arrivals = self.figures.arrivals + 1 end
    self.requests:start(is_measured and due or -due)
    arrival = self.schedule:take(offset)
  end
end

-- Gives up requests that were wanted before this time and still wait; name: the figure that counts
-- them.
local function give_up(self, time, name)
  local due = self.requests:drop(time)
  while due do
    if due > 0 then self.figures[name] = self.figures[name] + 1 end
    due = self.requests:drop(time)
  end
end

-- Ends the load once all requests are over, or have had their time.
local function check_end(self, time)
  if not self.reason and self.tick < self.last then return end
  self.limit = self.limit or time + self.options.grace
  if self.figures:outstanding() == 0 or time >= self.limit then self:close() end
end

local function on_one_tick(self, tick, time)
  self.tick = tick
  if tick >= self.first and tick < self.last then
    self.figures.late:record((time - self.zero - tick * TICK_SECONDS) * 1e6)
  end
  if self.schedule and tick <= self.last and not self.reason then start_due(self, tick) end
end

-- count: ticks since the last call.
local function on_ticks(self, count)
  local time = now()
  for tick = self.tick + 1, self.tick + count do on_one_tick(self, tick, time) end
  give_up(self, time - self.options.max_backlog, "dropped")
  self.figures:add_up()
  check_end(self, time)
end

-- ---- the whole ----

-- No new requests; open ones have the grace.
function Load:stop(reason)
  if self.reason then return end
  self.reason, self.stopped = reason, now()
  if not self.zero then return self:close() end
  give_up(self, math.huge, "abandoned")
end

-- The process ends now.
function Load.abandon() end

function Load:close()
  if self.is_finished then return end
  self.is_finished = true
  self.figures:add_up()
  self.ended = now()
  local stats = self.requests.session:stats()
  self.total["in"], self.total.out = stats.received, stats.sent
  self.requests:close()
  self.control:die()
end

local function show_progress(self)
  local shown = self.messages:show_progress(self.options.quiet and "none" or self.options.progress)
  if shown.interval == math.huge then return end
  local options, total = self.options, self.total
  local wanted = options.rate > 0 and options.rate * options.duration or nil
  self.control:every(function()
    shown:update(now(), { done = total.done, total = wanted, ok = total.ok, failed = total.failed,
      open = self.requests.alive, errors = total.errors })
  end, shown.interval)
end

local function start(self)
  local options = self.options
  self.first = floor(options.warm_up / TICK_SECONDS + 0.5)
  self.last = self.first + floor(options.duration / TICK_SECONDS + 0.5)
  if options.rate > 0 then
    self.schedule = schedule.new(options.rate, options.arrivals, options.seed, self.process,
      self.processes)
  end
  self.requests:open_all()
  self.zero = now()
  self.begin = self.zero + options.warm_up
  self.finish = self.begin + options.duration
  self.control:every(function(_, _, count) on_ticks(self, count) end, TICK_SECONDS)
  on_one_tick(self, 0, self.zero)
  if options.idle_timeout > 0 then
    self.control:every(function() self.requests:end_silent(now() - options.idle_timeout) end,
      LOOK_SECONDS)
  end
end

-- Raises an error that has ended the loop.
local function run(self)
  self.started = system.time()
  ending.watch(self, self.control)
  show_progress(self)
  running.start_in_time(self, start)
  local pause = collectgarbage("setpause", GARBAGE)
  local ok, message = pcall(tcpmulti.run)
  if ok and not self.is_finished then
    self:stop "script"
    self:close()
    ok, message = pcall(tcpmulti.run)
  end
  collectgarbage("setpause", pause)
  if self.trace then self.trace:close() end
  self.messages.progress:clear()
  if not ok then error(message, 0) end
end

-- Gives the exit status, the summary, and the signal that has ended the load, if one did; no
-- summary: the load has not begun. on_options(load): its options are parsed.
function load.run(spec, script, args, on_options)
  local self = new(spec, script)
  local status = preparation.prepare(self, args)
  on_options(self)
  if status then return status end
  run(self)
  return conclusion.conclude(self, args), self.total, self.signal
end

return load
