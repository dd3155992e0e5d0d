-- SPDX-License-Identifier: MIT
-- Workers on this machine: so many processes of one command, which are started again when they end
-- before they have finished. What a worker writes are lines, told apart by their first character:
--   =LINE      a result line
--   #{JSON}    its status, a few times a second; with finished, the last of all
--   !{JSON}    a message
--   anything   printed by the script
local tcpmulti = require "tcpmulti"
local json = require "tcpmulti.json"
local byte, sub = string.byte, string.sub

local supervisor = {}
local Supervisor = {}
Supervisor.__index = Supervisor

local RESULT, STATUS, MESSAGE = byte "=", byte "#", byte "!"
local MOST_STARTS = 3 -- without a result between them
local USAGE = 2 -- the exit status of a worker that would not start a second time either

-- ---- what a worker writes ----

local function take_status(self, worker, text)
  local status = json.decode(text)
  if not status then return self.on_text(worker.number, "#" .. text) end
  worker.finished = worker.finished or status.finished == true
  self.on_status(worker.number, status)
end

local function take_message(self, worker, text)
  local message = json.decode(text)
  if not message then return self.on_text(worker.number, "!" .. text) end
  self.on_message(worker.number, message)
end

local function take_line(self, worker, line)
  local kind = byte(line)
  if kind == RESULT then
    worker.starts = 0
    self.on_line(worker.number, sub(line, 2) .. "\n")
  elseif kind == STATUS then
    take_status(self, worker, sub(line, 2))
  elseif kind == MESSAGE then
    take_message(self, worker, sub(line, 2))
  else
    self.on_text(worker.number, line)
  end
end

-- ---- starting and ending ----

local start

local function end_worker(self, worker, how)
  self.running = self.running - 1
  worker.child = nil
  if not worker.finished then
    self.incomplete = self.incomplete + 1
    self.on_incomplete(worker.number, how)
  end
  if self.running == 0 then self.on_over(self.incomplete) end
end

local function is_to_start(self, worker, status)
  if worker.finished or self.is_stopping or status == USAGE then return false end
  return worker.starts < MOST_STARTS and self.may_restart(worker.number)
end

local function on_end(self, worker, status, signal)
  local how = { status = status, signal = signal }
  if not worker.finished then self.on_loss(worker.number, how) end
  if not is_to_start(self, worker, status) then return end_worker(self, worker, how) end
  local ok, message = start(self, worker)
  if not ok then
    how.message = message
    end_worker(self, worker, how)
  end
end

-- Gives true; nil, message.
function start(self, worker)
  worker.starts = worker.starts + 1
  local given = { env = {}, on_line = function(_, line) take_line(self, worker, line) end,
    on_end = function(_, status, signal) on_end(self, worker, status, signal) end }
  for i, word in ipairs(self.command) do given[i] = word end
  for name, value in pairs(self.env) do given.env[name] = value end
  given.env.TCPMULTI_WORKER = string.format("%d/%d", worker.number, self.workers)
  local child, message = tcpmulti.child(given)
  if not child then return nil, message end
  worker.child = child
  if self.is_paused then child:pause() end
  return true
end

local function ignore() end

local function always() return true end

-- options: workers, how many; command: a list of words; env: changes to the environment.
-- Functions, of which each gets the number of a worker, from 0 on: on_line(w, line), with its end;
-- on_status(w, table), on_message(w, table), on_text(w, line); on_loss(w, how): it has ended and
-- had not finished; may_restart(w); on_incomplete(w, how): its part stays as it is.
-- on_over(count): all have ended, and so many are incomplete. how: { status =, signal =, message =
-- }. Gives a supervisor; nil, message.
function supervisor.supervise(options)
  local self = setmetatable({ workers = options.workers, command = options.command,
    env = options.env or {}, running = 0, incomplete = 0, list = {} }, Supervisor)
  for _, name in ipairs { "on_line", "on_status", "on_message", "on_text", "on_loss",
    "on_incomplete", "on_over" } do
    self[name] = options[name] or ignore
  end
  self.may_restart = options.may_restart or always
  for number = 0, self.workers - 1 do
    local worker = { number = number, starts = 0 }
    self.list[number] = worker
    local ok, message = start(self, worker)
    if not ok then
      self:kill()
      return nil, message
    end
    self.running = self.running + 1
  end
  return self
end

-- ---- what is asked of it ----

local function each_child(self, f)
  for number = 0, self.workers - 1 do
    local worker = self.list[number]
    if worker and worker.child then f(worker.child) end
  end
end

-- Lets all workers stop in order. None is started again.
function Supervisor:stop()
  self.is_stopping = true
  each_child(self, function(child) child:kill "TERM" end)
end

function Supervisor:kill()
  self.is_stopping = true
  each_child(self, function(child) child:kill "KILL" end)
end

-- Reads nothing more from the workers, which then wait for us.
function Supervisor:pause()
  self.is_paused = true
  each_child(self, function(child) child:pause() end)
end

function Supervisor:resume()
  if not self.is_paused then return end
  self.is_paused = false
  each_child(self, function(child) child:resume() end)
end

-- Writes a line to the standard input of a worker.
function Supervisor:send(number, line)
  local child = self.list[number].child
  return child and child:send(line)
end

-- The most bytes that wait for any worker to read them.
function Supervisor:queued()
  local most = 0
  each_child(self, function(child) most = math.max(most, child:queued()) end)
  return most
end

return supervisor
