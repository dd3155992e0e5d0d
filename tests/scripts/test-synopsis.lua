-- SPDX-License-Identifier: MIT
-- The two programs of the Perl module's manual.
local harness = require "scripts.harness"

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

harness.case("synopsis_short: prints the lines of those that talk, sends empty lines", function()
  local address, seen = harness.address(), {}
  greeter(address, 20105, "SSH-2.0-test\r\n", seen)
  greeter(address, 20131, "\27[31mred\r\nsecond\n", seen)
  greeter(address, 20140, nil, seen)
  local short = harness.script("synopsis_short.lua", { address, 20100, 20140 })
  harness.equal(0, short.code, "exit status " .. short.errors())
  for _, line in ipairs {
    "20105: Connection Received\n", "20131: Connection Received\n",
    "20140: Connection Received\n", "20105: SSH-2.0-test\n", "20131: \\u001B[31mred\n",
    "20131: second\n",
  } do
    harness.contains(short.output(), address .. ":" .. line, "output")
  end
  local _, lines = short.output():gsub("\n", "")
  harness.equal(6, lines, "lines of output")
  harness.equal("\r\n \r\n \r\n", table.concat(seen, " "), "what the servers received")
end)

harness.case("synopsis_short: without arguments, the ports 1 to 1024 of 127.0.0.1", function()
  local short = harness.script("synopsis_short.lua")
  harness.equal(0, short.code, "exit status " .. short.errors())
  harness.equal("", short.errors(), "standard error")
end)

harness.case("synopsis_long: both connections send, count their records and hang up", function()
  local address, received = harness.address(), {}
  local port = harness.line_server(address, nil, function(line)
    received[#received + 1] = line
    return "got " .. line .. "\27\r\n"
  end)
  local long = harness.script("synopsis_long.lua", { address, port })
  harness.equal("", long.errors(), "standard error")
  harness.equal(0, long.code, "exit status")
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
  harness.equal("Some Data Some Data Some Stuff Some Stuff Some Stuff Some Stuff",
    table.concat(received, " "), "what the server received")
end)

harness.case("synopsis_long: the practice peer will do", function()
  local long = harness.script("synopsis_long.lua", {}, { peer = "echo" })
  harness.equal(0, long.code, "exit status " .. long.errors())
  harness.contains(long.output(), "2: record 1: Some Data\n", "output")
  harness.contains(long.output(), "6 records in all\n", "output")
end)

harness.case("synopsis_long: nobody listens, and a server that hangs up", function()
  local address = harness.address()
  local long = harness.script("synopsis_long.lua", { address, 9 })
  harness.contains(long.output(), "1: connect: ", "output")
  harness.contains(long.output(), "ECONNREFUSED", "output")
  harness.contains(long.output(), "2: disconnected: failure\n", "output")
  local port = harness.listen(address, nil)
  long = harness.script("synopsis_long.lua", { address, port })
  harness.contains(long.output(), "1: disconnected: ", "output")
  harness.contains(long.output(), "0 records in all\n", "output")
end)

harness.case("bad arguments: the usage, exit status 2", function()
  for name, words in pairs {
    ["synopsis_short.lua"] = { "127.0.0.1", "x" }, ["synopsis_long.lua"] = { "127.0.0.1", "x" },
  } do
    local script = harness.script(name, words)
    harness.equal(2, script.code, "exit status")
    harness.contains(script.errors(), "usage: ", "error")
  end
end)

harness.main()
