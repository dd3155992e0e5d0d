-- SPDX-License-Identifier: MIT
-- report.lua: the result lines of jobs, or what --summary has written, as one page of figures.
--
-- usage: tcpmulti-lua -m report [-o FILE] FILE...          FILE "-": standard input
--        Exit status 4 if lines are damaged: they are named, and the rest is in the page.
--
--   $ tcpmulti-lua -m report -o page.html out.jsonl
--   out.jsonl: 8190 targets, 0 damaged lines
local json, report, results = require "tcpmulti.json", require "tcpmulti.report",
  require "tcpmulti.results"
local summary, tcpmulti, units = require "tcpmulti.summary", require "tcpmulti",
  require "tcpmulti.units"

local USAGE = "usage: tcpmulti-lua -m report [-o FILE] FILE...\n"

local function stop(message)
  io.stderr:write("report.lua: ", tcpmulti.escape(message), "\n", USAGE)
  os.exit(2)
end

local output, paths = nil, {}
for word in function() return table.remove(arg, 1) end do
  if word == "-h" or word == "--help" then
    print(USAGE .. "\nLines of results, or what --summary has written, as one page of figures.\n"
      .. "  -o FILE  the page, in HTML. Default: standard output\n  FILE     -: standard input")
    os.exit()
  elseif word == "-o" then
    output = table.remove(arg, 1) or stop "-o: which file?"
  elseif word:find "^%-." then
    stop(word .. ": no such option")
  else
    paths[#paths + 1] = word
  end
end
if not paths[1] then stop "which file?" end
local total, extra, damaged = summary.new(), {}, 0

-- facts: the object of a summary.
local function add_summary(path, facts)
  local figures, message = summary.decode(facts)
  if not figures then stop(path .. ": " .. message) end
  total:merge(figures)
  extra = #paths == 1 and facts or { script = facts.script, plan = facts.plan }
end

local function add_lines(path, file, line)
  local number, before, bad = 0, total.done, 0
  while line do
    number = number + 1
    local record, plan = results.parse(line)
    if record then
      total:add(record)
      extra.plan = extra.plan or plan
    else
      bad = bad + 1
      if bad <= 10 then io.stderr:write(path, ":", number, ": damaged\n") end
    end
    line = file:read()
  end
  io.stderr:write(path, ": ", units.count_of(total.done - before, "target"), ", ",
    units.count_of(bad, "damaged line"), "\n")
  damaged = damaged + bad
end

for _, path in ipairs(paths) do
  local file, message = io.stdin, nil
  if path ~= "-" then file, message = io.open(path) end
  if not file then stop(message) end
  local line, problem = file:read()
  if problem then stop(path .. ": " .. problem) end
  local facts = line and json.decode(line)
  if type(facts) == "table" and facts.version then
    add_summary(path, facts)
  else
    add_lines(path, file, line)
  end
end

local good, page = pcall(report.html, total, extra)
if not good then stop(table.concat(paths, ", ") .. ": a field of the summary is wrong") end
local file, message = io.stdout, nil
if output then file, message = io.open(output, "w") end
if not file then stop(message) end
good, message = file:write(page)
if good then good, message = file:flush() end
if not good then stop(message) end
if damaged > 0 then os.exit(4) end
