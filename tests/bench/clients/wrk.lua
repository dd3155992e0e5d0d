-- SPDX-License-Identifier: MIT
-- wrk, the usual program to load a server of HTTP: one thread, keep-alive. It works by seconds, not
-- by requests: it gets as many as the requests asked for take at REQUESTS_PER_S, and the figures
-- tell what it did. Its CPU time is the whole of a child that has ended. wrk verifies no
-- certificate. Run by tests/bench/run with luajit; wrk itself loads this file as its
-- script and calls `done`.
local REQUESTS_PER_S = 20000

-- In wrk: one line for the driver's side below.
-- luacheck: globals wrk done
function done(summary)
  local errors = 0
  for _, count in pairs(summary.errors) do
    errors = errors + count
  end
  io.stderr:write(
    ("figures %.0f %.0f %.0f %.6f\n"):format(
      summary.requests,
      summary.bytes,
      errors,
      summary.duration / 1e6
    )
  )
end

if wrk then
  return
end

local measure = dofile((arg[0]:gsub("[^/]*$", "")) .. "measure.lua")
local job = measure.job(arg)
local figures = measure.figures()
local seconds = math.max(1, math.floor(job.operations / REQUESTS_PER_S + 0.5))
local command = "exec wrk -t1 -c%d -d%ds -s '%s' https://127.0.0.1:%d/ 2>&1 >/dev/null"
local pipe = io.popen(command:format(job.connections, seconds, arg[0], job.port))
local text = pipe:read "*a"
pipe:close()
local requests, bytes, errors, duration_s = text:match "figures (%d+) (%d+) (%d+) ([%d.]+)"
if not requests then
  error("wrk said: " .. text, 0)
end
figures.operations, figures.bytes = tonumber(requests), tonumber(bytes)
figures.errors = tonumber(errors)
figures.cpu_user_s, figures.cpu_system_s = measure.children()
figures.wall_s = tonumber(duration_s)
measure.report(figures)
