-- SPDX-License-Identifier: MIT
-- The cases that a build with a test layer leaves out (tests/README.md, which that build reads):
-- each is there, has a reason, and they are few.
local check = require "static.check"

-- layer (nil: all), file, list of cases, reason; of the rows of the tables.
local function rows()
  local list = {}
  for _, line in check.lines "tests/README.md" do
    local file, cases, reason = line:match "^| (%l+/[%w.-]+) | (.-) | (.-) |$"
    local layer
    if not file then
      layer, file, cases, reason = line:match "^| (%l+) | (%l+/[%w.-]+) | (.-) | (.-) |$"
    end
    if file then
      local names = {}
      for name in cases:gmatch "`(.-)`" do names[#names + 1] = name end
      list[#list + 1] = { layer = layer, file = file, names = names, reason = reason }
    end
  end
  return list
end

-- The cases of a file, by name.
local function cases_of(path)
  local names, count, text = {}, 0, check.read(path)
  local function add(name)
    if not names[name] then names[name], count = true, count + 1 end
  end
  for name in text:gmatch "%f[%w_]cmocka_unit_test[%w_]*%((test_[%w_]+)" do add(name) end
  for name in text:gmatch "%f[%w_]HOST_TEST[%w_]*%((test_[%w_]+)" do add(name) end
  for name in text:gmatch "\nfunction cases%.([%w_]+)" do add("test_" .. name) end
  return names, count
end

check.case("each case that is left out is there, and has a reason", function(found, looked)
  for _, row in ipairs(rows()) do
    local names = cases_of("tests/" .. row.file)
    if #row.names == 0 then found("%s: no case", row.file) end
    if #row.reason < 10 then found("%s: no reason", row.file) end
    for _, name in ipairs(row.names) do
      looked()
      if not names[name] then found("%s: there is no %s", row.file, name) end
    end
  end
end)

check.case("at most one case in ten is left out", function(found, looked)
  local all, out = 0, 0
  for _, folder in ipairs { "capi", "behaviour", "torture" } do
    for _, path in ipairs(check.files("tests/" .. folder, ".c", ".lua")) do
      looked()
      local _, count = cases_of(path)
      all = all + count
    end
  end
  for _, row in ipairs(rows()) do
    if row.layer ~= nil and row.layer ~= "tls" then found("%s: no such layer", row.layer) end
    out = out + #row.names
  end
  if out * 10 > all then found("%d of %d", out, all) end
end)

check.main()
