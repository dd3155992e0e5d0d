-- SPDX-License-Identifier: MIT
-- Filters for whole protocols, by hand: whatever the pieces in which a stream comes, the records,
-- the error and the rest are the same.
local lu = require "luaunit"
local support = require "behaviour.support"
local tcpmulti = require "tcpmulti"

local cases = support.cases "ShippedFilters"
local filters = tcpmulti.filters

-- What a filter makes of a stream in pieces of so many bytes: its records, then "ERRNAME: message"
-- or, if there is one, "rest: " and what is pending. at_once: the bytes and the question for the
-- first record come by one call, where the filter has it, as over a connection.
local function cut(filter, stream, step, at_once)
  local one, list = filter:clone(), {}
  local feed_one = at_once and one.__feed_one
  for at = 1, #stream, step do
    local piece, is_fed = stream:sub(at, at + step - 1), false
    if not feed_one then one:feed(piece) end
    while true do
      local record, message, errname
      if feed_one and not is_fed then
        record, message, errname = feed_one(one, piece)
      else
        record, message, errname = one:get_one()
      end
      is_fed = true
      if record == nil and message then
        list[#list + 1] = (errname or "EFILTER") .. ": " .. message
        return list
      end
      if record == nil then break end
      list[#list + 1] = record
    end
  end
  if one:pending() ~= "" then list[#list + 1] = "rest: " .. one:pending() end
  return list
end

local function check(filter, stream, expected)
  for _, step in ipairs { math.max(#stream, 1), 1, 2, 3, 5, 7, 64 } do
    lu.assertEquals(cut(filter, stream, step), expected, "in pieces of " .. step)
    lu.assertEquals(cut(filter, stream, step, true), expected, "at once, in pieces of " .. step)
  end
end

---------------------------------------------------------------- resp

-- A value as a text.
local function dump(value)
  if tcpmulti.is_error(value) then return "!" .. tostring(value) end
  if type(value) == "string" then return ("%q"):format(value) end
  if type(value) ~= "table" then return tostring(value) end
  local keys, parts = {}, {}
  for key in pairs(value) do keys[#keys + 1] = key end
  table.sort(keys, function(a, b) return dump(a) < dump(b) end)
  for i, key in ipairs(keys) do parts[i] = dump(key) .. "=" .. dump(value[key]) end
  return "{" .. table.concat(parts, ",") .. "}"
end

function cases.C57_values_of_resp()
  local rows = {
    { "+OK\r\n", '"OK"' }, { "+\r\n", '""' }, { "-ERR x\r\n", "!ERR x" }, { "!3\r\nE\r\n\r\n" },
    { ":7\r\n", "7" }, { ":-07\r\n", "-7" }, { ":9007199254740991\r\n", "9.007199254741e+15" },
    { ":9007199254740992\r\n", '"9007199254740992"' },
    { ":-9223372036854775808\r\n", '"-9223372036854775808"' },
    { "(123456789012345678901\r\n", '"123456789012345678901"' },
    { ",1.5\r\n", "1.5" }, { ",-2e3\r\n", "-2000" }, { ",inf\r\n", "inf" }, { ",-inf\r\n", "-inf" },
    { "#t\r\n", "true" }, { "#f\r\n", "false" }, { "_\r\n", "false" },
    { "$-1\r\n", "false" }, { "*-1\r\n", "false" }, { "$0\r\n\r\n", '""' },
    { "$3\r\na\0b\r\n", '"a\\0b"' }, { "=7\r\ntxt:abc\r\n", '"abc"' },
    { "*0\r\n", "{}" }, { "*2\r\n*1\r\n$0\r\n\r\n:1\r\n", '{1={1=""},2=1}' },
    { "*3\r\n_\r\n-E\r\n:0\r\n", "{1=false,2=!E,3=0}" }, { "~2\r\n:1\r\n:1\r\n", "{1=1,2=1}" },
    { "%2\r\n+a\r\n:1\r\n:5\r\n*0\r\n", '{"a"=1,5={}}' },
    { "%1\r\n,nan\r\n_\r\n", '{"nan"=false}' }, { "%1\r\n_\r\n_\r\n", "{false=false}" },
    { ">2\r\n+message\r\n+x\r\n", '{"push"=true,1="message",2="x"}' },
    { "|1\r\n+k\r\n*1\r\n:1\r\n*1\r\n|0\r\n:3\r\n", "{1=3}" },
  }
  for _, row in ipairs(rows) do
    local one = filters.resp():clone()
    one:feed(row[1])
    local value, message = one:get_one()
    lu.assertIsNil(message, row[1])
    lu.assertEquals(dump(value), row[2] or "!E\r\n", row[1])
    lu.assertEquals(one:pending(), "")
  end
end

function cases.C57_values_come_the_same_in_all_pieces()
  local stream = ("*2\r\n*1\r\n$0\r\n\r\n:1\r\n$5\r\na\r\nbc\r\n-E\r\n_\r\n"):rep(20)
  local value = { { { "" }, 1 }, "a\r\nbc" }
  for _, step in ipairs { #stream, 1, 2, 3, 7, 64 } do
    local list = cut(filters.resp(), stream .. "$3\r\nab", step)
    lu.assertEquals(#list, 81)
    lu.assertEquals({ list[77], list[78] }, value)
    lu.assertEquals({ tcpmulti.is_error(list[79]), list[80], list[81] },
      { "E", false, "rest: $3\r\nab" })
    lu.assertEquals(cut(filters.resp(), ":1\r\n:x\r\n", step)[2]:match "^%u+", "EFILTER")
  end
  lu.assertEquals(cut(filters.resp { max_elements = 3 }, "*4\r\n", 1),
    { "ETOOLONG: a value has more than 3 values in it" })
  lu.assertEquals(cut(filters.resp { max_length = 5 }, "+abcde\r\n", 1),
    { "ETOOLONG: a value is longer than 5 bytes" })
end

function cases.C57_lists_become_commands()
  local one = filters.resp():clone()
  lu.assertEquals(one:put { "SET", "k", 12, -1.5, 9007199254740991, "" }, "*6\r\n$3\r\nSET\r\n" ..
    "$1\r\nk\r\n$2\r\n12\r\n$4\r\n-1.5\r\n$16\r\n9007199254740991\r\n$0\r\n\r\n")
  lu.assertEquals(one:put "PING\r\n", "PING\r\n")
  local wrong = "each argument of a command is a string or a number"
  lu.assertEquals({ one:put { "GET", {} } }, { nil, wrong, "EFILTER" })
  lu.assertEquals({ one:put { "GET", true } }, { nil, wrong, "EFILTER" })
  lu.assertEquals({ one:put {} }, { nil, "a command without arguments", "EFILTER" })
  local words = {}
  for i = 1, 100000 do words[i] = "w" end
  lu.assertEquals(one:put(words), "*100000\r\n" .. ("$1\r\nw\r\n"):rep(100000))
  lu.assertEquals({ tcpmulti.is_error "x", tcpmulti.is_error { message = "x" } }, {})
end

---------------------------------------------------------------- reply

function cases.C58_a_reply_of_several_lines_is_one_record()
  check(filters.reply(), "220 hi\r\n250-a\r\n250-b\r\n250 c\r\n221\r\n250 lf\n25",
    { "220 hi", "250-a\n250-b\n250 c", "221", "250 lf", "rest: 25" })
  check(filters.reply(), "211-x\r\n 211 in\r\n2110\r\n212 other\r\n211-\r\n\r\n211 end\r\n",
    { "211-x\n 211 in\n2110\n212 other\n211-\n\n211 end" })
  check(filters.reply(), "250-a\r\n250-b", { "rest: 250-a\r\n250-b" })
  check(filters.reply(), "250 a\rb\r\r\n", { "250 a\rb\r" })
end

function cases.C58_what_begins_without_a_code_is_refused()
  for _, line in ipairs { "SSH-2.0-x", "", "25", "25 x", "250x", "250\t", " 250 x", "2500" } do
    check(filters.reply(), "220 ok\r\n" .. line .. "\r\n221 never\r\n",
      { "220 ok", "EFILTER: not a reply: " .. line })
  end
end

function cases.C58_the_limit_of_a_reply_counts_all_its_bytes()
  local filter = filters.reply { max_length = 14 }
  check(filter, "250-a\r\n250 b\r\n250 12345678901\r\n",
    { "250-a\n250 b", "ETOOLONG: a reply is longer than 14 bytes" })
  check(filter, ("x"):rep(15), { "ETOOLONG: a reply is longer than 14 bytes" })
  check(filter, ("1"):rep(14), { "rest: " .. ("1"):rep(14) })
  check(filters.reply(), ("250-\r\n"):rep(12000),
    { "ETOOLONG: a reply is longer than 65536 bytes" })
end

function cases.C58_out_go_lines()
  local one = filters.reply():clone()
  lu.assertEquals({ one:put "EHLO x", one:put "", one:put(5) }, { "EHLO x\r\n", "\r\n", "5\r\n" })
  lu.assertEquals({ one:put {} }, { nil, "a string expected, not a table" })
end

---------------------------------------------------------------- dot

function cases.C59_a_text_ends_in_a_line_with_a_dot()
  check(filters.dot(), "a\r\n..b\r\n.c\r\n\r\n.\r\n.\r\nx\r\n.\nrest",
    { "a\n.b\nc\n\n", "", "x\n", "rest: rest" })
  check(filters.dot(), "..\r\n..\r\n.x\r\n.\r\n", { ".\n.\nx\n" })
  check(filters.dot(), "a.\r\n.\rb\r\n.\r\r\n.\r\n", { "a.\n\rb\n\r\n" })
  check(filters.dot(), "a\r\n.\r", { "rest: a\r\n.\r" })
end

function cases.C59_a_text_is_doubled_undone_and_the_same()
  local one = filters.dot():clone()
  lu.assertEquals(one:put "a\n.b\r\n..\n.", "a\r\n..b\r\n...\r\n..\r\n.\r\n")
  lu.assertEquals({ one:put "", one:put "\n", one:put "x" },
    { ".\r\n", "\r\n.\r\n", "x\r\n.\r\n" })
  lu.assertEquals(one:put "a\r.\rb", "a\r\n..\r\nb\r\n.\r\n")
  lu.assertEquals({ one:put(false) }, { nil, "a string expected, not a boolean" })
  local long = ("line\n.\n"):rep(999)
  for _, text in ipairs { "", "\n", ".\n", "..\n.\n...\n", "a\n\n.\n.b\n", long } do
    check(filters.dot(), one:put(text):rep(2), { text, text })
  end
end

function cases.C59_the_limit_of_a_text_is_without_its_end()
  local filter = filters.dot { max_length = 6 }
  check(filter, "abcd\r\n.\r\n", { "abcd\n" })
  check(filter, "abcde\r\n.\r\n", { "ETOOLONG: a text is longer than 6 bytes" })
  check(filter, "abcd\r\n.x\r\n", { "ETOOLONG: a text is longer than 6 bytes" })
  check(filter, "abcdef", { "rest: abcdef" })
end

---------------------------------------------------------------- http

-- A filter that has sent these requests.
local function asked(options, ...)
  local filter, methods = filters.http(options), { ... }
  return { clone = function()
    local one = filter:clone()
    for _, method in ipairs(methods) do lu.assertIsString(one:put { method = method }) end
    return one
  end }
end

local function reply(fields)
  fields.version, fields.reason = fields.version or "1.1", fields.reason or "OK"
  fields.status, fields.headers = fields.status or 200, fields.headers or {}
  return fields
end

function cases.C60_replies_one_after_the_other()
  check(asked(nil, "GET", "HEAD", "GET", "GET", "GET", "CONNECT"),
    "HTTP/1.1 100 Continue\r\nX: y\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-A:  b \r\n" ..
    "x-a: c\r\n\r\nabcHTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nHTTP/1.1 200 OK\r\n" ..
    "Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n002 \r\nde\r\n0\r\nT: 1\r\n\r\n" ..
    "HTTP/1.1 204 \r\n\r\nHTTP/1.1 304\nContent-Length: 5\nFold: a\n  b\n\n" ..
    "HTTP/1.1 200 OK\r\n\r\n", {
      reply { headers = { ["content-length"] = "3", ["x-a"] = "b, c" }, body = "abc" },
      reply { headers = { ["content-length"] = "9" }, body = "" },
      reply { headers = { ["transfer-encoding"] = "chunked" }, body = "abcde",
        trailers = { t = "1" } },
      reply { status = 204, reason = "", body = "" },
      reply { status = 304, reason = "", headers = { ["content-length"] = "5", fold = "a b" },
        body = "" },
      reply { body = "" },
    })
end

function cases.C60_a_stream_of_pieces()
  local stream = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" ..
    "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n" ..
    "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwxyz" ..
    "HTTP/1.1 204 No\r\n\r\nHTTP/1.1 200 OK\r\n\r\nrest"
  for _, step in ipairs { #stream, 1, 2, 3, 64 } do
    local bodies, body = {}, nil
    for _, record in ipairs(cut(filters.http { stream = true, max_length = 2 }, stream, step)) do
      if type(record) == "table" then
        bodies[#bodies + 1], body = tostring(body), ""
        lu.assertIsNil(record.body)
      else
        body = body .. (record == "" and "." or record)
      end
    end
    bodies[#bodies + 1] = body
    lu.assertEquals(bodies, { "nil", "abcde.", "wxyz.", ".", "rest" })
  end
end

-- A head that was read before is known again as a whole.
function cases.C60_heads_that_repeat_are_read_like_the_first()
  local head = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-A: b\r\nx-a: c\r\n\r\n"
  local expected = reply { headers = { ["content-length"] = "3", ["x-a"] = "b, c" }, body = "abc" }
  local list = { expected, expected, expected }
  check(asked(nil), (head .. "abc"):rep(3), list)
  check(asked(nil), head .. "abcHTTP/1.1 100 On\r\n\r\n" .. (head .. "abc"):rep(2), list)
  local short = reply { headers = expected.headers, body = "" }
  check(asked(nil, "HEAD", "GET", "HEAD"), head .. head .. "abc" .. head,
    { short, expected, short })
  local bad = list
  bad[4] = "ETOOLONG: a body is longer than 3 bytes"
  check(asked { max_length = 3 }, (head .. "abc"):rep(3) .. head:gsub("3", "4", 1), bad)
  check(asked { max_length = 2 }, head, { "ETOOLONG: a body is longer than 2 bytes" })
  check(asked { max_head = #head - 1 }, head, {
    ("ETOOLONG: a head is longer than %d bytes"):format(#head - 1) })
  for _, step in ipairs { #head + 3, #head, 3 } do -- each piece a reply, or a head, or a body
    lu.assertEquals(cut(asked(nil, "GET", "GET", "HEAD", "GET"), (head .. "abc"):rep(2) .. head
      .. head .. "abc", step, true), { expected, expected, short, expected })
  end
end

function cases.C60_each_reply_has_headers_of_its_own()
  local one, head = filters.http():clone(), "HTTP/1.1 204 No\r\nA: b\r\n\r\n"
  one:feed(head:rep(3))
  local first, second = one:get_one(), one:get_one()
  first.headers.a, second.headers.c = nil, "d"
  lu.assertEquals(one:get_one(), reply { status = 204, reason = "No", headers = { a = "b" },
    body = "" })
end

-- A whole reply with a known head is taken at once, wherever it stands, and nothing else with it.
function cases.C60_whole_replies_with_a_known_head_leave_the_rest_as_it_is()
  local head = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nA: b\r\nA: c\r\n\r\n"
  local other = "HTTP/1.1 404 No\r\nContent-Length: 1\r\n\r\nx"
  local chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n0\r\n\r\n"
  local first = reply { headers = { ["content-length"] = "3", a = "b, c" }, body = "abc" }
  local second = reply { status = 404, reason = "No", headers = { ["content-length"] = "1" },
    body = "x" }
  local third = reply { headers = { ["transfer-encoding"] = "chunked" }, body = "de" }
  local one = filters.http():clone()
  for _ = 1, 3 do
    one:feed(head .. "abc")
    lu.assertEquals(one:get_one(), first)
    lu.assertNil((one:get_one()))
    one:feed(head .. "abc" .. other .. head .. "abc" .. chunks .. head .. "ab")
    for _, expected in ipairs { first, second, first, third } do
      lu.assertEquals(one:get_one(), expected)
    end
    lu.assertNil((one:get_one()))
    lu.assertEquals(one:pending(), head .. "ab")
    one:feed "c"
    lu.assertEquals(one:get_one(), first)
  end
end

-- false behind a record says that there is no further one yet.
function cases.C60_the_last_record_of_the_bytes_is_told()
  local one, text = filters.http():clone(), "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"
  one:feed(text)
  lu.assertNotNil(one:get_one())
  one:feed(text .. text)
  lu.assertNil((select(2, one:get_one())))
  lu.assertIs(select(2, one:get_one()), false)
  one:feed(text .. "H")
  lu.assertNil((select(2, one:get_one())))
end

-- The empty line of a head may end by LF alone, and that of another head may be in the body.
function cases.C60_a_head_that_ends_by_LF_is_not_read_on_to_a_later_one()
  local stream = "HTTP/1.1 200 OK\nContent-Length: 6\n\na\r\n\r\nb"
  local one = reply { headers = { ["content-length"] = "6" }, body = "a\r\n\r\nb" }
  check(asked(nil), stream:rep(3), { one, one, one })
end

function cases.C61_a_body_to_the_end_of_the_connection()
  local one = filters.http():clone()
  one:feed "HTTP/1.0 200 OK\r\n\r\nall of "
  lu.assertIsNil(one:get_one())
  one:feed "it"
  lu.assertIsNil(one:get_one())
  lu.assertEquals(one:finish(), reply { version = "1.0", body = "all of it" })
  lu.assertEquals({ one:pending(), (one:finish()) }, { "" })
  one:feed "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\ncut"
  lu.assertEquals({ one:get_one(), (one:finish()) }, {})
  lu.assertEquals(one:pending(), "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\ncut")
end

function cases.C61_what_two_readers_could_read_differently_is_refused()
  local ok, coding = "HTTP/1.1 200 OK\r\n", "Transfer-Encoding: chunked\r\n"
  for _, stream in ipairs {
    ok .. coding .. "Content-Length: 3\r\n\r\n",
    ok .. "Content-Length: 3\r\nContent-Length: 4\r\n\r\n",
    ok .. "Content-Length: 3, 4\r\n\r\n", ok .. "Content-Length: +3\r\n\r\n",
    ok .. "Content-Length: 0x3\r\n\r\n", ok .. "Content-Length: -1\r\n\r\n",
    ok .. "Content-Length:\r\n\r\n", ok .. "Content-Length : 3\r\n\r\n",
    ok .. "A: b\rContent-Length: 3\r\n\r\n", ok .. ": x\r\n\r\n",
    ok .. " Folded: x\r\n\r\n", ok .. "no colon\r\n\r\n", "HTTP/1.0 200 OK\r\n" .. coding .. "\r\n",
    ok .. "Transfer-Encoding: chunked, gzip\r\n\r\n", ok .. coding .. coding .. "\r\n",
    ok .. coding .. "\r\n-1\r\n", ok .. coding .. "\r\n0x1\r\n", ok .. coding .. "\r\n1 x\r\n",
    ok .. coding .. "\r\n\r\n", ok .. coding .. "\r\n1\r\nabc", ok .. coding .. "\r\n0\r\nbad\r\n",
    "HTTP/2.0 200 OK\r\n", "HTTP/1.1 20 OK\r\n", "\r\nHTTP/1.1 200 OK\r\n", "HTTP/1.1 200OK\r\n",
    "220 mail\r\n", ok .. coding .. "\r\n1;" .. ("x"):rep(5000),
  } do
    for _, step in ipairs { #stream, 1, 7 } do
      local list = cut(filters.http(), stream, step)
      lu.assertEquals({ #list, tostring(list[1]):match "^E%u+" }, { 1, "EFILTER" }, stream)
    end
  end
  check(asked(nil), ok .. "Content-Length: 3, 3\r\n\r\nabc",
    { reply { headers = { ["content-length"] = "3, 3" }, body = "abc" } })
end

function cases.C64_limits_of_http()
  local filter = filters.http { max_length = 5, max_head = 100 }
  local ok = "HTTP/1.1 200 OK\r\n"
  local head = ok .. "Transfer-Encoding: chunked\r\n\r\n"
  for _, stream in ipairs {
    ok .. "Content-Length: 6\r\n\r\n", ok .. "Content-Length: " .. ("9"):rep(40) .. "\r\n\r\n",
    ok .. ("A: b\r\n"):rep(30), head .. "6\r\n", head .. "3\r\nabc\r\n3\r\n", ok .. "\r\n123456",
    head .. ("f"):rep(30) .. "\r\n", head .. "0\r\n" .. ("T: x\r\n"):rep(30),
  } do
    for _, step in ipairs { #stream, 1, 7 } do
      local list = cut(filter, stream, step)
      lu.assertEquals({ #list, tostring(list[1]):match "^E%u+" }, { 1, "ETOOLONG" }, stream)
    end
  end
end

function cases.C60_requests()
  local one = filters.http():clone()
  lu.assertEquals(one:put {}, "GET / HTTP/1.1\r\n\r\n")
  lu.assertEquals(one:put { method = "POST", path = "/x", headers = { Host = "h", A = { "1", 2 } },
    body = "abc" }, "POST /x HTTP/1.1\r\nA: 1\r\nA: 2\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc")
  lu.assertEquals(one:put { method = "PUT" }, "PUT / HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
  lu.assertEquals(one:put "HEAD / HTTP/1.1\r\n\r\n", "HEAD / HTTP/1.1\r\n\r\n")
  for _, bad in ipairs {
    { method = "GET / HTTP/1.1\r\nX:" }, { path = "/ x" }, { path = "/\r\n" }, { path = "" },
    { headers = { A = "b\r\nC: d" } }, { headers = { A = "b\nC" } },
    { headers = { ["A: b"] = "c" } }, { headers = { "x" } },
    { headers = { A = true } }, { headers = { A = "\0" } }, { headers = 5 },
    { headers = { ["content-LENGTH"] = 3 }, body = "abc" }, { body = 5 }, { method = 5 },
    { headers = { ["Transfer-Encoding"] = "chunked" }, body = "abc" },
  } do
    local bytes, message, errname = one:put(bad)
    lu.assertEquals({ bytes, type(message), errname }, { nil, "string", "EINVAL" })
  end
  lu.assertEquals({ one:put(5) }, { nil, "a table or a string expected, not a number" })
end

---------------------------------------------------------------- all

-- The same bytes in many pieces, in about the same time: nothing is looked at, or copied, again and
-- again.
function cases.C64_no_byte_is_read_again_and_again()
  local line = ("x"):rep(1000) .. "\r\n"
  local rows = {
    { filters.reply { max_length = 2 ^ 20 }, "250-" .. line, "250 end\r\n" },
    { filters.dot(), line, ".\r\n" },
    { filters.resp(), "", "*500\r\n" .. ("$1002\r\n" .. line .. "\r\n"):rep(500) },
    { filters.http(), "", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" ..
      ("2\r\nab\r\n"):rep(50000) .. "0\r\n\r\n" },
    { filters.http(), "", "HTTP/1.1 200 OK\r\nA:" .. (" "):rep(60000) .. "b" .. (" "):rep(5000) ..
      "\r\nContent-Length: 300000\r\n\r\n" .. line:rep(299) .. ("x"):rep(402) },
  }
  for _, row in ipairs(rows) do
    local one, start = row[1]:clone(), tcpmulti.now()
    local stream = row[2]:rep(500) .. row[3]
    for at = 1, #stream do
      one:feed(stream:sub(at, at))
      local record, message = one:get_one()
      lu.assertIsNil(message)
      lu.assertEquals(record ~= nil, at == #stream)
    end
    lu.assertIsTrue(tcpmulti.now() - start < 20)
  end
end

support.main(cases)
