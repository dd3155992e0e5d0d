-- SPDX-License-Identifier: MIT
-- Result lines and summaries are what tests/jobs/*.schema.json say, by Python's jsonschema.
local json = require "tcpmulti.json"
local lu = require "luaunit"
local results = require "tcpmulti.results"
local support = require "jobs.support"
local summary = require "tcpmulti.summary"

local cases = support.cases "Schemas"

local CHECK = [[
import json, sys, jsonschema
schema = json.load(open(sys.argv[1]))
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
for line in open(sys.argv[2]):
    errors = [error.message for error in validator.iter_errors(json.loads(line))]
    print(errors[0] if errors else "valid")
]]

local function put(text)
  local name = os.tmpname()
  local file = assert(io.open(name, "w"))
  file:write(text)
  file:close()
  return name
end

-- What the schema says of each line.
local function validate(schema, lines)
  local program, input = put(CHECK), put(table.concat(lines))
  local path = os.getenv "TCPM_SOURCE" .. "/tests/jobs/" .. schema
  local pipe = assert(io.popen(("/usr/bin/python3 %s %s %s 2>&1"):format(program, path, input)))
  local verdicts = {}
  for verdict in pipe:lines() do verdicts[#verdicts + 1] = verdict end
  pipe:close()
  os.remove(program)
  os.remove(input)
  return verdicts
end

local function random_record()
  local ok = math.random(2) == 1
  return { key = ("%016x:%d"):format(math.random(2 ^ 31), math.random(0, 1e6)),
    host = ({ "127.0.0.1", "::1", "\255x" })[math.random(3)], port = math.random(65535),
    addr = math.random(2) == 1 and "127.0.0.1" or nil, ok = ok,
    ["end"] = ok and "eof" or "timeout", attempts = math.random(3), time = os.time(),
    error = not ok and { op = "read", name = "ETIMEDOUT", text = ({ "x", "\254" })[math.random(2)],
      timer = "idle", ["local"] = math.random(2) == 1 or nil } or nil,
    us = { queue = 0, connect = math.random(1e6), total = math.random(2e6) },
    ["in"] = math.random(0, 99), out = 0, data = { banner = "\255" } }
end

function cases.J42_lines_match_their_schema()
  local lines = {}
  for i = 1, 100 do lines[i] = results.line(random_record()) end
  lines[101] = lines[1]:gsub('"port":%d+', '"port":0')
  lines[102] = lines[1]:gsub('"end":"%l+"', '"end":"maybe"')
  local verdicts = validate("line.schema.json", lines)
  for i = 1, 100 do lu.assertEquals(verdicts[i], "valid", lines[i]) end
  lu.assertStrContains(verdicts[101], "less than the minimum")
  lu.assertStrContains(verdicts[102], "'maybe' is not one of")
end

function cases.J42_summaries_match_their_schema()
  local sum = summary.new()
  for _ = 1, 100 do sum:add(random_record()) end
  local extra = { plan = "131b1a2d3f09dc74", script = "banner.lua", argv = { "-c", "5" },
    part = "1/4", workers = 2, started = 1795934862.5, seconds = 2.81, partial = true,
    reason = "signal", targets = { total = 20000, duplicates = 0 }, total = 5000, before = 0,
    cut = 3, thresholds = { { fail_if = "done > 1", value = 100, failed = true },
      { fail_if = "p99(tls) > 1s", failed = false } } }
  local texts = {}
  for i, encoded in ipairs { sum:encode(extra), summary.new():encode(),
    sum:encode { reason = "tired" } } do
    texts[i] = json.encode(encoded) .. "\n"
  end
  local verdicts = validate("summary.schema.json", texts)
  lu.assertEquals({ verdicts[1], verdicts[2] }, { "valid", "valid" })
  lu.assertStrContains(verdicts[3], "'tired' is not one of")
end

support.main(cases)
