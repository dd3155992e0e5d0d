-- SPDX-License-Identifier: MIT
-- The lines of --trace: one for each phase in which the handlers see a connection, with its
-- address, and at its end the reason and the cause.
local io = require "io"
local tcpmulti = require "tcpmulti"
local system = require "tcpmulti.job.system"
local format = string.format

local trace = {}
local Trace = {}
Trace.__index = Trace

-- Not on_eof: a session that has it is told no error at the end of a stream.
local wrapped = { "on_initialize", "on_success", "on_input", "on_flushed", "on_secure",
  "on_failure", "on_error", "on_timeout", "on_disconnected" }

-- Gives a trace; nil, message.
function trace.open(path)
  local file, message = io.open(path, "w")
  if not file then return nil, message end
  return setmetatable({ file = file, phases = setmetatable({}, { __mode = "k" }) }, Trace)
end

local function cause_of(cheap)
  local op, _, message, errname = cheap:cause()
  return op and format(", %s %s, %s", op, errname, tcpmulti.escape(message)) or ""
end

local function note(self, cheap, reason)
  local phase, before = cheap:phase(), self.phases[cheap]
  if phase == before then return end
  self.phases[cheap] = phase
  local numeric = cheap.target and cheap.target.addr
  self.file:write(format("%.3f %.0f %s port %d%s: %s%s%s%s\n", system.time(), cheap:id(),
    tcpmulti.escape(cheap:addr()), cheap:port(), numeric and " at " .. numeric or "",
    before and before .. " -> " or "", phase, reason and ", " .. reason or "",
    reason and cause_of(cheap) or ""))
end

-- Puts itself around the handlers of a session.
function Trace:wrap(handlers)
  for _, name in ipairs(wrapped) do
    local handler = handlers[name]
    local is_last = name == "on_disconnected"
    handlers[name] = function(cheap, ...)
      if is_last then note(self, cheap, (select(2, ...))) end
      if handler then handler(cheap, ...) end
      if not is_last then note(self, cheap) end
    end
  end
end

function Trace:close() self.file:close() end

return trace
