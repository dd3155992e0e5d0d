-- SPDX-License-Identifier: MIT
-- Where result lines go: a file that this process alone writes, or standard output. Lines are
-- collected, and written whole in as few calls as possible. A reader that is slow blocks nobody: a
-- pipe is asked before each write whether there is room. A file that cannot be written ends with
-- its last whole line.
local ffi, io = require "ffi", require "io"
local json = require "tcpmulti.json"
local parse = require "tcpmulti.results.parse"
local find, format, gsub = string.find, string.format, string.gsub
local match, sub = string.match, string.sub

local sink = {}

local FLUSH_BYTES = 65536
local FLUSH_SECONDS = 0.2
local FULL_BYTES = 1048576
local BLOCK_BYTES = 1048576 -- read at once
local PIPE_BYTES = 4096 -- a pipe that is ready takes as many without blocking
local WAIT_MS = 1000

-- ---- the system: names of our own, since scripts may declare the others differently ----

ffi.cdef [[
  int tcpmulti_fileno(void *file) __asm__("fileno");
  int tcpmulti_flock(int fd, int operation) __asm__("flock");
  int tcpmulti_fdatasync(int fd) __asm__("fdatasync");
  int tcpmulti_ftruncate(int fd, int64_t length) __asm__("ftruncate");
  int64_t tcpmulti_lseek(int fd, int64_t offset, int whence) __asm__("lseek");
  int64_t tcpmulti_pread(int fd, void *bytes, size_t count, int64_t offset) __asm__("pread");
  int64_t tcpmulti_write(int fd, const void *bytes, size_t count) __asm__("write");
  int tcpmulti_poll(void *fds, unsigned long count, int timeout) __asm__("poll");
  const char *tcpmulti_strerror(int code) __asm__("strerror");
]]
local C = ffi.C
local new_pollfd = ffi.typeof "struct { int fd; short events, revents; }[1]"

local LOCK_EX_NB, SEEK_SET, SEEK_CUR, SEEK_END, POLLOUT = 6, 0, 1, 2, 4
local EINTR, EAGAIN, EINVAL = 4, 11, 22
local STANDARD_OUTPUT = 1

-- Errors that files have; any other is "EIO".
local errnames = {
  [1] = "EPERM", [2] = "ENOENT", [6] = "ENXIO", [11] = "EAGAIN", [12] = "ENOMEM", [13] = "EACCES",
  [20] = "ENOTDIR", [21] = "EISDIR", [22] = "EINVAL", [23] = "ENFILE", [24] = "EMFILE",
  [26] = "ETXTBSY", [27] = "EFBIG", [28] = "ENOSPC", [30] = "EROFS", [32] = "EPIPE",
  [36] = "ENAMETOOLONG", [37] = "ENOLCK", [40] = "ELOOP", [122] = "EDQUOT",
}

local function problem(name, code)
  return nil, name .. ": " .. ffi.string(C.tcpmulti_strerror(code)), errnames[code] or "EIO"
end

-- ---- opening ----

local Sink = {}
Sink.__index = Sink

-- Fields of a sink. name: for messages. fd, file: file is nil for standard output. size: bytes of
-- the file. lines, count: lines that were given, and how many. chunk, at: the bytes being written,
-- and how many of them are. chunk_lines: lines in the chunk. waiting: bytes of lines and chunk that
-- are not written. flush_at: so many of them are written at once. since: when the first of them
-- came. written: whole lines that are written.
local function new_sink(name, fd, now)
  return setmetatable({
    name = name,
    fd = fd,
    now = now,
    size = 0,
    lines = {},
    count = 0,
    chunk = "",
    at = 0,
    chunk_lines = 0,
    waiting = 0,
    flush_at = FLUSH_BYTES,
    written = 0,
    pollfd = new_pollfd(),
  }, Sink)
end

-- Whether a file keeps what is written: /dev/null and pipes have no position. Moves the position.
local function is_kept(fd) return C.tcpmulti_lseek(fd, 1, SEEK_SET) == 1 end

-- Whether the file of a path keeps what is written; nil: there is none. A FIFO is opened without
-- waiting for its reader.
function sink.is_kept(path)
  local file = io.open(path, "r+")
  if not file then return nil end
  local kept = is_kept(C.tcpmulti_fileno(file))
  file:close()
  return kept
end

-- Whether the file may be used as it is; else nil, message, errname.
local function take_file(self, options)
  if C.tcpmulti_flock(self.fd, LOCK_EX_NB) ~= 0 then
    local code = ffi.errno()
    if code ~= EAGAIN then return problem(self.name, code) end
    if is_kept(self.fd) then
      return nil, self.name .. ": another process is writing it", "EBUSY"
    end
  end
  local size = tonumber(C.tcpmulti_lseek(self.fd, 0, SEEK_END))
  self.is_pipe, self.size = size < 0, math.max(size, 0)
  if self.size == 0 or options.resume then return true end
  if not options.overwrite then
    return nil, self.name .. ": there are results in it already; give --resume or --overwrite",
      "EEXIST"
  end
  if C.tcpmulti_ftruncate(self.fd, 0) ~= 0 then return problem(self.name, ffi.errno()) end
  self.size = 0
  return true
end

local function open_file(path, options)
  local file, message, code = io.open(path, "a+e")
  if not file then return nil, message, errnames[code] or "EIO" end
  local self = new_sink(path, C.tcpmulti_fileno(file), options.now)
  self.file = file
  local ok, why, errname = take_file(self, options)
  if ok then return self end
  file:close()
  return nil, why, errname
end

function sink.open(path, options)
  options = options or {}
  if options.resume and options.overwrite then
    error("results.open: resume or overwrite, not both", 2)
  end
  if path ~= nil and path ~= "-" then return open_file(path, options) end
  local self = new_sink("standard output", STANDARD_OUTPUT, options.now)
  self.is_pipe = C.tcpmulti_lseek(STANDARD_OUTPUT, 0, SEEK_CUR) < 0
  return self
end

-- ---- writing ----

-- Whether a pipe has room, within so many milliseconds.
local function has_room(self, wait_ms)
  self.pollfd[0].fd, self.pollfd[0].events = self.fd, POLLOUT
  return C.tcpmulti_poll(self.pollfd, 1, wait_ms) > 0
end

-- Writes once. Gives the number of bytes, 0 if there is no room now; nil, errno.
local function write_once(self, wait_ms)
  local size = #self.chunk - self.at
  if self.is_pipe then
    if not has_room(self, wait_ms) then return 0 end
    size = math.min(size, PIPE_BYTES)
  end
  local bytes = ffi.cast("const char *", self.chunk) + self.at
  local written = tonumber(C.tcpmulti_write(self.fd, bytes, size))
  if written >= 0 then return written end
  local code = ffi.errno()
  if code == EINTR or code == EAGAIN then return 0 end
  return nil, code
end

-- Cuts the file back to its last whole line; every further call tells the same error.
local function give_up(self, code)
  local begun = sub(self.chunk, 1, self.at)
  local whole = match(begun, "^.*()\n") or 0
  if self.file and not self.is_pipe then
    C.tcpmulti_ftruncate(self.fd, self.size - self.at + whole)
  end
  self.written = self.written + select(2, gsub(begun, "\n", ""))
  self.failure = { problem(self.name, code) }
  return unpack(self.failure, 1, 3)
end

local function next_chunk(self)
  self.chunk, self.at, self.chunk_lines = table.concat(self.lines, "", 1, self.count), 0, self.count
  self.count = 0
end

-- Writes what there is. wait_ms: how long a pipe without room is waited for.
local function drain(self, wait_ms)
  if self.failure then return unpack(self.failure, 1, 3) end
  while self.waiting > 0 do
    if self.at == #self.chunk then next_chunk(self) end
    local written, code = write_once(self, wait_ms)
    if not written then return give_up(self, code) end
    if written == 0 then
      self.flush_at, self.since = self.waiting + FLUSH_BYTES, self.now and self.now()
      return true, "full"
    end
    self.at, self.size = self.at + written, self.size + written
    self.waiting = self.waiting - written
    if self.at == #self.chunk then self.written = self.written + self.chunk_lines end
  end
  self.chunk, self.at, self.flush_at = "", 0, FLUSH_BYTES
  return true
end

function Sink:write(line)
  if self.failure then return unpack(self.failure, 1, 3) end
  if self.waiting == 0 and self.now then self.since = self.now() end
  self.count = self.count + 1
  self.lines[self.count] = line
  self.waiting = self.waiting + #line
  if self.waiting >= self.flush_at then return drain(self, 0) end
  return true
end

function Sink:flush() return drain(self, 0) end

-- Whether lines have waited long enough to be written.
function Sink:due()
  return self.waiting > 0 and (not self.now or self.now() - self.since >= FLUSH_SECONDS)
end

-- Whether the reader is so slow that nothing more should be begun.
function Sink:full() return self.waiting > FULL_BYTES end

-- Writes what is left, however long the reader takes. sync: the file is on the disk after that.
function Sink:close(sync)
  local ok, message, errname
  repeat ok, message, errname = drain(self, WAIT_MS) until not ok or message ~= "full"
  if not self.file then return ok, message, errname end
  if ok and sync and C.tcpmulti_fdatasync(self.fd) ~= 0 then
    local code = ffi.errno()
    -- EINVAL: this kind of file is not on a disk.
    if code ~= EINVAL then ok, message, errname = problem(self.name, code) end
  end
  self.file:close()
  self.file = nil
  return ok, message, errname
end

-- ---- reading back ----

-- One whole line of the file. Gives a message if the file is not to be used. Targets of a pipe,
-- which have no whole numbers, are not resumed.
local function take_line(reading, line)
  reading.number = reading.number + 1
  local record, plan, number = parse.line(line)
  if not record or find(number, ".", 1, true) then
    reading.damaged = reading.damaged + 1
    if reading.on_damaged then reading.on_damaged(reading.number, line) end
  elseif plan ~= reading.plan then
    return format("it holds results of plan %s, and this is plan %s: other targets, exclusions, "
      .. "ports or seed", plan, reading.plan)
  else
    reading.lines = reading.lines + 1
    return reading.f(tonumber(number), record, line)
  end
end

-- Takes the whole lines of a block, and leaves the rest. Gives a message, as take_line.
local function take_block(reading, block)
  local stop = find(block, "\n", 1, true)
  if not stop then
    table.insert(reading.rest, block)
    return nil
  end
  table.insert(reading.rest, sub(block, 1, stop - 1))
  local line = table.concat(reading.rest)
  while stop do
    reading.whole = reading.whole + #line + 1
    local message = take_line(reading, line)
    if message then return message end
    local from = stop + 1
    stop = find(block, "\n", from, true)
    if stop then line = sub(block, from, stop - 1) else reading.rest = { sub(block, from) } end
  end
end

-- Gives true; nil, message, errname.
local function read_lines(self, reading)
  local size, offset = math.min(self.size, BLOCK_BYTES), 0
  local buffer = ffi.new("char[?]", size)
  while offset < self.size do
    local count = tonumber(C.tcpmulti_pread(self.fd, buffer, size, offset))
    if count < 0 then return problem(self.name, ffi.errno()) end
    if count == 0 then break end
    local message = take_block(reading, ffi.string(buffer, count))
    if message then return nil, self.name .. ": " .. message, "EINVAL" end
    offset = offset + count
  end
  return true
end

-- Calls f(number of the target, record, line) for each whole line of this plan, and then cuts off a
-- last line that is torn. f may give a message: then the file is left as it is. Damaged lines are
-- passed over; on_damaged(number of the line, line) hears of them. Gives the number of lines, of
-- damaged lines, and of torn bytes.
function Sink:replay(plan_id, f, on_damaged)
  local reading = {
    plan = plan_id,
    f = f,
    on_damaged = on_damaged,
    lines = 0,
    damaged = 0,
    number = 0,
    whole = 0,
    rest = {},
  }
  local ok, message, errname = json.decode "{}"
  if ok then ok, message, errname = read_lines(self, reading) end
  if not ok then return nil, message, errname end
  local torn = self.size - reading.whole
  if torn > 0 and C.tcpmulti_ftruncate(self.fd, reading.whole) ~= 0 then
    return problem(self.name, ffi.errno())
  end
  self.size = reading.whole
  return reading.lines, reading.damaged, torn
end

return sink
