-- SPDX-License-Identifier: MIT
-- An example of a protocol whose framing no filter that ships has: IMAP (RFC 3501), in which a line
-- that ends in "{5}" goes on behind 5 bytes of any kind, a literal. The program sends strings as
-- literals too. It stores a message, fetches it, and prints what it has got.
--
-- usage: tcpmulti-lua tests/scripts/imap_fetch.lua PORT USER PASSWORD MESSAGE
local tcpmulti, co = require "tcpmulti", require "tcpmulti.co"
local try = co.try

-- ---- the filter: a record is { "* 1 FETCH (BODY[] ", the literal, " FLAGS ())" } ----

local MOST = 16777216 -- bytes of a record
local Imap = {}
Imap.__index = Imap

local function new_filter() return setmetatable({ bytes = "" }, Imap) end
function Imap.clone() return new_filter() end
function Imap:pending() return self.bytes end
function Imap.put(_, bytes) return bytes end
function Imap:feed(bytes) self.bytes = self.bytes .. bytes end

-- Adds the line at this place, and the literal behind it, if it has one. Gives the place behind
-- both, and whether the record ends there; nil: there are not enough bytes.
local function add_line(bytes, at, parts)
  local line, behind = bytes:match("^([^\n]-)\r?\n()", at)
  if not line then return nil end
  local text, length = line:match "^(.*){(%d+)}$"
  parts[#parts + 1] = text or line
  if not length then return behind, true end
  local last = behind + tonumber(length) - 1
  if #bytes < last then return nil end
  parts[#parts + 1] = bytes:sub(behind, last)
  return last + 1, false
end

function Imap:get_one()
  local parts, at, complete = {}, 1
  repeat
    at, complete = add_line(self.bytes, at, parts)
    if not at then
      if #self.bytes > MOST then return nil, "a response is too long", "ETOOLONG" end
      return nil
    end
  until complete
  self.bytes = self.bytes:sub(at)
  return parts
end

-- ---- the dialogue ----

local tag = 0

-- Sends a command, each further string as a literal, after the server's "+"; gives the untagged
-- responses.
local function command(cheap, text, ...)
  tag = tag + 1
  local prefix, untagged = ("a%d "):format(tag), {}
  cheap:send(prefix .. text)
  for _, literal in ipairs { ... } do
    cheap:send((" {%d}\r\n"):format(#literal))
    try(cheap:expect { function(response) return response[1]:match "^%+" end, reject =
      function(response) return response[1]:match "^a%d" end })
    cheap:send(literal)
  end
  cheap:send "\r\n"
  while true do
    local response = try(cheap:receive(nil, 10))
    if response[1]:sub(1, #prefix) == prefix then
      local status = response[1]:match "^%S+ (%S+)"
      return try(status == "OK" and untagged or nil, response[1], "EPROTO")
    end
    untagged[#untagged + 1] = response
  end
end

local function store_and_fetch(port, user, password, message)
  local cheap = try(co.open("127.0.0.1", port))
  try(cheap:expect { "^%* OK", reject = "" })
  cheap:send "a STARTTLS"
  try(cheap:expect { "^a OK", reject = "^a" })
  try(co.starttls(cheap, { verify = false }, 10))
  cheap:filter(new_filter())
  command(cheap, "LOGIN", user, password)
  command(cheap, "APPEND INBOX", message)
  command(cheap, "SELECT INBOX")
  for _, response in ipairs(command(cheap, "FETCH 1:* (UID BODY[] FLAGS)")) do
    if response[1]:find "FETCH" then
      for _, part in ipairs(response) do print(tcpmulti.escape(part)) end
    end
  end
  command(cheap, "LOGOUT")
  return true
end

local lines = { "line", ends = "lf", output_literal = "\r\n" } -- up to TLS
local session = tcpmulti.create { filter = lines, input_timeout = 20 }
local good, message = co.run(session, co.protect(store_and_fetch), unpack(arg))
print(good and "done" or tcpmulti.escape(message))
