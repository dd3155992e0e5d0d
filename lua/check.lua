-- SPDX-License-Identifier: MIT
-- Reads tables of options: resolves aliases, names unknown keys with the nearest known one, checks
-- each value. Nothing here raises: a problem is returned as nil, message, so that the function that
-- the script has called can raise the message at the script's own line.
local shared = ...
local find, format, gmatch = string.find, string.format, string.gmatch
local gsub, lower, match = string.gsub, string.lower, string.match
local sub, upper = string.sub, string.upper

local check = {}
shared.check = check

local MAX_SECONDS = 4294967
local MIN_PERIOD = 0.0001
local MAX_WHOLE = 2 ^ 53
local MAX_NAME = 64 -- bytes; no name of ours is as long, and comparing longer ones takes time
local MAX_NAMED = 3 -- unknown options in one message, at most

-- The known name nearest to a wrong one; nil: no name is near. Upper and lower case decide only
-- between names that are equally near.
function check.nearest(name, known)
  local best, best_score = nil, math.max(2, math.floor(#name / 3)) + 1
  if #name > MAX_NAME then return nil end
  for candidate in pairs(known) do
    local score = shared.distance(name, candidate)
    if score < best_score or score == best_score and best and candidate < best then
      best, best_score = candidate, score
    end
  end
  return best
end

-- describe(value) -> the value as an error message shows it.
check.describe = shared.describe

-- The name, cut if it is long, safe on a terminal.
function check.escape(name)
  local shown = #name > MAX_NAME and sub(name, 1, MAX_NAME) .. "..." or name
  return shared.escape(shown)
end

-- " (did you mean 'x'?)"; name nil: "".
function check.hint(name, note)
  return name and format(" (did you mean '%s'%s?)", name, note or "") or ""
end

-- ---- unknown options ----

-- The options of each call, so that a message can say to which call an option belongs. Entries:
-- { name of the call, table of its options }.
local places = {}

function check.add_place(where, known) places[#places + 1] = { where, known } end

-- Spells an option of another library in our way: OnData, on-data and onData become on_data. The
-- second result is true if the name says that its value is in milliseconds.
local function normalise(name)
  local words = lower((gsub(gsub(name, "(%l)(%u)", "%1_%2"), "%-", "_")))
  for suffix, unit in pairs(shared.synonyms.units) do
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

-- The known name that begins with this text; nil: none does, or several do.
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

-- A hint to which call an option belongs: for the first of these names that is an option of any.
local function place_of(names)
  for _, place in ipairs(places) do
    local name = first_known(names, place[2])
    if name then return format(" ('%s' is an option of %s)", name, place[1]) end
  end
end

-- The names to choose a hint from: the Perl spellings for a name that looks like one, else ours.
local function spellings_like(name, known)
  if not find(name, "^%u") then return known end
  local spellings = {}
  for spelling, option in pairs(shared.aliases.options) do
    if known[option] then spellings[spelling] = true end
  end
  return spellings
end

-- The end of the message about an unknown option: which option was probably meant.
local function guess(name, known)
  local plain, milliseconds = normalise(name)
  local synonyms = shared.synonyms.options[plain] or ""
  local meant = first_known(plain .. " " .. synonyms, known)
  if meant then return check.hint(meant, milliseconds and ", in seconds") end
  local place = place_of(plain) or place_of(synonyms)
  if place then return place end
  return check.hint(check.nearest(name, spellings_like(name, known)) or completion(plain, known))
end

-- The message about unknown options. unknown: their keys; known, example: as for check.read.
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

-- The hint for a string of digits where a number is expected, or "".
local function quoted(value, expected)
  if type(value) ~= "string" or not tonumber(value) or not find(expected, "number") then
    return ""
  end
  return format(" (a string; without quotes: %s)", value)
end

-- Reads the table given into a new one; nil, message if something is wrong. known: a table of
-- functions by name, function(value) -> converted value, or nil, a text for what was expected, and
-- perhaps a text for the part of the value that is wrong.
-- example: how an option is given, for the message to a script that gives a list.
function check.read(what, given, known, example)
  local result, spelled, unknown, wrong = {}, {}, nil, nil
  for key, value in pairs(given) do
    local name = shared.aliases.options[key] or key
    local convert = known[name]
    if not convert then
      unknown = unknown or {}
      unknown[#unknown + 1] = key
    elseif spelled[name] then
      wrong = format("%s: '%s' and '%s' are the same option", what, spelled[name], key)
    else
      spelled[name] = key
      local converted, expected, part = convert(value)
      if converted == nil then
        wrong = format("%s: %s must be %s, not %s%s", what, key, expected,
          part or check.describe(value), quoted(value, expected))
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

-- Why the core refuses an option; with the name of the error if this build lacks what it needs.
function check.refusal(message, errname)
  return errname == "EOPNOTSUPP" and message .. " (EOPNOTSUPP)" or message
end

-- Accepts any value: another function checks it.
function check.any(value) return value end

-- The time until an alarm, in nanoseconds, rounded up. A negative time is 0: a past alarm is due at
-- once, as in POE. nil: the value is no time.
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

-- The message of a module function that was called with a colon.
function check.colon(name)
  return format("tcpmulti.%s: called with a colon instead of a dot", name)
end

-- The message of cheap:fail() about an unknown error name. known: a set of the names of errors.
function shared.unknown_error(name, known)
  if type(name) ~= "string" then
    return "the error must be a name like 'EPROTO', not " .. check.describe(name)
  end
  return format("unknown error name %s%s", check.describe(name),
    check.hint(check.nearest(upper(name), known)))
end

-- The message about a time that check.nanoseconds has refused.
function check.wrong_time(value)
  if type(value) == "number" and value > MAX_SECONDS then
    return format("the time must be at most %d seconds (49 days), not %s", MAX_SECONDS,
      check.describe(value))
  end
  local expected = "a number of seconds"
  return format("the time must be %s, not %s%s", expected, check.describe(value),
    quoted(value, expected))
end

-- The year 2286. A larger number of seconds is probably one of milliseconds.
local SECONDS_END = 1e10

-- The message about a time that alarm_set has refused.
function check.wrong_epoch(value)
  return format("the time must be in seconds since 1970, as os.time() gives them, 49 days ahead at "
    .. "most, not %s%s", check.describe(value),
    type(value) == "number" and value > SECONDS_END and " (milliseconds?)" or "")
end

-- The message about an unknown signal. known: a set of the names of signals.
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

-- Attempts per second; fractions are allowed. create turns them into the time between two attempts.
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

-- Accepts the keys of the table choices and converts them to their values.
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
