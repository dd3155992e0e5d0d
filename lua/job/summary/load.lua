-- SPDX-License-Identifier: MIT
-- The part of a summary that loads alone have. wanted, reached: requests in a second, as the
-- schedule had them and as they were answered. dropped: requests that were never sent, because they
-- had waited too long. unfinished: requests that were not answered in time. duration, warm_up:
-- seconds.
local max = math.max

local load = {}

local added, greatest = { "wanted", "reached", "dropped", "unfinished" }, { "duration", "warm_up" }

-- The figures of two loads that ran side by side. Each may be nil: it is no load.
function load.merge(first, second)
  if not first and not second then return nil end
  first, second = first or {}, second or {}
  local merged = {}
  for _, name in ipairs(added) do merged[name] = (first[name] or 0) + (second[name] or 0) end
  for _, name in ipairs(greatest) do merged[name] = max(first[name] or 0, second[name] or 0) end
  return merged
end

-- Whether a table for JSON may hold such a value.
function load.is_valid(value)
  if value == nil then return true end
  if type(value) ~= "table" then return false end
  for _, names in ipairs { added, greatest } do
    for _, name in ipairs(names) do
      local number = value[name]
      if type(number) ~= "number" or not (number >= 0 and number < math.huge) then return false end
    end
  end
  return true
end

return load
