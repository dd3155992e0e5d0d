-- SPDX-License-Identifier: MIT
-- telnet_run.lua: logs in to many hosts that prompt, runs one command on each, prints its output.
--
-- usage: tcpmulti-lua scripts/telnet_run.lua USER COMMAND HOST:PORT ...
--        The password is the first line of standard input.
--
--   $ echo secret | tcpmulti-lua scripts/telnet_run.lua joe "uname -r" 192.0.2.1:23 192.0.2.2:23
--   192.0.2.1:23: 6.1.0-18-amd64
--   192.0.2.2:23: (rejected: Login incorrect, EREJECTED)
local tcpmulti, co = require "tcpmulti", require "tcpmulti.co"
local try = co.try
local function escape(text) return (text:gsub("[%c\127-\255]", tcpmulti.escape)) end

local user, command = table.remove(arg, 1), table.remove(arg, 1)
if not arg[1] then
  io.stderr:write("usage: tcpmulti-lua scripts/telnet_run.lua USER COMMAND HOST:PORT ...\n")
  os.exit(2)
end

local password
local function run_command(target)
  local host, port = target:match("^%[?(.-)%]?:(%w+)$")
  if not host then return nil, "not a HOST:PORT", "EINVAL" end
  local cheap = try(co.open(host, port))
  local function answer(prompt, text)
    try(cheap:expect { prompt, reject = { "[Ii]ncorrect", "[Dd]enied" }, timeout = 10 })
    cheap:send(text .. "\n")
  end
  answer("ogin: $", user)
  answer("assword: $", password)
  answer("[$#>] $", command)
  local _, output = try(cheap:expect { "^(.*\n)[^\n]*[$#>] $", timeout = 30, max_length = 1048576 })
  cheap:send("exit\n")
  return (output:gsub("\255[\251-\254].", ""):gsub("\r", "")) -- without telnet's own commands
end

local function tell(target, output, message, errname)
  if not output then output = ("(%s, %s)"):format(message, errname) end
  for line in output:gmatch("[^\n]+") do
    if line ~= command then print(escape(target) .. ": " .. escape(line)) end -- not its echo
  end
end

local session = tcpmulti.create { filter = "stream", connect_timeout = 10, max_connections = 100 }
local good, bad = co.run(session, function()
  password = co.lines()() or ""
  return co.each(arg, 100, run_command, tell)
end)
if good and bad > 0 then os.exit(1) end
