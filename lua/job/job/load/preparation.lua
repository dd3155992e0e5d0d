-- SPDX-License-Identifier: MIT
-- The steps in front of the first connection of a load, each of which may refuse it.
local io = require "io"
local tcpmulti = require "tcpmulti"
local targets = require "tcpmulti.targets"
local ending = require "tcpmulti.job.ending"
local files = require "tcpmulti.job.files"
local of_jobs = require "tcpmulti.job.preparation"
local requests = require "tcpmulti.job.load.requests"
local settings = require "tcpmulti.job.settings"
local units = require "tcpmulti.units"
local format = string.format

local preparation = {}

local DONE, USAGE = ending.DONE, ending.USAGE
local MAX_NAMED = 10 -- malformed targets

-- The steps, as in job/preparation.lua.

local function check_processes(self)
  if self.is_supervisor then
    return USAGE, "--workers: a load is one process; give parts of it by --shard I/N, and merge "
      .. "their summaries"
  end
end

local function check_times(self)
  if self.options.duration > 0 then return nil end
  return USAGE, "--duration: expected a time above 0"
end

local function name_malformed(self, plan)
  for i = 1, math.min(#plan.malformed, MAX_NAMED) do
    self.messages:malformed(i, plan.malformed[i])
  end
  return USAGE, units.count_of(plan.malformed_count, "malformed target")
end

local function read_targets(self)
  local options, sources = self.options, {}
  if #options.target > 0 then sources[1] = { words = options.target } end
  for _, path in ipairs(options.targets or {}) do sources[#sources + 1] = { path = path } end
  if #sources == 0 then return USAGE, "which server? HOST:PORT" end
  local plan, message = targets.plan(sources, {
    ports = options.ports,
    exclude = options.exclude and #options.exclude > 0 and options.exclude or nil,
    order = "sequential",
    reserved = options.reserved,
  })
  if not plan then return USAGE, message end
  if plan.malformed_count > 0 then return name_malformed(self, plan) end
  if plan.total == 0 then return USAGE, "no target is left" end
  self.plan = plan
end

local function show_plan(self)
  local options, plan = self.options, self.plan
  if not options.dry_run then return nil end
  local host, port = plan:target(0)
  io.stdout:write(format("%s, measured for %g s after %g s, over %.0f connections to %s\n",
    options.rate > 0 and format("%g requests a second", options.rate)
    or "requests as fast as answers come", options.duration, options.warm_up, options.concurrency,
    plan.total == 1 and format("%s port %d", host, port)
    or format("%.0f targets", plan.total)))
  return DONE
end

local function check_files(self)
  local ok, message = files.check_figures(self.options)
  if not ok then return USAGE, message end
end

-- The options of the session: a load's connections have no time of their own, since each request
-- has.
local function session_settings(self)
  local options = setmetatable({ per_host = 0, idle_timeout = 0, total_timeout = 0 },
    { __index = self.options })
  local session = settings.of_session(self.spec, options, self.plan:denied())
  if session.cork == nil then session.cork = options.pipeline > 1 end
  return session
end

local function make_sessions(self)
  self.control = tcpmulti.create {
    on_exception = function(_, message) self:exception(message) end,
  }
  local ok, made = pcall(requests.new, self, session_settings(self), self.spec.load, self.plan,
    self.control)
  if not ok then return USAGE, settings.refusal(tostring(made), self.origins) end
  self.requests = made
end

local steps = { of_jobs.read_options, check_processes, of_jobs.ask_script, check_times,
  of_jobs.read_thresholds, read_targets, show_plan, check_files, of_jobs.open_trace,
  make_sessions }

-- Gives nil, or the exit status of a load that does not begin, after it has said why.
function preparation.prepare(self, args) return of_jobs.prepare(self, args, steps) end

return preparation
