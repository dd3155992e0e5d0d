-- SPDX-License-Identifier: MIT
-- tcpmulti.targets: one target and lists of ports, as people write them.
local lu = require "luaunit"
local support = require "jobs.support"
local targets = require "tcpmulti.targets"

local cases = support.cases "TargetTexts"

function cases.J1_thirteen_forms()
  for text, expected in pairs {
    ["10.0.0.1"] = { family = 4, first = "10.0.0.1", last = "10.0.0.1" },
    ["10.0.0.1:22"] = { family = 4, first = "10.0.0.1", last = "10.0.0.1", ports = { 22 } },
    ["10.0.0.0/30:22,80"] = { family = 4, first = "10.0.0.0", last = "10.0.0.3",
      ports = { 22, 80 } },
    ["10.0.0.1-10.0.0.9"] = { family = 4, first = "10.0.0.1", last = "10.0.0.9" },
    ["10.0.0.1-9:http"] = { family = 4, first = "10.0.0.1", last = "10.0.0.9", ports = { 80 } },
    ["Host.Example:22"] = { name = "host.example", ports = { 22 } },
    ["[::1]:22"] = { family = 6, first = "::1", last = "::1", ports = { 22 } },
    ["[2001:db8::/120]:80-81"] = { family = 6, first = "2001:db8::", last = "2001:db8::ff",
      ports = { 80, 81 } },
    ["::1"] = { family = 6, first = "::1", last = "::1" },
    ["2001:DB8::1:80"] = { family = 6, first = "2001:db8::1:80", last = "2001:db8::1:80" },
    ["fe80::1%eth0"] = { name = "fe80::1%eth0" },
    ["[fe80:0::1%eth0]:22"] = { name = "fe80::1%eth0", ports = { 22 } },
    ["::ffff:1.2.3.4"] = { family = 4, first = "1.2.3.4", last = "1.2.3.4" },
  } do
    lu.assertEquals({ targets.parse(text) }, { expected }, text)
  end
end

function cases.J1_nineteen_refusals()
  for text, reason in pairs {
    [""] = "host is missing", [":22"] = "host is missing", ["10.0.0.1:"] = "ports are missing",
    ["10.0.0.1:0"] = "'0' is not within", ["10.0.0.1:65536"] = "'65536' is not within",
    ["10.0.0.256"] = "not an IPv4 address", ["10.0.0.9-1"] = "ends before it begins",
    ["10.0.0.0/33"] = "at most 32 bits", ["[::1"] = "not closed", ["[::1]22"] = "behind ']'",
    ["[::1]:x y"] = "'x y' is neither", ["::1::2"] = "not an IPv6 address",
    ["a b"] = "neither an address nor a name", ["1.2.3"] = "not an IPv4 address",
    ["-x"] = "neither an address nor a name", ["host:http-not"] = "'http-not' is neither",
    ["10.0.0.0/8/9"] = "neither an address nor a name", ["[::/129]"] = "at most 128 bits",
    ["host/24"] = "a network must be numeric",
  } do
    local none, message, errname = targets.parse(text)
    lu.assertNil(none, text)
    lu.assertStrContains(message, reason)
    lu.assertEquals(errname, "EINVAL")
  end
end

function cases.J1_what_others_read_otherwise_is_refused()
  for _, text in ipairs { "010.0.0.1", "10.0.0.01", "0x7f.1", "127.1", "2130706433", "1.2.3.4.5",
    "host..example", ".host", "host.0x10", "10.0.0.1-10.0.0.256", "10.0.0.1-2-3", ("a"):rep(254),
    "[10.0.0.1]:22junk", "[host]:22", "::1%", "%eth0", "::1%eth0/64", "1:2:3:4:5:6:7:8:9",
    "1:2:3:4:5:6:7", ":1:2:3:4:5:6:7", "1::2:", "12345::", "::1.2.3.256", "1:2:3:4:5:6:7:1.2.3.4",
    "host:22:23", "{}", "a\0b", "host:22,", "10.0.0.1:٢٢" } do
    local none, message = targets.parse(text)
    lu.assertNil(none, text)
    lu.assertIsString(message)
  end
end

function cases.names_beyond_ascii_are_left_to_the_resolver()
  lu.assertEquals(targets.parse "München.example:80".name, "münchen.example")
  lu.assertEquals(targets.parse "a_b-c.example.".name, "a_b-c.example.")
end

function cases.J2_first_and_last_of_networks_and_ranges()
  for text, ends in pairs {
    ["10.0.0.77/0"] = { "0.0.0.0", "255.255.255.255" },
    ["10.0.0.77/8"] = { "10.0.0.0", "10.255.255.255" },
    ["10.0.0.77/31"] = { "10.0.0.76", "10.0.0.77" },
    ["10.0.0.77/32"] = { "10.0.0.77", "10.0.0.77" },
    ["10.0.0.1-255"] = { "10.0.0.1", "10.0.0.255" },
    ["10.0.0.7-10.0.0.7"] = { "10.0.0.7", "10.0.0.7" },
    ["9.255.255.255-10.0.0.0"] = { "9.255.255.255", "10.0.0.0" },
    ["2001:db8::7/127"] = { "2001:db8::6", "2001:db8::7" },
    ["2001:db8::7/128"] = { "2001:db8::7", "2001:db8::7" },
    ["2001:db8::7/33"] = { "2001:db8::", "2001:db8:7fff:ffff:ffff:ffff:ffff:ffff" },
    ["::/0"] = { "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
    ["::ffff:10.1.2.3/104"] = { "10.0.0.0", "10.255.255.255" },
  } do
    local parsed = targets.parse(text)
    lu.assertEquals({ parsed.first, parsed.last }, ends, text)
  end
end

-- An address of eight random groups, many of them zero, in two spellings.
local function random_v6()
  local groups, plain = {}, {}
  for i = 1, 8 do
    local value = math.random() < 0.5 and 0 or math.random(0, 65535)
    groups[i], plain[i] = ("%04X"):format(value), ("%x"):format(value)
  end
  return table.concat(groups, ":"), table.concat(plain, ":")
end

-- RFC 5952 in another way: the longest run of zeros, the first of equal ones, of two at least.
local function short_v6(plain)
  local text = ":" .. plain .. ":"
  for count = 8, 2, -1 do
    local zeros = ":" .. ("0:"):rep(count)
    local first, last = text:find(zeros, 1, true)
    if first then
      return (text:sub(1, first):gsub("^:", "", 1):gsub(":$", "")) .. "::"
        .. (text:sub(last + 1):gsub(":$", ""))
    end
  end
  return plain
end

function cases.J2_addresses_come_back_in_their_shortest_form()
  for _ = 1, 2000 do
    local long, plain = random_v6()
    local text = targets.parse(long).first
    if not text:find "%." and targets.parse(long).family == 6 then
      lu.assertEquals(text, short_v6(plain))
      lu.assertEquals(targets.parse(text).first, text)
    end
  end
end

function cases.J3_lists_of_ports()
  lu.assertEquals(targets.ports "22,80,22,8000-8002,ssh", { 22, 80, 8000, 8001, 8002 })
  lu.assertEquals(targets.ports "65535, 1,2-3", { 1, 2, 3, 65535 })
  lu.assertEquals(#targets.ports "1-65535", 65535)
  lu.assertEquals(targets.ports "HTTP,domain", { 53, 80 })
  for text, word in pairs { ["22,0"] = "'0'", ["65536"] = "'65536'", ["9-1"] = "'9-1'",
    ["22,no-such"] = "'no-such'", ["0-5"] = "'0-5'", ["5-99999999999999999999"] = "'5-9",
    [""] = "''", ["22,,23"] = "''", ["1-2-3"] = "'1-2-3'", ["-1"] = "'-1'", ["1.5"] = "'1.5'" } do
    local none, message, errname = targets.ports(text)
    lu.assertNil(none, text)
    lu.assertStrContains(message, word)
    lu.assertEquals(errname, "EINVAL")
  end
end

function cases.J3_random_lists_against_a_plain_set()
  for _ = 1, 500 do
    local words, seen = {}, {}
    for i = 1, math.random(1, 8) do
      local first = math.random(1, 60)
      local last = math.random() < 0.5 and first or math.random(first, 64)
      words[i] = first == last and tostring(first) or first .. "-" .. last
      for port = first, last do seen[port] = true end
    end
    local expected = {}
    for port = 1, 64 do expected[#expected + 1] = seen[port] and port or nil end
    lu.assertEquals(targets.ports(table.concat(words, ",")), expected)
  end
end

function cases.what_is_no_text_raises()
  lu.assertErrorMsgContains("a text expected", targets.parse, 5)
  lu.assertErrorMsgContains("a text expected", targets.ports)
end

support.main(cases)
