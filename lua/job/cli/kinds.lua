-- SPDX-License-Identifier: MIT
-- Kinds of options: from a text to a value, and back to a text for --print-config and --help.
local units = require "tcpmulti.units"
local concat, format, match = table.concat, string.format, string.match

local kinds = {}

local MAX_WORKERS = 256
local MAX_SHARDS = 2 ^ 31
local SECONDS_OF_DAY = 86400

-- Each kind: read(text) -> value; nil, what was expected. accepts: the type of a value that a
-- script gives as it is. is_whole: only whole numbers. metavariable: the value in --help.
kinds.count = { read = units.count, accepts = "number", is_whole = true, metavariable = "N" }
kinds.rate = { read = units.rate, accepts = "number", metavariable = "N/s" }
kinds.time = { read = units.time, accepts = "number", metavariable = "TIME" }
kinds.size = { read = units.size, accepts = "number", is_whole = true, metavariable = "SIZE" }
kinds.text = { read = function(text) return text end, metavariable = "TEXT" }

local truths = { ["1"] = true, yes = true, ["true"] = true, ["0"] = false, no = false,
  ["false"] = false, [""] = false }

local function read_flag(text)
  local value = truths[text]
  if value == nil then return nil, "1 or 0" end
  return value
end
kinds.flag = { read = read_flag, accepts = "boolean" }

-- A list on the command line is the option given several times; elsewhere it has lines.
kinds.list = {
  read = function(text) return units.split(text, "\n") end,
  accepts = "table",
  metavariable = "TEXT",
}

local function read_workers(text)
  local count = text == "auto" and text or units.count(text)
  if count == "auto" or count and count >= 1 and count <= MAX_WORKERS then return count end
  return nil, format("a number from 1 to %d, or auto", MAX_WORKERS)
end
kinds.workers = { read = read_workers, accepts = "number", is_whole = true,
  metavariable = "N|auto" }

-- A part as { part, parts }; "auto"; { auto = parts }.
local function read_shard(text)
  if text == "auto" then return text end
  local first, last = match(text, "^(%w+)/(%d+)$")
  local part, parts = tonumber(first), tonumber(last)
  if parts and parts >= 1 and parts <= MAX_SHARDS then
    if first == "auto" then return { auto = parts } end
    if part and match(first, "^%d+$") and part >= 1 and part <= parts then
      return { part, parts }
    end
  end
  return nil, "I/N with I from 1 to N, auto, or auto/N"
end
kinds.shard = { read = read_shard, metavariable = "I/N|auto|auto/N" }

local function read_time_of_day(text)
  local hour, minute, second = match(text, "^(%d%d?):(%d%d)$")
  if not hour then hour, minute, second = match(text, "^(%d%d?):(%d%d):(%d%d)$") end
  if not hour then return nil end
  hour, minute, second = tonumber(hour), tonumber(minute), tonumber(second or 0)
  local seconds = hour * 3600 + minute * 60 + second
  if seconds < SECONDS_OF_DAY and minute < 60 and second < 60 then
    return { hour = hour, min = minute, sec = second }
  end
end

-- Seconds since 1970; or { hour =, min =, sec = }, as os.time takes them.
local function read_clock(text)
  local epoch = match(text, "^%d+%.?%d*$") and #text < 20 and tonumber(text)
  local value = epoch or read_time_of_day(text)
  if value then return value end
  return nil, "seconds since 1970, or a time like 14:30 or 14:30:15"
end
kinds.clock = { read = read_clock, accepts = "number", metavariable = "HH:MM" }

-- One of the words.
local function choice(words)
  local expected = concat(words, ", ", 1, #words - 1) .. " or " .. words[#words]
  local function read(text)
    for _, word in ipairs(words) do
      if word == text then return word end
    end
    return nil, expected .. units.hint(text, words)
  end
  return { read = read, metavariable = concat(words, "|") }
end

local retry_words = { "timeout", "reset", "unreachable", "refused" }
local one_retry_word = choice(retry_words)

-- Words with commas between them, as a list.
local function read_retry_on(text)
  local words = units.split(text, ",")
  for _, word in ipairs(words) do
    if not one_retry_word.read(word) then
      return nil, "some of " .. concat(retry_words, ",") .. units.hint(word, retry_words)
    end
  end
  return words
end
kinds.retry_on = { read = read_retry_on, accepts = "table" }

-- The kind that a row of the options names.
function kinds.of(row)
  if type(row[3]) == "table" then return choice(row[3]) end
  return kinds[row[3]] or error(format("the option '%s' has an unknown kind", row[1]), 0)
end

-- A value as --print-config shows it.
function kinds.show(value)
  if value == nil then return "none" end
  if type(value) == "boolean" then return value and "yes" or "no" end
  if type(value) == "number" then return format("%.14g", value) end
  if type(value) ~= "table" then return tostring(value) end
  if value.auto then return format("auto/%.0f", value.auto) end
  if value.hour then return format("%02d:%02d:%02d", value.hour, value.min, value.sec) end
  if type(value[1]) == "number" then return concat(value, "/") end
  if type(value[1]) == "string" then return concat(value, " ") end
  return next(value) == nil and "none" or "a table of the script's"
end

return kinds
