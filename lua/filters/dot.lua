-- SPDX-License-Identifier: MIT
-- The filter dot: texts that end in a line with nothing but a dot, as SMTP (RFC 5321), POP3
-- (RFC 1939) and NNTP (RFC 3977) send them. A record is the text without that line; its lines end
-- in "\n", and the dot that was put in front of a line with a dot is taken away. Out: the same the
-- other way round, so that no line of a text is taken for its end.
local shared = ...
local format, gsub, sub = string.format, string.gsub, string.sub
local pieces = shared.pieces

local dot = {}
dot.__index = dot
function dot.__tostring() return "tcpmulti filter dot" end

local MAX_LENGTH = 16777216
local END_LENGTH = 3 -- ".\r\n"

function dot:feed(bytes) pieces.add(self.bytes, bytes) end

local function undo(text)
  text = gsub(text, "\r\n", "\n")
  text = gsub(text, "\n%.", "\n")
  return sub(text, 1, 1) == "." and sub(text, 2) or text
end

-- Bytes that the text has at least, of those that are read. The end of the text does not count; so
-- a line that may still become the end does not either.
local function text_length(bytes, whole)
  if not whole and bytes.line_length < END_LENGTH then return bytes.read - bytes.line_length end
  return bytes.read
end

function dot:get_one()
  local bytes = self.bytes
  while true do
    local whole = pieces.read_line(bytes)
    local ends = whole and bytes.line_length <= END_LENGTH and pieces.line(bytes) == "."
    local length = ends and bytes.read - bytes.line_length or text_length(bytes, whole)
    if length > self.max_length then
      return nil, format("a text is longer than %.0f bytes", self.max_length), "ETOOLONG"
    end
    if not whole then return nil end
    if ends then
      local text = undo(pieces.peek(bytes, length))
      pieces.take(bytes)
      return text
    end
  end
end

-- Any line end becomes CR LF: what a server takes for one must not depend on the server.
function dot.put(_, text)
  if type(text) ~= "string" and type(text) ~= "number" then
    return nil, format("a string expected, not a %s", type(text))
  end
  text = gsub(gsub(text, "\r\n", "\n"), "\r", "\n")
  text = gsub(text, "\n%.", "\n..")
  if sub(text, 1, 1) == "." then text = "." .. text end
  if text ~= "" and sub(text, -1) ~= "\n" then text = text .. "\n" end
  return (gsub(text, "\n", "\r\n")) .. ".\r\n"
end

function dot:pending() return pieces.pending(self.bytes) end

function dot:__release() self.bytes = pieces.new() end

function dot:clone()
  return setmetatable({ max_length = self.max_length, bytes = pieces.new() }, dot)
end

function shared.dot_filter(options)
  return dot.clone { max_length = options.max_length or MAX_LENGTH }
end
