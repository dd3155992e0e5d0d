-- SPDX-License-Identifier: MIT
-- What the tests of the runner share: running chunks, and looking at what came out.
local lu = require "luaunit"
local harness = require "scripts.harness"
local uv = require "luv"

local support = { runner = assert(uv.fs_realpath(arg[1])) }

-- Runs the runner with these words; options as for harness.start.
function support.run(words, options) return harness.run(support.runner, words, options) end
function support.start(words, options) return harness.start(support.runner, words, options) end

-- Writes a script to a directory that ends with the case; returns its path.
function support.script(text, name)
  local path = harness.directory() .. "/" .. (name or "script.lua")
  harness.write_file(path, text)
  return path
end

-- Runs a chunk by -e.
function support.chunk(text, options) return support.run({ "-e", text }, options) end

-- Asserts how a run has ended and what it has printed; code: an exit status, or the name of the
-- signal that must have ended it; errors: a part of what it must say, or "".
function support.expect(run, code, output, errors)
  local what = ("%s\n%s"):format(run.output(), run.errors())
  local signal = type(code) == "string" and uv.constants[code:upper()] or 0
  lu.assertEquals(run.signal, signal, "signal that ended " .. what)
  if signal == 0 then lu.assertEquals(run.code, code, "exit status of " .. what) end
  if output then lu.assertEquals(run.output(), output, "standard output") end
  if errors == "" then
    lu.assertEquals(run.errors(), "", "standard error")
  elseif errors then
    lu.assertStrContains(run.errors(), errors)
  end
end

-- Waits until a running process has printed the text.
function support.await_output(process, text)
  harness.wait_until(30, text, function()
    return process.output():find(text, 1, true) or process.done
  end)
  lu.assertStrContains(process.output(), text, false, "output before the end " .. process.errors())
end

return support
