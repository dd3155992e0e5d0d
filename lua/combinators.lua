-- Filters made of functions and of other filters. Each has the methods that a script's own filter
-- has; records between the stages of a stack are any values but nil.
--
-- A stage may also have spread(record), which gives a list of records for the stage below, where
-- put could give one only.
local core = ...
local format, sub = string.format, string.sub

local combinators = {}
core.combinators = combinators

-- What tostring says of a filter.
local function named(name)
  return function() return "tcpmulti filter " .. name end
end

-- ---- values that wait ----

local function push(queue, ...)
  for i = 1, select("#", ...) do
    local value = (select(i, ...))
    if value ~= nil then
      queue.last = queue.last + 1
      queue[queue.last] = value
    end
  end
end

local function pop(queue)
  if queue.first > queue.last then return nil end
  local value = queue[queue.first]
  queue[queue.first] = nil
  queue.first = queue.first + 1
  return value
end

local function new_queue() return { first = 1, last = 0 } end

-- What waits, as far as it is bytes.
local function bytes_of(queue)
  local strings = {}
  for i = queue.first, queue.last do
    if type(queue[i]) == "string" then strings[#strings + 1] = queue[i] end
  end
  return table.concat(strings)
end

local function join(list)
  for i, record in ipairs(list) do
    if type(record) ~= "string" and type(record) ~= "number" then
      return nil, format("record %d is a %s, not a string", i, type(record))
    end
  end
  return table.concat(list)
end

-- ---- map and grep ----

-- The class of both: on_get(function, record) gives the records that one becomes.
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
      push(self.ready, on_get(self.get, record))
    end
  end

  function class:spread(record)
    local list = new_queue()
    push(list, on_get(self.change, record))
    return list
  end

  function class:put(record) return join(self:spread(record)) end

  function class:pending() return bytes_of(self.ready) .. bytes_of(self.input) end

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
  if self.check_put and #list ~= self.size then
    return nil, format("a list of %d records expected, not of %d", self.size, #list)
  end
  return list
end

function record_block:put(list)
  local records, message = self:spread(list)
  if not records then return nil, message end
  return join(records)
end

function record_block:pending() return bytes_of(self.input) end

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

-- One record is taken from below only when a stage has none left, so that what pending cannot
-- show is at most what became of one record.
local function pull(stages, level)
  while true do
    local record, message, errname = stages[level]:get_one()
    if record ~= nil or message ~= nil or level == 1 then return record, message, errname end
    local below, problem, name = pull(stages, level - 1)
    if below == nil then return nil, problem, name end
    stages[level]:feed(below)
  end
end

function stack:get_one() return pull(self.stages, #self.stages) end

-- The records that a list becomes, one stage down.
local function put_list(stage, records)
  local below = new_queue()
  for _, record in ipairs(records) do
    local list, message, errname
    if stage.spread then
      list, message, errname = stage:spread(record)
    else
      local one
      one, message, errname = stage:put(record)
      list = one ~= nil and { one } or nil
    end
    if not list then
      return nil, message or "a filter of the stack refused the record", errname
    end
    push(below, unpack(list, 1, #list))
  end
  return below
end

function stack:put(record)
  local records = { record }
  for level = #self.stages, 1, -1 do
    local message, errname
    records, message, errname = put_list(self.stages[level], records)
    if not records then return nil, message, errname end
  end
  return join(records)
end

function stack:pending()
  local first = self.stages[1]
  return first.pending and first:pending() or ""
end

function stack:clone()
  local stages = {}
  for i, stage in ipairs(self.stages) do stages[i] = stage:clone() end
  return setmetatable({ stages = stages }, stack)
end

function combinators.stack(stages) return stack.clone { stages = stages } end

-- ---- block with a length that functions read and write ----

local codec_block = {}
codec_block.__index = codec_block
codec_block.__tostring = named "block"

local MAX_LENGTH = 16777216
local MAX_HEADER = 64 -- no length field needs more

function codec_block:feed(bytes)
  self.parts[#self.parts + 1] = bytes
  self.held = self.held + #bytes
end

local function joined(self)
  local bytes = table.concat(self.parts)
  self.parts = { bytes }
  return bytes
end

-- Reads the header, if it is there; sets need, the bytes of the whole record.
local function read_header(self)
  local length, header = self.decode(joined(self))
  if length == nil then
    if header ~= nil then return nil, tostring(header) end
    if self.held > MAX_HEADER then return nil, "no length in the first bytes" end
    return false
  end
  if type(length) ~= "number" or length < 0 or length ~= math.floor(length)
    or type(header) ~= "number" or header < 0 or header > self.held then
    return nil, "decode gave an impossible length"
  end
  if length > self.max_length then
    return nil, format("a length of %.0f, the limit is %.0f", length, self.max_length), "ETOOLONG"
  end
  self.header_length, self.need = header, header + length
  return true
end

function codec_block:get_one()
  if not self.need then
    if self.held == 0 then return nil end
    local found, message, errname = read_header(self)
    if not found then return nil, message, errname end
  end
  if self.held < self.need then return nil end
  local bytes = joined(self)
  local record = sub(bytes, self.header and 1 or self.header_length + 1, self.need)
  self.parts = { sub(bytes, self.need + 1) }
  self.held = self.held - self.need
  self.need = nil
  return record
end

function codec_block:put(record)
  if type(record) ~= "string" then
    return nil, format("a string expected, not a %s", type(record))
  end
  if self.header then return record end
  local header = self.encode(#record)
  if type(header) ~= "string" then
    return nil, format("encode gave a %s, not a string", type(header))
  end
  return header .. record
end

function codec_block:pending() return joined(self) end

function codec_block:clone()
  return setmetatable({
    encode = self.encode,
    decode = self.decode,
    header = self.header,
    max_length = self.max_length,
    parts = {},
    held = 0,
  }, codec_block)
end

function combinators.codec_block(options)
  return codec_block.clone {
    encode = options.length_codec[1],
    decode = options.length_codec[2],
    header = options.header,
    max_length = options.max_length or MAX_LENGTH,
  }
end
