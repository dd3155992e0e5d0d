-- SPDX-License-Identifier: MIT
-- What the tests in behaviour/ and binding/ share. They run inside tcpmulti-lua, so the loop is the
-- one under test: support.run runs it with a limit, and ends a run that hangs. support.record makes
-- a session whose events are written to a log as short texts ("input hello", "error read EOF");
-- support.meet is one whole connection of such a session. Everything that a case makes (sessions,
-- connections, peers) ends with the case. How cases are written: cases.lua.
local lu = require "luaunit"
local peer = require "peer"
local suite = require "cases"
local tcpmulti = require "tcpmulti"

local support = { cases = suite.cases }

local current  -- name of the running case, for messages
local hung     -- whether the watchdog has stopped the loop
local cleanups -- functions to call when the case is over, last one first
local sessions -- sessions made in this case, to be ended with it

---------------------------------------------------------------- cases

-- Calls f when the running case is over, also when the case fails.
function support.finally(f)
  cleanups[#cleanups + 1] = f
end

-- Iterates over the connections of a session. A session that has stopped has none.
function support.connections(session)
  local step, state, first = session:connections()
  if step == nil then return function() end end
  return step, state, first
end

-- Ends what the case has left behind: open connections and pending alarms would disturb the next
-- case.
local function clean_up()
  for i = #cleanups, 1, -1 do
    cleanups[i]()
  end
  local left = false
  for _, session in ipairs(sessions) do
    for _, cheap in support.connections(session) do
      left = true
      tcpmulti.reset(cheap)
    end
    session:die()
  end
  if left or hung then
    pcall(support.run, 5)
  end
end

local function run_case(name, f)
  current, hung, cleanups, sessions = name, false, {}, {}
  local ok, err = xpcall(f, suite.with_traceback)
  local clean, why = pcall(clean_up)
  current = nil
  if not ok then error(err, 0) end
  if not clean then error(why, 0) end
end

-- Whether a case runs now; a file is loaded before its first one.
function support.in_case() return current ~= nil end

-- Runs the cases; the command line is lua-unit's (-o tap, -p pattern).
function support.main(cases) suite.main(cases, run_case) end

---------------------------------------------------------------- the loop

-- tcpmulti.run() with a limit: a loop that does not end in time is a failure of the test, not a
-- hang of the suite. Gives the seconds it took.
function support.run(seconds)
  local guard = tcpmulti.create {
    inline_states = { hang = function() hung = true tcpmulti.stop() end },
  }
  guard:sig("USR2", "hang")
  hung = false
  local start = tcpmulti.now()
  peer.watchdog(seconds or 10, current)
  local ok, err = pcall(tcpmulti.run)
  peer.watchdog(0)
  local took = tcpmulti.now() - start
  guard:die()
  if not ok then error(err, 0) end
  if hung then
    lu.fail(("run() did not return within %g s"):format(seconds or 10))
  end
  return took
end

-- Asserts that something happened at the expected time, in seconds: not earlier (20 ms of tolerance
-- for the clock), and at most `late` seconds later. Default of late: 0.6, for a loaded machine.
function support.at(actual, expected, late, what)
  what = what or "time"
  if actual < expected - 0.02 then
    lu.fail(("%s: %.3f s, expected not before %.3f s"):format(what, actual, expected))
  end
  if actual > expected + (late or 0.6) then
    lu.fail(("%s: %.3f s, expected %.3f s"):format(what, actual, expected))
  end
end

function support.within(actual, low, high, what)
  if actual < low or actual > high then
    lu.fail(("%s: %.3f, expected %.3f to %.3f"):format(what or "value", actual, low, high))
  end
end

-- Calls f after so many seconds, by an alarm in a session of its own. The session under test does
-- not notice the alarm.
function support.after(seconds, f)
  local beside = tcpmulti.create { inline_states = { go = function() f() end } }
  sessions[#sessions + 1] = beside
  beside:delay_set("go", seconds)
  return beside
end

-- Calls f, from the loop, as soon as the condition holds; looks every 5 ms. If that never happens,
-- the limit of support.run ends the wait.
function support.when(condition, f)
  local beside
  beside = tcpmulti.create {
    inline_states = {
      look = function(s)
        if condition() then f() else s:delay_set("look", 0.005) end
      end,
    },
  }
  sessions[#sessions + 1] = beside
  beside:delay_set("look", 0)
end

---------------------------------------------------------------- events

local Log = {}
Log.__index = Log

function Log:add(id, code, text)
  self[#self + 1] = text
  self.times[#self] = tcpmulti.now() - self.start
  if id then
    local one = self.of[id]
    if not one then
      one = { codes = "" }
      self.of[id] = one
      self.ids[#self.ids + 1] = id
    end
    one[#one + 1] = text
    one.codes = one.codes .. code
  end
end

-- Returns a copy of the list of events, to be compared with assertEquals.
function Log:list()
  local list = {}
  for i = 1, #self do list[i] = self[i] end
  return list
end

-- Counts the events whose text begins with the prefix.
function Log:count(prefix)
  local count = 0
  for i = 1, #self do
    if self[i]:sub(1, #prefix) == prefix then count = count + 1 end
  end
  return count
end

-- Returns when the nth event (default: the first) whose text begins with the prefix came, in
-- seconds since the log was made; nil if there was no such event.
function Log:time(prefix, nth)
  for i = 1, #self do
    if self[i]:sub(1, #prefix) == prefix then
      nth = (nth or 1) - 1
      if nth == 0 then return self.times[i] end
    end
  end
end

-- Returns the records of all input events, in order.
function Log:records()
  return self.inputs
end

function Log:forget()
  for i = #self, 1, -1 do self[i] = nil end
  self.times, self.of, self.ids, self.inputs = {}, {}, {}, {}
end

-- Asserts that every connection of the log obeyed the grammar of events, and has ended.
function Log:check_grammar()
  for id, one in pairs(self.of) do
    if not (one.codes:find "^IS[nls]*O?l*[ET]?D$" or one.codes:find "^I[FT]?D$") then
      lu.fail(("connection %d: %s"):format(id, table.concat(one, ", ")))
    end
  end
end

local recorders = {
  on_initialize = function(log, cheap)
    log:add(tcpmulti.id(cheap), "I", "initialize")
  end,
  on_success = function(log, cheap)
    log:add(tcpmulti.id(cheap), "S", "success")
  end,
  on_input = function(log, cheap, record)
    log.inputs[#log.inputs + 1] = record
    log:add(tcpmulti.id(cheap), "n", log.short and "input" or "input " .. tostring(record))
  end,
  on_flushed = function(log, cheap)
    log:add(tcpmulti.id(cheap), "l", "flushed")
  end,
  on_failure = function(log, cheap, op, _, _, _, errname)
    log:add(tcpmulti.id(cheap), "F", ("failure %s %s"):format(op, errname))
  end,
  on_error = function(log, cheap, op, _, _, _, errname)
    log:add(tcpmulti.id(cheap), "E", ("error %s %s"):format(op, errname))
  end,
  on_secure = function(log, cheap)
    log:add(tcpmulti.id(cheap), "s", "secure")
  end,
  on_eof = function(log, cheap)
    log:add(tcpmulti.id(cheap), "O", "eof")
  end,
  on_timeout = function(log, cheap, _, timer)
    log:add(tcpmulti.id(cheap), "T", "timeout " .. timer)
  end,
  on_disconnected = function(log, cheap, _, reason)
    log:add(tcpmulti.id(cheap), "D", "disconnected " .. reason)
  end,
}

-- Makes a session whose events are written to a log: session, log = support.record(options).
-- Handlers in the options are called after their event has been written. Three options are
-- support's own: flushed = true and eof = true write these events too; short = true leaves the
-- records out of the texts.
function support.record(options)
  local log = setmetatable({ times = {}, of = {}, ids = {}, inputs = {} }, Log)
  local given = {}
  for key, value in pairs(options or {}) do given[key] = value end
  log.short, given.short = given.short, nil
  log.start = tcpmulti.now()
  local rare = {
    on_flushed = given.flushed or given.on_flushed or false,
    on_secure = given.on_secure or false,
    on_eof = given.eof or given.on_eof or false,
  }
  given.flushed, given.eof = nil, nil
  for name, recorder in pairs(recorders) do
    local handler = given[name]
    if rare[name] ~= false then
      given[name] = function(cheap, ...)
        recorder(log, cheap, ...)
        if handler then return handler(cheap, ...) end
      end
    end
  end
  local session = tcpmulti.create(given)
  sessions[#sessions + 1] = session
  return session, log
end

-- Makes a session without a log. The session ends with the case.
function support.session(options)
  local session = tcpmulti.create(options or {})
  sessions[#sessions + 1] = session
  return session
end

---------------------------------------------------------------- peers

-- Starts a scripted peer (peer/peer.h has the language of its program), which ends with the case.
function support.peer(program, options)
  local one = peer.start(program, options)
  support.finally(function() one:stop() end)
  return one
end

-- A port of 127.0.0.1 that nobody listens on, and that was free just now.
function support.free_port()
  local one = peer.start("", { refuse = true })
  local port = one:port()
  one:stop()
  return port
end

-- One connection from its beginning to its end: log, peer, seconds = support.meet(program, options,
-- how). A session of support.record with these options connects to a support.peer with this
-- program, and the loop runs. how has the options of the peer, and seconds: the limit of the run.
function support.meet(program, options, how)
  how = how or {}
  local one = support.peer(program, how)
  local session, log = support.record(options)
  session:connect("127.0.0.1", one:port())
  return log, one, support.run(how.seconds)
end

-- Returns a port that refuses connections. No other process gets the port while the case runs.
function support.refused()
  return support.peer("", { refuse = true }):port()
end

-- Returns a port that answers no SYN: a connect to it hangs.
function support.blackhole()
  return support.peer("", { blackhole = true }):port()
end

function support.swarm(mode, addresses, backlog)
  local one = peer.swarm(mode, addresses, backlog)
  support.finally(function() one:stop() end)
  return one
end

-- Waits for the end of the peer's nth connection; returns how the peer saw it ("eof", "reset", …).
function support.ending(one, number)
  while true do
    local ended = one:report().ended
    local seen = one:connection(number)
    if seen and seen.stop ~= "open" then return seen.stop end
    if not one:ended(ended + 1, 10) then
      lu.fail("the peer did not see the end of connection " .. number)
    end
  end
end

-- Blocks until the swarm has seen so many ends: for use after the run.
function support.swarm_ended(swarm, count, seconds)
  local limit = tcpmulti.now() + (seconds or 10)
  while swarm:stats().ended < count do
    if tcpmulti.now() > limit then
      lu.fail(("the swarm has seen %d ends of %d"):format(swarm:stats().ended, count))
    end
    peer.block(0.002)
  end
end

-- Whether this is a build with the address sanitizer, which does not reuse freed memory at once.
function support.sanitized()
  for line in io.lines "/proc/self/maps" do
    if line:find("libasan", 1, true) or line:find("libclang_rt.asan", 1, true) then return true end
  end
  return false
end

-- A bound in seconds for this build: with sanitizers all takes longer.
function support.limit(seconds) return support.sanitized() and 4 * seconds or seconds end

-- What to put before a child so that it has a network of its own, with lo up: nobody outside is
-- asked, and ports and name server are the test's. With names, 127.0.0.1 is the name server. Who is
-- not root is so in a user namespace; where that is not allowed, the output is "unshare failed".
function support.namespace(names, setup)
  local resolv = names and "printf 'nameserver 127.0.0.1\\noptions timeout:5 attempts:1\\n'" ..
    " > $d/r && mount --bind $d/r /etc/resolv.conf && " or ""
  local inside = ("d=$(mktemp -d) && ip link set lo up && %s%s rm -rf $d; exec \"$@\""):format(
    resolv, setup and setup .. " &&" or "")
  return "own=-nm; unshare $own true 2>/dev/null || own=-rnm; unshare $own true 2>/dev/null" ..
    " || { echo 'unshare failed'; exit 77; }; unshare $own sh -c '" ..
    inside:gsub("'", "'\\''") .. "' sh"
end

-- Runs the runner in a process of its own, standard error joined to its output. Before it may stand
-- shell text such as "ulimit -n 100;". Gives the output and the exit status.
function support.child(before, script, ...)
  local name = os.tmpname()
  local file = assert(io.open(name, "w"))
  file:write(script)
  file:close()
  local runner = os.getenv "TCPMULTI_BUILD" .. "/lua/tcpmulti-lua"
  local command = { before, "timeout -k 1 60", runner, name }
  for _, argument in ipairs { ... } do command[#command + 1] = "'" .. argument .. "'" end
  local pipe = assert(io.popen("( " .. table.concat(command, " ") .. " ) 2>&1; echo \"exit $?\""))
  local text = pipe:read "*a"
  pipe:close()
  os.remove(name)
  local output, status = text:match "^(.-)exit (%d+)\n$"
  return output, tonumber(status)
end

return support
