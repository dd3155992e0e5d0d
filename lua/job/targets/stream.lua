-- SPDX-License-Identifier: MIT
-- Targets from a pipe: each line is parsed when it comes, in its order, and nothing is kept of it.
-- The number of a target is that of its line; where a line has several, "LINE.1", "LINE.2", ….
local ffi = require "ffi"
local format = string.format

local addresses = require "tcpmulti.targets.addresses"
local exclusions = require "tcpmulti.targets.exclusions"
local fnv = require "tcpmulti.targets.fnv"
local lines = require "tcpmulti.targets.lines"
local ports = require "tcpmulti.targets.ports"
local reading = require "tcpmulti.targets.reading"

local stream = {}
local Stream = {}
Stream.__index = Stream

local VERSION = "tcpmulti stream 1\n"
local MOST = 65536 -- targets of one line

-- The id says how the lines are read, as the lines are not known.
local function id_of(options, ranges)
  local hash = fnv.text(fnv.START, VERSION)
  for _, range in ipairs(ranges or {}) do hash = fnv.word(hash, range) end
  for _, word in ipairs(options.exclude or {}) do
    hash = fnv.text(fnv.word(hash, #word), word)
  end
  hash = fnv.text(hash, options.reserved and "reserved\nseed " or "\nseed ")
  return fnv.hex(fnv.text(hash, tostring(options.seed or "")))
end

-- See targets.stream.
function stream.new(options)
  local j, J = options.process or 0, options.processes or 1
  local is_all = options.process == nil
  if not (j >= 0 and j < J) or j % 1 + J % 1 ~= 0 then
    error("targets.stream: process j of J: 0 <= j < J, both whole", 3)
  end
  local ranges, excluded, message, errname
  if options.ports then
    ranges, message = ports.parse(options.ports)
    if not ranges then return nil, "ports: " .. message, "EINVAL" end
  end
  excluded, message, errname = exclusions.new(options.exclude, options.reserved)
  if not excluded then return nil, message, errname end
  return setmetatable({ id = id_of(options, ranges), ranges = ranges, exclusions = excluded,
    process = not is_all and j or nil, processes = J, excluded = 0 }, Stream)
end

-- The process that asks the targets of an entry: a host as written belongs to one.
local function owner_of(self, entry)
  if self.processes == 1 then return 0 end
  local host = entry.name or entry.family.text(entry.first)
  return tonumber(fnv.text(fnv.START, host) % (self.processes + 0ULL))
end

-- Adds the targets of one host. target: what they have in common.
local function add_host(self, list, sets, set, target, is_excluded)
  for index = 0, sets:size(set) - 1 do
    if is_excluded then
      self.excluded = self.excluded + 1
    else
      list[#list + 1] = { host = target.host, network = target.network, input = target.input,
        port = sets:port(set, index) }
    end
  end
end

local function add_interval(self, list, sets, entry)
  local words, last = entry.first, entry.last
  while words do
    local host, network = entry.family.host(ffi.new("uint32_t[4]", words), 0, 0)
    add_host(self, list, sets, entry.set, { host = host, network = network, input = entry.input },
      self.exclusions:has_address(entry.family, words))
    words = not addresses.is_equal(words, last) and addresses.after(words) or nil
  end
end

local function count_hosts(entry)
  local count = 0
  for i, word in ipairs(entry.first or {}) do count = count * 2 ^ 32 + entry.last[i] - word end
  return count + 1
end

-- The targets of a line as a list of { host =, port =, number =, network =, input = }, which is
-- empty if they are excluded or another process has them, and the process that owns the line, from
-- 0 on; nil, message. A stream that is of no process has all lines.
function Stream:line(text, number)
  text = lines.strip(text)
  if text == "" then return {} end
  local sets = ports.sets()
  local read = reading.new(sets, self.ranges and sets:add(self.ranges))
  local entry, message = read:parse(text)
  if not entry then return nil, message end
  if count_hosts(entry) * sets:size(entry.set) > MOST then
    return nil, format("a line of a pipe has at most %d targets; put it into a file", MOST)
  end
  local list, owner = {}, owner_of(self, entry)
  if self.process and owner ~= self.process then return list, owner end
  if entry.line then entry.input = require "tcpmulti.json".decode(entry.line) end
  if entry.family then
    add_interval(self, list, sets, entry)
  else
    add_host(self, list, sets, entry.set, { host = entry.name, network = entry.name,
      input = entry.input }, self.exclusions:has(entry))
  end
  for i, target in ipairs(list) do
    target.number = #list == 1 and number or format("%d.%d", number, i)
  end
  return list, owner
end

-- All excluded addresses as a list of networks, for the option deny of sessions.
function Stream:denied() return self.exclusions:networks() end

return stream
