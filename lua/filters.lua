-- SPDX-License-Identifier: MIT
-- Filters from their specifications, which are names with options, or objects. A built-in filter is
-- userdata that C makes of checked options; every other filter is a table with the methods of one.
local shared, tcpmulti = ...
local check = shared.check
local format = string.format

local length = check.choice {
  u8 = "u8", u16be = "u16be", u16le = "u16le", u24be = "u24be", u24le = "u24le",
  u32be = "u32be", u32le = "u32le", u64be = "u64be", ascii0 = "ascii0", varint = "varint",
}

-- The core's limits.
local MAX_LITERAL, MAX_BLOCK, MAX_OFFSET = 4096, 16777216, 65536

local function literal(value)
  if type(value) ~= "string" or value == "" then return nil, "a string that is not empty" end
  if #value <= MAX_LITERAL then return value end
  return nil, format("at most %d bytes (these are %d)", MAX_LITERAL, #value)
end

local function codec(value)
  if type(value) == "table" and type(value[1]) == "function" and type(value[2]) == "function" then
    return value
  end
  return nil, "a table of two functions, encode and decode"
end

local function integer(value)
  if type(value) == "number" and value == math.floor(value) and math.abs(value) < 2 ^ 31 then
    return value
  end
  return nil, "a whole number"
end

local kinds = {}

-- Makes the userdata, or says why the options do not fit together.
local function built_in(what, kind, options)
  local filter, message = shared.filter(kind, options)
  if not filter then return nil, what .. ": " .. message end
  return filter
end

-- options: as for check.read; example: how they are given; make(what, options): the filter.
kinds.stream = {
  options = {},
  make = function(what) return built_in(what, "stream", {}) end,
}

kinds.netstring = {
  example = "max_length = 100",
  options = { max_length = check.whole(1) },
  make = function(what, options) return built_in(what, "netstring", options) end,
}

kinds.resp = {
  example = "max_length = 100",
  options = { max_length = check.whole(1), max_elements = check.whole(1) },
  make = function(what, options) return built_in(what, "resp", options) end,
}

kinds.line = {
  example = "max_length = 100",
  options = {
    ends = check.choice { any = 0, lf = 1, auto = 2 },
    literal = literal,
    input_literal = literal,
    output_literal = literal,
    max_length = check.whole(1),
  },
  make = function(what, o)
    if o.literal and (o.input_literal or o.output_literal) then
      return nil, what .. ": literal is for both directions; give it or the other two"
    end
    if o.ends and (o.literal or o.input_literal) then
      return nil, what .. ": ends and a literal for the input exclude each other"
    end
    o.input_literal = o.literal or o.input_literal
    o.output_literal = o.literal or o.output_literal
    return built_in(what, "line", o)
  end,
}

kinds.block = {
  example = "block_size = 4",
  options = {
    block_size = check.whole(1, MAX_BLOCK),
    length = length,
    length_codec = codec,
    offset = check.whole(0, MAX_OFFSET),
    adjust = integer,
    header = check.boolean,
    max_length = check.whole(1),
  },
  make = function(what, o)
    local given = (o.block_size and 1 or 0) + (o.length and 1 or 0) + (o.length_codec and 1 or 0)
    if given ~= 1 then
      return nil, what .. ": give one of block_size, length and length_codec"
    end
    if not o.length and (o.offset or o.adjust) then
      return nil, what .. ": offset and adjust go with length"
    end
    if o.block_size and (o.header ~= nil or o.max_length) then
      return nil, what .. ": block_size is all that a block of fixed size takes"
    end
    if o.offset and o.offset > 0 and not o.header then
      return nil, what .. ": offset needs header = true"
    end
    if o.length_codec then return shared.combinators.codec_block(o) end
    o.header = o.header and 1 or 0
    return built_in(what, "block", o)
  end,
}

-- The constructor of a filter that is written in Lua. Most scripts use none of them.
local function shipped(name)
  name = name .. "_filter"
  if not shared[name] then shared.load_filters() end
  return shared[name]
end

kinds.reply = {
  example = "max_length = 100",
  options = { max_length = check.whole(1) },
  make = function(_, options) return shipped "reply"(options) end,
}

kinds.dot = {
  example = "max_length = 100",
  options = { max_length = check.whole(1) },
  make = function(_, options) return shipped "dot"(options) end,
}

kinds.http = {
  example = "stream = true",
  options = {
    stream = check.boolean,
    max_length = check.whole(1),
    max_head = check.whole(1),
  },
  make = function(_, options) return shipped "http"(options) end,
}

local function get_and_put(name)
  return {
    example = "get = f",
    options = { get = check.callable, put = check.callable, code = check.callable },
    make = function(what, o)
      if o.code and (o.get or o.put) then
        return nil, what .. ": code is for both directions; give it or the other two"
      end
      local get, put = o.code or o.get, o.code or o.put
      if not get and not put then return nil, what .. ": get or put is missing" end
      return shared.combinators[name](get, put)
    end,
  }
end

kinds.map = get_and_put("map")
kinds.grep = get_and_put("grep")

kinds.record_block = {
  example = "block_size = 4",
  options = { block_size = check.whole(1), check_put = check.boolean },
  make = function(what, o)
    if not o.block_size then return nil, what .. ": block_size is missing" end
    return shared.combinators.record_block(o.block_size, o.check_put)
  end,
}

-- The number of filters in a list. nil, message: the list has a hole.
local function count_filters(what, list)
  local count, last = 0, 0
  for key in pairs(list) do
    if type(key) ~= "number" or key < 1 or key ~= math.floor(key) then
      return nil, format("%s: a list of filters has no key %s", what, check.describe(key))
    end
    count, last = count + 1, math.max(last, key)
  end
  if count == last then return count end
  local hole = 1
  while list[hole] ~= nil do hole = hole + 1 end
  return nil, format("%s: filter %d of %d is nil (a misspelt name?)", what, hole, last)
end

kinds.stack = {
  example = "'line', 'netstring'",
  options = { filters = check.table },
  make = function(what, o)
    local stages, list = {}, o.filters or {}
    local count, hole = count_filters(what, list)
    if not count then return nil, hole end
    for i = 1, count do
      local stage, message = shared.read_filter(format("%s: filter %d", what, i), list[i], nil,
        "neither")
      if not stage then return nil, message end
      stages[i] = stage
    end
    if #stages == 0 then return kinds.stream.make(what) end
    return shared.combinators.stack(stages)
  end,
}

for _, name in ipairs {
  "line", "block", "netstring", "resp", "reply", "dot", "http", "map", "grep", "record_block",
  "stack",
} do
  check.add_place("the filter " .. name, kinds[name].options)
end

-- ---- from a specification ----

local defaults = {} -- [name] = the filter of that name without options

local function make(what, name, options)
  local canonical = shared.aliases.filters[name] or name
  local kind = kinds[canonical]
  if not kind then
    return nil, format("%s: unknown filter %s%s", what, check.describe(name),
      check.hint(check.nearest(name, kinds)))
  end
  if options == nil then
    local filter = defaults[canonical]
    if filter then return filter end
  elseif type(options) ~= "table" then
    return nil, format("%s: the options of %s must be a table%s, not %s", what, canonical,
      kind.example and format(" like { %s }", kind.example) or "", check.describe(options))
  end
  what = format("%s: %s", what, canonical)
  local o, message = check.read(what, options or {}, kind.options, kind.example)
  if not o then return nil, message end
  local filter
  filter, message = kind.make(what, o)
  if filter and options == nil then defaults[canonical] = filter end
  return filter, message
end

-- { "name", option = … }; the stack's filters may follow its name.
local function make_of_table(what, spec)
  local options, positional = {}, {}
  for key, value in pairs(spec) do
    if key ~= 1 then
      if type(key) == "number" then positional[key - 1] = value else options[key] = value end
    end
  end
  if next(positional) ~= nil then
    if (shared.aliases.filters[spec[1]] or spec[1]) ~= "stack" then
      return nil, format("%s: options of %s have names, like { 'line', max_length = 100 }", what,
        check.describe(spec[1]))
    end
    options.filters = positional
  end
  return make(what, spec[1], next(options) ~= nil and options or nil)
end

local needed = {
  both = { "feed", "get_one", "put", "clone" },
  input = { "feed", "get_one", "clone" },
  output = { "put", "clone" },
  neither = { "clone" },
}

local function check_object(what, object, direction)
  for _, name in ipairs(needed[direction]) do
    if type(object[name]) ~= "function" then
      return nil, format("%s: the filter has no method '%s'", what, name)
    end
  end
  if object.finish ~= nil and type(object.finish) ~= "function" then
    return nil, format("%s: finish of the filter is no function, but %s", what,
      check.describe(object.finish))
  end
  return object
end

-- A filter of any specification, for a direction: both, input, output, or neither of them (where
-- it will be used shows later). nil, message for what is none.
function shared.read_filter(what, spec, options, direction)
  if type(spec) == "string" then return make(what, spec, options) end
  if options ~= nil then return nil, what .. ": options go with the name of a filter" end
  if shared.is_filter(spec) then return spec end
  if type(spec) ~= "table" then
    return nil, format("%s: a name, { name, ... } or a filter expected, not %s", what,
      check.describe(spec))
  end
  if spec.get_one ~= nil or spec.put ~= nil then
    if type(spec[1]) ~= "string" then return check_object(what, spec, direction) end
  end
  if type(spec[1]) ~= "string" then
    return nil, what .. ": the table is neither { name, ... } nor a filter: it has no get_one"
  end
  return make_of_table(what, spec)
end

-- Called by methods in C, which the script has called: level 3.
function shared.filter_argument(spec, options, direction)
  local filter, message = shared.read_filter("filter", spec, options, direction)
  if not filter then error(message, 3) end
  return filter
end

-- ---- tcpmulti.filters ----

local filters = {}
tcpmulti.filters = filters

local function constructor(name, arrange)
  filters[name] = function(...)
    if (...) == filters then error(check.colon("filters." .. name), 2) end
    local options = arrange and arrange(...) or ...
    local filter, message = make("tcpmulti.filters", name, options)
    if not filter then error(message, 2) end
    return filter
  end
end

-- map(get, put), or map { get = …, put = … }
local function two_functions(get, put)
  if type(get) == "table" then return get end
  return { get = get, put = put }
end

constructor("stream")
constructor("line")
constructor("block")
constructor("netstring")
constructor("resp")
constructor("reply")
constructor("dot")
constructor("http")
constructor("map", two_functions)
constructor("grep", two_functions)
constructor("record_block", function(size, check_put)
  if type(size) == "table" then return size end
  return { block_size = size, check_put = check_put }
end)
constructor("stack", function(list, ...)
  if type(list) == "table" and list.filters == nil and list.Filters == nil then
    return { filters = list }
  end
  return list, ...
end)
