-- SPDX-License-Identifier: MIT
-- What is measured. Of each workload: the name on the command line; `work`, what the client is
-- told; the mode of the server; connections open at a time; operations in a full, a quick and a
-- guard run; rounds; how a cost is told; and what ours has to reach: the ratio to the floor or the
-- cost itself, at least ("must") and at best ("goal"). In a bulk run an operation is a byte.
local MILLION, GIB = 1000000, 1073741824

local function ratio(must, goal)
  return { kind = "ratio", must = must, goal = goal }
end

local function cost(must, goal)
  return { kind = "cost", must = must, goal = goal }
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

-- Of 9,999 connections `window` have a line under way, in turn; the first half of the lines alone,
-- the second beside a connection that receives as fast as it can.
local function mixed(fields)
  fields.work, fields.server, fields.scale = "mixed", "mixed", 1
  fields.rounds = { full = 3, quick = 1 }
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
}
