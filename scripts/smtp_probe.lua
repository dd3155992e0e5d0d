-- SPDX-License-Identifier: MIT
-- smtp_probe.lua: would mail servers accept mail? A dialogue with each; no mail is sent.
--
-- usage: tcpmulti-lua -m smtp_probe [--from SENDER] [--to RECIPIENT] [OPTION...] [TARGET...]
--        Exit status 3 if one of them would not.
--
--   $ tcpmulti-lua -m smtp_probe -q --to a@elsewhere.example 127.0.0.1-2
--   127.0.0.1 port 25: accepted
--   127.0.0.2 port 25: 550 relay not permitted
local job, co = require "tcpmulti.job", require "tcpmulti.co"

local function probe(cheap)
  local from, to, dialogue, refusal = job.options.from, job.options.to, {}, nil
  for _, step in ipairs { { nil, "^220" }, { "EHLO localhost", "^250" },
    { "MAIL FROM:<" .. from .. ">", "^250" }, { "RCPT TO:<" .. to .. ">", "^25[01]" },
    { "RSET", "^250" } } do
    if step[1] then cheap:send(step[1]) end
    local reply = co.try(cheap:receive())
    dialogue[#dialogue + 1] = { command = step[1], reply = reply }
    if not reply:find(step[2]) then refusal = reply; break end
  end
  cheap:send "QUIT"
  local farewell, message, errname = cheap:receive()
  if refusal then return nil, refusal, "EREJECTED" end -- even if the server has gone after it
  co.try(farewell, message, errname)
  return { dialogue = dialogue }
end

job.main {
  about = "Would mail servers accept mail? A dialogue with each; no mail is sent.",
  options = {
    { "from", "--from", "text", "", "the sender; none: that of bounces", metavariable = "ADDRESS" },
    { "to", "--to", "text", "postmaster", "the recipient", metavariable = "ADDRESS" },
  },
  prepare = function(options)
    if (options.from .. options.to):find "[%c<>]" then return "--from, --to: no address of mail" end
  end,
  ports = "25", filter = "reply", connect_timeout = "30s", idle_timeout = "60s",
  total_timeout = "5m", fail_if = { "failed > 0" }, format = "text", each = probe,
  text = function(record)
    return ("%s port %d: %s"):format(record.host, record.port,
      record.ok and "accepted" or record.error.text)
  end,
}
