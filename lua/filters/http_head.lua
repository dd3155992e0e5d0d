-- SPDX-License-Identifier: MIT
-- Heads of HTTP/1.1, for the filter http: the fields of a head, and the head that was read last.
-- Servers mostly repeat their head, to the second, so it is known again as a whole.
local shared = ...
local find, lower, match, sub = string.find, string.lower, string.match, string.sub

local heads = {}
shared.http_heads = heads

local TOKEN = "[!#$%%&'*+%-.^_`|~%w]+"

function heads.new_fields() return { names = {}, lists = {} } end

-- The text without blanks at both ends.
function heads.trim(text, from)
  local first = find(text, "[^ \t]", from)
  if not first then return "" end
  local last = #text
  while find(text, "^[ \t]", last) do last = last - 1 end
  return sub(text, first, last)
end

local trim = heads.trim

-- Adds a line to fields. False: it is no line of a head.
function heads.add_field(fields, line)
  if find(line, "[%z\r]") then return false end
  if find(line, "^[ \t]") then -- goes on with the field before (RFC 9112, 5.2)
    local list = fields.lists[fields.names[#fields.names]]
    if not list then return false end
    list[#list + 1] = " " .. trim(line, 1)
    return true
  end
  local name, at = match(line, "^(" .. TOKEN .. "):()")
  if not name then return false end
  name = lower(name)
  local list = fields.lists[name]
  if not list then
    list = {}
    fields.lists[name] = list
  else
    list[#list + 1] = ", "
  end
  fields.names[#fields.names + 1] = name
  list[#list + 1] = trim(line, at)
  return true
end

function heads.headers_of(fields)
  local headers = {}
  for _, name in ipairs(fields.names) do
    if not headers[name] then headers[name] = table.concat(fields.lists[name]) end
  end
  return headers
end

-- ---- the known head ----

-- Fields. text. version, status, reason: of its reply. names, values: of the headers, each name
-- once. length: bytes of the body behind it; nil: not known, or there are other signs of its end.
local known = { text = "" }

-- Few headers, as most replies have, are copied without a loop: LuaJIT would make that a trace of
-- its own, which costs more.
local function copy_headers(names, values)
  local count = #names
  local headers = table.new(0, count)
  if count > 0 then headers[names[1]] = values[1] end
  if count > 1 then headers[names[2]] = values[2] end
  if count > 2 then headers[names[3]] = values[3] end
  if count > 3 then headers[names[4]] = values[4] end
  if count > 4 then headers[names[5]] = values[5] end
  if count > 5 then headers[names[6]] = values[6] end
  if count > 6 then headers[names[7]] = values[7] end
  if count > 7 then headers[names[8]] = values[8] end
  if count > 8 then
    for i = 9, count do headers[names[i]] = values[i] end
  end
  return headers
end

local function known_reply(body)
  return { version = known.version, status = known.status, reason = known.reason,
    headers = copy_headers(known.names, known.values), body = body }
end

-- The reply of a head, without a body, if the head is the known one; else nil.
function heads.known_reply(text)
  if text == known.text then return known_reply(nil) end
end

-- The reply that begins at a place of the piece, and where the bytes behind it begin, if its head
-- is the known one and the piece has all of it; else nil. max_head, max_body: limits of bytes.
function heads.known_whole(piece, at, max_head, max_body)
  local length, text = known.length, known.text
  if not length or length > max_body or #text > max_head then return nil end
  local behind = at + #text
  if #piece < behind + length - 1 or sub(piece, at, behind - 1) ~= text then return nil end
  return known_reply(sub(piece, behind, behind + length - 1)), behind + length
end

-- The text of this reply's head, which has these fields, is the known one from now on.
function heads.learn(text, reply, fields)
  local names, values, seen = {}, {}, {}
  for _, name in ipairs(fields.names) do
    if not seen[name] then
      seen[name] = true
      names[#names + 1], values[#values + 1] = name, reply.headers[name]
    end
  end
  known = { text = text, version = reply.version, status = reply.status, reason = reply.reason,
    names = names, values = values }
end

-- A body of so many bytes stands behind this head, unless the request says that there is none.
function heads.learn_length(text, length)
  if text == known.text then known.length = length end
end
