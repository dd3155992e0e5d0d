-- SPDX-License-Identifier: MIT
-- smtp_probe.lua: asks mail servers, in a dialogue, whether they would take mail; sends none.
--
-- usage: tcpmulti-lua scripts/smtp_probe.lua [-f SENDER] [-t RECIPIENT] HOST[:PORT] ...
--        The sender is empty and the recipient "postmaster" if not given.
--
--   127.0.0.1:25 < 220 mail.example ESMTP Exim 4.96
--   127.0.0.1:25 > EHLO localhost
--   127.0.0.1:25 < 250-mail.example Hello localhost [127.0.0.1]
--   127.0.0.1:25 < 250 PIPELINING
--   ...
--   127.0.0.1:25 = accepted
local tcpmulti = require "tcpmulti"

local options = { ["-f"] = "", ["-t"] = "postmaster" }
while options[arg[1]] do
  local name = table.remove(arg, 1)
  options[name] = table.remove(arg, 1) or ""
end
local function usage(message)
  io.stderr:write("smtp_probe.lua: ", tcpmulti.escape(message), "\n",
    "usage: tcpmulti-lua scripts/smtp_probe.lua [-f SENDER] [-t RECIPIENT] HOST[:PORT] ...\n")
  os.exit(2)
end
if not arg[1] then usage("which server?") end
if (options["-f"] .. options["-t"]):find("[%c<>]") then usage("not an address of mail") end

local steps = { -- what we say, and the reply code that lets us go on; after any other we QUIT
  { nil, "220" },
  { "EHLO localhost", "250" },
  { "MAIL FROM:<" .. options["-f"] .. ">", "250" },
  { "RCPT TO:<" .. options["-t"] .. ">", "25[01]" },
  { "RSET", "250" },
  { "QUIT", "%d%d%d" },
}
local all_accepted = true

local function take_reply(cheap, code, text)
  local next_step = cheap.step + 1
  if not code:match(steps[cheap.step][2]) then
    cheap.trouble, next_step = code .. " " .. text, #steps
  end
  if cheap.step == #steps then return cheap:shutdown() end
  cheap.step = next_step
  print(cheap.name .. " > " .. tcpmulti.escape(steps[next_step][1]))
  cheap:send(steps[next_step][1])
end

local session = tcpmulti.create {
  filter = { "line", ends = "lf", output_literal = "\r\n", max_length = 2048 },
  connect_timeout = 30, input_timeout = 60, max_connections = 200,
  on_input = function(cheap, line)
    print(cheap.name .. " < " .. tcpmulti.escape(line))
    local code, more, text = line:match("^(%d%d%d)([- ]?)(.*)$")
    if not code or (cheap.code and code ~= cheap.code) then
      return cheap:fail("not an SMTP reply")
    end
    cheap.code = more == "-" and code or nil -- "250-first", "250-second", "250 last": one reply
    if not cheap.code then take_reply(cheap, code, text) end
  end,
  on_disconnected = function(cheap, _, reason)
    if reason == "die" then return end
    if reason ~= "shutdown" and not cheap.trouble then
      cheap.trouble = reason .. ": " .. (select(3, cheap:cause()) or "")
    end
    all_accepted = all_accepted and not cheap.trouble
    print(cheap.name .. " = " .. tcpmulti.escape(cheap.trouble or "accepted"))
  end,
}

for _, target in ipairs(arg) do
  local host, port = target:match("^%[?([^%[%]]-)%]?:(%d+)$")
  local heap = { name = tcpmulti.escape(target), step = 1 }
  local good, why = pcall(session.connect, session, heap, host or target, tonumber(port or 25))
  if not good then usage(target .. ": " .. why) end
end
tcpmulti.run()
if not all_accepted then os.exit(1) end
