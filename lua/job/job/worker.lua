-- SPDX-License-Identifier: MIT
-- A job as one of several workers: its results, its figures and its messages go to the supervisor,
-- by lines of standard output (see fleet/supervisor.lua). Its figures are those of the lines since
-- its last status, so that the supervisor has to read no line.
local io = require "io"
local json = require "tcpmulti.json"
local results = require "tcpmulti.results"
local summary = require "tcpmulti.summary"
local tcpmulti = require "tcpmulti"
local match = string.match

local worker = {}

local STATUS_SECONDS = 0.2

-- ---- messages ----

local function ignore() end

local Messages = {}
Messages.__index = Messages

-- As messages.new, for a supervisor that says all in its own way.
function worker.messages(name)
  return setmetatable({ name = name, said = {}, waiting = {} }, Messages)
end

local function send(self, message)
  local line = "!" .. json.encode(message) .. "\n"
  if self.sink then self.sink:write(line) else self.waiting[#self.waiting + 1] = line end
end

function Messages:say(text, ...)
  if select("#", ...) > 0 then text = string.format(text, ...) end
  send(self, { say = text })
end

function Messages:warn(kind, text)
  if self.said[kind] then return end
  self.said[kind] = true
  send(self, { warn = kind, text = text })
end

function Messages:write(text) send(self, { text = match(text, "^(.-)\n?$") }) end

-- For a worker that does not begin.
function Messages:close()
  self:use(results.open "-")
  self.sink:close()
end

function Messages:exception(text) send(self, { exception = text }) end

function Messages:want(ending)
  if self.said[ending.errname] then return end
  self.said[ending.errname] = true
  send(self, { want = ending.errname, op = ending.op })
end

-- The supervisor has read the targets too, and the output.
Messages.malformed, Messages.malformed_more, Messages.damaged = ignore, ignore, ignore

-- Sends what was said before there was a sink.
function Messages:use(sink)
  self.sink = sink
  for _, line in ipairs(self.waiting) do sink:write(line) end
  self.waiting = {}
end

-- ---- results ----

-- A sink whose lines are marked as results.
local Results = {}
Results.__index = Results

function Results:write(line) return self.sink:write("=" .. line) end
function Results:flush() return self.sink:flush() end
function Results:full() return self.sink:full() end
function Results:close() return self.sink:close(false) end

function worker.open()
  local sink = results.open("-", { now = tcpmulti.now })
  return setmetatable({ sink = sink }, Results)
end

-- Passes over targets of which the output has a line already, of an earlier run or of a worker that
-- was lost.
function worker.resume(path, source)
  local file = path ~= "-" and source.skip and io.open(path, "rb")
  if not file then return end
  for line in file:lines() do
    local record, plan, number = results.parse(line)
    if record and plan == source.id then source:skip(tonumber(number)) end
  end
  file:close()
end

-- ---- status ----

-- Tells how far this worker is.
function worker.tell(job, is_finished)
  local total = job.output.total
  local connections = job.connections
  local status = {
    plan = job.source.id,
    open = connections.attempts.open,
    retries = connections.attempts.retries,
    cut = connections.cut,
    exceptions = job.exceptions,
    reason = job.reason,
    finished = is_finished or nil,
  }
  if total.done > 0 then
    status.summary = total:encode()
    job.output.total = summary.new()
  end
  job.sink.sink:write("#" .. json.encode(status) .. "\n")
  job.output:flush()
end

function worker.begin(job)
  worker.tell(job)
  job.control:every(function() worker.tell(job) end, STATUS_SECONDS)
end

return worker
