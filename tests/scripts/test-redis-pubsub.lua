-- SPDX-License-Identifier: MIT
-- redis_pubsub.lua and both_styles.lua against redis-server, and against servers that answer wrong.
local lu = require "luaunit"
local harness = require "scripts.harness"
local servers = require "scripts.servers"

local cases = harness.cases "RedisPubsub"

local function count_calls(port, command)
  local answer = harness.run("redis-cli", { "-p", port, "INFO", "commandstats" })
  return tonumber(answer.output():match("cmdstat_" .. command .. ":calls=(%d+),"))
end

function cases.every_subscriber_gets_its_message_every_pipeline_its_replies()
  local port = servers.redis()
  local told = harness.script("redis_pubsub.lua", { "127.0.0.1", port, 200, 50 })
  lu.assertEquals(told.errors(), "", "standard error")
  lu.assertEquals(told.code, 0, "exit status")
  lu.assertStrMatches(told.output(),
    "200 channels: 200 messages came, 10000 replies as expected, in [%d.]+ s\n")
  lu.assertEquals(count_calls(port, "subscribe"), 200)
  lu.assertEquals(count_calls(port, "publish"), 200)
  lu.assertEquals(count_calls(port, "echo"), 10000)
end

function cases.released_connections_get_their_messages_by_the_handler()
  local port = servers.redis()
  local told = harness.script("both_styles.lua", { "127.0.0.1", port, 100 })
  lu.assertEquals(told.errors(), "", "standard error")
  lu.assertEquals(told.code, 0, "exit status")
  for n = 1, 100 do lu.assertStrContains(told.output(), ("channel %d: hello\n"):format(n)) end
  lu.assertStrContains(told.output(), "\n100 listened, 100 messages\n")
  lu.assertEquals(select(2, told.output():gsub("\n", "")), 101, "lines")
  lu.assertEquals(count_calls(port, "publish"), 100)
end

-- Answers every command by the same bytes.
local function server(address, reply)
  return harness.listen(address, nil, function(client)
    client:read_start(function(_, bytes)
      if bytes then client:write(reply) elseif not client:is_closing() then client:close() end
    end)
  end)
end

function cases.wrong_replies_and_nobody_there_are_told_exit_status_1()
  local address = harness.address()
  local port = server(address, "-ERR no \27[2J\r\n")
  local told = harness.script("redis_pubsub.lua", { address, port, 3 })
  lu.assertEquals(told.code, 1, "exit status")
  lu.assertStrContains(told.output(), "3 channels: 0 messages came, 0 replies as expected")
  lu.assertStrContains(told.errors(), "the reply is ERR no \\u001B[2J, not subscribe channel")
  told = harness.script("both_styles.lua", { address, port, 3 })
  lu.assertEquals(told.code, 1, "exit status")
  lu.assertStrContains(told.output(), "channel 3: error: not a Redis server\n")
  lu.assertStrContains(told.output(), "0 listened, 0 messages\n")
  told = harness.script("redis_pubsub.lua", { address, 9, 3 })
  lu.assertEquals(told.code, 1, "exit status")
  lu.assertStrContains(told.errors(), "connect: Connection refused")
  told = harness.script("both_styles.lua", { address, 9, 3 })
  lu.assertEquals(told.code, 1, "exit status")
  lu.assertStrContains(told.output(), "channel 2: failure: Connection refused\n")
  lu.assertStrContains(told.output(), "0 listened, 0 messages\n")
end

function cases.bad_arguments_the_usage_exit_status_2()
  for _, name in ipairs { "redis_pubsub.lua", "both_styles.lua" } do
    for _, words in ipairs { {}, { "127.0.0.1", "1", "x" }, { "127.0.0.1", "1", "0" } } do
      local told = harness.script(name, words)
      lu.assertEquals(told.code, 2, "exit status")
      lu.assertStrContains(told.errors(), "usage: ")
    end
  end
end

harness.main(cases)
