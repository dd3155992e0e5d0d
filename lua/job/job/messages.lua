-- SPDX-License-Identifier: MIT
-- Messages of a job on standard error beside progress: malformed lines, warnings, errors of the
-- script.
local io = require "io"
local json = require "tcpmulti.json"
local progress = require "tcpmulti.progress"
local system = require "tcpmulti.job.system"
local format, gsub, match = string.format, string.gsub, string.match

local messages = {}
local Messages = {}
Messages.__index = Messages

local MOST_NAMED = 10 -- lines of one kind

local function write(text)
  io.stderr:write(text)
  io.stderr:flush()
end

-- name: of the script, in front of each message.
function messages.new(name) return setmetatable({ name = name, said = {} }, Messages) end

-- mode: that of --progress. Gives the progress.
function Messages:show_progress(mode)
  if mode == "auto" then mode = system.has_terminal() and "line" or "log" end
  self.progress = progress.new { mode = mode, write = write, columns = system.columns() }
  return self.progress
end

function Messages:write(text)
  if self.progress then self.progress:clear() end
  write(text)
end

-- A text from outside, which then does nothing to a terminal.
local function harmless(text)
  if not json.is_utf8(text) then text = gsub(text, "[\128-\255]", "?") end
  return (gsub(gsub(text, "[%z\1-\8\10-\31\127]", "?"), "\194[\128-\159]", "?"))
end

-- A line, made harmless.
function Messages:show(text) self:write(harmless(text) .. "\n") end

function Messages:say(text, ...)
  if select("#", ...) > 0 then text = format(text, ...) end
  self:show(self.name .. ": " .. text)
end

-- A warning that is given once.
function Messages:warn(kind, text)
  if self.said[kind] then return end
  self.said[kind] = true
  self:say(text)
end

-- ---- malformed lines ----

-- number: how many there have been, this one included. line: source, line (its number), text,
-- message.
function Messages:malformed(number, line)
  if number > MOST_NAMED then return end
  self:show(format("%s:%.0f: %s: %s", line.source, line.line, line.text, line.message))
end

-- count: of all.
function Messages:malformed_more(count)
  if count > MOST_NAMED then self:say("%.0f more malformed lines", count - MOST_NAMED) end
end

-- A line of the output file that is none any more.
function Messages:damaged(path, number, count)
  if count <= MOST_NAMED then
    self:say("%s:%d: damaged; its target is asked again", path, number)
  elseif count == MOST_NAMED + 1 then
    self:say("%s: further lines are damaged", path)
  end
end

-- ---- errors of the script ----

-- The first error of each kind, with its traceback.
function Messages:exception(text)
  local kind = gsub(match(text, "^[^\n]*"), "%d+", "0")
  if self.said[kind] then return end
  self.said[kind] = true
  self:write(gsub(text, "[%z\1-\8\11-\31\127]", "?") .. "\n")
end

local remedies = {
  EADDRNOTAVAIL = "no local port is free: give more local addresses by --source, or a lower -c",
  EMFILE = "the limit of open files is reached: raise it by ulimit -n, or give a lower -c",
  ENFILE = "the system has no open files left: give a lower -c",
  EPERM = "this machine does not let the connection out: look at its firewall",
}

local FOREIGN = "a local address that --source gives is none of this machine"

-- A want of this machine: { op =, errname = }.
function Messages:want(ending)
  local remedy = remedies[ending.errname] or "this machine lacks memory: give a lower -c"
  if ending.op == "bind" and ending.errname == "EADDRNOTAVAIL" then remedy = FOREIGN end
  self:warn(ending.errname, format("%s (%s); the attempts are repeated", remedy, ending.errname))
end

return messages
