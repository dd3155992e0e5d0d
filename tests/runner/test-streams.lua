-- SPDX-License-Identifier: MIT
-- Standard streams and limits of tcpmulti-lua. Cases that need a shell's redirections start one.
local lu = require "luaunit"
local harness = require "scripts.harness"
local support = require "runner.support"
local uv = require "luv"
local expect = support.expect

local cases = harness.cases "Streams"

-- Runs a shell command in which "$0" is the runner and "$1" a script of this text.
local function shell(command, text, options)
  return harness.run("bash", { "-c", command, support.runner, support.script(text) }, options)
end

local forever = [[
  local tcpmulti = require "tcpmulti"
  tcpmulti.create { inline_states = {
    _start = function(s) s:delay("tick", 0.01) end,
    tick = function(s) %s s:delay("tick", 0.01) end } }
  tcpmulti.run()]]

function cases.a_reader_that_goes_ends_a_script_that_prints_with_141()
  local run = shell([["$0" "$1" | head -n 1; exit ${PIPESTATUS[0]}]],
    forever:format "print 'line' io.stdout:flush()")
  expect(run, 141, "line\n", "")
end

function cases.a_reader_that_goes_ends_a_script_that_never_prints_with_141()
  expect(shell([["$0" "$1" | true; exit ${PIPESTATUS[0]}]], forever:format ""), 141, "", "")
end

function cases.output_that_is_printed_only_at_the_end_finds_no_reader_141()
  local run = shell([["$0" "$1" | true; exit ${PIPESTATUS[0]}]], [[
    io.read "*l"
    io.write(("x"):rep(100))]], { stdin = "" })
  assert(run.code == 141 or run.code == 0, run.code) -- the reader may go after the write
  lu.assertEquals(run.errors(), "")
end

function cases.what_a_script_writes_to_its_files_is_kept_when_the_reader_goes()
  local run = shell([[cd "${1%/*}"; "$0" "$1" | true; cat out]], [[
    out = io.open("out", "w")
    out:write "kept"
  ]] .. forever:format "")
  expect(run, 0, "kept", "")
end

local full = "standard output: No space left on device"
local ends = {
  ["at the normal end"] = "print 'lost'",
  ["at os.exit"] = "print 'lost' os.exit(0)",
  ["at os.exit that closes the state"] = "print 'lost' os.exit(true, true)",
  ["at os.exit of a handler"] = [[
    local s = require "tcpmulti".create {}
    s:yield(function() print "lost" os.exit(0) end)]],
  ["at the end of C"] = [[
    local ffi = require "ffi"
    ffi.cdef "int puts(const char *text); void exit(int status);"
    ffi.C.puts "lost"
    ffi.C.exit(0)]],
  ["where it was noticed before"] = "print 'lost' io.stdout:flush()",
}
for what, text in pairs(ends) do
  cases["standard output that cannot be written: a message and exit 1 " .. what] = function()
    expect(shell([["$0" "$1" > /dev/full]], text), 1, "", full)
  end
end

function cases.another_status_than_0_wins_over_a_full_disk()
  expect(shell([["$0" "$1" > /dev/full]], "print 'lost' os.exit(7)"), 7, "", full)
end

-- Sets or clears O_NONBLOCK of what descriptor 1 is, or shows it; by C's numbers of Linux.
local flags = [[
  local ffi = require "ffi"
  ffi.cdef "int fcntl(int descriptor, int command, ...);"
  local was = ffi.C.fcntl(%d, 3)
  if arg[1] == "set" then ffi.C.fcntl(%d, 4, ffi.cast("int", 2048 + was)) end
  if arg[1] == "show" then io.stderr:write(bit.band(was, 2048), "\n") end]]

local printers = {
  print = "for i = 1, 20000 do print(line(i)) end",
  ["io.write"] = "for i = 1, 20000 do io.write(line(i), '\\n') end",
  ["io.stdout:write and flush"] =
    "for i = 1, 20000 do assert(io.stdout:write(line(i), '\\n')) io.stdout:flush() end",
  ["one great write"] = [[
    local lines = {}
    for i = 1, 20000 do lines[i] = line(i) .. "\n" end
    io.write(table.concat(lines))]],
  ["printf of C"] = [[
    local ffi = require "ffi"
    ffi.cdef "int printf(const char *format, ...);"
    for i = 1, 20000 do ffi.C.printf("%s\n", line(i)) end]],
  ["handlers"] = [[
    local s, i = require "tcpmulti".create {}, 0
    s:yield(function(self)
      for _ = 1, 1000 do i = i + 1 print(line(i)) end
      if i < 20000 then self:yield(debug.getinfo(1, "f").func) end
    end)]],
}
for what, text in pairs(printers) do
  cases["a pipe that somebody made non-blocking loses nothing: " .. what] = function()
    local set = support.script(flags:format(1, 1), "flags.lua")
    local run = shell(([[{ luajit %s set; "$0" "$1"; luajit %s show; } | (sleep 0.2; md5sum)]])
      :format(set, set), "local function line(i) return ('%050d'):format(i) end " .. text)
    local expected = harness.run("bash", { "-c", "seq -f %050.0f 1 20000 | md5sum" })
    expect(run, 0, expected.output(), "2048\n")
  end
end

function cases.standard_error_that_is_non_blocking_loses_nothing()
  local set = support.script(flags:format(2, 2), "flags.lua")
  local run = shell(([[{ luajit %s set; "$0" "$1"; } 2>&1 >/dev/null | (sleep 0.2; wc -c)]])
    :format(set), "for i = 1, 20000 do io.stderr:write(('x'):rep(49), '\\n') end")
  expect(run, 0, "1000000\n", "")
end

local endless = {
  ["the main chunk"] = "while true do print 'line' end",
  ["one long handler"] =
    "require 'tcpmulti'.create {}:yield(function() while true do print 'line' end end)",
  ["many handlers"] = [[
    local function go(s) for _ = 1, 100 do io.write 'line\n' end s:yield(go) end
    require 'tcpmulti'.create {}:yield(go)]],
  ["a compiled loop"] = [[
    local write, out = io.stdout.write, io.stdout
    for i = 1, math.huge do write(out, 'line\n') end]],
  ["a coroutine"] = "coroutine.wrap(function() while true do io.write 'line\\n' end end)()",
  ["a protected call"] =
    "while true do pcall(function() while true do print 'line' io.stdout:flush() end end) end",
  ["C code"] = [[
    local ffi = require "ffi"
    ffi.cdef "int puts(const char *text);"
    while true do ffi.C.puts "line" end]],
}
for what, text in pairs(endless) do
  cases["endless printing into head ends quietly with 141: " .. what] = function()
    local run = shell([["$0" "$1" | head -n 1; exit ${PIPESTATUS[0]}]], text)
    expect(run, 141, "line\n", "")
  end
end

-- Runs a chunk whose standard output is a socket, to whose other end body is given.
local function on_socket(text, body)
  local ours, process = uv.new_pipe(false), {}
  local fds = uv.socketpair("stream", nil, {}, {})
  ours:open(fds[1])
  process.handle = uv.spawn(support.runner, {
    args = { "-e", text }, stdio = { nil, fds[2], 2 },
  }, function(code, signal)
    process.code, process.signal = code, signal
    process.handle:close()
  end)
  require "ffi".C.close(fds[2])
  body(ours)
  harness.wait_until(20, "the end", function() return process.code end)
  if not ours:is_closing() then ours:close() end
  lu.assertEquals(process.signal, 0, "signal")
  return process.code
end
require "ffi".cdef "int close(int descriptor);"

function cases.for_a_socket_only_a_failed_write_ends_the_program()
  local wait = "local s = require 'tcpmulti'.create {} s:delay(function() %s end, 0.3)"
  lu.assertEquals(on_socket(wait:format "os.exit(0)", function(ours) ours:close() end), 0)
  lu.assertEquals(on_socket(wait:format "print 'x'", function(ours) ours:shutdown() end), 0)
  lu.assertEquals(on_socket(wait:format "print 'x' io.stdout:flush() while true do end",
    function(ours) ours:close() end), 141)
  lu.assertEquals(on_socket(wait:format "print 'x'", function(ours) ours:close() end), 141)
end

function cases.c_code_finds_the_descriptor_of_standard_output()
  expect(support.chunk [[
    local ffi = require "ffi"
    ffi.cdef "typedef struct FILE FILE; int fileno(FILE *stream);"
    print(ffi.C.fileno(io.stdout), ffi.C.fileno(io.stderr))]], 0, "1\t2\n", "")
end

function cases.where_standard_output_is_a_file_it_can_be_sought()
  local run = shell([[cd "${1%/*}"; "$0" "$1" > out; cat out]], [[
    io.write "12345"
    io.stderr:write(io.stdout:seek("cur"), " ", io.stdout:seek("set", 1), "\n")
    io.write "x"]])
  expect(run, 0, "1x345", "5 1\n")
end

-- Runs a script under a shell on a terminal, which hangs up; returns a function that waits for one
-- of the files that these two write: "ready", "stopped", "status".
local function hang_up(trap, text)
  local path = support.script([[
    local tcpmulti = require "tcpmulti"
    local function note(name)
      local file = assert(io.open(name, "w"))
      file:write "x"
      file:close()
    end
    tcpmulti.create { inline_states = {
      _start = function(s)
        s:delay(print, 3600)
        s:yield(function() note "ready" ]] .. text .. [[ end)
      end,
      _stop = function() note "stopped" end } }]])
  local directory = path:match "^(.*)/"
  local terminal = harness.start("script", { "-qec", ("cd %s; %s '%s' script.lua; echo $? > status")
    :format(directory, trap, support.runner), "/dev/null" })
  local function await(name)
    return harness.wait_until(20, name, function()
      local file = io.open(directory .. "/" .. name)
      local bytes = file and file:read "*a"
      if file then file:close() end
      return bytes ~= "" and bytes
    end)
  end
  await "ready"
  terminal.kill "sigkill"
  harness.finish(terminal)
  return await
end

function cases.a_terminal_that_hangs_up_sighup_and_all_end_in_order()
  lu.assertEquals(hang_up("", "")("stopped"), "x")
end

function cases.a_terminal_that_hangs_up_where_sighup_is_ignored_141()
  lu.assertEquals(hang_up("trap '' HUP;", "")("status"), "141\n")
end

function cases.a_terminal_that_hangs_up_ends_endless_printing_141()
  lu.assertEquals(hang_up("trap '' HUP;", "while true do print 'line' end")("status"), "141\n")
end

function cases.closed_descriptors_where_there_is_no_dev_null_are_no_abort()
  if harness.run("unshare", { "-m", "true" }).code ~= 0 then return end
  for _, text in ipairs { "print 'nowhere' tcpmulti.create {}:yield(print)",
    "tcpmulti.create {}:stdin(function(_, line, _, name) os.exit(name == 'EBADF' and 0 or 1) end)" }
  do
    local run = shell([[mount() { command mount "$@"; }
      exec unshare -m sh -c 'mount -t tmpfs none /dev; exec "$0" "$1" <&- >&- 2>&-' "$0" "$1"]],
      "tcpmulti = require 'tcpmulti' " .. text)
    expect(run, 0, "", "")
  end
end

function cases.standard_output_stays_blocking_for_those_who_share_it()
  local run = shell([["$0" "$1" | cat]], forever:format [[
    local flags = tonumber(io.open("/proc/self/fdinfo/1"):read "*a":match "flags:%s*(%d+)", 8)
    print(bit.band(flags, 2048))
    tcpmulti.stop()]])
  expect(run, 0, "0\n", "")
end

function cases.descriptors_0_to_2_that_are_closed_are_open_on_dev_null()
  local run = shell([["$0" "$1" 0<&- 1<&- 2<&- ; echo $?]], [[
    local tcpmulti = require "tcpmulti"
    local link = io.popen "readlink /proc/$PPID/fd/0 /proc/$PPID/fd/1 /proc/$PPID/fd/2"
    local text = link:read "*a"
    os.exit(text == ("/dev/null\n"):rep(3) and 0 or 3)]])
  expect(run, 0, "0\n", "")
end

function cases.no_connection_becomes_standard_output()
  local run = shell([["$0" --peer discard "$1" 1<&- ; echo $?]], [[
    local tcpmulti = require "tcpmulti"
    local session = tcpmulti.create {
      on_success = function(cheap, fd)
        print "not for the peer"
        io.stdout:flush()
        tcpmulti.shutdown(cheap)
        if fd < 3 then os.exit(3) end
      end }
    session:connect(tcpmulti.peer.addr, tcpmulti.peer.port)]])
  expect(run, 0, "0\n", "")
end

function cases.the_soft_file_limit_is_raised_to_the_hard_one()
  local run = shell([[ulimit -S -n 100; "$0" "$1"]], [[
    for line in io.lines "/proc/self/limits" do
      local soft, hard = line:match "^Max open files%s+(%d+)%s+(%d+)"
      if soft then print(soft == hard and tonumber(soft) > 100) end
    end]])
  expect(run, 0, "true\n", "")
end

function cases.however_few_descriptors_there_may_be_it_works_or_says_why_not()
  for limit = 5, 24 do
    local run = shell(("ulimit -n %d; exec \"$0\" \"$1\" < /dev/null"):format(limit), [[
      require "tcpmulti".create {}:stdin(function() print "read" end)]])
    lu.assertEquals(run.signal, 0, ("signal at %d, %s"):format(limit, run.errors()))
    if run.output() == "read\n" then
      lu.assertEquals(run.code, 0, "exit status at " .. limit)
    elseif run.code ~= 0 then
      lu.assertStrContains(run.errors(), "Too many open files", false, "errors at " .. limit)
    end
  end
end

function cases.programs_that_a_script_starts_are_ended_by_sigpipe_as_ever()
  expect(support.chunk [[
    local yes = io.popen [=[bash -c 'yes | true; echo ${PIPESTATUS[0]}' 2>&1]=]
    print((yes:read "*a"))
    yes:close()]], 0, "141\n\n", "")
end

harness.main(cases, 30)
