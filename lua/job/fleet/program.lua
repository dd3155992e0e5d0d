-- SPDX-License-Identifier: MIT
-- The program merge: files of results, or of summaries, become one; its figures, its thresholds and
-- its exit status are those of the whole.
local io, os = require "io", require "os"
local ending = require "tcpmulti.job.ending"
local files = require "tcpmulti.job.files"
local merging = require "tcpmulti.fleet.merging"
local messages = require "tcpmulti.job.messages"
local sink = require "tcpmulti.results.sink"
local summary = require "tcpmulti.summary"
local format = string.format

local program = {}

local MOST_NAMED = 10
local ABOUT = "One line for each target, from the result files of all parts. Summaries add up."

-- ---- options ----

local function parser_of(argparse)
  local parser = argparse("merge", ABOUT)
  parser:argument("file", "result lines, or summaries"):args "+"
  parser:option("-o --output", "result lines", "-")
  parser:option("--expect", "how many targets there should be; fewer: exit 75"):convert(tonumber)
  parser:option("--summary", "the figures, in JSON")
  parser:option("--report", "the figures, in HTML")
  parser:option("--fail-if", "exit status 3 if so, as 'p99(connect) > 200ms'"):count "*"
  parser:flag("-q --quiet", "no figures on standard error")
  return parser
end

-- Gives options; nil, message.
local function read_options(args)
  local found, argparse = pcall(require, "argparse")
  if not found then return nil, "the package lua-argparse is needed" end
  local ok, options = parser_of(argparse):pparse(args)
  if not ok then return nil, options end
  options.thresholds = {}
  for i, text in ipairs(options.fail_if) do
    local threshold, message = summary.threshold(text)
    if not threshold then return nil, "--fail-if: " .. message end
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

local function tell(say, merged)
  if merged.damaged > 0 then say:say("%.0f damaged lines are left out", merged.damaged) end
  if #merged.twice > 0 then
    say:say("there are several summaries of part %s: the fullest counts", list_of(merged.twice))
  end
  if merged.missing > 0 then
    local parts = #merged.missing_parts > 0
      and format(": look at part %s of %d", list_of(merged.missing_parts), merged.parts) or ""
    say:say("%.0f of %.0f targets are missing%s", merged.missing, merged.expected, parts)
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
  local extra = { plan = merged.plan, script = "merge", part = "1/1", workers = 0,
    seconds = merged.summary:seconds(), partial = merged.missing > 0,
    reason = merged.missing > 0 and "parts" or "done", total = merged.expected,
    thresholds = thresholds }
  if not options.quiet then say:write(merged.summary:text(extra) .. "\n") end
  tell(say, merged)
  local problem = files.write_figures(options, merged.summary, extra)
  if problem then
    say:say("%s", problem)
    return ending.OUTPUT
  end
  if merged.missing > 0 then return ending.CUT_SHORT end
  return is_over and ending.THRESHOLD or ending.DONE
end

-- Merges as the words say. Gives the exit status.
function program.main(args)
  local say = messages.new "merge"
  local options, message = read_options(args)
  local output
  if options then output, message = open_output(options.output) end
  if not output then
    say:say("%s", message)
    return ending.USAGE
  end
  local merged, why, errname = merging.merge(options.file, function(line)
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
