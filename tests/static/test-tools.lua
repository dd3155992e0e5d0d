-- SPDX-License-Identifier: MIT
-- The tools that decide: clang-format for the layout of C, luacheck for Lua.
-- usage: test-tools.lua CLANG-FORMAT LUACHECK
local check = require "static.check"

local clang_format, luacheck = arg[1], arg[2]

local function list(paths) return "'" .. table.concat(paths, "' '") .. "'" end

-- Clang-format 15 and later want "(struct id) {0}", earlier ones "(struct id){0}". The latter is
-- ours; the check replaces it by a word as long, which all lay out alike.
local function mask(text)
  return (text:gsub("%([%w_ %*%[%]]+%){", function(literal)
    return (literal:gsub("[^%w{]", "_"))
  end))
end

-- A copy of the tree's C files, masked.
local function masked_copy(paths)
  local copy = check.output("mktemp -d /tmp/tcpmulti-layout-XXXXXX")[1]
  os.execute(("cd '%s' && find core lua tests -type d | (cd '%s' && xargs mkdir -p) && "
    .. "cp .clang-format '%s'"):format(check.root, copy, copy))
  for _, path in ipairs(paths) do
    local file = assert(io.open(copy .. "/" .. path, "w"))
    file:write(mask(check.read(path)))
    file:close()
  end
  return copy
end

local function c_files(looked)
  local paths = {}
  for _, folder in ipairs { "core", "lua", "tests" } do
    for _, path in ipairs(check.files(folder, ".c", ".h")) do
      looked()
      paths[#paths + 1] = path
    end
  end
  return paths
end

check.case("clang-format has nothing to change", function(found, looked)
  local paths = c_files(looked)
  local copy = masked_copy(paths)
  local command = ("cd '%s' && '%s' --dry-run -Werror --ferror-limit=1 %s 2>&1"):format(copy,
    clang_format, list(paths))
  for _, line in ipairs(check.output(command)) do
    if line:match "error:" then found("%s", line) end
  end
  os.execute(("rm -rf '%s'"):format(copy))
end)

check.case("no blank between the type of a literal and its brace", function(found, looked)
  for _, path in ipairs(c_files(looked)) do
    for number, line in check.lines(path) do
      if line:find "%(struct [%w_]+%) {" or line:find "%(union [%w_]+%) {" then
        found("%s:%d: a blank before the brace", path, number)
      end
    end
  end
end)

check.case("luacheck has nothing to say", function(found, looked)
  local command = "cd '%s' && '%s' --codes --no-color -q lua scripts tests 2>&1"
  for _, line in ipairs(check.output(command:format(check.root, luacheck))) do
    if line:match "^Total: " then
      looked()
      if not line:match "^Total: 0 warnings / 0 errors in [1-9]" then found("%s", line) end
    elseif line:match "%S" then
      found("%s", line)
    end
  end
end)

check.main()
