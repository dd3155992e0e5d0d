-- SPDX-License-Identifier: MIT
-- The command line of tcpmulti-lua, and how scripts begin and end.
local lu = require "luaunit"
local harness = require "scripts.harness"
local support = require "runner.support"
local expect, run, chunk = support.expect, support.run, support.chunk

local cases = harness.cases "Options"

function cases.option_h_and_help_print_the_usage_to_standard_output()
  for _, option in ipairs { "-h", "--help" } do
    local help = run { option, "no-such-script.lua" }
    expect(help, 0, nil, "")
    for _, word in ipairs { "usage: tcpmulti-lua", "--peer", "-e", "-m NAME", "-V",
      "--allow-bytecode", "--tally", "--keylog" } do
      lu.assertStrContains(help.output(), word)
    end
  end
end

function cases.option_v_and_version_print_the_versions()
  for _, option in ipairs { "-V", "--version" } do
    local version = run { option }
    expect(version, 0, nil, "")
    local form = "^tcpmulti%-lua %d+%.%d+%.%d+ %(libuv 1%.%d+%.%d+, LuaJIT 2%.1.*%)\n$"
    assert(version.output():match(form), version.output())
  end
end

function cases.an_unknown_option_exit_2_and_the_nearest_known_one()
  local nearest = { ["--per"] = "--peer", ["--halp"] = "--help", ["-v"] = "-V", ["-E"] = "-e",
    ["--alow-bytecode"] = "--allow-bytecode", ["--verzion"] = "--version",
    ["--key-log"] = "--keylog" }
  for option, known in pairs(nearest) do
    local refused = run { option, "script.lua" }
    expect(refused, 2, "", "unknown option " .. option .. "; did you mean " .. known .. "?")
  end
  expect(run { "--frobnicate", "script.lua" }, 2, "",
    "unknown option --frobnicate; --help shows all")
end

function cases.no_script_exit_2_and_the_usage()
  expect(run {}, 2, "", "no script")
  expect(run { "--peer", "echo" }, 2, "", "usage: tcpmulti-lua")
  expect(run { "-e" }, 2, "", "-e; expected a chunk")
end

function cases.option_peer_without_a_mode_or_with_an_unknown_one_exit_2_and_the_modes()
  for _, words in ipairs { { "--peer" }, { "--peer", "ecko", "x.lua" }, { "--peer=", "x.lua" },
    { "--peer=echoo", "x.lua" }, { "--peer", "banner", "x.lua" } } do
    expect(run(words), 2, "", "expected echo, discard, chargen, banner=TEXT or http")
  end
end

function cases.a_script_that_does_not_exist_its_name_and_exit_1()
  expect(run { "no-such-script.lua" }, 1, "", "no-such-script.lua: No such file or directory")
end

function cases.a_directory_as_a_script_is_an_error_not_a_crash()
  expect(run { "/tmp" }, 1, "", "/tmp")
end

function cases.a_script_that_does_not_parse_file_line_and_exit_1()
  local path = support.script("local a = 1\nlocal = 2\n")
  expect(run { path }, 1, "", path .. ":2: ")
end

function cases.a_script_that_raises_file_line_traceback_and_exit_1()
  local path = support.script("local function inner()\n  error 'went wrong'\nend\ninner()\n")
  local failed = run { path }
  expect(failed, 1, "", path .. ":2: went wrong\nstack traceback:\n")
  lu.assertStrContains(failed.errors(), path .. ":4: in main chunk")
end

function cases.an_error_value_of_any_type_is_described()
  expect(chunk "error()", 1, "", "(error object is a nil value)")
  expect(chunk "error({})", 1, "", "(error object is a table value)")
  expect(chunk "error(print)", 1, "", "(error object is a function value)")
  expect(chunk "error(42)", 1, "", "42")
  expect(chunk "error(setmetatable({}, { __tostring = function() return 'described' end }))", 1,
    "", "described")
end

function cases.an_error_value_whose___tostring_raises_or_gives_no_string_is_described()
  for _, body in ipairs { "error 'inner'", "return {}", "return nil" } do
    expect(chunk("error(setmetatable({}, { __tostring = function() " .. body .. " end }))"), 1, "",
      "(error object is a table value)\nstack traceback:")
  end
end

function cases.nul_bytes_in_a_message_hide_nothing()
  expect(chunk "error('a\\0b', 0)", 1, "", "tcpmulti-lua: a\\x00b\nstack traceback:")
  expect(chunk "x = 'a\\0b' x = = 1", 1, "", "unexpected symbol")
end

function cases.a_practice_peer_that_cannot_be_forked_why()
  local another = "" -- root has no such limit
  if harness.run("id", { "-u" }).output() == "0\n" then
    another = "setpriv --reuid 65534 --clear-groups"
    local reachable = harness.run("sh", { "-c", another .. " test -x " .. support.runner })
    if reachable.code ~= 0 then return end
  end
  local command = ("ulimit -u 1; exec %s \"$0\" --peer echo -e ''"):format(another)
  expect(harness.run("bash", { "-c", command, support.runner }),
    1, "", "the practice peer cannot start: Resource temporarily unavailable")
end

function cases.error_messages_are_safe_to_print_on_a_terminal()
  local failed = chunk [[error("\27[31mred\r\155 \194\155 \195\164 end", 0)]]
  expect(failed, 1, "", "\\x1b[31mred\\x0d\\x9b \\xc2\\x9b \195\164 end")
end

function cases.a_handler_that_raises_run_raises_it_with_one_traceback_and_exit_1()
  local failed = chunk [[
    local tcpmulti = require "tcpmulti"
    local function inner() error "from the handler" end
    tcpmulti.create { inline_states = { _start = function(s) s:yield "go" end, go = inner } }
    tcpmulti.run()
    print "not reached"]]
  expect(failed, 1, "", "from the handler")
  local _, tracebacks = failed.errors():gsub("stack traceback:", "")
  lu.assertEquals(tracebacks, 1, "tracebacks in " .. failed.errors())
  lu.assertStrContains(failed.errors(), "(-e):2: in function")
end

function cases.option_e_runs_chunks_in_their_order_then_the_script()
  local path = support.script "print('script', x, y)"
  expect(run { "-e", "x = 1", "-ey = x + 1", path }, 0, "script\t1\t2\n", "")
  expect(run { "-e", "print 'only'" }, 0, "only\n", "")
  expect(run { "-e", "x =" }, 1, "", "(-e):1: ")
end

function cases.the_first_error_ends_it_all()
  expect(run { "-e", "error 'first'", "-e", "print 'second'" }, 1, "", "first")
end

local show = [[
  local words = {}
  for i = -9, 9 do if arg[i] then words[#words + 1] = i .. "=" .. arg[i]:match "[^/]*$" end end
  print(table.concat(words, " "), #arg, ...)]]

function cases.arg_and_are_as_in_lua()
  local path = support.script(show)
  expect(run { path, "a", "b c", "" }, 0,
    "-1=tcpmulti-lua 0=script.lua 1=a 2=b c 3=\t3\ta\tb c\t\n", "")
  expect(run { "-e", "x=1", path }, 0, "-3=tcpmulti-lua -2=-e -1=x=1 0=script.lua\t0\n", "")
  expect(run { "--", path, "-h" }, 0, "-2=tcpmulti-lua -1=-- 0=script.lua 1=-h\t1\t-h\n", "")
end

function cases.thousands_of_arguments_are_in_arg()
  local words = { support.script "print(#arg, arg[20000])" }
  for i = 1, 20000 do words[i + 1] = tostring(i) end
  expect(run(words), 0, "20000\t20000\n", "")
end

function cases.one_double_dash_behind_the_script_is_not_an_argument_of_its()
  local path = support.script(show)
  expect(run { path, "--", "-x", "--" }, 0,
    "-1=tcpmulti-lua 0=script.lua 1=-x 2=--\t2\t-x\t--\n", "")
end

function cases.a_dash_reads_the_script_from_standard_input()
  expect(run({ "-", "a" }, { stdin = "print('stdin', arg[0], arg[1])" }), 0, "stdin\t-\ta\n", "")
  expect(run({ "-" }, { stdin = "x = = 1" }), 1, "", "stdin:1: ")
end

function cases.a_first_line_that_begins_with_a_hash_is_skipped()
  expect(run { support.script "#!/usr/bin/env tcpmulti-lua\nprint 'ran'\n" }, 0, "ran\n", "")
end

function cases.os_exits_status_is_the_scripts()
  expect(chunk "io.write 'kept' os.exit(7)", 7, "kept", "")
end

function cases.the_module_is_built_in_and_nothing_is_global()
  expect(chunk [[
    local before = {}
    for name in pairs(_G) do before[name] = true end
    local tcpmulti = require "tcpmulti"
    assert(package.loaded.tcpmulti == tcpmulti and tcpmulti == require "tcpmulti")
    for name in pairs(_G) do assert(before[name], name) end
    assert(rawget(_G, "tcpmulti") == nil)
    assert(type(tcpmulti.peer) == "function")
    print "fine"]], 0, "fine\n", "")
end

local one_turn = [[
  local tcpmulti = require "tcpmulti"
  tcpmulti.create { inline_states = {
    _start = function(s) s:yield "go" end, go = function() print "went" end,
    _stop = function() print "stopped" end } }]]

function cases.a_script_need_not_call_run()
  expect(chunk(one_turn), 0, "went\nstopped\n", "")
end

function cases.the_runner_does_not_run_again_what_the_script_has_run()
  expect(chunk(one_turn .. " tcpmulti.run() print 'behind'"), 0, "went\nstopped\nbehind\n", "")
end

function cases.after_stop_without_run_nothing_is_run()
  expect(chunk(one_turn .. " tcpmulti.stop()"), 0, "", "")
end

function cases.closing_the_state_runs_no_handlers()
  expect(chunk [[
    local tcpmulti = require "tcpmulti"
    local s = tcpmulti.create {
      on_initialize = function() print "initialize" end,
      on_disconnected = function() print "disconnected" end,
      inline_states = { _stop = function() print "stop" end } }
    s:connect("127.0.0.1", 9)
    tcpmulti.stop()]], 0, "initialize\n", "")
end

function cases.option_tally_tells_how_the_connections_of_each_session_have_ended()
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
  lu.assertStrContains(told.errors(), ":        3 shutdown\n")
  lu.assertStrContains(told.errors(), ":        2 error: fail EPROTO: reply ")
  lu.assertEquals(select(2, told.errors():gsub("\n", "\n")), 2, "lines")
end

function cases.option_tally_tells_it_once_however_the_program_ends_with_the_alias()
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
    lu.assertEquals(count, 1, ending .. ": lines in " .. told.errors())
  end
end

harness.main(cases, 30)
