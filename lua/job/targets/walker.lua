-- SPDX-License-Identifier: MIT
-- Walks the targets of one process. Process j of J owns the hosts at the places j, j + J, … of each
-- rectangle's permutation, with all their ports, so that what is limited by host needs no agreement
-- between processes. It asks one port of each host before the second one of any; in one round the
-- hosts are asked different ports. Rectangles are mixed in proportion to their sizes.
local floor = math.floor

local marks = require "tcpmulti.targets.marks"
local permutation = require "tcpmulti.permutation"
local rectangles = require "tcpmulti.targets.rectangle"

local walker = {}
local Walker = {}
Walker.__index = Walker

-- Shares: of each rectangle the hosts that this process owns. base: the first of the share's places
-- among all of the walker; at: the next one in the share.
local function new_share(rectangle, base, j, J)
  local own = j < rectangle.hosts and floor((rectangle.hosts - 1 - j) / J) + 1 or 0
  local size = own * rectangle.ports
  return { rectangle = rectangle, own = own, base = base, size = size, at = 0,
    marks = marks.new(size) }
end

function walker.new(plan, j, J)
  local self = setmetatable({ plan = plan, j = j, J = J, total = 0, done = 0 }, Walker)
  for i, rectangle in ipairs(plan) do
    self[i] = new_share(rectangle, self.total, j, J)
    self.total = self.total + self[i].size
  end
  return self
end

-- How far the hosts' orders of ports are turned against each other.
local function turn(plan, host) return permutation.hash(host, plan.k1, plan.k0) end

-- The number of the target at a place of a share.
local function number_at(self, share, place)
  local plan, rectangle = self.plan, share.rectangle
  local k = place % share.own
  local index, host = (place - k) / share.own, self.j + self.J * k
  if plan.order == "random" then
    host = rectangle.host_order:at(host)
    if rectangle.ports == 1 then return rectangle.base + host end
    index = (rectangle.port_order:at(index) + turn(plan, host)) % rectangle.ports
  end
  return rectangle.base + host * rectangle.ports + index
end

local function host_place(plan, rectangle, host)
  return plan.order == "sequential" and host or rectangle.host_order:place(host)
end

-- The other way round: the place of a target in its share; nil: another process owns it.
local function place_of(self, share, g)
  local plan, rectangle = self.plan, share.rectangle
  local index = (g - rectangle.base) % rectangle.ports
  local host = (g - rectangle.base - index) / rectangle.ports
  local at, round = host_place(plan, rectangle, host), index
  if plan.order ~= "sequential" then
    round = rectangle.port_order:place((index - turn(plan, host)) % rectangle.ports)
  end
  if at % self.J ~= self.j then return nil end
  return round * share.own + (at - self.j) / self.J
end

-- The share that is least far; nil: all are at their ends.
local function least_share(self)
  local best, least = nil, 1
  for i = 1, #self do
    local share = self[i]
    if share.at < share.size and share.at / share.size < least then
      best, least = share, share.at / share.size
    end
  end
  return best
end

-- The number of the next target and its place; nil: there is none any more. Passes over those that
-- are done.
function Walker:next()
  while true do
    local share = least_share(self)
    if not share then return nil end
    local place = share.at
    share.at = place + 1
    if not share.marks:has(place) then
      return number_at(self, share, place), share.base + place
    end
  end
end

local function mark(self, share, place)
  local is_new = share.marks:add(place)
  if is_new then self.done = self.done + 1 end
  return is_new
end

-- The target at a place, which next has given, is done.
function Walker:finish(place)
  for i = #self, 1, -1 do
    local share = self[i]
    if place >= share.base and share.size > 0 then
      mark(self, share, place - share.base)
      return
    end
  end
end

-- Target number g is done before it was asked for: next passes over it. False, "done": it was done
-- already; false, "elsewhere": another process owns it, or there is none.
function Walker:skip(g)
  local rectangle, i = rectangles.find(self.plan, g)
  local place = rectangle and place_of(self, self[i], g)
  if not place then return false, "elsewhere" end
  if not mark(self, self[i], place) then return false, "done" end
  return true
end

-- The process that owns target number g, of so many; nil: there is no such target.
function Walker:owner(g, processes)
  local rectangle = rectangles.find(self.plan, g)
  if not rectangle then return nil end
  local host = (g - rectangle.base - (g - rectangle.base) % rectangle.ports) / rectangle.ports
  return host_place(self.plan, rectangle, host) % processes
end

return walker
