-- SPDX-License-Identifier: MIT
-- How long functions and files of core/ and lua/ may be. A function's lines are those between its
-- braces, or between its first line and its end in Lua, without blank lines and comments.
local here = arg[0]:match "^(.*)/static/[^/]*$" or ".."
package.path = here .. "/?.lua;" .. package.path
local check = require "static.check"
local code = require "static.code"

local half_at_most, most_at_most, all_at_most = 8, 20, 50 -- most: nine of ten
local file_lines = 450

local function count_lines(lines, first, last)
  local count = 0
  for number = first, last do
    if lines[number]:find "%S" then count = count + 1 end
  end
  return count
end

local function c_functions(path)
  local list, lines = {}, code.lines(path)
  for _, body in ipairs(code.functions(path)) do
    if body.first then
      list[#list + 1] = { name = body.name, line = body.line,
        size = count_lines(lines, body.first, body.last) }
    end
  end
  return list
end

-- A function of more than one line ends where "end" has the indentation of its first line.
local function end_of(lines, number)
  local indentation = lines[number]:match "^%s*"
  for last = number + 1, #lines do
    if lines[last]:find("^" .. indentation .. "end%f[%W]") then return last end
  end
  return number
end

local function lua_functions(path)
  local list, lines = {}, {}
  for _, line in check.lines(path) do
    lines[#lines + 1] = line:gsub('"[^"]*"', '""'):gsub("%s*%-%-.*$", "")
  end
  for number, line in ipairs(lines) do
    local words = line:match "%f[%w]function%f[%W](.*)$"
    if words then
      local last = words:find "%f[%w]end%f[%W]" and number or end_of(lines, number)
      list[#list + 1] = { name = words:match "^%s*([%w_.:]+)" or "a function", line = number,
        size = last == number and 1 or count_lines(lines, number + 1, last - 1) }
    end
  end
  return list
end

local function check_shares(sizes, found)
  table.sort(sizes)
  local half, most = sizes[math.ceil(#sizes / 2)], sizes[math.ceil(#sizes * 0.9)]
  if half > half_at_most then found("half of the functions have up to %d lines", half) end
  if most > most_at_most then found("nine of ten functions have up to %d lines", most) end
end

local function check_functions(name, folder, ending, functions_of)
  check.case(("%s: functions in %s are short"):format(folder, name), function(found, looked)
    local sizes = {}
    for _, path in ipairs(check.files(folder, unpack(ending))) do
      for _, one in ipairs(path:find "^lua/types/" and {} or functions_of(path)) do
        looked()
        sizes[#sizes + 1] = one.size
        if one.size > all_at_most then
          found("%s:%d: %s has %d lines", path, one.line, one.name, one.size)
        end
      end
    end
    check_shares(sizes, found)
  end)
end

check_functions("C", "core", { ".c", ".h" }, c_functions)
check_functions("C", "lua", { ".c", ".h" }, c_functions)
check_functions("Lua", "lua", { ".lua" }, lua_functions)

check.case(("files of core and lua have at most %d lines"):format(file_lines),
  function(found, looked)
    for _, folder in ipairs { "core", "lua" } do
      for _, path in ipairs(check.files(folder, ".c", ".h", ".lua")) do
        looked()
        local count = 0
        for _ in check.lines(path) do count = count + 1 end
        local may_be_long = path:find "^lua/types/" or path == "core/include/tcpmulti.h"
        if count > file_lines and not may_be_long then found("%s: %d lines", path, count) end
      end
    end
  end)

check.main()
