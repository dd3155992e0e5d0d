-- SPDX-License-Identifier: MIT
-- What no tool checks: columns, blanks, and words that speak of work not done.
local check = require "static.check"

local sources = { ".c", ".h", ".lua", ".build", ".py", ".txt" }

local function each_source(f, ...)
  local all = { "core", "lua", "scripts", "tests", "meson.build", "meson_options.txt" }
  for _, folder in ipairs(all) do
    for _, path in ipairs(check.files(folder, unpack(sources))) do f(path, ...) end
  end
end

-- Characters, not bytes.
local function width(line) return #line:gsub("[\128-\191]", "") end

check.case("lines have at most 100 columns", function(found, looked)
  each_source(function(path)
    looked()
    for number, line in check.lines(path) do
      -- An annotation cannot be broken into lines.
      if width(line) > 100 and not line:match "^%-%-%-@" then
        found("%s:%d: %d columns", path, number, width(line))
      end
    end
  end)
end)

check.case("no tabs, no blanks at the end, a line end at the end", function(found, looked)
  each_source(function(path)
    looked()
    for number, line in check.lines(path) do
      if line:find "\t" or line:find "%s$" then found("%s:%d: blanks", path, number) end
    end
    if check.read(path):sub(-1) ~= "\n" then found("%s: no line end at the end", path) end
  end)
end)

-- Spelled so that this file has none of them.
local marks = { "TO" .. "DO", "FIX" .. "ME", "X" .. "XX", "HA" .. "CK" }

check.case("nothing speaks of work not done", function(found, looked)
  each_source(function(path)
    looked()
    for number, line in check.lines(path) do
      for _, mark in ipairs(marks) do
        if line:find("%f[%w]" .. mark .. "%f[%W]") then found("%s:%d: %s", path, number, mark) end
      end
    end
  end)
end)

check.case("every C file opens with what it is for", function(found, looked)
  for _, folder in ipairs { "core", "lua", "tests" } do
    for _, path in ipairs(check.files(folder, ".c", ".h")) do
      looked()
      local text = check.read(path):gsub("^/%* SPDX[^\n]*\n", "")
      if not text:match "^/%*" then found("%s: no paragraph on top", path) end
    end
  end
end)

local licence = "SPDX-License-Identifier: " .. "MIT"

-- Whether a file is a source: by its name, or as a program by its first line.
local function is_source(path)
  local by_name = path:match "%.[chp]+$" or path:match "%.lua$" or path:match "%.py$"
    or path:match "%.js$" or path:match "%.map$" or path:match "%.build$"
  return by_name or check.read(path):sub(1, 2) == "#!"
end

check.case("every source names its licence on top", function(found, looked)
  for _, folder in ipairs { "core", "lua", "scripts", "tests", ".ci", "meson.build" } do
    for _, path in ipairs(check.files(folder, "")) do
      if is_source(path) then
        looked()
        local top = check.read(path):gsub("^#![^\n]*\n", ""):match "^[^\n]*"
        if not top:find(licence, 1, true) then found("%s: no %s", path, licence) end
      end
    end
  end
end)

-- Lines of code that a script with tasks may have: 40, or two thirds of what it had with handlers;
-- health reads, and explains, a language of its own besides.
local most_lines = {
  both_styles = 40, health = 142, http_head = 34, http_load = 40, mqtt_fleet = 40, redis_ping = 44,
  redis_pubsub = 40, relay = 40, smtp_probe = 40, telnet_run = 40,
}

check.case("scripts with tasks are short", function(found, looked)
  for _, path in ipairs(check.files("scripts", ".lua")) do
    local name, count = path:match "([%w_]+)%.lua$", 0
    for _, line in check.lines(path) do
      if line:find "%S" and not line:find "^%s*%-%-" then count = count + 1 end
    end
    if check.read(path):find('require "tcpmulti.co"', 1, true) then
      looked()
      if count > (most_lines[name] or 0) then found("%s: %d lines of code", path, count) end
    elseif most_lines[name] then
      found("%s: no tasks", path)
    end
  end
end)

check.main()
