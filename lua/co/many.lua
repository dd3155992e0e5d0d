-- SPDX-License-Identifier: MIT
-- Many tasks at once, and again: running them to their end, all, any, each, retry, every.
local shared, tcpmulti, co = ...
local inner = shared.co
local SESSION, APART, OUTCOME = inner.SESSION, inner.APART, inner.OUTCOME
local now = tcpmulti.now
local here, start, enter, after_scope = inner.here, inner.start, inner.enter, inner.after_scope
local enter_again, leave = inner.enter_again, inner.leave
local pack, add_traceback, protected = inner.pack, inner.add_traceback, inner.protected
local is_failure, is_cancellation = inner.is_failure, inner.is_cancellation

-- ---- run ----

-- Runs f as a task of the session, and the loop until there is nothing left to do.
function co.run(session, f, ...)
  shared.state_checks.session(session, "run")
  inner.check_function(f, "run")
  if not shared.can_run() then inner.raising(2, tcpmulti.run) end -- raises why
  local task, problem, errname = session:spawn(f, ...)
  if not task then return nil, problem, errname end
  task.name = "main"
  tcpmulti.run()
  local over, outcome = inner.over_as(task), task[OUTCOME]
  if over == "done" then return unpack(outcome, 1, outcome.n) end
  if not over then return nil, "it has not ended", "ECANCELED" end
  if type(outcome) == "string" then return nil, outcome, "ESCRIPT" end
  return co.failure(outcome)
end

-- ---- all, any ----

-- Runs the functions as children of one scope. take(key, results) gives true when no more are
-- wanted.
local function together(task, list, seconds, take)
  local scope = enter(task, seconds)
  scope[inner.CHANGED], scope.over = true, scope.over or inner.cancellation "not wanted any more"
  local function run_child(key, f)
    if take(key, pack(protected(f))) then inner.cancel_scope(scope, scope.over) end
  end
  return after_scope(task, scope, xpcall(function()
    for key, f in pairs(list) do start(task[SESSION], scope, "children", run_child, key, f) end
    return true
  end, add_traceback))
end

local function check_list(list, name)
  if type(list) ~= "table" then
    error(name .. ": a table of functions expected, not " .. shared.describe(list), 3)
  end
  for _, f in pairs(list) do
    if type(f) ~= "function" then
      error(name .. ": a table of functions expected, one of them is " .. shared.describe(f), 3)
    end
  end
end

function co.all(list, seconds)
  check_list(list, "all")
  inner.check_seconds(seconds, "all", 2)
  local results, bad = {}, nil
  local ok, message, errname = together(here "all", list, seconds, function(key, got)
    results[key] = got[1]
    if got[1] == nil and got.n > 1 then bad = bad or got end
    return bad ~= nil
  end)
  if bad then return unpack(bad, 1, bad.n) end
  if not ok then return nil, message, errname end
  return results
end

function co.any(list, seconds)
  check_list(list, "any")
  inner.check_seconds(seconds, "any", 2)
  local best, last
  local ok, message, errname = together(here "any", list, seconds, function(_, got)
    if got[1] == nil then last = got else best = best or got end
    return best ~= nil
  end)
  if best then return unpack(best, 1, best.n) end
  if not ok then return nil, message, errname end
  if last then return unpack(last, 1, last.n) end
  return nil, "nothing to do", "EINVAL"
end

-- ---- each ----

-- A run over targets has: session, scope, source, width, f, on_result, workers, ended, good,
-- bad, and fetching, a semaphore: one worker at a time asks the source, which may wait.

local function source_of(targets)
  if type(targets) == "function" then return targets end
  if type(targets) ~= "table" then
    error("each: a list, or a function that gives targets, expected, not "
      .. shared.describe(targets), 3)
  end
  local at = 0
  return function()
    at = at + 1
    return targets[at]
  end
end

local function tell_result(run, target, ...)
  local value, message = ...
  if value == nil and message ~= nil then run.bad = run.bad + 1 else run.good = run.good + 1 end
  if run.on_result then run.on_result(target, ...) end
end

-- The results of pcall for one target. An error is that target's alone if on_exception hears it.
local function take_result(run, target, ok, ...)
  if ok then return tell_result(run, target, ...) end
  local err = (...)
  if is_failure(err) then
    return tell_result(run, target, nil, err.message, err.errname, err.partial)
  end
  if is_cancellation(err) or not shared.hears_exceptions(run.session) then error(err, 0) end
  shared.report_task(run.session, tostring(err))
  return tell_result(run, target, nil, (string.match(tostring(err), "^[^\n]*")), "ESCRIPT")
end

local function after_fetch(run, ok, target)
  local fetching = run.fetching
  if fetching.waiting[1] then fetching:release() else fetching.count = 1 end
  if not ok then error(target, 0) end
  if target == nil then run.ended = true end
  return target
end

-- nil: there are no more.
local function fetch(task, run)
  if task[APART] and task.broken then error(task.broken, 0) end
  if run.fetching.count == 1 then run.fetching.count = 0 else run.fetching:acquire() end
  if run.ended then return after_fetch(run, true, nil) end
  return after_fetch(run, xpcall(run.source, add_traceback))
end

local function after_target(task, scope, ok, ...)
  local good, err = leave(task, scope, ok, (...))
  if good then return true, ... end
  return false, err
end

local function worker(run)
  local task, scope = inner.current(), nil
  while not run.ended do
    local target = fetch(task, run)
    if target == nil then return end
    if run.workers < run.width and not run.ended then
      run.workers = run.workers + 1
      start(run.session, run.scope, "children", worker, run)
    end
    task.name = target
    scope = enter_again(task, scope)
    take_result(run, target,
      after_target(task, scope, xpcall(run.f, add_traceback, target)))
  end
end

function co.each(targets, width, f, on_result)
  local source = source_of(targets)
  if type(width) ~= "number" or width < 1 then
    error("each: how many at once? A number, 1 or more, expected, not " .. shared.describe(width),
      2)
  end
  inner.check_function(f, "each")
  if on_result ~= nil then inner.check_function(on_result, "each") end
  local me = here "each"
  local scope = enter(me)
  local run = {
    session = me[SESSION],
    scope = scope,
    source = source,
    width = width,
    f = f,
    on_result = on_result,
    workers = 1,
    ended = false,
    good = 0,
    bad = 0,
    fetching = co.semaphore(1),
  }
  return after_scope(me, scope, xpcall(function()
    start(me[SESSION], scope, "children", worker, run)
    inner.end_children(me, scope, true)
    if scope.error then error(scope.error, 0) end
    if me.broken then error(me.broken, 0) end
    return run.good, run.bad
  end, add_traceback))
end

-- ---- retry, every ----

local RETRY = { min = 0.1, max = 30, healthy = 10 } -- seconds
local RETRY_KINDS = {
  min = "number", max = "number", healthy = "number", attempts = "number", on_retry = "function",
}

local function check_retry(options)
  if type(options) ~= "table" then
    error("retry: a table of options expected, not " .. shared.describe(options), 3)
  end
  for key, value in pairs(options) do
    if type(value) ~= RETRY_KINDS[key] then
      error(string.format("retry: %s", RETRY_KINDS[key]
        and string.format("%s must be a %s, not %s", key, RETRY_KINDS[key], shared.describe(value))
        or "unknown option " .. shared.describe(key)), 3)
    end
  end
end

-- Between two attempts passes a random part of min, 2 min, 4 min … at most max seconds; an attempt
-- that has lasted healthy seconds begins that again.
function co.retry(options, f)
  check_retry(options)
  inner.check_function(f, "retry")
  here "retry"
  local min, max = options.min or RETRY.min, options.max or RETRY.max
  local failures, attempt = 0, 0
  while true do
    local began = now()
    attempt = attempt + 1
    local got = pack(inner.as_result(pcall(co.scope, f, attempt)))
    if got[1] ~= nil or got.n < 2 or attempt == options.attempts then
      return unpack(got, 1, got.n)
    end
    if now() - began >= (options.healthy or RETRY.healthy) then failures = 0 end
    local pause = math.min(max, min * 2 ^ failures) * math.random()
    failures = failures + 1
    if options.on_retry then options.on_retry(pause, got[2], got[3], attempt) end
    co.sleep(pause)
  end
end

-- At multiples of seconds from now, missed ones left out, until f gives false.
function co.every(seconds, f, ...)
  if not shared.check.period(seconds) then
    error("every: the time must be a number of seconds above 0, not " .. shared.describe(seconds),
      2)
  end
  inner.check_function(f, "every")
  here "every"
  local args = pack(...)
  return co.daemon(function()
    local began, times = now(), 0
    repeat
      times = math.max(times + 1, math.ceil((now() - began) / seconds))
      co.sleep(math.max(began + times * seconds - now(), 0))
    until f(unpack(args, 1, args.n)) == false
  end)
end
