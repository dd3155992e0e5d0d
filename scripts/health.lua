-- SPDX-License-Identifier: MIT
-- health.lua: do servers answer as they should? Once, or again and again.
--
-- usage: tcpmulti-lua -m health [OPTION...] FILE     --help: options, and what lines of FILE are
--        Exit status: 3 if an expectation fails, at the end; 2 if a line is none.
--
--   $ cat expected
--   127.0.0.1:6379  send "PING\r\n" expect +PONG in 50ms
--   www.example:443 days 14         # its certificate is good for so long
--   10.0.0.7:23     refused         # nobody listens
--   $ tcpmulti-lua -m health expected
--   ok     127.0.0.1:6379 send "PING\r\n" expect +PONG in 50ms (0.31 ms)
--   FAILED www.example:443 days 14 (the certificate has 9 days left)
--   ok     10.0.0.7:23 refused (0.12 ms)
local tcpmulti, co = require "tcpmulti", require "tcpmulti.co"
local cli, targets, units = require "tcpmulti.cli", require "tcpmulti.targets",
  require "tcpmulti.units"
local now = tcpmulti.now

local function harmless(text) return (text:gsub("[%c\127-\255]", tcpmulti.escape)) end
local function complain(text) io.stderr:write("health.lua: ", harmless(text), "\n") end
local function stop(text, below)
  complain(text)
  io.stderr:write(below or "usage: tcpmulti-lua -m health [OPTION...] FILE", "\n")
  os.exit(2)
end

local options, problem, below = cli.parse({
  name = "tcpmulti-lua -m health", words = "FILE", about = [[
Do servers answer as they should? Lines of FILE, -: standard input:
  HOST:PORT [refused] [tls] [days N] [send TEXT] [expect TEXT] [in TIME]
  TEXT: a word, or "words" with \r \n \t \" \\ \xHH. in: for all of it; default: 5 s.]],
  rows = {
    { "Options" },
    { "every", "--every", "time", nil, "again and again: prints changes, SIGHUP reads FILE again" },
    { "ca", "--ca", "text", nil, "authorities of certificates", metavariable = "FILE" },
    { "help", "-h --help", "flag", false, "this text" },
  },
}, arg, function() end)
if not options then stop(problem, below) end
if options.help then os.exit(io.stdout:write(options.help) ~= nil) end
if options.every == 0 then stop "--every: expected more than 0" end
local path, every = options.target[1], options.every
if not path or options.target[2] then stop "which file?" end

-- ---- the list ----

local letters = { r = "\r", n = "\n", t = "\t" }
local function unescape(letter, digits)
  if letter == "x" and #digits == 2 then return string.char(tonumber(digits, 16)) end
  return (letters[letter] or letter) .. digits
end

-- Gives the words of a line, and its text without blanks around it and without a comment.
local function split(line)
  local words, first, at, last = {}, line:match "^%s*()", line:match "^%s*()", 0
  while at <= #line and line:sub(at, at) ~= "#" do
    local text, stops = line:match("^([^%s\"]+)()", at)
    if not text then
      stops = at + 1
      while line:find('^[^"]', stops) do stops = stops + (line:find("^\\", stops) and 2 or 1) end
      if stops > #line then return nil, "a quotation mark without another" end
      text, stops = line:sub(at + 1, stops - 1):gsub("\\(.)(%x?%x?)", unescape), stops + 1
    end
    words[#words + 1], last, at = text, stops - 1, line:match("^%s*()", stops)
  end
  return words, line:sub(first, last)
end

-- Readers of the values of words; false: the word has none.
local function keep(text) return text, "a text" end
local known = { refused = false, tls = false, days = units.count, ["in"] = units.time, send = keep,
  expect = keep }

-- Gives { text =, host =, port =, … }, false for an empty line; nil, message.
local function parse(line)
  local words, text = split(line)
  if not words or not words[1] then return words and false, text end
  local host, port = words[1]:match "^%[([^%[%]]+)%]:([%w-]+)$"
  if not host then host, port = words[1]:match "^([^:%[%]]+):([%w-]+)$" end
  local ports, at = port and targets.ports(port), 2
  if not ports or #ports > 1 then return nil, words[1] .. ": expected HOST:PORT" end
  local one = { text = text, host = host, port = ports[1], ["in"] = 5 }
  while words[at] do
    local name, read, value, expected = words[at], known[words[at]], true, nil
    if read == nil then return nil, name .. ": expected refused, tls, days, send, expect or in" end
    if read then value, expected = read(words[at + 1] or "") end
    if read and not (words[at + 1] and value) then return nil, name .. ": expected " .. expected end
    one[name], at = value, at + (read and 2 or 1)
  end
  if one["in"] == 0 then return nil, "in: expected more than 0" end
  if one.refused and (one.tls or one.days or one.send or one.expect) then
    return nil, "refused: nothing else can be expected then"
  end
  one.tls = one.tls or one.days ~= nil
  return one
end

local tls -- the context for all expectations that need one

-- Gives the list of the file; nil, message.
local function read_list()
  local file, message, list, number = io.stdin, nil, {}, 0
  if path ~= "-" then file, message = io.open(path) end
  if not file then return nil, message end
  for line in file:lines() do
    number = number + 1
    local one, wrong = parse(line)
    if one == nil then return nil, ("%s:%d: %s"):format(path, number, wrong) end
    if one and one.tls and not tls then
      local made, context = pcall(tcpmulti.tls, { ca = options.ca })
      if not made then return nil, context end
      tls = context
    end
    list[#list + 1] = one or nil
  end
  return list
end

-- ---- one expectation ----

local function check(one)
  local began = now()
  local cheap, message, errname = co.open { remote_address = one.host, remote_port = one.port,
    tls = one.tls and tls or nil, connect_timeout = one["in"], deadline = one["in"] }
  if one.refused and not cheap then
    return errname == "ECONNREFUSED" and now() - began or nil, message
  end
  co.try(cheap, message, errname)
  if one.refused then return nil, "somebody listens" end
  local left = one.days and math.floor((cheap:tls().chain[1].not_after - os.time()) / 86400)
  if left and left < one.days then return nil, ("the certificate has %d days left"):format(left) end
  if one.send then cheap:send(one.send) end
  if one.expect then co.try(cheap:expect { one.expect, plain = true }) end
  return now() - began
end

-- ---- rounds ----

local list, states, wake = {}, {}, co.queue(1) -- states: by text, whether all was well

local function tell(one, seconds, message)
  local is_good = seconds ~= nil
  if states[one.text] == is_good then return end
  states[one.text] = is_good
  print(("%s%s %s (%s)"):format(every and os.date "%F %T " or "",
    is_good and "ok    " or "FAILED", harmless(one.text),
    is_good and units.show_time(seconds * 1e6) or harmless(message)))
  io.stdout:flush()
end

local function exit()
  local status = 0
  for _, one in ipairs(list) do status = states[one.text] == false and 3 or status end
  os.exit(status)
end

local function read_again()
  local new, message = read_list()
  if not new then return complain(message .. "; the old list stays") end
  list = new
  wake:put "again"
end

list, problem = read_list()
if not list then stop(problem) end
local session = tcpmulti.create { filter = "stream", max_connections = 1000 }
if every then
  session:sig("HUP", read_again)
  session:sig("INT", exit)
  session:sig("TERM", exit)
end
co.run(session, function()
  repeat
    local due = now() + (every or 0)
    co.each(list, 1000, check, tell)
    if every then wake:get(math.max(due - now(), 0)) end
  until not every
end)
exit()
