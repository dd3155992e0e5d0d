-- SPDX-License-Identifier: MIT
-- A script with a fault: it raises at the targets whose address ends in what --at says.
local tcpmulti = require "tcpmulti"
local job = require "tcpmulti.job"

job.main {
  ports = tostring(tcpmulti.peer.port),
  options = { { "at", "--at", "text", "", "ADDRESS at which the script raises" } },
  on_input = function(cheap)
    if cheap.target.host:find(job.options.at .. "$") then error "a fault" end
    cheap:shutdown()
  end,
}
