-- SPDX-License-Identifier: MIT
-- The program merge: files of results, or of summaries, become one; its figures, its thresholds and
-- its exit status are those of the whole.
local io, os = require "io", require "os"
local cli = require "tcpmulti.cli"
local ending = require "tcpmulti.job.ending"
local files = require "tcpmulti.job.files"
local merging = require "tcpmulti.fleet.merging"
local messages = require "tcpmulti.job.messages"
local sink = require "tcpmulti.results.sink"
local summary = require "tcpmulti.summary"
local units = require "tcpmulti.units"
local format = string.format

local program = {}

local MOST_NAMED = 10

-- ---- options ----

-- As those of jobs, see cli/options.lua.
local spec = { name = "merge", words = "FILE...",
  about = "One line for each target, from the result files of all parts. Summaries add up.",
  rows = {
    { "Options" },
    { "output", "-o --output", "text", "-", "result lines; may be one of the files",
      metavariable = "FILE" },
    { "expect", "--expect", "count", nil, "how many targets there should be; fewer: exit 75" },
    { "summary", "--summary", "text", nil, "the figures, in JSON", metavariable = "FILE" },
    { "report", "--report", "text", nil, "the figures, in HTML", metavariable = "FILE" },
    { "fail_if", "--fail-if", "list", nil, "exit status 3 if so, as 'p99(connect) > 200ms'",
      metavariable = "EXPR" },
    { "quiet", "-q --quiet", "flag", false, "no figures on standard error" },
    { "help", "-h --help", "flag", false, "this text" },
  } }

local USAGE = "usage: merge [OPTION...] FILE..."

local function ignore() end -- variables of jobs are none of merge's

-- Gives options; nil, message, and what is shown below it.
local function read_options(args)
  local options, message, usage = cli.parse(spec, args, ignore)
  if not options then return nil, message, usage end
  if options.help then return options end
  if not options.target[1] then return nil, "which files?", USAGE end
  options.thresholds = {}
  for i, text in ipairs(options.fail_if) do
    local threshold, problem = summary.threshold(text)
    if not threshold then return nil, "--fail-if: " .. problem end
    options.thresholds[i] = threshold
  end
  return options
end

-- ---- output ----

local Output = {}
Output.__index = Output

-- A file is written beside its place and moved there at the end, so it may be one of those that are
-- merged, and is whole whenever it is there. Devices and pipes are never replaced. Gives nil,
-- message.
local function open_output(path)
  if path == "-" then return setmetatable({ file = io.stdout }, Output) end
  if sink.is_kept(path) == false then
    local device, message = io.open(path, "wb")
    return device and setmetatable({ file = device }, Output), message
  end
  local beside = path .. ".part"
  local file, message = io.open(beside, "wb")
  if not file then return nil, message end
  return setmetatable({ file = file, path = path, beside = beside }, Output)
end

function Output:write(line)
  local ok, message, code = self.file:write(line)
  if ok then return true end
  return nil, message, code == 32 and "EPIPE" or "EIO"
end

function Output:close()
  local ok, message = self.file:flush()
  if not self.path then return ok, message end
  local closed, problem = self.file:close()
  if ok and closed then return os.rename(self.beside, self.path) end
  os.remove(self.beside)
  return nil, message or problem
end

function Output:drop()
  if not self.path then return end
  self.file:close()
  os.remove(self.beside)
end

-- ---- what is told ----

local function list_of(numbers)
  return table.concat(numbers, ", ", 1, math.min(#numbers, MOST_NAMED))
    .. (#numbers > MOST_NAMED and format(" and %d more", #numbers - MOST_NAMED) or "")
end

-- Whether parts of a load are missing. Targets, where there are some, tell more than parts do.
local function lacks_load(merged)
  return merged.summary.load ~= nil and #merged.missing_parts > 0
end

local function tell(say, merged)
  if merged.damaged > 0 then
    say:say("left out: %s", units.count_of(merged.damaged, "damaged line"))
  end
  if #merged.twice > 0 then
    say:say("there are several summaries of part %s: the fullest counts", list_of(merged.twice))
  end
  if merged.missing > 0 then
    local parts = #merged.missing_parts > 0
      and format(": look at part %s of %d", list_of(merged.missing_parts), merged.parts) or ""
    say:say("%.0f of %.0f targets are missing%s", merged.missing, merged.expected, parts)
  elseif lacks_load(merged) then
    say:say("missing or cut short: part %s of %d", list_of(merged.missing_parts), merged.parts)
  end
end

local function check_thresholds(options, total)
  local list, is_over = {}, false
  for i, threshold in ipairs(options.thresholds) do
    local hit, value = threshold.check(total)
    list[i] = { fail_if = threshold.text, value = value, failed = hit }
    is_over = is_over or hit
  end
  return #list > 0 and list or nil, is_over
end

local function conclude(options, merged, say)
  local thresholds, is_over = check_thresholds(options, merged.summary)
  local is_partial = merged.missing > 0 or lacks_load(merged)
  local extra = { plan = merged.plan, script = "merge", part = "1/1", workers = 0,
    seconds = merged.summary:seconds(), partial = is_partial,
    reason = is_partial and "parts" or "done", total = merged.expected,
    thresholds = thresholds }
  if not options.quiet then say:write(merged.summary:text(extra) .. "\n") end
  tell(say, merged)
  local problem = files.write_figures(options, merged.summary, extra)
  if problem then
    say:say("%s", problem)
    return ending.OUTPUT
  end
  if is_partial then return ending.CUT_SHORT end
  return is_over and ending.THRESHOLD or ending.DONE
end

-- Merges as the words say. Gives the exit status.
function program.main(args)
  local say = messages.new "merge"
  local options, message, below = read_options(args)
  local output
  if options and options.help then
    io.stdout:write(options.help)
    return ending.DONE
  end
  if options then output, message = open_output(options.output) end
  if not output then
    say:say("%s", message)
    if below then say:write(below .. "\n") end
    return ending.USAGE
  end
  local merged, why, errname = merging.merge(options.target, function(line)
    return output:write(line)
  end, { expect = options.expect, on_damaged = function(path, number)
    say:say("%s:%.0f: damaged; left out", path, number)
  end })
  if not merged then
    output:drop()
    if errname == "EPIPE" then return ending.NO_READER end
    say:say("%s", why)
    return errname == "EIO" and ending.OUTPUT or ending.USAGE
  end
  local ok, problem = output:close()
  if ok then return conclude(options, merged, say) end
  say:say("%s", problem)
  return ending.OUTPUT
end

return program
