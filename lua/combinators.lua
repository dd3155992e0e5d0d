-- SPDX-License-Identifier: MIT
-- Filters made of functions and of other filters. Each has the methods that a script's own filter
-- has; a record between two stages of a stack is any value but nil.
--
-- A stage may have more methods. spread(record) returns a list of records for the stage below, and
-- their number, where put can return one record only. __release() forgets the bytes that pending
-- shows, and nothing else. __swallow() returns the byte that is to be dropped if it comes next; the
-- caller then drops that byte, and __swallowed(came) tells the stage whether it has come. A stage
-- without these methods is replaced by a new clone when its bytes are taken back.
local shared = ...
local format = string.format

local combinators = {}
shared.combinators = combinators

-- A __tostring for a filter of this name.
local function named(name)
  return function() return "tcpmulti filter " .. name end
end

-- ---- values that wait ----

local function new_queue() return { first = 1, last = 0 } end

local function push(queue, value)
  if value == nil then return end
  local last = queue.last + 1
  queue[last], queue.last = value, last
end

-- Pushes the results of a function, mostly one.
local function push_all(queue, ...)
  local count = select("#", ...)
  if count <= 1 then return push(queue, (...)) end
  local values = { ... }
  for i = 1, count do push(queue, values[i]) end
end

local function pop(queue)
  local first = queue.first
  if first > queue.last then return nil end
  local value = queue[first]
  queue[first] = nil
  queue.first = first + 1
  if first == queue.last then queue.first, queue.last = 1, 0 end
  return value
end

-- The strings in the queue, joined.
local function bytes_of(queue)
  local strings, count = {}, 0
  for i = queue.first, queue.last do
    if type(queue[i]) == "string" then
      count = count + 1
      strings[count] = queue[i]
    end
  end
  return table.concat(strings)
end

-- The first count records, joined; nil, message if one of them is neither string nor number.
local function join(list, count)
  for i = 1, count do
    local kind = type(list[i])
    if kind ~= "string" and kind ~= "number" then
      return nil, format("record %d is a %s, not a string", i, kind)
    end
  end
  return table.concat(list, "", 1, count)
end

-- ---- map and grep ----

-- The class of map and of grep. on_get(f, record) returns the records that one record becomes.
local function function_stage(name, on_get)
  local class = {}
  class.__index = class
  class.__tostring = named(name)

  function class:feed(record) push(self.input, record) end

  function class:get_one()
    while true do
      local ready = pop(self.ready)
      if ready ~= nil then return ready end
      local record = pop(self.input)
      if record == nil then return nil end
      push_all(self.ready, on_get(self.get, record))
    end
  end

  function class:spread(record)
    local list = new_queue()
    push_all(list, on_get(self.change, record))
    return list, list.last
  end

  function class:put(record) return join(self:spread(record)) end

  function class:pending() return bytes_of(self.ready) .. bytes_of(self.input) end

  function class:__release() self.ready, self.input = new_queue(), new_queue() end

  function class:clone()
    return setmetatable({
      get = self.get,
      change = self.change,
      input = new_queue(),
      ready = new_queue(),
    }, class)
  end

  return function(get, put)
    return class.clone { get = get, change = put }
  end
end

combinators.map = function_stage("map", function(change, record)
  if change then return change(record) end
  return record
end)

combinators.grep = function_stage("grep", function(keep, record)
  if not keep or keep(record) then return record end
end)

-- ---- record_block: lists of n records ----

local record_block = {}
record_block.__index = record_block
record_block.__tostring = named "record_block"

function record_block:feed(record) push(self.input, record) end

function record_block:get_one()
  if self.input.last - self.input.first + 1 < self.size then return nil end
  local list = {}
  for i = 1, self.size do list[i] = pop(self.input) end
  return list
end

function record_block:spread(list)
  if type(list) ~= "table" then
    return nil, format("a list of records expected, not a %s", type(list))
  end
  local count = table.maxn(list)
  for i = 1, count do
    if list[i] == nil then return nil, format("record %d of %d is nil", i, count) end
  end
  if self.check_put and count ~= self.size then
    return nil, format("a list of %d records expected, not of %d", self.size, count)
  end
  return list, count
end

function record_block:put(list)
  local records, count = self:spread(list)
  if not records then return nil, count end
  return join(records, count)
end

function record_block:pending() return bytes_of(self.input) end

function record_block:__release() self.input = new_queue() end

function record_block:clone()
  return setmetatable({
    size = self.size,
    check_put = self.check_put,
    input = new_queue(),
  }, record_block)
end

function combinators.record_block(size, check_put)
  return record_block.clone { size = size, check_put = check_put }
end

-- ---- stack: the first filter is nearest to the connection ----

local stack = {}
stack.__index = stack
stack.__tostring = named "stack"

function stack:feed(bytes) self.stages[1]:feed(bytes) end

-- A stage takes a record from the stage below only when it has none left itself. So at most the
-- parts of one record are inside the upper stages, where pending cannot show them.
local function pull(stages, level)
  while true do
    local record, message, errname = stages[level]:get_one()
    if record ~= nil or message ~= nil or level == 1 then return record, message, errname end
    local below, problem, name = pull(stages, level - 1)
    if below == nil then return nil, problem, name end
    stages[level]:feed(below)
  end
end

-- After the end of the input. A stage is told of it when all records from below have passed through
-- it; told is the number of stages that know.
local function pull_last(self)
  local stages = self.stages
  while true do
    local record, message, errname = pull(stages, #stages)
    local level = self.told + 1
    if record ~= nil or message ~= nil or level > #stages then return record, message, errname end
    self.told = level
    if stages[level].finish then record, message, errname = stages[level]:finish() end
    if record == nil and message ~= nil then return nil, message, errname end
    if level == #stages then return record end
    if record ~= nil then stages[level + 1]:feed(record) end
  end
end

function stack:get_one()
  if self.told then return pull_last(self) end
  return pull(self.stages, #self.stages)
end

function stack:finish()
  self.told = 0
  return pull_last(self)
end

-- Adds to the queue below the records that one record becomes one stage down. nil, message,
-- errname: the stage refuses the record.
local function put_one(stage, record, below)
  if not stage.spread then
    local one, message, errname = stage:put(record)
    if one == nil then return nil, message, errname end
    push(below, one)
    return true
  end
  local list, count, errname = stage:spread(record)
  if not list then return nil, count, errname end
  for i = 1, count do push(below, list[i]) end
  return true
end

function stack:put(record)
  local records = new_queue()
  push(records, record)
  for level = #self.stages, 1, -1 do
    local below = new_queue()
    for i = 1, records.last do
      local taken, message, errname = put_one(self.stages[level], records[i], below)
      if not taken then
        return nil, message or "a filter of the stack refused the record", errname
      end
    end
    records = below
  end
  return join(records, records.last)
end

function stack:pending()
  local first = self.stages[1]
  return first.pending and first:pending() or ""
end

-- A stack whose first stage can give its bytes back; the other stages keep theirs.
local lending = setmetatable({}, { __index = stack })
lending.__index, lending.__tostring = lending, stack.__tostring

function lending:__release() self.stages[1]:__release() end

function lending:__swallow()
  local first = self.stages[1]
  return first.__swallow and first:__swallow()
end

function lending:__swallowed(came) self.stages[1]:__swallowed(came) end

function stack:clone()
  local stages = {}
  for i, stage in ipairs(self.stages) do stages[i] = stage:clone() end
  return setmetatable({ stages = stages }, stages[1].__release and lending or stack)
end

function combinators.stack(stages) return stack.clone { stages = stages } end
