-- SPDX-License-Identifier: MIT
-- What the tests of names share. They run inside tcpmulti-lua, in a network and an /etc of their
-- own (names/enter says what there is), so a name server may stand at 127.0.0.1:53, and a case may
-- write /etc/hosts. Cases, sessions, logs and peers are those of behaviour/support.lua.
--
-- What a name server does is written into the names that a case looks up (names/script.h). Each
-- name that support.name makes is asked for nowhere else, so no case finds what another one has
-- left in the cache of the engine, which all cases of a file share.
local lu = require "luaunit"
local nameserver = require "nameserver"
local tcpmulti = require "tcpmulti"
local behaviour = require "behaviour.support"

local support = setmetatable({}, { __index = behaviour })

---------------------------------------------------------------- names and their servers

local count = 0

-- Makes a name of these labels, and one of its own: support.name("a-1", "delay-200").
function support.name(...)
  count = count + 1
  local labels = { ... }
  labels[#labels + 1] = "x" .. count
  labels[#labels + 1] = "test"
  return table.concat(labels, ".")
end

-- Returns the labels for these addresses, joined by dots.
function support.labels(addresses)
  local labels = {}
  for i, address in ipairs(addresses) do labels[i] = nameserver.label(address) end
  return table.concat(labels, ".")
end

local servers = {} -- those of the whole file, which nobody else may hold

-- Starts a name server (names/luaserver.c lists the options) that ends with the case; called
-- outside of a case, with the file.
function support.server(options)
  local server = nameserver.start(options)
  if support.in_case() then
    support.finally(function() server:stop() end)
  else
    servers[#servers + 1] = server
  end
  return server
end

-- Sets how names are looked up until the case ends: the options of tcpmulti.dns.
function support.dns(options)
  tcpmulti.dns(options)
  support.finally(function() tcpmulti.dns {} end)
end

---------------------------------------------------------------- connections

local function copy(options)
  local all = {}
  for key, value in pairs(options or {}) do all[key] = value end
  return all
end

-- Makes a session whose events are written to a log, as support.record does. The log has besides:
-- reached, the addresses of its successes, in order; messages, the texts of its failures; tried,
-- for each failure the list of cheap:tried(); cheaps, those of the failures.
function support.record(options)
  local all, told = copy(options), { reached = {}, messages = {}, tried = {} }
  function all.on_success(cheap, fd, address, ...)
    told.reached[#told.reached + 1] = address
    if options and options.on_success then options.on_success(cheap, fd, address, ...) end
  end
  function all.on_failure(cheap, op, number, message, ...)
    told.messages[#told.messages + 1] = message
    told.tried[#told.tried + 1] = cheap:tried()
    if options and options.on_failure then options.on_failure(cheap, op, number, message, ...) end
  end
  local session, log = behaviour.record(all)
  for key, value in pairs(told) do log[key] = value end
  return session, log
end

-- Looks up names and connects to them: log, seconds = support.look(names, options, how). A session
-- of support.record with these options connects to each of the names (or to the only one), at a
-- port of 127.0.0.1 whose peer closes at once; how.port: at this port. The loop runs, for at most
-- how.seconds.
function support.look(names, options, how)
  how = how or {}
  local port = how.port or support.peer("close"):port()
  local session, log = support.record(options)
  for _, name in ipairs(type(names) == "table" and names or { names }) do
    session:connect(name, port)
  end
  local took = support.run(how.seconds or 30)
  log:check_grammar()
  return log, took
end

-- Asserts that the only connection of a log has failed like this: "resolve ENOTFOUND".
function support.failed(log, how)
  lu.assertEquals(log:list(), { "initialize", "failure " .. how, "disconnected failure" })
end

-- Asserts that the only connection of a log has reached this address, and the peer then closed.
function support.reached(log, address)
  lu.assertEquals(log:list(), { "initialize", "success", "error read EOF", "disconnected eof" })
  lu.assertEquals(log.reached, { address })
end

-- Asserts that all connections of a log had success, so many.
function support.all_reached(log, number)
  lu.assertEquals({ log:count "success", log:count "failure", log:count "timeout" },
    { number, 0, 0 }, log.messages[1])
  lu.assertEquals(log:count "disconnected", number)
end

---------------------------------------------------------------- files and commands

-- Writes a file of /etc anew, as an editor does: the new one takes the place of the old one at
-- once. The old text comes back when the case ends; what stood there before and was no file is kept
-- away.
function support.write(path, text)
  local old = io.open(path)
  local before = old and old:read "*a"
  if old then old:close() end
  local function replace(with)
    local file = assert(io.open(path .. ".new", "w"))
    file:write(with)
    file:close()
    assert(os.rename(path .. ".new", path))
  end
  replace(text)
  if support.in_case() then support.finally(function() replace(before or "") end) end
end

function support.read(path)
  local file = assert(io.open(path))
  local text = file:read "*a"
  file:close()
  return text
end

-- Runs a command of the shell, which must end well; gives its output.
function support.command(command, ...)
  local pipe = assert(io.popen("( " .. command:format(...) .. " ) 2>&1; echo \"exit $?\""))
  local output, status = pipe:read "*a":match "^(.-)exit (%d+)\n$"
  pipe:close()
  lu.assertEquals(status, "0", output)
  return output
end

-- What stands before each script that runs in a process of its own.
local PRELUDE = [[
  local tcpmulti = require "tcpmulti"
  local began = tcpmulti.now()
  local function passed() return tcpmulti.now() - began end
  local function session(options)
    options = options or {}
    options.on_success = options.on_success or function(cheap, _, addr)
      print(cheap:addr() .. " " .. addr)
      cheap:reset()
    end
    options.on_failure = options.on_failure or function(cheap, op, _, _, _, errname)
      print(cheap:addr() .. " " .. op .. " " .. errname)
    end
    options.on_timeout = options.on_timeout or function(cheap, _, timer)
      print(cheap:addr() .. " timeout " .. timer)
    end
    return tcpmulti.create(options)
  end
]]

local function whole_script(text, values)
  local locals = {}
  for key, value in pairs(values or {}) do
    local quoted = type(value) == "string" and ("%q"):format(value) or tostring(value)
    locals[#locals + 1] = ("local %s = %s\n"):format(key, quoted)
  end
  return PRELUDE .. table.concat(locals) .. text
end

-- Gives eth0 its IPv6 addresses again, which it loses when it goes down.
function support.restore_ipv6()
  for last = 1, 9 do
    os.execute(("ip -6 address add 2001:db8::%d/64 dev eth0 nodad 2>/dev/null"):format(last))
  end
end

-- Runs a script in a tcpmulti-lua of its own, with an engine that has seen nothing yet. The values,
-- numbers and strings, are locals there. Before the program may stand shell text, such as a tracer.
-- Gives the output.
function support.script(text, values, before)
  local output, status = support.child(before or "", whole_script(text, values))
  lu.assertEquals(status, 0, output)
  return output
end

-- What has strace run a script, for the last argument of support.script: an expression of its
-- option -e, and the file that it writes. A traced process cannot look for its leaks.
function support.strace(expression, path)
  return ("env ASAN_OPTIONS=detect_leaks=0 strace -f -qq -e %s -o %s")
    :format(expression, path or "/dev/null")
end

-- Runs the script in several processes at once, each with values of its own: the list of outputs.
function support.scripts(text, list)
  local pipes, outputs = {}, {}
  for i, values in ipairs(list) do
    local name = os.tmpname()
    support.finally(function() os.remove(name) end)
    local file = assert(io.open(name, "w"))
    file:write(whole_script(text, values))
    file:close()
    local runner = os.getenv "TCPMULTI_BUILD" .. "/lua/tcpmulti-lua"
    pipes[i] = assert(io.popen(("timeout -k 1 400 %s %s 2>&1"):format(runner, name)))
  end
  for i, pipe in ipairs(pipes) do
    outputs[i] = pipe:read "*a"
    pipe:close()
  end
  return outputs
end

return support
