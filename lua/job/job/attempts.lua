-- SPDX-License-Identifier: MIT
-- Which target is attempted next, and when: limits by host, by network and in time, and attempts
-- that are repeated. A host that is full or slow holds up its own targets only. Without a clock and
-- without connections: the time comes in as an argument, in seconds.
local limits = require "tcpmulti.limits"
local random = math.random
local max, min = math.max, math.min

local attempts = {}
local Attempts = {}
Attempts.__index = Attempts

local MOST_WAITING = 1000 -- targets that wait for their host, their network or their time
local MOST_DELAY = 60 -- seconds before a further attempt
local LOCAL_DELAY, LOCAL_TRIES = 0.2, 5

-- Errors that are a want of this machine, and no fault of a target.
local local_wants = { EADDRNOTAVAIL = true, EMFILE = true, ENFILE = true, ENOBUFS = true,
  ENOMEM = true, EPERM = true }

-- The word of --retry-on for each error that may pass.
local passing = { ETIMEDOUT = "timeout", ECONNRESET = "reset", ECONNABORTED = "reset",
  EHOSTUNREACH = "unreachable", ENETUNREACH = "unreachable", ECONNREFUSED = "refused" }

-- Timers after which an attempt is not repeated.
local final_timers = { total = true, shutdown = true }

-- options: concurrency, rate, per_host, per_host_rate, per_network, retries, retry_delay, retry_on.
-- next_target() -> a target with host and network; nil: none now. Fields. ready: targets that have
-- waited and may be asked for again, from first to last. later: targets by the time of their next
-- attempt. held: a target that only waits for the rate. releases: hosts by the time at which their
-- own rate allows another attempt. open: attempts that have begun and not ended.
function attempts.new(options, next_target)
  local retry_on = {}
  for _, word in ipairs(options.retry_on) do retry_on[word] = true end
  return setmetatable({
    options = options,
    next_target = next_target,
    retry_on = retry_on,
    bucket = limits.bucket(options.rate, nil, options.rate_phase),
    hosts = limits.caps(options.per_host),
    networks = limits.caps(options.per_network),
    paced = limits.caps(options.per_host_rate > 0 and 1 or 0),
    gap = options.per_host_rate > 0 and 1 / options.per_host_rate,
    releases = limits.heap(),
    later = limits.heap(),
    ready = {},
    first = 1,
    last = 0,
    most_waiting = max(MOST_WAITING, 4 * options.concurrency),
    open = 0,
    retries = 0,
  }, Attempts)
end

-- ---- which ----

local function make_ready(self, target)
  if not target then return end
  self.last = self.last + 1
  self.ready[self.last] = target
end

local function waiting(self)
  return self.hosts.waiting + self.networks.waiting + self.paced.waiting + self.later.count
    + self.last - self.first + 1
end

-- Hosts that their own rate has held back until now.
local function release(self, now)
  local time = self.releases:first()
  while time and time <= now do
    make_ready(self, self.paced:leave(self.releases:pop()))
    time = self.releases:first()
  end
end

local function candidate(self, now)
  if self.first <= self.last then
    local target = self.ready[self.first]
    self.ready[self.first] = nil
    self.first = self.first + 1
    return target
  end
  local time = self.later:first()
  if time and time <= now then return self.later:pop() end
  if waiting(self) >= self.most_waiting then return nil end
  local target = self.next_target()
  if target then target.taken = now end
  return target
end

-- Whether the target may be attempted as far as its host and network go; else it waits there.
local function has_room(self, target)
  if not self.hosts:has_room(target.host) then
    self.hosts:wait(target.host, target)
  elseif not self.networks:has_room(target.network) then
    self.networks:wait(target.network, target)
  elseif not self.paced:has_room(target.host) then
    self.paced:wait(target.host, target)
  else
    return true
  end
end

-- Seconds until time alone brings another target; nil: it does not.
local function seconds_left(self, now)
  local retry, pace = self.later:first(), self.releases:first()
  if self.paced.waiting == 0 then pace = nil end
  local due = retry and pace and min(retry, pace) or retry or pace
  return due and max(due - now, 0)
end

local function begin(self, target, now)
  self.hosts:enter(target.host)
  self.networks:enter(target.network)
  if self.gap then
    self.paced:enter(target.host)
    self.releases:push(now + self.gap, target.host)
  end
  self.open = self.open + 1
  target.attempts = (target.attempts or 0) + 1
  target.queued = target.queued or now - target.taken
end

-- The target that may be attempted now. Nil, and the seconds after which to ask again, if time
-- alone helps; else something has to end first.
function Attempts:take(now)
  release(self, now)
  local target = self.held
  while not target do
    target = candidate(self, now)
    if not target then return nil, seconds_left(self, now) end
    if not has_room(self, target) then target = nil end
  end
  local allowed, seconds = self.bucket:take(now)
  self.held = not allowed and target or nil
  if not allowed then return nil, seconds end
  begin(self, target, now)
  return target
end

-- An attempt has ended.
function Attempts:leave(target)
  self.open = self.open - 1
  make_ready(self, self.hosts:leave(target.host))
  make_ready(self, self.networks:leave(target.network))
end

-- Whether nothing is under way, and nothing waits.
function Attempts:is_idle()
  return self.open == 0 and not self.held and waiting(self) == 0
end

-- ---- again ----

-- Whether an error is a want of this machine.
function attempts.is_local(ending)
  return ending.reason == "failure" and local_wants[ending.errname] == true
end

local function local_delay(target)
  local tries = target.tries or 0
  if tries == LOCAL_TRIES then return nil end
  target.tries = tries + 1
  target.attempts = target.attempts - 1 -- no attempt has reached the target
  return LOCAL_DELAY * 2 ^ tries
end

local function retry_delay(self, target, ending)
  local word = passing[ending.errname]
  local is_final = ending.op == "fail" or final_timers[ending.timer]
  if is_final or not self.retry_on[word] or target.attempts > self.options.retries then
    return nil
  end
  self.retries = self.retries + 1
  return random() * min(MOST_DELAY, self.options.retry_delay * 2 ^ (target.attempts - 1))
end

-- Whether the target is to be attempted again after this end, as verdict.ending tells it. Then take
-- gives it again when its time has come.
function Attempts:again(target, ending, now)
  if ending.received > 0 or not ending.errname then return false end
  local delay
  if attempts.is_local(ending) then
    delay = local_delay(target)
  else
    delay = retry_delay(self, target, ending)
  end
  if delay then self.later:push(now + delay, target) end
  return delay ~= nil
end

return attempts
