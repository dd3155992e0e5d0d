-- SPDX-License-Identifier: MIT
-- The manual page tcpmulti-lua(1), whose source is for scdoc: it has what --help has, of the
-- program and of jobs.
local harness = require "scripts.harness"
local lu = require "luaunit"

local cases = harness.cases "Manual"
local runner = arg[1]
local path = os.getenv "TCPM_SOURCE" .. "/lua/runner/tcpmulti-lua.1.scd"

local function read_file(name)
  local file = assert(io.open(name))
  local text = file:read "*a"
  file:close()
  return text
end

local manual = read_file(path)

-- The entries between two headings, in their order: { label, text }, as "-c, --concurrency N".
local function entries(from, to)
  local first = assert(select(2, manual:find("\n" .. from .. "\n", 1, true)), from)
  local part = manual:sub(first, (assert(manual:find("\n" .. to .. "\n", first, true), to)))
  local list = {}
  for line in part:gmatch "[^\n]+" do
    local text = line:match "^\t(.*)$"
    if line:find "^%*%-" then
      list[#list + 1] = { label = line:gsub("[*_]", ""), text = "" }
    elseif text then
      list[#list].text = list[#list].text .. text .. " "
    end
  end
  return list
end

-- ---- the program ----

function cases.each_option_of_the_program_and_no_other()
  local help = harness.run(runner, { "--help" }).output()
  local shown, told = {}, {}
  for label in help:gmatch "\n  (%-[^\n]-)  " do shown[#shown + 1] = label end
  for i, entry in ipairs(entries("# OPTIONS", "# SCRIPTS")) do told[i] = entry.label end
  table.sort(shown)
  table.sort(told)
  assert(#shown >= 9, help)
  lu.assertEquals(told, shown)
end

function cases.each_script_that_is_named_is_there()
  local part = manual:match "\n# SCRIPTS\n(.-)\n# "
  local count = 0
  for name in part:gmatch "\n%*([%w_]+)%*" do
    read_file(os.getenv "TCPM_SOURCE" .. "/scripts/" .. name .. ".lua")
    count = count + 1
  end
  assert(count >= 7, count)
end

-- Examples are those that do not answer --help.
function cases.each_script_that_is_a_tool_with_the_options_of_its_own()
  local part, wrong, tools = manual:match "\n# SCRIPTS\n(.-)\n# ", {}, 0
  for path_of_script in io.popen("ls '" .. os.getenv "TCPM_SOURCE" .. "'/scripts/*.lua"):lines() do
    local name = path_of_script:match "([%w_]+)%.lua$"
    local help = harness.run(runner, { "-m", name, "--help" })
    local entry = part:match("\n%*" .. name .. "%*.-\n(\t.-)\n\n")
    if help.code == 0 then
      tools = tools + 1
      if not entry then wrong[#wrong + 1] = name end
      local own = help.output():match "Of this script:(.*)$" or ""
      for option, text in own:gmatch "(%-%-[%w-]+)([^\n]*)" do
        local default = text:match " %(([^()]*)%)$"
        if not (entry or ""):find("*" .. option .. "*", 1, true) or default and default ~= "none"
          and not entry:find("Default: " .. default, 1, true) then
          wrong[#wrong + 1] = name .. " " .. option
        end
      end
    end
  end
  lu.assertEquals(wrong, {})
  assert(tools >= 9, tools)
end

-- ---- jobs ----

-- What --help of a job shows: { label, default }.
local function help_of(spec)
  local script = harness.directory() .. "/script.lua"
  harness.write_file(script, ("require 'tcpmulti.job'.main { name = 'x', %s }"):format(spec))
  local run = harness.run(runner, { script, "--help" })
  lu.assertEquals(run.code, 0, run.errors())
  local list = {}
  for label, text in run.output():gmatch "\n +(%-[^\n]-)  +([^\n]*)" do
    list[#list + 1] = { label = label, default = text:match " %(([^()]*)%)$" }
  end
  return list
end

-- Adds what is wrong with an entry.
local function compare(wrong, entry, shown)
  if not entry or entry.label ~= shown.label then
    wrong[#wrong + 1] = ("%s is not in its place"):format(shown.label)
  elseif entry.text:match "Default: (.-)%. $" ~= shown.default then
    wrong[#wrong + 1] = ("%s: the default is %s"):format(shown.label, tostring(shown.default))
  end
end

function cases.each_option_of_jobs_in_its_order_with_its_default()
  local list, wrong = entries("# OPTIONS OF JOBS", "## Load"), {}
  local help = help_of ""
  for i, shown in ipairs(help) do compare(wrong, list[i], shown) end
  lu.assertEquals(wrong, {})
  lu.assertEquals(#list, #help)
  assert(#help > 40, #help)
end

function cases.each_option_of_a_load_with_its_default()
  local of_jobs, of_loads = {}, {}
  for _, one in ipairs(entries("# OPTIONS OF JOBS", "## Load")) do of_jobs[one.label] = one end
  for _, one in ipairs(entries("## Load", "# EXIT STATUS")) do of_loads[one.label] = one end
  local wrong, used = {}, 0
  for _, shown in ipairs(help_of "load = { request = print }, on_input = print") do
    if of_loads[shown.label] then used = used + 1 end
    compare(wrong, of_loads[shown.label] or of_jobs[shown.label], shown)
  end
  lu.assertEquals(wrong, {})
  local count = 0
  for _ in pairs(of_loads) do count = count + 1 end
  lu.assertEquals(used, count)
end

-- ---- the page ----

function cases.the_page_is_made_without_a_warning()
  local folder = harness.directory()
  local page = folder .. "/tcpmulti-lua.1"
  local made = harness.run("sh", { "-c", 'scdoc <"$1" >"$2"', "sh", path, page })
  lu.assertEquals({ made.code, made.errors() }, { 0, "" })
  local shown = harness.run("env", { "MANWIDTH=90", "LC_ALL=C.UTF-8", "man", "--warnings", "-l",
    page })
  lu.assertEquals({ shown.code, shown.errors() }, { 0, "" })
  for _, words in ipairs { "NAME", "SYNOPSIS", "OPTIONS OF JOBS", "EXIT STATUS", "EXAMPLES",
    "--concurrency" } do
    lu.assertStrContains(shown.output(), words)
  end
end

harness.main(cases)
