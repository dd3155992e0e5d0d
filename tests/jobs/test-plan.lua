-- SPDX-License-Identifier: MIT
-- tcpmulti.targets: a plan is the set of what was asked for, against plain models of it; the same
-- set is the same plan; large sets are planned at once, and take little memory.
local lu = require "luaunit"
local support = require "jobs.support"
local targets = require "tcpmulti.targets"

local cases = support.cases "Plan"
local words = support.words

-- All targets of a plan as a list of "HOST:PORT", sorted.
local function list(plan)
  local all = {}
  for g = 0, plan.total - 1 do
    local host, port = plan:target(g)
    all[g + 1] = host .. ":" .. port
  end
  table.sort(all)
  return all
end

local function new_plan(text, options)
  local all = {}
  for word in text:gmatch "%S+" do all[#all + 1] = word end
  local plan = assert(targets.plan(words(unpack(all)), options))
  lu.assertEquals(plan.malformed, {})
  return plan
end

-- ---- against a plain model ----

-- Two families, 70 addresses of each, written in ranges or networks.
local families = {
  { text = function(n) return "10.0.0." .. n end,
    range = function(first, last) return ("10.0.0.%d-%d"):format(first, last) end,
    network = function(first, bits) return ("10.0.0.%d/%d"):format(first, 32 - bits) end },
  { text = function(n) return n == 0 and "2001:db8::" or ("2001:db8::%x"):format(n) end,
    range = function(first, last)
      local parts = {}
      for n = first, last do parts[#parts + 1] = ("[2001:db8::%x]"):format(n) end
      return parts
    end,
    network = function(first, bits) return ("[2001:db8::%x/%d]"):format(first, 128 - bits) end },
}

-- A random interval of a family: its texts, its first and its last address.
local function random_interval(family)
  if math.random() < 0.3 then
    local bits = math.random(0, 4)
    local first = math.random(0, 4) * 2 ^ bits
    return { family.network(first, bits) }, first, first + 2 ^ bits - 1
  end
  local first = math.random(0, 60)
  local last = first + math.random(0, 9)
  local texts = family.range(first, last)
  return type(texts) == "table" and texts or { texts }, first, last
end

local function random_ports()
  local texts, ports = {}, {}
  for i = 1, math.random(1, 4) do
    local first = math.random(1, 8)
    local last = math.random() < 0.6 and first or math.random(first, 8)
    texts[i] = first == last and tostring(first) or first .. "-" .. last
    for port = first, last do ports[port] = true end
  end
  return table.concat(texts, ","), ports
end

-- A random plan: its words, its exclusions, and what must come of them.
local function random_plan()
  local one = { words = {}, exclude = {}, model = {}, asked = 0, excluded = 0, total = 0 }
  for _ = 1, math.random(1, 7) do
    local family = families[math.random(#families)]
    local texts, first, last = random_interval(family)
    local port_text, ports = random_ports()
    for _, text in ipairs(texts) do one.words[#one.words + 1] = text .. ":" .. port_text end
    for port in pairs(ports) do
      for n = first, last do
        one.asked = one.asked + 1
        one.model[family.text(n) .. ":" .. port] = true
      end
    end
  end
  local gone = {}
  for _ = 1, math.random(0, 3) do
    local family = families[math.random(#families)]
    local texts, first, last = random_interval(family)
    for _, text in ipairs(texts) do one.exclude[#one.exclude + 1] = text end
    for n = first, last do
      for port = 1, 8 do gone[family.text(n) .. ":" .. port] = true end
    end
  end
  for target in pairs(one.model) do
    one.total = one.total + 1
    if gone[target] then
      one.excluded, one.total, one.model[target] = one.excluded + 1, one.total - 1, nil
    end
  end
  return one
end

function cases.J5_random_unions_less_exclusions_are_those_of_a_plain_set()
  for _ = 1, 300 do
    local one = random_plan()
    local plan = assert(targets.plan(words(unpack(one.words)), { exclude = one.exclude }))
    lu.assertEquals(plan.malformed_count, 0)
    lu.assertEquals({ plan.total, plan.excluded, plan.duplicates },
      { one.total, one.excluded, one.asked - one.total - one.excluded })
    local seen, hosts, host_count = {}, {}, 0
    for g = 0, plan.total - 1 do
      local host, port, input, network = plan:target(g)
      local key = host .. ":" .. port
      lu.assertTrue(one.model[key] and not seen[key], key)
      lu.assertNil(input)
      lu.assertEquals(network, host:find(":", 1, true) and "2001:db8::/48" or "10.0.0.0/24")
      seen[key] = true
      if not hosts[host] then hosts[host], host_count = true, host_count + 1 end
    end
    lu.assertEquals(plan.hosts, host_count)
    lu.assertErrorMsgContains("no target", plan.target, plan, plan.total)
  end
end

function cases.J21_the_same_set_is_the_same_plan()
  for _ = 1, 100 do
    local one = random_plan()
    local plan = assert(targets.plan(words(unpack(one.words)), { exclude = one.exclude }))
    local shuffled = {}
    for _, word in ipairs(one.words) do
      table.insert(shuffled, math.random(#shuffled + 1), word)
    end
    local same = assert(targets.plan(words(unpack(shuffled)), { exclude = one.exclude }))
    local all = list(plan) -- each target by itself
    for i, target in ipairs(all) do all[i] = target:gsub("^(.*:.*):(%d+)$", "[%1]:%2", 1) end
    local single = assert(targets.plan { { words = all } })
    local seeded = assert(targets.plan(words(unpack(one.words)),
      { exclude = one.exclude, seed = "x" }))
    lu.assertEquals(same.id, plan.id)
    lu.assertEquals(single.id, plan.id)
    lu.assertEquals(#plan.id, 16)
    lu.assertNotEquals(seeded.id, plan.id)
    for g = 0, plan.total - 1 do
      lu.assertEquals({ same:target(g) }, { plan:target(g) })
      lu.assertEquals({ single:target(g) }, { plan:target(g) })
    end
    local first, second = plan:walker(0, 1), single:walker(0, 1)
    for _ = 0, plan.total do lu.assertEquals({ second:next() }, { first:next() }) end
  end
end

function cases.J21_what_is_another_plan()
  local function id(text, options) return new_plan(text, options).id end
  local plain = id "10.0.0.0/30:22"
  lu.assertEquals(id "10.0.0.2:22 10.0.0.3:22 10.0.0.0/31:22 10.0.0.1:22", plain)
  lu.assertEquals(id("10.0.0.0/30", { ports = "ssh" }), plain)
  lu.assertEquals(id("10.0.0.0/29:22", { exclude = { "10.0.0.4/30" } }), plain)
  local others = { plain, id "10.0.0.0/30:23", id "10.0.0.0/30:22,23", id "10.0.0.1-4:22",
    id "10.0.0.0/31:22", id("10.0.0.0/30:22", { order = "sequential" }),
    id("10.0.0.0/30:22", { seed = "a" }), id("10.0.0.0/30:22", { seed = "b" }),
    id "a:22", id "b:22", id "a:22 b:22", id "b:22 a:22", id "ab:22", id "a:23", id "" }
  local seen = {}
  for i, one in ipairs(others) do
    lu.assertNil(seen[one], i)
    seen[one] = i
  end
  lu.assertEquals(id("10.0.0.0/30:22", { seed = "a" }), others[7])
end

-- ---- exclusions, duplicates ----

function cases.J6_an_excluded_host_that_is_named_alone()
  local plan = new_plan("10.0.0.1:22,80 10.0.0.2:22 Bad.example:22-24 good.example:22 "
    .. "[fe80::1%eth0]:22", { exclude = { "10.0.0.0/31", "bad.EXAMPLE" } })
  lu.assertEquals(list(plan), { "10.0.0.2:22", "fe80::1%eth0:22", "good.example:22" })
  lu.assertEquals({ plan.excluded, plan.duplicates }, { 5, 0 })
end

function cases.J6_a_scoped_address_is_excluded_with_its_network()
  local plan = new_plan("fe80::1%eth0 fe80::2%eth0", { ports = "1", exclude = { "fe80::2/127" } })
  lu.assertEquals(list(plan), { "fe80::1%eth0:1" })
  lu.assertEquals(plan.excluded, 1)
end

function cases.J6_addresses_of_ipv4_in_the_dress_of_ipv6()
  local plan = new_plan("::ffff:10.0.0.1 10.0.0.1 ::ffff:10.0.0.9", { ports = "1",
    exclude = { "10.0.0.9" } })
  lu.assertEquals(list(plan), { "10.0.0.1:1" })
  lu.assertEquals({ plan.excluded, plan.duplicates }, { 1, 1 })
end

function cases.J6_reserved_networks_are_cut()
  local text = "0.255.255.255 1.0.0.0 223.255.255.255-224.0.0.0 255.255.255.255 :: ::1 ff00::/127"
  local plan = new_plan(text, { ports = "1" })
  lu.assertEquals(list(plan), { "1.0.0.0:1", "223.255.255.255:1", "::1:1" })
  lu.assertEquals(plan.excluded, 6)
  plan = new_plan(text, { ports = "1", reserved = true })
  lu.assertEquals({ plan.total, plan.excluded }, { 6, 3 })
end

function cases.J6_wrong_exclusions_are_named()
  for word, reason in pairs { ["10.0.0.1:22"] = "no ports", ["10.0.0.300"] = "no such file",
    ["deny.txt"] = "no such file", ["/nonexistent/deny"] = "no such file" } do
    local none, message = targets.plan(words "10.0.0.1:22", { exclude = { word } })
    lu.assertNil(none)
    lu.assertStrContains(message, word)
    lu.assertStrContains(message, reason)
  end
end

function cases.J6_exclusions_from_a_file()
  support.with_file("# not these\n10.0.0.8/30 # four\r\n10.0.0.1\n\nbad.example", function(path)
    local plan = new_plan("10.0.0.0/28 bad.example", { ports = "1", exclude = { path } })
    lu.assertEquals({ plan.total, plan.excluded }, { 11, 6 })
  end)
  for text, place in pairs { ["10.0.0.1\nx y\n"] = ":2: x y: ", ["10.0.0.1:22\n"] = ":1: ",
    ["\n" .. ("a"):rep(2 ^ 20 + 1)] = ":2: aaaa" } do
    support.with_file(text, function(path)
      local none, message, errname = targets.plan(words "10.0.0.1:22", { exclude = { path } })
      lu.assertNil(none)
      lu.assertStrContains(message, path .. place)
      lu.assertEquals(errname, "EINVAL")
    end)
  end
end

function cases.J6_exclusions_as_networks()
  local plan = new_plan("10.0.0.1:1", { exclude = { "10.0.0.1-6", "10.0.0.7", "2001:db8::/33",
    "2001:db8:8000::/33" } })
  lu.assertEquals(plan:denied(), { "0.0.0.0/8", "10.0.0.1/32", "10.0.0.2/31", "10.0.0.4/30",
    "224.0.0.0/3", "::/128", "2001:db8::/32", "ff00::/8" })
  lu.assertEquals(plan.total, 0)
end

function cases.J14_a_name_twice_is_asked_once()
  local text = "a.example:22 A.example:22 a.example:22,23 b.example:22 a.example:22"
  local plan = new_plan(text)
  lu.assertEquals({ plan.total, plan.duplicates, plan.hosts }, { 4, 2, 2 })
  local kept = new_plan(text, { duplicates = "keep" })
  lu.assertEquals({ kept.total, kept.duplicates }, { 6, 0 })
  lu.assertNotEquals(kept.id, plan.id)
end

function cases.J14_many_names_twice()
  local all = {}
  for i = 1, 3000 do all[i] = ("host-%d.example:%d"):format(i % 1000, 1 + i % 2) end
  local plan = assert(targets.plan { { words = all } })
  lu.assertEquals({ plan.total, plan.duplicates }, { 1000, 2000 })
  for g = 0, 999 do lu.assertEquals({ plan:target(g) }, { "host-" .. (g + 1) % 1000 .. ".example",
    1 + (g + 1) % 2, nil, "host-" .. (g + 1) % 1000 .. ".example" }) end
end

function cases.all_lines_of_a_name_are_one_host_with_all_their_ports()
  local plan = new_plan("a:22 b:22 a:80-82 c:1-4 a:443 b:7-10", { order = "sequential" })
  local ports = {}
  for g = 0, plan.total - 1 do
    local host, port = plan:target(g)
    ports[host] = (ports[host] or "") .. " " .. port
  end
  lu.assertEquals(ports, { a = " 22 80 81 82 443", b = " 22 7 8 9 10", c = " 1 2 3 4" })
  lu.assertEquals({ plan.total, plan.hosts }, { 14, 3 })
end

function cases.lines_of_JSON_of_one_host_keep_their_objects()
  local all = {}
  for i = 1, 400 do
    all[i] = ('{"host":"h%d","port":"%d-%d","id":%d}'):format(i % 3, i, i + i % 2, i)
  end
  local plan, seen = assert(targets.plan { { words = all } }), {}
  lu.assertEquals({ plan.total, plan.hosts }, { 600, 3 })
  for g = 0, plan.total - 1 do
    local host, port, input = plan:target(g)
    lu.assertEquals(host, "h" .. input.id % 3)
    lu.assertTrue(port == input.id or port == input.id + input.id % 2)
    seen[input.id .. " " .. port] = true
  end
  local count = 0
  for _ in pairs(seen) do count = count + 1 end
  lu.assertEquals(count, 600)
end

-- ---- limits ----

function cases.J8_more_targets_than_numbers()
  local none, message, errname = targets.plan(words "[fc00::/70]:1")
  lu.assertNil(none)
  lu.assertStrContains(message, "288230376151711744 targets are more than 9007199254740991")
  lu.assertEquals(errname, "E2BIG")
  local plan = new_plan("[fc00::/75]:1 10.0.0.1:1", { exclude = { "fc00::1", "fc00::2" } })
  lu.assertEquals(plan.total, 2 ^ 53 - 1)
  local g = 2 ^ 53 - 2
  lu.assertEquals({ plan:target(g) },
    { "fc00::1f:ffff:ffff:ffff", 1, nil, "fc00::/48" })
  lu.assertEquals({ plan:target(1) }, { "fc00::", 1, nil, "fc00::/48" })
  lu.assertEquals({ plan:target(2) }, { "fc00::3", 1, nil, "fc00::/48" })
  local walker = plan:walker(6, 7)
  for _ = 1, 100 do
    local number = walker:next()
    lu.assertEquals({ walker:skip(number), walker:skip(number) }, { true, false, "done" })
  end
end

function cases.J9_many_public_addresses_need_an_exclusion()
  local none, message, errname = targets.plan(words("8.0.0.0/16:1", "9.0.0.0:1"))
  lu.assertNil(none)
  lu.assertStrContains(message, "65537 public addresses")
  lu.assertEquals(errname, "EINVAL")
  lu.assertEquals(new_plan("8.0.0.0/16:1,2").total, 131072)
  lu.assertEquals(new_plan("8.0.0.0/16:1 9.0.0.0:1", { exclude = { "/dev/null" } }).total, 65537)
  for _, private in ipairs { "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8",
    "169.254.0.0/16", "100.64.0.0/10", "[fc00::/80]", "[fe80::/80]" } do
    lu.assertTrue(new_plan("8.0.0.0/16:1 " .. private .. ":1").total > 65536)
  end
end

function cases.J3_J4_ports_that_are_wrong_or_missing()
  local none, message, errname = targets.plan(words "10.0.0.1", { ports = "22,no-such" })
  lu.assertNil(none)
  lu.assertStrContains(message, "'no-such'")
  lu.assertEquals(errname, "EINVAL")
  local plan = assert(targets.plan(words("10.0.0.1", "host", "10.0.0.1:22")))
  lu.assertEquals({ plan.total, plan.malformed_count }, { 1, 2 })
  for i, text in ipairs { "10.0.0.1", "host" } do
    lu.assertEquals(plan.malformed[i], { source = "argument", line = i, text = text,
      message = "no port, and no --ports" })
  end
end

function cases.wrong_arguments_raise()
  lu.assertErrorMsgContains("list of sources", targets.plan)
  lu.assertErrorMsgContains("'random' or", targets.plan, {}, { order = "x" })
  lu.assertErrorMsgContains("'drop' or", targets.plan, {}, { duplicates = "x" })
  local plan = new_plan "10.0.0.1:1"
  for _, pair in ipairs { { 1, 1 }, { -1, 2 }, { 0, 0 }, { 0.5, 2 }, { 0, 1.5 }, { 0 }, {} } do
    lu.assertErrorMsgContains("process j of J", plan.walker, plan, pair[1], pair[2])
  end
  for _, g in ipairs { -1, 1, 0.5, 0 / 0 } do
    lu.assertErrorMsgContains("no target", plan.target, plan, g)
  end
end

-- ---- cost ----

-- The processor's seconds are those of a machine that is busy with other tests.
local BUSY = 4

function cases.J7_the_whole_internet_on_all_ports()
  local bytes, seconds, plan = support.cost(function()
    return new_plan("0.0.0.0/0",
      { ports = "1-65535", exclude = { "10.0.0.0/8", "192.168.0.0/16" } })
  end)
  lu.assertEquals(plan.total, 65535 * (2 ^ 32 - 2 ^ 24 - 2 ^ 16 - 2 ^ 24 - 2 ^ 29))
  lu.assertEquals(plan.excluded, 65535 * (2 ^ 24 + 2 ^ 16 + 2 ^ 24 + 2 ^ 29))
  lu.assertTrue(bytes < 65536, bytes)
  lu.assertTrue(seconds < 0.1 * BUSY, seconds)
end

function cases.J18_a_million_numeric_lines()
  local lines = {}
  for i = 0, 999999 do
    lines[i + 1] = ("%d.%d.%d.%d:%d\n"):format(10 + i % 89, math.floor(i / 65536),
      math.floor(i / 256) % 256, i % 256, 22 + i % 3)
  end
  local text = table.concat(lines)
  support.with_file(text, function(path)
    local bytes, seconds, plan = support.cost(function()
      return assert(targets.plan({ { path = path } }, { exclude = {} }))
    end)
    lu.assertEquals({ plan.total, plan.malformed_count }, { 10 ^ 6, 0 })
    lu.assertTrue(bytes < 16 * 10 ^ 6, bytes)
    lu.assertTrue(seconds < 2 * BUSY, seconds)
  end)
end

function cases.J18_many_names()
  local lines, count = {}, 2 * 10 ^ 5
  for i = 1, count do lines[i] = ("www%d.customer-%d.example\n"):format(i % 977, i) end
  support.with_file(table.concat(lines), function(path)
    lines = nil
    local bytes, seconds, plan = support.cost(function()
      return assert(targets.plan({ { path = path } }, { ports = "443" }))
    end)
    lu.assertEquals({ plan.total, plan.malformed_count }, { count, 0 })
    lu.assertTrue(bytes < 64 * count, bytes)
    lu.assertTrue(seconds < 5e-6 * count * BUSY, seconds)
  end)
end

-- As of a crawler: what is looked for among lines of one host must not grow with their number.
function cases.J18_many_lines_of_JSON_of_one_host()
  local lines, count = {}, 40000
  for i = 1, count do lines[i] = ('{"host":"web.example","port":80,"path":"/%d"}\n'):format(i) end
  support.with_file(table.concat(lines), function(path)
    local _, seconds, plan = support.cost(function()
      return assert(targets.plan { { path = path } })
    end)
    lu.assertEquals({ plan.total, plan.hosts, plan.malformed_count }, { count, 1, 0 })
    lu.assertTrue(seconds < 25e-6 * count * BUSY, seconds)
  end)
end

support.main(cases)
