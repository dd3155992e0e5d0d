-- SPDX-License-Identifier: MIT
-- What the tests of the scripts share. They run in a plain luajit with luv, so that the library
-- under test is not what tests it. A case is a function in a coroutine that waits for events; the
-- list of cases is lua-unit's, as in all Lua tests (cases.lua).
--
-- Everything that a case starts or makes ends with it, whatever happens: processes by their pid,
-- listeners, directories. A child also dies with this process (setpriv --pdeathsig). A case that
-- takes longer than its limit fails.
local suite = require "cases"
local uv = require "luv"

local harness = { cases = suite.cases }

-- libuv writes without MSG_NOSIGNAL.
local broken_pipe = uv.new_signal()
broken_pipe:start("sigpipe", function() end)
broken_pipe:unref()

local runner = arg[1] or error("usage: luajit test-NAME.lua RUNNER")
local source = os.getenv("TCPM_SOURCE") or error("TCPM_SOURCE is not set")
local cleanups = {}
local current -- the thread of the running case; one whose time is up is not resumed any more

-- Suspends the case until the function that it hands to `start` is called; returns its arguments.
local function await(start)
  local thread, waiting, early = coroutine.running(), false, nil
  start(function(...)
    if waiting then
      waiting = false
      if thread == current then assert(coroutine.resume(thread, ...)) end
    else
      early = { ... }
    end
  end)
  if early then return unpack(early) end
  waiting = true
  return coroutine.yield()
end
harness.await = await

-- Asks `ready` every 10 ms until it answers something true, which is returned.
function harness.wait_until(seconds, what, ready)
  local timer, ends = uv.new_timer(), uv.hrtime() + seconds * 1e9
  local answer = ready()
  while not answer do
    if uv.hrtime() > ends then
      timer:close()
      error("waited in vain for " .. what, 2)
    end
    await(function(go_on) timer:start(10, 0, go_on) end)
    answer = ready()
  end
  timer:close()
  return answer
end

-- Lets this many milliseconds pass: where nothing tells that something does not happen.
function harness.wait(ms)
  local timer = uv.new_timer()
  await(function(go_on) timer:start(ms, 0, go_on) end)
  timer:close()
end

local function collect(pipe, chunks, ended)
  pipe:read_start(function(failure, bytes)
    if bytes then
      chunks[#chunks + 1] = bytes
    else
      if not pipe:is_closing() then pipe:close() end
      ended(failure)
    end
  end)
end

-- Ends a process that still runs: politely, and after 3 s otherwise. Not inside a case.
local function stop(process)
  process.kill("sigterm")
  local timer = uv.new_timer()
  timer:start(3000, 0, function() process.kill("sigkill") end)
  while process.pid do uv.run("once") end
  timer:close()
end

-- Starts a program; options: stdin (text), cwd. The result has output(), errors() as received so
-- far, and code and signal once it has ended.
function harness.start(command, args, options)
  options = options or {}
  local stdin, stdout, stderr = uv.new_pipe(false), uv.new_pipe(false), uv.new_pipe(false)
  local process, out, err, open = { done = false }, {}, {}, 3
  local function part_ended()
    open = open - 1
    process.done = open == 0
    if process.done and process.ended then process.ended() end
  end
  local words = { "--pdeathsig", "KILL", "--", command }
  for _, word in ipairs(args) do words[#words + 1] = tostring(word) end
  local spawn = { args = words, stdio = { stdin, stdout, stderr }, cwd = options.cwd }
  local handle, pid = uv.spawn("setpriv", spawn, function(code, signal)
    process.code, process.signal, process.pid = code, signal, nil
    process.handle:close()
    part_ended()
  end)
  if not handle then error("cannot start setpriv: " .. tostring(pid)) end
  process.handle, process.pid = handle, pid
  collect(stdout, out, part_ended)
  collect(stderr, err, part_ended)
  if options.stdin then stdin:write(options.stdin) end
  stdin:shutdown(function() stdin:close() end)
  function process.output() return table.concat(out) end
  function process.errors() return table.concat(err) end
  function process.kill(signal) if process.pid then uv.kill(process.pid, signal) end end
  cleanups[#cleanups + 1] = function() stop(process) end
  return process
end

-- The end of a process and of its output.
function harness.finish(process)
  if not process.done then await(function(go_on) process.ended = go_on end) end
  return process
end

function harness.run(command, args, options)
  return harness.finish(harness.start(command, args, options))
end

-- Runs scripts/NAME under the runner. Options: those of start, and peer (a mode).
function harness.script(name, args, options)
  local words = {}
  if options and options.peer then words = { "--peer", options.peer } end
  words[#words + 1] = source .. "/scripts/" .. name
  for _, word in ipairs(args or {}) do words[#words + 1] = word end
  return harness.run(runner, words, options)
end

-- The same on a terminal of its own; what the script writes is all in output().
function harness.script_on_terminal(name, args, options)
  local words = { runner }
  if options and options.peer then words = { runner, "--peer", options.peer } end
  words[#words + 1] = source .. "/scripts/" .. name
  for _, word in ipairs(args or {}) do words[#words + 1] = tostring(word) end
  for i, word in ipairs(words) do words[i] = "'" .. word:gsub("'", "'\\''") .. "'" end
  return harness.run("script", { "-q", "-e", "-c", table.concat(words, " "), "/dev/null" }, options)
end

-- An address of 127.0.0.0/8 that no other test uses: from the pid, counted on.
local given = 0
function harness.address()
  given = given + 1
  local pid = uv.os_getpid()
  return ("127.%d.%d.%d"):format(100 + given % 100, math.floor(pid / 250) % 250 + 1, pid % 250 + 1)
end

-- Listens, on a free port if none is given; serve(client) is called for each connection.
function harness.listen(address, port, serve)
  local server = uv.new_tcp()
  assert(server:bind(address, port or 0))
  assert(server:listen(4096, function()
    local client = uv.new_tcp()
    server:accept(client)
    if not serve then return client:close() end
    cleanups[#cleanups + 1] = function() if not client:is_closing() then client:close() end end
    serve(client)
  end))
  cleanups[#cleanups + 1] = function() server:close() end
  return server:getsockname().port
end

-- Serves by lines: answer(line, client) returns what to send, or nil to close.
function harness.line_server(address, greeting, answer)
  return harness.listen(address, nil, function(client)
    local pending = ""
    if greeting then client:write(greeting) end
    client:read_start(function(_, bytes)
      if not bytes then return client:is_closing() or client:close() end
      pending = pending .. bytes
      for line, rest in function() return pending:match("^(.-)\r?\n(.*)$") end do
        pending = rest
        local reply = answer(line, client)
        if not reply then return client:is_closing() or client:close() end
        client:write(reply)
      end
    end)
  end)
end

-- A listener whose queue is full: a SYN gets no answer, until accept_all is called. libuv takes the
-- first connection, the queue holds the second, and that is all it holds. Gives the port, a
-- function that ends it, and accept_all.
function harness.full_listener(address)
  local server, taken, accepts = uv.new_tcp(), 0, false
  local clients = {}
  local function accept()
    local client = uv.new_tcp()
    clients[#clients + 1] = client
    server:accept(client)
  end
  assert(server:bind(address, 0))
  assert(server:listen(0, function()
    taken = taken + 1
    if accepts then accept() end
  end))
  local port = server:getsockname().port
  for i = 1, 2 do
    clients[i] = uv.new_tcp()
    local failure = await(function(go_on) clients[i]:connect(address, port, go_on) end)
    assert(not failure, failure)
    harness.wait_until(5, "the first connection", function() return taken > 0 end)
  end
  local function close()
    for _, client in ipairs(clients) do client:close() end
    server:close()
  end
  return port, close, function()
    accepts = true
    accept()
  end
end

-- A port of 127.0.0.1 that was free just now: for servers that cannot choose one themselves.
function harness.free_port()
  local socket = uv.new_tcp()
  assert(socket:bind("127.0.0.1", 0))
  local port = socket:getsockname().port
  socket:close()
  return port
end

local function accepts(port)
  local socket = uv.new_tcp()
  local failure = await(function(go_on) socket:connect("127.0.0.1", port, go_on) end)
  socket:close()
  return not failure
end

-- Starts a real server. describe(port, directory) returns its command and arguments. Somebody may
-- take the port before the server does; then it exits and is tried again with another, unless the
-- port is given.
function harness.server(describe, given_port)
  local directory, process = harness.directory(), nil
  for _ = 1, 5 do
    local port = given_port or harness.free_port()
    local command, args = describe(port, directory)
    process = harness.start(command, args, { cwd = directory })
    local function settled() return process.done or accepts(port) end
    harness.wait_until(20, command .. " to listen", settled)
    if not process.done then return port, process, directory end
  end
  error(("the server does not start: %s %s"):format(process.output(), process.errors()))
end

function harness.directory()
  local directory = assert(uv.fs_mkdtemp("/tmp/tcpmulti-test-XXXXXX"))
  cleanups[#cleanups + 1] = function() os.execute("rm -rf '" .. directory .. "'") end
  return directory
end

function harness.write_file(path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
end

local function clean_up()
  while #cleanups > 0 do
    local good, message = pcall(table.remove(cleanups))
    if not good then io.stderr:write("# clean-up: ", tostring(message), "\n") end
  end
end

local function run_case(body, limit)
  local good, message = nil, nil
  local timer = uv.new_timer()
  timer:start(limit * 1000, 0, function()
    good, message = false, ("not done after %d s"):format(limit)
  end)
  current = coroutine.create(function() good, message = xpcall(body, suite.with_traceback) end)
  coroutine.resume(current)
  while good == nil do uv.run("once") end
  current = nil
  timer:close()
  clean_up()
  io.stdout:flush()
  if not good then error(message, 0) end
end

-- Runs all cases; each may take `limit` seconds (default: 60).
function harness.main(cases, limit)
  suite.main(cases, function(_, body) run_case(body, limit or 60) end)
  os.exit(true)
end

return harness
