-- SPDX-License-Identifier: MIT
-- tcpmulti.child: programs beside the loop. The object of a child is a plain table with the child's
-- number in [0], so nothing that a script keeps can dangle.
local shared, tcpmulti = ...
local check = shared.check
local find, format, gsub = string.find, string.format, string.gsub
local match, upper = string.match, string.upper

local EXAMPLE = "on_line = f"

local signals = shared.child_signals()

local Child = {}
Child.__index = Child

local function check_child(child, name)
  if getmetatable(child) ~= Child then
    error(format("%s: a child expected, not %s", name, check.describe(child)), 3)
  end
end

-- Gives true, and the number of bytes that wait for the child to read them.
function Child.send(child, line)
  check_child(child, "send")
  if type(line) ~= "string" or find(line, "\n", 1, true) then
    error("send: a line expected, without its end, not " .. check.describe(line), 2)
  end
  return shared.child_send(child[0], line .. "\n")
end

function Child.queued(child)
  check_child(child, "queued")
  return shared.child_queued(child[0])
end

function Child.finish(child)
  check_child(child, "finish")
  return shared.child_finish(child[0])
end

function Child.kill(child, name)
  check_child(child, "kill")
  if name == nil then name = "TERM" end
  local short = type(name) == "string" and gsub(upper(name), "^SIG", "")
  if not signals[short] then
    error(format("kill: unknown signal %s%s", check.describe(name),
      short and check.hint(check.nearest(short, signals)) or ""), 2)
  end
  return shared.child_kill(child[0], signals[short])
end

function Child.pause(child)
  check_child(child, "pause")
  return shared.child_read(child[0], false)
end

function Child.resume(child)
  check_child(child, "resume")
  return shared.child_read(child[0], true)
end

-- ---- starting ----

local function is_name(name)
  return type(name) == "string" and name ~= "" and not find(name, "[=%z]")
end

local function variables(value)
  if type(value) ~= "table" then return nil, "a table like { NAME = 'value' }" end
  for name, text in pairs(value) do
    if not is_name(name) or text ~= false and (type(text) ~= "string" or find(text, "%z")) then
      return nil, "a table like { NAME = 'value' }, with false for none"
    end
  end
  return value
end

local options = { env = variables, on_line = check.callable, on_end = check.callable }
check.add_place("child", options)

-- The words of the program, and the other options. Gives nil, message.
local function take_apart(given)
  local words, rest = {}, {}
  for key, value in pairs(given) do
    if type(key) ~= "number" then rest[key] = value end
  end
  for i, word in ipairs(given) do
    if type(word) == "number" then word = tostring(word) end
    if type(word) ~= "string" or find(word, "%z") then
      return nil, format("child: word %d must be a string without NUL, not %s", i,
        check.describe(word))
    end
    words[i] = word
  end
  if not words[1] or words[1] == "" then
    return nil, "child: which program? child { 'file', 'argument' }"
  end
  local read, message = check.read("child", rest, options, EXAMPLE)
  if not read then return nil, message end
  return words, read
end

-- Our environment with these changes, as "NAME=value".
local function environment(changes)
  local list = {}
  for _, entry in ipairs(shared.environment()) do
    if changes[match(entry, "^[^=]*")] == nil then list[#list + 1] = entry end
  end
  for name, value in pairs(changes) do
    if value then list[#list + 1] = name .. "=" .. value end
  end
  return list
end

local function ignore() end

function tcpmulti.child(given)
  if given == tcpmulti then error(check.colon "child", 2) end
  if type(given) ~= "table" then
    error("child: a table expected, not " .. check.describe(given), 2)
  end
  local words, read = take_apart(given)
  if not words then error(read, 2) end
  local child = setmetatable({}, Child)
  local functions = { child, read.on_line or ignore, read.on_end or ignore }
  local number, pid, errname = shared.child(functions, words, environment(read.env or {}))
  if not number then return nil, format("%s: %s", words[1], pid), errname end
  child[0], child.pid = number, pid
  return child
end
