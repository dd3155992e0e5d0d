-- SPDX-License-Identifier: MIT
-- The hash function FNV-1a of 64 bits, as a 64-bit number of LuaJIT's. Numbers are hashed by their
-- bytes, highest first, so that a hash is the same on all machines.
local bit = require "bit"
local byte = string.byte
local bxor, tohex = bit.bxor, bit.tohex

local fnv = { START = 14695981039346656037ULL }

local PRIME = 1099511628211ULL

function fnv.text(hash, text)
  for i = 1, #text do hash = bxor(hash, byte(text, i) + 0ULL) * PRIME end
  return hash
end

-- Bytes first to last - 1 of an array.
function fnv.bytes(hash, bytes, first, last)
  for i = first, last - 1 do hash = bxor(hash, bytes[i] + 0ULL) * PRIME end
  return hash
end

-- A whole number below 2^32.
function fnv.word(hash, word)
  for shift = 24, 0, -8 do
    hash = bxor(hash, bit.band(bit.rshift(word, shift), 0xff) + 0ULL) * PRIME
  end
  return hash
end

-- A whole number below 2^53.
function fnv.number(hash, number)
  local low = number % 4294967296
  return fnv.word(fnv.word(hash, (number - low) / 4294967296), low)
end

-- 16 hexadecimal digits.
function fnv.hex(hash) return tohex(hash) end

-- The hash as two numbers below 2^32.
function fnv.words(hash)
  return tonumber(bit.rshift(hash, 32)), tonumber(bit.band(hash, 0xffffffffULL))
end

return fnv
