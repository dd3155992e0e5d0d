-- SPDX-License-Identifier: MIT
-- nmap's script "banner", as fast as nmap can: no discovery, no names, connect scan. It first finds
-- out that the port is open and then connects for the script, so it makes two connections for each
-- host. Its CPU time is the whole of a child that has ended. Run by tests/bench/run with luajit.
local measure = dofile((arg[0]:gsub("[^/]*$", "")) .. "measure.lua")

local wanted = measure.job(arg)
local figures = measure.figures()
local output, hosts = os.tmpname(), os.tmpname()

local list = assert(io.open(hosts, "w"))
for number = 1, wanted.operations do
  list:write(measure.host(number), "\n")
end
list:close()

-- The script waits for more until a host is silent, or for so long.
local COMMAND = "nmap -n -Pn -sT -T5 --max-retries 1 --min-hostgroup 512 --min-parallelism 500"
  .. " -p %d --script banner --script-args banner.timeout=1s -iL '%s' -oN '%s' >/dev/null 2>&1"
local start = measure.clock()
os.execute(COMMAND:format(wanted.port, hosts, output))
figures.wall_s = measure.clock() - start
figures.cpu_user_s, figures.cpu_system_s = measure.children()
for line in io.lines(output) do
  local banner = line:match "^|_banner: (.*)$"
  if banner then
    figures.operations = figures.operations + 1
    figures.bytes = figures.bytes + #banner + 2
  end
end
os.remove(output)
os.remove(hosts)
figures.errors = wanted.operations - figures.operations
measure.report(figures)
