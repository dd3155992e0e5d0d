-- SPDX-License-Identifier: MIT
-- A keyed permutation of the numbers 0 to count - 1, which is asked for any place, in both
-- directions, and keeps no list: a Feistel network over two halves whose product is hardly more
-- than count. A result that is not below count is permuted again (cycle walking; Black and Rogaway,
-- "Ciphers with arbitrary finite domains", 2002). It spreads targets; it keeps no secret.
local bit = require "bit"
local bxor, rol, tobit = bit.bxor, bit.rol, bit.tobit
local ceil, sqrt = math.ceil, math.sqrt

local permutation = {}
local Permutation = {}
Permutation.__index = Permutation

local ROUNDS = 6 -- two would show in the differences of neighbours
local MAX_COUNT = 2 ^ 53
local WORD = 2 ^ 32
local ROUND_KEY = 0x9e3779b9

-- One round of HalfSipHash (Aumasson and Bernstein): additions, rotations and exclusive ors of 32
-- bits, each of which LuaJIT compiles to one instruction.
local function sip_round(v0, v1, v2, v3)
  v0 = tobit(v0 + v1)
  v1 = bxor(rol(v1, 5), v0)
  v0 = rol(v0, 16)
  v2 = tobit(v2 + v3)
  v3 = bxor(rol(v3, 8), v2)
  v0 = tobit(v0 + v3)
  v3 = bxor(rol(v3, 7), v0)
  v2 = tobit(v2 + v1)
  v1 = bxor(rol(v1, 13), v2)
  return v0, v1, rol(v2, 16), v3
end

-- A number of 32 bits from a word, with one round for the word and three for the end.
local function mix(k0, k1, word)
  local v0, v1, v2, v3 = sip_round(k0, k1, bxor(0x6c796765, k0), bxor(0x74656462, k1, word))
  v0, v1, v2, v3 = sip_round(bxor(v0, word), v1, bxor(v2, 0xff), v3)
  v0, v1, v2, v3 = sip_round(v0, v1, v2, v3)
  v0, v1, v2, v3 = sip_round(v0, v1, v2, v3) -- luacheck: ignore 311
  return bxor(v1, v3) % WORD
end

local function is_whole(value, least, most)
  return type(value) == "number" and value >= least and value <= most and value % 1 == 0
end

function permutation.new(count, k0, k1)
  if not is_whole(count, 1, MAX_COUNT) then
    error("permutation.new: count must be a whole number from 1 to 2^53", 2)
  end
  if not is_whole(k0, 0, WORD - 1) or not is_whole(k1, 0, WORD - 1) then
    error("permutation.new: a key must be a whole number below 2^32", 2)
  end
  local a = ceil(sqrt(count))
  return setmetatable({ count = count, a = a, b = ceil(count / a), k0 = tobit(k0), k1 = tobit(k1) },
    Permutation)
end

-- The number at a place.
function Permutation:at(place)
  local a, b, k0, k1, count = self.a, self.b, self.k0, self.k1, self.count
  if not (place >= 0 and place < count and place % 1 == 0) then
    error("permutation: there is no such place", 2)
  end
  repeat
    local left = place % a
    local right = (place - left) / a
    for round = 1, ROUNDS, 2 do
      left = (left + mix(k0, tobit(k1 + round * ROUND_KEY), tobit(right))) % a
      right = (right + mix(k0, tobit(k1 + (round + 1) * ROUND_KEY), tobit(left))) % b
    end
    place = right * a + left
  until place < count
  return place
end

-- The place of a number.
function Permutation:place(number)
  local a, b, k0, k1, count = self.a, self.b, self.k0, self.k1, self.count
  if not (number >= 0 and number < count and number % 1 == 0) then
    error("permutation: there is no such number", 2)
  end
  repeat
    local left = number % a
    local right = (number - left) / a
    for round = ROUNDS, 2, -2 do
      right = (right - mix(k0, tobit(k1 + round * ROUND_KEY), tobit(left))) % b
      left = (left - mix(k0, tobit(k1 + (round - 1) * ROUND_KEY), tobit(right))) % a
    end
    number = right * a + left
  until number < count
  return number
end

-- A keyed number of 32 bits for any whole number: the same for the same keys.
function permutation.hash(number, k0, k1)
  return mix(tobit(k0), tobit(k1), tobit(number % WORD))
end

return permutation
