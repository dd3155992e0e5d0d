-- SPDX-License-Identifier: MIT
-- What the static checks share: lists of files, and findings reported by TAP. A check is one case:
-- it passes if nothing was found, and fails if it looked at nothing.
local check = {
  root = os.getenv "TCPM_SOURCE" or arg[0]:match "^(.*)/tests/static/[^/]*$" or ".",
}

local cases = {}

-- The files below a folder of the project whose names end in one of the endings, as paths from the
-- root, in order.
function check.files(folder, ...)
  local list, names = {}, {}
  for _, ending in ipairs { ... } do names[#names + 1] = ("-name '*%s'"):format(ending) end
  local command = ("cd '%s' && find %s -type f \\( %s \\) | LC_ALL=C sort")
  local pipe = io.popen(command:format(check.root, folder, table.concat(names, " -o ")))
  for path in pipe:lines() do list[#list + 1] = path end
  pipe:close()
  return list
end

function check.lines(path)
  local number, next_line = 0, io.lines(check.root .. "/" .. path)
  return function()
    local line = next_line()
    number = number + 1
    if line then return number, line end
  end
end

function check.read(path)
  local file = assert(io.open(check.root .. "/" .. path, "rb"))
  local text = file:read "*a"
  file:close()
  return text
end

-- A C file's lines without comments and without what strings hold.
function check.code_lines(path)
  local text = check.read(path):gsub("/%*.-%*/", function(comment)
    return (comment:gsub("[^\n]", " "))
  end)
  text = text:gsub('\\"', ""):gsub('"[^"\n]*"', '""')
  local number, next_line = 0, text:gmatch "([^\n]*)\n"
  return function()
    local line = next_line()
    number = number + 1
    if line then return number, line end
  end
end

-- What a command prints, line by line.
function check.output(command)
  local lines, pipe = {}, io.popen(command)
  for line in pipe:lines() do lines[#lines + 1] = line end
  pipe:close()
  return lines
end

-- body(found, looked): found(...) reports a finding, looked() counts what was looked at.
function check.case(name, body) cases[#cases + 1] = { name = name, body = body } end

local function run_case(case)
  local findings, count = {}, 0
  local good, message = xpcall(function()
    case.body(function(...) findings[#findings + 1] = string.format(...) end,
      function() count = count + 1 end)
  end, debug.traceback)
  if not good then findings[#findings + 1] = message end
  if count == 0 then findings[#findings + 1] = "nothing was looked at" end
  return findings
end

-- Runs all cases; finally() is called before the end.
function check.main(finally)
  print("1.." .. #cases)
  local failed = false
  for number, case in ipairs(cases) do
    local findings = run_case(case)
    print(("%s %d - %s"):format(#findings == 0 and "ok" or "not ok", number, case.name))
    for _, finding in ipairs(findings) do
      failed = true
      print("# " .. finding:gsub("\n", "\n# "))
    end
  end
  if finally then finally() end
  os.exit(failed and 1 or 0)
end

return check
