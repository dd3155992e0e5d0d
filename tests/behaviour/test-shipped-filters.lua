-- SPDX-License-Identifier: MIT
-- Filters for whole protocols, over connections: dialogues as scripts hold them.
local lu = require "luaunit"
local support = require "behaviour.support"
local tcpmulti = require "tcpmulti"

local cases = support.cases "ShippedFilters"

---------------------------------------------------------------- resp

function cases.C57_100_replies_and_commands()
  local replies = ('$5\\r\\nhello\\r\\n*2\\r\\n:1\\r\\n_\\r\\n-E\\r\\n+OK\\r\\n'):rep(25)
  for _, way in ipairs { 'send "%s"', 'dribble "%s" 10' } do
    local values = {}
    local log, peer = support.meet("recv 24; " .. way:format(replies) .. "; close", {
      filter = "resp",
      on_success = function(cheap)
        lu.assertTrue(cheap:send({ "GET", "k" }, "+x\r\n"))
        lu.assertErrorMsgContains("send: record 1: a command without", cheap.send, cheap, {})
      end,
      on_input = function(_, value) values[#values + 1] = value end,
    })
    lu.assertEquals(#values, 100)
    lu.assertEquals({ values[97], values[98], tcpmulti.is_error(values[99]), values[100] },
      { "hello", { 1, false }, "E", "OK" })
    lu.assertEquals(peer:report().received, #"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n+x\r\n")
    lu.assertEquals(log[#log], "disconnected eof")
  end
end

-- A record by take, or of another filter, is bytes, whatever they look like.
function cases.C57_only_records_of_resp_are_values()
  local got = {}
  support.meet('send ":1\\r\\n:2\\r\\n:3\\r\\n:4\\r\\n"; close', {
    filter = "resp",
    on_input = function(cheap, record)
      got[#got + 1] = record
      if record == 1 then cheap:take(4) end
      if record == ":2\r\n" then cheap:take(2) end
      if record == ":3" then cheap:filter "line" end
      if record == "" then cheap:input_filter "resp" end
    end,
  })
  lu.assertEquals(got, { 1, ":2\r\n", ":3", "", 4 })
  local session = support.session { on_success = function(cheap)
    lu.assertErrorMsgContains("must be a string, not a table", cheap.send, cheap, { "x" })
    cheap:shutdown()
  end }
  session:connect("127.0.0.1", support.peer("count"):port())
  support.run()
end

---------------------------------------------------------------- reply and dot

function cases.C58_a_dialogue_in_whole_replies()
  local log, peer = support.meet([[
    send "220-a\r\n220 b\r\n"; recv line; send "250-x\r\n250-y\r\n2"; sleep 20; send "50 z\r\n";
    recv line; send "221 bye\r\n"; close]], {
    filter = "reply",
    on_input = function(cheap, reply)
      if reply:find "^220" then cheap:send "EHLO x" end
      if reply:find "^250" then cheap:send "QUIT" end
    end,
  })
  lu.assertEquals(log:records(), { "220-a\n220 b", "250-x\n250-y\n250 z", "221 bye" })
  lu.assertEquals(peer:report().received, #"EHLO x\r\nQUIT\r\n")
  log = support.meet('send "220 a\\r\\nHTTP/1.0 400 no\\r\\n"; count', { filter = "reply" })
  lu.assertEquals(log[#log - 1], "error filter EFILTER")
end

-- POP3: a reply, a text, a reply; then a text to send.
function cases.C59_texts_between_replies()
  local log, peer = support.meet([[
    send "200 hi\r\n"; recv line; send "220 text\r\nSubject: x\r\n\r\n..dot\r\n.\r\n205 bye\r\n";
    recv all; close]], {
    filter = "reply",
    on_input = function(cheap, record)
      if record == "200 hi" then cheap:send "ARTICLE" end
      if record == "220 text" then cheap:input_filter "dot" end
      if record:find "Subject" then
        lu.assertEquals(cheap:pending(), "205 bye\r\n")
        cheap:input_filter "reply"
      end
      if record == "205 bye" then
        cheap:output_filter "dot"
        cheap:send ".hidden\n"
        cheap:shutdown()
      end
    end,
  })
  lu.assertEquals(log:records(),
    { "200 hi", "220 text", "Subject: x\n\n.dot\n", "205 bye" })
  lu.assertEquals(peer:report().received, #"ARTICLE\r\n..hidden\r\n.\r\n")
end

---------------------------------------------------------------- http

function cases.C60_requests_on_one_connection()
  local got = {}
  support.meet([[recvuntil "\r\n\r\n"; send "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe";
    sleep 10; send "llo"; recvuntil "\r\n\r\n";
    send "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    recvuntil "\r\n\r\n";
    dribble "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n" 100;
    close]], {
    filter = "http",
    on_success = function(cheap)
      lu.assertEquals({ cheap:send { headers = { A = "b\n" } } },
        { nil, "header A: a line end or NUL in the value", "EINVAL" })
      lu.assertTrue(cheap:send { path = "/1", headers = { Host = "x" } })
    end,
    on_input = function(cheap, reply)
      got[#got + 1] = reply.body
      if #got == 1 then cheap:send { method = "HEAD", path = "/2" } end
      if #got == 2 then cheap:send { path = "/3" } end
      if #got == 3 then cheap:shutdown() end
    end,
  })
  lu.assertEquals(got, { "hello", "", "ab" })
end

function cases.C61_a_body_that_is_cut_is_no_record()
  local pending
  local log = support.meet('send "HTTP/1.1 200 OK\\r\\nContent-Length: 5\\r\\n\\r\\nhe"; close', {
    filter = "http",
    on_disconnected = function(cheap) pending = cheap:pending() end,
  })
  lu.assertEquals({ log[#log - 1], pending },
    { "error read EOF", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe" })
  log = support.meet('send "HTTP/1.1 200 OK\\r\\nContent-Length: x\\r\\n\\r\\nhe"; count',
    { filter = "http" })
  lu.assertEquals(log[#log - 1], "error filter EFILTER")
end

---------------------------------------------------------------- all

function cases.C62_an_unfinished_record_is_whole_in_pending()
  local rows = {
    { "resp", "*2\\r\\n:1\\r\\n$5\\r\\nab" },
    { "reply", "250-a\\r\\n250-b" },
    { "http", "HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n" ..
      "1\\r\\na\\r\\n5\\r\\nbc" },
    { "dot", "a\\r\\n..b\\r\\n.\\r" },
  }
  for _, row in ipairs(rows) do
    local pending
    support.meet(('send "%s"; sleep 10; send "x"; close'):format(row[2]), {
      filter = row[1],
      on_disconnected = function(cheap) pending = cheap:pending() end,
    })
    lu.assertEquals(pending, row[2]:gsub("\\r", "\r"):gsub("\\n", "\n") .. "x", row[1])
  end
end

support.main(cases)
