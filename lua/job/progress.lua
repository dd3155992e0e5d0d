-- SPDX-License-Identifier: MIT
-- Tells how far a run is: on a terminal one line that is written again and again, in a log a line
-- now and then, or JSON. The rate is a mean over the last ten seconds or so, and the time that is
-- left follows from it; where the total is not known, no time is claimed.
local json = require "tcpmulti.json"
local units = require "tcpmulti.units"
local exp, floor, format = math.exp, math.floor, string.format

local progress = {}

local MEAN_SECONDS = 10
local COLUMNS = 80
local ERASE = "\r\27[K"

-- Seconds between two lines, by mode.
local intervals = { line = 0.2, log = 10, json = 1, none = math.huge }
local SLACK = 0.01 -- a beat may come that much early

local Progress = {}
Progress.__index = Progress

-- mode: "line" "log" "json" "none". write: f(text). columns: those of the terminal.
function progress.new(options)
  if not intervals[options.mode] then
    error("progress.new: the mode must be line, log, json or none, not "
      .. tostring(options.mode), 2)
  end
  return setmetatable({
    mode = options.mode,
    interval = intervals[options.mode],
    write = options.write,
    columns = options.columns or COLUMNS,
    finished = 0, -- targets and seconds, the older the less they count
    elapsed = 0,
  }, Progress)
end

local function measure(self, now, done)
  local seconds = self.at and now - self.at or 0
  if self.at and seconds <= 0 then return end
  local weight = exp(-seconds / MEAN_SECONDS)
  self.finished = self.finished * weight + (self.at and done - self.done or 0)
  self.elapsed = self.elapsed * weight + seconds
  self.at, self.done = now, done
end

local function rate_of(self) return self.elapsed > 0 and self.finished / self.elapsed or nil end

local function seconds_left(state, rate)
  if state.total and rate and rate > 0 then return (state.total - state.done) / rate end
end

local function most_frequent(errors)
  local top, most = nil, 0
  for kind, count in pairs(errors) do
    if count > most or count == most and kind < top then top, most = kind, count end
  end
  return top, most
end

local function failed_text(state)
  local kind, count = most_frequent(state.errors or {})
  local detail = kind and format(" (%s %s)", units.show_count(count), kind) or ""
  return units.show_count(state.failed) .. " failed" .. detail
end

local function line_of(state, rate, left)
  local parts, done = {}, units.show_count(state.done)
  local function add(text) parts[#parts + 1] = text end
  if state.total and state.total > 0 then
    add(format("%3d %%", floor(100 * state.done / state.total)))
  end
  add(state.total and done .. " of " .. units.show_count(state.total) or done .. " done")
  if rate then add(format(rate < 9.95 and "%.1f/s" or "%.0f/s", rate)) end
  if left then add("ETA " .. units.show_duration(left)) end
  add(units.show_count(state.open) .. " open")
  if state.failed > 0 then add(failed_text(state)) end
  return table.concat(parts, ", ")
end

local function object_of(state, rate, left)
  return json.encode {
    done = state.done,
    total = state.total,
    ok = state.ok,
    failed = state.failed,
    open = state.open,
    errors = state.errors,
    rate = rate and floor(rate * 10 + 0.5) / 10,
    eta = left and floor(left + 0.5),
  }
end

local function is_due(self, now)
  if self.next_at and now < self.next_at - SLACK then return false end
  self.next_at = now + self.interval
  return true
end

-- state: done, ok, failed, open; total, nil if it is not known; errors: counts by kind.
function Progress:update(now, state)
  if self.mode == "none" then return end
  measure(self, now, state.done)
  if not is_due(self, now) then return end
  local rate = rate_of(self)
  local left = seconds_left(state, rate)
  if self.mode == "json" then
    self.write(object_of(state, rate, left) .. "\n")
  elseif self.mode == "log" then
    self.write(line_of(state, rate, left) .. "\n")
  else
    self.write(ERASE .. string.sub(line_of(state, rate, left), 1, self.columns - 1))
    self.is_shown = true
  end
end

-- Erases the line of a terminal, before anything else is written there.
function Progress:clear()
  if not self.is_shown then return end
  self.write(ERASE)
  self.is_shown = false
end

return progress
