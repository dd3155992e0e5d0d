-- SPDX-License-Identifier: MIT
-- Connections through scripted proxies (rows P03 and P06 to P27): what a proxy is sent, what its
-- replies mean, and what comes of each.
local lu = require "luaunit"
local support = require "behaviour.support"
local proxies = require "proxies.support"
local tcpmulti = require "tcpmulti"

local cases = support.cases "Scripted"
local quote, url = proxies.quote, proxies.url
local GRANTED, HTTP_GRANTED = proxies.GRANTED, proxies.HTTP_GRANTED

-- One connection through one scripted proxy.
local function meet(scheme, program, options, host, credentials)
  local one = support.peer(program)
  local given = { proxy = url(scheme, one, credentials) }
  for key, value in pairs(options or {}) do given[key] = value end
  local log, session, seconds = proxies.reach(host or "target.test", 7, given)
  lu.assertEquals(one:report().failure, "")
  return log, one, session, seconds
end

local function assert_reached(log, one, addr)
  lu.assertEquals(log:list(), { "initialize", "success", "input hello", "error read EOF",
    "disconnected eof" })
  lu.assertEquals({ log.told.addr, log.told.port }, { addr, 7 })
  lu.assertEquals({ log.told.peer, log.told.peer_port }, { "127.0.0.1", one:port() })
end

-- The failure has this code, and its message says which hop and what.
local function assert_failure(log, errname, text)
  lu.assertEquals(log:list(), { "initialize", "failure proxy " .. errname,
    "disconnected failure" })
  lu.assertStrContains(log.told.message, "hop 1, ")
  lu.assertStrContains(log.told.message, text)
end

---------------------------------------------------------------- replies in pieces

-- danted sends the parts of a reply in segments of their own.
function cases.P03_a_reply_in_segments()
  local program = proxies.GREETING .. 'recv 18; send "\\x05"; sleep 20; send "\\x00\\x00"; '
    .. 'sleep 20; send "\\x01\\x7f\\x00\\x00"; sleep 20; send "\\x01\\x00\\x50"; send "hello\\n"'
  local log, one = meet("socks5h", program)
  assert_reached(log, one, "target.test")
  lu.assertEquals(log.told.given, "target.test")
end

function cases.P10_the_first_bytes_of_the_target_come_with_the_reply_of_socks()
  local log, one = meet("socks5h", proxies.socks("target.test", 7, "", GRANTED .. "hello\n"))
  assert_reached(log, one, "target.test")
end

function cases.P11_the_first_bytes_of_the_target_come_behind_the_blank_line()
  local received
  local log, one = meet("http", proxies.http(HTTP_GRANTED .. "hello\n"),
    { on_disconnected = function(cheap) received = cheap:received() end })
  assert_reached(log, one, "target.test")
  lu.assertEquals(received, 6)
end

-- They are in order with what comes later, and wait where the input is paused.
function cases.P11_a_pause_in_success_holds_them()
  local resumed, early = false, false
  local log = meet("http", proxies.http(HTTP_GRANTED .. "one\n", 'sleep 20; send "two\n"'), {
    on_success = function(cheap)
      cheap:pause()
      support.after(0.1, function()
        resumed = true
        cheap:resume()
      end)
    end,
    on_input = function() early = early or not resumed end,
  })
  lu.assertEquals(log:records(), { "one", "two" })
  lu.assertFalse(early)
end

for scheme, program in pairs {
  socks5h = 'recv 3; dribble "\\x05\\x00" 1000; recv 18; dribble "' .. quote(GRANTED)
    .. 'hello\\n" 1000',
  http = 'recvuntil "\\r\\n\\r\\n"; dribble "' .. quote(HTTP_GRANTED) .. 'hello\\n" 1000',
} do
  cases["P13_a_byte_at_a_time_" .. scheme] = function()
    local log, one = meet(scheme, program)
    assert_reached(log, one, "target.test")
  end
end

function cases.P13_user_and_password_a_byte_at_a_time()
  local log, one = meet("socks5h", 'expect "\\x05\\x02\\x00\\x02"; dribble "\\x05\\x02" 1000; '
    .. 'expect "\\x01\\x01u\\x02pw"; dribble "\\x01\\x00" 1000; recv 18; dribble "'
    .. quote(GRANTED) .. 'hello\\n" 1000', nil, nil, "u:pw")
  assert_reached(log, one, "target.test")
end

---------------------------------------------------------------- cut off

-- Cut by FIN or RST after each byte of the replies.
local function cut_everywhere(scheme, first, replies)
  for ending, errname in pairs { ["close"] = "EOF", ["rst"] = "ECONNRESET" } do
    for number, reply in ipairs(replies) do
      for length = 0, #reply.bytes - 1 do
        local program = first
        for before = 1, number - 1 do program = program .. replies[before].all end
        program = program .. reply.wait
        if length > 0 then
          program = program .. ('send "%s"; sleep 2; '):format(quote(reply.bytes:sub(1, length)))
        end
        local log = meet(scheme, program .. ending)
        assert_failure(log, errname, "before its reply to")
      end
    end
  end
end

function cases.P14_socks_cut_at_each_byte()
  cut_everywhere("socks5h", "", {
    { wait = "recv 3; ", bytes = "\5\0", all = proxies.GREETING },
    { wait = "recv 18; ", bytes = GRANTED },
  })
end

function cases.P14_http_cut_at_each_byte()
  cut_everywhere("http", "", { { wait = 'recvuntil "\\r\\n\\r\\n"; ', bytes = HTTP_GRANTED } })
end

function cases.P14_closed_at_once()
  for ending, errname in pairs { close = "EOF", rst = "ECONNRESET" } do
    local log = meet("socks5h", "recv 3; " .. ending)
    assert_failure(log, errname, "before its reply to")
  end
end

for scheme, program in pairs { socks5h = proxies.GREETING .. "freeze", http = "freeze" } do
  cases["P15_silence_of_" .. scheme] = function()
    local op, errname, message, timer, _
    local log, one = meet(scheme, program, {
      connect_timeout = 0.2,
      on_timeout = function(cheap) op, _, message, errname, timer = cheap:cause() end,
    })
    lu.assertEquals(log:list(), { "initialize", "timeout connect", "disconnected timeout" })
    lu.assertEquals({ op, errname, timer }, { "proxy", "ETIMEDOUT", "connect" })
    lu.assertStrContains(message, "hop 1, " .. scheme .. " 127.0.0.1:" .. one:port())
  end
end

---------------------------------------------------------------- refusals

function cases.P06_wrong_credentials()
  local log = meet("socks5h", 'recv 4; send "\\x05\\x02"; recv 5; send "\\x01\\x02"; discard', nil,
    nil, "u:p")
  assert_failure(log, "EPROXYAUTH", "2")
  for _, status in ipairs { "407 Proxy Authentication Required", "401 Unauthorized" } do
    log = meet("http", proxies.http("HTTP/1.0 " .. status .. "\r\n\r\n", "discard"))
    assert_failure(log, "EPROXYAUTH", status)
  end
  log = meet("socks5h", 'recv 3; send "\\x05\\xff"; discard')
  assert_failure(log, "EPROXYAUTH", "")
end

function cases.P07_the_target_refuses()
  local log = meet("socks5h", proxies.socks("target.test", 7, "discard",
    "\5\5\0\1\0\0\0\0\0\0"))
  assert_failure(log, "ECONNREFUSED", "5")
  log = meet("http", proxies.http("HTTP/1.0 500 Unable to connect\r\n\r\n", "discard"))
  assert_failure(log, "EPROXY", "500 Unable to connect")
end

function cases.P08_every_reply_of_socks()
  local meanings = { [1] = "EPROXY", [2] = "EPROXY", [3] = "ENETUNREACH", [4] = "EHOSTUNREACH",
    [5] = "ECONNREFUSED", [6] = "ETIMEDOUT", [7] = "EPROXY", [8] = "EAFNOSUPPORT", [9] = "EPROXY",
    [255] = "EPROXY" }
  for reply, errname in pairs(meanings) do
    local log = meet("socks5h", proxies.socks("target.test", 7, "discard",
      "\5" .. string.char(reply) .. "\0\1\0\0\0\0\0\0"))
    assert_failure(log, errname, tostring(reply))
  end
end

-- What the proxy has bound to may be of any form; the length is the reply's, not the request's.
function cases.P09_all_forms_of_a_reply()
  for _, bound in ipairs { "\3\5hello\0\80", "\3\0\0\80", "\4" .. ("\1"):rep(16) .. "\0\80" } do
    local log, one = meet("socks5h", proxies.socks("target.test", 7, "",
      "\5\0\0" .. bound .. "hello\n"))
    assert_reached(log, one, "target.test")
    log = meet("socks5h", proxies.socks("target.test", 7, "discard", "\5\5\0" .. bound))
    assert_failure(log, "ECONNREFUSED", "5")
  end
end

function cases.P16_what_is_no_reply_of_http()
  for _, status in ipairs { "HTTP/1.1 2000 OK", "HTTP/2 200", "ICY 200" } do
    local log = meet("http", proxies.http(status .. "\r\n\r\n", "discard"))
    assert_failure(log, "EPROXY", "")
  end
end

function cases.P16_no_blank_line_in_16_KiB()
  local log = meet("http", 'recvuntil "\\r\\n\\r\\n"; send "HTTP/1.1 200 OK\\r\\n"; '
    .. 'loop 2000; send "X-Header: value\\r\\n"; end; discard')
  assert_failure(log, "EPROXY", "")
end

for name, reply in pairs {
  ["204"] = "HTTP/1.1 204 No Content\r\n\r\n",
  ["Content_Length"] = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n",
  ["chunked"] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
} do
  cases["P17_the_tunnel_begins_at_the_blank_line_" .. name] = function()
    local log, one = meet("http", proxies.http(reply .. "hello\n"))
    assert_reached(log, one, "target.test")
  end
end

function cases.P18_interim_replies_are_skipped()
  local log, one = meet("http", proxies.http("HTTP/1.1 100 Continue\r\n\r\n"
    .. "HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n" .. HTTP_GRANTED .. "hello\n"))
  assert_reached(log, one, "target.test")
end

function cases.P19_what_is_no_reply_of_socks()
  assert_failure(meet("socks5h", 'recv 3; send "\\x04\\x00"; discard'), "EPROXY", "")
  assert_failure(meet("socks5h", 'recv 3; send "\\x05\\x01"; discard'), "EPROXY", "")
  assert_failure(meet("socks5h", 'recv 4; send "\\x05\\x02"; recv 5; send "\\x02\\x00"; discard',
    nil, nil, "u:p"), "EPROXY", "")
  assert_failure(meet("socks5h", proxies.socks("target.test", 7, "discard",
    "\4\0\0\1\0\0\0\0\0\0")), "EPROXY", "")
end

---------------------------------------------------------------- what the proxy is told

-- localhost is known without a look-up: 127.0.0.1 and ::1.
function cases.P20_socks5_gets_the_number_that_we_have_found()
  local log, one = meet("socks5", proxies.socks("127.0.0.1", 7, 'send "hello\\n"'), nil,
    "localhost")
  assert_reached(log, one, "127.0.0.1")
  lu.assertEquals(log.told.given, "localhost")
end

function cases.P20_socks5h_and_http_get_the_name()
  local before = tcpmulti.dns().misses + tcpmulti.dns().hits
  local log, one = meet("socks5h", proxies.socks("localhost", 7, 'send "hello\\n"'), nil,
    "localhost")
  assert_reached(log, one, "localhost")
  log, one = meet("http", 'expect "CONNECT target.test:7 HTTP/1.1\\r\\n"; '
    .. proxies.http(HTTP_GRANTED .. "hello\n"))
  assert_reached(log, one, "target.test")
  lu.assertEquals(tcpmulti.dns().misses + tcpmulti.dns().hits, before)
end

-- Only Tor knows such a name, and Tor is a proxy.
function cases.P20_onion_goes_to_a_proxy_that_takes_names()
  local log, one = meet("socks5h", proxies.socks("x.onion", 7, 'send "hello\\n"'), nil, "x.onion")
  assert_reached(log, one, "x.onion")
  log = meet("socks5", "freeze", nil, "x.onion")
  lu.assertEquals(log[2], "failure resolve ENOTFOUND")
end

function cases.P21_names_that_cannot_be_fail_before_connecting()
  for _, scheme in ipairs { "socks5", "socks5h", "http" } do
    local log, one = meet(scheme, "freeze", nil, ("x"):rep(64) .. ".test")
    lu.assertEquals(log[2], "failure resolve EBADNAME")
    lu.assertEquals(one:report().accepted, 0)
  end
  lu.assertErrorMsgContains("253", function()
    support.session { proxy = "http://127.0.0.1:1" }:connect(("x."):rep(127) .. "test", 7)
  end)
end

function cases.P22_ipv6()
  local log, one = meet("http", 'expect "CONNECT [2001:db8::1]:7 HTTP/1.1\\r\\n"; '
    .. proxies.http(HTTP_GRANTED .. "hello\n"), nil, "2001:db8::1")
  assert_reached(log, one, "2001:db8::1")
  local bytes = "\32\1\13\184" .. ("\0"):rep(11) .. "\1"
  for _, scheme in ipairs { "socks5", "socks5h" } do
    log, one = meet(scheme, proxies.socks(bytes, 7, 'send "hello\\n"'), { domain = "inet" },
      "[2001:db8::1]")
    assert_reached(log, one, "2001:db8::1")
  end
end

function cases.P23_idn()
  if (os.getenv "TCPMULTI_WITHOUT" or ""):find "libidn2" then return end
  local log, one = meet("socks5h", proxies.socks("xn--bcher-kva.test", 7, 'send "hello\\n"'), nil,
    "B\195\188cher.test")
  assert_reached(log, one, "B\195\188cher.test")
end

function cases.P20_an_override_counts_for_the_target()
  local log, one = meet("socks5h", proxies.socks("192.0.2.9", 99, 'send "hello\\n"'),
    { resolve = { ["target.test:7"] = "192.0.2.9:99" } })
  assert_reached(log, one, "192.0.2.9")
end

function cases.P20_deny_counts_for_the_target_and_not_for_the_proxy()
  local log, one = meet("socks5", proxies.socks("192.0.2.1", 7, 'send "hello\\n"'),
    { deny = { "loopback" } }, "192.0.2.1")
  assert_reached(log, one, "192.0.2.1")
  for _, host in ipairs { "127.0.0.1", "localhost" } do
    log, one = meet("socks5", "freeze", { deny = { "loopback" } }, host)
    lu.assertEquals(log[2], "failure resolve EPOLICY")
    lu.assertStrContains(log.told.message, "target " .. host .. ": ")
    lu.assertStrContains(log.told.message, "127.0.0.1")
    lu.assertEquals(one:report().accepted, 0)
  end
end

---------------------------------------------------------------- several hops

-- The second hop speaks over the tunnel of the first one, so one program plays both.
function cases.P24_chains()
  local second = 'expect "CONNECT target.test:7 HTTP/1.1\\r\\n"; '
    .. proxies.http(HTTP_GRANTED .. "hello\n")
  local one = support.peer(proxies.socks("second.test", 8, second))
  local log = proxies.reach("target.test", 7,
    { proxy = { url("socks5h", one), "http://second.test:8" } })
  lu.assertEquals(one:report().failure, "")
  assert_reached(log, one, "target.test")

  one = support.peer('expect "CONNECT second.test:8 HTTP/1.1\\r\\n"; '
    .. proxies.http(HTTP_GRANTED, proxies.socks("127.0.0.1", 7, 'send "hello\\n"')))
  log = proxies.reach("localhost", 7, { proxy = { url("http", one), "socks5://second.test:8" } })
  lu.assertEquals(one:report().failure, "")
  assert_reached(log, one, "127.0.0.1")
end

function cases.P24_three_hops_with_credentials_of_their_own()
  local third = proxies.http(HTTP_GRANTED .. "hello\n")
  local second = 'expect "\\x05\\x02\\x00\\x02"; send "\\x05\\x02"; expect "\\x01\\x01b\\x02p2"; '
    .. 'send "\\x01\\x00"; expect "' .. quote(proxies.request_for("third.test", 9)) .. '"; send "'
    .. quote(GRANTED) .. '"; ' .. third
  local one = support.peer(proxies.socks("127.0.0.1", 8, second))
  local log = proxies.reach("target.test", 7, { proxy = { url("socks5", one),
    "socks5h://b:p2@localhost:8", "http://third.test:9" } })
  lu.assertEquals(one:report().failure, "")
  assert_reached(log, one, "target.test")
end

function cases.P24_the_failure_of_a_hop_names_it()
  local one = support.peer(proxies.socks("second.test", 8,
    proxies.http("HTTP/1.1 502 No\r\n\r\n", "discard")))
  local log = proxies.reach("target.test", 7,
    { proxy = url("socks5h", one) .. " http://second.test:8" })
  lu.assertEquals(log[2], "failure proxy EPROXY")
  lu.assertStrContains(log.told.message, "hop 2, http second.test:8: ")
end

-- A hop may have sent its reply before we have asked: it is still the reply.
function cases.P24_a_reply_of_the_second_hop_in_the_segment_of_the_first()
  local one = support.peer(proxies.socks("second.test", 8, "recvuntil \"\\r\\n\\r\\n\"",
    GRANTED .. HTTP_GRANTED .. "hello\n"))
  local log = proxies.reach("target.test", 7,
    { proxy = { url("socks5h", one), "http://second.test:8" } })
  assert_reached(log, one, "target.test")
end

---------------------------------------------------------------- credentials

function cases.P26_credentials_are_decoded()
  local log, one = meet("socks5h", 'expect "\\x05\\x02\\x00\\x02"; send "\\x05\\x02"; '
    .. 'expect "\\x01\\x02u@\\x03p:%"; send "\\x01\\x00"; recv 18; send "' .. quote(GRANTED)
    .. 'hello\\n"', nil, nil, "u%40:p%3a%25")
  assert_reached(log, one, "target.test")
end

function cases.P26_credentials_that_cannot_be_raise()
  for credentials, scheme in pairs {
    ["u%3a:secret"] = "http", [("u"):rep(256) .. ":secret"] = "socks5", [":secret"] = "socks5",
    ["secret:"] = "socks5", ["secret"] = "socks5",
  } do
    local ok, message = pcall(tcpmulti.create,
      { proxy = url(scheme, 1080, credentials) })
    lu.assertFalse(ok)
    lu.assertStrContains(message, "hop 1: ")
    lu.assertNotStrContains(message, "secret")
  end
end

function cases.P27_a_password_is_nowhere()
  local output, status = support.child("", [[
    local tcpmulti = require "tcpmulti"
    local peer = require "peer"
    local function show(cheap)
      print(cheap:cause()) print(cheap:addr(), cheap:peer())
      for _, try in ipairs(cheap:tried() or {}) do print(try.addr, try.errname) end
    end
    local url = "http://user:hidden-word@127.0.0.1:%d"
    local silent = peer.start "freeze"
    local refusing = peer.start('recvuntil "\r\n\r\n"; send "HTTP/1.1 407 hm\r\n\r\n"; discard')
    local s = tcpmulti.create { options = { trace = true }, connect_timeout = 0.1,
      proxy = url:format(silent:port()), on_failure = show, on_timeout = show }
    s:connect("target.test", 7)
    s:connect { remote_address = "target.test", remote_port = 7,
      proxy = url:format(refusing:port()) }
    s:connect { remote_address = "target.test", remote_port = 7, proxy = url:format(1) }
    print(tcpmulti.dump and tcpmulti.dump())
    tcpmulti.run()
  ]])
  lu.assertEquals(status, 0, output)
  lu.assertStrContains(output, "EPROXYAUTH")
  lu.assertStrContains(output, "ECONNREFUSED")
  lu.assertStrContains(output, "ETIMEDOUT")
  lu.assertNotStrContains(output, "hidden")
end

---------------------------------------------------------------- options

function cases.P28_what_is_no_proxy_raises_and_says_why()
  for text, word in pairs {
    ["socks4://h:1"] = "socks4", ["https://h:1"] = "https", ["ftp://h:1"] = "scheme",
    ["http://:1"] = "no host", ["http://h:1/x"] = "path", ["http://h:0"] = "port",
    [("http://h:1 "):rep(9)] = "8 hops", [""] = "no URL", ["h:1"] = "scheme",
  } do
    for what, call in pairs {
      ["tcpmulti.create: proxy"] = function() tcpmulti.create { proxy = text } end,
      ["connect: proxy"] = function()
        support.session():connect { remote_address = "h", remote_port = 1, proxy = text }
      end,
    } do
      lu.assertErrorMsgContains(word, call)
      lu.assertErrorMsgContains(what, call)
    end
  end
  lu.assertErrorMsgContains("EOPNOTSUPP", tcpmulti.create, { proxy = "socks4://h" })
  lu.assertErrorMsgContains("hop 2", tcpmulti.create, { proxy = { "http://h", "socks4://h" } })
  lu.assertErrorMsgContains("an empty list", tcpmulti.create, { proxy = {} })
  lu.assertErrorMsgContains("1 or 2", tcpmulti.create, { send_proxy = 3 })
end

function cases.P28_deny_with_a_proxy_that_resolves_raises()
  local deny = { "private" }
  for _, scheme in ipairs { "socks5h", "http" } do
    local proxy = scheme .. "://127.0.0.1:1"
    lu.assertErrorMsgContains("deny", tcpmulti.create, { proxy = proxy, deny = deny })
    for given, own in pairs { [{ deny = deny }] = { proxy = proxy }, [{ proxy = proxy }] =
      { deny = deny } } do
      own.remote_address, own.remote_port = "h", 1
      local session = support.session(given)
      lu.assertErrorMsgContains("deny", session.connect, session, own)
    end
  end
  support.session { proxy = "http://127.0.0.1:1 socks5://127.0.0.1:1", deny = deny }
end

function cases.a_connect_may_have_another_proxy_or_none()
  local first = support.peer(proxies.http(HTTP_GRANTED .. "first\n"))
  local second = support.peer(proxies.http(HTTP_GRANTED .. "second\n"))
  local target = support.peer 'send "direct\\n"'
  local options = { proxy = url("http", first), connect_timeout = 5 }
  lu.assertEquals(proxies.reach("127.0.0.1", target:port(), options):records(), { "first" })
  lu.assertEquals(proxies.reach("127.0.0.1", target:port(), options,
    { proxy = url("http", second) }):records(), { "second" })
  lu.assertEquals(proxies.reach("127.0.0.1", target:port(), options, { proxy = false }):records(),
    { "direct" })
end

function cases.a_url_may_lie_in_a_file()
  local one = support.peer('expect "CONNECT target.test:7 HTTP/1.1\\r\\n"; '
    .. proxies.http(HTTP_GRANTED .. "hello\n"))
  local file = proxies.write(proxies.directory() .. "/url", url("http", one, "u:p") .. "\n")
  local log = proxies.reach("target.test", 7, { proxy = "@" .. file })
  assert_reached(log, one, "target.test")
  lu.assertStrContains(one:connection(1).content, "Proxy-Authorization: Basic dTpw")
  lu.assertErrorMsgContains("No such file", tcpmulti.create, { proxy = "@" .. file .. "x" })
end

---------------------------------------------------------------- the PROXY header

for version, begin in ipairs { "PROXY TCP4 127.0.0.1 127.0.0.1 ", "\r\n\r\n\0\r\nQUIT\n\33\17" } do
  cases["P31_the_header_goes_with_the_first_bytes_version_" .. version] = function()
    local program = 'recv 16; mark first; discard'
    local target = support.peer(program)
    local log = proxies.reach("127.0.0.1", target:port(), { send_proxy = version,
      on_success = function(cheap)
        cheap:send "hello"
        cheap:shutdown()
      end })
    lu.assertEquals(log:list(), { "initialize", "success", "disconnected shutdown" })
    support.ending(target, 1)
    local content = target:connection(1).content
    lu.assertEquals(content:sub(1, #begin > 16 and 16 or #begin), begin:sub(1, 16))
  end
end

support.main(cases)
