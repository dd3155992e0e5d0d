-- SPDX-License-Identifier: MIT
-- Blocks whose length two functions of the script read and write: the option length_codec of the
-- filter block.
local shared = ...
local format = string.format
local pieces = shared.pieces
local peek, skip = pieces.peek, pieces.skip

local codec_block = {}
codec_block.__index = codec_block
function codec_block.__tostring() return "tcpmulti filter block" end

local MAX_LENGTH = 16777216
local FIRST_LOOK = 64 -- bytes that decode gets at first
-- After a look at fewer than EACH_BYTE bytes decode is asked again at every byte that comes; after
-- a longer look, when one SHARE of it has come. Else a length that never comes would cost n² time.
local EACH_BYTE, SHARE = 16384, 64

function codec_block:feed(bytes) pieces.add(self.bytes, bytes) end

-- The number of bytes that decode gets now; nil: too few have come since its last look.
local function next_look(self)
  local held, shown = self.bytes.length, self.shown
  local wanted = shown < EACH_BYTE and shown + 1 or shown + math.floor(shown / SHARE)
  if held < wanted then return nil end
  return math.min(held, math.max(FIRST_LOOK, 2 * shown), self.most)
end

local function is_size(value, most)
  return type(value) == "number" and value >= 0 and value <= most and value == math.floor(value)
end

-- Notes the lengths of record and header; nil, message if they are impossible.
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

-- Reads the header: true. nil: more bytes are needed. nil, message, errname: the header is wrong.
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

function codec_block:pending() return pieces.pending(self.bytes) end

function codec_block:__release()
  self.bytes, self.length, self.shown = pieces.new(), nil, 0
end

function codec_block:clone()
  return setmetatable({
    encode = self.encode,
    decode = self.decode,
    header = self.header,
    max_length = self.max_length,
    most = math.max(FIRST_LOOK, self.max_length), -- bytes of a header, at most
    bytes = pieces.new(),
    shown = 0, -- bytes that decode has seen without finding a length
  }, codec_block)
end

function shared.combinators.codec_block(options)
  return codec_block.clone {
    encode = options.length_codec[1],
    decode = options.length_codec[2],
    header = options.header,
    max_length = options.max_length or MAX_LENGTH,
  }
end
