-- SPDX-License-Identifier: MIT
-- The rows that tests cite by number stand in tests/README.md with the files that cite them. A row
-- is cited at the beginning of a case's name (test_R5_R6_forms, cases.L3_refused_port), in a
-- comment behind the name of its table (BEHAVIOUR T1, T2, E1-E20), or by a file's name
-- (test-trap-7-…).
local check = require "static.check"

local README = "tests/README.md"

-- Calls cite(number) for each number behind one of the tables' names in a file's comments.
local function each_in_comments(text, cite)
  text = text:gsub("\n%s*%*%s", " "):gsub("\n%s*%-%-%s", " ")
  for _, list in ipairs { "BEHAVIOUR", "FAULTS", "FEATURES", "REACH" } do
    for position in text:gmatch("%f[%a]" .. list .. "%f[%A]()") do
      local letter, first, last, at
      repeat
        for _, joined in ipairs { "^[%s,]+", "^ and " } do
          letter, first, at = text:match(joined .. "([A-Z])(%d%d?%d?)%f[%W]()", position)
          if letter then break end
        end
        if letter then
          last, position = text:match("^%-[A-Z](%d%d?%d?)()", at)
          for number = first, last or first do
            cite(letter .. (first:sub(1, 1) == "0" and ("%02d"):format(number) or number))
          end
          position = position or at
        end
      until not letter
    end
  end
end

local function each_in_names(path, text, cite)
  for _, prefix in ipairs { "test_", "cases%.", "cases%[\"" } do
    for name in text:gmatch("%f[%w_]" .. prefix .. "([%w_]+)") do
      local numbers = name:match "^[A-Z0-9_]+" or ""
      for number in numbers:gmatch "%f[%w]([A-Z]%d%d?%d?)_" do cite(number) end
    end
  end
  local trap = path:match "/test%-trap%-(%d+)%-"
  if trap then cite("trap " .. trap) end
end

-- cited[number][file] = true, of all tests; paths are those below tests/.
local function find_cited()
  local cited = {}
  for _, path in ipairs(check.files("tests", ".c", ".h", ".cpp", ".lua")) do
    local file, text = path:match "^tests/(.*)", check.read(path)
    local function cite(number)
      cited[number] = cited[number] or {}
      cited[number][file] = true
    end
    -- This file and the helper that explains names give examples.
    if file ~= "static/test-rows.lua" and file ~= "cases.lua" then
      each_in_names(path, text, cite)
      each_in_comments(text, cite)
    end
  end
  return cited
end

-- The same, of the tables; a number may stand in two of them.
local function find_listed()
  local listed = {}
  local section = check.read(README):match "\n## The rows\n(.*)"
  for number, files in section:gmatch "\n| (%w[%w ]-) | [^\n]+ | ([^|\n]+) |%f[\n]" do
    listed[number] = listed[number] or {}
    for file in files:gmatch "`([^`]+)`" do listed[number][file] = true end
  end
  return listed
end

local function compare(found, looked, those, others, text)
  for number, files in pairs(those) do
    for file in pairs(files) do
      looked()
      if not (others[number] and others[number][file]) then found(text, number, file) end
    end
  end
end

check.case("every row that a test cites is listed with that test", function(found, looked)
  compare(found, looked, find_cited(), find_listed(), README .. ": row %s lacks %s")
end)

check.case("every test that is listed cites its row", function(found, looked)
  compare(found, looked, find_listed(), find_cited(), README .. ": row %s: %s does not cite it")
end)

check.main()
