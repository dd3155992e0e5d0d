-- SPDX-License-Identifier: MIT
-- Jobs in a network and with disks of their own: names, ports that run out, a disk that is full.
local lu = require "luaunit"
local support = require "names.support"
local whole = require "jobs.whole"

local cases = support.cases "JobNetwork"
support.server()

local function shutdown(cheap) cheap:shutdown() end

-- ---- names ----

function cases.J39_a_name_has_its_time_and_the_connect_its_own()
  local port = whole.target('send "hi\\n"; recv all'):match "%d+$"
  local record = whole.one({ on_input = shutdown }, support.name("a-1", "delay-80") .. ":" .. port)
  lu.assertEquals({ record.ok, record.addr }, { true, "127.0.0.1" })
  support.within(record.us.resolve, 80000, 160000, "resolve")
  lu.assertTrue(record.us.connect < 50000, record.us.connect)
end

function cases.J6_no_name_leads_to_what_is_excluded()
  local peer = support.peer('send "hi\\n"')
  local name = support.name "a-1"
  local record = whole.one({}, name .. ":" .. peer:port(), "-x", "127.0.0.0/24")
  lu.assertEquals({ record.ok, record["end"], record.error.name }, { false, "failure", "EPOLICY" })
  lu.assertEquals(peer:report().accepted, 0)
end

function cases.a_name_that_does_not_exist()
  local record = whole.one({}, support.name "nx" .. ":80")
  lu.assertEquals({ record.error.op, record.error.name }, { "resolve", "ENOTFOUND" })
end

-- ---- ports ----

function cases.J34_ports_that_run_out_are_no_fault_of_the_targets()
  local swarm = support.swarm("discard", 1)
  local file = assert(io.open("/proc/sys/net/ipv4/ip_local_port_range", "w"))
  file:write "42000 42009"
  file:close()
  local port, words = swarm:port(), { unpack(whole.unlimited) }
  for i = 1, 30 do words[#words + 1] = ("t%d.test:%d"):format(i, port) end
  local result = whole.run({
    resolve = { ["*:" .. port] = "127.0.0.1:" .. port },
    on_success = function(cheap) cheap:delay(function(_, late) late:reset() end, 0.1) end,
  }, unpack(words))
  lu.assertEquals({ result.status, #result.records, result.figures.ok }, { 0, 30, 30 })
  for _, record in ipairs(result.records) do lu.assertEquals(record.attempts, 1) end
  lu.assertEquals(select(2, result.errors:gsub("no local port is free", "")), 1)
end

function cases.J34_a_want_that_lasts_is_told_as_ours()
  local port = whole.target("recv all"):match "%d+$"
  local words = { unpack(whole.unlimited) }
  for i = 1, 12 do words[#words + 1] = ("t%d.test:%d"):format(i, port) end
  local result = whole.run({ resolve = { ["*:" .. port] = "127.0.0.1:" .. port } },
    "--idle-timeout", "7s", unpack(words))
  local wanting = 0
  for _, record in ipairs(result.records) do
    if record.error["local"] then
      wanting = wanting + 1
      lu.assertEquals({ record.error.name, record.attempts }, { "EADDRNOTAVAIL", 1 })
    end
  end
  lu.assertEquals(#result.records, 12)
  lu.assertTrue(wanting >= 2 and wanting < 8, wanting)
end

-- ---- disks ----

function cases.J50_a_full_disk_has_whole_lines_and_is_gone_on_with()
  local folder = os.tmpname()
  os.remove(folder)
  local make = ("mkdir %s && mount -t tmpfs -o size=128k tmpfs %s"):format(folder, folder)
  lu.assertEquals(os.execute(make), 0)
  support.finally(function() os.execute(("umount %s; rmdir %s"):format(folder, folder)) end)
  local swarm = support.swarm("greet", 32)
  local spec = { on_input = shutdown, result = function() return { text = ("x"):rep(8000) } end }
  local words = { "127.0.0.1-127.0.0.32:" .. swarm:port(), "-o", folder .. "/out",
    unpack(whole.unlimited) }
  local full = whole.go(spec, words)
  lu.assertEquals(full.status, 74)
  lu.assertStrMatches(full.errors, ".*No space left on device; %d+ whole lines are written; "
    .. "the same command with %-%-resume goes on\n.*")
  local text = whole.read(folder .. "/out")
  lu.assertEquals(text:sub(-1), "\n")
  local lines = select(2, text:gsub("\n", ""))
  lu.assertEquals(tonumber(full.errors:match "(%d+) whole lines"), lines)
  lu.assertTrue(lines > 8 and lines < 32, lines)
  os.execute("mount -o remount,size=8m " .. folder)
  words[#words + 1] = "--resume"
  lu.assertEquals(whole.go(spec, words).status, 0)
  local keys, count = {}, 0
  for key in whole.read(folder .. "/out"):gmatch '{"key":"(.-)"' do
    lu.assertNil(keys[key])
    keys[key], count = true, count + 1
  end
  lu.assertEquals(count, 32)
end

support.main(cases)
