-- SPDX-License-Identifier: MIT
-- Who is measured, the floor first: all ratios are to it. To add one: write its client in clients/
-- (README.md says what is asked of it) and name it here.
--   command(paths, workload): program and first arguments
--   needs: a shell command that fails where it is missing; then it is left out
--   needs_tls: the same, for the workloads under TLS
--   build(paths): a shell command that makes its program, for one that Meson does not build
--   tls: it has a client for TLS; a number: the part of that work that it does, instead of share
--   only_where_named: takes part only in workloads whose `only` names it
--   by_time: does as many operations as its time allows; those are what counts
--   share, rounds, most_connections: the part of the work that it does, how often at most, and the
--   workloads it is left out of, for slow ones
return {
  {
    name = "floor",
    tls = true,
    title = "epoll in C, hand-tuned",
    command = function(paths, workload)
      return { paths.programs .. (workload.tls and "/bench-tls-floor" or "/bench-floor") }
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
    tls = true,
    command = function(paths)
      return { paths.programs .. "/bench-tcpmulti" }
    end,
  },
  {
    name = "tcpmulti-lua",
    title = "tcpmulti, handlers in Lua",
    tls = true,
    command = function(paths)
      return { paths.runner, paths.clients .. "/tcpmulti.lua" }
    end,
  },
  {
    name = "tcpmulti-co",
    title = "tcpmulti, tasks in Lua",
    only_where_named = true,
    command = function(paths)
      return { paths.runner, paths.clients .. "/tcpmulti_co.lua" }
    end,
  },
  {
    name = "tcpmulti-job",
    title = "tcpmulti, a whole job",
    only_where_named = true,
    command = function(paths)
      return { paths.runner, paths.clients .. "/tcpmulti_job.lua" }
    end,
  },
  {
    name = "cqueues",
    title = "cqueues on LuaJIT",
    needs = "luajit -e 'require \"cqueues\"'",
    only_where_named = true,
    share = 0.25,
    rounds = 3,
    command = function(paths)
      return { "luajit", paths.clients .. "/cqueues.lua" }
    end,
  },
  {
    name = "luv",
    title = "luv on LuaJIT",
    needs = "luajit -e 'require \"luv\"'",
    needs_tls = "luajit -e 'require \"openssl.ssl\" require \"ffi\".load \"ssl\"'",
    tls = 0.5,
    command = function(paths)
      return { "luajit", paths.clients .. "/luv.lua" }
    end,
  },
  {
    name = "node",
    title = "Node's net and tls",
    needs = "node --version",
    share = 0.05,
    tls = 0.2,
    rounds = 2,
    command = function(paths)
      return { "node", "--expose-gc", paths.clients .. "/node.js" }
    end,
  },
  {
    name = "go",
    title = "Go's net and crypto/tls",
    needs = "go version",
    share = 0.25,
    tls = 0.25,
    rounds = 2,
    build = function(paths)
      local command = "export GO111MODULE=off GOCACHE='%s/go-cache'; go build -o '%s' '%s'"
      return command:format(paths.made, paths.made .. "/bench-go", paths.clients .. "/client.go")
    end,
    command = function(paths)
      return { paths.made .. "/bench-go" }
    end,
  },
  {
    name = "wrk",
    title = "wrk, one thread",
    needs = "command -v wrk",
    tls = true,
    only_where_named = true,
    by_time = true,
    rounds = 3,
    command = function(paths)
      return { "luajit", paths.clients .. "/wrk.lua" }
    end,
  },
  {
    name = "asyncio",
    title = "Python's asyncio",
    needs = "python3 -c 'import asyncio'",
    only_where_named = true,
    share = 0.25,
    rounds = 3,
    command = function(paths)
      return { "python3", paths.clients .. "/asyncio_banner.py" }
    end,
  },
  {
    name = "nmap",
    title = "nmap's script banner",
    needs = "nmap --version",
    only_where_named = true,
    share = 0.05,
    rounds = 2,
    command = function(paths)
      return { "luajit", paths.clients .. "/nmap.lua" }
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
