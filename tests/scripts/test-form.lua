-- SPDX-License-Identifier: MIT
-- The form of the scripts: short, with purpose, usage and sample output on top, nothing global.
local lu = require "luaunit"
local harness = require "scripts.harness"

local cases = harness.cases "Form"

local scripts = {
  "banner", "both_styles", "demo", "echo", "health", "http_head", "http_load", "load", "load_http",
  "merge", "mqtt_fleet", "portscan", "redis_ping", "redis_pubsub", "relay", "report", "smtp_probe",
  "synopsis_long", "synopsis_short", "telnet_run", "tls_expiry",
}

local function read_lines(name)
  local lines = {}
  for line in io.lines(os.getenv("TCPM_SOURCE") .. "/scripts/" .. name .. ".lua") do
    lines[#lines + 1] = line
  end
  assert(table.remove(lines, 1):match "^%-%- SPDX", name .. ": no licence on top")
  return lines
end

function cases.each_has_10_to_110_lines_of_at_most_100_columns()
  for _, name in ipairs(scripts) do
    local lines = read_lines(name)
    local most = name == "health" and 185 or 110 -- health reads a language of its own
    assert(#lines >= 10 and #lines <= most, ("%s: %d lines"):format(name, #lines))
    for number, line in ipairs(lines) do
      assert(#line <= 100, ("%s.lua:%d: %d columns"):format(name, number, #line))
    end
  end
end

function cases.each_opens_with_its_purpose_its_usage_and_a_sample_of_its_output()
  for _, name in ipairs(scripts) do
    local head = {}
    for _, line in ipairs(read_lines(name)) do
      if not line:match("^%-%-") then break end
      head[#head + 1] = line
    end
    assert((head[1] or ""):match("^%-%- " .. name .. "%.lua: %w.*"), name .. ": purpose")
    local text = table.concat(head, "\n")
    local usage = "\n%-%- usage: tcpmulti%-lua .*"
    local by_file, by_name = usage .. "scripts/" .. name .. "%.lua", usage .. "%-m " .. name
    assert(text:match(by_file) or text:match(by_name), name .. ": usage")
    assert(text:match("\n%-%-   %S"), name .. ": sample output")
  end
end

function cases.J82_jobs_are_short()
  -- http_head takes URLs besides.
  for name, most in pairs { banner = 25, portscan = 25, http_head = 42 } do
    local count = #read_lines(name) + 1
    assert(count <= most, ("%s: %d lines"):format(name, count))
  end
end

function cases.a_load_is_at_most_15_lines_of_code()
  for _, name in ipairs { "load", "load_http" } do
    local count = 0
    for _, line in ipairs(read_lines(name)) do
      if line:find "%S" and not line:find "^%-%-" then count = count + 1 end
    end
    assert(count <= 15, ("%s: %d lines of code"):format(name, count))
  end
end

function cases.none_sets_a_global_variable()
  for _, name in ipairs(scripts) do
    local path = os.getenv("TCPM_SOURCE") .. "/scripts/" .. name .. ".lua"
    local listing = harness.run("luajit", { "-bl", path })
    lu.assertEquals(listing.code, 0, "luajit -bl " .. listing.errors())
    lu.assertStrContains(listing.output(), "-- BYTECODE -- ")
    assert(not listing.output():find("%f[%w]GSET%f[%W]"), name .. " sets a global variable")
  end
end

-- A job, report, merge and health tell more; no script takes --help for a host.
function cases.each_answers_help_with_its_usage()
  for _, name in ipairs(scripts) do
    local help = harness.run(arg[1], { "-m", name, "--help" })
    local told = help.output() ~= "" and help.output() or help.errors()
    assert(told:find "^usage: " or told:find "\nusage: ", name .. ": " .. told)
    lu.assertEquals(help.code, help.output() ~= "" and 0 or 2, name)
  end
end

function cases.all_scripts_of_the_folder_are_listed_here()
  local folder = harness.run("ls", { os.getenv("TCPM_SOURCE") .. "/scripts" })
  local found = {}
  for name in folder.output():gmatch("([%w_]+)%.lua\n") do found[#found + 1] = name end
  lu.assertEquals(table.concat(found, " "), table.concat(scripts, " "), "scripts")
end

harness.main(cases)
