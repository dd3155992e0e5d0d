-- SPDX-License-Identifier: MIT
-- tcpmulti.permutation: a bijection for every count, and even enough for the order of targets.
local ffi = require "ffi"
local lu = require "luaunit"
local permutation = require "tcpmulti.permutation"
local support = require "jobs.support"

local cases = support.cases "Permutation"

local function random_key() return math.random(0, 2 ^ 31) * 2 end

local function assert_bijection(count)
  local one = permutation.new(count, random_key(), random_key())
  local seen = ffi.new("uint8_t[?]", count)
  for place = 0, count - 1 do
    local number = one:at(place)
    if number < 0 or number >= count or seen[number] ~= 0 or one:place(number) ~= place then
      error(("count %d, place %d: number %s"):format(count, place, number))
    end
    seen[number] = 1
  end
end

function cases.J19_every_count_up_to_400_both_ways()
  for count = 1, 400 do assert_bijection(count) end
end

function cases.J19_a_million_both_ways() assert_bijection(2 ^ 20) end

function cases.J19_large_counts_both_ways()
  for _, count in ipairs { 2 ^ 32 - 1, 2 ^ 32, 2 ^ 32 + 1, 10 ^ 12 + 39, 2 ^ 53 - 1, 2 ^ 53 } do
    local one = permutation.new(count, random_key(), random_key())
    for _ = 1, 3000 do
      local place = math.floor(math.random() * count)
      local number = one:at(place)
      lu.assertTrue(number >= 0 and number < count and number % 1 == 0)
      lu.assertEquals(one:place(number), place)
    end
    lu.assertEquals(one:place(one:at(count - 1)), count - 1)
  end
end

function cases.J19_keys_and_counts_that_cannot_be_raise()
  for _, bad in ipairs { 2 ^ 32, -1, 0.5, 0 / 0, "1", false } do
    lu.assertErrorMsgContains("below 2^32", permutation.new, 10, bad, 0)
    lu.assertErrorMsgContains("below 2^32", permutation.new, 10, 0, bad)
  end
  for _, bad in ipairs { 0, -1, 1.5, 2 ^ 53 + 2, 0 / 0, math.huge, "x" } do
    lu.assertErrorMsgContains("1 to 2^53", permutation.new, bad, 0, 0)
  end
  local ten = permutation.new(10, 1, 2)
  for _, bad in ipairs { -1, 10, 0.5, 0 / 0 } do
    lu.assertErrorMsgContains("no such place", ten.at, ten, bad)
    lu.assertErrorMsgContains("no such number", ten.place, ten, bad)
  end
end

function cases.other_keys_are_other_orders()
  local function order(k0, k1)
    local list, one = {}, permutation.new(50, k0, k1)
    for place = 0, 49 do list[#list + 1] = one:at(place) end
    return table.concat(list, " ")
  end
  lu.assertEquals(order(1, 2), order(1, 2))
  lu.assertNotEquals(order(1, 2), order(2, 1))
  lu.assertNotEquals(order(1, 2), order(1, 3))
  lu.assertNotEquals(permutation.hash(5, 1, 2), permutation.hash(6, 1, 2))
  lu.assertEquals(permutation.hash(2 ^ 40 + 5, 1, 2), permutation.hash(5, 1, 2))
end

-- ---- evenness ----

local COUNT, PLACES = 2 ^ 32, 10 ^ 6

-- How far a chi-square is from what chance would give, as a standard normal (Wilson and Hilferty).
local function deviation(bins, count)
  local expected, sum = PLACES / count, 0
  for i = 0, count - 1 do sum = sum + (bins[i] - expected) ^ 2 / expected end
  local freedom = count - 1
  local spread = 2 / (9 * freedom)
  return ((sum / freedom) ^ (1 / 3) - (1 - spread)) / math.sqrt(spread)
end

local function assert_even(what, seed, bins, count)
  local z = deviation(bins, count)
  if math.abs(z) > 4 then error(("%s, seed %d: z = %.2f"):format(what, seed, z)) end
end

local function new_bins(count) return ffi.new("uint32_t[?]", count) end

local function look_at_neighbours(one, seed)
  local floor = math.floor
  local first, two, low = new_bins(256), new_bins(65536), new_bins(256)
  local differences, before = new_bins(256), 0
  for place = 0, PLACES - 1 do
    local number = one:at(place)
    local eighth, sixteenth, last = floor(number / 2 ^ 24), floor(number / 65536), number % 256
    local difference = floor((number - before) % COUNT / 2 ^ 24)
    first[eighth], two[sixteenth] = first[eighth] + 1, two[sixteenth] + 1
    low[last], differences[difference] = low[last] + 1, differences[difference] + 1
    before = number
  end
  assert_even("/8", seed, first, 256)
  assert_even("/16", seed, two, 65536)
  assert_even("low byte", seed, low, 256)
  assert_even("differences", seed, differences, 256)
end

local function look_at_stride(one, seed, stride)
  local bins, floor = new_bins(65536), math.floor
  for i = 0, PLACES - 1 do
    local at = floor(one:at(i * stride) / 65536)
    bins[at] = bins[at] + 1
  end
  assert_even("stride " .. stride, seed, bins, 65536)
end

function cases.J20_a_million_places_of_two_to_the_32_are_even()
  for seed = 1, 12 do
    local one = permutation.new(COUNT, seed * 2654435761 % 2 ^ 32, seed)
    look_at_neighbours(one, seed)
    look_at_stride(one, seed, 8)
    look_at_stride(one, seed, 64)
  end
end

support.main(cases)
