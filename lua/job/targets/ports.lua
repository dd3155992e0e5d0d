-- SPDX-License-Identifier: MIT
-- Ports as texts like "22,80,8000-8100,https", and sets of them. A set of one port is the port's
-- number; any other one is a number above 65,535, by which a registry knows its ranges.
local open = require "io".open
local concat, sort = table.concat, table.sort
local floor, max = math.floor, math.max
local format, gmatch = string.format, string.gmatch
local gsub, lower, match, sub = string.gsub, string.lower, string.match, string.sub

local fnv = require "tcpmulti.targets.fnv"

local ports = {}

local MOST = 65535
local RANGE = 65536 -- a range is first * RANGE + last, so that ranges sort like their first ports
local MOST_CACHED = 8 -- sets whose union is remembered

-- ---- texts ----

local services -- names of TCP services; false: not yet read

local function read_services()
  services = {}
  local file = open "/etc/services"
  if not file then return end
  for line in file:lines() do
    local first, port, others = match(gsub(line, "#.*", ""), "^(%S+)%s+(%d+)/tcp%s*(.*)$")
    for name in gmatch((first or "") .. " " .. (others or ""), "%S+") do
      services[name] = services[name] or tonumber(port)
    end
  end
  file:close()
end

local function service(name)
  if not services then read_services() end
  return services[name] or services[lower(name)]
end

-- One word of a list of ports -> its first and its last port; nil, message.
local function read_word(word)
  local first, last = match(word, "^(%d+)%-(%d+)$")
  first = first or match(word, "^%d+$") or service(word)
  first = tonumber(first)
  last = tonumber(last) or first
  if not first then return nil, format("'%s' is neither a port nor a service", sub(word, 1, 64)) end
  if first < 1 or last > MOST then
    return nil, format("'%s' is not within 1-%d", sub(word, 1, 64), MOST)
  end
  if first > last then return nil, format("'%s' ends before it begins", sub(word, 1, 64)) end
  return first, last
end

-- Sorts ranges, and joins those that touch.
local function join(ranges)
  sort(ranges)
  local joined = {}
  for _, range in ipairs(ranges) do
    local first, last = floor(range / RANGE), range % RANGE
    local before = joined[#joined]
    if before and before % RANGE + 1 >= first then
      joined[#joined] = before - before % RANGE + max(before % RANGE, last)
    else
      joined[#joined + 1] = range
    end
  end
  return joined
end

-- A text -> ranges, sorted and apart from each other; nil, message.
function ports.parse(text)
  local ranges = {}
  for word in gmatch(text .. ",", " *([^,]*),") do
    local first, last = read_word(word)
    if not first then return nil, last end
    ranges[#ranges + 1] = first * RANGE + last
  end
  return join(ranges)
end

-- The ranges as a sorted list of ports.
function ports.list(ranges)
  local list = {}
  for _, range in ipairs(ranges) do
    for port = floor(range / RANGE), range % RANGE do list[#list + 1] = port end
  end
  return list
end

-- ---- sets ----

local Sets = {}
Sets.__index = Sets

function ports.sets()
  return setmetatable({ by_text = {}, unions = {}, count = 0 }, Sets)
end

-- The text of ranges as everybody would write it.
local function text_of(ranges)
  local words = {}
  for i, range in ipairs(ranges) do
    local first, last = floor(range / RANGE), range % RANGE
    words[i] = first == last and format("%d", first) or format("%d-%d", first, last)
  end
  return concat(words, ",")
end

-- A set with its ranges, the place of each range's first port among all ports, their number and a
-- hash.
local function new_set(text, ranges)
  local starts, size = {}, 0
  for i, range in ipairs(ranges) do
    starts[i] = size
    size = size + range % RANGE - floor(range / RANGE) + 1
  end
  local high, low = fnv.words(fnv.text(fnv.START, text))
  return { ranges = ranges, starts = starts, size = size, high = high, low = low }
end

-- The set of these ranges, as ports.parse gives them.
function Sets:add(ranges)
  local first = floor(ranges[1] / RANGE)
  if #ranges == 1 and first == ranges[1] % RANGE then return first end
  local text = text_of(ranges)
  local set = self.by_text[text]
  if not set then
    self.count = self.count + 1
    set = MOST + self.count
    self.by_text[text], self[set] = set, new_set(text, ranges)
  end
  return set
end

local function join_sets(self, list, count)
  local ranges = {}
  for i = 1, count do
    local set = list[i]
    if set <= MOST then
      ranges[#ranges + 1] = set * RANGE + set
    else
      for _, range in ipairs(self[set].ranges) do ranges[#ranges + 1] = range end
    end
  end
  return self:add(join(ranges))
end

-- The union of the first count sets of a list.
function Sets:union(list, count)
  if count == 1 then return list[1] end
  if count > MOST_CACHED then return join_sets(self, list, count) end
  local key = concat(list, ",", 1, count)
  local set = self.unions[key]
  if not set then
    set = join_sets(self, list, count)
    self.unions[key] = set
  end
  return set
end

-- How many ports a set has.
function Sets:size(set) return set <= MOST and 1 or self[set].size end

-- The port at an index, from 0 on.
function Sets:port(set, index)
  if set <= MOST then return set end
  local ranges, starts = self[set].ranges, self[set].starts
  local low, high = 1, #ranges
  while low < high do
    local middle = floor((low + high + 1) / 2)
    if starts[middle] <= index then low = middle else high = middle - 1 end
  end
  return floor(ranges[low] / RANGE) + index - starts[low]
end

-- Adds a set to a hash: the same for equal sets, however they were made.
function Sets:hash(hash, set)
  if set <= MOST then return fnv.word(hash, set) end
  return fnv.word(fnv.word(hash, self[set].high), self[set].low)
end

-- Forgets what only planning needs.
function Sets:close() self.by_text, self.unions = nil, nil end

return ports
