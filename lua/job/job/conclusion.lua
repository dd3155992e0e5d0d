-- SPDX-License-Identifier: MIT
-- The end of a job, told: thresholds, summary, report, the text for people, and the exit status.
local cli = require "tcpmulti.cli"
local ending = require "tcpmulti.job.ending"
local files = require "tcpmulti.job.files"
local units = require "tcpmulti.units"
local format = string.format

local conclusion = {}

local RESUMABLE = "; the same command with --resume goes on"

-- Whether targets are left.
local function is_partial(self)
  local total = self.source:total()
  return not total or self.total.done < total
end

-- Gives the list for the summary, and whether one of the thresholds holds: of a part that is not
-- the whole, they are only recorded.
function conclusion.check_thresholds(self)
  local list, is_over = {}, false
  for i, threshold in ipairs(self.thresholds) do
    local hit, value = threshold.check(self.total)
    list[i] = { fail_if = threshold.text, value = value, failed = hit }
    is_over = is_over or hit
  end
  return #list > 0 and list or nil, is_over and self.part[2] == 1
end

-- The fields of a summary that the lines do not tell.
local function facts_of(self, args, thresholds)
  return {
    plan = self.source.id,
    script = self.name,
    argv = cli.hide_credentials(args),
    part = format("%d/%d", self.part[1], self.part[2]),
    workers = self.worker[2],
    started = self.started,
    seconds = self.seconds,
    partial = is_partial(self),
    reason = self.reason or "done",
    targets = self.source:counts(),
    total = self.source:total(),
    before = self.before,
    cut = self.connections.cut,
    retries = self.connections.attempts.retries,
    exceptions = self.exceptions,
    thresholds = thresholds,
  }
end

local function say_end(self, extra)
  local messages, failure = self.messages, self.output.failure
  local hint = self.can_resume and RESUMABLE or ""
  messages:malformed_more(extra.targets.malformed)
  if not self.options.quiet then messages:write(self.total:text(extra) .. "\n") end
  if failure then
    messages:say("%s; %.0f whole lines are written%s", failure,
      self.before + self.sink.written, hint)
  elseif extra.partial and not self.options.quiet then
    messages:say("%s done, and not all%s", units.count_of(self.total.done, "target"), hint)
  end
end

-- Gives the exit status.
function conclusion.conclude(self, args)
  local thresholds, is_over = conclusion.check_thresholds(self)
  local extra = facts_of(self, args, thresholds)
  local has_failed = self.output.failure ~= nil
  if self.output.errname == "EPIPE" then return ending.NO_READER end
  say_end(self, extra)
  local problem = files.write_figures(self.options, self.total, extra)
  if problem then self.messages:say("%s", problem) end
  return ending.status {
    has_failed = has_failed or problem ~= nil,
    exceptions = self.exceptions,
    is_partial = extra.partial,
    can_resume = self.can_resume,
    signal = self.signal,
    is_over = is_over,
    malformed = extra.targets.malformed,
  }
end

return conclusion
