-- SPDX-License-Identifier: MIT
-- What a handler may do, for each handler: shut down its own or another connection, let the session
-- die, connect, raise, reset, fail, pause, collect garbage. Whatever it does, each connection gets
-- its events by the grammar and exactly one last one, and run returns.

local lu = require "luaunit"
local peer = require "peer"
local support = require "behaviour.support"
local tcpmulti = require "tcpmulti"

local cases = support.cases "Reentrancy"
local HOST = "127.0.0.1"

local handlers = {
  "on_initialize", "on_success", "on_input", "on_flushed",
  "on_failure", "on_error", "on_timeout", "on_disconnected",
}

-- One peer for each ending, so that every handler is reached; all cases share them.
local peers = {
  closer = peer.start 'send "one\\r\\ntwo\\r\\n"; recv line; close',
  resetter = peer.start 'send "one\\r\\n"; rst',
  silent = peer.start "count",
  refused = peer.start("", { refuse = true }),
  blackhole = peer.start("", { blackhole = true }),
}
local ports = {}
for name, one in pairs(peers) do ports[name] = one:port() end

-- Each action gets the cheap of the event, its session and the cheap of a bystander.
local actions = {
  { "shuts_down_itself", function(cheap) cheap:shutdown() end },
  { "shuts_down_another", function(_, _, other) other:shutdown() end },
  { "shuts_down_its_output", function(cheap) cheap:shutdown "output" end },
  { "resets_itself", function(cheap) cheap:reset() end },
  { "resets_another", function(_, _, other) other:reset() end },
  { "fails_itself", function(cheap) cheap:fail "the peer is mad" end },
  { "fails_another", function(_, _, other) other:fail("the other peer is mad", "EPROTO") end },
  { "lets_the_session_die", function(_, session) session:die() end },
  { "raises", function() error "raised on purpose" end },
  { "raises_nil", function() error(nil) end },
  { "raises_a_table", function() error({}) end },
  { "connects", function(cheap, session)
    if not cheap.child then
      for _ = 1, 10 do session:connect({ child = true }, HOST, ports.closer) end
    end
  end },
  { "sends", function(cheap) cheap:send("a", "b", "c") end },
  { "pauses_and_resumes", function(cheap)
    cheap:pause()
    cheap:resume()
  end },
  { "switches_filters", function(cheap)
    cheap:filter "stream"
    cheap:filter("block", { block_size = 2 })
    cheap:filter "line"
  end },
  { "sets_timeouts", function(cheap)
    cheap:timeout(0.1)
    cheap:deadline(0.15)
  end },
  { "unreads", function(cheap)
    if not cheap.unread_once then
      rawset(cheap, "unread_once", true)
      cheap:unread "put back\r\n"
    end
  end },
  { "collects_garbage", function() collectgarbage() end },
  { "yields_a_shutdown", function(cheap, session) session:yield("shutdown", cheap:id()) end },
  { "does_it_all", function(cheap, _, other)
    cheap:send "x"
    cheap:shutdown()
    cheap:reset()
    other:reset()
    cheap:fail "again"
    cheap:shutdown()
  end },
  { "yields_a_coroutine", function() coroutine.yield() end },
  { "runs_the_loop", function()
    local ok, message = pcall(tcpmulti.run)
    lu.assertFalse(ok)
    lu.assertIsString(message)
  end },
}

-- Plays all endings with an action in one handler.
local function play(handler, action)
  local exceptions = 0
  local options = {
    flushed = true, short = true, connect_timeout = 0.05, input_timeout = 0.08,
    on_exception = function() exceptions = exceptions + 1 end,
  }
  local session, log, other
  if handler ~= "on_success" then
    options.on_success = function(cheap) cheap:send "hello" end
  end
  options[handler] = function(cheap)
    if handler == "on_success" then cheap:send "hello" end
    if not cheap.bystander then action(cheap, session, other) end
  end
  session, log = support.record(options)
  other = session:connect({ child = true, bystander = true }, HOST, ports.silent)
  for _, name in ipairs { "closer", "resetter", "silent", "refused", "blackhole" } do
    session:connect(HOST, ports[name])
  end
  support.run(20)
  log:check_grammar()
  return log, exceptions
end

for _, handler in ipairs(handlers) do
  for _, action in ipairs(actions) do
    cases[handler .. "_" .. action[1]] = function()
      local raises = action[1]:find "^raises" or action[1] == "yields_a_coroutine"
      local log, exceptions
      -- On a busy machine all may time out before the handler's turn.
      for _ = 1, 5 do
        log, exceptions = play(handler, action[2])
        lu.assertTrue(#log.ids >= 1)
        if not raises or exceptions >= 1 then break end
      end
      if raises then
        lu.assertTrue(exceptions >= 1)
      else
        lu.assertEquals(exceptions, 0)
      end
    end
  end
end

-- Stopping in the middle keeps everything, and run goes on.
for _, handler in ipairs(handlers) do
  cases[handler .. "_stops_the_loop_and_run_goes_on"] = function()
    local stops = 0
    local options = {
      flushed = true, short = true, connect_timeout = 0.05,
      on_success = function(cheap) cheap:send "hello" end,
    }
    local before = options[handler]
    options[handler] = function(cheap)
      if before then before(cheap) end
      stops = stops + 1
      tcpmulti.stop()
    end
    local session, log = support.record(options)
    session:connect(HOST, ports.closer)
    session:connect(HOST, ports.refused)
    session:connect(HOST, ports.blackhole)
    local runs = 0
    repeat
      runs = runs + 1
      support.run()
    until #log.ids == 3 and log:count "disconnected" == 3 or runs == 20
    log:check_grammar()
    lu.assertEquals(log:count "disconnected", 3)
    lu.assertTrue(stops >= 1)
  end
end

support.main(cases)
