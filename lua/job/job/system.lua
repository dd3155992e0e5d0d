-- SPDX-License-Identifier: MIT
-- The system as a job sees it: clock, terminals, standard input, and how a process ends by a
-- signal.
local ffi = require "ffi"
local io, os = require "io", require "os"
local floor, match = math.floor, string.match

local system = {}

-- ---- names of our own, since scripts may declare the others differently ----

ffi.cdef [[
  int tcpmulti_isatty(int fd) __asm__("isatty");
  int64_t tcpmulti_position(int fd, int64_t offset, int whence) __asm__("lseek");
  int tcpmulti_ioctl(int fd, unsigned long request, ...) __asm__("ioctl");
  int tcpmulti_getpid(void) __asm__("getpid");
  int tcpmulti_kill(int pid, int signal) __asm__("kill");
  void *tcpmulti_signal(int signal, void *handler) __asm__("signal");
  int tcpmulti_clock_gettime(int clock, void *time) __asm__("clock_gettime");
]]
local C = ffi.C
local new_window = ffi.typeof "struct { unsigned short rows, columns, width, height; }[1]"
local timespec = ffi.new "struct { long seconds, nanoseconds; }[1]"

local CLOCK_REALTIME, SEEK_CUR, TIOCGWINSZ = 0, 1, 0x5413
local STANDARD_INPUT, STANDARD_ERROR = 0, 2

local signals = { HUP = 1, INT = 2, TERM = 15 }

-- Seconds since 1970.
function system.time()
  C.tcpmulti_clock_gettime(CLOCK_REALTIME, timespec)
  return tonumber(timespec[0].seconds) + tonumber(timespec[0].nanoseconds) / 1e9
end

function system.pid() return C.tcpmulti_getpid() end

function system.input_is_terminal() return C.tcpmulti_isatty(STANDARD_INPUT) == 1 end

-- Whether standard input comes from a program, and not from a file that can be read to its end.
function system.input_is_pipe()
  return C.tcpmulti_position(STANDARD_INPUT, 0, SEEK_CUR) < 0
end

function system.has_terminal() return C.tcpmulti_isatty(STANDARD_ERROR) == 1 end

-- Columns of the terminal at standard error; nil: there is none, or it does not tell.
function system.columns()
  local window = new_window()
  if C.tcpmulti_ioctl(STANDARD_ERROR, TIOCGWINSZ, window) ~= 0 then return nil end
  return window[0].columns > 0 and window[0].columns or nil
end

-- ---- signals ----

-- Whether the signal is ignored, as nohup or a shell's trap have it.
function system.ignores(name)
  local file = io.open "/proc/self/status"
  if not file then return false end
  local mask = tonumber(match(file:read "*a", "SigIgn:%s*%x*(%x%x%x%x)\n"), 16)
  file:close()
  return floor(mask / 2 ^ (signals[name] - 1)) % 2 == 1
end

-- The exit status by which a shell shows that a signal has ended a process.
function system.status_of(name) return 128 + signals[name] end

-- Ends the process by the signal, so that a shell sees which it was.
function system.die(name)
  io.stdout:flush()
  C.tcpmulti_signal(signals[name], nil)
  C.tcpmulti_kill(C.tcpmulti_getpid(), signals[name])
  os.exit(system.status_of(name)) -- the first process of a PID namespace outlives its own signals
end

return system
