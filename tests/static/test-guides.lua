-- SPDX-License-Identifier: MIT
-- The maps in core/README.md and lua/README.md are complete: every file has exactly one line, and
-- every line has its file. A line is a row of a table whose first column names files.
local here = arg[0]:match "^(.*)/static/[^/]*$" or ".."
package.path = here .. "/?.lua;" .. package.path
local check = require "static.check"

-- The section of a guide below "## Map", up to the next one.
local function map_of(folder)
  return check.read(folder .. "/README.md"):match "\n## Map\n(.-)\n## "
end

-- How many rows name each file.
local function count_names(folder)
  local counts = {}
  for row in map_of(folder):gmatch "\n| (`[^|]*) |" do
    for name in row:gmatch "`([^`]+)`" do counts[name] = (counts[name] or 0) + 1 end
  end
  return counts
end

for _, folder in ipairs { "core", "lua" } do
  check.case(folder .. "/README.md has one line for each file", function(found, looked)
    local counts = count_names(folder)
    for _, path in ipairs(check.files(folder, "")) do
      looked()
      local name = path:sub(#folder + 2)
      local count = counts[name] or 0
      if count ~= 1 and name ~= "README.md" then
        found("%s has %d lines in the map of %s/README.md, not one", path, count, folder)
      end
      counts[name] = nil
    end
    for name in pairs(counts) do
      found("the map of %s/README.md has a line for %s, which is no file", folder, name)
    end
  end)
end

check.main()
