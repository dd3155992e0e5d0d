-- SPDX-License-Identifier: MIT
-- echo.lua: 30 connections, 200 random bytes each.
local harness = require "scripts.harness"

harness.case("30 connections get their 200 random bytes back from the practice peer", function()
  local echo = harness.script("echo.lua", {}, { peer = "echo" })
  harness.equal("", echo.errors(), "standard error")
  harness.equal("30 connections, 6000 bytes: 30 came back as sent, 0 did not\n", echo.output())
  harness.equal(0, echo.code, "exit status")
end)

harness.case("the server sees 30 connections of 200 bytes, all different, all closed", function()
  local address, seen, ended = harness.address(), {}, 0
  local port = harness.listen(address, nil, function(client)
    local number = #seen + 1
    seen[number] = ""
    client:read_start(function(failure, bytes)
      assert(not failure, failure)
      if not bytes then
        ended = ended + 1
        return client:close()
      end
      seen[number] = seen[number] .. bytes
      client:write(bytes)
    end)
  end)
  local echo = harness.script("echo.lua", { address, port })
  harness.equal(0, echo.code, "exit status " .. echo.errors())
  harness.wait_until(5, "30 ends of file", function() return ended == 30 end)
  local known = {}
  for _, bytes in ipairs(seen) do
    harness.equal(200, #bytes, "bytes of a connection")
    assert(not known[bytes], "two connections sent the same bytes")
    known[bytes] = true
  end
end)

harness.case("bytes that come back in pieces are put together", function()
  local address = harness.address()
  local port = harness.listen(address, nil, function(client)
    client:nodelay(true)
    client:read_start(function(_, bytes)
      if not bytes then return client:close() end
      for i = 1, #bytes, 7 do client:write(bytes:sub(i, i + 6)) end
    end)
  end)
  local echo = harness.script("echo.lua", { address, port })
  harness.equal("30 connections, 6000 bytes: 30 came back as sent, 0 did not\n", echo.output())
end)

harness.case("one wrong byte, and a server that hangs up: said, exit status 1", function()
  local address, connections = harness.address(), 0
  local port = harness.listen(address, nil, function(client)
    connections = connections + 1
    local bad, broken = connections == 3, connections == 7
    client:read_start(function(_, bytes)
      if not bytes or broken then return client:is_closing() or client:close() end
      local other = string.char((bytes:byte(100) + 1) % 256)
      client:write(bad and bytes:sub(1, 99) .. other .. bytes:sub(101) or bytes)
    end)
  end)
  local echo = harness.script("echo.lua", { address, port })
  harness.equal(1, echo.code, "exit status")
  harness.contains(echo.output(), "28 came back as sent, 2 did not", "summary")
  harness.contains(echo.errors(), "not the bytes that were sent", "error")
end)

harness.case("nobody listens: 30 failures, exit status 1", function()
  local echo = harness.script("echo.lua", { harness.address(), 9 })
  harness.equal(1, echo.code, "exit status")
  harness.contains(echo.output(), "0 came back as sent, 30 did not", "summary")
  local _, failures = echo.errors():gsub("failure", "")
  harness.equal(30, failures, "failures")
end)

harness.case("without peer and address: the usage, exit status 2", function()
  local echo = harness.script("echo.lua")
  harness.equal(2, echo.code, "exit status")
  harness.contains(echo.errors(), "usage: ", "error")
end)

harness.main()
