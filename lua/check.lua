-- SPDX-License-Identifier: MIT
-- Reading tables of options: aliases resolved, unknown keys named with the nearest known one, each
-- value checked. Nothing here raises: a problem is returned as nil, message, so that the function
-- the script has called can raise it at the script's own line.
local core = ...
local byte, find, format, gmatch = string.byte, string.find, string.format, string.gmatch
local gsub, lower, match = string.gsub, string.lower, string.match
local sub, upper = string.sub, string.upper

local check = {}
core.check = check

local MAX_SECONDS = 4294967
local MIN_PERIOD = 0.0001
local MAX_WHOLE = 2 ^ 53
local MAX_NAME = 64 -- no name of ours is as long, and what is longer would take time to compare
local MAX_NAMED = 3 -- unknown options that one message names

-- The number of single-character edits between two words.
local function distance(a, b)
  local row = {}
  for j = 0, #b do row[j] = j end
  for i = 1, #a do
    local diagonal = row[0]
    row[0] = i
    for j = 1, #b do
      local cost = byte(a, i) == byte(b, j) and 0 or 1
      local best = math.min(row[j] + 1, row[j - 1] + 1, diagonal + cost)
      diagonal, row[j] = row[j], best
    end
  end
  return row[#b]
end

-- The known name nearest to a wrong one; nil when none is near. Case counts only between equals.
function check.nearest(name, known)
  local best, best_score = nil, math.max(2, math.floor(#name / 3)) + 1
  if #name > MAX_NAME then return nil end
  for candidate in pairs(known) do
    local score = distance(lower(name), lower(candidate)) + distance(name, candidate) / 1000
    if score < best_score or score == best_score and best and candidate < best then
      best, best_score = candidate, score
    end
  end
  return best
end

-- A value as an error message shows it.
check.describe = core.describe

-- A name in full or its beginning, safe on a terminal.
function check.escape(name)
  local shown = #name > MAX_NAME and sub(name, 1, MAX_NAME) .. "..." or name
  return core.escape(shown)
end

-- " (did you mean 'x'?)", or nothing.
function check.hint(name, note)
  return name and format(" (did you mean '%s'%s?)", name, note or "") or ""
end

-- ---- unknown options ----

-- The options of each call, for those that are given to a wrong one: { where they belong, known }.
local places = {}

function check.add_place(where, known) places[#places + 1] = { where, known } end

-- An option as other libraries spell it, in our way: OnData, on-data and onData are on_data. The
-- second result is true for times in milliseconds.
local function normalise(name)
  local words = lower((gsub(gsub(name, "(%l)(%u)", "%1_%2"), "%-", "_")))
  for suffix, unit in pairs(core.synonyms.units) do
    local stem = match(words, "^(.+)_" .. suffix .. "$")
    if stem then return stem, unit == "ms" end
  end
  return words, false
end

local function first_known(names, known)
  for name in gmatch(names, "%S+") do
    if known[name] then return name end
  end
end

-- The only known name that begins so.
local function completion(name, known)
  local found
  for candidate in pairs(known) do
    if #name > 2 and sub(candidate, 1, #name) == name then
      if found then return nil end
      found = candidate
    end
  end
  return found
end

-- Where the first of these names belongs that some call has.
local function place_of(names)
  for _, place in ipairs(places) do
    local name = first_known(names, place[2])
    if name then return format(" ('%s' is an option of %s)", name, place[1]) end
  end
end

-- The Perl spellings are suggested to those who use them.
local function spellings_like(name, known)
  if not find(name, "^%u") then return known end
  local spellings = {}
  for spelling, option in pairs(core.aliases.options) do
    if known[option] then spellings[spelling] = true end
  end
  return spellings
end

-- What a wrong name of an option was probably meant to be, as the end of a message.
local function guess(name, known)
  local plain, milliseconds = normalise(name)
  local synonyms = core.synonyms.options[plain] or ""
  local meant = first_known(plain .. " " .. synonyms, known)
  if meant then return check.hint(meant, milliseconds and ", in seconds") end
  local place = place_of(plain) or place_of(synonyms)
  if place then return place end
  return check.hint(check.nearest(name, spellings_like(name, known)) or completion(plain, known))
end

-- unknown: the keys; known: a table as for check.read; example: how an option is given.
local function complain(what, given, unknown, known, example)
  local list, has_numbers, kind = {}, false, check.describe(given)
  if kind ~= "a table" then return format("%s: a table of options expected, not %s", what, kind) end
  for i, name in ipairs(unknown) do
    has_numbers = has_numbers or type(name) == "number"
    list[i] = check.describe(name) .. (type(name) == "string" and guess(name, known) or "")
  end
  table.sort(list)
  return format("%s: unknown option%s %s%s", what, #list > 1 and "s" or "",
    table.concat(list, ", ", 1, math.min(#list, MAX_NAMED)),
    has_numbers and format(" (options have names, like %s)", example) or "")
end

-- A number in quotes where one without them is expected.
local function quoted(value, expected)
  if type(value) ~= "string" or not tonumber(value) or not find(expected, "number") then
    return ""
  end
  return format(" (a string; without quotes: %s)", value)
end

-- Reads given into a new table. known: name = function(value) -> converted value, or nil, what was
-- expected. example: how an option is given, shown to those who give a list.
function check.read(what, given, known, example)
  local result, spelled, unknown, wrong = {}, {}, nil, nil
  for key, value in pairs(given) do
    local name = core.aliases.options[key] or key
    local convert = known[name]
    if not convert then
      unknown = unknown or {}
      unknown[#unknown + 1] = key
    elseif spelled[name] then
      wrong = format("%s: '%s' and '%s' are the same option", what, spelled[name], key)
    else
      spelled[name] = key
      local converted, expected = convert(value)
      if converted == nil then
        wrong = format("%s: %s must be %s, not %s%s", what, key, expected, check.describe(value),
          quoted(value, expected))
      end
      result[name] = converted
    end
  end
  if unknown then return nil, complain(what, given, unknown, known, example) end
  if wrong then return nil, wrong end
  return result
end

-- ---- kinds of values ----

function check.callable(value)
  if type(value) == "function" then return value end
  return nil, "a function"
end

function check.table(value)
  if type(value) == "table" then return value end
  return nil, "a table"
end

function check.boolean(value)
  if type(value) == "boolean" then return value end
  return nil, "true or false"
end

function check.string(value)
  if type(value) == "string" then return value end
  return nil, "a string"
end

function check.name(value)
  if type(value) == "string" and value ~= "" then return value end
  return nil, "a string that is not empty"
end

-- Any value: what remains is for another to check.
function check.any(value) return value end

-- The time until an alarm, in nanoseconds, rounded up: what is past is due at once, as in POE. nil
-- for what is no time.
function check.nanoseconds(value)
  if type(value) ~= "number" or value ~= value or value > MAX_SECONDS then return nil end
  return math.max(math.ceil(value * 1e9), 0)
end

-- The time between two beats, in nanoseconds.
function check.period(value)
  if type(value) == "number" and value >= MIN_PERIOD and value <= MAX_SECONDS then
    return math.floor(value * 1e9 + 0.5)
  end
  return nil, format("a number of seconds from %.4f to %d (49 days)", MIN_PERIOD, MAX_SECONDS)
end

-- A time in milliseconds, rounded up.
function check.milliseconds(value)
  if type(value) ~= "number" or not (value >= 0 and value <= MAX_SECONDS) then
    return nil, format("a number of seconds from 0 to %d (49 days)", MAX_SECONDS)
  end
  local ms = math.ceil(value * 1000 - 1e-6)
  return value > 0 and ms < 1 and 1 or ms
end

-- What a function of the module says that was called with a colon.
function check.colon(name)
  return format("tcpmulti.%s: called with a colon instead of a dot", name)
end

-- What fail says about an error that there is not. known: a set of the names of errors.
function core.unknown_error(name, known)
  if type(name) ~= "string" then
    return "the error must be a name like 'EPROTO', not " .. check.describe(name)
  end
  return format("unknown error name %s%s", check.describe(name),
    check.hint(check.nearest(upper(name), known)))
end

-- What is wrong with a time that check.nanoseconds refuses, or an option of this kind.
function check.wrong_time(value)
  if type(value) == "number" and value > MAX_SECONDS then
    return format("the time must be at most %d seconds (49 days), not %s", MAX_SECONDS,
      check.describe(value))
  end
  local expected = "a number of seconds"
  return format("the time must be %s, not %s%s", expected, check.describe(value),
    quoted(value, expected))
end

-- A clock in milliseconds is beyond this in seconds: the year 2286.
local SECONDS_END = 1e10

-- The same of alarm_set.
function check.wrong_epoch(value)
  return format("the time must be in seconds since 1970, as os.time() gives them, 49 days ahead at "
    .. "most, not %s%s", check.describe(value),
    type(value) == "number" and value > SECONDS_END and " (milliseconds?)" or "")
end

-- known: a set of the names of signals.
function check.unknown_signal(name, known)
  local short = gsub(upper(name), "^SIG", "")
  if short == "KILL" or short == "STOP" then
    return format("no process can watch the signal %s", check.describe(name))
  end
  local nearest = check.nearest(short, known)
  return format("unknown signal %s%s", check.describe(name), check.hint(nearest))
end

-- A timeout in the core's terms: milliseconds, -1 for none.
function check.seconds(value)
  local ms = check.milliseconds(value)
  if not ms then
    return nil, format("a number of seconds from 0 (none) to %d (49 days)", MAX_SECONDS)
  end
  return ms == 0 and -1 or ms
end

-- Attempts a second, fractions too: the core takes the nanoseconds between two of them.
function check.rate(value)
  if type(value) == "number" and value >= 1e-6 and value <= 1e9 then return value end
  return nil, "a number from 0.000001 to 1000000000"
end

function check.whole(lowest, highest)
  local expected = highest and format("a whole number from %d to %d", lowest, highest)
    or format("a whole number, %d or more", lowest)
  return function(value)
    if type(value) == "number" and value >= lowest and value <= (highest or MAX_WHOLE)
      and value == math.floor(value) then
      return value
    end
    if type(value) == "number" and value > MAX_WHOLE then
      return nil, format("a whole number from %d to %.0f", lowest, highest or MAX_WHOLE)
    end
    return nil, expected
  end
end

-- One of the keys of a table; gives what stands there.
function check.choice(choices)
  local names = {}
  for name in pairs(choices) do names[#names + 1] = format("'%s'", name) end
  table.sort(names)
  local expected = table.concat(names, " or ")
  return function(value)
    local chosen = choices[value]
    if chosen == nil then return nil, expected end
    return chosen
  end
end
