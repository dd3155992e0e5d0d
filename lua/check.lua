-- Reading tables of options: aliases resolved, unknown keys named with the nearest known one, each
-- value checked. Nothing here raises: a problem is returned as nil, message, so that the function
-- the script has called can raise it at the script's own line.
local core = ...
local byte, format, gsub = string.byte, string.format, string.gsub
local lower, sub = string.lower, string.sub

local check = {}
core.check = check

local MAX_SECONDS = 4294967
local MAX_WHOLE = 2 ^ 53

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
  for candidate in pairs(known) do
    local score = distance(lower(name), lower(candidate)) + distance(name, candidate) / 1000
    if score < best_score or score == best_score and best and candidate < best then
      best, best_score = candidate, score
    end
  end
  return best
end

-- A value as an error message shows it.
function check.describe(value)
  if type(value) == "string" then
    local text = #value > 40 and sub(value, 1, 40) .. "..." or value
    return format("'%s'", (gsub(text, "[^ -~]", "?")))
  elseif type(value) == "number" or type(value) == "boolean" or value == nil then
    return tostring(value)
  end
  return "a " .. type(value)
end

function check.unknown(what, name, known)
  local spellings = {}
  for spelling in pairs(known) do spellings[spelling] = true end
  for spelling, option in pairs(core.aliases.options) do
    if known[option] then spellings[spelling] = true end
  end
  local nearest = type(name) == "string" and check.nearest(name, spellings)
  return format("%s: unknown option %s%s", what, check.describe(name),
    nearest and format(" (did you mean '%s'?)", nearest) or "")
end

-- Reads given into a new table. known: name = function(value) -> converted value, or nil, what was
-- expected. Keys in skip (a set) are left out.
function check.read(what, given, known, skip)
  local result, spelled = {}, {}
  for key, value in pairs(given) do
    if not (skip and skip[key]) then
      local name = core.aliases.options[key] or key
      local convert = known[name]
      if not convert then return nil, check.unknown(what, key, known) end
      if spelled[name] then
        return nil, format("%s: '%s' and '%s' are the same option", what, spelled[name], key)
      end
      spelled[name] = key
      local converted, expected = convert(value)
      if converted == nil then
        return nil, format("%s: %s must be %s, not %s", what, key, expected, check.describe(value))
      end
      result[name] = converted
    end
  end
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

-- The time until an alarm, in milliseconds, rounded up: what is past is due at once, as in POE.
-- nil for what is no time.
function check.delay(value)
  if type(value) ~= "number" or value ~= value or value > MAX_SECONDS then return nil end
  local ms = math.max(math.ceil(value * 1000 - 1e-6), 0)
  return value > 0 and ms < 1 and 1 or ms
end

-- A timeout in the core's terms: milliseconds, -1 for none.
function check.seconds(value)
  local ms = check.delay(value)
  if not ms or value < 0 then
    return nil, format("a number of seconds from 0 (none) to %d", MAX_SECONDS)
  end
  return ms == 0 and -1 or ms
end

function check.whole(lowest, highest)
  local expected = highest and format("a whole number from %d to %d", lowest, highest)
    or format("a whole number, %d or more", lowest)
  return function(value)
    if type(value) == "number" and value >= lowest and value <= (highest or MAX_WHOLE)
      and value == math.floor(value) then
      return value
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
