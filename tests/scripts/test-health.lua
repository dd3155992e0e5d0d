-- SPDX-License-Identifier: MIT
-- health.lua: expectations of servers, once and again and again.
local lu = require "luaunit"
local harness = require "scripts.harness"
local servers = require "scripts.servers"

local cases = harness.cases "Health"

local function write_list(text)
  local path = harness.directory() .. "/list"
  harness.write_file(path, text)
  return path
end

local function check(text)
  return harness.script("health.lua", { write_list(text) })
end

-- A peer that says this at once.
local function peer(words)
  return "127.0.0.1:" .. harness.listen("127.0.0.1", nil, function(client) client:write(words) end)
end

local function escape_pattern(text) return (text:gsub("%p", "%%%0")) end

-- Asserts that the line of an expectation begins with this word, and gives the text in brackets.
local function told(run, word, expectation)
  local pattern = "\n" .. word .. " +" .. escape_pattern(expectation) .. " %(([^\n]*)%)\n"
  local text = ("\n" .. run.output()):match(pattern)
  assert(text, ("%s %s is not in %s%s"):format(word, expectation, run.output(), run.errors()))
  return text
end

function cases.redis_answers_ping_with_pong()
  local line = ('127.0.0.1:%d send "PING\\r\\n" expect +PONG in 5s'):format(servers.redis())
  local run = check(line .. "\n")
  lu.assertStrMatches(told(run, "ok", line), "[%d.]+ %ls")
  lu.assertEquals({ run.code, run.errors() }, { 0, "" })
end

function cases.what_fails_says_why_exit_status_3()
  local open, closed = peer "220 ready\r\n", "127.0.0.1:9"
  local silent = "127.0.0.1:" .. harness.listen("127.0.0.1", nil, function() end)
  local lines = { open .. ' expect "220 "', open .. ' expect "250 "  in  300ms',
    open .. " refused", closed .. " refused", closed, silent .. " expect x in 200ms", silent,
    "no.invalid:80" }
  local run = check("# servers\n\n  " .. table.concat(lines, " \t# why\r\n") .. "\n")
  lu.assertEquals({ run.code, run.errors() }, { 3, "" })
  told(run, "ok", lines[1])
  lu.assertStrContains(told(run, "FAILED", lines[2]), 'expected "250 ", got 220 ready')
  lu.assertEquals(told(run, "FAILED", lines[3]), "somebody listens")
  told(run, "ok", lines[4])
  lu.assertStrContains(told(run, "FAILED", lines[5]), "connect: Connection refused")
  lu.assertStrContains(told(run, "FAILED", lines[6]), "deadline")
  told(run, "ok", lines[7])
  lu.assertStrContains(told(run, "FAILED", lines[8]), "resolve: ")
  lu.assertEquals(select(2, run.output():gsub("\n", "")), #lines)
end

function cases.texts_may_have_blanks_quotation_marks_and_any_byte()
  local heard
  local port = harness.listen("127.0.0.1", nil, function(client)
    client:read_start(function(_, bytes)
      heard = (heard or "") .. (bytes or "")
      client:write '\0a "b"\\ #'
    end)
  end)
  local run = check(([[127.0.0.1:%d send "\x00\x6e\\\"\t \n" expect "a \"b\"\\ #"]]):format(port))
  lu.assertEquals({ run.code, run.errors(), heard }, { 0, "", "\0n\\\"\t \n" })
end

function cases.what_a_server_says_does_nothing_to_a_terminal()
  local run = check(peer "\27[2J\155\n" .. " expect x in 200ms")
  lu.assertEquals(run.code, 3)
  lu.assertNil(run.output():find "[^ -~\n]")
end

function cases.an_empty_list_is_well()
  local run = check "# nothing\n"
  lu.assertEquals({ run.code, run.output(), run.errors() }, { 0, "", "" })
  run = harness.script("health.lua", { "-" }, { stdin = "127.0.0.1:9 refused" })
  told(run, "ok", "127.0.0.1:9 refused")
end

function cases.lines_that_are_none_are_named_before_the_first_connection_exit_status_2()
  local asked = 0
  local port = harness.listen("127.0.0.1", nil, function(client)
    asked = asked + 1
    client:close()
  end)
  for line, message in pairs {
    ["127.0.0.1"] = "127.0.0.1: expected HOST:PORT",
    ["127.0.0.1:0"] = "127.0.0.1:0: expected HOST:PORT",
    ["a:1-9"] = "a:1-9: expected HOST:PORT", ["::1:80"] = "::1:80: expected HOST:PORT",
    ["a:80 what"] = "what: expected refused, tls", ["a:80 in"] = "in: expected a time like",
    ["a:80 in soon"] = "in: expected a time like", ["a:80 in 0"] = "in: expected more than 0",
    ["a:80 days x"] = "days: expected a whole number", ["a:80 send"] = "send: expected a text",
    ['a:80 send "x'] = "a quotation mark without another",
    ["a:80 refused send x"] = "refused: nothing else",
  } do
    local run = check(("127.0.0.1:%d\n\n%s\n"):format(port, line))
    lu.assertEquals({ run.code, run.output() }, { 2, "" }, line)
    lu.assertStrContains(run.errors(), "/list:3: " .. message)
  end
  lu.assertEquals(asked, 0)
end

function cases.lines_at_random_are_lines_or_none()
  local words = { "127.0.0.1:9", "[::1]:9", "refused", "tls", "days", "14", "in", "1ms", "send",
    "expect", '"a b"', '"', "\\", '"\\', "#", "\0", "\255", ":", '""', "x" }
  for _ = 1, 150 do
    local line = {}
    for i = 1, math.random(6) do line[i] = words[math.random(#words)] end
    local text = "127.0.0.1:9" .. (" "):rep(math.random(0, 1)) .. table.concat(line, " ")
    local run = check(text)
    assert(run.code == 0 or run.code == 2 or run.code == 3, text .. ": " .. run.errors())
  end
end

function cases.wrong_options_exit_status_2()
  for message, words in pairs {
    ["which file?"] = {}, ["which file?\n"] = { "f", "f" },
    ["'--every' requires an argument"] = { "--every" },
    ["--every: 'x': expected a time like"] = { "--every", "x", "f" },
    ["--every: expected more than 0"] = { "--every", "0", "f" },
    ["unknown option '--evry' (did you mean"] = { "--evry", "f" },
    ["/no/such: No such file"] = { "/no/such" },
  } do
    local run = harness.script("health.lua", words)
    lu.assertEquals(run.code, 2, message)
    lu.assertStrContains(run.errors(), message)
    lu.assertStrContains(run.errors(), "usage: tcpmulti-lua -m health")
  end
end

-- ---- again and again ----

local function lines_of(run) return select(2, run.output():gsub("\n", "")) end

local function wait_for(run, what)
  harness.wait_until(10, what, function() return run.output():find(what, 1, true) end)
end

function cases.changes_are_printed_the_list_is_read_again_after_sighup()
  local words = "up"
  local port = harness.listen("127.0.0.1", nil, function(client)
    client:write(words)
    client:shutdown()
  end)
  local line = ("127.0.0.1:%d expect up"):format(port)
  local path = write_list(line .. "\n")
  local run = harness.start(arg[1], { "-m", "health", "--every", "50ms", path })
  wait_for(run, "ok     " .. line)
  lu.assertStrMatches(run.output(), "%d+%-%d%d%-%d%d %d%d:%d%d:%d%d ok .*")
  harness.wait(300)
  lu.assertEquals(lines_of(run), 1, "nothing has changed")
  words = "down"
  wait_for(run, "FAILED " .. line)
  words = "up"
  harness.wait_until(10, "ok again", function() return lines_of(run) == 3 end)
  harness.write_file(path, "nonsense\n")
  run.kill "sighup"
  harness.wait_until(10, "a message", function() return run.errors():find "the old list stays" end)
  lu.assertStrContains(run.errors(), path .. ":1: nonsense: expected HOST:PORT")
  harness.write_file(path, line .. "\n127.0.0.1:9\n")
  run.kill "sighup"
  wait_for(run, "FAILED 127.0.0.1:9")
  lu.assertEquals(lines_of(run), 4, "what was known is not told again")
  run.kill "sigterm"
  lu.assertEquals(harness.finish(run).code, 3)
end

function cases.all_is_well_when_it_is_ended_exit_status_0()
  local run = harness.start(arg[1], { "-m", "health", "--every", "1h",
    write_list "127.0.0.1:9 refused" })
  wait_for(run, "ok     127.0.0.1:9 refused")
  run.kill "sigint"
  lu.assertEquals(harness.finish(run).code, 0)
end

harness.main(cases)
