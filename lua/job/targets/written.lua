-- SPDX-License-Identifier: MIT
-- One target as people write it:
--   target = host [":" ports] | "[" v6 ["/" bits] | v6 "%" scope "]" [":" ports] | v6 ["/" bits]
--   host   = v4 ["/" bits] | v4 "-" v4 | v4 "-" last octet | name
local bit = require "bit"
local ffi = require "ffi"
local find, format, gsub, lower = string.find, string.format, string.gsub, string.lower
local match, sub = string.match, string.sub

local addresses = require "tcpmulti.targets.addresses"
local ports = require "tcpmulti.targets.ports"

local written = {}

local MAX_NAME = 253
local MAX_TEXT = 65536 * 6 -- bytes; a list of all ports is not longer

-- Each of these gives an entry: { family =, first =, last = }, lists of words, or { name = }; or
-- nil, message.

local function network(text)
  local family, first, last = addresses.parse(text)
  if not family then return nil, first end
  return { family = family, first = first, last = last }
end

-- "fe80::1%eth0": a name for the plan, since it has a scope. address: its words, for exclusions.
local function scoped(text)
  local address, scope = match(text, "^([%x:.]+)%%([%w%-_.]+)$")
  local words = address and addresses.read_v6(address)
  if words then return { name = addresses.v6.text(words) .. "%" .. scope, address = words } end
end

local function v6(text, hint)
  if not find(text, ":", 1, true) then return nil, hint end
  local entry, message = network(text)
  if entry or message then return entry, message end
  return scoped(text), hint
end

-- "10.0.0.1-10.0.0.9" or "10.0.0.1-9"; nil without a message: the text is none.
local function range(text)
  local from, to = match(text, "^([%d.]+)%-([%d.]+)$")
  if not from then return nil end
  local first = addresses.read_v4(from)
  local octet = match(to, "^%d%d?%d?$") and tonumber(to) or 256
  local last = addresses.read_v4(to) or first and octet < 256 and first - first % 256 + octet
  if not first or not last then return nil, "not a range of IPv4 addresses" end
  if last < first then return nil, "a range ends before it begins" end
  return { family = addresses.v4, first = { first }, last = { last } }
end

-- The reason why a text is no name, or nil. Bytes beyond ASCII are left to the resolver. A name
-- whose last label is a number would be taken for an address by some.
local function problem_of_name(text)
  if #text > MAX_NAME then return format("a name has at most %d bytes", MAX_NAME) end
  local plain = match(text, "^(.-)%.?$")
  local label = match(plain, "([^.]*)$")
  if plain == "" then return "the host is missing" end
  if find(plain, "[^%w%.%-_\128-\255]") or find(plain, "^[%-.]") or find(plain, "..", 1, true) then
    return "neither an address nor a name"
  end
  if find(label, "^%d+$") or find(label, "^0[xX]%x*$") then return "not an IPv4 address" end
  if not find(plain, "[^%d.%-]") then return "neither an address nor a range" end
end

-- Reads a name in front of a colon or the end, whose last label has a letter. Gives its length;
-- nil: the text needs a closer look.
local function scan_name(bytes, length)
  local at, label, has_letter = 0, 0, false
  while at < length and bytes[at] ~= 58 do
    local c = bytes[at]
    if c == 46 then
      if at == label then return nil end
      label, has_letter = at + 1, false
    elseif c >= 97 and c <= 122 or c >= 65 and c <= 90 or c == 95 or c >= 128 then
      has_letter = true
    elseif not (c >= 48 and c <= 57 or c == 45 and at > 0) then
      return nil
    end
    at = at + 1
  end
  local is_hexadecimal = at > label + 1 and bytes[label] == 48
    and bit.bor(bytes[label + 1], 32) == 120
  return has_letter and at <= MAX_NAME and not is_hexadecimal and at or nil
end

local function host(text)
  local entry, message = range(text)
  if entry or message then return entry, message end
  entry, message = network(text)
  if entry or message then return entry, message end
  if find(text, "^[^/]+/%d+$") then return nil, "a network must be numeric" end
  message = problem_of_name(text)
  if message then return nil, message end
  return { name = lower(text) }
end

local function add_ports(entry, message, text)
  if not entry then return nil, message end
  if text then
    entry.ranges, message = ports.parse(text)
    if not entry.ranges then return nil, message end
  end
  return entry
end

local function bracketed(text)
  local inner, rest = match(text, "^%[([^%]]*)%](.*)$")
  if not inner then return nil, "a bracket is not closed" end
  local list = match(rest, "^:(.+)$")
  if rest ~= "" and not list then return nil, "behind ']' only ':' and ports may follow" end
  local entry, message = v6(inner, "no IPv6 address between the brackets")
  return add_ports(entry, message, list)
end

-- A target -> { family =, first =, last =, ranges = } or { name =, ranges =, address = }; nil,
-- message. first and last are lists of words, ranges those of ports.parse, or nil.
function written.parse(text)
  if #text > MAX_TEXT then return nil, "longer than any target" end
  local length = scan_name(ffi.cast("const uint8_t *", text), #text)
  if length == #text then return { name = lower(text) } end
  if length and not find(text, ":", length + 2, true) and length + 1 < #text then
    return add_ports({ name = lower(sub(text, 1, length)) }, nil, sub(text, length + 2))
  end
  if sub(text, 1, 1) == "[" then return bracketed(text) end
  local _, colons = gsub(text, ":", ":")
  if colons >= 2 then
    return v6(text, "not an IPv6 address; with a port write [ADDRESS]:PORT")
  end
  local name, list = match(text, "^([^:]*):(.*)$")
  if list == "" then return nil, "ports are missing behind ':'" end
  local entry, message = host(name or text)
  return add_ports(entry, message, list)
end

return written
