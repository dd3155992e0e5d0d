-- SPDX-License-Identifier: MIT
-- The command line of tcpmulti-lua, and how scripts begin and end.
local harness = require "scripts.harness"
local support = require "runner.support"
local case, expect, run, chunk = harness.case, support.expect, support.run, support.chunk

case("-h and --help print the usage to standard output", function()
  for _, option in ipairs { "-h", "--help" } do
    local help = run { option, "no-such-script.lua" }
    expect(help, 0, nil, "")
    for _, word in ipairs { "usage: tcpmulti-lua", "--peer", "-e", "-V", "--allow-bytecode",
      "--tally" } do
      harness.contains(help.output(), word)
    end
  end
end)

case("-V and --version print the versions", function()
  for _, option in ipairs { "-V", "--version" } do
    local version = run { option }
    expect(version, 0, nil, "")
    local form = "^tcpmulti%-lua %d+%.%d+%.%d+ %(libuv 1%.%d+%.%d+, LuaJIT 2%.1.*%)\n$"
    assert(version.output():match(form), version.output())
  end
end)

case("an unknown option: exit 2 and the nearest known one", function()
  local nearest = { ["--per"] = "--peer", ["--halp"] = "--help", ["-v"] = "-V", ["-E"] = "-e",
    ["--alow-bytecode"] = "--allow-bytecode", ["--verzion"] = "--version" }
  for option, known in pairs(nearest) do
    local refused = run { option, "script.lua" }
    expect(refused, 2, "", "unknown option " .. option .. "; did you mean " .. known .. "?")
  end
end)

case("no script: exit 2 and the usage", function()
  expect(run {}, 2, "", "no script")
  expect(run { "--peer", "echo" }, 2, "", "usage: tcpmulti-lua")
  expect(run { "-e" }, 2, "", "-e; expected a chunk")
end)

case("--peer without a mode or with an unknown one: exit 2 and the modes", function()
  for _, words in ipairs { { "--peer" }, { "--peer", "ecko", "x.lua" }, { "--peer=", "x.lua" },
    { "--peer=echoo", "x.lua" }, { "--peer", "banner", "x.lua" } } do
    expect(run(words), 2, "", "expected echo, discard, chargen, banner=TEXT or http")
  end
end)

case("a script that does not exist: its name and exit 1", function()
  expect(run { "no-such-script.lua" }, 1, "", "no-such-script.lua: No such file or directory")
end)

case("a directory as a script is an error, not a crash", function()
  expect(run { "/tmp" }, 1, "", "/tmp")
end)

case("a script that does not parse: file, line and exit 1", function()
  local path = support.script("local a = 1\nlocal = 2\n")
  expect(run { path }, 1, "", path .. ":2: ")
end)

case("a script that raises: file, line, traceback and exit 1", function()
  local path = support.script("local function inner()\n  error 'went wrong'\nend\ninner()\n")
  local failed = run { path }
  expect(failed, 1, "", path .. ":2: went wrong\nstack traceback:\n")
  harness.contains(failed.errors(), path .. ":4: in main chunk")
end)

case("an error value of any type is described", function()
  expect(chunk "error()", 1, "", "(error object is a nil value)")
  expect(chunk "error({})", 1, "", "(error object is a table value)")
  expect(chunk "error(print)", 1, "", "(error object is a function value)")
  expect(chunk "error(42)", 1, "", "42")
  expect(chunk "error(setmetatable({}, { __tostring = function() return 'described' end }))", 1,
    "", "described")
end)

case("an error value whose __tostring raises, or gives no string, is described", function()
  for _, body in ipairs { "error 'inner'", "return {}", "return nil" } do
    expect(chunk("error(setmetatable({}, { __tostring = function() " .. body .. " end }))"), 1, "",
      "(error object is a table value)\nstack traceback:")
  end
end)

case("NUL bytes in a message hide nothing", function()
  expect(chunk "error('a\\0b', 0)", 1, "", "tcpmulti-lua: a\\x00b\nstack traceback:")
  expect(chunk "x = 'a\\0b' x = = 1", 1, "", "unexpected symbol")
end)

case("a practice peer that cannot be forked: why", function()
  local another = "" -- root has no such limit
  if harness.run("id", { "-u" }).output() == "0\n" then
    another = "setpriv --reuid 65534 --clear-groups"
    local reachable = harness.run("sh", { "-c", another .. " test -x " .. support.runner })
    if reachable.code ~= 0 then return end
  end
  local command = ("ulimit -u 1; exec %s \"$0\" --peer echo -e ''"):format(another)
  expect(harness.run("bash", { "-c", command, support.runner }),
    1, "", "the practice peer cannot start: Resource temporarily unavailable")
end)

case("error messages are safe to print on a terminal", function()
  local failed = chunk [[error("\27[31mred\r\155 \194\155 \195\164 end", 0)]]
  expect(failed, 1, "", "\\x1b[31mred\\x0d\\x9b \\xc2\\x9b \195\164 end")
end)

case("a handler that raises: run raises it, with one traceback, and exit 1", function()
  local failed = chunk [[
    local tcpmulti = require "tcpmulti"
    local function inner() error "from the handler" end
    tcpmulti.create { inline_states = { _start = function(s) s:yield "go" end, go = inner } }
    tcpmulti.run()
    print "not reached"]]
  expect(failed, 1, "", "from the handler")
  local _, tracebacks = failed.errors():gsub("stack traceback:", "")
  harness.equal(1, tracebacks, "tracebacks in " .. failed.errors())
  harness.contains(failed.errors(), "(-e):2: in function")
end)

case("-e runs chunks in their order, then the script", function()
  local path = support.script "print('script', x, y)"
  expect(run { "-e", "x = 1", "-ey = x + 1", path }, 0, "script\t1\t2\n", "")
  expect(run { "-e", "print 'only'" }, 0, "only\n", "")
  expect(run { "-e", "x =" }, 1, "", "(-e):1: ")
end)

case("the first error ends it all", function()
  expect(run { "-e", "error 'first'", "-e", "print 'second'" }, 1, "", "first")
end)

local show = [[
  local words = {}
  for i = -9, 9 do if arg[i] then words[#words + 1] = i .. "=" .. arg[i]:match "[^/]*$" end end
  print(table.concat(words, " "), #arg, ...)]]

case("arg and ... are as in lua", function()
  local path = support.script(show)
  expect(run { path, "a", "b c", "" }, 0,
    "-1=tcpmulti-lua 0=script.lua 1=a 2=b c 3=\t3\ta\tb c\t\n", "")
  expect(run { "-e", "x=1", path }, 0, "-3=tcpmulti-lua -2=-e -1=x=1 0=script.lua\t0\n", "")
  expect(run { "--", path, "-h" }, 0, "-2=tcpmulti-lua -1=-- 0=script.lua 1=-h\t1\t-h\n", "")
end)

case("thousands of arguments are in arg", function()
  local words = { support.script "print(#arg, arg[20000])" }
  for i = 1, 20000 do words[i + 1] = tostring(i) end
  expect(run(words), 0, "20000\t20000\n", "")
end)

case("one -- behind the script is not an argument of its", function()
  local path = support.script(show)
  expect(run { path, "--", "-x", "--" }, 0,
    "-1=tcpmulti-lua 0=script.lua 1=-x 2=--\t2\t-x\t--\n", "")
end)

case("- reads the script from standard input", function()
  expect(run({ "-", "a" }, { stdin = "print('stdin', arg[0], arg[1])" }), 0, "stdin\t-\ta\n", "")
  expect(run({ "-" }, { stdin = "x = = 1" }), 1, "", "stdin:1: ")
end)

case("a first line that begins with # is skipped", function()
  expect(run { support.script "#!/usr/bin/env tcpmulti-lua\nprint 'ran'\n" }, 0, "ran\n", "")
end)

case("os.exit's status is the script's", function()
  expect(chunk "io.write 'kept' os.exit(7)", 7, "kept", "")
end)

case("the module is built in, and nothing is global", function()
  expect(chunk [[
    local before = {}
    for name in pairs(_G) do before[name] = true end
    local tcpmulti = require "tcpmulti"
    assert(package.loaded.tcpmulti == tcpmulti and tcpmulti == require "tcpmulti")
    for name in pairs(_G) do assert(before[name], name) end
    assert(rawget(_G, "tcpmulti") == nil)
    assert(type(tcpmulti.peer) == "function")
    print "fine"]], 0, "fine\n", "")
end)

local one_turn = [[
  local tcpmulti = require "tcpmulti"
  tcpmulti.create { inline_states = {
    _start = function(s) s:yield "go" end, go = function() print "went" end,
    _stop = function() print "stopped" end } }]]

case("a script need not call run", function()
  expect(chunk(one_turn), 0, "went\nstopped\n", "")
end)

case("the runner does not run again what the script has run", function()
  expect(chunk(one_turn .. " tcpmulti.run() print 'behind'"), 0, "went\nstopped\nbehind\n", "")
end)

case("after stop without run nothing is run", function()
  expect(chunk(one_turn .. " tcpmulti.stop()"), 0, "", "")
end)

case("closing the state runs no handlers", function()
  expect(chunk [[
    local tcpmulti = require "tcpmulti"
    local s = tcpmulti.create {
      on_initialize = function() print "initialize" end,
      on_disconnected = function() print "disconnected" end,
      inline_states = { _stop = function() print "stop" end } }
    s:connect("127.0.0.1", 9)
    tcpmulti.stop()]], 0, "initialize\n", "")
end)

harness.case("--tally tells how the connections of each session have ended", function()
  local told = support.run({ "--tally", "--peer", "echo", "-e", [[
    local tcpmulti = require "tcpmulti"
    local session = tcpmulti.create { on_success = function(cheap)
      if cheap.breaks then cheap:fail("reply " .. cheap:id()) else cheap:shutdown() end
    end }
    for _ = 1, 3 do session:connect(tcpmulti.peer.addr, tcpmulti.peer.port) end
    for _ = 1, 2 do
      session:connect({ breaks = true }, tcpmulti.peer.addr, tcpmulti.peer.port)
    end]] })
  expect(told, 0, "")
  harness.contains(told.errors(), ":        3 shutdown\n")
  harness.contains(told.errors(), ":        2 error: fail EPROTO: reply ")
  harness.equal(2, select(2, told.errors():gsub("\n", "\n")), "lines")
end)

harness.case("--tally tells it once, however the program ends, with the alias", function()
  for _, ending in ipairs { "", "os.exit(0)", "os.exit(0, true)", "tcpmulti.stop()",
    "session:alias_set 'other' session:alias_set 'web'", "error 'fatal'" } do
    local told = support.run({ "--tally", "--peer", "echo", "-e", [[
      local tcpmulti = require "tcpmulti"
      local session
      session = tcpmulti.create { alias = "web",
        on_success = function(cheap) cheap:shutdown() end,
        on_disconnected = function() ]] .. ending .. [[ end }
      session:connect(tcpmulti.peer.addr, tcpmulti.peer.port)]] })
    local _, count = told.errors():gsub("tcpmulti: session 1 %(web%):        1 shutdown\n", "")
    harness.equal(1, count, ending .. ": lines in " .. told.errors())
  end
end)

harness.main(30)
