-- SPDX-License-Identifier: MIT
-- http_load.lua against nginx, and against servers that are slow, hang up, or are not there.
local lu = require "luaunit"
local harness = require "scripts.harness"
local servers = require "scripts.servers"
local uv = require "luv"

local cases = harness.cases "HttpLoad"

function cases.nginx_gets_the_rate_over_few_connections()
  local port = servers.nginx { ["a.txt"] = ("x"):rep(1000) }
  local target = ("127.0.0.1:%d/a.txt"):format(port)
  local told = harness.script("http_load.lua", { target, 1500, 1, 5 })
  lu.assertEquals(told.errors(), "", "standard error")
  lu.assertEquals(told.code, 0, "exit status")
  local seconds = tonumber(told.output():match "^1500 requests in ([%d.]+) s, 1%.5 MB\n")
  assert(seconds and seconds > 0.99 and seconds < 10, told.output())
  lu.assertStrContains(told.output(), "\n1500 x 200\nlatency  ")
  told = harness.script("http_load.lua", { target .. "x", 50, 0.2 })
  lu.assertStrContains(told.output(), "\n10 x 404\n")
end

-- Answers each request head after a while.
local function slow_server(address, delay_ms, reply)
  return harness.listen(address, nil, function(client)
    client:read_start(function(_, bytes)
      if not bytes then return client:is_closing() or client:close() end
      local timer = uv.new_timer()
      timer:start(delay_ms, 0, function()
        timer:close()
        if not client:is_closing() then client:write(reply) end
        if reply:find "close" then client:shutdown() end
      end)
    end)
  end)
end

function cases.a_latency_counts_from_when_the_request_was_due()
  local address = harness.address()
  local reply = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
  local port = slow_server(address, 50, reply)
  local told = harness.script("http_load.lua", { address .. ":" .. port, 100, 0.2, 1 })
  lu.assertEquals(told.code, 0, "exit status " .. told.errors())
  lu.assertStrContains(told.output(), "\n20 x 200\n")
  -- The 20th is due at 0.19 s, and its answer comes after 20 times 50 ms, over one connection.
  local longest = tonumber(told.output():match "longest ([%d.]+) ms\n")
  assert(longest >= 800, told.output())
end

function cases.a_server_that_closes_is_asked_over_a_new_connection()
  local address = harness.address()
  local reply = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok"
  local port = slow_server(address, 0, reply)
  local told = harness.script("http_load.lua", { address .. ":" .. port, 100, 0.2, 2 })
  lu.assertEquals(told.code, 0, "exit status " .. told.errors())
  lu.assertStrContains(told.output(), "\n20 x 200\n")
end

function cases.failures_are_counted_by_their_messages_exit_status_1()
  local address = harness.address()
  local told = harness.script("http_load.lua", { address .. ":9", 100, 0.1, 2 })
  lu.assertEquals(told.code, 1, "exit status")
  lu.assertStrContains(told.output(), "\n10 x connect: Connection refused\n")
  local port = harness.listen(address, nil)
  told = harness.script("http_load.lua", { address .. ":" .. port, 100, 0.1, 2 })
  lu.assertEquals(told.code, 1, "exit status")
  assert(not told.output():find " x 200", told.output())
end

function cases.bad_arguments_the_usage_exit_status_2()
  for _, words in ipairs { {}, { "a" }, { "a:80", "x" }, { "a:1", "1", "1", "1", "1" } } do
    local told = harness.script("http_load.lua", words)
    lu.assertEquals(told.code, 2, "exit status")
    lu.assertStrContains(told.errors(), "usage: ")
  end
end

harness.main(cases)
