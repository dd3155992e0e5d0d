-- SPDX-License-Identifier: MIT
-- The guides name everything that a user can reach, so that they cannot fall behind. (The first
-- example of README.md in each language is built and run by the tests of the installed tree.)
local lu = require "luaunit"
local harness = require "scripts.harness"
local servers = require "scripts.servers"

local cases = harness.cases "Readme"
local source = os.getenv("TCPM_SOURCE")

local function read_file(path)
  local file = assert(io.open(source .. "/" .. path))
  local text = file:read("*a")
  file:close()
  return text
end

local guides = { "README.md", "core/README.md", "lua/README.md" }
local reference = read_file "lua/README.md"

-- The words inside `…`, which is how the reference writes names.
local function named_words()
  local words = {}
  for code in reference:gmatch("`([^`\n]+)`") do
    for word in code:gmatch("[%w_]+") do words[word] = true end
  end
  return words
end

local function check_words(words, what)
  local named, missing, count = named_words(), {}, 0
  for _, word in ipairs(words) do
    count = count + 1
    if not named[word] then missing[#missing + 1] = word end
  end
  assert(count > 0, what .. ": found none")
  lu.assertEquals(table.concat(missing, " "), "", what .. " that lua/README.md does not name")
end

local function list_from(text, pattern)
  local list = {}
  for word in text:gmatch(pattern) do list[#list + 1] = word end
  return list
end

function cases.every_function_of_the_modules_every_method_of_a_session_every_filter()
  local listing = harness.run(arg[1], { "-e", [[
    local tcpmulti = require "tcpmulti"
    for name in pairs(tcpmulti) do print("function " .. name) end
    for name in pairs(tcpmulti.filters) do print("filter " .. name) end
    for name in pairs(require "tcpmulti.co") do print("function " .. name) end
    for name in pairs(getmetatable(tcpmulti.create {}).__index) do print("method " .. name) end]] })
  lu.assertEquals(listing.code, 0, "exit status " .. listing.errors())
  check_words(list_from(listing.output(), "function (%S+)"), "functions")
  check_words(list_from(listing.output(), "filter (%S+)"), "filters")
  check_words(list_from(listing.output(), "method (%S+)"), "methods")
end

function cases.every_option_of_create_and_of_connect()
  check_words(list_from(read_file("lua/create.lua"), "\n  ([%w_]+) = check%."), "options")
end

function cases.every_option_of_dns()
  local block = read_file("lua/names.lua"):match("shared.dns_options = (%b{})")
  check_words(list_from(block, "\n  ([%w_]+) ="), "options")
end

function cases.every_option_of_the_runner_every_mode_of_its_practice_peer()
  local help = harness.run(arg[1], { "--help" })
  lu.assertEquals(help.code, 0, "exit status " .. help.errors())
  for option in help.output():gmatch("\n  (%-[%w-]*)") do
    lu.assertStrContains(reference, "`" .. option)
  end
  for mode in help.output():match("MODE: (.-)\n  %-"):gmatch("%l+") do
    lu.assertStrContains(reference, "`" .. mode)
  end
end

function cases.every_error_of_the_librarys_own_every_phase_reason_timer_and_op()
  local header = read_file("core/include/tcpmulti.h")
  check_words(list_from(header, "X%((%u+), %-2%d+"), "errors")
  local reasons = list_from(header:lower(), "tcpm_reason_(%l+)[, =\n]")
  local phases = list_from(header:lower(), "tcpm_phase_(%l+)[, =\n]")
  local timers = list_from(header:lower(), "tcpm_timer_(%l+)[, =\n]")
  local ops = list_from(header:lower(), "tcpm_op_(%l+)[, =\n]")
  for _, words in ipairs { reasons, phases, timers, ops } do
    for i = #words, 1, -1 do
      if words[i] == "name" then table.remove(words, i) end
    end
    check_words(words, "words")
  end
end

-- The output of the example of a guide in Lua that has these words, as a script that runs beside an
-- echoing peer, with these arguments. options: those of harness.run.
local function run_example(path, words, options, ...)
  for text in read_file(path):gmatch "```lua\n(.-)```\n" do
    if text:find(words, 1, true) then
      local name = os.tmpname()
      harness.write_file(name, text)
      local result = harness.run(arg[1], { "--peer", "echo", name, ... }, options)
      os.remove(name)
      lu.assertEquals(result.code, 0, "exit status " .. result.errors())
      return result.output()
    end
  end
  error(path .. " has no example with " .. words)
end

function cases.the_short_style_one_on_disconnected_and_its_cause()
  local output = run_example("lua/README.md", "cheap:cause()")
  lu.assertStrContains(output, "tcpmulti connection 2097153 to 127.0.0.1:")
  lu.assertStrContains(output, " (closed)\thello\n")
  lu.assertStrContains(output, "to 127.0.0.1:1 (closed)\tfailure\tconnect\tECONNREFUSED\t")
  lu.assertStrContains(output, "failure\tresolve\tEINVAL\tan address with a port")
end

function cases.tasks_for_each_of_a_list_of_targets()
  local output = run_example("lua/README.md", "co.each(")
  local _, answers = output:gsub("127%.0%.0%.%d+\t1\tEHLO probe%.example\n", "")
  lu.assertEquals(answers, 32)
  lu.assertStrContains(output, "\n32\t0\n")
end

function cases.a_job_in_ten_lines()
  local port = servers.exim()
  local output = run_example("README.md", "job.main", {}, "-q", "-p", port, "127.0.0.1")
  lu.assertStrContains(output, '"data":{"banner":"220 mail.example ESMTP')
  lu.assertStrContains(output, '"ok":true')
end

function cases.two_styles_mail_servers_are_asked_by_tasks()
  local port = servers.exim()
  local output = run_example("README.md", "co.lines()", { stdin = ("127.0.0.1\n"):rep(5) }, port)
  local _, features = output:gsub("127%.0%.0%.1\t250%-mail%.example Hello [^\t]*\n250 [^\n]*\n", "")
  lu.assertEquals(features, 5, output)
  lu.assertStrContains(output, "\n5\t0\n")
  output = run_example("README.md", "co.lines()", { stdin = "127.0.0.1\n" }, 1)
  lu.assertEquals(output, "127.0.0.1\tconnect: Connection refused\n0\t1\n")
end

function cases.names_one_by_resolve_with_its_times_one_that_deny_refuses()
  local output = run_example("lua/README.md", "cheap:times()")
  local times = output:match("echo%.example\t([^\n]*)\n")
  assert(times, output)
  local count = 0
  for time in times:gmatch("[^\t]+") do
    count = count + 1
    assert(tonumber(time) >= 0 and tonumber(time) < 60, times)
  end
  lu.assertEquals(count, 7, "times")
  lu.assertStrMatches(output, ".*10%.1%.2%.3\tresolve\t[^\n]*10%.1%.2%.3[^\n]*\n.*")
end

if not (os.getenv "TCPMULTI_WITHOUT" or ""):find("OpenSSL", 1, true) then
  function cases.tls_of_nginx_verified_by_an_authority_in_a_file()
    local folder = harness.directory()
    local made = harness.run("openssl", { "req", "-x509", "-newkey", "ec", "-pkeyopt",
      "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", "/CN=localhost", "-addext",
      "subjectAltName=DNS:localhost", "-keyout", "key", "-out", "chain" }, { cwd = folder })
    lu.assertEquals(made.code, 0, made.errors())
    local pair = {}
    for i, name in ipairs { "chain", "key" } do
      pair[i] = assert(io.open(folder .. "/" .. name)):read "*a"
    end
    local port = servers.nginx({}, pair)
    local chain = folder .. "/chain"
    local words = "local tls = cheap:tls()"
    local output = run_example("lua/README.md", words, {}, "localhost", port, chain)
    lu.assertStrMatches(output, "TLSv1%.[23]\t[%w_-]+\tgood until %d%d%d%d%-%d%d%-%d%d\n")
    output = run_example("lua/README.md", words, {}, "localhost", port)
    lu.assertStrContains(output, "localhost\ttls\tself-signed")
    output = run_example("lua/README.md", words, {}, "localhost", port, chain,
      "socks5h://127.0.0.1:1") -- nobody listens there
    lu.assertStrContains(output, "localhost\tconnect\t")
  end
end

function cases.every_script()
  local readme = read_file "README.md"
  for name in harness.run("ls", { source .. "/scripts" }).output():gmatch("([%w_]+%.lua)\n") do
    lu.assertStrContains(readme, name)
  end
end

function cases.readme_md_has_at_most_200_lines()
  local _, lines = read_file("README.md"):gsub("\n", "")
  assert(lines <= 200, lines)
end

-- ---- what the guides refer to ----

-- Whether a guide has a heading that GitHub gives this anchor.
local function has_anchor(path, anchor)
  for title in ("\n" .. read_file(path)):gmatch("\n#+ ([^\n]+)") do
    if title:lower():gsub("[^%w _-]", ""):gsub(" ", "-") == anchor then return true end
  end
  return false
end

-- A name in a guide is that of a file from the root, or from the guide's own folder.
local function names_file(path, name)
  local folder = path:match "^(.*/)" or ""
  local file = io.open(source .. "/" .. name) or io.open(source .. "/" .. folder .. name)
  if file then file:close() end
  return file ~= nil or name:match "^build/" ~= nil
end

local function check_link(path, target)
  local file, anchor = target:match "^([^#]*)#?(.*)$"
  local folder = path:match "^(.*/)" or ""
  local other = file == "" and path or folder .. file
  local is_there = io.open(source .. "/" .. other)
  assert(is_there, path .. " links to " .. target)
  is_there:close()
  assert(anchor == "" or has_anchor(other, anchor), path .. " links to " .. target)
end

for _, path in ipairs(guides) do
  cases[path .. " names and links to what exists"] = function()
    local text, count = read_file(path), 0
    for name in text:gmatch("`(%l+/[%w_./-]+)") do
      assert(names_file(path, name), path .. " names " .. name)
    end
    for target in text:gmatch("%]%(([^)]+)%)") do
      check_link(path, target)
      count = count + 1
    end
    assert(count > 0, "no link")
  end
end

harness.main(cases)
