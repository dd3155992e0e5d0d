-- SPDX-License-Identifier: MIT
-- How all Lua tests are written: a list of cases that keeps its order, run by lua-unit, which
-- reports by TAP. Tests get these functions from what their suite shares (behaviour/support.lua,
-- scripts/harness.lua), which adds how a single case runs.
--
--   local cases = support.cases "Lifecycle"
--   function cases.L3_refused_port() … end     -- the row of the table first, then a sentence
--   for … do cases["by " .. name] = function() … end end
--   support.main(cases)
local lu = require "luaunit"

local suite = {}

-- Makes a list of cases. An assignment appends a case; two cases of one name are an error.
function suite.cases(name)
  local order, bodies = {}, {}
  local function append(_, title, body)
    local key = title:gsub("[^%w_]+", "_"):gsub("_$", "")
    assert(not bodies[key], key)
    order[#order + 1], bodies[key] = key, body
  end
  local function contents() return name, order, bodies end
  return setmetatable({}, { __index = bodies, __newindex = append, __call = contents })
end

-- For xpcall: a failed assertion knows its place, any other error gets a traceback.
function suite.with_traceback(message)
  if type(message) == "string" and not message:find("LuaUnit test", 1, true) then
    return debug.traceback(message, 2)
  end
  return message
end

-- Runs the cases, each by run_case(name, body), and ends the process if one has failed. Lua-unit
-- reads its options from the command line: "-o tap", and "-p" with a pattern of the names to be
-- run. It ignores other words there, which are arguments of the test.
function suite.main(cases, run_case)
  local name, order, bodies = cases()
  local instance, list = {}, {}
  for _, key in ipairs(order) do
    local title = "test_" .. key
    instance[title] = function() run_case(name .. "." .. key, bodies[key]) end
    list[#list + 1] = { "Test" .. name .. "." .. title, instance }
  end
  local failed = lu.LuaUnit.new():runSuiteByInstances(list)
  if failed > 0 then os.exit(1) end
end

return suite
