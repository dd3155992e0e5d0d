-- SPDX-License-Identifier: MIT
-- Records become result lines and figures. What a record says is counted in the summary whether it
-- gets a line or not.
local json = require "tcpmulti.json"
local tcpmulti = require "tcpmulti"
local results = require "tcpmulti.results"
local verdict = require "tcpmulti.job.verdict"

local output = {}
local Output = {}
Output.__index = Output

-- Lines wait so long at most; while the reader is slow, so long until the next try.
local FLUSH_SECONDS, FULL_SECONDS = 0.2, 0.01
local WORKER_SECONDS = 0.05 -- lines of a worker wait once more, in its supervisor

-- job: hears of errors in the script, and of an output that fails. control: a session for alarms.
function output.new(job, sink, control)
  local self = setmetatable({ job = job, sink = sink, control = control, text = job.spec.text,
    seconds = job.is_worker and WORKER_SECONDS or FLUSH_SECONDS, format = job.options.format,
    only = job.options.only, total = job.total }, Output)
  function self.on_flush()
    self.is_waiting = false
    self:flush()
  end
  return self
end

-- Writes what has waited.
function Output:flush()
  local ok, message, errname = self.sink:flush()
  if not ok then return self:fail(message, errname) end
  if message == "full" then self:flush_later() end
  if self.is_held and not self.sink:full() then
    self.is_held = false
    self.job:go_on()
  end
end

function Output:flush_later()
  if self.is_waiting or self.failure then return end
  self.is_waiting = true
  self.control:delay(self.on_flush, self.sink:full() and FULL_SECONDS or self.seconds)
end

function Output:fail(message, errname)
  if self.failure then return end
  self.failure, self.errname = message, errname
  self.job:on_output_failure()
end

-- Whether the reader is so slow that no target should be begun. Then the job hears when that is
-- over.
function Output:is_full()
  local is_full = self.sink:full()
  self.is_held = self.is_held or is_full
  return is_full
end

-- ---- lines ----

-- The record becomes that of a target on which the script has failed.
local function blame_script(self, record, message)
  self.job:exception(message)
  record.ok, record.error, record.data = false, verdict.script_error(message), nil
end

local function text_of(self, record)
  local good, text = xpcall(self.text, verdict.traceback, record)
  if not good then blame_script(self, record, text) end
  return good and text ~= nil and tcpmulti.escape(tostring(text)) .. "\n" or nil
end

local function line_of(self, record)
  local good, line = pcall(results.line, record)
  if good then return line end
  blame_script(self, record, line)
  return results.line(record)
end

local function is_wanted(self, record)
  return self.only == "all" or (self.only == "ok") == record.ok
end

local function write_line(self, line)
  local ok, message, errname = self.sink:write(line)
  if not ok then return self:fail(message, errname) end
  self:flush_later()
end

-- A line of a worker, with its end, which is in no figure.
function Output:pass(line)
  if self.failure then return end
  if self.format == "jsonl" then
    if self.only == "all" or (self.only == "ok") == results.is_ok(line) then
      write_line(self, line)
    end
    return
  end
  local record = self.text and json.decode(line)
  local text = record and text_of(self, record)
  if text and is_wanted(self, record) then write_line(self, text) end
end

function Output:add(record)
  local line
  if self.format == "jsonl" then
    line = line_of(self, record)
  elseif self.text then
    line = text_of(self, record)
  end
  self.total:add(record)
  if not line or not is_wanted(self, record) or self.failure then return end
  write_line(self, line)
end

-- The rest is written, however long the reader takes; a file is on the disk after that.
function Output:close()
  local ok, message, errname = self.sink:close(true)
  if not ok and not self.failure then self.failure, self.errname = message, errname end
end

return output
