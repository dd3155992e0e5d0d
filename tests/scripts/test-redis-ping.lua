-- SPDX-License-Identifier: MIT
-- redis_ping.lua against redis-server, and against a server that answers wrongly.
local lu = require "luaunit"
local harness = require "scripts.harness"
local servers = require "scripts.servers"

local cases = harness.cases "RedisPing"

local function info(port, name)
  local answer = harness.run("redis-cli", { "-p", port, "INFO", "ALL" })
  return tonumber(answer.output():match("\n" .. name .. ":(%d+)")), answer.output()
end

function cases.a_thousand_connections_at_once_100_commands_each_every_reply_checked()
  local port = servers.redis()
  local ping = harness.script("redis_ping.lua", { "127.0.0.1", port, 1000, 100 })
  lu.assertEquals(ping.errors(), "", "standard error")
  lu.assertEquals(ping.code, 0, "exit status")
  lu.assertStrContains(ping.output(), "1000 connections at once, 100000 replies as expected")
  lu.assertStrContains(ping.output(), ", 0 connections failed\n")
  local commands, all = info(port, "total_commands_processed")
  assert(commands >= 100000, "the server counted " .. tostring(commands))
  lu.assertStrContains(all, "\r\ncmdstat_echo:calls=34000,")
  lu.assertStrContains(all, "\r\ncmdstat_ping:calls=33000,")
  lu.assertStrContains(all, "\r\ncmdstat_exists:calls=33000,")
  lu.assertEquals((info(port, "rejected_connections")), 0, "rejected connections")
end

function cases.any_number_of_commands_1_2_7()
  local port = servers.redis()
  for _, commands in ipairs { 1, 2, 7 } do
    local ping = harness.script("redis_ping.lua", { "127.0.0.1", port, 3, commands })
    local expected = ("3 connections at once, %d replies as expected"):format(3 * commands)
    lu.assertStrContains(ping.output(), expected)
    lu.assertEquals(ping.code, 0, "exit status " .. ping.errors())
  end
end

function cases.a_lower_file_limit_than_connections_they_take_turns()
  local port = servers.redis()
  local script = os.getenv("TCPM_SOURCE") .. "/scripts/redis_ping.lua"
  local words = { "--nofile=120:120", arg[1], script, "127.0.0.1", port, 300, 10 }
  local ping = harness.run("prlimit", words)
  lu.assertEquals(ping.code, 0, "exit status " .. ping.errors())
  local most = tonumber(ping.output():match("^(%d+) connections at once, 3000 replies as expected"))
  assert(most and most > 10 and most < 120, ping.output())
end

function cases.a_server_that_is_full_the_others_are_counted_as_failed_exit_status_1()
  local port = servers.redis { maxclients = "40" }
  local ping = harness.script("redis_ping.lua", { "127.0.0.1", port, 60, 10 })
  lu.assertEquals(ping.code, 1, "exit status")
  local pattern = "at once, (%d+) replies as expected in .*, (%d+) connections failed"
  local replies, failed = ping.output():match(pattern)
  replies, failed = tonumber(replies), tonumber(failed)
  assert(failed >= 20 and failed < 60, ping.output())
  lu.assertEquals(replies, (60 - failed) * 10, "replies")
  assert(ping.errors():find("-ERR max number of clients reached", 1, true)
    or ping.errors():find("error: ", 1, true), ping.errors())
end

-- A server of one's own: answers the n-th command of a connection by answer(n, words).
local function scripted(address, answer)
  return harness.listen(address, nil, function(client)
    local pending, n = "", 0
    client:read_start(function(_, bytes)
      if not bytes then return client:is_closing() or client:close() end
      pending = pending .. bytes
      while pending:match("^%*%d+\r\n") do
        local words, at = {}, pending:match("^%*%d+\r\n()")
        for i = 1, tonumber(pending:match("^%*(%d+)")) do
          local length, after = pending:match("^%$(%d+)\r\n()", at)
          if not length or #pending < after + length + 1 then return end
          words[i], at = pending:sub(after, after + length - 1), after + length + 2
        end
        pending, n = pending:sub(at), n + 1
        client:write(answer(n, words))
      end
    end)
  end)
end

local function right(words)
  if words[1] == "ECHO" then return ("$%d\r\n%s\r\n"):format(#words[2], words[2]) end
  return words[1] == "PING" and "+PONG\r\n" or ":0\r\n"
end

function cases.replies_cut_into_single_bytes_are_the_same_replies()
  local address = harness.address()
  local port = scripted(address, function(_, words)
    local bytes = {}
    for byte in right(words):gmatch(".") do bytes[#bytes + 1] = byte end
    return bytes
  end)
  local ping = harness.script("redis_ping.lua", { address, port, 3, 20 })
  lu.assertStrContains(ping.output(), "3 connections at once, 60 replies as expected")
  lu.assertEquals(ping.code, 0, "exit status " .. ping.errors())
end

function cases.one_wrong_reply_is_noticed_whichever_kind_it_is_of_and_escaped()
  local wrong = {
    "+PONG\r\n", "-ERR \27[2J\r\n", ":1\r\n", "$-1\r\n", "$3\r\nabc\r\n", "$0\r\n\r\n",
  }
  for n, text in ipairs(wrong) do
    local address, connections = harness.address(), 0
    local port = scripted(address, function(number, words)
      if number == 1 then connections = connections + 1 end
      if number == 1 and connections == 2 then return text end
      return right(words)
    end)
    local ping = harness.script("redis_ping.lua", { address, port, 4, 6 })
    lu.assertEquals(ping.code, 1, "exit status with wrong reply " .. n)
    lu.assertStrContains(ping.output(), "18 replies as expected")
    lu.assertStrContains(ping.output(), "1 connections failed")
    lu.assertStrContains(ping.errors(), "error: reply 1 is ")
    assert(not ping.errors():find("[^ -~\n]"), ping.errors())
  end
end

function cases.nobody_there_and_bad_arguments()
  local ping = harness.script("redis_ping.lua", { harness.address(), 9, 5 })
  lu.assertEquals(ping.code, 1, "exit status")
  lu.assertStrContains(ping.output(), "5 connections failed")
  for _, words in ipairs { {}, { "127.0.0.1", "1", "x" }, { "127.0.0.1", "1", "2", "0" } } do
    ping = harness.script("redis_ping.lua", words)
    lu.assertEquals(ping.code, 2, "exit status")
    lu.assertStrContains(ping.errors(), "usage: ")
  end
end

harness.main(cases, 90)
