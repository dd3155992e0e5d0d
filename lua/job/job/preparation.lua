-- SPDX-License-Identifier: MIT
-- All that is done, and may be refused, before the first connection of a job.
local io, os = require "io", require "os"
local tcpmulti = require "tcpmulti"
local cli = require "tcpmulti.cli"
local summary = require "tcpmulti.summary"
local connections = require "tcpmulti.job.connections"
local crew = require "tcpmulti.job.crew"
local ending = require "tcpmulti.job.ending"
local files = require "tcpmulti.job.files"
local processes = require "tcpmulti.job.processes"
local settings = require "tcpmulti.job.settings"
local sources = require "tcpmulti.job.sources"
local units = require "tcpmulti.units"
local worker = require "tcpmulti.job.worker"
local format = string.format

local preparation = {}

local EXAMPLES = 5 -- targets that --dry-run shows
local DONE, USAGE, CUT_SHORT = ending.DONE, ending.USAGE, ending.CUT_SHORT

-- The steps. Each gives nil, or the exit status of a job that does not begin, a message and what is
-- shown below it.

local function read_options(self, args)
  local spec = settings.of_command_line(self.spec, self.name)
  local options, origins, usage = cli.parse(spec, args, os.getenv)
  if not options then return USAGE, origins, usage end
  self.options, self.origins = options, origins
  local text = options.help or options.completion or options.print_config
  if text then
    io.stdout:write(text)
    return DONE
  end
  local ok, message = processes.read(self, os.getenv)
  if not ok then return USAGE, message end
  if self.is_worker then self.options.quiet = true end
end

local function ask_script(self)
  local message = self.spec.prepare and self.spec.prepare(self.options)
  message = message or settings.useless(self.spec, self.options, self.origins)
  if message then return USAGE, tostring(message) end
end

local function read_thresholds(self)
  self.thresholds = {}
  for i, text in ipairs(self.options.fail_if or {}) do
    local threshold, message = summary.threshold(text)
    if not threshold then return USAGE, "--fail-if: " .. message end
    self.thresholds[i] = threshold
  end
end

local function read_targets(self)
  local source, message, hint = sources.open(self)
  if not source then return USAGE, message, hint end
  self.source = source
  local malformed, count = source:malformed()
  for i, line in ipairs(malformed) do self.messages:malformed(i, line) end
  if count > 0 and self.options.strict then
    return USAGE, units.count_of(count, "malformed line") .. ", and --strict"
  end
  local hosts = source.hosts
  if hosts and hosts > 0 and hosts < self.processes and not self.is_worker then
    self.messages:say("fewer hosts (%.0f) than processes (%.0f): some have nothing to do", hosts,
      self.processes)
  end
end

local function show_plan(self)
  local source = self.source
  if not self.options.dry_run then return nil end
  local total, counts = source:total(), source:counts()
  if not total then
    io.stdout:write(format("plan %s: lines of standard input\n", source.id))
    return DONE
  end
  io.stdout:write(format("plan %s: %.0f targets, %.0f duplicates, %.0f excluded, %.0f malformed; "
    .. "part %d of %d: %.0f\n", source.id, counts.total, counts.duplicates, counts.excluded,
    counts.malformed, self.part[1], self.part[2], total))
  for _ = 1, EXAMPLES do
    local target = source:next()
    if target then io.stdout:write(format("  %s port %d\n", target.host, target.port)) end
  end
  return DONE
end

local function open_trace(self)
  if not self.options.trace then return nil end
  local path = self.options.trace
  if self.is_supervisor then return nil end
  if self.is_worker then path = format("%s.%d", path, self.worker[1] + 1) end
  local message
  self.trace, message = files.open_trace(path)
  if not self.trace then return USAGE, "--trace: " .. message end
end

local function make_sessions(self)
  local options = settings.of_session(self.spec, self.options, self.source:denied())
  self.control = tcpmulti.create {}
  local ok, made = pcall(connections.new, self, options, self.control)
  if not ok then return USAGE, settings.refusal(tostring(made), self.origins) end
  self.connections = made
  if not self.is_supervisor then return nil end
  made.session:die()
  local command, message = processes.command(self)
  if not command then return USAGE, message end
  self.connections = crew.new(self, command)
end

-- A worker writes to its supervisor. What the output has of its targets is done.
local function open_pipe(self)
  processes.pin(self.part, self.worker)
  worker.resume(self.options.output, self.source)
  self.options.format, self.options.only, self.can_resume = "jsonl", "all", false
  self.sink = worker.open()
  self.messages:use(self.sink.sink)
end

local function open_output(self)
  local options = self.options
  if self.is_worker then return open_pipe(self) end
  local sink, message, errname = files.open(options)
  if not sink then return errname == "EBUSY" and CUT_SHORT or USAGE, message end
  self.sink = sink
  self.can_resume = files.is_kept(options.output) and self.source.skip ~= nil
    and options.format == "jsonl" and options.only == "all"
  if not options.resume or not sink.file then return nil end
  local count
  count, message = files.resume(sink, self.source, self.total, self.messages)
  if not count then return USAGE, message end
  self.before = count
  if count > 0 and not options.quiet then
    self.messages:say("resumed: %.0f of %.0f are done", count, self.source:total())
  end
end

local steps_of_jobs = { read_options, ask_script, read_thresholds, read_targets, show_plan,
  open_trace, make_sessions, open_output }

-- Steps that loads have too.
preparation.read_options, preparation.ask_script = read_options, ask_script
preparation.read_thresholds, preparation.open_trace = read_thresholds, open_trace

-- Gives nil, or the exit status of a job that does not begin, after it has said why. steps: other
-- ones than those of a job.
function preparation.prepare(self, args, steps)
  local status, message, below
  for _, step in ipairs(steps or steps_of_jobs) do
    status, message, below = step(self, args)
    if status then break end
  end
  if message then self.messages:say("%s", message) end
  if below then self.messages:write(below .. "\n") end
  return status
end

return preparation
