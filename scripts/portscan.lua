-- SPDX-License-Identifier: MIT
-- portscan.lua: which ports accept connections?
--
-- usage: tcpmulti-lua -m portscan [-p PORTS] [OPTION...] [TARGET...]   --help shows all options
--
--   $ tcpmulti-lua -m portscan -p 1-1024,http-alt 127.0.0.1
--   127.0.0.1 22
--   127.0.0.1 8080
local job = require "tcpmulti.job"

job.main {
  about = "Which ports accept connections?",
  ports = "1-1024", connect_timeout = "2s", per_host = 100, format = "text",
  on_success = function(cheap) cheap:reset() end,
  text = function(record) return record.ok and record.host .. " " .. record.port or nil end,
}
