-- SPDX-License-Identifier: MIT
-- The conclusion of a load: thresholds, summary, report, the text for people, warnings about the
-- server and about this machine, and the exit status.
local cli = require "tcpmulti.cli"
local ending = require "tcpmulti.job.ending"
local files = require "tcpmulti.job.files"
local of_jobs = require "tcpmulti.job.conclusion"
local units = require "tcpmulti.units"
local format, max = string.format, math.max

local conclusion = {}

local LATE_MICROSECONDS = 1000 -- the 99th percentile of a machine that was late

-- The seconds in which requests were measured: fewer than wanted if the load was stopped.
local function measured_seconds(self)
  if not self.zero then return 0 end
  return max(0, math.min(self.stopped or self.ended, self.finish) - self.begin)
end

local function load_of(self, seconds)
  local options, counted = self.options, self.figures
  return {
    wanted = options.rate,
    reached = seconds > 0 and self.total.ok / seconds or 0,
    dropped = counted.dropped,
    unfinished = counted:outstanding() + counted.abandoned,
    duration = options.duration,
    warm_up = options.warm_up,
  }
end

local function facts_of(self, args, seconds, thresholds)
  return {
    plan = self.plan.id,
    script = self.name,
    argv = cli.hide_credentials(args),
    part = format("%d/%d", self.part[1], self.part[2]),
    workers = self.worker[2],
    started = self.started,
    seconds = seconds,
    partial = self.reason ~= nil,
    reason = self.reason or "done",
    exceptions = self.exceptions,
    thresholds = thresholds,
  }
end

-- ---- in words ----

-- "12 eof, 3 connect ECONNREFUSED": the most frequent first.
local function list_broken(broken)
  local kinds = {}
  for kind, count in pairs(broken) do
    kinds[#kinds + 1] = { count = count, text = format("%.0f %s", count, kind) }
  end
  table.sort(kinds, function(a, b)
    if a.count == b.count then return a.text < b.text end
    return a.count > b.count
  end)
  for i, kind in ipairs(kinds) do kinds[i] = kind.text end
  return table.concat(kinds, ", ")
end

-- Each gives a sentence, or nil: there is nothing to warn of.
local warnings = {
  function(self)
    local dropped = self.total.load.dropped
    if dropped > 0 and not self.total.us.connect then
      return format("%.0f dropped: no connection was established", dropped)
    elseif dropped > 0 then
      return format("%.0f dropped: %d connections were not enough, or the server is too slow",
        dropped, self.options.concurrency)
    end
  end,
  function(self)
    local broken = list_broken(self.requests.broken)
    if broken ~= "" then return "connections ended and were opened again: " .. broken end
  end,
  function(self)
    if self.total.ok == 0 then return "not one request was answered well" end
  end,
  function(self)
    local late = self.total.us.late:percentile(99)
    if late and late > LATE_MICROSECONDS then
      return format("this machine was late itself: 1 %% of its ticks by %s and more",
        units.show_time(late))
    end
  end,
}

local function tell(self, extra)
  if self.options.quiet then return end
  self.messages:write(self.total:text(extra) .. "\n")
  for _, warning in ipairs(warnings) do
    local text = warning(self)
    if text then self.messages:say("%s", text) end
  end
end

-- Gives the exit status.
function conclusion.conclude(self, args)
  local seconds = measured_seconds(self)
  self.total.attempts = self.requests.opened
  self.total.load = load_of(self, seconds)
  local thresholds, is_over = of_jobs.check_thresholds(self)
  local extra = facts_of(self, args, seconds, thresholds)
  tell(self, extra)
  local problem = files.write_figures(self.options, self.total, extra)
  if problem then self.messages:say("%s", problem) end
  return ending.status {
    has_failed = problem ~= nil,
    exceptions = self.exceptions,
    is_partial = extra.partial,
    can_resume = false,
    signal = self.signal,
    is_over = is_over,
    malformed = 0,
  }
end

return conclusion
