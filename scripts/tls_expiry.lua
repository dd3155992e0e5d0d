-- SPDX-License-Identifier: MIT
-- tls_expiry.lua: days that the certificates of servers have left, and all that is wrong with them.
--
-- usage: tcpmulti-lua -m tls_expiry [--days N] [--starttls NAME] [OPTION...] [TARGET...]
--        Exit status 3 if there is a problem, or no certificate.
--
--   $ tcpmulti-lua -m tls_expiry -q www.example 192.0.2.7:8443 no.example
--   www.example port 443: 62 days, ok, by C=US, O=Let's Encrypt, CN=R11, EC 256
--   192.0.2.7 port 8443: -3 days, expired, host mismatch, by CN=old.example, RSA 2048
--   no.example port 443: resolve: no such name
local job, tcpmulti = require "tcpmulti.job", require "tcpmulti"

local lines = { "line", ends = "lf", output_literal = "\r\n", max_length = 4096 }
local protocols = { -- steps: the server's words, our reply (none: TLS begins), other words before
  none = { port = 443 },
  smtp = { port = 25, filter = lines, { "^220 ", "EHLO localhost", "^220%-" },
    { "^250 ", "STARTTLS", "^250%-" }, { "^220 ", nil, "^220%-" } },
  imap = { port = 143, filter = lines, { "^%* OK", "a STARTTLS" }, { "^a OK", nil, "^%* " } },
  pop3 = { port = 110, filter = lines, { "^%+OK", "STLS" }, { "^%+OK" } },
  postgres = { port = 5432, opening = "\0\0\0\8\4\210\22\47", { "^S $" } },
  xmpp = { port = 5222, filter = { "line", literal = ">" }, opening = "<stream:stream to='%s' "
    .. "version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'",
    { "^%s*</stream:features", "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/", "" },
    { "^%s*<proceed" } },
}
local protocol, tls

-- Called for each way in which a handshake ends: a server that wants a certificate of ours has
-- shown its own before.
local function take_certificate(cheap)
  cheap.told = cheap.told or cheap:tls()
  cheap:shutdown()
end

job.main {
  about = "Days that the certificates of servers have left, and all that is wrong with them.",
  options = {
    { "days", "--days", "count", 14, "fewer days left are a problem" },
    { "starttls", "--starttls", { "none", "smtp", "imap", "pop3", "postgres", "xmpp" }, "none",
      "ask for TLS first, as this protocol does" },
  },
  prepare = function(options)
    if options.tls then return "--tls: this script begins TLS itself" end
    local made
    protocol = protocols[options.starttls]
    options.ports = options.ports or tostring(protocol.port)
    made, tls = pcall(tcpmulti.tls, { verify = false, legacy = true, ca = options.ca })
    return not made and tls or nil
  end,
  fail_if = { "failed > 0" }, format = "text",
  on_success = function(cheap)
    cheap.step = 1
    if protocol.filter then cheap:filter(protocol.filter) end
    if protocol.opening then cheap:send((protocol.opening:format(cheap.target.host))) end
    if not protocol[1] then cheap:starttls(tls) end
  end,
  on_input = function(cheap, record)
    local step = protocol[cheap.step]
    if (record .. " "):find(step[1]) then
      cheap.step = cheap.step + 1
      return step[2] and cheap:send(step[2]) or cheap:starttls(tls)
    end
    if not (step[3] and record:find(step[3])) then cheap:fail("no TLS here: " .. record) end
  end,
  on_secure = take_certificate,
  on_error = take_certificate,
  result = function(cheap)
    local leaf = cheap.told and cheap.told.chain[1]
    if not leaf then return nil end
    local problems, left = cheap.told.problems, math.floor((leaf.not_after - os.time()) / 86400)
    if left < job.options.days and not cheap.told.problem then problems[1] = "expires soon" end
    return { days = left, problems = problems, issuer = leaf.issuer, key = leaf.key_type .. " "
      .. leaf.key_bits }, not problems[1], table.concat(problems, ", ")
  end,
  text = function(record)
    local data, problem = record.data, record.error
    local words = problem and problem.op .. ": " .. problem.text
    if data then
      words = ("%d days, %s, by %s, %s"):format(data.days, problem and problem.text or "ok",
        data.issuer, data.key)
    end
    return ("%s port %d: %s"):format(record.host, record.port, words)
  end,
}
