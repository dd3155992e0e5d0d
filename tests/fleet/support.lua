-- SPDX-License-Identifier: MIT
-- What the tests of fleets share: a peer on all of 127/8, jobs as programs, and what their files
-- say. In a plain luajit, on top of the harness of the scripts.
local lu = require "luaunit"
local harness = require "scripts.harness"
local uv = require "luv"

local support = setmetatable({ harness = harness }, { __index = harness })

support.runner = assert(uv.fs_realpath(arg[1]))
support.source = os.getenv "TCPM_SOURCE"
support.banner = support.source .. "/tests/jobs/scripts/banner.lua"

-- Answers on all addresses: those that end in 3 reset, those that end in 7 say nothing.
local function serve(client)
  local last = tonumber(client:getsockname().ip:match "(%d+)$") % 10
  if last == 3 then return client:close_reset() end
  if last ~= 7 then client:write "220 ready\r\n" end
  client:read_start(function(_, bytes)
    if not bytes and not client:is_closing() then client:close() end
  end)
end

-- The port of a peer on all of 127/8; on_client(client): called for each connection.
function support.peer(on_client)
  return harness.listen("0.0.0.0", nil, function(client)
    if on_client then on_client(client) end
    serve(client)
  end)
end

-- Words of a job that hurries: script, targets, port, and what else there is.
function support.words(targets, port, ...)
  return { support.banner, targets, "-p", port, "--per-network", 0, "--idle-timeout", "300ms",
    "--progress", "none", ... }
end

function support.start(words, options) return harness.start(support.runner, words, options) end

function support.run(words, options) return harness.finish(support.start(words, options)) end

-- The same with variables in the environment.
function support.start_with(variables, words)
  local list = {}
  for name, value in pairs(variables) do list[#list + 1] = name .. "=" .. value end
  list[#list + 1] = support.runner
  for _, word in ipairs(words) do list[#list + 1] = word end
  return harness.start("env", list)
end

-- Skips the case where one of these programs is not to be had.
function support.needs(...)
  for _, name in ipairs { ... } do
    if harness.run("sh", { "-c", "command -v " .. name }).code ~= 0 then
      lu.skip(name .. " is not installed")
    end
  end
end

function support.read(path)
  local file = io.open(path, "rb")
  local text = file and file:read "*a" or ""
  if file then file:close() end
  return text
end

-- Facts of result lines: count, keys (a set), double (how many keys came again), verdicts (whether
-- ok, by key: a reset comes before or after the connection is open), torn (whether the last line is
-- not whole).
function support.facts(text)
  local facts = { count = 0, keys = {}, double = 0, verdicts = {} }
  facts.torn = text:find "[^\n]$" ~= nil
  for line in text:gmatch "[^\n]+" do
    local key, ok = line:match '^{"key":"([^"]+)".-"ok":(%l+),"end":"%l+".*}$'
    if not key then error("no result line: " .. line, 2) end
    facts.double = facts.double + (facts.keys[key] and 1 or 0)
    facts.keys[key], facts.verdicts[key] = true, ok
    facts.count = facts.count + 1
  end
  return facts
end

-- The children of a process, by their numbers. Those that have ended and wait for it do not count.
function support.children(pid)
  local list = {}
  local pipe = io.popen(("ps -o pid=,stat= --ppid %d"):format(pid))
  for child, state in pipe:read("*a"):gmatch "(%d+)%s+(%a)" do
    if state ~= "Z" then list[#list + 1] = tonumber(child) end
  end
  pipe:close()
  return list
end

-- Whether a process runs.
function support.is_running(pid)
  local state = support.read(("/proc/%d/stat"):format(pid)):match "^%d+ %(.-%) (%a)"
  return state ~= nil and state ~= "Z"
end

-- Waits until the file has so many lines.
function support.wait_for_lines(path, count)
  harness.wait_until(30, count .. " lines", function()
    return select(2, support.read(path):gsub("\n", "")) >= count
  end)
end

function support.seconds() return uv.hrtime() / 1e9 end

return support
