-- SPDX-License-Identifier: MIT
-- Rectangles of names. A host is all that was written with the same name, on however many lines, so
-- that one process owns it whole; its ports are those of its first line, then those of the next.
-- Where every name stands alone, as nearly always, only the names of each rectangle are kept.
local ffi = require "ffi"
local min = math.min

local addresses = require "tcpmulti.targets.addresses"
local fnv = require "tcpmulti.targets.fnv"
local vector = require "tcpmulti.targets.vector"

local named_hosts = {}
local Rectangle = {}
Rectangle.__index = Rectangle

-- All names are there already.
function Rectangle.close() end

-- The name that has a host's port at an index, and the port's index in the set of that name.
local function find(self, host, index)
  local low = self.places[host]
  if not self.order then return low, index end
  local before = self.before
  local port = before[low] + index
  local high = min(low + self.ports, self.names.count) - 1
  while low < high do
    local middle = math.floor((low + high + 1) / 2)
    if before[middle] <= port then low = middle else high = middle - 1 end
  end
  return self.order[low], port - before[low]
end

-- Host number n, from 0 on, and one of its ports by an index -> its text, the key of its network, a
-- set, the index in that set, the line of JSON that names this port.
function Rectangle:host(n, index)
  local name, at = find(self, n, index)
  local text, set, line = self.names:get(name)
  local family, first = nil, nil
  if line then family, first = addresses.parse(text) end
  if not family then return text, text, set, at, line end
  local _, network = family.host(ffi.new("uint32_t[4]", first), 0, 0)
  return text, network, set, at, line
end

function Rectangle:hash(hash, sets)
  hash = fnv.number(fnv.text(hash, "names"), self.ports)
  for n = 0, self.hosts - 1 do
    local index = 0
    repeat
      local name = find(self, n, index)
      hash = self.names:hash(hash, name, sets)
      index = index + sets:size(self.names.sets[name])
    until index == self.ports
  end
  return hash
end

-- The first name of the same text, for each name; nil: there are no two of one text.
local function find_heads(names, slots)
  local heads, is_shared = ffi.new("uint32_t[?]", names.count), false
  for n = 0, names.count - 1 do
    local head = slots:add(n)
    heads[n], is_shared = head or n, is_shared or head ~= nil
  end
  return is_shared and heads or nil
end

-- The names in their order, but each behind the others of its host.
local function order_by_host(names, heads)
  local count = names.count
  local order, places = ffi.new("uint32_t[?]", count), ffi.new("uint32_t[?]", count)
  for n = 0, count - 1 do places[heads[n]] = places[heads[n]] + 1 end
  local at = 0
  for n = 0, count - 1 do
    if heads[n] == n then places[n], at = at, at + places[n] end
  end
  for n = 0, count - 1 do
    local head = heads[n]
    order[places[head]], places[head] = n, places[head] + 1
  end
  return order
end

-- How many ports stand before each name in an order.
local function count_before(names, sets, order)
  local before, total = ffi.new("double[?]", names.count), 0
  for i = 0, names.count - 1 do
    before[i], total = total, total + sets:size(names.sets.data[order[i]])
  end
  return before
end

local function add_host(by_ports, ports, place)
  local places = by_ports[ports]
  if not places then
    places = vector.new "uint32_t"
    by_ports[ports] = places
  end
  places:push(place)
end

-- The places of the hosts in the order, or, without one, their names; by their number of ports.
local function group(names, sets, heads, order)
  local by_ports, i = {}, 0
  while i < names.count do
    local first, ports = i, 0
    repeat
      ports = ports + sets:size(names.sets.data[order and order[i] or i])
      i = i + 1
    until not order or i == names.count or heads[order[i]] ~= heads[order[first]]
    add_host(by_ports, ports, first)
  end
  return by_ports
end

-- The rectangles by their number of ports. slots: an empty table of names by their texts. The
-- arrays of the names are vectors still.
function named_hosts.rectangles(names, sets, slots)
  local heads = find_heads(names, slots)
  local order = heads and order_by_host(names, heads)
  local before = order and count_before(names, sets, order)
  local rectangles = {}
  for ports, places in pairs(group(names, sets, heads, order)) do
    rectangles[ports] = setmetatable({ names = names, ports = ports, hosts = places.count,
      places = places:trimmed(), order = order, before = before }, Rectangle)
  end
  return rectangles
end

return named_hosts
