-- SPDX-License-Identifier: MIT
-- cheap:expect: reads records, or a stream as one text, until one of several patterns fits.
local shared, tcpmulti, co = ...
local inner = shared.co
local format = string.format
local now = tcpmulti.now
local receive = shared.cheap_methods.receive
local has_ended = inner.has_ended

local SKIPPED_MOST = 65536 -- bytes of records, or of a stream, without a match
local SHOWN_MOST = 80 -- bytes of a record that a message shows
local OPTIONS = { reject = true, plain = true, max_length = true, timeout = true, skipped = true }

-- ---- what is expected ----

-- The alternatives in order, numbered ones first, then by name: { key =, pattern = }.
local function read_alternatives(what)
  local list, names = {}, {}
  for i, pattern in ipairs(what) do list[i] = { key = i, pattern = pattern } end
  for key in pairs(what) do
    if type(key) == "string" and not OPTIONS[key] then names[#names + 1] = key end
  end
  table.sort(names)
  for _, key in ipairs(names) do list[#list + 1] = { key = key, pattern = what[key] } end
  return list
end

local function read_rejects(reject)
  local list = {}
  if type(reject) ~= "table" then reject = { reject } end
  for i, pattern in ipairs(reject) do list[i] = { pattern = pattern } end
  return list
end

local function check_patterns(list)
  for _, one in ipairs(list) do
    local kind = type(one.pattern)
    if kind ~= "string" and kind ~= "function" then
      error(format("expect: a pattern or a function expected, not %s",
        shared.describe(one.pattern)), 4)
    end
  end
end

-- Raises at the line that has called the caller.
local function read_what(what)
  local options = type(what) == "table" and what or { what }
  local alternatives, rejects = read_alternatives(options), read_rejects(options.reject)
  if #alternatives == 0 then error("expect: a pattern, or a table of them, expected", 3) end
  check_patterns(alternatives)
  check_patterns(rejects)
  inner.check_seconds(options.timeout, "expect: timeout", 3)
  inner.check_length(options.max_length, "expect: max_length", 3)
  return options, alternatives, rejects
end

-- ---- matching ----

-- { first, last, value, … } of one pattern in a text, or nothing. Raises at the line that has
-- called expect: between lie find_first and go_on, for which expect has left its frame.
local function match(text, pattern, plain)
  if type(pattern) == "function" then
    local found = { 1, type(text) == "string" and #text or 0, pattern(text) }
    return found[3] and found
  end
  if type(text) ~= "string" then
    error("expect: this filter's records are no strings; use functions", 4)
  end
  local found = { pcall(string.find, text, pattern, 1, plain) }
  if not table.remove(found, 1) then error("expect: " .. found[1], 4) end
  return found[1] and found
end

-- The match that begins first; of equal ones that of the first pattern. Also gives its entry.
local function find_first(text, list, plain)
  local best, entry
  for _, one in ipairs(list) do
    local found = match(text, one.pattern, plain)
    if found and (not best or found[1] < best[1]) then best, entry = found, one end
  end
  return best, entry
end

-- ---- messages ----

local function shorten(text)
  text = tcpmulti.escape(tostring(text))
  return #text > SHOWN_MOST and string.sub(text, 1, SHOWN_MOST - 3) .. "..." or text
end

local function show(list)
  local shown = {}
  for i, one in ipairs(list) do
    shown[i] = type(one.pattern) == "string" and '"' .. tcpmulti.escape(one.pattern) .. '"'
      or "a function"
  end
  return table.concat(shown, " or ")
end

-- ---- the search: one of records, or of a stream ----

-- A search has: cheap, link, what, options, alternatives, rejects, stream (whether records are
-- one text), text (the last record, or what has come so far), length (of what was skipped).

-- Of a stream: what is behind a match is put back.
local function put_back(search, from)
  if search.stream and from <= #search.text and not has_ended(search.cheap, search.link) then
    search.cheap:unread(string.sub(search.text, from))
  end
end

local function fail(search, message, errname, partial)
  if search.stream then
    partial = search.text .. (has_ended(search.cheap, search.link) and partial or "")
  end
  put_back(search, 1)
  local got = search.text and search.text ~= "" and ", got " .. shorten(search.text) or ""
  return nil, format("%s; expected %s%s", message, show(search.alternatives), got), errname, partial
end

local function answer(search, found, entry)
  put_back(search, found[2] + 1)
  if found[3] == nil then
    found[3] = search.stream and string.sub(search.text, found[1], found[2]) or search.text
  end
  if type(search.what) == "table" then return entry.key, unpack(found, 3) end
  return unpack(found, 3)
end

local function reject(search, refused)
  put_back(search, refused[2] + 1)
  return nil, "rejected: " .. shorten(search.text), "EREJECTED", search.text
end

local function count_skipped(search, record)
  local skipped = search.options.skipped
  if skipped and not search.stream then table.insert(skipped, record) end
  search.length = search.length + (type(record) == "string" and #record or 1)
  return search.length > (search.options.max_length or SKIPPED_MOST)
end

local function too_long(search)
  local text = search.text
  put_back(search, 1)
  return nil, format("expected %s within %d bytes", show(search.alternatives),
    search.options.max_length or SKIPPED_MOST), "ETOOLONG", text
end

-- A search of a stream that is cancelled has taken nothing.
local function keep_text(search, ok, ...)
  if ok then return ... end
  put_back(search, 1)
  error((...), 0)
end

local function next_record(search, seconds)
  if not search.stream then return receive(search.cheap, nil, seconds) end
  return keep_text(search, pcall(receive, search.cheap, nil, seconds))
end

local function go_on(search, due)
  while true do
    local record, message, errname, partial =
      next_record(search, due and math.max(due - now(), 0))
    if record == nil then return fail(search, message, errname, partial) end
    search.text = search.stream and search.text .. record or record
    local plain = search.options.plain
    local found, entry = find_first(search.text, search.alternatives, plain)
    local refused = find_first(search.text, search.rejects, plain)
    if found and not (search.stream and refused and refused[1] < found[1]) then
      return answer(search, found, entry)
    end
    if refused then return reject(search, refused) end
    if count_skipped(search, record) then return too_long(search) end
  end
end

function shared.cheap_methods.expect(cheap, what, seconds)
  local link = inner.link_of(cheap, "expect")
  local options, alternatives, rejects = read_what(what)
  inner.check_seconds(seconds, "expect", 2)
  inner.here "expect"
  seconds = seconds or options.timeout
  local stream = inner.is_stream(cheap, link)
  return go_on({
    cheap = cheap,
    link = link,
    what = what,
    options = options,
    alternatives = alternatives,
    rejects = rejects,
    stream = stream,
    text = stream and "" or nil,
    length = 0,
  }, seconds and now() + seconds)
end
co.expect = shared.cheap_methods.expect
