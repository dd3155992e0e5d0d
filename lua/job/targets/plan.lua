-- SPDX-License-Identifier: MIT
-- A plan: all targets of a run as a numbered set. Hosts with the same number of ports form a
-- rectangle of hosts times ports; the targets of a rectangle are numbered one after the other, host
-- by host. So the target of a number is found by arithmetic, and is the same on all machines.
local format = string.format
local sort = table.sort

local addresses = require "tcpmulti.targets.addresses"
local exclusions = require "tcpmulti.targets.exclusions"
local fnv = require "tcpmulti.targets.fnv"
local intervals = require "tcpmulti.targets.intervals"
local lines = require "tcpmulti.targets.lines"
local names = require "tcpmulti.targets.names"
local permutation = require "tcpmulti.permutation"
local ports = require "tcpmulti.targets.ports"
local reading = require "tcpmulti.targets.reading"
local rectangles = require "tcpmulti.targets.rectangle"
local walker = require "tcpmulti.targets.walker"

local plan = {}
local Plan = {}
Plan.__index = Plan

local VERSION = "tcpmulti plan 1\n"
local MOST = 2 ^ 53 - 1
local MOST_PUBLIC = 65536 -- addresses without an exclusion
local LAST_V4 = 2 ^ 32 - 1
local WORD = 2 ^ 32
local families = { addresses.v4, addresses.v6 }

-- Addresses whose owner knows why they are asked.
local PRIVATE = { "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
  "192.168.0.0/16", "::1/128", "fc00::/7", "fe80::/10" }

-- ---- reading ----

-- Collects targets while they are read: intervals by family, names, and counters.
local function new_collection(options, sets, excluded)
  local collection = { names = names.new(options.duplicates == "keep"), rectangles = {},
    sets = sets, exclusions = excluded, duplicates = 0, excluded = 0, public = 0 }
  for _, family in ipairs(families) do collection[family] = intervals.new(family) end
  for _, network in ipairs(PRIVATE) do
    local family, first, last = addresses.parse(network)
    collection[family]:add(first, last, intervals.PRIVATE)
  end
  return collection
end

local function collect(collection, entry)
  if not entry.name then
    collection[entry.family]:add(entry.first, entry.last, entry.set)
  elseif collection.exclusions:has(entry) then
    collection.excluded = collection.excluded + collection.sets:size(entry.set)
  elseif not collection.names:add(entry.name, entry.set, entry.line) then
    collection.duplicates = collection.duplicates + collection.sets:size(entry.set)
  end
end

-- A reader for lines.read. source: the place that malformed lines are named with.
local function new_reader(collection, read, source)
  local reader, default = {}, read.default
  local v4 = collection[addresses.v4]

  function reader.line(_, text, number)
    local entry, message = read:parse(text)
    if not entry then return read:reject(source, number, text, message) end
    collect(collection, entry)
  end

  function reader.address(_, address, port, number)
    local set = port > 0 and port or default
    if not set then
      read:reject(source, number, addresses.v4.text { address }, reading.NO_PORT)
    elseif address == LAST_V4 then
      v4:add({ address }, { address }, set)
    else
      v4:add_v4(address, set)
    end
  end

  function reader.too_long(_, text, number)
    read:reject(source, number, text, "longer than any target")
  end

  return reader
end

local function read_sources(collection, read, sources)
  for _, source in ipairs(sources) do
    local path = source.path
    local place = path == "-" and "standard input" or path or "argument"
    local reader = new_reader(collection, read, place)
    for number, word in ipairs(source.words or {}) do reader:line(word, number) end
    if path then
      local done, message, errname = lines.read(path, reader)
      if not done then return nil, message, errname end
    end
  end
  return true
end

-- ---- numbering ----

-- by_ports: rectangles by the number of ports of their hosts.
local function append(self, by_ports)
  local sizes = {}
  for size in pairs(by_ports) do sizes[#sizes + 1] = size end
  sort(sizes)
  for _, size in ipairs(sizes) do
    local rectangle = by_ports[size]
    rectangle:close()
    rectangle.base, rectangle.size = self.total, rectangle.hosts * size
    self[#self + 1] = rectangle
    self.total, self.hosts = self.total + rectangle.size, self.hosts + rectangle.hosts
  end
end

local function number_targets(self, collection)
  for _, family in ipairs(families) do
    collection.rectangles = {}
    collection.exclusions:move_to(collection[family], family)
    collection[family]:sweep(self.sets, collection)
    append(self, collection.rectangles)
  end
  append(self, collection.names:close(self.sets))
  self.duplicates, self.excluded = collection.duplicates, collection.excluded
end

-- The problem with the number of targets, or nil.
local function find_excess(self, collection, options)
  if self.total > MOST then
    return format("%.0f targets are more than %.0f", self.total, MOST), "E2BIG"
  end
  if collection.public > MOST_PUBLIC and not options.exclude then
    return format("%.0f public addresses: more than %d need an exclusion, be it an empty file",
      collection.public, MOST_PUBLIC), "EINVAL"
  end
end

-- The order and the keys follow from the targets themselves, and from the seed.
local function set_order(self, options)
  local hash = fnv.text(fnv.START, VERSION)
  for _, rectangle in ipairs(self) do hash = rectangle:hash(hash, self.sets) end
  hash = fnv.text(fnv.text(hash, "order " .. self.order), "\nseed " .. tostring(options.seed or ""))
  self.id, self.k0, self.k1 = fnv.hex(hash), fnv.words(hash)
  if self.order == "sequential" then return end
  for i, rectangle in ipairs(self) do
    rectangle.host_order = permutation.new(rectangle.hosts, self.k0, (self.k1 + i) % WORD)
    rectangle.port_order = permutation.new(rectangle.ports, self.k1, (self.k0 + i) % WORD)
  end
end

local function check_options(sources, options)
  if type(sources) ~= "table" then error("targets.plan: a list of sources expected", 3) end
  if options.order and options.order ~= "random" and options.order ~= "sequential" then
    error("targets.plan: order is 'random' or 'sequential'", 3)
  end
  if options.duplicates and options.duplicates ~= "drop" and options.duplicates ~= "keep" then
    error("targets.plan: duplicates is 'drop' or 'keep'", 3)
  end
end

-- See targets.plan.
function plan.new(sources, options)
  check_options(sources, options)
  local self = setmetatable({ sets = ports.sets(), total = 0, hosts = 0,
    order = options.order or "random" }, Plan)
  local ranges, message, errname
  if options.ports then
    ranges, message = ports.parse(options.ports)
    if not ranges then return nil, "ports: " .. message, "EINVAL" end
  end
  local excluded, done
  excluded, message, errname = exclusions.new(options.exclude, options.reserved)
  if not excluded then return nil, message, errname end
  local read = reading.new(self.sets, ranges and self.sets:add(ranges))
  local collection = new_collection(options, self.sets, excluded)
  done, message, errname = read_sources(collection, read, sources)
  if not done then return nil, message, errname end
  number_targets(self, collection)
  message, errname = find_excess(self, collection, options)
  if message then return nil, message, errname end
  self.malformed, self.malformed_count = read.malformed, read.count
  self.exclusions = excluded
  set_order(self, options)
  self.sets:close()
  return self
end

-- ---- asking ----

-- The host of target number g, its port, the object of its line of JSON or nil, and the key of its
-- network.
function Plan:target(g)
  local rectangle = rectangles.find(self, g)
  if not rectangle then error("plan: there is no target of this number", 2) end
  local place = g - rectangle.base
  local index = place % rectangle.ports
  local host, network, set, at, line = rectangle:host((place - index) / rectangle.ports, index)
  local input = line and require "tcpmulti.json".decode(line) or nil
  return host, self.sets:port(set, at), input, network
end

-- All excluded addresses as a list of networks, for the option deny of sessions.
function Plan:denied() return self.exclusions:networks() end

-- The targets of process j, from 0 on, of J processes.
function Plan:walker(j, J)
  if type(j) ~= "number" or type(J) ~= "number" or not (j >= 0 and j < J) or j % 1 + J % 1 ~= 0 then
    error("plan: process j of J: 0 <= j < J, both whole", 2)
  end
  return walker.new(self, j, J)
end

return plan
