-- SPDX-License-Identifier: MIT
-- banner.lua: the first bytes that each target sends on its own.
--
-- usage: tcpmulti-lua -m banner [OPTION...] [TARGET...]                --help shows all options
--
--   $ tcpmulti-lua -m banner -q -p 22 127.0.0.1
--   {"key":"5e0c…:0","host":"127.0.0.1","port":22,…,"data":{"banner":"SSH-2.0-OpenSSH\r\n"}}
local job = require "tcpmulti.job"

job.main {
  about = "The first bytes that each target sends on its own.",
  total_timeout = "10s",
  on_success = function(cheap) cheap.banner = "" end,
  on_input = function(cheap, bytes)
    cheap.banner = (cheap.banner .. bytes):sub(1, 256)
    if cheap.banner:find("\n", 1, true) or #cheap.banner == 256 then cheap:shutdown() end
  end,
  result = function(cheap) return { banner = cheap.banner } end,
  text = function(record)
    local said, problem = record.data and record.data.banner or "", record.error
    return record.host .. " " .. record.port .. (said ~= "" and " " .. said or "")
      .. (problem and " (" .. problem.op .. ": " .. problem.text .. ")" or "")
  end,
}
