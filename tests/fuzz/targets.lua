-- SPDX-License-Identifier: MIT
-- Texts of targets: none raises; what is read is written and read again as the same; lines of a
-- file and the same lines as words are the same plan, which any number of processes share exactly.
-- The first byte chooses ports, an order and a number of processes; the rest are lines.
local lines = require "tcpmulti.targets.lines"
local targets = require "tcpmulti.targets"

local MOST = 300 -- targets of a plan that is walked
local path = os.tmpname()
local cleaner = newproxy(true)
getmetatable(cleaner).__gc = function() os.remove(path) end

local function check(condition, what, text)
  if not condition then error(("broken: %s: %q"):format(what, text), 0) end
end

local function check_ports(ports, text)
  for i = 1, #ports do
    check(ports[i] >= 1 and ports[i] <= 65535 and ports[i] > (ports[i - 1] or 0), "ports", text)
  end
end

local function check_text(text)
  local ports, message = targets.ports(text)
  check(ports or type(message) == "string", "a reason", text)
  check_ports(ports or {}, text)
  local one = targets.parse(text)
  if not one then return end
  check_ports(one.ports or {}, text)
  if one.name then
    check(targets.parse(one.name:find(":", 1, true) and "[" .. one.name .. "]" or one.name).name
      == one.name, "a name", text)
    return
  end
  for _, address in ipairs { one.first, one.last } do
    local again = targets.parse(address)
    check(again.first == address and again.last == address, "an address", text)
  end
end

local function write(text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
end

local function check_walkers(plan, J, text)
  local seen, count = {}, 0
  for j = 0, J - 1 do
    local walker, other = plan:walker(j, J), plan:walker(j, J)
    for g in function() return walker:next() end do
      check(not seen[g] and other:skip(g), "a target is walked once", text)
      seen[g], count = true, count + 1
      plan:target(g)
    end
  end
  check(count == plan.total, "each target is walked", text)
end

local function check_plan(text, choice)
  local options = { ports = choice % 2 == 1 and "7,80-81" or nil,
    order = choice % 4 < 2 and "random" or "sequential" }
  local stream, words, wrong, streamed = assert(targets.stream(options)), {}, 0, 0
  for line in text:gmatch "[^\n]+" do
    local list = stream:line(line, 1)
    wrong, streamed = wrong + (list and 0 or 1), streamed + #(list or {})
    line = lines.strip(line)
    if line ~= "" then words[#words + 1] = line end
  end
  write(text)
  local plan, message, errname = targets.plan({ { path = path } }, options)
  local same = targets.plan({ { words = words } }, options)
  check((plan ~= nil) == (same ~= nil), "words are lines", text)
  if not plan then return check(errname == "E2BIG" or errname == "EINVAL", message, text) end
  check(plan.id == same.id, "words are lines", text)
  check(plan.malformed_count == same.malformed_count, "words are lines", text)
  check(plan.malformed_count <= wrong, "a stream reads what a plan reads", text)
  if plan.malformed_count == wrong then
    check(plan.total + plan.duplicates + plan.excluded == streamed + stream.excluded,
      "a stream has as many", text)
  end
  if plan.total <= MOST then check_walkers(plan, 1 + choice % 5, text) end
end

return function(input)
  local text = input:sub(2)
  for line in text:gmatch "[^\n]+" do check_text(line) end
  check_plan(text, input:byte() or 0)
  return cleaner
end
