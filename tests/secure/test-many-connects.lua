-- SPDX-License-Identifier: MIT
-- 20,000 connects with TLS, 1,000 at a time. Beside other tests: no time is measured.
local lu = require "luaunit"
local support = require "behaviour.support"

local cases = support.cases "ManyConnects"

function cases.T62_many_connects_with_TLS_all_succeed()
  local servers = support.swarm("tls echo", 8, 4096)
  local total, begun, done, good = support.sanitized() and 2000 or 20000, 0, 0, 0
  local session
  local function go_on()
    begun = begun + 1
    if begun <= total then session:connect("127.0.0." .. 1 + begun % 8, servers:port()) end
  end
  session = support.session {
    tls = { verify = false },
    on_success = function(cheap) good = good + 1 cheap:reset() end,
    on_disconnected = function() done = done + 1 go_on() end,
  }
  for _ = 1, 1000 do go_on() end
  support.run(240)
  lu.assertEquals({ good, done }, { total, total })
end

support.main(cases)
