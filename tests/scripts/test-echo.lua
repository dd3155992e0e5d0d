-- SPDX-License-Identifier: MIT
-- echo.lua: 30 connections, 200 random bytes each.
local lu = require "luaunit"
local harness = require "scripts.harness"

local cases = harness.cases "Echo"

function cases.thirty_connections_get_their_200_random_bytes_back_from_the_practice_peer()
  local echo = harness.script("echo.lua", {}, { peer = "echo" })
  lu.assertEquals(echo.errors(), "", "standard error")
  lu.assertEquals(echo.output(), "30 connections, 6000 bytes: 30 came back as sent, 0 did not\n")
  lu.assertEquals(echo.code, 0, "exit status")
end

function cases.the_server_sees_30_connections_of_200_bytes_all_different_all_closed()
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
  lu.assertEquals(echo.code, 0, "exit status " .. echo.errors())
  harness.wait_until(5, "30 ends of file", function() return ended == 30 end)
  local known = {}
  for _, bytes in ipairs(seen) do
    lu.assertEquals(#bytes, 200, "bytes of a connection")
    assert(not known[bytes], "two connections sent the same bytes")
    known[bytes] = true
  end
end

function cases.bytes_that_come_back_in_pieces_are_put_together()
  local address = harness.address()
  local port = harness.listen(address, nil, function(client)
    client:nodelay(true)
    client:read_start(function(_, bytes)
      if not bytes then return client:close() end
      for i = 1, #bytes, 7 do client:write(bytes:sub(i, i + 6)) end
    end)
  end)
  local echo = harness.script("echo.lua", { address, port })
  lu.assertEquals(echo.output(), "30 connections, 6000 bytes: 30 came back as sent, 0 did not\n")
end

function cases.one_wrong_byte_and_a_server_that_hangs_up_said_exit_status_1()
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
  lu.assertEquals(echo.code, 1, "exit status")
  lu.assertStrContains(echo.output(), "28 came back as sent, 2 did not")
  lu.assertStrContains(echo.errors(), "not the bytes that were sent")
end

function cases.nobody_listens_30_failures_exit_status_1()
  local echo = harness.script("echo.lua", { harness.address(), 9 })
  lu.assertEquals(echo.code, 1, "exit status")
  lu.assertStrContains(echo.output(), "0 came back as sent, 30 did not")
  local _, failures = echo.errors():gsub("failure", "")
  lu.assertEquals(failures, 30, "failures")
end

function cases.without_peer_and_address_the_usage_exit_status_2()
  local echo = harness.script("echo.lua")
  lu.assertEquals(echo.code, 2, "exit status")
  lu.assertStrContains(echo.errors(), "usage: ")
end

harness.main(cases)
