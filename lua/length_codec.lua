-- SPDX-License-Identifier: MIT
-- Blocks whose length two functions of the script read and write: the option length_codec of block.
--
-- What always holds: each byte is copied a bounded number of times, however many come at once and
-- however many records they make. The bytes stay in the pieces in which they came; a position says
-- where the next record begins.
local core = ...
local format, sub = string.format, string.sub

-- ---- bytes in pieces ----

local SMALL, MANY = 64, 1024 -- so many pieces in a row that are smaller than that become one

local function new_bytes() return { first = 1, last = 0, position = 1, length = 0, small = 0 } end

local function merge(bytes)
  local from = bytes.last - MANY + 1
  local piece = table.concat(bytes, "", from, bytes.last)
  for i = from + 1, bytes.last do bytes[i] = nil end
  bytes[from], bytes.last, bytes.small = piece, from, 0
end

local function add(bytes, piece)
  local last = bytes.last + 1
  bytes[last], bytes.last, bytes.length = piece, last, bytes.length + #piece
  bytes.small = #piece < SMALL and bytes.small + 1 or 0
  if bytes.small == MANY then merge(bytes) end
end

-- The first so many bytes; they are there.
local function peek(bytes, count)
  if count == 0 then return "" end
  local i, piece = bytes.first, bytes[bytes.first]
  local got = #piece - bytes.position + 1
  if got >= count then return sub(piece, bytes.position, bytes.position + count - 1) end
  local parts = { sub(piece, bytes.position) }
  while got < count do
    i = i + 1
    parts[#parts + 1] = sub(bytes[i], 1, count - got)
    got = got + #bytes[i]
  end
  return table.concat(parts)
end

local function skip(bytes, count)
  bytes.length = bytes.length - count
  while count > 0 do
    local rest = #bytes[bytes.first] - bytes.position + 1
    if rest > count then
      bytes.position = bytes.position + count
      return
    end
    count = count - rest
    bytes[bytes.first] = nil
    bytes.first, bytes.position = bytes.first + 1, 1
  end
  bytes.small = math.min(bytes.small, bytes.last - bytes.first + 1)
end

-- ---- the filter ----

local codec_block = {}
codec_block.__index = codec_block
function codec_block.__tostring() return "tcpmulti filter block" end

local MAX_LENGTH = 16777216
local FIRST_LOOK = 64     -- bytes that decode gets at first
local EACH_BYTE = 16384   -- with so many it is asked again at every byte that comes; beyond, when
local SHARE = 64          -- one in so many has come: else a length that never comes would cost n²

function codec_block:feed(bytes)
  if type(bytes) ~= "string" then
    error(format("a string expected, not a %s", type(bytes)), 0)
  end
  if bytes ~= "" then add(self.bytes, bytes) end
end

-- How many bytes decode gets now, or nil: there are no more than it has seen.
local function next_look(self)
  local held, shown = self.bytes.length, self.shown
  local wanted = shown < EACH_BYTE and shown + 1 or shown + math.floor(shown / SHARE)
  if held < wanted then return nil end
  return math.min(held, math.max(FIRST_LOOK, 2 * shown), self.most)
end

local function is_size(value, most)
  return type(value) == "number" and value >= 0 and value <= most and value == math.floor(value)
end

-- The record has length bytes behind so many of the header; nil, why not: that cannot be.
local function set_need(self, length, header)
  if is_size(header, self.most) and type(length) == "number" and length > self.max_length then
    return nil, format("a length of %.0f, the limit is %.0f", length, self.max_length), "ETOOLONG"
  end
  if not is_size(header, self.most) or not is_size(length, self.max_length)
    or header + length == 0 then
    return nil, "decode gave an impossible length"
  end
  self.header_length, self.length = header, length
  return true
end

-- Reads the header, if it is there: true. Else nil, and what is wrong, if that is certain.
local function read_header(self)
  for look in next_look, self do
    local length, header = self.decode(peek(self.bytes, look))
    if length ~= nil then return set_need(self, length, header) end
    if header ~= nil then return nil, tostring(header) end
    if look == self.most then
      return nil, format("no length in the first %d bytes", look), "ETOOLONG"
    end
    self.shown = look
  end
end

function codec_block:get_one()
  if not self.length then
    local found, message, errname = read_header(self)
    if not found then return nil, message, errname end
  end
  local header, length = self.header_length, self.length
  if self.bytes.length < header + length then return nil end
  if self.header then
    header, length = 0, header + length
  end
  skip(self.bytes, header)
  local record = peek(self.bytes, length)
  skip(self.bytes, length)
  self.length, self.shown = nil, 0
  return record
end

function codec_block:put(record)
  if type(record) ~= "string" then
    return nil, format("a string expected, not a %s", type(record))
  end
  if self.header then return record end
  local header = self.encode(#record)
  if type(header) ~= "string" then
    return nil, format("encode gave a %s, not a string", type(header))
  end
  return header .. record
end

function codec_block:pending() return peek(self.bytes, self.bytes.length) end

function codec_block:__release()
  self.bytes, self.length, self.shown = new_bytes(), nil, 0
end

function codec_block:clone()
  return setmetatable({
    encode = self.encode,
    decode = self.decode,
    header = self.header,
    max_length = self.max_length,
    most = math.max(FIRST_LOOK, self.max_length), -- bytes of a header
    bytes = new_bytes(),
    shown = 0, -- bytes that decode has seen without finding a length
  }, codec_block)
end

function core.combinators.codec_block(options)
  return codec_block.clone {
    encode = options.length_codec[1],
    decode = options.length_codec[2],
    header = options.header,
    max_length = options.max_length or MAX_LENGTH,
  }
end
