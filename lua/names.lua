-- SPDX-License-Identifier: MIT
-- Options about names and addresses: deny, resolve, local addresses; and tcpmulti.dns. Each text is
-- read here once, so that a mistake is told with the word that is wrong; the core gets lists as one
-- text.
local shared, tcpmulti = ...
local check = shared.check
local find, format, match = string.find, string.format, string.match
local gmatch, gsub = string.gmatch, string.gsub

local MAX_PORT = 65535
local BITS = { [4] = 32, [6] = 128 } -- [family] = bits of an address

-- For entries that look good here, and that the core refuses: a scope that is no interface, say.
shared.IMPOSSIBLE = "an entry of resolve, deny or bind_address cannot be used, or deny stands "
  .. "beside a proxy that looks the target up"
shared.NO_ARES = "the library was built without c-ares; there is only the system's resolver, "
  .. "which has a configuration of its own (EOPNOTSUPP)"

local CLASSES = { private = true, loopback = true, linklocal = true, multicast = true,
  unspecified = true, reserved = true }
local DENY = "a list of networks like '10.0.0.0/8' and of the classes linklocal, loopback, "
  .. "multicast, private, reserved, unspecified"
local RESOLVE = "a table like { ['example.org:80'] = '127.0.0.1:8080' }, or with '*' for all ports "
  .. "or for all hosts"
local SOURCES = "a numeric address, a list of them, or a range like '10.0.0.0/24'"
local SERVERS = "a list of numeric addresses like '192.0.2.1' or '[2001:db8::1]:53'"

-- ---- texts ----

-- An address and a prefix length that leaves none of its bits out: 10.0.0.0/8.
local function is_network(text)
  local address, prefix = match(text, "^([^/]+)/(%d%d?%d?)$")
  if not address or find(prefix, "^0.") or find(address, "%", 1, true) then return false end
  local family, bits = shared.family(address)
  return family and tonumber(prefix) <= BITS[family] and tonumber(prefix) >= bits
end

local function is_port(text)
  return find(text, "^%d+$") and #text <= 5 and tonumber(text) >= 1 and tonumber(text) <= MAX_PORT
end

-- An address, which may have brackets.
local function is_address(text)
  local inner = match(text, "^%[([^%[%]]*)%]$")
  local family = shared.family(inner or text)
  return family == 6 or family == 4 and not inner
end

-- An address in front of a port: an IPv6 one has brackets.
local function is_host(text)
  return is_address(text) and (find(text, "^%[") or not find(text, ":", 1, true))
end

-- An address with its port: 127.0.0.1:80, [::1]:80.
local function is_address_with_port(text)
  local address, port = match(text, "^(.*):(%d+)$")
  return address and is_port(port) and is_host(address)
end

-- "host", "80" of "host:80"; the host may be an IPv6 address in brackets, and each of the two "*".
local function split_target(text)
  local host, port = match(text, "^(.*):([^:]+)$")
  if not host or host == "" or find(host, "[%c%s=]") then return nil end
  if find(host, ":", 1, true) and not find(host, "^%[.*%]$") then return nil end
  return host, port
end

-- ---- lists ----

-- The strings of a list joined; nil, expected, what is wrong otherwise. accepts: says whether a
-- text may be in the list; hint(text): the end of the message about one that may not.
local function join(list, separator, expected, accepts, hint)
  local count = 0
  for _ in pairs(list) do count = count + 1 end
  if count ~= #list then return nil, expected, "a table with names" end
  for _, entry in ipairs(list) do
    if type(entry) ~= "string" or not accepts(entry) then
      return nil, expected, check.describe(entry) .. (hint and hint(entry) or "")
    end
  end
  return table.concat(list, separator)
end

-- Each of the words of one text.
local function split(text)
  local words = {}
  for word in gmatch(text, "[^%s,]+") do words[#words + 1] = word end
  return words
end

-- ---- the options ----

local function deny_hint(entry)
  return type(entry) == "string" and check.hint(check.nearest(entry, CLASSES)) or ""
end

function check.deny(value)
  if type(value) ~= "table" then return nil, DENY end
  return join(value, ",", DENY, function(entry)
    return CLASSES[entry] or is_network(entry) or is_address(entry)
  end, deny_hint)
end

-- One line of the option resolve; nil if there is no such line.
local function resolve_line(target, address)
  if type(target) ~= "string" or type(address) ~= "string" then return nil end
  local host, port = split_target(target)
  if not host or port ~= "*" and not is_port(port) then return nil end
  if host == "*" and port == "*" then return nil end
  if not is_address_with_port(address) and not is_host(address) then return nil end
  return format("%s:%s=%s", host, port, address)
end

function check.resolve(value)
  if type(value) ~= "table" then return nil, RESOLVE end
  local lines = {}
  for target, address in pairs(value) do
    local line = resolve_line(target, address)
    if not line then
      return nil, RESOLVE, format("%s = %s", check.describe(target), check.describe(address))
    end
    lines[#lines + 1] = line
  end
  table.sort(lines)
  return table.concat(lines, "\n")
end

local function is_source(text) return is_address(text) or is_network(text) end

function check.sources(value)
  if type(value) == "string" then
    if not find(value, "%S") then return nil, SOURCES end
    value = split(value)
  end
  if type(value) ~= "table" then return nil, SOURCES end
  if not next(value) then return nil, SOURCES, "an empty list" end
  return join(value, ",", SOURCES, is_source)
end

-- For connect, whose addresses are checked by C: a bad one is an event in the pull form.
function check.source_list(value)
  if type(value) == "string" then return (gsub(value, "%s*,%s*", ",")) end
  return check.sources(value)
end

function check.device(value)
  if type(value) == "string" and #value <= 15 and not find(value, "[%c%s/]") then return value end
  return nil, "the name of an interface, like 'eth0'"
end

-- A time between two steps of an attempt, in milliseconds.
function check.step(value)
  local ms = type(value) == "number" and value >= 0.01 and check.milliseconds(value)
  if ms then return ms end
  return nil, "a number of seconds, 0.01 or more"
end

check.resolver = check.choice { auto = 1, ares = 2, system = 3 }

-- ---- tcpmulti.dns ----

local function servers(value)
  if type(value) == "string" then value = split(value) end
  if type(value) ~= "table" then return nil, SERVERS end
  if #value < 1 or #value > 8 then return nil, "1 to 8 name servers", "a list of " .. #value end
  return join(value, ",", SERVERS, function(entry)
    return is_address(entry) or is_address_with_port(entry)
  end)
end

-- Seconds that answers are kept: -1 not at all, infinity for ever.
local function ttl(value)
  if value == "sticky" then return 1 / 0 end
  if type(value) == "number" and value >= 0 and value <= 4294967 and value % 1 == 0 then
    return value == 0 and -1 or value
  end
  return nil, "a whole number of seconds from 0 (not kept) to 4294967, or 'sticky'"
end

local function answer_time(value)
  local ms = type(value) == "number" and value > 0 and value <= 60 and check.milliseconds(value)
  if ms then return ms end
  return nil, "a number of seconds above 0, at most 60"
end

-- create.lua adds them to the places of options.
shared.dns_options = {
  servers = servers,
  timeout = answer_time,
  tries = check.whole(1, 10),
  search = check.boolean,
  ttl = ttl,
  concurrency = check.whole(1, 32768),
  cache = check.whole(1, 16777216),
}

function tcpmulti.dns(options)
  if options == nil then return shared.names_stats() end
  if options == tcpmulti then error(check.colon "dns", 2) end
  if type(options) ~= "table" then
    error("tcpmulti.dns: a table of options expected, not " .. check.describe(options), 2)
  end
  local o, message = check.read("tcpmulti.dns", options, shared.dns_options,
    "servers = { '192.0.2.1' }")
  if not o then error(message, 2) end
  o.no_search = o.search == false and 1 or 0
  local ok, problem, errname = shared.set_names(o)
  if errname == "EOPNOTSUPP" then
    error("tcpmulti.dns: servers: " .. shared.NO_ARES, 2)
  end
  return ok, problem, errname
end
