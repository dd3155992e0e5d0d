-- SPDX-License-Identifier: MIT
-- The first bytes that each target sends on its own. The port is that of the practice peer, if
-- there is one.
local tcpmulti = require "tcpmulti"
local job = require "tcpmulti.job"

job.main {
  about = "The first bytes that each target sends on its own.",
  ports = type(tcpmulti.peer) == "table" and tostring(tcpmulti.peer.port) or nil,
  total_timeout = "10s",
  on_success = function(cheap) cheap.banner = "" end,
  on_input = function(cheap, bytes)
    cheap.banner = (cheap.banner .. bytes):sub(1, 256)
    if cheap.banner:find("\n", 1, true) or #cheap.banner == 256 then cheap:shutdown() end
  end,
  result = function(cheap) return { banner = cheap.banner } end,
  text = function(record) return record.ok and record.host .. " " .. record.data.banner or nil end,
}
