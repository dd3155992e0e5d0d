-- Standard streams and limits of tcpmulti-lua. Cases that need a shell's redirections start one.
local harness = require "scripts.harness"
local support = require "runner.support"
local expect = support.expect

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

harness.case("a reader that goes ends a script that prints with 141", function()
  local run = shell([["$0" "$1" | head -n 1; exit ${PIPESTATUS[0]}]],
    forever:format "print 'line' io.stdout:flush()")
  expect(run, 141, "line\n", "")
end)

harness.case("a reader that goes ends a script that never prints with 141", function()
  expect(shell([["$0" "$1" | true; exit ${PIPESTATUS[0]}]], forever:format ""), 141, "", "")
end)

harness.case("output that is printed only at the end finds no reader: 141", function()
  local run = shell([["$0" "$1" | true; exit ${PIPESTATUS[0]}]], [[
    io.read "*l"
    io.write(("x"):rep(100))]], { stdin = "" })
  assert(run.code == 141 or run.code == 0, run.code) -- the reader may go after the write
  harness.equal("", run.errors())
end)

harness.case("what a script writes to its files is kept when the reader goes", function()
  local run = shell([[cd "${1%/*}"; "$0" "$1" | true; cat out]], [[
    out = io.open("out", "w")
    out:write "kept"
  ]] .. forever:format "")
  expect(run, 0, "kept", "")
end)

harness.case("standard output that cannot be written: a message and exit 1", function()
  expect(shell([["$0" "$1" > /dev/full]], "print 'lost'"), 1, "", "No space left on device")
end)

harness.case("standard output stays blocking for those who share it", function()
  local run = shell([["$0" "$1" | cat]], forever:format [[
    local flags = tonumber(io.open("/proc/self/fdinfo/1"):read "*a":match "flags:%s*(%d+)", 8)
    print(bit.band(flags, 2048))
    tcpmulti.stop()]])
  expect(run, 0, "0\n", "")
end)

harness.case("descriptors 0 to 2 that are closed are open on /dev/null", function()
  local run = shell([["$0" "$1" 0<&- 1<&- 2<&- ; echo $?]], [[
    local tcpmulti = require "tcpmulti"
    local link = io.popen "readlink /proc/$PPID/fd/0 /proc/$PPID/fd/1 /proc/$PPID/fd/2"
    local text = link:read "*a"
    os.exit(text == ("/dev/null\n"):rep(3) and 0 or 3)]])
  expect(run, 0, "0\n", "")
end)

harness.case("no connection becomes standard output", function()
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
end)

harness.case("the soft file limit is raised to the hard one", function()
  local run = shell([[ulimit -S -n 100; "$0" "$1"]], [[
    for line in io.lines "/proc/self/limits" do
      local soft, hard = line:match "^Max open files%s+(%d+)%s+(%d+)"
      if soft then print(soft == hard and tonumber(soft) > 100) end
    end]])
  expect(run, 0, "true\n", "")
end)

harness.case("programs that a script starts are ended by SIGPIPE as ever", function()
  expect(support.chunk [[
    local yes = io.popen [=[bash -c 'yes | true; echo ${PIPESTATUS[0]}' 2>&1]=]
    print((yes:read "*a"))
    yes:close()]], 0, "141\n\n", "")
end)

harness.main(30)
