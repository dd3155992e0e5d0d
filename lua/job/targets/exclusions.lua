-- SPDX-License-Identifier: MIT
-- Targets that are never connected to: addresses, networks, ranges and names, by words and files.
local io = require "io"
local floor = math.floor
local format, match = string.format, string.match

local addresses = require "tcpmulti.targets.addresses"
local intervals = require "tcpmulti.targets.intervals"
local lines = require "tcpmulti.targets.lines"
local written = require "tcpmulti.targets.written"

local is_behind, is_equal = addresses.is_behind, addresses.is_equal

local exclusions = {}
local Exclusions = {}
Exclusions.__index = Exclusions

local ALWAYS = { "::/128", "ff00::/8" }
local RESERVED = { "0.0.0.0/8", "224.0.0.0/3" }
local file_endings = { conf = true, csv = true, json = true, jsonl = true, list = true, lst = true,
  txt = true } -- none is a top-level domain
local families = { addresses.v4, addresses.v6 }

-- Adds an entry of written.parse. Gives nil, message if there is none, or one with ports.
local function add(self, entry, message)
  if not entry then return nil, message end
  if entry.ranges then return nil, "an exclusion has no ports" end
  if entry.address then
    entry = { family = addresses.v6, first = entry.address, last = entry.address }
  end
  if entry.name then
    self.names[entry.name] = true
  else
    self[entry.family]:add(entry.first, entry.last, intervals.EXCLUDED)
  end
  return true
end

-- Adds what a file has; nil, message, errname. One wrong line is enough to refuse the file: nobody
-- is to be asked because of a slip of the pen.
local function add_file(self, path)
  local problem
  local reader = {}
  function reader.line(_, text, number)
    local done, message = add(self, written.parse(text))
    if not done then problem = problem or format("%s:%d: %s: %s", path, number, text, message) end
  end
  function reader.address(_, address, port, number)
    if port > 0 then
      problem = problem or format("%s:%d: an exclusion has no ports", path, number)
    else
      self[addresses.v4]:add({ address }, { address }, intervals.EXCLUDED)
    end
  end
  function reader.too_long(_, text, number)
    problem = problem or format("%s:%d: %s: longer than any target", path, number, text)
  end
  local done, message, errname = lines.read(path, reader)
  if not done then return nil, message, errname end
  if problem then return nil, problem, "EINVAL" end
  return true
end

-- Adds a word: a file if there is one of this name, else a target. What looks like the name of a
-- file is not taken for the name of a host.
local function add_word(self, word)
  local file = io.open(word)
  if file then
    file:close()
    return add_file(self, word)
  end
  local entry, message = written.parse(word)
  if not entry or file_endings[match(word, "%.(%l+)$") or ""] then
    return nil, format("%s: no such file, and no target (%s)", word, message or "a name of a file"),
      "ENOENT"
  end
  local done
  done, message = add(self, entry)
  if not done then return nil, format("%s: %s", word, message), "EINVAL" end
  return true
end

-- words: targets and names of files, or nil. reserved: 0.0.0.0/8 and 224.0.0.0/3 may be asked. Nil,
-- message, errname: a word is wrong, or a file cannot be read.
function exclusions.new(words, reserved)
  local self = setmetatable({ names = {}, edges = {} }, Exclusions)
  for _, family in ipairs(families) do self[family] = intervals.new(family) end
  for _, list in ipairs { ALWAYS, reserved and {} or RESERVED } do
    for _, network in ipairs(list) do add(self, written.parse(network)) end
  end
  for _, word in ipairs(words or {}) do
    local done, message, errname = add_word(self, word)
    if not done then return nil, message, errname end
  end
  for _, family in ipairs(families) do self.edges[family] = self[family]:edges() end
  return self
end

-- Adds all to the intervals of a family, as excluded, and forgets what is not asked for any more.
function Exclusions:move_to(others, family)
  others:exclude(self[family])
  self[family] = nil
end

-- Whether an address, a list of words, is excluded: an odd number of edges is not behind it.
function Exclusions:has_address(family, words)
  local edges, width = self.edges[family], #words
  local low, high = 0, edges.count / width
  while low < high do
    local middle = floor((low + high) / 2)
    if is_behind(edges.data, middle * width, words) then
      high = middle
    else
      low = middle + 1
    end
  end
  return low % 2 == 1
end

-- Whether the one host of an entry is excluded.
function Exclusions:has(entry)
  if entry.family then return self:has_address(entry.family, entry.first) end
  if entry.address and self:has_address(addresses.v6, entry.address) then return true end
  return self.names[entry.name] ~= nil
end

-- ---- as networks ----

-- The largest network that begins with an address and does not end behind another one: its bits and
-- its last address.
local function largest(family, first, last)
  local bits, ends = family.bits, first
  while bits > 0 do
    local from, to = addresses.network(first, bits - 1)
    if not is_equal(from, first) or is_behind(to, 1, last) then break end
    bits, ends = bits - 1, to
  end
  return bits, ends
end

local function add_networks(list, family, first, last)
  while first and not is_behind(first, 1, last) do
    local bits, ends = largest(family, first, last)
    list[#list + 1] = format("%s/%d", family.text(first), bits)
    first = addresses.after(ends)
  end
end

-- All excluded addresses as a list of networks, for the option deny of sessions.
function Exclusions:networks()
  local list = {}
  for _, family in ipairs(families) do
    local edges, width = self.edges[family], family.words
    for at = 0, edges.count - 1, 2 * width do
      local first = addresses.at(edges.data, at, width)
      local _, last = addresses.network(first, 0)
      if at + width < edges.count then
        last = addresses.before(addresses.at(edges.data, at + width, width))
      end
      add_networks(list, family, first, last)
    end
  end
  return list
end

return exclusions
