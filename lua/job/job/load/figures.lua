-- SPDX-License-Identifier: MIT
-- The figures of a load: requests that were wanted, answered well or badly, given up; latencies and
-- our own lateness. Requests of the warm-up are in none of them. Handlers only note answers; the
-- notes are added up later, many at once.
local figures = {}
local Figures = {}
Figures.__index = Figures

local MOST_NOTED = 4096 -- answers that wait to be added up
local MOST_KINDS = 100 -- kinds of failures; answers may name any number of them
local OTHER_KINDS = "further kinds"

-- total: the summary. epoch: seconds to add to a time of the monotonic clock. Fields. arrivals:
-- requests that were wanted. done, failed: those that are over. dropped: those that were never sent
-- because they had waited too long; abandoned: because the load was stopped. kinds: of failures.
-- noted: answers in the lists sent, due and over, which are times of the monotonic clock.
function figures.new(total, epoch)
  return setmetatable({
    total = total,
    epoch = epoch,
    arrivals = 0,
    done = 0,
    failed = 0,
    dropped = 0,
    abandoned = 0,
    kinds = 0,
    noted = 0,
    sent = {},
    due = {},
    over = {},
    response = total:histogram "response",
    service = total:histogram "service",
    late = total:histogram "late",
  }, Figures)
end

-- A good answer at the time over.
function Figures:note(due, sent, over)
  local count = self.noted + 1
  self.due[count], self.sent[count], self.over[count], self.noted = due, sent, over, count
  self.done = self.done + 1
  if count == MOST_NOTED then self:add_up() end
end

-- A request has failed; kind: how.
function Figures:fail(kind, over)
  self.done, self.failed = self.done + 1, self.failed + 1
  if not self.total.errors[kind] then
    if self.kinds == MOST_KINDS then kind = OTHER_KINDS else self.kinds = self.kinds + 1 end
  end
  self.total:count_error(kind)
  self.total:count(self.epoch + over, 1, 1)
end

-- Counts the answers of one second together.
local function add_seconds(self)
  local over, epoch, total = self.over, self.epoch, self.total
  local from, second = 1, nil
  for i = 1, self.noted do
    local time = epoch + over[i]
    local its = time - time % 1
    if second and its ~= second then
      total:count(epoch + over[from], 1, 0)
      total:count(epoch + over[i - 1], i - 1 - from, 0)
      from = i
    end
    second = its
  end
  total:count(epoch + over[from], 1, 0)
  total:count(epoch + over[self.noted], self.noted - from, 0)
end

-- Adds up the notes.
function Figures:add_up()
  local due, sent, over = self.due, self.sent, self.over
  local response, service = self.response, self.service
  if self.noted == 0 then return end
  for i = 1, self.noted do
    service:record((over[i] - sent[i]) * 1e6)
    response:record((over[i] - due[i]) * 1e6)
  end
  add_seconds(self)
  self.noted = 0
end

-- Requests that are neither answered nor given up.
function Figures:outstanding() return self.arrivals - self.done - self.dropped - self.abandoned end

return figures
