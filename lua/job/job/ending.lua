-- SPDX-License-Identifier: MIT
-- How a job stops before its time, and its exit status. The first signal stops it in order, as
-- --max-time does: what is open may end by itself within --grace. The second one ends the process.
local system = require "tcpmulti.job.system"

local ending = {}

-- Exit statuses: all is done; an error in the script; usage, input or output that cannot be; a
-- threshold holds; done, but lines were malformed; the output could not be written; cut short, the
-- same command goes on; the reader of standard output has gone.
ending.DONE, ending.SCRIPT, ending.USAGE, ending.THRESHOLD, ending.MALFORMED = 0, 1, 2, 3, 4
ending.OUTPUT, ending.CUT_SHORT, ending.NO_READER = 74, 75, 141

local watched = { "INT", "TERM", "HUP" }

-- ---- signals ----

-- The first signal stops the job, the second one ends the process. A job may be a load.
local function on_signal(job, name)
  if job.signal then
    job:abandon()
    system.die(name)
  end
  job.signal = name
  if not job.options.quiet then
    job.messages:say("stopping within %g s; a second signal ends it at once", job.options.grace)
  end
  job:stop "signal"
end

-- A worker stops when its supervisor says so; what a terminal sends goes to both, and is one wish.
local function watch_supervisor(job, control)
  for _, name in ipairs(watched) do
    control:sig(name, function()
      if name == "TERM" and not job.signal then
        job.signal = name
        job:stop "signal"
      end
    end)
  end
end

function ending.watch(job, control)
  if job.is_worker then return watch_supervisor(job, control) end
  for _, name in ipairs(watched) do
    if not system.ignores(name) then
      control:sig(name, function() on_signal(job, name) end)
    end
  end
  local seconds = job.options.max_time
  if seconds then control:delay(function() job:stop "max_time" end, seconds) end
end

-- ---- the exit status ----

-- Facts of a job that is over. has_failed: its output could not be written. is_partial: targets are
-- left. can_resume: the same command with --resume asks them. is_over: a threshold holds.
function ending.status(facts)
  if facts.has_failed then return ending.OUTPUT end
  if facts.exceptions > 0 then return ending.SCRIPT end
  if facts.is_partial then
    if facts.signal and not facts.can_resume then return system.status_of(facts.signal) end
    return ending.CUT_SHORT
  end
  if facts.is_over then return ending.THRESHOLD end
  if facts.malformed > 0 then return ending.MALFORMED end
  return ending.DONE
end

-- The supervisor has all that a worker has to tell.
function ending.of_worker(job)
  return job.output.errname == "EPIPE" and ending.NO_READER or ending.DONE
end

return ending
