-- SPDX-License-Identifier: MIT
-- Addresses as numbers: words of 32 bits in arrays, highest first, one for IPv4 and four for IPv6.
-- Functions for both families work on these words: see the two tables at the end.
local bit = require "bit"
local ffi = require "ffi"
local format, match = string.format, string.match
local floor, max, min = math.floor, math.max, math.min
local concat = table.concat

local WORD = 2 ^ 32

local addresses = {}

-- ---- IPv4 ----

-- Reads a dotted quad that begins in bytes, in front of last. Gives where it ends and the address
-- as a number; nil: there is none. A leading zero is refused: some read such a number as octal.
function addresses.scan_v4(bytes, at, last)
  local value, part, digits, dots = 0, 0, 0, 0
  while at < last do
    local c = bytes[at]
    if c >= 48 and c <= 57 then
      if digits > 0 and part == 0 then return nil end
      part, digits = part * 10 + (c - 48), digits + 1
      if part > 255 then return nil end
    elseif c == 46 and digits > 0 and dots < 3 then
      value, part, digits, dots = value * 256 + part, 0, 0, dots + 1
    else
      break
    end
    at = at + 1
  end
  if dots ~= 3 or digits == 0 then return nil end
  return at, value * 256 + part
end

-- The quad that bytes are from first to before last; nil: they are none.
local function read_quad(bytes, first, last)
  local stop, value = addresses.scan_v4(bytes, first, last)
  return stop == last and value or nil
end

local function quad_text(value)
  return format("%d.%d.%d.%d", floor(value / 16777216), floor(value / 65536) % 256,
    floor(value / 256) % 256, value % 256)
end

function addresses.read_v4(text) return read_quad(ffi.cast("const uint8_t *", text), 0, #text) end

-- ---- IPv6 ----

local function digit_of(c)
  if c >= 48 and c <= 57 then return c - 48 end
  c = bit.bor(c, 32)
  return c >= 97 and c <= 102 and c - 87 or nil
end

-- Puts the groups behind "::" to the end, where it was found in front of group gap.
local function spread(groups, count, gap)
  for i = count - 1, gap, -1 do
    groups[i + 8 - count], groups[i] = groups[i], 0
  end
end

-- Reads a group of up to four digits. Gives where it ends, and its value.
local function read_group(bytes, at, last)
  local value, first = 0, at
  while at < last and at - first < 5 do
    local digit = digit_of(bytes[at])
    if not digit then break end
    value, at = value * 16 + digit, at + 1
  end
  return at, value, at - first
end

-- Reads eight groups of 16 bits, fewer where "::" stands for some; true if it is an address.
local function read_groups(bytes, last, groups)
  local at, count, gap = 0, 0, nil
  if last >= 2 and bytes[0] == 58 and bytes[1] == 58 then at, gap = 2, 0 end
  while at < last do
    if count == 8 then return false end
    local stop, value, digits = read_group(bytes, at, last)
    if stop < last and bytes[stop] == 46 then -- the last two groups as a dotted quad
      local quad = count <= 6 and read_quad(bytes, at, last)
      if not quad then return false end
      groups[count], groups[count + 1] = floor(quad / 65536), quad % 65536
      count = count + 2
      break
    end
    if digits == 0 or digits > 4 then return false end
    groups[count], count, at = value, count + 1, stop
    if at < last then
      if bytes[at] ~= 58 or at + 1 == last then return false end
      at = at + 1
      if bytes[at] == 58 then
        if gap then return false end
        at, gap = at + 1, count
      end
    end
  end
  if gap and count < 8 then spread(groups, count, gap) end
  return gap and count < 8 or not gap and count == 8
end

-- The four words of an address; nil: it is none.
function addresses.read_v6(text)
  if #text > 45 then return nil end
  local groups = ffi.new "uint32_t[8]"
  if not read_groups(ffi.cast("const uint8_t *", text), #text, groups) then return nil end
  local words = {}
  for i = 1, 4 do words[i] = groups[i * 2 - 2] * 65536 + groups[i * 2 - 1] end
  return words
end

-- The longest run of two zero groups or more: its first group and its length.
local function find_zeros(groups)
  local best, length, run = nil, 1, 0
  for i = 1, 8 do
    run = groups[i] == "0" and run + 1 or 0
    if run > length then best, length = i - run + 1, run end
  end
  return best, length
end

-- An address as RFC 5952 writes it.
local function v6_text(a, b, c, d)
  local groups = {}
  for i, word in ipairs { a, b, c, d } do
    groups[i * 2 - 1], groups[i * 2] = format("%x", floor(word / 65536)), format("%x", word % 65536)
  end
  local first, length = find_zeros(groups)
  if not first then return concat(groups, ":") end
  return concat(groups, ":", 1, first - 1) .. "::" .. concat(groups, ":", first + length, 8)
end

-- ---- both families ----

-- The first and the last address of a network, as lists of words.
function addresses.network(words, bits)
  local first, last = {}, {}
  for i, word in ipairs(words) do
    local size = 2 ^ (32 - max(0, min(32, bits - (i - 1) * 32)))
    first[i] = floor(word / size) * size
    last[i] = first[i] + size - 1
  end
  return first, last
end

-- A family. host(array, at, offset): the text of the address that stands offset behind the one at
-- an index of an array of words, and the key of its network.
local v4 = { number = 4, words = 1, bits = 32 }
local v6 = { number = 6, words = 4, bits = 128 }
addresses.v4, addresses.v6 = v4, v6

function v4.host(array, at, offset)
  local value = array[at] + offset
  local d = value % 256
  local a, b, c = floor(value / 16777216), floor(value / 65536) % 256, (value - d) / 256 % 256
  return format("%d.%d.%d.%d", a, b, c, d), format("%d.%d.%d.0/24", a, b, c)
end

local function add(array, at, offset)
  local a, b, c, d = array[at], array[at + 1], array[at + 2], array[at + 3]
  d = d + offset
  c = c + floor(d / WORD)
  b = b + floor(c / WORD)
  a = a + floor(b / WORD)
  return a, b % WORD, c % WORD, d % WORD
end

function v6.host(array, at, offset)
  local a, b, c, d = add(array, at, offset)
  return v6_text(a, b, c, d), v6_text(a, b - b % 65536, 0, 0) .. "/48"
end

-- The address at an index of an array, as a list of words.
function addresses.at(array, at, count)
  local words = {}
  for i = 1, count do words[i] = array[at + i - 1] end
  return words
end

-- Whether the address at an index of an array stands behind another one, a list of words.
function addresses.is_behind(array, at, words)
  for i = 1, #words do
    local difference = array[at + i - 1] - words[i]
    if difference ~= 0 then return difference > 0 end
  end
  return false
end

function addresses.is_equal(a, b)
  for i = 1, #a do
    if a[i] ~= b[i] then return false end
  end
  return true
end

function v4.text(words) return quad_text(words[1]) end
function v6.text(words) return v6_text(words[1], words[2], words[3], words[4]) end

-- The words of the next address; nil behind the last one.
function addresses.after(words)
  local following, carry = {}, 1
  for i = #words, 1, -1 do
    local word = words[i] + carry
    following[i], carry = word % WORD, word >= WORD and 1 or 0
  end
  return carry == 0 and following or nil
end

-- The words of the address in front; there is one.
function addresses.before(words)
  local preceding, borrow = {}, 1
  for i = #words, 1, -1 do
    local word = words[i] - borrow
    preceding[i], borrow = word % WORD, word < 0 and 1 or 0
  end
  return preceding
end

-- Addresses of IPv4 that are written as ones of IPv6 (::ffff:10.0.0.1) are the former, so that an
-- exclusion of 10.0.0.0/8 counts for them.
function addresses.unmap(words, bits)
  if bits >= 96 and words[1] == 0 and words[2] == 0 and words[3] == 0xffff then
    return v4, { words[4] }, bits - 96
  end
  return v6, words, bits
end

-- "ADDRESS" or "ADDRESS/BITS" -> family, first, last as lists of words; nil, message. message nil:
-- there is no address.
function addresses.parse(text)
  local address, bits = match(text, "^([^/]*)/(%d%d?%d?)$")
  address = address or text
  local value = addresses.read_v4(address)
  local family, words = v4, { value }
  if not value then
    family, words = v6, addresses.read_v6(address)
    if not words then return nil end
  end
  bits = tonumber(bits or family.bits)
  if bits > family.bits then
    return nil, format("a prefix has at most %d bits", family.bits)
  end
  if family == v6 then family, words, bits = addresses.unmap(words, bits) end
  return family, addresses.network(words, bits)
end

return addresses
