-- SPDX-License-Identifier: MIT
-- telnet_run.lua against hosts that prompt, scripted here: byte by byte, with options of telnet;
-- and against such as refuse.
local lu = require "luaunit"
local harness = require "scripts.harness"

local cases = harness.cases "TelnetRun"

local function write_bytes(client, text)
  for byte in text:gmatch "." do client:write(byte) end
end

-- A host that prompts for user and password, echoes commands and answers them; it adds what it
-- hears to a list.
local function host(address, heard, answers)
  return harness.listen(address, nil, function(client)
    local pending, line_number = "", 0
    write_bytes(client, "\255\253\1\255\251\3Debian 12\r\nhost login: ")
    client:read_start(function(_, bytes)
      if not bytes then return client:is_closing() or client:close() end
      pending = pending .. bytes
      for line, rest in function() return pending:match "^(.-)\n(.*)$" end do
        pending, line_number = rest, line_number + 1
        heard[#heard + 1] = line
        local reply = line == "exit" and "bye\r\n" or answers[line_number]
        if reply then write_bytes(client, reply) end
      end
    end)
  end)
end

local function shell(output)
  return { "Password: ", "\r\nWelcome\r\n$ ", output .. "joe@host:~$ " }
end

function cases.a_command_on_each_of_many_hosts_by_prompts_without_line_ends()
  local address, heard, words = harness.address(), {}, { "joe", "uname -r" }
  for i = 1, 10 do
    local output = ("uname -r\r\n6.1.%d\r\n"):format(i) .. "\27[2Jx\r\n"
    words[#words + 1] = address .. ":" .. host(address, heard, shell(output))
  end
  local told = harness.script("telnet_run.lua", words, { stdin = "sec ret\nmore\n" })
  lu.assertEquals(told.errors(), "", "standard error")
  lu.assertEquals(told.code, 0, "exit status")
  for i = 1, 10 do
    lu.assertStrContains(told.output(), ("%s: 6.1.%d\n%s: \\u001B[2Jx\n"):format(words[i + 2], i,
      words[i + 2]))
  end
  lu.assertEquals(select(2, told.output():gsub("\n", "")), 20, told.output())
  harness.wait_until(10, "all lines", function() return #heard == 40 end)
  local counts = {}
  for _, line in ipairs(heard) do counts[line] = (counts[line] or 0) + 1 end
  lu.assertEquals(counts, { joe = 10, ["sec ret"] = 10, ["uname -r"] = 10, exit = 10 })
end

function cases.hosts_that_refuse_hang_up_or_are_not_there_exit_status_1()
  local address, heard = harness.address(), {}
  local refuses = host(address, heard, { "Password: ", "\r\nLogin incorrect\r\nlogin: " })
  local hangs_up = harness.listen(address, nil)
  local good = host(address, heard, shell "uname\r\nLinux\r\n")
  local words = { "joe", "uname" }
  for i, port in ipairs { refuses, hangs_up, 9, good } do words[i + 2] = address .. ":" .. port end
  words[7] = "nonsense"
  local told = harness.script("telnet_run.lua", words, { stdin = "secret\n" })
  lu.assertEquals(told.errors(), "", "standard error")
  lu.assertEquals(told.code, 1, "exit status")
  lu.assertStrContains(told.output(), words[3] .. ": (rejected: ")
  lu.assertStrContains(told.output(), ", EREJECTED)\n")
  lu.assertStrContains(told.output(), words[4] .. ": (end of file; expected \"")
  lu.assertStrContains(told.output(), words[5] .. ": (connect: Connection refused, ECONNREFUSED)\n")
  lu.assertStrContains(told.output(), words[6] .. ": Linux\n")
  lu.assertStrContains(told.output(), "nonsense: (not a HOST:PORT, EINVAL)\n")
end

function cases.bad_arguments_the_usage_exit_status_2()
  for _, words in ipairs { {}, { "joe" }, { "joe", "uname" } } do
    local told = harness.script("telnet_run.lua", words)
    lu.assertEquals(told.code, 2, "exit status")
    lu.assertStrContains(told.errors(), "usage: ")
  end
end

harness.main(cases)
