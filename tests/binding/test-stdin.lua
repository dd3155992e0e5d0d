-- s:stdin: lines of pipes, files, terminals and what cannot be polled; its end, its limits, and how
-- it waits for places.
local harness = require "scripts.harness"
local support = require "runner.support"

local expect = support.expect

-- Runs a chunk under a shell that arranges its standard input.
local function shell(arrangement, text)
  local path = support.script(text)
  local command = arrangement:gsub("RUN", ("'%s' '%s'"):format(support.runner, path))
  return harness.run("sh", { "-c", command })
end

local print_lines = [[
  local tcpmulti = require "tcpmulti"
  tcpmulti.create { inline_states = {
    _start = function(s) print(s:stdin "line") end,
    line = function(s, line, message, errname)
      print(line and ("[%s]"):format(line), message, errname)
    end } }
]]

harness.case("lines of a pipe, the last one without its end, then nil", function()
  expect(shell("printf 'one\\r\\ntwo\\n\\nthree' | RUN", print_lines), 0,
    "true\n[one]\tnil\tnil\n[two]\tnil\tnil\n[]\tnil\tnil\n[three]\tnil\tnil\nnil\tnil\tnil\n", "")
end)

harness.case("lines that come one after the other", function()
  expect(shell("(echo one; sleep 0.05; printf tw; sleep 0.05; echo o) | RUN", print_lines), 0,
    "true\n[one]\tnil\tnil\n[two]\tnil\tnil\nnil\tnil\tnil\n", "")
end)

harness.case("a file, also where somebody has read its beginning", function()
  local directory = harness.directory()
  harness.write_file(directory .. "/lines", "first\nsecond\nthird\n")
  expect(shell(("(read x; RUN) < '%s/lines'"):format(directory), print_lines), 0,
    "true\n[second]\tnil\tnil\n[third]\tnil\tnil\nnil\tnil\tnil\n", "")
end)

harness.case("what cannot be polled: /dev/null", function()
  expect(shell("RUN < /dev/null", print_lines), 0, "true\nnil\tnil\tnil\n", "")
end)

harness.case("a directory is an error of reading", function()
  expect(shell("RUN < /", print_lines), 0, "true\nnil\tIs a directory\tEISDIR\n", "")
end)

harness.case("a terminal keeps its mode", function()
  local script = support.script(print_lines .. "os.execute 'stty -a > /dev/null'\n")
  local run = harness.run("sh", { "-c", ("(sleep 0.2; echo typed; sleep 0.2; printf '\\004') | " ..
    "script -qec \"'%s' '%s'\" /dev/null"):format(support.runner, script) })
  harness.contains(run.output(), "[typed]", "output")
end)

harness.case("a pipe stays blocking for others", function()
  local lines = "(printf 'one\\n'; sleep 0.1; printf 'two\\n')"
  expect(shell(lines .. " | (RUN; read x; echo \"rest: $x\")", [[
    local tcpmulti = require "tcpmulti"
    tcpmulti.create { inline_states = {
      _start = function(s) s:stdin "line" end,
      line = function(s, line)
        print(line)
        s:stdin(nil)
      end } }]]), 0, "one\nrest: two\n", "")
end)

harness.case("a line longer than the limit ends it with ETOOLONG", function()
  local text = [[
    local tcpmulti = require "tcpmulti"
    tcpmulti.create { inline_states = {
      _start = function(s) s:stdin("line", 5) end,
      line = function(_, line, ...) print(line, ...) end } }]]
  expect(shell("printf '12345\\r\\n123456\\nx\\n' | RUN", text), 0,
    "12345\nnil\tline too long\tETOOLONG\n", "")
  expect(shell("head -c 1000000 /dev/zero | RUN", text), 0, "nil\tline too long\tETOOLONG\n", "")
end)

harness.case("what a state yields runs before the next line", function()
  expect(shell("printf '1\\n2\\n3\\n' | RUN", [[
    local tcpmulti = require "tcpmulti"
    tcpmulti.create { inline_states = {
      _start = function(s) s:stdin "line" end,
      line = function(s, line)
        if not line then return end
        s:yield("later", line)
        io.write("line ", line, " ")
      end,
      later = function(s, line) io.write("later ", line, "\n") end } }]]), 0,
    "line 1 later 1\nline 2 later 2\nline 3 later 3\n", "")
end)

harness.case("nil instead of a state ends it, and it can begin again", function()
  expect(shell("printf '1\\n2\\n3\\n' | RUN", [[
    local tcpmulti = require "tcpmulti"
    tcpmulti.create { inline_states = {
      _start = function(s) s:stdin(function(session, line)
        print("first", line)
        session:stdin(nil)
        session:delay(function() print "still alive" end, 0.01)
      end) end } }]]), 0, "first\t1\nstill alive\n", "")
end)

harness.case("no line is read while a connect of the session waits", function()
  local address = harness.address()
  local port = harness.line_server(address, "welcome\r\n", function() return nil end)
  local run = shell("seq 1 50 | RUN", ([[
    local tcpmulti = require "tcpmulti"
    local highest, lines, done = 0, 0, 0
    tcpmulti.create {
      max_connections = 3,
      on_input = function(cheap) cheap:shutdown() end,
      on_disconnected = function() done = done + 1 end,
      inline_states = {
        _start = function(s) s:stdin "line" end,
        _stop = function() print(lines, done, highest) end,
        line = function(s, line)
          if not line then return end
          lines = lines + 1
          s:yield("connect", %q, %d)
          local live = s:count()
          highest = math.max(highest, live)
        end } }]]):format(address, port))
  expect(run, 0, nil, "")
  local lines, done, highest = run.output():match "(%d+)\t(%d+)\t(%d+)"
  harness.equal("50 50", lines .. " " .. done)
  assert(tonumber(highest) <= 4, "connections at once: " .. highest)
end)

harness.case("an error in its state is an exception of the session", function()
  expect(shell("printf '1\\n2\\n' | RUN", [[
    local tcpmulti = require "tcpmulti"
    tcpmulti.create {
      on_exception = function(_, message) print(message:match "bad line %d") end,
      inline_states = {
        _start = function(s) s:stdin "line" end,
        line = function(_, line) if line then error("bad line " .. line) end print "end" end } }]]),
    0, "bad line 1\nbad line 2\nend\n", "")
end)

harness.case("one session at a time reads it", function()
  expect(shell("printf 'a\\n' | RUN", [[
    local tcpmulti = require "tcpmulti"
    local other = tcpmulti.create { inline_states = {
      line = function(_, line) print("other", line) end } }
    tcpmulti.create { inline_states = {
      _start = function(s) print(s:stdin "line") end,
      line = function(s, line)
        print("first", line)
        print(other:stdin "line")
        s:stdin(nil)
        print(other:stdin "line")
      end } }]]),
    0, "true\nfirst\ta\nnil\tanother session reads standard input\tEBUSY\ntrue\nother\tnil\n", "")
end)

harness.case("die ends it", function()
  expect(shell("(sleep 0.3; echo line) | RUN", [[
    local tcpmulti = require "tcpmulti"
    tcpmulti.create { inline_states = {
      _start = function(s)
        s:stdin(function() print "never" end)
        s:delay(function() s:die() end, 0.02)
      end,
      _stop = function() print "stopped" end } }]]), 0, "stopped\n", "")
end)

harness.main(60)
