-- SPDX-License-Identifier: MIT
-- What the tests in secure/ share, beside behaviour/support.lua: an authority, and connections that
-- trust it and meet a scripted peer with one of its certificates.
local authority = require "authority"
local support = require "behaviour.support"

local tls = { authority = authority.new() }
tls.root = tls.authority:root()

-- The option tls of a peer with the certificate of this name, and further options of the peer's.
function tls.server(name, more)
  local options = {}
  for key, value in pairs(more or {}) do options[key] = value end
  options.chain, options.key = tls.authority:named(name)
  return options
end

-- The option tls of a connection that trusts the authority, and expects the name of its
-- certificates.
function tls.client(more)
  local options = { ca = tls.root, server_name = "peer.test" }
  for key, value in pairs(more or {}) do options[key] = value end
  return options
end

-- As support.meet, with TLS on both sides: log, peer, seconds = tls.meet(program, options, how).
-- how.certificate is a name; how.server and how.client are more options of the two sides' TLS.
function tls.meet(program, options, how)
  how = how or {}
  local given = {}
  for key, value in pairs(options or {}) do given[key] = value end
  given.tls = given.tls or tls.client(how.client)
  return support.meet(program, given,
    { tls = tls.server(how.certificate or "good", how.server), seconds = how.seconds })
end

return tls
