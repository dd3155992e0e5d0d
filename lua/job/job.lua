-- SPDX-License-Identifier: MIT
-- Whole jobs: targets, limits, results, progress, figures and an exit status around the handlers of
-- an ordinary session. job.main { … } is a complete program. The parts are in job/.
local os = require "os"
local load = require "tcpmulti.job.load"
local requests = require "tcpmulti.job.load.requests"
local conclusion = require "tcpmulti.job.conclusion"
local ending = require "tcpmulti.job.ending"
local preparation = require "tcpmulti.job.preparation"
local processes = require "tcpmulti.job.processes"
local running = require "tcpmulti.job.running"
local settings = require "tcpmulti.job.settings"
local system = require "tcpmulti.job.system"
local globals = require "_G"

-- options: what was parsed, from the beginning of a job on. worker: this process, from 0 on, and
-- the number of processes; part: this part, from 1 on, and the number of parts.
local job = { options = {}, worker = { 0, 1 }, part = { 1, 1 } }

local has_run = false -- a job has begun in this process

-- The exit status of a job that does not begin. A worker ends with it.
local function give_up(self, status)
  if not self.is_worker then return status end
  self.messages:close()
  os.exit(status)
end

-- Runs the job, whose standard output is for results: what the script prints is a message.
local function run_printing(self)
  local print, messages = globals.print, self.messages
  function globals.print(...)
    local words = { ... }
    for i = 1, select("#", ...) do words[i] = tostring(words[i]) end
    messages:write(table.concat(words, "\t") .. "\n")
  end
  local ok, message = pcall(self.run, self)
  globals.print = print
  if not ok then error(message, 0) end
end

-- Gives the exit status, the summary, and the signal that ended the job, if one did.
local function run(spec, args)
  settings.check(spec)
  args = args or globals.arg or {}
  if spec.load then
    return load.run(spec, (globals.arg or {})[0], args, function(self)
      job.options = self.options or {}
      job.part, job.worker = self.part or job.part, self.worker or job.worker
    end)
  end
  local self = running.new(spec, (globals.arg or {})[0])
  self.is_first = not has_run
  has_run = true
  local status = preparation.prepare(self, args)
  job.options = self.options or {}
  job.part, job.worker = self.part or job.part, self.worker or job.worker
  if status then return give_up(self, status) end
  processes.forget_worker()
  run_printing(self)
  if self.is_worker then os.exit(ending.of_worker(self)) end
  status = conclusion.conclude(self, args)
  return status, self.total, self.signal
end

-- Runs a job to its end. args: words of a command line; default: those of the script. Gives the
-- exit status and the summary; no summary: the job has not begun.
function job.run(spec, args)
  local status, total = run(spec, args)
  return status, total
end

-- Runs a job as a program: the process ends with the status, or by the signal that has ended the
-- job.
function job.main(spec)
  local status, _, signal = run(spec)
  if signal and status == system.status_of(signal) then system.die(signal) end
  os.exit(status)
end

-- In a load: the oldest request of the connection is answered. ok: whether well, by default true;
-- kind: a text for the count of bad answers.
job.reply = requests.reply

-- In a load that waits for the script: what had to be done before the first request is done.
job.ready = requests.ready

return job
