-- SPDX-License-Identifier: MIT
-- TLS that begins in the middle of a stream: its order, its boundary, its refusals and its time.
local co = require "tcpmulti.co"
local dialogue = require "behaviour.dialogue"
local lu = require "luaunit"
local support = require "behaviour.support"
local tls = require "secure.support"

local cases = support.cases "Starttls"
local GO = 'plain; send "220 go\\r\\n"; recv line; '

-- A connection that begins TLS at the line "220 go".
local function meet(program, options)
  local given = {
    on_input = function(cheap, line)
      if line == "220 go" then
        cheap:send "STARTTLS"
        lu.assertEquals({ cheap:starttls(tls.client()) }, { true })
      end
    end,
    on_secure = function(cheap) cheap:send "secret" end,
  }
  for key, value in pairs(options or {}) do given[key] = value end
  return support.meet(program, given, { tls = tls.server "good" })
end

function cases.T68_the_filter_goes_on_over_TLS()
  local log, one = meet(GO .. 'starttls; send "hello\\r\\n"; recv line; close')
  lu.assertEquals(log:list(), { "initialize", "success", "input 220 go", "secure",
    "input hello", "error read EOF", "disconnected eof" })
  lu.assertEquals(one:connection(1).content, "STARTTLS\r\nsecret\r\n")
  lu.assertEquals(one:connection(1).tls.server_name, "peer.test")
end

-- A filter written in Lua: records are lines; what is no line yet stays in the filter.
local Lines = {}
Lines.__index = Lines
function Lines.clone() return setmetatable({ kept = "" }, Lines) end
function Lines:feed(bytes) self.kept = self.kept .. bytes end
function Lines:pending() return self.kept end
function Lines.put(_, record) return record .. "\r\n" end
function Lines:get_one()
  local line, rest = self.kept:match "^(.-)\r\n(.*)$"
  if line then self.kept = rest end
  return line
end

function cases.T68_a_filter_written_in_lua_goes_on_over_TLS()
  for _, filter in ipairs { Lines.clone(), "reply" } do
    local log, one = meet(GO .. 'starttls; send "220 hello\r\n"; recv line; close',
      { filter = filter })
    lu.assertEquals(log:list(), { "initialize", "success", "input 220 go", "secure",
      "input 220 hello", "error read EOF", "disconnected eof" })
    lu.assertEquals(one:connection(1).content, "STARTTLS\r\nsecret\r\n")
  end
end

function cases.T70_plain_text_that_a_filter_in_lua_keeps_is_refused()
  for _, plain in ipairs { "half", "whole\\r\\n" } do
    local log = meet('plain; send "220 go\\r\\n' .. plain .. '"; recv all',
      { filter = Lines.clone() })
    lu.assertEquals(log:count "secure", 0)
    lu.assertEquals(log:count "input whole", 0)
    lu.assertStrContains(table.concat(log:list(), ", "), "error tls EINJECTION")
  end
end

function cases.a_task_waits_for_the_handshake()
  dialogue.run(function()
    local cheap, one = dialogue.open(GO .. 'starttls; send "hello\\r\\n"; recv line; close',
      { tls = tls.server "good" })
    lu.assertEquals(cheap:receive(), "220 go")
    cheap:send "STARTTLS"
    lu.assertEquals(co.starttls(cheap, tls.client(), 10), true)
    lu.assertEquals(cheap:tls().verified, true)
    lu.assertEquals(cheap:receive(), "hello")
    cheap:send "secret"
    lu.assertEquals({ cheap:receive() }, { nil, "end of file", "EOF", "" })
    lu.assertEquals(one:connection(1).content, "STARTTLS\r\nsecret\r\n")
  end)
end

-- The handshake that a task waits for no more goes on, and the next one that waits gets it.
function cases.Y85_a_wait_for_the_handshake_is_cancelled_and_over_in_time()
  local program = GO .. 'wait go; starttls; send "hello\\r\\n"; recv line; close'
  dialogue.run(function()
    local cheap, one = dialogue.open(program,
      { tls = tls.server "good" })
    lu.assertEquals(cheap:receive(), "220 go")
    cheap:send "STARTTLS"
    lu.assertEquals({ co.starttls(cheap, tls.client(), 0.02) },
      { nil, "no TLS within 0.02 s", "ETIME" })
    local waiting = co.spawn(function() cheap:receive() end)
    co.sleep(0)
    lu.assertEquals({ waiting:cancel "enough" }, { true })
    lu.assertEquals({ waiting:join(5) }, { nil, "enough", "ECANCELED" })
    one:go "go"
    lu.assertEquals(cheap:receive(nil, 10), "hello")
    lu.assertEquals(cheap:tls().verified, true)
    local other, two = dialogue.open(program,
      { tls = tls.server "good" })
    lu.assertEquals(other:receive(), "220 go")
    other:send "STARTTLS"
    local shaking = co.spawn(function() co.starttls(other, tls.client()) end)
    co.sleep(0)
    lu.assertEquals({ shaking:status() }, { "waiting", "secure" })
    shaking:cancel "enough"
    lu.assertEquals({ shaking:join(5) }, { nil, "enough", "ECANCELED" })
    two:go "go"
    lu.assertEquals(other:receive(nil, 10), "hello")
    other:send "secret"
    lu.assertEquals(select(3, other:receive(nil, 10)), "EOF")
  end)
end

function cases.T69_T70_what_comes_ahead_in_plain_text_ends_the_connection()
  for more, count in pairs { ["rawhex 15030300020228"] = 7, ['raw "x"'] = 1 } do
    for _, apart in ipairs { "", "sleep 20; " } do
      local stats
      local log = support.meet('plain; send "220 go\\r\\n"; ' .. apart .. more .. "; freeze", {
        on_input = function(cheap)
          support.after(0.05, function() cheap:starttls(tls.client()) end)
        end,
        on_disconnected = function(cheap) stats = cheap:session():stats() end,
      }, { tls = tls.server "good" })
      lu.assertEquals(log:list(), { "initialize", "success", "input 220 go",
        "error tls EINJECTION", "disconnected error" }, more .. apart)
      lu.assertEquals(stats.injected, count)
    end
  end
end

function cases.T69_a_record_in_the_same_segment()
  local stats
  local log, one = support.meet('plain; send "220 go\\r\\n250 x\\r\\n"; freeze', {
    on_input = function(cheap) cheap:starttls(tls.client()) end,
    on_disconnected = function(cheap) stats = cheap:session():stats() end,
  }, { tls = tls.server "good" })
  lu.assertEquals(log:list(), { "initialize", "success", "input 220 go", "error tls EINJECTION",
    "disconnected error" })
  lu.assertEquals(stats.injected, 7)
  lu.assertEquals(one:connection(1).received, 0)
end

function cases.T71_the_LF_of_a_CR_LF_that_came_in_two()
  for _, program in ipairs {
    'plain; send "220 go\\r"; sleep 100; send "\\n"; recv line; starttls; send "hi\\n"; close',
    'plain; send "220 go\\r"; recv line; raw "\\n"; starttls; send "hi\\n"; close',
  } do
    local log = meet(program)
    lu.assertEquals(log:list(), { "initialize", "success", "input 220 go", "secure", "input hi",
      "error read EOF", "disconnected eof" }, program)
  end
end

function cases.T72_bytes_put_back_are_plain_text_too()
  local log = meet(GO .. "freeze", {
    on_input = function(cheap)
      cheap:unread "x"
      cheap:starttls(tls.client())
    end,
  })
  lu.assertEquals(log:list()[4], "error tls EINJECTION")
end

function cases.T73_what_was_sent_before_and_what_is_sent_after()
  local log, one = meet('plain; send "220 go\\r\\n"; recv line; recv line; starttls; recv line; '
    .. 'recv line; recv line; close', {
    on_input = function(cheap)
      cheap:send "one" cheap:send "two"
      cheap:starttls(tls.client())
      cheap:send "three"
      support.after(0.02, function() cheap:send "four" end)
    end,
    on_secure = function(cheap) cheap:send "five" end,
  })
  lu.assertEquals(log:count "secure", 1)
  local content = one:connection(1).content
  lu.assertStrContains(content, "one\r\ntwo\r\nthree\r\n")
  lu.assertEquals(#content, #"one\r\ntwo\r\nthree\r\nfour\r\nfive\r\n")
end

function cases.T73_megabytes_in_plain_text_go_first()
  local bytes = ("x"):rep(4 * 1048576)
  local log, one = meet('plain; send "220 go\\r\\n"; sleep 100; recv ' .. #bytes + 2
    .. '; starttls; recv line; send "done\\n"; close', {
    on_input = function(cheap, line)
      if line ~= "220 go" then return end
      cheap:send(bytes)
      cheap:starttls(tls.client())
    end,
  })
  lu.assertEquals(log:count "input done", 1)
  lu.assertEquals(one:connection(1).received, #bytes + 2 + #"secret\r\n")
end

function cases.T74_when_TLS_cannot_begin()
  local results = {}
  local log = meet(GO .. 'starttls; recv line; send "hi\\n"; close', {
    on_initialize = function(cheap) results.early = { cheap:starttls(tls.client()) } end,
    on_input = function(cheap, line)
      if line ~= "220 go" then
        results.on = { cheap:starttls(tls.client()) }
        return
      end
      cheap:send "STARTTLS"
      cheap:starttls(tls.client())
      results.twice = { cheap:starttls(tls.client()) }
    end,
    on_disconnected = function(cheap) results.late = { cheap:starttls(tls.client()) } end,
  })
  lu.assertEquals(log:count "secure", 1)
  lu.assertEquals({ results.early[3], results.twice[3], results.on[3] },
    { "EINVAL", "EALREADY", "EALREADY" })
  lu.assertEquals(results.late[1], nil)
  meet(GO, { on_input = function(cheap)
    cheap:shutdown()
    results.shut = { cheap:starttls(tls.client()) }
  end })
  lu.assertEquals(results.shut[3], "ESHUTDOWN")
end

function cases.T75_silence_is_a_timeout_of_tls()
  local log, _, took = meet(GO .. "freeze", { connect_timeout = 0.3 })
  lu.assertEquals(log:list(), { "initialize", "success", "input 220 go", "timeout tls",
    "disconnected timeout" })
  support.within(took, 0.3, 0.3 + support.limit(0.3), "seconds")
end

function cases.T76_a_shutdown_before_secure_sends_nothing_more()
  local log, one = meet(GO .. "recv all", {
    on_input = function(cheap)
      cheap:send "STARTTLS"
      cheap:starttls(tls.client())
      cheap:send "secret"
      cheap:shutdown()
    end,
  })
  lu.assertEquals(log:list(), { "initialize", "success", "input 220 go", "disconnected shutdown" })
  lu.assertEquals(support.ending(one, 1), "eof")
  lu.assertEquals(one:connection(1).content, "STARTTLS\r\n")
end

function cases.T77_a_handler_of_secure_that_raises()
  local told
  local log = meet(GO .. "starttls; freeze", {
    on_secure = function() error "oops" end,
    on_exception = function(_, message) told = message end,
  })
  lu.assertStrContains(told, "oops")
  lu.assertEquals(log:list()[#log:list()], "disconnected error")
end

support.main(cases)
