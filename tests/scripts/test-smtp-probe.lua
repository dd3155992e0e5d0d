-- SPDX-License-Identifier: MIT
-- smtp_probe.lua against exim, and against servers that know what a probe can stumble over.
local lu = require "luaunit"
local harness = require "scripts.harness"
local servers = require "scripts.servers"

local cases = harness.cases "SmtpProbe"

-- The lines for people.
local function run(targets, ...)
  return harness.script("smtp_probe.lua", { "-q", "-r", "0", "--per-host", "0", ... },
    { stdin = table.concat(targets, "\n") })
end

local function place(target) return (target:gsub(":", " port ")) .. ": " end

function cases.J82_exim_takes_mail_for_postmaster_the_whole_dialogue()
  local target = "127.0.0.1:" .. servers.exim()
  local probe = run { target }
  lu.assertEquals(probe.errors(), "", "standard error")
  lu.assertEquals(probe.code, 0, "exit status")
  lu.assertEquals(probe.output(), place(target) .. "accepted\n")
  local text, at = harness.script("smtp_probe.lua", { "-q", "-f", "jsonl", target }).output(), 1
  for _, words in ipairs {
    '"reply":"220 mail.example ESMTP', '"command":"EHLO localhost"',
    '"reply":"250-mail.example Hello localhost', "\\n250-SIZE ", "\\n250 ",
    '"command":"MAIL FROM:<>","reply":"250 OK"',
    '"command":"RCPT TO:<postmaster>","reply":"250 Accepted"', '"command":"RSET","reply":"250 ',
  } do
    local _, last = text:find(words, at, true)
    assert(last, ("no %q after byte %d of %q"):format(words, at, text))
    at = last + 1
  end
end

function cases.exim_refuses_to_relay_its_reason_exit_status_3()
  local target = "127.0.0.1:" .. servers.exim()
  local probe = run({ target }, "--from", "a@b.example", "--to", "c@d.example")
  lu.assertEquals(probe.code, 3, "exit status")
  lu.assertEquals(probe.output(), place(target) .. "550 relay not permitted\n")
end

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

function cases.commands_come_one_by_one_each_after_the_reply_before_and_end_in_cr_lf()
  local address, heard = harness.address(), {}
  local target = address .. ":" .. mail_server(address, polite, heard)
  local probe = run { target }
  lu.assertEquals(probe.code, 0, "exit status " .. probe.errors())
  local expected = "EHLO localhost|MAIL FROM:<>|RCPT TO:<postmaster>|RSET|QUIT"
  lu.assertEquals(table.concat(heard, "|"), expected, "what the server heard")
end

function cases.a_refusal_is_followed_by_quit()
  local address, heard = harness.address(), {}
  local replies = like_polite { RCPT = "550 no\r\n" }
  local probe = run { address .. ":" .. mail_server(address, replies, heard) }
  lu.assertEquals(probe.code, 3, "exit status " .. probe.errors())
  lu.assertEquals(table.concat(heard, "|"), "EHLO localhost|MAIL FROM:<>|RCPT TO:<postmaster>|QUIT")
end

function cases.replies_of_several_lines_in_pieces_with_bare_line_feeds_bytes_escaped()
  local address, heard = harness.address(), {}
  local replies = like_polite {
    [1] = "220-hello\n220-\27[2J\155\n220\n",
    EHLO = { "250-o", "ne\r", "\n250-TWO\r\n2", "50 THREE\r\n" },
    RSET = "554 \27[2J\r\n",
  }
  local target = address .. ":" .. mail_server(address, replies, heard)
  local probe = run { target }
  lu.assertEquals(probe.output(), place(target) .. "554 \\u001B[2J\n")
  lu.assertEquals(#heard, 5)
end

function cases.a_busy_server_421_then_it_hangs_up_its_own_words_are_the_result()
  local address = harness.address()
  local port = harness.listen(address, nil, function(client)
    client:write("421 busy, try later\r\n")
    client:shutdown()
  end)
  local probe = run { address .. ":" .. port }
  lu.assertEquals(probe.code, 3, "exit status")
  lu.assertStrContains(probe.output(), ": 421 busy, try later\n")
end

function cases.no_smtp_codes_that_change_within_a_reply_an_early_end_exit_status_3()
  local address = harness.address()
  for replies, result in pairs {
    [like_polite { [1] = "SSH-2.0-test\r\n" }] = "not a reply: SSH-2.0-test",
    [like_polite { EHLO = "250-one\r\n350 two\r\n" }] = "end of file",
    [like_polite { EHLO = "250-one\r\n250-two\r\n" }] = "end of file",
    [like_polite { [1] = "220 " .. ("x"):rep(70000) }] = "a reply is longer than ",
  } do
    local port = harness.line_server(address, replies[1], function(line, client)
      local verb = line:match("^%a+")
      if verb == "EHLO" then
        client:write(replies.EHLO)
        client:shutdown()
        return ""
      end
      return replies[verb]
    end)
    local probe = run { address .. ":" .. port }
    lu.assertEquals(probe.code, 3, "exit status: " .. probe.output())
    lu.assertStrContains(probe.output(), ": " .. result)
  end
end

function cases.many_servers_at_once_one_bad_apple_does_not_spoil_the_others()
  local address, heard, targets = harness.address(), {}, {}
  for i = 1, 20 do targets[i] = address .. ":" .. mail_server(address, polite, heard) end
  targets[21] = address .. ":9"
  local probe = run(targets)
  lu.assertEquals(probe.code, 3, "exit status")
  for i = 1, 20 do lu.assertStrContains(probe.output(), place(targets[i]) .. "accepted\n") end
  lu.assertStrContains(probe.output(), place(targets[21]) .. "Connection refused")
end

function cases.all_is_looked_at_before_the_first_connection_exit_status_2()
  local address, heard = harness.address(), {}
  local target = address .. ":" .. mail_server(address, polite, heard)
  for _, words in ipairs { { "--to", "a>\r\nDATA" }, { "--from", "a\nb" }, { "--from" },
    { "--strict", "127.0.0.1:0" } } do
    local probe = harness.script("smtp_probe.lua", { target, unpack(words) })
    lu.assertEquals(probe.code, 2, "exit status of " .. table.concat(words, " "))
    lu.assertStrContains(probe.errors(), "smtp_probe.lua: ")
  end
  lu.assertEquals(heard, {})
end

harness.main(cases)
