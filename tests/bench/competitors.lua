-- SPDX-License-Identifier: MIT
-- Who is measured, the floor first: all ratios are to it. To add one: write its client in clients/
-- (README.md says what is asked of it) and name it here.
--   command(paths): program and first arguments
--   needs: a shell command that fails where it is missing; then it is left out
--   share, rounds, most_connections: the part of the work that it does, how often at most, and the
--   workloads it is left out of, for slow ones
return {
  {
    name = "floor",
    title = "epoll in C, hand-tuned",
    command = function(paths)
      return { paths.programs .. "/bench-floor" }
    end,
  },
  {
    name = "libuv",
    title = "libuv in C, natural style",
    command = function(paths)
      return { paths.programs .. "/bench-libuv" }
    end,
  },
  {
    name = "tcpmulti-c",
    title = "tcpmulti, C API",
    command = function(paths)
      return { paths.programs .. "/bench-tcpmulti" }
    end,
  },
  {
    name = "tcpmulti-lua",
    title = "tcpmulti, handlers in Lua",
    command = function(paths)
      return { paths.runner, paths.clients .. "/tcpmulti.lua" }
    end,
  },
  {
    name = "luv",
    title = "luv on LuaJIT",
    needs = "luajit -e 'require \"luv\"'",
    command = function(paths)
      return { "luajit", paths.clients .. "/luv.lua" }
    end,
  },
  {
    name = "node",
    title = "Node's net",
    needs = "node --version",
    share = 0.05,
    rounds = 2,
    command = function(paths)
      return { "node", "--expose-gc", paths.clients .. "/node.js" }
    end,
  },
  {
    name = "poe",
    title = "POE::Component::Client::TCP",
    needs = "perl -MPOE::Component::Client::TCP -e 1",
    share = 0.05,
    rounds = 1,
    most_connections = 1000,
    command = function(paths)
      return { "perl", paths.clients .. "/poe.pl" }
    end,
  },
}
