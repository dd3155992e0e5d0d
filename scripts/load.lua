-- SPDX-License-Identifier: MIT
-- load.lua: requests of one line at a rate, to servers that answer each with a line.
--
-- usage: tcpmulti-lua -m load HOST:PORT... [-r RATE] [-d TIME] [--send TEXT] [--expect TEXT]
--
--   50000 requests in 10.00 s, 5000/s: 50000 ok, 0 failed
--     wanted 5000/s, answered well 5000/s: 0 dropped, 0 unfinished
--                    least    median      90 %      99 %    99.9 %   longest
--     service        21 us     49 us     92 us    213 us    1.1 ms    2.8 ms
--     response       25 us     94 us    180 us    402 us    1.9 ms    3.4 ms
local job = require "tcpmulti.job"

job.main {
  about = "Requests of one line at a rate; each is answered by a line.",
  filter = "line",
  options = {
    { "send", "--send", "text", "PING", "the request" },
    { "expect", "--expect", "text", "", "how a good answer begins" },
  },
  load = { request = function() return job.options.send end },
  on_input = function(cheap, line)
    local good = line:sub(1, #job.options.expect) == job.options.expect
    job.reply(cheap, good, not good and "answer " .. line:sub(1, 40))
  end,
}
