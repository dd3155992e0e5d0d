-- SPDX-License-Identifier: MIT
-- smtp_probe.lua against exim, and against servers that know what a probe can stumble over.
local harness = require "scripts.harness"
local servers = require "scripts.servers"

local function transcript(probe, target)
  local lines = {}
  for line in probe.output():gmatch("[^\n]+") do
    if line:sub(1, #target + 1) == target .. " " then lines[#lines + 1] = line:sub(#target + 2) end
  end
  return "\n" .. table.concat(lines, "\n") .. "\n"
end

harness.case("exim takes mail for postmaster: the whole dialogue", function()
  local target = "127.0.0.1:" .. servers.exim()
  local probe = harness.script("smtp_probe.lua", { target })
  harness.equal("", probe.errors(), "standard error")
  harness.equal(0, probe.code, "exit status")
  local text, at = transcript(probe, target), 1
  for _, line in ipairs {
    "< 220 mail.example ESMTP", "> EHLO localhost\n", "< 250-mail.example Hello localhost",
    "< 250-SIZE ", "< 250 ", "> MAIL FROM:<>\n", "< 250 OK\n", "> RCPT TO:<postmaster>\n",
    "< 250 Accepted\n",
    "> RSET\n", "< 250 ", "> QUIT\n", "< 221 mail.example closing connection\n", "= accepted\n",
  } do
    local first, last = text:find("\n" .. line, at, true)
    assert(first, ("no %q after byte %d of %q"):format(line, at, text))
    at = line:sub(-1) == "\n" and last or last + 1
  end
end)

harness.case("exim refuses to relay: its reason, exit status 1", function()
  local target = "127.0.0.1:" .. servers.exim()
  local words = { "-f", "a@b.example", "-t", "c@d.example", target }
  local probe = harness.script("smtp_probe.lua", words)
  harness.equal(1, probe.code, "exit status")
  local text = transcript(probe, target)
  harness.contains(text, "\n> MAIL FROM:<a@b.example>\n", "transcript")
  harness.contains(text, "\n< 550 relay not permitted\n> QUIT\n< 221 ", "transcript")
  harness.contains(text, "\n= 550 relay not permitted\n", "transcript")
end)

-- A server that answers the verb by a table, and remembers what it heard.
local function mail_server(address, replies, heard)
  return harness.line_server(address, replies[1], function(line)
    heard[#heard + 1] = line
    return replies[line:match("^%a+")]
  end)
end

local polite = {
  "220 one.example\r\n", EHLO = "250 one.example\r\n", MAIL = "250 ok\r\n",
  RCPT = "251 will forward\r\n", RSET = "250 ok\r\n", QUIT = "221 bye\r\n",
}
local function like_polite(changes)
  local replies = {}
  for key, reply in pairs(polite) do replies[key] = reply end
  for key, reply in pairs(changes) do replies[key] = reply end
  return replies
end

harness.case("commands come one by one, each after the reply before, and end in CR LF", function()
  local address, heard = harness.address(), {}
  local target = address .. ":" .. mail_server(address, polite, heard)
  local probe = harness.script("smtp_probe.lua", { target })
  harness.equal(0, probe.code, "exit status " .. probe.errors())
  local expected = "EHLO localhost|MAIL FROM:<>|RCPT TO:<postmaster>|RSET|QUIT"
  harness.equal(expected, table.concat(heard, "|"), "what the server heard")
end)

harness.case("replies of several lines, in pieces, with bare line feeds; bytes escaped", function()
  local address, heard = harness.address(), {}
  local replies = like_polite {
    [1] = "220-hello\n220-\27[2J\155\n220\n",
    EHLO = { "250-o", "ne\r", "\n250-TWO\r\n2", "50 THREE\r\n" },
  }
  local target = address .. ":" .. mail_server(address, replies, heard)
  local probe = harness.script("smtp_probe.lua", { target })
  harness.equal(0, probe.code, "exit status " .. probe.errors())
  local text = transcript(probe, target)
  harness.contains(text, "\n< 220-hello\n< 220-\\u001B[2J\\u009B\n< 220\n> EHLO", "text")
  harness.contains(text, "\n< 250-one\n< 250-TWO\n< 250 THREE\n> MAIL", "text")
end)

harness.case("a busy server (421, then it hangs up): its own words are the result", function()
  local address = harness.address()
  local port = harness.listen(address, nil, function(client)
    client:write("421 busy, try later\r\n")
    client:shutdown()
  end)
  local probe = harness.script("smtp_probe.lua", { address .. ":" .. port })
  harness.equal(1, probe.code, "exit status")
  harness.contains(probe.output(), " = 421 busy, try later\n", "result")
end)

harness.case("no SMTP, codes that change within a reply, an early end: exit status 1", function()
  local address = harness.address()
  local cases = {
    [like_polite { [1] = "SSH-2.0-test\r\n" }] = "= error: not an SMTP reply",
    [like_polite { EHLO = "250-one\r\n350 two\r\n" }] = "= error: not an SMTP reply",
    [like_polite { EHLO = "250-one\r\n250-two\r\n", MAIL = false }] = "= ",
    [like_polite { MAIL = false }] = "= ",
    [like_polite { [1] = "220 " .. ("x"):rep(3000) }] = "= error: ",
  }
  for replies, result in pairs(cases) do
    replies.MAIL = replies.MAIL or nil
    local port = harness.line_server(address, replies[1], function(line, client)
      local verb = line:match("^%a+")
      if verb == "EHLO" and not replies.MAIL then
        client:write(replies.EHLO)
        client:shutdown()
        return ""
      end
      return replies[verb]
    end)
    local probe = harness.script("smtp_probe.lua", { address .. ":" .. port })
    harness.equal(1, probe.code, "exit status: " .. probe.output())
    harness.contains(probe.output(), result, "result")
    assert(not probe.output():find("= accepted", 1, true), probe.output())
  end
end)

harness.case("many servers at once; one bad apple does not spoil the others", function()
  local address, heard, targets = harness.address(), {}, {}
  for i = 1, 20 do targets[i] = address .. ":" .. mail_server(address, polite, heard) end
  targets[21] = address .. ":9"
  local probe = harness.script("smtp_probe.lua", targets)
  harness.equal(1, probe.code, "exit status")
  for i = 1, 20 do harness.contains(probe.output(), targets[i] .. " = accepted\n", "result") end
  harness.contains(probe.output(), targets[21] .. " = failure: ", "result")
end)

harness.case("bad arguments: the usage, exit status 2", function()
  for _, words in ipairs { {}, { "-t", "a>\r\nDATA", "127.0.0.1" }, { "-f" }, { "127.0.0.1:0" } } do
    local probe = harness.script("smtp_probe.lua", words)
    harness.equal(2, probe.code, "exit status of " .. table.concat(words, " "))
    harness.contains(probe.errors(), "usage: ", "error")
  end
end)

harness.main()
