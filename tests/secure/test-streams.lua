-- SPDX-License-Identifier: MIT
-- Connections over TLS from their success to their end: what is delivered, how the end is called,
-- how much is sent and counted, and that all of the engine works as it does without TLS.
local lu = require "luaunit"
local peer = require "peer"
local support = require "behaviour.support"
local tls = require "secure.support"

local cases = support.cases "Streams"
local MIB = 1048576

-- The events after success of a connection whose peer runs the program.
local function events(program, how, options)
  local log, one = tls.meet(program, options, how)
  local list = log:list()
  lu.assertEquals({ list[1], list[2] }, { "initialize", "success" }, program)
  return table.concat(list, ", ", 3), one
end

function cases.T19_T20_T21_what_is_sent_and_said_early()
  local log, one = tls.meet('send "first\\n"; recv line; send "second\\n"; recv all', {
    on_initialize = function(cheap) cheap:send "early" end,
    on_input = function(cheap, line)
      if line == "second" then cheap:send "late" cheap:shutdown() end
    end,
  })
  lu.assertEquals(log:list(),
    { "initialize", "success", "input first", "input second", "disconnected shutdown" })
  lu.assertEquals(one:connection(1).content, "early\r\nlate\r\n")
  lu.assertTrue(one:connection(1).tls.notified)
end

function cases.T22_T23_T24_T25_T26_T27_T28_how_streams_end()
  local hi = 'send "hi\\n"; '
  lu.assertEquals(events(hi .. "close"), "input hi, error read EOF, disconnected eof")
  lu.assertEquals(events(hi .. "close_notify; freeze"),
    "input hi, error read EOF, disconnected eof")
  lu.assertEquals(events(hi .. "close_notify; rst"), "input hi, error read EOF, disconnected eof")
  lu.assertEquals(events(hi .. "fin"), "input hi, error tls ETRUNCATED, disconnected error")
  lu.assertEquals(events(hi .. "truncate"), "input hi, error tls ETRUNCATED, disconnected error")
  lu.assertEquals(events(hi .. "sleep 50; rst"),
    "input hi, error read ECONNRESET, disconnected error")
  lu.assertEquals(events(hi .. "fin", { client = { allow_truncation = true } }),
    "input hi, error read EOF, disconnected eof")
end

-- Only an end in order makes a record of the rest.
function cases.C63_a_cut_body_is_no_record()
  local filter = { put = function(_, record) return record end, get_one = function() end }
  function filter.clone() return setmetatable({ held = "" }, { __index = filter }) end
  function filter:feed(bytes) self.held = self.held .. bytes end
  function filter:finish() return self.held end
  local hi = 'send "hi"; '
  local options = { filter = filter }
  local cut = "error tls ETRUNCATED, disconnected error"
  local whole = "input hi, error read EOF, disconnected eof"
  lu.assertEquals(events(hi .. "close_notify; freeze", nil, options), whole)
  lu.assertEquals(events(hi .. "fin", nil, options), cut)
  lu.assertEquals(events(hi .. "truncate", nil, options), cut)
  lu.assertEquals(events(hi .. "fin", { client = { allow_truncation = true } }, options), whole)
  lu.assertEquals(events(hi .. "sleep 50; rst", { client = { allow_truncation = true } }, options),
    "error read ECONNRESET, disconnected error")
end

function cases.T29_a_cut_stream_is_no_error_of_a_shutdown()
  lu.assertEquals(events('send "hi\\n"; recv line; fin', nil, {
    on_input = function(cheap) cheap:send "bye" cheap:shutdown() end,
  }), "input hi, disconnected shutdown")
end

function cases.T30_garbage_after_data()
  for _, step in ipairs { "garbage 100", 'rawhex 1703030005 ; raw "hello"',
    'rawhex 15030300020228' } do
    lu.assertEquals(events('send "hi\\n"; sleep 20; ' .. step .. "; freeze"),
      "input hi, error tls ETLS, disconnected error", step)
  end
end

function cases.T31_T32_no_server_of_TLS()
  for program, errname in pairs {
    ['plain; send "HTTP/1.1 400 Bad Request\\r\\n\\r\\n"; freeze'] = "ETLS",
    ['plain; send "SSH-2.0-OpenSSH_9.2\\r\\n"; freeze'] = "ETLS",
    ["plain; garbage 1000; freeze"] = "ETLS",
    ["plain; recv 10; close_unread"] = "ECONNRESET",
    ["plain; recv 10; shutwr; freeze"] = "EOF",
    ["plain; alert handshake_failure; freeze"] = "ETLS",
  } do
    local log = tls.meet(program)
    lu.assertEquals(log:list(),
      { "initialize", "failure tls " .. errname, "disconnected failure" }, program)
  end
end

function cases.T33_silence_in_the_handshake_is_a_timeout_of_tls()
  local cause
  local log, _, took = tls.meet("plain; freeze", {
    connect_timeout = 0.3,
    on_timeout = function(cheap) cause = { cheap:cause() } end,
  })
  lu.assertEquals(log:list(), { "initialize", "timeout connect", "disconnected timeout" })
  lu.assertEquals(cause[1], "tls")
  support.within(took, 0.3, 0.3 + support.limit(0.2), "seconds")
end

function cases.T48_T51_megabytes_each_way_and_a_shutdown_behind_them()
  local bytes = peer.prng(1, 8 * MIB)
  local log, one = tls.meet("echo", {
    filter = "stream",
    short = true,
    on_success = function(cheap) cheap:send(bytes) end,
    on_input = function(cheap, part)
      cheap.got = (cheap.got or 0) + #part
      if cheap.got == #bytes then cheap:shutdown() end
    end,
  }, { seconds = 60 })
  lu.assertEquals(log:list()[#log:list()], "disconnected shutdown")
  support.ending(one, 1)
  lu.assertEquals(one:connection(1).received, #bytes)
  local sink
  log, sink = tls.meet("sleep 100; count", {
    output_filter = "stream",
    on_success = function(cheap) cheap:send(bytes) cheap:shutdown() end,
  }, { seconds = 60 })
  lu.assertEquals(log:list(), { "initialize", "success", "disconnected shutdown" })
  lu.assertEquals(support.ending(sink, 1), "eof")
  lu.assertEquals(sink:connection(1).received, #bytes)
  lu.assertEquals(sink:connection(1).checksum, peer.checksum(bytes))
  lu.assertTrue(sink:connection(1).tls.notified)
end

function cases.T53_half_a_shutdown_sends_close_notify_and_input_goes_on()
  local list, one = events('recv all; send "answer\\n"; close', nil, {
    on_success = function(cheap) cheap:send "question" cheap:shutdown "output" end,
  })
  lu.assertEquals(list, "input answer, error read EOF, disconnected eof")
  lu.assertEquals(one:connection(1).content, "question\r\n")
  list = events('recv all; send "answer\\n"; fin', nil, {
    on_success = function(cheap) cheap:send "question" cheap:shutdown "output" end,
    on_error = function(_, _, _, message) lu.assertStrContains(message, "after ours") end,
  })
  lu.assertEquals(list, "input answer, error tls ETRUNCATED, disconnected error")
end

function cases.T54_a_reset_sends_no_close_notify()
  local _, one = tls.meet('send "hi\\n"; recv line', {
    on_input = function(cheap) cheap:reset() end,
  })
  lu.assertEquals(support.ending(one, 1), "reset")
  lu.assertFalse(one:connection(1).tls.notified)
end

function cases.T56_a_pause_in_success_holds_records_back()
  local resumed
  local list = events('send "one\\ntwo\\n"; freeze', nil, {
    on_success = function(cheap)
      cheap:pause()
      support.after(0.1, function() resumed = true cheap:resume() end)
    end,
    on_input = function(cheap, line)
      lu.assertTrue(resumed)
      if line == "two" then cheap:shutdown() end
    end,
  })
  lu.assertEquals(list, "input one, input two, disconnected shutdown")
end

function cases.T57_plain_text_is_counted()
  local counts
  tls.meet('recv line; send "12345\\r\\n"; close', {
    on_success = function(cheap) cheap:send "abc" end,
    on_input = function(cheap) counts = { cheap:received(), cheap:sent(), cheap:queued() } end,
  })
  lu.assertEquals(counts, { 7, 5, 0 })
end

-- What comes after a shutdown is thrown away as it is, so nobody knows its plain text.
function cases.T57_what_is_thrown_away_after_a_shutdown_is_no_plain_text()
  local counts
  tls.meet('send "12345\\r\\n"; sleep 50; sendn 100k "x"; recv all', {
    on_input = function(cheap) cheap:send(("x"):rep(8 * MIB)) cheap:shutdown() end,
    on_disconnected = function(cheap)
      counts = { cheap:received(), cheap:session():stats().received }
    end,
  })
  lu.assertEquals(counts, { 7, 7 })
end

function cases.what_is_known_of_TLS_is_told_in_disconnected_too()
  for program, version in pairs { ["recv all"] = "TLSv1.3", ["plain; recv 10; freeze"] = "none" } do
    local told
    tls.meet(program, {
      connect_timeout = 0.5,
      on_success = function(cheap) cheap:shutdown() end,
      on_disconnected = function(cheap) told = cheap:tls() end,
    })
    lu.assertNotNil(told, program)
    lu.assertEquals({ version == "none" or told.version, #told.chain, told.verified },
      version == "none" and { true, 0, false } or { version, 2, true }, program)
  end
end

function cases.T58_unread_take_and_filters()
  local list = events('send "name:5\\nabcdeend\\n"; close', nil, {
    on_input = function(cheap, record)
      if record == "name:5" then cheap:take(5)
      elseif record == "abcde" then cheap:unread "x" end
    end,
  })
  lu.assertEquals(list, "input name:5, input abcde, input xend, error read EOF, disconnected eof")
end

function cases.half_open_connections_send_after_the_peers_close_notify()
  local log, one = tls.meet('send "hi\\n"; close_notify; recv all', {
    half_open = true,
    eof = true,
    on_eof = function(cheap) cheap:send "more" cheap:shutdown() end,
  })
  lu.assertEquals(log:list(),
    { "initialize", "success", "input hi", "eof", "disconnected eof" })
  lu.assertEquals(one:connection(1).content, "more\r\n")
end

function cases.T65_a_handshake_ends_with_its_connection()
  for _, step in ipairs { "plain; freeze", "sleep 50; freeze", 'send "hi\\n"; freeze' } do
    for _, how in ipairs { "shutdown", "reset", "die" } do
      local one = support.peer(step, { tls = tls.server "good" })
      local session, log = support.record { tls = tls.client(), short = true }
      local cheap = session:connect("127.0.0.1", one:port())
      support.after(0.03, function()
        if how == "die" then session:die() else cheap[how](cheap) end
      end)
      support.run()
      lu.assertEquals(log:count "disconnected", 1, step .. " " .. how)
      log:check_grammar()
    end
  end
end

support.main(cases)
