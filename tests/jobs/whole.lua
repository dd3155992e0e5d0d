-- SPDX-License-Identifier: MIT
-- Runs whole jobs inside the process of the test, against peers of the test, and reads back what
-- they have written.
local job = require "tcpmulti.job"
local json = require "tcpmulti.json"
local support = require "behaviour.support"

local whole = {}

function whole.read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "*a"
  file:close()
  return text
end

local function read_file(path)
  local text = whole.read(path)
  os.remove(path)
  return text
end

-- Calls f with standard error in a file; gives what was written there, and what f gives.
local function with_errors(f)
  local path = os.tmpname()
  local file = assert(io.open(path, "wb"))
  local stderr = io.stderr
  rawset(io, "stderr", file)
  local good, first, second = xpcall(f, debug.traceback)
  rawset(io, "stderr", stderr)
  file:close()
  local text = read_file(path)
  if not good then error(first .. text, 0) end
  return text, first, second
end

-- Runs a job over these words, numbers among them. Gives a table: status, summary (the object),
-- errors (standard error).
function whole.go(spec, words)
  local result = {}
  for i, word in ipairs(words) do words[i] = tostring(word) end
  result.errors, result.status, result.summary = with_errors(function()
    return job.run(spec, words)
  end)
  return result
end

-- The same with an output of its own. Gives also: figures (what --summary has written), records (of
-- the lines, in their order), lines, by_host.
function whole.run(spec, ...)
  local output, figures = os.tmpname(), os.tmpname()
  local result = whole.go(spec, { "-o", output, "--overwrite", "--summary", figures, "-q", ... })
  result.records, result.lines, result.by_host = {}, {}, {}
  for line in read_file(output):gmatch "[^\n]*\n" do
    local record = assert(json.decode(line))
    result.lines[#result.lines + 1], result.records[#result.records + 1] = line, record
    result.by_host[record.host] = record
  end
  local text = read_file(figures)
  result.figures = text ~= "" and json.decode(text) or nil
  return result
end

-- Runs a load without progress. Gives also: figures, as run does.
function whole.load(spec, ...)
  local figures = os.tmpname()
  local result = whole.go(spec, { "--summary", figures, "--progress", "none", ... })
  local text = read_file(figures)
  result.figures = text ~= "" and json.decode(text) or nil
  return result
end

-- The record of a job with one target.
function whole.one(spec, ...)
  local result = whole.run(spec, ...)
  assert(#result.records == 1, ("%d records; %s"):format(#result.records, result.errors))
  return result.records[1], result
end

-- "127.0.0.1:PORT" of a scripted peer with this program.
function whole.target(program, options)
  return "127.0.0.1:" .. support.peer(program, options):port()
end

-- Words of a command line without limits of places and rate.
whole.unlimited = { "-r", "0", "--per-host", "0", "--per-network", "0" }

return whole
