-- SPDX-License-Identifier: MIT
-- One file of all results. Of two lines of a target one stays, by a total order, so that merging is
-- commutative, associative and idempotent. The files are read twice, with a bit for each target:
-- only lines of targets that have several are kept in memory. Summaries are merged too, where there
-- are no lines.
local io = require "io"
local json = require "tcpmulti.json"
local marks = require "tcpmulti.targets.marks"
local parse = require "tcpmulti.results.parse"
local results = require "tcpmulti.results"
local summary = require "tcpmulti.summary"
local byte, find, format = string.byte, string.find, string.format
local match, sub = string.match, string.sub

local merging = {}

local MOST = 2 ^ 53
local NONE = "" -- no line of the target has been read in the second reading
local KEY = '^{"key":"(%x+):[%d.]+",'
local CLOSE = byte "}"
local BLOCK_BYTES = 65536 -- read at once, and the rest of the last line

-- ---- which lines there are ----

-- Fields. plan: the id of all lines. path: of the first file with it. marks: whole numbers of
-- targets. others: numbers of a pipe, like "12.1". doubles: by number, the line that stays of
-- several. lines: targets. damaged: lines that are none.
local function new_merge(options)
  return { options = options, marks = marks.new(MOST), others = {}, doubles = {}, lines = 0,
    duplicates = 0, damaged = 0 }
end

-- False: the number was there before.
local function is_new(merge, number)
  local whole = tonumber(number)
  if not find(number, ".", 1, true) and whole < MOST then return merge.marks:add(whole) end
  if merge.others[number] then return false end
  merge.others[number] = true
  return true
end

-- Calls f(merge, path, number, block, first, last) for each line, which stands in a block of the
-- file, without its end; f may give nil, message, errname.
local function each_line(merge, path, f)
  local file, message, code = io.open(path, "rb")
  if not file then return nil, message, code == 2 and "ENOENT" or "EIO" end
  local number, ok, errname = 0, true, nil
  while ok do
    local block, rest = file:read(BLOCK_BYTES, "*L")
    if not block and not rest then break end
    if not block then ok, message, errname = nil, path .. ": " .. rest, "EIO" end
    block = (block or "") .. (rest or "")
    local first = 1
    while ok and first <= #block do
      local stop = find(block, "\n", first, true) or #block + 1
      number = number + 1
      ok, message, errname = f(merge, path, number, block, first, stop - 1)
      first = stop + 1
    end
  end
  file:close()
  if not ok then return nil, message, errname end
  return true
end

local function damage(merge, path, number, line)
  merge.damaged = merge.damaged + 1
  if merge.options.on_damaged then merge.options.on_damaged(path, number, line) end
  return true
end

local function is_number(text)
  local value = tonumber(text)
  return value and format("%d", value) == text or find(text, "^%d+%.?%d*$")
end

-- The number of the target of a line; nil: it is no line of this plan. For most lines without
-- patterns, which LuaJIT does not compile.
local function number_of(merge, block, first, last)
  local at = first + #merge.start
  if byte(block, last) ~= CLOSE or sub(block, first, at - 1) ~= merge.start then return nil end
  local quote = find(block, '"', at, true)
  local number = sub(block, at, quote and quote - 1 or 0)
  return is_number(number) and number or nil
end

-- The first line that is one tells the plan of all.
local function find_plan(merge, path, line)
  local plan = byte(line, -1) == CLOSE and match(line, KEY)
  if not plan or plan == merge.plan then return true end
  if merge.plan then
    return nil, format("%s: results of plan %s; those of %s are of plan %s", path, plan, merge.path,
      merge.plan), "EINVAL"
  end
  merge.plan, merge.path, merge.start = plan, path, format('{"key":"%s:', plan)
  return true
end

-- The first reading looks at keys alone.
local function note(merge, path, number, block, first, last)
  local target = merge.plan and number_of(merge, block, first, last)
  if not target then
    local line = sub(block, first, last)
    local ok, message, errname = find_plan(merge, path, line)
    if not ok then return nil, message, errname end
    target = merge.plan and number_of(merge, block, first, last)
    if not target then return damage(merge, path, number, line) end
  end
  if not is_new(merge, target) then merge.doubles[target] = NONE end
  return true
end

-- ---- which lines stay ----

-- line: with its end.
local function write_line(merge, line, record)
  merge.lines = merge.lines + 1
  merge.total:add(record)
  return merge.write(line)
end

-- The second reading: a line whose target has no other is written at once.
local function choose(merge, path, number, block, first, last)
  local target = number_of(merge, block, first, last)
  if not target then return true end
  local line = sub(block, first, last + 1)
  if last == #block then line = line .. "\n" end
  local record = parse.record(line)
  if not record then return damage(merge, path, number, sub(block, first, last)) end
  local best = merge.doubles[target]
  if best == nil then return write_line(merge, line, record) end
  if best ~= NONE then merge.duplicates = merge.duplicates + 1 end
  merge.doubles[target] = best == NONE and line or results.better(best, line)
  return true
end

local function write_doubles(merge)
  local numbers = {}
  for number, line in pairs(merge.doubles) do
    if line ~= NONE then numbers[#numbers + 1] = number end
  end
  table.sort(numbers)
  for _, number in ipairs(numbers) do
    local line = merge.doubles[number]
    local ok, message, errname = write_line(merge, line, json.decode(line))
    if not ok then return nil, message, errname end
  end
  return true
end

local function merge_lines(merge, paths)
  for _, read in ipairs { note, choose } do
    for _, path in ipairs(paths) do
      local ok, message, errname = each_line(merge, path, read)
      if not ok then return nil, message, errname end
    end
    if not merge.plan then return true end -- there is no line
  end
  return write_doubles(merge)
end

-- ---- summaries ----

-- Of two summaries of one part the one stays that has more targets done, else the later one, else
-- the lesser bytes.
local function is_better(a, b)
  if a.encoded.done ~= b.encoded.done then return a.encoded.done > b.encoded.done end
  if a.encoded.started ~= b.encoded.started then return a.encoded.started > b.encoded.started end
  return a.text < b.text
end

local function take_summary(parts, path, text)
  local encoded = json.decode(text)
  local part, count = match(encoded and encoded.part or "", "^(%d+)/(%d+)$")
  local total, message = summary.decode(encoded)
  if not total then return nil, path .. ": " .. message, "EINVAL" end
  if not part then return nil, path .. ": a summary without its part", "EINVAL" end
  parts.plan, parts.count = parts.plan or encoded.plan, parts.count or count
  if encoded.plan ~= parts.plan or count ~= parts.count then
    return nil, format("%s: part %s of plan %s; the others are of %s parts of plan %s", path,
      encoded.part, tostring(encoded.plan), parts.count, tostring(parts.plan)), "EINVAL"
  end
  local one = { encoded = encoded, total = total, text = text }
  local before = parts[tonumber(part)]
  if before and before.text ~= text then parts.twice[#parts.twice + 1] = tonumber(part) end
  if not before or is_better(one, before) then parts[tonumber(part)] = one end
  return true
end

-- A load has no targets to count: it was stopped, or it was not.
local function is_complete(encoded)
  if encoded.load then return not encoded.partial end
  return encoded.total ~= nil and encoded.done >= encoded.total
end

-- Gives the parts that are not complete, as numbers, and those that are not there.
local function missing_parts(parts)
  local list = {}
  for part = 1, tonumber(parts.count) do
    local one = parts[part]
    if not one or not is_complete(one.encoded) then list[#list + 1] = part end
  end
  return list
end

-- ---- all ----

-- Gives lists of paths of lines and of summaries, and the texts of the latter; nil, message.
local function sort_paths(paths)
  local lines, summaries, texts = {}, {}, {}
  for _, path in ipairs(paths) do
    local file, message, code = io.open(path, "rb")
    if not file then return nil, message, code == 2 and "ENOENT" or "EIO" end
    local start = file:read(512)
    if not start and not file:read(0) and file:seek "end" ~= 0 then
      file:close()
      return nil, path .. ": it cannot be read", "EIO"
    end
    if start and find(start, "^{") and not find(start, '^{"key":') then
      file:seek "set"
      summaries[#summaries + 1], texts[path] = path, file:read "*a"
    else
      lines[#lines + 1] = path
    end
    file:close()
  end
  return lines, summaries, texts
end

local function read_summaries(summaries, texts)
  local parts = { twice = {} }
  for _, path in ipairs(summaries) do
    local ok, message, errname = take_summary(parts, path, texts[path])
    if not ok then return nil, message, errname end
  end
  return parts
end

local function add_up(merge, parts)
  local total = nil
  for part = 1, tonumber(parts.count) do
    local one = parts[part]
    if one then
      merge.total:merge(one.total)
      total = one.encoded.targets and one.encoded.targets.total or total
    end
  end
  return total
end

-- Merges files of result lines, and of summaries. write(line) gives true, or nil, message, errname.
-- options: on_damaged(path, number, line); expect: targets that there should be. Gives the figures;
-- nil, message, errname.
function merging.merge(paths, write, options)
  local merge = new_merge(options or {})
  merge.total, merge.write = summary.new(), write
  local lines, summaries, texts = sort_paths(paths)
  if not lines then return nil, summaries, texts end
  local parts, message, errname = read_summaries(summaries, texts)
  if not parts then return nil, message, errname end
  local ok
  ok, message, errname = merge_lines(merge, lines)
  if not ok then return nil, message, errname end
  if merge.plan and parts.plan and merge.plan ~= parts.plan then
    return nil, format("the lines are of plan %s, the summaries of plan %s", merge.plan,
      parts.plan), "EINVAL"
  end
  local whole = parts.count and add_up(#lines > 0 and { total = summary.new() } or merge, parts)
  local expected = merge.options.expect or whole
  return {
    plan = merge.plan or parts.plan,
    files = #paths,
    lines = merge.lines,
    duplicates = merge.duplicates,
    damaged = merge.damaged,
    summary = merge.total,
    expected = expected,
    missing = expected and math.max(expected - merge.total.done, 0) or 0,
    parts = parts.count and tonumber(parts.count),
    missing_parts = parts.count and missing_parts(parts) or {},
    twice = parts.twice,
  }
end

return merging
