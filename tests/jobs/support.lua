-- SPDX-License-Identifier: MIT
-- What the tests of the modules of jobs share. They draw random numbers from a seed, which is
-- printed, and which the environment can give: TCPM_SEED.
local suite = require "cases"

local support = { cases = suite.cases }

local seed = tonumber(os.getenv "TCPM_SEED") or os.time()

local function run_case(_, body)
  math.randomseed(seed)
  local good, message = xpcall(body, suite.with_traceback)
  if not good then error(message, 0) end
end

function support.main(cases)
  print("# TCPM_SEED=" .. seed)
  suite.main(cases, run_case)
end

-- Sources of targets.plan: these words.
function support.words(...) return { { words = { ... } } } end

-- Calls f with the path of a file that has this text, and removes the file.
function support.with_file(text, f)
  local path = os.tmpname()
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
  local good, message = pcall(f, path)
  os.remove(path)
  if not good then error(message, 0) end
end

-- The bytes that Lua's memory has grown by, which f's results hold, and the processor's seconds.
function support.cost(f)
  collectgarbage()
  collectgarbage()
  local before, start = collectgarbage "count", os.clock()
  local result = f()
  local seconds = os.clock() - start
  collectgarbage()
  collectgarbage()
  return (collectgarbage "count" - before) * 1024, seconds, result
end

return support
