-- SPDX-License-Identifier: MIT
-- One dialect of C in core/ and lua/, and comments that stand alone: what STYLE says and neither a
-- compiler nor clang-format sees. By hand, for some folders or files only:
--   luajit tests/static/test-dialect.lua core/base lua/cheap.c
local here = arg[0]:match "^(.*)/static/[^/]*$" or ".."
package.path = here .. "/?.lua;" .. package.path
local check = require "static.check"
local code = require "static.code"

-- Not clean yet. Whoever cleans a folder or file removes its line; in the end both lists go. "*" is
-- any name in one folder.
local pending = {
  code = {},
  comments = {},
}

local function is_among(path, places)
  for _, place in ipairs(places) do
    local pattern = place:gsub("[%.%-]", "%%%0"):gsub("%*", "[^/]*")
    if path:find("^" .. pattern) then return true end
  end
  return false
end

-- The files to look at: those that arguments name, or all but the pending ones.
local function each_file(kind, looked, f, ...)
  looked()
  for _, folder in ipairs { "core", "lua" } do
    for _, path in ipairs(check.files(folder, ...)) do
      if #arg > 0 and is_among(path, arg) or #arg == 0 and not is_among(path, pending[kind]) then
        f(path)
      end
    end
  end
end

-- A case over the C files. rule(path, report) calls report(line, format, ...).
local function rule(name, body)
  check.case(name, function(found, looked)
    each_file("code", looked, function(path)
      body(path, function(line, format, ...)
        found("%s:%d: " .. format, path, line, ...)
      end)
    end, ".c", ".h")
  end)
end

local function set(words)
  local names = {}
  for word in words:gmatch "%S+" do names[word] = true end
  return names
end

-- ---- sizeof, constants, includes ----

local type_words = set [[struct union enum const unsigned signed char short int long float double
  void FILE lua_State lua_Number lua_Integer lua_Debug luaL_Buffer luaL_Reg]]

local function is_type(text)
  local word = text:match "^%s*([%a_][%w_]*)"
  return word and (type_words[word] or text:find "^%s*[%w_]+_t[%s%*]*$") or false
end

rule("sizeof has no parentheses, but for types", function(path, report)
  for number, line in ipairs(code.lines(path)) do
    for argument in line:gmatch "%f[%w_]sizeof(%b())" do
      if not is_type(argument:sub(2, -2)) and not line:find "#%s*define" then
        report(number, "sizeof%s", argument)
      end
    end
  end
end)

-- Whether the text of a macro is an integer that an enum could hold.
local function is_integer(value)
  if value:find "%l%l" or value:find "[\"'.]" or value == "" then return false end
  if value:find "INT%d*_C" or value:find "_MAX" then return false end
  for digits in value:gmatch "%f[%w_]%d+" do
    if tonumber(digits) > 2147483647 then return false end
  end
  return value:find "%d" ~= nil and not value:find "[{},;#]"
end

rule("integer constants are of an enum", function(path, report)
  if path:find "/include/" then return end
  for number, line in ipairs(code.lines(path)) do
    local name, value = line:match "^#%s*define ([%w_]+)%s+(.-)%s*\\?$"
    if name and is_integer(value) then report(number, "#define %s %s", name, value) end
  end
end)

local friends = { ["uv.h"] = true, ["luajit.h"] = true, ["lua.h"] = true, ["lauxlib.h"] = true,
  ["lualib.h"] = true }
local group_names = { "its own header", "the system's", "libuv's and Lua's", "ours" }

local function group_of(line, is_first)
  local system = line:match "^#%s*include <(.-)>"
  if system then return friends[system] and 3 or 2 end
  if line:find '^#%s*include "' then return is_first and 1 or 4 end
end

rule("headers are included in order: own, system, libuv and Lua, ours", function(path, report)
  local last = 0
  -- Comments are not removed, as the names are strings.
  for number, line in check.lines(path) do
    local is_first = last == 0 and path:find "%.c$" ~= nil
    local group = group_of(line, is_first)
    if group and group < last then
      report(number, "%s after %s", group_names[group], group_names[last])
    end
    last = group or last
  end
end)

-- ---- functions ----

local function each_block(statements, f)
  f(statements)
  for _, statement in ipairs(statements) do
    if statement.statements then each_block(statement.statements, f) end
  end
end

local function each_body(path, f)
  for _, body in ipairs(code.functions(path)) do
    if body.first and body.last then f(code.statements(path, body), body) end
  end
end

-- The last line of a statement, with the comment that begins behind it.
local function end_of(raw, number)
  local line = raw[number]
  if line:find "/%*" and not line:find "%*/" then
    repeat number = number + 1 until raw[number]:find "%*/"
  end
  return number
end

rule("a blank line follows the declarations on top of a block", function(path, report)
  local raw = {}
  for number, line in check.lines(path) do raw[number] = line end
  each_body(path, function(body)
    each_block(body, function(statements)
      local count = 0
      while statements[count + 1] and code.declared(statements[count + 1]) do count = count + 1 end
      if count > 0 and statements[count + 1] then
        local last = end_of(raw, statements[count].last)
        if raw[last + 1] ~= "" then report(last, "no blank line after the declaration") end
      end
    end)
  end)
end)

local function mentions(text, name) return text:find("%f[%w_]" .. name .. "%f[^%w_]") ~= nil end

local function mentions_anywhere(statement, name)
  if mentions(statement.text, name) then return true end
  for _, inner in ipairs(statement.statements or {}) do
    if mentions_anywhere(inner, name) then return true end
  end
  return false
end

-- The statement after number that could declare the variable, as it assigns to it before anybody
-- else has mentioned it; or nil.
local function late_assignment(statements, number, name)
  local where
  for at = number + 1, #statements do
    local statement = statements[at]
    if not where and statement.text:find "^goto " then return nil end
    if mentions_anywhere(statement, name) then
      if not where and statement.text:find("^" .. name .. " = ") then return statement end
      if where then return nil end
      where = statement
    end
  end
  if not where then return nil end
  if where.text:find("^for %(" .. name .. " = ") then return where end
  local may_enter = where.statements and not mentions(where.text, name)
    and not where.text:find "^switch"
  return may_enter and late_assignment(where.statements, 0, name) or nil
end

rule("a variable is declared where it gets its first value", function(path, report)
  each_body(path, function(body)
    each_block(body, function(statements)
      for number, statement in ipairs(statements) do
        for _, variable in ipairs(code.declared(statement) or {}) do
          local assignment = not variable.value and not variable.is_array
            and late_assignment(statements, number, variable.name)
          if assignment then
            report(statement.first, "%s gets its value in line %d", variable.name,
              assignment.first)
          end
        end
      end
    end)
  end)
end)

-- The functions that a file mentions without calling them: name and place, for each mention.
local function each_value(path, f)
  local names, text = {}, code.text(path)
  for _, body in ipairs(code.functions(path)) do names[body.name] = true end
  for place, name, stop in text:gmatch "()%f[%w_]([%a_][%w_]*)()" do
    local is_field = text:sub(place - 1, place - 1):find "[.>]"
    if names[name] and not is_field and not text:find("^%s*%(", stop) then f(name, place) end
  end
end

rule("what libuv calls is named on_..., and no callback take_...", function(path, report)
  local values, text = {}, code.text(path)
  each_value(path, function(name, place)
    values[name] = true
    if name:find "^take_" then report(code.line_at(text, place), "%s is a callback", name) end
  end)
  for place, callee, list in text:gmatch "()%f[%w_](uv_[%w_]+)(%b())" do
    for _, argument in ipairs(callee == "uv_walk" and {} or code.split(list:sub(2, -2))) do
      local name = argument:match "^%s*(.-)%s*$"
      if values[name] and not name:find "^on_" and not name:find "^tcpm__[%w_]*_on_" then
        report(code.line_at(text, place), "%s calls %s", callee, name)
      end
    end
  end
end)

local shared

-- Declarations of functions with a name that other files see, and those of the file itself.
local function declarations()
  if shared then return shared end
  shared = {}
  for _, folder in ipairs { "core", "lua" } do
    for _, path in ipairs(check.files(folder, ".h")) do
      for _, head in ipairs(code.functions(path)) do
        if not head.first then shared[head.name] = { head = head, path = path } end
      end
    end
  end
  return shared
end

rule("a parameter has one name, where declared and where defined", function(path, report)
  local declared = declarations()
  for _, body in ipairs(code.functions(path)) do
    local other = declared[body.name]
    if body.first and other and not body.type:find "static" then
      local here_names = table.concat(body.parameters, ", ")
      local there_names = table.concat(other.head.parameters, ", ")
      if here_names ~= there_names then
        report(body.line, "%s(%s) is declared in %s:%d as (%s)", body.name, here_names, other.path,
          other.head.line, there_names)
      end
    end
  end
end)

-- How many files mention each word.
local users

local function count_users()
  users = {}
  for _, folder in ipairs { "core", "lua", "tests" } do
    for _, path in ipairs(check.files(folder, ".c", ".h")) do
      local seen = {}
      for word in code.text(path):gmatch "[%a_][%w_]*" do
        if not seen[word] then users[word] = (users[word] or 0) + 1 end
        seen[word] = true
      end
    end
  end
end

-- The constants that a header defines: by #define or in an enum without a name.
local function constants(text)
  local list = {}
  for place, name in text:gmatch "()#%s*define (%u[%u%d_]*)[ \n]" do
    if not name:find "_H$" then list[#list + 1] = { name = name, place = place } end
  end
  for place, members in text:gmatch "()enum (%b{});" do
    for name in members:gmatch "[{,]%s*(%u[%u%d_]*)" do
      list[#list + 1] = { name = name, place = place }
    end
  end
  return list
end

rule("a constant that one file uses is in that file", function(path, report)
  if not path:find "%.h$" or path:find "/include/" then return end
  if not users then count_users() end
  local text = code.text(path)
  for _, constant in ipairs(constants(text)) do
    local _, here_count = text:gsub("%f[%w_]" .. constant.name .. "%f[^%w_]", "")
    if here_count == 1 and users[constant.name] <= 2 then
      report(code.line_at(text, constant.place), "%s has one user", constant.name)
    end
  end
end)

-- ---- comments ----

-- Words that name nothing: no comment begins so.
local nameless = set "It It's They He Its Their What Who Whose Which And But Or Nor"
-- Words that may stand before a noun ("This file"), but not before a follower.
local maybe_nameless = set [[This That These Those Same Other Others One Ones Latter Former]]
local followers = set [[is was are were has have may must can does do will would shall that who
  whose which of in for with among as but it]]
-- Words by which a comment behind code goes on from that code.
local continuing = set [[of to by and or but nor with which whose who what that it its they their
  them he so also else those these this since until unless beside beyond than]]

-- The words that a comment must not begin with, if it does; else nil.
local function wrong_beginning(comment)
  local first, rest = comment.words:match "^([%a']+)%s*(.*)$"
  if not first then return nil end
  if nameless[first] or comment.trailing and continuing[first] then return first end
  local second, article = first, first == "The" or first == "the"
  if article then
    second, rest = rest:match "^([%a']+)(.*)$"
    second = (second or ""):gsub("^%l", string.upper)
  end
  if article == (second:find "^Th" ~= nil) or not maybe_nameless[second] then return nil end
  local follower = rest:match "^%s*([%a']*)"
  local is_alone = rest:find "^%s*[%.,;:]" or followers[follower]
  return is_alone and first .. (article and " " .. second:lower() or "") or nil
end

local function is_directive(words) return words:find "^SPDX" or words:find "^clang%-format" end

-- A comment may begin with a name of the code, as "ret: ..." or "recv() says ...".
local function begins_with_name(words, known)
  local word, mark = words:match "^([%w_]+)(.?)"
  return not word or word:find "[_%d]" or mark:find "[(:.,'/=+*-]" or known[word]
end

local foreign = set [[tcpmulti libuv luv require epoll errno glibc musl kqueue strerror connect
  send recv close poll read write]]

local function check_comment(comment, report)
  local words = comment.words
  if is_directive(words) then return end
  local beginning = wrong_beginning(comment)
  if beginning then
    report(comment.number, "a comment begins with %q: %s", beginning, words:sub(1, 50))
  elseif not comment.trailing and words:find "^%l" and not begins_with_name(words, foreign)
    and not words:find "^%-%-%-%-" then
    report(comment.number, "a comment goes on from something: %s", words:sub(1, 50))
  end
end

check.case("comments of C name what they speak of, and stand alone", function(found, looked)
  each_file("comments", looked, function(path)
    for _, comment in ipairs(code.comments(path)) do
      check_comment(comment, function(line, format, ...)
        found("%s:%d: " .. format, path, line, ...)
      end)
    end
  end, ".c", ".h")
end)

-- The comments of a Lua file; lines that follow each other are one.
local function lua_comments(path)
  local list, last = {}, nil
  for number, line in check.lines(path) do
    local before, words = line:match "^(.-)%-%-%s*(.-)%s*$"
    if words and before:find "[\"']" then words = nil end
    local goes_on = last and last.stop == number - 1 and not last.trailing
    if words and goes_on and not before:find "%S" then
      last.words, last.stop = last.words .. " " .. words, number
    elseif words and words ~= "" and not words:find "^%-@" then
      last = { number = number, stop = number, words = words, trailing = before:find "%S" ~= nil }
      list[#list + 1] = last
    else
      last = nil
    end
  end
  return list
end

check.case("comments of Lua name what they speak of, and stand alone", function(found, looked)
  each_file("comments", looked, function(path)
    if path:find "^lua/types/" then return end
    for _, comment in ipairs(lua_comments(path)) do
      check_comment(comment, function(line, format, ...)
        found("%s:%d: " .. format, path, line, ...)
      end)
    end
  end, ".lua")
end)

check.main()
