-- SPDX-License-Identifier: MIT
-- The two programs of the Perl module's manual.
local lu = require "luaunit"
local harness = require "scripts.harness"

local cases = harness.cases "Synopsis"

-- Greets, collects what comes until the first line end, closes.
local function greeter(address, port, greeting, seen)
  return harness.listen(address, port, function(client)
    if greeting then client:write(greeting) end
    local bytes = ""
    client:read_start(function(_, more)
      bytes = bytes .. (more or "")
      if more and not bytes:find("\n", 1, true) then return end
      seen[#seen + 1] = bytes
      if not client:is_closing() then client:close() end
    end)
  end)
end

function cases.synopsis_short_prints_the_lines_of_those_that_talk_sends_empty_lines()
  local address, seen = harness.address(), {}
  greeter(address, 20105, "SSH-2.0-test\r\n", seen)
  greeter(address, 20131, "\27[31mred\r\nsecond\n", seen)
  greeter(address, 20140, nil, seen)
  local short = harness.script("synopsis_short.lua", { address, 20100, 20140 })
  lu.assertEquals(short.code, 0, "exit status " .. short.errors())
  for _, line in ipairs {
    "20105: Connection Received\n", "20131: Connection Received\n",
    "20140: Connection Received\n", "20105: SSH-2.0-test\n", "20131: \\u001B[31mred\n",
    "20131: second\n",
  } do
    lu.assertStrContains(short.output(), address .. ":" .. line)
  end
  local _, lines = short.output():gsub("\n", "")
  lu.assertEquals(lines, 6, "lines of output")
  lu.assertEquals(table.concat(seen, " "), "\r\n \r\n \r\n", "what the servers received")
end

function cases.synopsis_short_without_arguments_the_ports_1_to_1024_of_127_0_0_1()
  local short = harness.script("synopsis_short.lua")
  lu.assertEquals(short.code, 0, "exit status " .. short.errors())
  lu.assertEquals(short.errors(), "", "standard error")
end

function cases.synopsis_long_both_connections_send_count_their_records_and_hang_up()
  local address, received = harness.address(), {}
  local port = harness.line_server(address, nil, function(line)
    received[#received + 1] = line
    return "got " .. line .. "\27\r\n"
  end)
  local long = harness.script("synopsis_long.lua", { address, port })
  lu.assertEquals(long.errors(), "", "standard error")
  lu.assertEquals(long.code, 0, "exit status")
  local text, at = long.output(), 1
  for number = 1, 2 do
    at = 1
    for _, line in ipairs {
      ("connected to %s:%d"):format(address, port), "record 1: got Some Data\\u001B",
      "record 2: got Some Stuff\\u001B", "record 3: got Some Stuff\\u001B",
      "disconnected: shutdown",
    } do
      local first, last = text:find(("%d: %s\n"):format(number, line), at, true)
      assert(first, ("no %q after byte %d of %q"):format(line, at, text))
      at = last
    end
  end
  assert(text:find("6 records in all\n", at, true), text)
  table.sort(received)
  lu.assertEquals(table.concat(received, " "),
    "Some Data Some Data Some Stuff Some Stuff Some Stuff Some Stuff", "what the server received")
end

function cases.synopsis_long_the_practice_peer_will_do()
  local long = harness.script("synopsis_long.lua", {}, { peer = "echo" })
  lu.assertEquals(long.code, 0, "exit status " .. long.errors())
  lu.assertStrContains(long.output(), "2: record 1: Some Data\n")
  lu.assertStrContains(long.output(), "6 records in all\n")
end

function cases.synopsis_long_nobody_listens_and_a_server_that_hangs_up()
  local address = harness.address()
  local long = harness.script("synopsis_long.lua", { address, 9 })
  lu.assertStrContains(long.output(), "1: connect: ")
  lu.assertStrContains(long.output(), "ECONNREFUSED")
  lu.assertStrContains(long.output(), "2: disconnected: failure\n")
  local port = harness.listen(address, nil)
  long = harness.script("synopsis_long.lua", { address, port })
  lu.assertStrContains(long.output(), "1: disconnected: ")
  lu.assertStrContains(long.output(), "0 records in all\n")
end

function cases.bad_arguments_the_usage_exit_status_2()
  for name, words in pairs {
    ["synopsis_short.lua"] = { "127.0.0.1", "x" }, ["synopsis_long.lua"] = { "127.0.0.1", "x" },
  } do
    local script = harness.script(name, words)
    lu.assertEquals(script.code, 2, "exit status")
    lu.assertStrContains(script.errors(), "usage: ")
  end
end

harness.main(cases)
