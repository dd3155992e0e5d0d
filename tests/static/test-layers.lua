-- SPDX-License-Identifier: MIT
-- The house has floors: a file includes only its own layer and those below it, and what is pure
-- stays pure.
local check = require "static.check"

local floor = { base = 0, filter = 1, transport = 2, connection = 3, api = 4 }

-- Headers of the system that bring sockets, clocks, descriptors or threads.
local impure = { ["uv.h"] = true, ["time.h"] = true, ["unistd.h"] = true, ["fcntl.h"] = true,
  ["signal.h"] = true, ["poll.h"] = true, ["netdb.h"] = true, ["pthread.h"] = true }

local function is_impure(header)
  return impure[header] or header:match "^sys/" or header:match "^netinet/" or header:match "^arpa/"
end

local function includes(path)
  local list = {}
  for number, line in check.lines(path) do
    local kind, header = line:match '^%s*#%s*include%s+([<"])([^>"]+)[>"]'
    if header then list[#list + 1] = { number = number, own = kind == '"', header = header } end
  end
  return list
end

check.case("core: a file includes only its own layer and those below", function(found, looked)
  for _, path in ipairs(check.files("core", ".c", ".h")) do
    local layer = path:match "^core/(%w+)/"
    for _, include in ipairs(includes(path)) do
      local other = include.header:match "^(%w+)/"
      if include.own and layer ~= "include" then
        looked()
        if include.header ~= "tcpmulti.h" and not floor[other] then
          found("%s:%d: %s is in no layer", path, include.number, include.header)
        elseif other and floor[other] > floor[layer] then
          found("%s:%d: %s includes %s", path, include.number, layer, include.header)
        end
      end
    end
  end
end)

check.case("core: base and filter know no libuv, no clock and no sockets", function(found, looked)
  for _, folder in ipairs { "core/base", "core/filter" } do
    for _, path in ipairs(check.files(folder, ".c", ".h")) do
      looked()
      for _, include in ipairs(includes(path)) do
        if not include.own and is_impure(include.header) then
          found("%s:%d: includes <%s>", path, include.number, include.header)
        end
      end
    end
  end
end)

check.case("epoll and timerfd are used by transport/set only", function(found, looked)
  for _, folder in ipairs { "core", "lua" } do
    for _, path in ipairs(check.files(folder, ".c", ".h")) do
      looked()
      for number, line in check.code_lines(path) do
        local name = line:match "%f[%w_]epoll_[%w_]*" or line:match "%f[%w_]timerfd_[%w_]*"
          or line:match "sys/epoll%.h" or line:match "sys/timerfd%.h"
        if name and not path:match "^core/transport/set%.[ch]$" then
          found("%s:%d: %s", path, number, name)
        end
      end
    end
  end
end)

check.case("the public headers need the C library only", function(found, looked)
  local allowed = { ["stddef.h"] = true, ["stdint.h"] = true, ["tcpmulti.h"] = true }
  for _, path in ipairs { "core/include/tcpmulti.h", "lua/include/tcpmulti_lua.h" } do
    looked()
    for _, include in ipairs(includes(path)) do
      if not allowed[include.header] then
        found("%s:%d: includes %s", path, include.number, include.header)
      end
    end
  end
end)

local function exists(path)
  local file = io.open(check.root .. "/" .. path)
  if file then file:close() end
  return file ~= nil
end

check.case("lua: sees the public headers only", function(found, looked)
  for _, path in ipairs(check.files("lua", ".c", ".h")) do
    local folder = path:match "^(.*)/"
    for _, include in ipairs(includes(path)) do
      local header = include.header
      if include.own then
        looked()
        if header ~= "tcpmulti.h" and not exists(folder .. "/" .. header)
          and not exists("lua/" .. header) and not exists("lua/include/" .. header) then
          found("%s:%d: includes %s, which is not lua's own", path, include.number, header)
        end
      end
    end
  end
end)

check.case("lua: the binding knows nothing of the runner", function(found, looked)
  for _, path in ipairs(check.files("lua", ".c", ".h", ".lua")) do
    if not path:match "^lua/runner/" then
      looked()
      for number, line in check.lines(path) do
        if line:match "runner[./]" or line:match "tcpm__runner" then
          found("%s:%d: %s", path, number, line)
        end
      end
    end
  end
end)

check.main()
