-- SPDX-License-Identifier: MIT
-- Lines of a pipe with several workers. The supervisor reads them, counts their targets, and deals
-- each line to the worker that owns its host, as "NUMBER:LINE"; "." is the end of all. It reads
-- only as fast as the slowest worker.
local targets = require "tcpmulti.targets"
local floor, format, match = math.floor, string.format, string.match

local dealing = {}

local END = "."
local MOST_WAITING = 65536 -- bytes that may wait for a worker
local LOOK_SECONDS = 0.02

-- ---- the supervisor ----

local Dealer = {}
Dealer.__index = Dealer

-- options: those of targets.stream, for all processes. job: part and worker. Gives a source; nil,
-- message.
function dealing.open(options, job, max_line)
  options.process = nil
  local stream, message = targets.stream(options)
  if not stream then return nil, message end
  return setmetatable({ stream = stream, id = stream.id, job = job, max_line = max_line, lines = 0,
    taken = 0, bad = 0 }, Dealer)
end

local function reject(self, text, message)
  self.bad = self.bad + 1
  self.job.messages:malformed(self.bad, { source = "standard input", line = self.lines,
    text = text, message = message })
end

-- Reads on when all have read.
local function wait(self)
  self.session:stdin(false)
  self.session:delay(function()
    if self.supervisor:queued() > MOST_WAITING / 2 then return wait(self) end
    self.session:stdin(self.on_line, self.max_line)
  end, LOOK_SECONDS)
end

local function deal_line(self, line)
  local list, owner = self.stream:line(line, self.lines)
  if not list then return reject(self, line, owner) end
  local part, parts = self.job.part[1], self.job.part[2]
  if #list == 0 or owner % parts ~= part - 1 then return end
  self.taken = self.taken + #list
  local _, waiting = self.supervisor:send(floor(owner / parts), format("%d:%s", self.lines, line))
  if type(waiting) == "number" and waiting > MOST_WAITING then wait(self) end
end

local function end_all(self)
  self.over = true
  for w = 0, self.job.worker[2] - 1 do self.supervisor:send(w, END) end
end

-- Begins to read.
function Dealer:deal(job, supervisor)
  self.session, self.supervisor = job.control, supervisor
  function self.on_line(_, line, message, errname)
    if job.reason then return self.session:stdin(false) end
    self.lines = self.lines + 1
    if line then return deal_line(self, line) end
    if message then reject(self, "", message) end
    if errname ~= "ETOOLONG" then return end_all(self) end
    self.session:stdin(self.on_line, self.max_line)
  end
  self.session:stdin(self.on_line, self.max_line)
end

function Dealer:total() return self.over and self.taken or nil end

function Dealer:counts()
  return { total = self.taken, duplicates = 0, excluded = self.stream.excluded,
    malformed = self.bad }
end

function Dealer:malformed() return {}, self.bad end

function Dealer:denied() return self.stream:denied() end

-- ---- a worker ----

-- The number and the text of a line that was dealt; nil: the end.
function dealing.take(line)
  local number, text = match(line, "^(%d+):(.*)$")
  if number then return tonumber(number), text end
end

return dealing
