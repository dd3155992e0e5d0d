-- SPDX-License-Identifier: MIT
-- The filter reply: the replies of SMTP (RFC 5321), FTP (RFC 959) and NNTP (RFC 3977), each as one
-- record, its lines joined by "\n". Out: lines.
--
-- A reply is one line that begins with a code of three digits, alone or with a blank behind it; or
-- several lines, the first of which has a hyphen behind the code. These end with the line that has
-- the same code and no hyphen; FTP lets the lines between look as they like.
local shared = ...
local format, match, sub = string.format, string.match, string.sub
local pieces = shared.pieces

local reply = {}
reply.__index = reply
function reply.__tostring() return "tcpmulti filter reply" end

local MAX_LENGTH = 65536
local SHOWN = 64 -- bytes of a bad line that the message shows

function reply:feed(bytes) pieces.add(self.bytes, bytes) end

-- Adds a line to the reply: true if it is the last one. nil, message: the reply begins with
-- something else than a code.
local function add_line(self, line)
  local lines, count = self.lines, self.count + 1
  local code, sign = match(line, "^(%d%d%d)(.?)")
  if count == 1 then
    if not code or sign ~= "" and sign ~= " " and sign ~= "-" then
      return nil, "not a reply: " .. sub(line, 1, SHOWN)
    end
    self.code = code
  end
  lines[count], self.count = line, count
  return code == self.code and (sign == "" or sign == " ")
end

local function clear(self)
  self.lines, self.count, self.code = {}, 0, nil
end

function reply:get_one()
  local bytes = self.bytes
  while true do
    local whole = pieces.read_line(bytes)
    if bytes.read > self.max_length then
      return nil, format("a reply is longer than %.0f bytes", self.max_length), "ETOOLONG"
    end
    if not whole then return nil end
    local complete, message = add_line(self, pieces.line(bytes))
    if message then return nil, message end
    if complete then
      local record = table.concat(self.lines, "\n", 1, self.count)
      clear(self)
      pieces.take(bytes)
      return record
    end
  end
end

function reply.put(_, record)
  if type(record) ~= "string" and type(record) ~= "number" then
    return nil, format("a string expected, not a %s", type(record))
  end
  return record .. "\r\n"
end

function reply:pending() return pieces.pending(self.bytes) end

function reply:__release()
  self.bytes = pieces.new()
  clear(self)
end

function reply:clone()
  local made = setmetatable({ max_length = self.max_length }, reply)
  made:__release()
  return made
end

function shared.reply_filter(options)
  return reply.clone { max_length = options.max_length or MAX_LENGTH }
end
