-- SPDX-License-Identifier: MIT
-- Bytes in the pieces in which they came, for filters: a position says where the next record
-- begins, a cursor how far a filter has read.
--
-- Each byte is copied a bounded number of times, however many bytes come at once and however many
-- records they make; and each is read once, however small the pieces are.
--
-- What always holds: the cursor is not in front of the position. Between the two are read bytes.
local shared = ...
local find, sub = string.find, string.sub

local pieces = {}
shared.pieces = pieces

-- MANY pieces in a row, each smaller than SMALL bytes, are joined.
local SMALL, MANY = 64, 1024

function pieces.new()
  return {
    first = 1, last = 0, position = 1, length = 0, small = 0,
    index = 1, at = 1, read = 0,                   -- the cursor: piece, place in it, bytes read
    line_index = 1, line_at = 1, line_length = 0,  -- the line that is read, or was read last
  }
end

-- Where a place is after the pieces from `from` on have been joined.
local function moved(bytes, index, at, from)
  if index <= from then return index, at end
  for i = from, index - 1 do at = at + #bytes[i] end
  return from, at
end

local function merge(bytes)
  local from = bytes.last - MANY + 1
  local piece = table.concat(bytes, "", from, bytes.last)
  bytes.index, bytes.at = moved(bytes, bytes.index, bytes.at, from)
  bytes.line_index, bytes.line_at = moved(bytes, bytes.line_index, bytes.line_at, from)
  for i = from + 1, bytes.last do bytes[i] = nil end
  bytes[from], bytes.last, bytes.small = piece, from, 0
end

function pieces.add(bytes, piece)
  if type(piece) ~= "string" then
    error(string.format("a string expected, not a %s", type(piece)), 0)
  end
  if piece == "" then return end
  local last = bytes.last + 1
  bytes[last], bytes.last, bytes.length = piece, last, bytes.length + #piece
  bytes.small = #piece < SMALL and bytes.small + 1 or 0
  if bytes.small == MANY then merge(bytes) end
end

-- The count bytes from a place on, which must be there.
local function slice(bytes, index, at, count)
  if count == 0 then return "" end
  local piece = bytes[index]
  local got = #piece - at + 1
  if got >= count then return sub(piece, at, at + count - 1) end
  local parts = { sub(piece, at) }
  while got < count do
    index = index + 1
    parts[#parts + 1] = sub(bytes[index], 1, count - got)
    got = got + #bytes[index]
  end
  return table.concat(parts)
end

-- The first count bytes, which must be there.
function pieces.peek(bytes, count) return slice(bytes, bytes.first, bytes.position, count) end

function pieces.skip(bytes, count)
  bytes.length = bytes.length - count
  while count > 0 do
    local rest = #bytes[bytes.first] - bytes.position + 1
    if rest > count then
      bytes.position = bytes.position + count
      break
    end
    count = count - rest
    bytes[bytes.first] = nil
    bytes.first, bytes.position = bytes.first + 1, 1
  end
  bytes.small = math.min(bytes.small, bytes.last - bytes.first + 1)
end

-- ---- reading, for a filter that skips by pieces.take only ----

-- Reads to the next LF: true, and line_length is the number of bytes of the line with its LF. nil:
-- the LF has not come, and line_length bytes of the line are read.
function pieces.read_line(bytes)
  local index, at, length = bytes.index, bytes.at, bytes.line_length
  if bytes.is_whole ~= false then
    bytes.line_index, bytes.line_at, length = index, at, 0
  end
  local before = length
  while index <= bytes.last do
    local piece = bytes[index]
    local lf = find(piece, "\n", at, true)
    local stop = lf or #piece
    length = length + stop - at + 1
    at = stop + 1
    if lf then break end
    index, at = index + 1, 1
  end
  bytes.is_whole = index <= bytes.last
  bytes.index, bytes.at, bytes.line_length = index, at, length
  bytes.read = bytes.read + length - before
  return bytes.is_whole or nil
end

-- The line that was read last, without its LF or CR LF.
function pieces.line(bytes)
  local line = slice(bytes, bytes.line_index, bytes.line_at, bytes.line_length - 1)
  return sub(line, -1) == "\r" and sub(line, 1, -2) or line
end

-- The head at the cursor, with the empty line (CR LF) behind it, if all of it is in one piece and
-- has at most so many bytes; else nil. Nothing is read.
function pieces.find_head(bytes, most)
  local piece, at = bytes[bytes.index], bytes.at
  if not piece then return nil end
  local _, stop = find(piece, "\r\n\r\n", at, true)
  return stop and stop - at < most and sub(piece, at, stop) or nil
end

-- Reads exactly count bytes; nil, and nothing is read, if there are fewer.
function pieces.read_bytes(bytes, count)
  if bytes.length - bytes.read < count then return nil end
  local record = slice(bytes, bytes.index, bytes.at, count)
  bytes.read = bytes.read + count
  bytes.is_whole = true -- the next line begins behind these
  while count > 0 do
    local rest = #bytes[bytes.index] - bytes.at + 1
    if rest > count then
      bytes.at = bytes.at + count
      return record
    end
    count = count - rest
    bytes.index, bytes.at = bytes.index + 1, 1
  end
  return record
end

-- Skips all that is read: the record that it was is complete.
function pieces.take(bytes)
  pieces.skip(bytes, bytes.read)
  bytes.index, bytes.at, bytes.read = bytes.first, bytes.position, 0
end

-- Skips count bytes, of which the first piece has more or as many, where nothing is read.
function pieces.take_front(bytes, count)
  local first, position = bytes.first, bytes.position + count
  bytes.length = bytes.length - count
  if position > #bytes[first] then
    bytes[first] = nil
    first, position = first + 1, 1
    bytes.small = math.min(bytes.small, bytes.last - first + 1)
  end
  bytes.first, bytes.position, bytes.index, bytes.at = first, position, first, position
  bytes.is_whole = true -- the next line begins behind these
end

-- All bytes that are in no record yet.
function pieces.pending(bytes) return pieces.peek(bytes, bytes.length) end
