-- SPDX-License-Identifier: MIT
-- Functions that must not be called: unsafe ones anywhere; in the library also those that print,
-- end the process or reach past the layers that own a thing.
local check = require "static.check"

-- except: patterns of the paths that may call them.
local function ban(case, folders, reason, functions, ...)
  local except = { ... }
  local function is_excepted(path)
    for _, pattern in ipairs(except) do
      if path:match(pattern) then return true end
    end
    return false
  end
  check.case(case, function(found, looked)
    for _, folder in ipairs(folders) do
      for _, path in ipairs(check.files(folder, ".c", ".h")) do
        looked()
        if not is_excepted(path) then
          for number, line in check.code_lines(path) do
            for name in line:gmatch "%f[%w_]([%a_][%w_]*)%s*%(" do
              if functions[name] then found("%s:%d: %s: %s", path, number, name, reason) end
            end
          end
        end
      end
    end
  end)
end

local function set(words)
  local names = {}
  for word in words:gmatch "%S+" do names[word] = true end
  return names
end

ban("no unsafe functions", { "core", "lua", "tests" }, "unsafe",
  set "gets strcpy stpcpy strcat sprintf vsprintf strtok atoi atol atoll atof alloca tmpnam")

ban("the library does not print or end the process", { "core" }, "not in a library",
  set [[printf fprintf vprintf vfprintf puts fputs putchar fputc perror dprintf exit _exit
    quick_exit abort syslog assert_perror]], "^core/base/assert%.c$")

ban("the library changes no signal disposition itself", { "core" }, "libuv's watcher does it",
  set "signal sigaction")

ban("signals are blocked in threads of the library's own only", { "core" }, "not in a host's",
  set "sigprocmask pthread_sigmask", "^core/transport/system%.c$")

ban("output goes by send, not by libuv's writes", { "core" }, "they raise SIGPIPE in hosts",
  set "uv_write uv_write2 uv_try_write uv_try_write2 uv_shutdown write writev dup2")

ban("names and texts of errors come from base/error", { "core" }, "use tcpm_error_…",
  set "strerrorname_np strerrordesc_np strerror strerror_r perror uv_strerror uv_err_name")

ban("memory comes from base/memory", { "core" }, "use tcpm__memory_",
  set "malloc calloc realloc free strdup strndup reallocarray asprintf", "^core/base/memory%.c$")

ban("time comes from the network layer", { "core" }, "use the engine's time, or tcpm__clock_ns",
  set [[clock_gettime clock_getres gettimeofday time times clock ftime timespec_get uv_now uv_hrtime
    uv_clock_gettime uv_gettimeofday tcpm_now_ns]],
  "^core/transport/clock%.h$", "^core/include/", "^core/api/session%.c$")

ban("the binding prints through one warning only", { "lua" }, "not in a module",
  set "printf puts putchar perror exit _exit abort", "^lua/runner/", "^lua/assert%.c$")

check.main()
