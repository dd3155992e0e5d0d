-- SPDX-License-Identifier: MIT
-- The tests themselves: which files are tests can be seen from their names, and each of them runs.
local check = require "static.check"

-- Programs that a test builds or starts, and commands.
local function is_no_test(path)
  return path:match "^tests/install/[^/]*%.c$" or path:match "^tests/bench/"
end

-- Whether a file runs cases: a Lua file calls main(…) in its last line, a C program has a main.
local function runs_cases(path)
  local text = check.read(path)
  if path:match "%.lua$" then return text:match "\n[%w_]+%.main%b()[^\n]*\n[^%w]*$" ~= nil end
  return path:match "%.cp*$" and (text:find "\nRUN_TESTS%(" or text:find "\nint main%(") ~= nil
end

check.case("a test is named test-<behaviour>, and nothing else is", function(found, looked)
  for _, path in ipairs(check.files("tests", ".c", ".cpp", ".lua", ".h")) do
    local named = path:match "/test%-[%w-]+%.%w+$" ~= nil
    local runs = runs_cases(path)
    if named then looked() end
    if named and not runs then found("%s: it runs no cases", path) end
    if runs and not named and not is_no_test(path) then found("%s: it is no test-…", path) end
  end
end)

check.case("every test stands in the meson.build of its folder", function(found, looked)
  for _, path in ipairs(check.files("tests", ".c", ".cpp", ".lua")) do
    local folder, name, ending = path:match "^(.*)/(test%-[%w-]+)(%.%w+)$"
    if folder then
      looked()
      local list = check.read(folder .. "/meson.build")
      if not list:find("'" .. name .. "'", 1, true)
        and not list:find("'" .. name .. ending .. "'", 1, true) then
        found("%s: meson.build does not name it", path)
      end
    end
  end
end)

check.main()
