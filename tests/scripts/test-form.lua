-- SPDX-License-Identifier: MIT
-- The form of the scripts: short, with purpose, usage and sample output on top, nothing global.
local harness = require "scripts.harness"

local scripts = {
  "banner", "demo", "echo", "http_head", "portscan", "redis_ping", "smtp_probe", "synopsis_long",
  "synopsis_short",
}

local function read_lines(name)
  local lines = {}
  for line in io.lines(os.getenv("TCPMULTI_SOURCE") .. "/scripts/" .. name .. ".lua") do
    lines[#lines + 1] = line
  end
  assert(table.remove(lines, 1):match "^%-%- SPDX", name .. ": no licence on top")
  return lines
end

harness.case("each has 10 to 80 lines of at most 100 columns", function()
  for _, name in ipairs(scripts) do
    local lines = read_lines(name)
    assert(#lines >= 10 and #lines <= 80, ("%s: %d lines"):format(name, #lines))
    for number, line in ipairs(lines) do
      assert(#line <= 100, ("%s.lua:%d: %d columns"):format(name, number, #line))
    end
  end
end)

harness.case("each opens with its purpose, its usage and a sample of its output", function()
  for _, name in ipairs(scripts) do
    local head = {}
    for _, line in ipairs(read_lines(name)) do
      if not line:match("^%-%-") then break end
      head[#head + 1] = line
    end
    assert((head[1] or ""):match("^%-%- " .. name .. "%.lua: %w.*"), name .. ": purpose")
    local text = table.concat(head, "\n")
    local usage = "\n%-%- usage: tcpmulti%-lua .*scripts/" .. name .. "%.lua"
    assert(text:match(usage), name .. ": usage")
    assert(text:match("\n%-%-   %S"), name .. ": sample output")
  end
end)

harness.case("none sets a global variable", function()
  for _, name in ipairs(scripts) do
    local path = os.getenv("TCPMULTI_SOURCE") .. "/scripts/" .. name .. ".lua"
    local listing = harness.run("luajit", { "-bl", path })
    harness.equal(0, listing.code, "luajit -bl " .. listing.errors())
    harness.contains(listing.output(), "-- BYTECODE -- ", "listing")
    assert(not listing.output():find("%f[%w]GSET%f[%W]"), name .. " sets a global variable")
  end
end)

harness.case("all scripts of the folder are listed here", function()
  local folder = harness.run("ls", { os.getenv("TCPMULTI_SOURCE") .. "/scripts" })
  local found = {}
  for name in folder.output():gmatch("([%w_]+)%.lua\n") do found[#found + 1] = name end
  harness.equal(table.concat(scripts, " "), table.concat(found, " "), "scripts")
end)

harness.main()
