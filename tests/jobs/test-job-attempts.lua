-- SPDX-License-Identifier: MIT
-- Which target is attempted next, in made-up time: simulated connections against the limits.
local attempts = require "tcpmulti.job.attempts"
local limits = require "tcpmulti.limits"
local lu = require "luaunit"
local support = require "jobs.support"

local cases = support.cases "JobAttempts"

local function options_of(given)
  local options = { concurrency = 1000, rate = 0, per_host = 0, per_host_rate = 0, per_network = 0,
    retries = 0, retry_delay = 1, retry_on = { "timeout", "reset", "unreachable" } }
  for name, value in pairs(given) do options[name] = value end
  return options
end

-- A list of targets as a source.
local function source_of(list)
  local at = 0
  return function()
    at = at + 1
    return list[at]
  end
end

local function targets_of(hosts, ports)
  local list = {}
  for port = 1, ports do
    for host = 1, hosts do
      list[#list + 1] = { host = "10.0.0." .. host, port = port, network = "10.0.0" }
    end
  end
  return list
end

-- Runs all attempts, each as long as life says. watch(target, now) sees each begin. Gives the time
-- at which the last has ended.
local function simulate(subject, concurrency, life, watch, ended)
  local now, open, ends = 0, 0, limits.heap()
  repeat
    local seconds
    while open < concurrency do
      local target, wait = subject:take(now)
      seconds = wait
      if not target then break end
      watch(target, now)
      open = open + 1
      ends:push(now + life(target), target)
    end
    local due = ends:first()
    local wake = open < concurrency and seconds and now + math.max(seconds, 1e-6)
    now = wake and due and math.min(wake, due) or wake or due or now
    while ends:first() and ends:first() <= now do
      local target = ends:pop()
      open = open - 1
      subject:leave(target)
      if ended then ended(target, now) end
    end
  until open == 0 and subject:is_idle() or now > 1e6
  return now
end

function cases.J28_never_more_of_a_host_or_of_a_network_than_they_may()
  local list = targets_of(16, 100)
  local subject = attempts.new(options_of { per_host = 3, per_network = 16 }, source_of(list))
  local hosts, all, most_of_host, most, count = {}, 0, 0, 0, 0
  simulate(subject, 1000, function() return math.random() end, function(target)
    hosts[target.host], all, count = (hosts[target.host] or 0) + 1, all + 1, count + 1
    most_of_host, most = math.max(most_of_host, hosts[target.host]), math.max(most, all)
  end, function(target)
    hosts[target.host], all = hosts[target.host] - 1, all - 1
  end)
  lu.assertEquals({ most_of_host, most, count }, { 3, 16, #list })
end

function cases.J29_attempts_at_a_host_keep_their_distance()
  local list = targets_of(5, 8)
  local subject = attempts.new(options_of { per_host_rate = 2, per_host = 2 }, source_of(list))
  local last, least, count = {}, math.huge, 0
  local seconds = simulate(subject, 100, function() return math.random() * 2 end,
    function(target, now)
      if last[target.host] then least = math.min(least, now - last[target.host]) end
      last[target.host], count = now, count + 1
    end)
  lu.assertEquals(count, #list)
  lu.assertTrue(least >= 0.5 - 1e-9, least)
  lu.assertTrue(seconds < 12, seconds)
end

function cases.J30_a_silent_host_holds_up_nobody()
  local function run(with_silent)
    local list = {}
    for port = 1, with_silent and 2000 or 0 do
      list[port] = { host = "silent", port = port, network = "a" }
    end
    for host = 1, 100 do
      list[#list + 1] = { host = "host" .. host, port = 1, network = "b" .. host }
    end
    local subject = attempts.new(options_of { per_host = 8, rate = 1000 },
      source_of(list))
    local done, at = 0, nil
    simulate(subject, 1000, function(target) return target.host == "silent" and 5 or 0.5 end,
      function() end, function(target, now)
        if target.host ~= "silent" then done, at = done + 1, now end
      end)
    lu.assertEquals(done, 100)
    return at
  end
  local alone, beside = run(false), run(true)
  lu.assertTrue(beside <= 2 * alone, ("%g s alone, %g s beside"):format(alone, beside))
end

function cases.J26_the_rate_counts_attempts_retries_included()
  local list = targets_of(50, 4)
  local subject = attempts.new(options_of { rate = 100, retries = 1, retry_delay = 0.1 },
    source_of(list))
  local times = {}
  local ending = { reason = "timeout", errname = "ETIMEDOUT", timer = "connect", received = 0 }
  simulate(subject, 1000, function() return 0.05 end,
    function(_, now) times[#times + 1] = now end,
    function(target, now) subject:again(target, ending, now) end)
  lu.assertEquals(#times, 400)
  lu.assertEquals(subject.retries, 200)
  for i = 51, #times do lu.assertTrue(times[i] - times[i - 50] >= 0.49 - 1e-6) end
end

function cases.J32_pauses_before_further_attempts_double_at_random()
  local subject = attempts.new(options_of { retries = 3, retry_delay = 1 },
    source_of { { host = "a", port = 1, network = "a" } })
  local ending = { reason = "timeout", errname = "ETIMEDOUT", timer = "connect", received = 0 }
  local begun, ended = {}, {}
  simulate(subject, 10, function() return 5 end, function(_, now) begun[#begun + 1] = now end,
    function(target, now)
      ended[#ended + 1] = now
      subject:again(target, ending, now)
    end)
  lu.assertEquals(#begun, 4)
  for k = 1, 3 do
    local pause = begun[k + 1] - ended[k]
    lu.assertTrue(pause >= 0 and pause <= 2 ^ (k - 1), ("pause %d: %g s"):format(k, pause))
  end
end

for _, row in ipairs {
  { "a refusal", { reason = "failure", errname = "ECONNREFUSED" }, {}, false },
  { "a refusal that was asked for", { reason = "failure", errname = "ECONNREFUSED" },
    { retry_on = { "refused" } }, true },
  { "a reset", { reason = "error", errname = "ECONNRESET" }, {}, true },
  { "a reset behind the first byte", { reason = "error", errname = "ECONNRESET", received = 1 }, {},
    false },
  { "an unreachable network", { reason = "failure", errname = "ENETUNREACH" }, {}, true },
  { "an idle timeout", { reason = "timeout", errname = "ETIMEDOUT", timer = "idle" }, {}, true },
  { "the total timeout", { reason = "timeout", errname = "ETIMEDOUT", timer = "total" }, {},
    false },
  { "the end by the peer", { reason = "eof", errname = "EOF" }, {}, false },
  { "a verdict of the script", { reason = "error", op = "fail", errname = "ECONNRESET" }, {},
    false },
} do
  local name, ending, options, expected = unpack(row)
  cases["J33_" .. name .. (expected and " is repeated" or " is final")] = function()
    options.retries = 1
    ending.received = ending.received or 0
    local subject = attempts.new(options_of(options), source_of { { host = "a", network = "a" } })
    local target = subject:take(0)
    subject:leave(target)
    lu.assertEquals(subject:again(target, ending, 0), expected)
    if not expected then return end
    lu.assertEquals(subject:take(100), target)
    subject:leave(target)
    lu.assertFalse(subject:again(target, ending, 100))
  end
end

function cases.J34_a_want_of_this_machine_is_tried_five_times_and_counts_as_no_attempt()
  local subject = attempts.new(options_of {}, source_of { { host = "a", network = "a" } })
  local ending = { reason = "failure", errname = "EADDRNOTAVAIL", received = 0 }
  local times, gives_up = {}, false
  simulate(subject, 1, function() return 0 end, function(_, now) times[#times + 1] = now end,
    function(target, now)
      gives_up = not subject:again(target, ending, now)
      lu.assertEquals(target.attempts, gives_up and 1 or 0)
    end)
  lu.assertTrue(gives_up)
  lu.assertEquals(#times, 6)
  for k = 1, 5 do lu.assertAlmostEquals(times[k + 1] - times[k], 0.2 * 2 ^ (k - 1), 1e-6) end
end

support.main(cases)
