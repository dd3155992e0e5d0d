-- SPDX-License-Identifier: MIT
-- Lines of files. A line that is a dotted quad, with a port or without, is read from the bytes
-- themselves, so that a million of them take a fraction of a second.
local ffi = require "ffi"
local io = require "io"
local byte, find, format = string.byte, string.find, string.format
local match, sub = string.match, string.sub

local addresses = require "tcpmulti.targets.addresses"

local lines = {}

local BLOCK = 65536
local MAX_LINE = 1048576
local SHOWN = 256 -- bytes of a line that is too long

local error_names = { [2] = "ENOENT", [13] = "EACCES", [21] = "EISDIR", [23] = "ENFILE",
  [24] = "EMFILE" }

local function failed(path, message, number)
  local reason = match(message, ": ([^:]*)$") or message
  return nil, format("%s: %s", path, reason), error_names[number] or "EIO"
end

local function is_blank(c) return c == 32 or c >= 9 and c <= 13 end

-- The text without blanks around it.
local function trim(text)
  local first, last = 1, #text
  while first <= last and is_blank(byte(text, first)) do first = first + 1 end
  while last >= first and is_blank(byte(text, last)) do last = last - 1 end
  return sub(text, first, last)
end

-- A line without its comment and blanks around it. A line of JSON has no comment.
function lines.strip(line)
  line = trim(line)
  if sub(line, 1, 1) == "{" then return line end
  local comment = find(line, "#", 1, true)
  return comment and trim(sub(line, 1, comment - 1)) or line
end

-- Reads a port, from 1 to 65535, in front of last. Gives where it ends and the port; nil: none.
local function scan_port(bytes, at, last)
  local port, first = 0, at
  while at < last and at - first < 6 do
    local c = bytes[at]
    if c < 48 or c > 57 then break end
    port, at = port * 10 + (c - 48), at + 1
  end
  if port < 1 or port > 65535 or at - first > 5 then return nil end
  return at, port
end

-- Reads a line that is an address of IPv4, with a port or without: gives where its line end is, the
-- address, and the port or 0; nil: the line is another one, or not whole.
local function scan_line(bytes, at, last)
  local stop, address = addresses.scan_v4(bytes, at, last)
  if not stop then return nil end
  local port = 0
  if stop < last and bytes[stop] == 58 then
    stop, port = scan_port(bytes, stop + 1, last)
    if not stop then return nil end
  end
  if stop < last and bytes[stop] == 13 then stop = stop + 1 end
  if stop >= last or bytes[stop] ~= 10 then return nil end
  return stop, address, port
end

-- Gives the whole lines of a text to the reader. Returns the rest and how many lines there were.
local function take(reader, text, number)
  local bytes, at, last = ffi.cast("const uint8_t *", text), 0, #text
  while at < last do
    local stop, address, port = scan_line(bytes, at, last)
    if not stop then
      local behind = find(text, "\n", at + 1, true)
      if not behind then break end
      stop = behind - 1
      local line = lines.strip(sub(text, at + 1, stop))
      if line ~= "" then reader:line(line, number + 1) end
    else
      reader:address(address, port, number + 1)
    end
    at, number = stop + 1, number + 1
  end
  return sub(text, at + 1), number
end

-- The rest of a line that is too long is passed over.
local function pass_over(block)
  local behind = find(block, "\n", 1, true)
  return behind and sub(block, behind + 1)
end

local function read(reader, file)
  local rest, number, is_over = "", 0, false
  while true do
    local block, message, code = file:read(BLOCK)
    if message then return nil, message, code end
    if is_over and block then
      block = pass_over(block)
      is_over = not block
      block = block or ""
    end
    if not block then break end
    rest, number = take(reader, rest .. block, number)
    if #rest > MAX_LINE then
      number, is_over = number + 1, true
      reader:too_long(sub(rest, 1, SHOWN), number)
      rest = ""
    end
  end
  if rest ~= "" then take(reader, rest .. "\n", number) end
  return true
end

-- Reads a file, "-": standard input. reader:line(text, number) gets each line that is not empty,
-- reader:address(address, port, number) instead each that is an address of IPv4 (port 0: it has
-- none), reader:too_long(text, number) the beginning of one that is too long. True; nil, message,
-- errname: the file cannot be read to its end.
function lines.read(path, reader)
  local file, message, code = io.stdin, nil, nil
  if path ~= "-" then file, message, code = io.open(path, "rb") end
  if not file then return failed(path, message, code) end
  local done
  done, message, code = read(reader, file)
  if path ~= "-" then file:close() end
  if not done then return failed(path, message, code) end
  return true
end

return lines
