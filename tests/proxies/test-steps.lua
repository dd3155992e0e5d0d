-- SPDX-License-Identifier: MIT
-- What scripts may do while proxies are spoken to: an end in each step of a dialogue, sends before
-- success, and many connections through one proxy.
local lu = require "luaunit"
local support = require "behaviour.support"
local proxies = require "proxies.support"

local cases = support.cases "ProxySteps"
local quote, url = proxies.quote, proxies.url

-- Programs of a proxy that stops in one step of the dialogue, at the mark "here".
local HOLD = "mark here; wait go; discard"
local STEPS = {
  socks_connected = { "socks5h", HOLD },
  socks_half_a_reply = { "socks5h", 'recv 3; send "\\x05"; ' .. HOLD },
  socks_request = { "socks5h", proxies.GREETING .. "recv 18; " .. HOLD },
  socks_granted_in_part = { "socks5h", proxies.GREETING .. 'recv 18; send "\\x05\\x00"; ' .. HOLD },
  http_half_a_header = { "http", 'recvuntil "\\r\\n\\r\\n"; send "HTTP/1.1 200"; ' .. HOLD },
  second_hop = { "socks5h", proxies.socks("second.test", 8, HOLD), " http://second.test:8" },
}
local ENDS = {
  reset = { "disconnected shutdown", function(cheap) cheap:reset() end },
  shutdown = { "disconnected shutdown", function(cheap) cheap:shutdown() end },
  die = { "disconnected die", function(_, session) session:die() end },
}

for step, each in pairs(STEPS) do
  for name, ending in pairs(ENDS) do
    cases[name .. "_" .. step] = function()
      local one = support.peer(each[2])
      local session, log = support.record { proxy = url(each[1], one) .. (each[3] or ""),
        on_initialize = function(cheap) cheap:send "never sent" end }
      local cheap = session:connect("target.test", 7)
      support.when(function() return one:marks "here" > 0 end,
        function() ending[2](cheap, session) end)
      support.run()
      lu.assertEquals(log:list(), { "initialize", ending[1] })
      one:go "go"
      support.ending(one, 1)
      lu.assertNotStrContains(one:connection(1).content, "never")
    end
  end
  cases["deadline_" .. step] = function()
    local one, op, _ = support.peer(each[2]), nil, nil
    local session, log = support.record { proxy = url(each[1], one) .. (each[3] or ""),
      deadline = 0.1, on_timeout = function(cheap) op, _ = cheap:cause() end }
    session:connect("target.test", 7)
    support.run()
    lu.assertEquals(log:list(), { "initialize", "timeout deadline", "disconnected timeout" })
    lu.assertEquals(op, "proxy")
  end
end

-- Each byte of the dialogue is expected, so one of the script's among them would show.
function cases.what_is_sent_before_success_comes_first()
  local one = support.peer(proxies.socks("second.test", 8, proxies.http(proxies.HTTP_GRANTED,
    'expect "PROXY UNKNOWN\\r\\n"; expect "one\\r\\ntwo\\r\\n"; send "hello\\n"; close')))
  local log = proxies.reach("target.test", 7, { proxy = url("socks5h", one)
    .. " http://second.test:8", send_proxy = 1,
    on_initialize = function(cheap) cheap:send "one" end,
    on_success = function(cheap) cheap:send "two" end })
  lu.assertEquals(one:report().failure, "")
  lu.assertEquals(log:list(), { "initialize", "success", "input hello", "error read EOF",
    "disconnected eof" })
end

-- The target ends its stream with the reply of the proxy.
function cases.all_of_the_stream_comes_with_the_reply()
  local one = support.peer('recv 3; send "\\x05\\x00"; recv 18; send "'
    .. quote(proxies.GRANTED .. "hello\nand more\n") .. '"; close')
  local log = proxies.reach("target.test", 7, { proxy = url("socks5h", one), eof = true,
    half_open = true, on_eof = function(cheap) cheap:shutdown() end })
  lu.assertEquals(log:list(), { "initialize", "success", "input hello", "input and more", "eof",
    "disconnected eof" })
end

function cases.a_reset_in_success_drops_what_came_with_the_reply()
  local one = support.peer(proxies.http(proxies.HTTP_GRANTED .. "hello\n", "discard"))
  local log = proxies.reach("target.test", 7, { proxy = url("http", one),
    on_success = function(cheap) cheap:reset() end })
  lu.assertEquals(log:list(), { "initialize", "success", "disconnected shutdown" })
end

function cases.a_filter_set_in_success_cuts_what_came_with_the_reply()
  local one = support.peer(proxies.http(proxies.HTTP_GRANTED .. "a,b,", "discard"))
  local log = proxies.reach("target.test", 7, { proxy = url("http", one),
    on_success = function(cheap) cheap:input_filter { "line", input_literal = "," } end,
    on_input = function(cheap, record) if record == "b" then cheap:shutdown() end end })
  lu.assertEquals(log:records(), { "a", "b" })
end

function cases.a_thousand_through_one_proxy()
  local one = support.peer(proxies.http(proxies.HTTP_GRANTED .. "hello\n", "discard"))
  local session, log = support.record { proxy = url("http", one), max_connections = 50,
    connect_timeout = 30, short = true,
    on_input = function(cheap) cheap:shutdown() end }
  for i = 1, 1000 do session:connect(("target%d.test"):format(i), 7) end
  support.run(60)
  log:check_grammar()
  lu.assertEquals({ log:count "success", log:count "input", log:count "disconnected shutdown" },
    { 1000, 1000, 1000 })
end

support.main(cases)
