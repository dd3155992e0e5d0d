-- SPDX-License-Identifier: MIT
-- The checks find what is wrong: each is run over a small tree that breaks its rules
-- (tests/static/sample), and must report exactly what expected.txt has.
local check = require "static.check"

local sample = check.root .. "/tests/static/sample"

-- The lines of expected.txt below the name of a check.
local function expected(name)
  local text = check.read "tests/static/sample/expected.txt"
  return text:match("== " .. name .. "\n(.-)\n==")
end

local function run(name)
  local command = "TCPM_SOURCE='%s' luajit '%s/tests/static/test-%s.lua' core lua"
  return table.concat(check.output(command:format(sample, check.root, name)), "\n")
end

for _, name in ipairs { "dialect", "circles", "sizes" } do
  check.case("test-" .. name .. " finds what the sample has", function(found, looked)
    looked()
    local real = run(name)
    if real ~= expected(name) then found("%s", real) end
  end)
end

check.main()
