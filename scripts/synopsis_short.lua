-- SPDX-License-Identifier: MIT
-- synopsis_short.lua: the short program of the Perl module's manual, with the names of that module.
-- Connects to the ports 1 to 1024 and prints the lines of servers that talk first.
--
-- usage: tcpmulti-lua scripts/synopsis_short.lua [ADDRESS [FIRST [LAST]]]   (127.0.0.1 1 1024)
--
--   127.0.0.1:22: Connection Received
--   127.0.0.1:22: SSH-2.0-OpenSSH_9.2p1 Debian-2
local tcpmulti = require "tcpmulti"

local address, first, last = arg[1] or "127.0.0.1", tonumber(arg[2] or 1), tonumber(arg[3] or 1024)
if not (first and last) or address:find "^%-" or arg[4] then
  io.stderr:write("usage: tcpmulti-lua scripts/synopsis_short.lua [ADDRESS [FIRST [LAST]]]\n")
  os.exit(2)
end

tcpmulti.create {
  InputEvent = function(cheap, line)
    print(("%s:%d: %s"):format(cheap:ADDR(), cheap:PORT(), tcpmulti.escape(line)))
  end,
  SuccessEvent = function(cheap, _, _, _, _, id)
    print(("%s:%d: Connection Received"):format(cheap:ADDR(), cheap:PORT()))
    cheap:session():yield("send", id, "")
  end,
  inline_states = {
    _start = function(session)
      for port = first, last do session:yield("connect", address, port) end
    end,
  },
  InputTimeout = 15,
}

tcpmulti.run()
