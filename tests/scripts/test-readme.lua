-- SPDX-License-Identifier: MIT
-- README.md names everything that a user can reach, so that it cannot fall behind. (Its first
-- examples are built and run by the tests of the installed tree.)
local harness = require "scripts.harness"
local source = os.getenv("TCPMULTI_SOURCE")

local function read_file(path)
  local file = assert(io.open(source .. "/" .. path))
  local text = file:read("*a")
  file:close()
  return text
end

local readme = read_file("README.md")

-- The words inside `…`, which is how the README writes names.
local function named_words()
  local words = {}
  for code in readme:gmatch("`([^`\n]+)`") do
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
  harness.equal("", table.concat(missing, " "), what .. " that the README does not name")
end

local function list_from(text, pattern)
  local list = {}
  for word in text:gmatch(pattern) do list[#list + 1] = word end
  return list
end

harness.case("every function of the module, every method of a session, every filter", function()
  local listing = harness.run(arg[1], { "-e", [[
    local tcpmulti = require "tcpmulti"
    for name in pairs(tcpmulti) do print("function " .. name) end
    for name in pairs(tcpmulti.filters) do print("filter " .. name) end
    for name in pairs(getmetatable(tcpmulti.create {}).__index) do print("method " .. name) end]] })
  harness.equal(0, listing.code, "exit status " .. listing.errors())
  check_words(list_from(listing.output(), "function (%S+)"), "functions")
  check_words(list_from(listing.output(), "filter (%S+)"), "filters")
  check_words(list_from(listing.output(), "method (%S+)"), "methods")
end)

harness.case("every option of create and of connect", function()
  check_words(list_from(read_file("lua/create.lua"), "\n  ([%w_]+) = check%."), "options")
end)

harness.case("every option of the runner, every mode of its practice peer", function()
  local help = harness.run(arg[1], { "--help" })
  harness.equal(0, help.code, "exit status " .. help.errors())
  for option in help.output():gmatch("\n  (%-[%w-]*)") do
    harness.contains(readme, "`" .. option, "options of the runner")
  end
  for mode in help.output():match("MODE: (.-)\n  %-"):gmatch("%l+") do
    harness.contains(readme, "`" .. mode, "modes of the practice peer")
  end
end)

harness.case("every error of the library's own, every phase, reason, timer and op", function()
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
end)

-- The example in Lua that has these words, as a script that runs beside an echoing peer.
local function run_example(words)
  for text in readme:gmatch "```lua\n(.-)```\n" do
    if text:find(words, 1, true) then
      local name = os.tmpname()
      harness.write_file(name, text)
      local result = harness.run(arg[1], { "--peer", "echo", name })
      os.remove(name)
      harness.equal(0, result.code, "exit status " .. result.errors())
      return result.output()
    end
  end
  error("the README has no example with " .. words)
end

harness.case("the short style: one on_disconnected, and its cause", function()
  local output = run_example "cheap:cause()"
  harness.contains(output, "tcpmulti connection 2097153 to 127.0.0.1:")
  harness.contains(output, " (closed)\thello\n")
  harness.contains(output, "to 127.0.0.1:1 (closed)\tfailure\tconnect\tECONNREFUSED\t")
  harness.contains(output, "failure\tresolve\tEINVAL\tan address with a port")
end)

harness.case("every script, and only files that exist", function()
  for name in harness.run("ls", { source .. "/scripts" }).output():gmatch("([%w_]+%.lua)\n") do
    harness.contains(readme, name, "scripts")
  end
  for path in readme:gmatch("`(%l+/[%w_./-]+)") do
    local built = path:match("^build/")
    assert(built or io.open(source .. "/" .. path), "the README names " .. path)
  end
  for target in readme:gmatch("%]%(([^)]+)%)") do
    local anchor = target:match("^#(.*)$")
    if anchor then
      local found = false
      for title in readme:gmatch("\n#+ ([^\n]+)") do
        found = found or title:lower():gsub("[^%w -]", ""):gsub(" ", "-") == anchor
      end
      assert(found, "the README links to " .. target)
    else
      assert(io.open(source .. "/" .. target), "the README links to " .. target)
    end
  end
end)

harness.main()
