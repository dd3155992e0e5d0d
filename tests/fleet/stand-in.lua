-- SPDX-License-Identifier: MIT
-- In the place of a worker: 20,000 result lines a second for some seconds, and five times a second
-- its figures. It connects to nobody.
-- usage: tcpmulti-lua stand-in.lua SECONDS
local json = require "tcpmulti.json"
local results = require "tcpmulti.results"
local summary = require "tcpmulti.summary"
local tcpmulti = require "tcpmulti"

local RATE, BEATS, STATUS_BEATS = 20000, 100, 20
local worker = tonumber(os.getenv("TCPMULTI_WORKER"):match "^%d+")

-- The lines of one beat, which are the same in each, but for their keys.
local lines, figures = {}, summary.new()
for i = 1, RATE / BEATS do
  local record = { host = "127.0.0." .. i, port = 7001, ok = i % 5 > 0, ["end"] = "shutdown",
    attempts = 1, time = os.time(), key = "131b1a2d3f09dc74:%d", ["in"] = 19, out = 0,
    us = { queue = 1, connect = 100 + i * 7, first_byte = i * 3, total = 500 + i * 11 },
    data = { banner = "220 server number " .. i .. " is ready\r\n" } }
  if not record.ok then
    record["end"], record.error = "failure", { op = "connect", name = "ECONNREFUSED", text = "" }
  end
  lines[i] = "=" .. results.line(record)
  for _ = 1, STATUS_BEATS do figures:add(record) end
end
local beat_text, next_number = table.concat(lines), worker * 1e9

local function number_lines()
  return (beat_text:gsub('74:%%d"', function()
    next_number = next_number + 1
    return ("74:%d\""):format(next_number)
  end))
end

local function tell(with_figures, finished)
  io.write("#", json.encode { plan = "131b1a2d3f09dc74", open = 5, retries = 0, cut = 0,
    exceptions = 0, finished = finished, summary = with_figures and figures:encode() or nil }, "\n")
end

local beats, session = 0, tcpmulti.create {}
tell(false)
session:every(function(_, _, count)
  for _ = 1, count do
    beats = beats + 1
    io.write(number_lines())
    if beats % STATUS_BEATS == 0 then tell(true) end
    if beats == tonumber(arg[1]) * BEATS then
      tell(false, true)
      io.stdout:flush()
      os.exit(0)
    end
  end
  io.stdout:flush()
end, 1 / BEATS)
tcpmulti.run()
