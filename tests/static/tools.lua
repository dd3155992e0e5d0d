-- The tools that decide: clang-format for the layout of C, luacheck for Lua.
-- usage: tools.lua CLANG-FORMAT LUACHECK
local check = require "static.check"

local clang_format, luacheck = arg[1], arg[2]

local function list(paths) return "'" .. table.concat(paths, "' '") .. "'" end

check.case("clang-format has nothing to change", function(found, looked)
  local paths = {}
  for _, folder in ipairs { "core", "lua", "tests" } do
    for _, path in ipairs(check.files(folder, ".c", ".h")) do
      looked()
      paths[#paths + 1] = path
    end
  end
  local command = ("cd '%s' && '%s' --dry-run -Werror --ferror-limit=1 %s 2>&1"):format(check.root,
    clang_format, list(paths))
  for _, line in ipairs(check.output(command)) do
    if line:match "error:" then found("%s", line) end
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
