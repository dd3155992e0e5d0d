-- SPDX-License-Identifier: MIT
-- Numbers with units, as people write and read them. Readers take the whole text, and give the
-- number, or nil and what was expected, with an example.
local find, format, gmatch, gsub = string.find, string.format, string.gmatch, string.gsub
local match, sub = string.match, string.sub
local floor, max, min = math.floor, math.max, math.min

local units = {}

local MAX_WHOLE = 2 ^ 53
local MAX_SECONDS = 4294967 -- 49 days, the most that an alarm of the engine can be set to
local MIN_RATE, MAX_RATE = 1e-6, 1e9
local MAX_TEXT = 40 -- bytes; no number needs as many
local EXACT_DIGITS = 15

-- ---- reading ----

-- Each unit as { times, divided by }: both are whole numbers, so that 2.3k is 2300 exactly.
local counts = { [""] = { 1, 1 }, k = { 1e3, 1 }, M = { 1e6, 1 }, G = { 1e9, 1 } }
local sizes = { [""] = { 1, 1 }, K = { 1024, 1 }, M = { 1048576, 1 }, G = { 1073741824, 1 } }
local times = {
  us = { 1, 1e6 }, ms = { 1, 1e3 }, [""] = { 1, 1 }, s = { 1, 1 }, m = { 60, 1 },
  h = { 3600, 1 }, d = { 86400, 1 },
}
local periods = { [""] = 1, ["/s"] = 1, ["/m"] = 60, ["/h"] = 3600 }

-- The number that a text is, or nil.
local function read_scaled(text, known)
  local whole, fraction, name = match(text, "^(%d+)(%.?%d*)(%a*)$")
  local unit = known[name]
  if not unit or fraction == "." or #text > MAX_TEXT then return nil end
  local places = #fraction > 0 and #fraction - 1 or 0
  if #whole + places > EXACT_DIGITS then
    return tonumber(whole .. fraction) * unit[1] / unit[2]
  end
  return tonumber(whole .. sub(fraction, 2)) * unit[1] / (unit[2] * 10 ^ places)
end

local function read_whole(text, known)
  local value = read_scaled(text, known)
  if value and value == floor(value) and value <= MAX_WHOLE then return value end
end

function units.count(text)
  local value = read_whole(text, counts)
  if value then return value end
  return nil, "a whole number like 500 or 20k"
end

function units.size(text)
  local value = read_whole(text, sizes)
  if value then return value end
  return nil, "a size like 4096, 64K or 1M"
end

-- Seconds.
function units.time(text)
  local value = read_scaled(text, times)
  if value and value <= MAX_SECONDS then return value end
  return nil, "a time like 500ms, 5s or 2m, at most 49d"
end

-- Times in one second; 0 stands for "no limit".
function units.rate(text)
  local number, period = match(text, "^(.-)(/?%a?)$")
  if not periods[period] then number, period = text, "" end
  local value = read_scaled(number, counts)
  value = value and value / periods[period]
  if value and (value == 0 or value >= MIN_RATE and value <= MAX_RATE) then return value end
  return nil, "a rate like 5k/s, 100/m or 250"
end

-- A share of one, from a percentage or a bare number.
function units.share(text)
  local percent = match(text, "^(.*)%%$")
  local value = read_scaled(percent or text, { [""] = { 1, percent and 100 or 1 } })
  if value then return value end
  return nil, "a share like 5% or 0.05"
end

-- ---- showing ----

-- Three significant digits of a number from 0 to 999.5.
local function three_digits(value)
  if value < 9.995 then return format("%.2f", value) end
  return format(value < 99.95 and "%.1f" or "%.0f", value)
end

-- A time in microseconds: "412 us", "12.3 ms", "1.20 s".
function units.show_time(us)
  if us < 999.5 then return format("%.0f us", us) end
  if us < 999500 then return three_digits(us / 1e3) .. " ms" end
  if us < 999500000 then return three_digits(us / 1e6) .. " s" end
  return format("%.0f s", us / 1e6)
end

-- A count in a narrow place: "961", "9.4k", "1.2M".
function units.show_count(count)
  if count < 1000 then return format("%.0f", count) end
  if count < 999950 then return format("%.1fk", count / 1e3) end
  if count < 999950000 then return format("%.1fM", count / 1e6) end
  return format("%.1fG", count / 1e9)
end

-- "1 target", "2 targets".
function units.count_of(count, noun)
  return format("%.0f %s%s", count, noun, count == 1 and "" or "s")
end

-- Whole seconds: "5s", "4m10s", "2h05m", "3d04h".
function units.show_duration(seconds)
  seconds = floor(seconds + 0.5)
  if seconds < 90 then return format("%ds", seconds) end
  if seconds < 5400 then return format("%dm%02ds", floor(seconds / 60), seconds % 60) end
  local hours = floor(seconds / 3600)
  if hours < 48 then return format("%dh%02dm", hours, floor(seconds / 60) % 60) end
  return format("%dd%02dh", floor(hours / 24), hours % 24)
end

-- ---- spelling ----

-- The next row of the table of Wagner and Fischer: row[j + 1] is the number of edits from what has
-- been read of one word to the first j characters of the other.
local function next_row(row, character, word)
  local following = { row[1] + 1 }
  for j = 1, #word do
    local change = row[j] + (character == sub(word, j, j) and 0 or 1)
    following[j + 1] = min(following[j] + 1, row[j + 1] + 1, change)
  end
  return following
end

local function distance(from, to)
  local row = {}
  for j = 0, #to do row[j + 1] = j end
  for i = 1, #from do row = next_row(row, sub(from, i, i), to) end
  return row[#to + 1]
end

-- The word of the list that was probably meant, or nil.
function units.nearest(word, list)
  local best, least = nil, max(2, floor(#word / 3)) + 1
  if #word > MAX_TEXT then return nil end
  for _, candidate in ipairs(list) do
    local edits = distance(word, candidate)
    if edits < least then best, least = candidate, edits end
  end
  return best
end

-- " (did you mean 'x'?)" for a word that is not in the list, or "".
function units.hint(word, list)
  local nearest = units.nearest(word, list)
  return nearest and format(" (did you mean '%s'?)", nearest) or ""
end

-- A text from outside as a message shows it: in quotes, cut, safe on a terminal.
function units.shown(text)
  if #text > MAX_TEXT then text = sub(text, 1, MAX_TEXT) .. "..." end
  return "'" .. gsub(text, "[%c\128-\255]", "?") .. "'"
end

-- Splits a text at the character and drops what is empty.
function units.split(text, character)
  local words = {}
  for word in gmatch(text, "[^" .. character .. "]+") do
    if find(word, "%S") then words[#words + 1] = match(word, "^%s*(.-)%s*$") end
  end
  return words
end

return units
