-- SPDX-License-Identifier: MIT
-- A library that was built without OpenSSL: every way to ask for TLS raises, says why, and leaves
-- the session as it is.
local lu = require "luaunit"
local support = require "behaviour.support"
local tcpmulti = require "tcpmulti"

local cases = support.cases "WithoutOpenssl"

local REASON = "this library was built without OpenSSL (EOPNOTSUPP)"

function cases.T79_the_option_tls_and_tcpmulti_tls_raise()
  for _, value in ipairs { true, { verify = false } } do
    lu.assertErrorMsgContains("tls: " .. REASON, function() support.session { tls = value } end)
  end
  lu.assertErrorMsgContains("tcpmulti.tls: " .. REASON, function() tcpmulti.tls {} end)
  local session = support.session {}
  lu.assertErrorMsgContains("tls: " .. REASON, function()
    session:connect { remote_address = "127.0.0.1", remote_port = 9, tls = true }
  end)
  lu.assertEquals(session:count(), 0)
end

function cases.T79_starttls_raises_and_the_connection_goes_on()
  local log = support.meet([[send "one\n"; recv line; send "two\n"; close]], {
    on_input = function(cheap, line)
      if line == "two" then return end
      lu.assertErrorMsgContains("starttls: " .. REASON, function() cheap:starttls() end)
      lu.assertNil(cheap:tls())
      cheap:send "go on"
    end,
  })
  lu.assertEquals(log[#log], "disconnected eof")
  lu.assertEquals(log:count "input", 2)
end

support.main(cases)
