-- SPDX-License-Identifier: MIT
-- The files of a job: its output, which may hold results of an earlier run, and those that are
-- written at the end. All are looked at before the first connection.
local io, os = require "io", require "os"
local json = require "tcpmulti.json"
local report = require "tcpmulti.report"
local results = require "tcpmulti.results"
local sinks = require "tcpmulti.results.sink"
local trace = require "tcpmulti.job.trace"
local tcpmulti = require "tcpmulti"
local format = string.format

local files = {}

-- ---- before ----

local ENOENT = 2

-- Gives nil, or a message: the file could not be written. A file that was not there is not there
-- after this either.
local function check_writable(path)
  local existing, _, code = io.open(path, "r")
  local is_new = code == ENOENT
  if existing then existing:close() end
  local file, message = io.open(path, "a")
  if not file then return message end
  file:close()
  if is_new then os.remove(path) end
end

files.open_trace = trace.open

-- Whether summary and report can be written; nil, message.
function files.check_figures(options)
  for _, name in ipairs { "summary", "report" } do
    local message = options[name] and check_writable(options[name])
    if message then return nil, format("--%s: %s", name, message) end
  end
  return true
end

-- Opens the output. Gives a sink; nil, message, errname.
function files.open(options)
  local ok, problem = files.check_figures(options)
  if not ok then return nil, problem end
  return results.open(options.output, { now = tcpmulti.now, resume = options.resume,
    overwrite = options.overwrite })
end

-- Whether what is written to the output is there later: a device or a pipe keeps nothing.
function files.is_kept(path) return path ~= "-" and sinks.is_kept(path) == true end

-- Reads back what an earlier run has written: its targets are not asked again, and count as if they
-- had been asked now. Gives the number of targets that are done; nil, message.
function files.resume(sink, source, total, messages)
  local count, damaged = 0, 0
  local function take(number, record)
    local is_new, message = source:skip(number)
    if message then return message end
    if is_new then
      count = count + 1
      total:add(record)
    end
  end
  local function on_damaged(number)
    damaged = damaged + 1
    messages:damaged(sink.name, number, damaged)
  end
  local lines, message, torn = sink:replay(source.id, take, on_damaged)
  if not lines then return nil, message end
  if torn > 0 then
    messages:say("%s: a torn line was cut off; its target is asked again", sink.name)
  end
  return count
end

-- ---- after ----

-- Gives true; nil, message.
local function write_file(path, text)
  local file, message = io.open(path, "w")
  if not file then return nil, message end
  local ok, closed
  ok, message = file:write(text)
  closed, message = file:close(), message
  if ok and closed then return true end
  return nil, format("%s: %s", path, message or "it could not be written to its end")
end

-- Writes summary and report. extra: the fields of the run. Gives nil, or a message.
function files.write_figures(options, total, extra)
  local problem
  if options.summary then
    local text = json.encode(total:encode(extra)) .. "\n"
    problem = select(2, write_file(options.summary, text))
  end
  if options.report then
    problem = select(2, write_file(options.report, report.html(total, extra))) or problem
  end
  return problem
end

return files
