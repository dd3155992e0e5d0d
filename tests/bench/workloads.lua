-- SPDX-License-Identifier: MIT
-- What is measured. Of each workload: the name on the command line; `work`, what the client is
-- told; the mode of the server; connections open at a time; operations in a full, a quick and a
-- guard run; rounds; how a cost is told; and what ours has to reach: the ratio to the floor or the
-- cost itself, or what it is above the floor, at least ("must") and at best ("goal"). In a bulk run
-- an operation is a byte. `tls`: the connections speak TLS, where the library was built with it.
-- `tasks`: of the coroutine style, a detail, whose aims compare it with handlers (`by`) instead of
-- the floor. `detail`: in RESULTS.md, but not in the table of the project's README.
local MILLION, GIB = 1000000, 1073741824

local function ratio(must, goal)
  return { kind = "ratio", must = must, goal = goal }
end

local function cost(must, goal)
  return { kind = "cost", must = must, goal = goal }
end

-- More than the floor, in the unit of the workload.
-- of: "lua_bytes" for Lua's memory alone. Default: the cost.
local function above(must, goal, of)
  return { kind = "above", must = must, goal = goal, of = of }
end

local function pingpong(connections, rounds, timeouts)
  return {
    name = "pingpong-" .. connections .. (timeouts == 0 and "-bare" or ""),
    title = ("ping-pong, %d connections, lines of 64 bytes, %s"):format(
      connections,
      timeouts == 0 and "no timeouts" or "timeouts armed"
    ),
    work = "pingpong",
    server = "echo",
    timeouts = timeouts,
    detail = timeouts == 0 or connections ~= 10000,
    connections = connections,
    operations = { full = 200000, quick = 40000, guard = 100000 },
    rounds = { full = rounds, quick = timeouts == 0 and 1 or 2 },
    unit = "µs/message",
    scale = MILLION,
    aims = timeouts ~= 0
        and { ["tcpmulti-c"] = ratio(1.15, 1.05), ["tcpmulti-lua"] = ratio(1.20, 1.10) }
      or nil,
  }
end

local function bulk(connections)
  return {
    name = "bulk-" .. connections,
    title = ("bulk, %d connection%s receiving"):format(connections, connections > 1 and "s" or ""),
    work = "bulk",
    server = "bulk",
    connections = connections,
    operations = { full = 2 * GIB, quick = GIB / 2 },
    rounds = { full = 5, quick = 2 },
    unit = "s/GiB",
    scale = GIB,
    aims = { ["tcpmulti-lua"] = ratio(1.4, 1.2) },
  }
end

-- Under TLS; against the server and the floor of their own. A handshake verifies a chain of two
-- certificates, EC, and resumes nothing. Without `for_all` it is for the floor and ours alone.
local function tls(fields)
  fields.tls, fields.name = true, "tls-" .. fields.name
  if not fields.for_all then
    fields.only = fields.only or { floor = true, ["tcpmulti-c"] = true, ["tcpmulti-lua"] = true }
  end
  fields.aims = { ["tcpmulti-c"] = fields.aim, ["tcpmulti-lua"] = fields.aim_lua or fields.aim }
  return fields
end

local function tls_bulk(connections)
  return tls {
    name = "bulk-" .. connections,
    title = ("TLS bulk, %d connection%s receiving"):format(
      connections,
      connections > 1 and "s" or ""
    ),
    work = "bulk",
    for_all = true,
    server = "bulk",
    connections = connections,
    operations = { full = 2 * GIB, quick = GIB / 2 },
    rounds = { full = 5, quick = 2 },
    unit = "s/GiB",
    scale = GIB,
    aim = ratio(1.25, 1.12),
  }
end

local function tls_bulk_out(connections)
  return tls {
    name = "bulk-out-" .. connections,
    title = ("TLS bulk, %d connection%s sending"):format(
      connections,
      connections > 1 and "s" or ""
    ),
    detail = true,
    work = "upload",
    server = "take",
    connections = connections,
    operations = { full = 2 * GIB, quick = GIB / 2 },
    rounds = { full = 5, quick = 2 },
    unit = "s/GiB",
    scale = GIB,
    aim = ratio(1.20, 1.05),
  }
end

-- Four at a time, because that many sessions are kept for a server.
local function tls_resumed(version, server)
  return tls {
    name = "resumed-" .. version,
    detail = true,
    title = ("TLS %s storm that resumes sessions, 4 at a time"):format(version),
    work = "storm",
    server = server,
    resume = true,
    connections = 4,
    operations = { full = 3000, quick = 500 },
    rounds = { full = 5, quick = 2 },
    unit = "µs/connection",
    scale = MILLION,
    aim = ratio(1.15, 1.05),
  }
end

-- Of 9,999 connections `window` have a line under way, in turn; the first half of the lines alone,
-- the second beside a connection that receives as fast as it can.
local function mixed(fields)
  fields.detail = true
  fields.work, fields.server, fields.scale = "mixed", "mixed", 1
  fields.rounds = { full = 3, quick = 1 }
  return fields
end

-- Dialogues from top to bottom: ours in tasks, beside the same work in handlers, which is what
-- tasks are measured by, and beside others who write it so.
local function tasks(fields)
  fields.tasks, fields.detail = true, true
  fields.only = { floor = true, ["tcpmulti-lua"] = true, ["tcpmulti-co"] = true }
  for _, name in ipairs(fields.beside or { "cqueues", "go" }) do
    fields.only[name] = true
  end
  if fields.aim then
    fields.aim.by = "tcpmulti-lua"
    fields.aims = { ["tcpmulti-co"] = fields.aim }
  end
  return fields
end

-- timeouts = 2: each wait for a line has a time of its own, as all waits of the others have.
local function tasks_pingpong(fields)
  fields.work, fields.server, fields.unit, fields.scale = "pingpong", "echo", "µs/message", MILLION
  fields.operations = { full = 200000, quick = 40000, guard = 50000 }
  fields.rounds = { full = 5, quick = 2 }
  return tasks(fields)
end

-- A small cost of tasks alone. `connections` counts tasks.
local function detail(fields)
  fields.tasks, fields.detail, fields.server = true, true, fields.server or "hold"
  fields.rounds = { full = 5, quick = 2 }
  fields.unit, fields.scale = "ns", 1000 * MILLION
  fields.only = { ["tcpmulti-co"] = true, ["tcpmulti-lua"] = fields.has_twin }
  fields.aims = { ["tcpmulti-co"] = fields.aim }
  return fields
end

return {
  {
    name = "storm",
    title = "storm: connect, send a line, receive it, close; 1000 at a time",
    work = "storm",
    server = "echo",
    connections = 1000,
    operations = { full = 100000, quick = 10000, guard = 20000 },
    rounds = { full = 5, quick = 2 },
    unit = "µs/connection",
    scale = MILLION,
    aims = { ["tcpmulti-c"] = ratio(1.25, 1.10), ["tcpmulti-lua"] = ratio(1.40, 1.20) },
  },
  pingpong(1000, 5),
  pingpong(10000, 5),
  pingpong(19000, 3),
  pingpong(1000, 2, 0),
  pingpong(10000, 2, 0),
  pingpong(19000, 2, 0),
  bulk(1),
  bulk(100),
  {
    name = "lines",
    title = "lines: 40 bytes each, all different, through the line filter to a handler",
    work = "lines",
    server = "lines",
    connections = 1,
    operations = { full = 6 * MILLION, quick = MILLION },
    rounds = { full = 5, quick = 2 },
    unit = "ns/line",
    scale = 1000 * MILLION,
    aims = { ["tcpmulti-lua"] = cost(200, 130) },
  },
  {
    name = "idle",
    title = "idle: memory in user space with 15000 connections open, timeouts armed",
    work = "idle",
    server = "hold",
    connections = 15000,
    rounds = { full = 2, quick = 1 },
    unit = "bytes/connection",
    memory = true,
    aims = { ["tcpmulti-lua"] = cost(600, 550) },
  },
  mixed {
    name = "mixed",
    title = "mixed: 9999 quiet connections, a blaster beside them; p99 with it by p99 without it",
    connections = 9999,
    window = 100,
    operations = { full = 9999 * 40, quick = 9999 * 10 },
    unit = "times",
    only = { libuv = true, ["tcpmulti-c"] = true, ["tcpmulti-lua"] = true },
    cost = function(figures)
      return figures.p99_beside_us / figures.p99_alone_us
    end,
    aims = { ["tcpmulti-c"] = cost(2, 2), ["tcpmulti-lua"] = cost(2, 2) },
  },
  mixed {
    name = "punctual",
    title = "punctual: an alarm every 10 ms while 19000 connections are busy, how late at most",
    connections = 19000,
    window = 19000,
    operations = { full = 19000 * 20, quick = 19000 * 4 },
    unit = "ms",
    only = { ["tcpmulti-c"] = true, ["tcpmulti-lua"] = true },
    cost = function(figures)
      return figures.late_ms
    end,
    aims = { ["tcpmulti-c"] = cost(10, 10), ["tcpmulti-lua"] = cost(10, 10) },
  },
  tls {
    name = "pingpong",
    for_all = true,
    title = "TLS ping-pong, 300 connections, lines of 64 bytes, timeouts armed",
    work = "pingpong",
    server = "echo",
    connections = 300,
    operations = { full = 90000, quick = 15000 },
    rounds = { full = 5, quick = 2 },
    unit = "µs/message",
    scale = MILLION,
    aim = ratio(1.15, 1.08),
    aim_lua = ratio(1.25, 1.12),
  },
  tls {
    name = "storm",
    for_all = true,
    title = "TLS storm: connect, handshake, send a line, receive it, close; 100 at a time",
    work = "storm",
    server = "echo",
    connections = 100,
    operations = { full = 3000, quick = 500 },
    rounds = { full = 5, quick = 2 },
    unit = "µs/connection",
    scale = MILLION,
    aim = ratio(1.10, 1.03),
  },
  tls {
    name = "http",
    title = "HTTPS: 50 connections with keep-alive, a GET and an answer of 103 bytes at a time",
    only = { floor = true, ["tcpmulti-c"] = true, ["tcpmulti-lua"] = true, wrk = true },
    work = "http",
    server = "http",
    connections = 50,
    operations = { full = 100000, quick = 20000 },
    rounds = { full = 4, quick = 2 },
    unit = "µs/request",
    scale = MILLION,
  },
  tls_bulk(1),
  tls_bulk(100),
  tls_bulk_out(1),
  tls_bulk_out(100),
  tls_resumed("1.3", "echo"),
  tls_resumed("1.2", "echo-1.2"),
  tls {
    name = "idle",
    for_all = true,
    title = "TLS idle: memory in user space with 10000 connections open, timeouts armed",
    work = "idle",
    server = "hold",
    connections = 10000,
    rounds = { full = 2, quick = 1 },
    unit = "bytes/connection",
    memory = true,
    aim = above(1024, 512),
  },
  tasks_pingpong {
    name = "pingpong-co",
    title = "ping-pong in tasks, 1000 connections, lines of 64 bytes, timeouts armed",
    connections = 1000,
    aim = ratio(1.25, 1.08),
  },
  tasks_pingpong {
    name = "pingpong-co-timed",
    title = "the same, each wait for a line with a time of its own",
    connections = 1000,
    timeouts = 2,
    beside = {},
    aim = ratio(1.30, 1.12),
  },
  tasks_pingpong {
    name = "pingpong-co-10000",
    title = "ping-pong in tasks, 10000 connections, lines of 64 bytes, timeouts armed",
    connections = 10000,
    aim = ratio(1.25, 1.08),
  },
  tasks {
    name = "storm-co",
    title = "storm of tasks: connect, send a line, receive it, close; 500 at a time",
    work = "storm",
    server = "echo",
    connections = 500,
    operations = { full = 50000, quick = 10000, guard = 10000 },
    rounds = { full = 5, quick = 2 },
    unit = "µs/connection",
    scale = MILLION,
    aim = ratio(1.20, 1.10),
  },
  -- Of 65 ns for a line of the prototype's callbacks, all lines the same, 180 were the limit and
  -- 130 the goal. How dear it is to make a string that nobody had is no matter of tasks.
  tasks {
    name = "lines-co",
    title = "lines: 40 bytes each, all different, received by a task",
    work = "lines",
    server = "lines",
    connections = 1,
    operations = { full = 6 * MILLION, quick = MILLION },
    rounds = { full = 5, quick = 2 },
    unit = "ns/line",
    scale = 1000 * MILLION,
    aim = above(115, 65),
  },
  tasks {
    name = "idle-co",
    title = "idle tasks: memory in user space with 15000 of them waiting for a line",
    work = "idle",
    server = "hold",
    connections = 15000,
    rounds = { full = 2, quick = 1 },
    unit = "bytes/connection",
    memory = true,
    aim = above(1228, 800, "lua_bytes"),
  },
  -- Of targets that answer at once. What a job adds to the bare session, in user space, is told by
  -- the figures of both; the limit is on the ratio of all CPU time.
  {
    name = "job-banner",
    title = "20000 hosts, the first line of each, 500 at a time; jobs also plan and write results",
    detail = true,
    work = "banner",
    server = "greet",
    connections = 500,
    operations = { full = 20000, quick = 5000 },
    rounds = { full = 5, quick = 2 },
    unit = "µs/target",
    scale = MILLION,
    only = { ["tcpmulti-lua"] = true, ["tcpmulti-job"] = true, asyncio = true, nmap = true },
    aims = {
      ["tcpmulti-job"] = { kind = "ratio", must = 1.35, goal = 1.30, by = "tcpmulti-lua" },
    },
  },
  detail {
    name = "co-exact",
    title = "a task receives exactly 7 bytes, then a line, 40 bytes in all",
    work = "exact",
    server = "lines",
    has_twin = true,
    connections = 1,
    operations = { full = 4 * MILLION, quick = MILLION },
    aim = cost(400, 300),
  },
  detail {
    name = "co-sleep",
    title = "1000 tasks sleep for 1 ms, again and again; handlers: alarms",
    work = "sleep",
    has_twin = true,
    connections = 1000,
    operations = { full = 400000, quick = 100000 },
    aim = cost(1000, 600),
  },
  detail {
    name = "co-spawn",
    title = "a task begins and ends, 100 at a time",
    work = "spawn",
    connections = 100,
    operations = { full = 400000, quick = 100000 },
  },
  detail {
    name = "co-queue",
    title = "a value is put into a queue by one task, and got by another",
    work = "queue",
    connections = 1,
    operations = { full = MILLION, quick = 200000 },
  },
  detail {
    name = "co-each",
    title = "each, 100 at a time, with targets that need nothing",
    work = "each",
    connections = 100,
    operations = { full = 400000, quick = 100000 },
  },
}
