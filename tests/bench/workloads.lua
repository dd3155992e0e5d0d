-- What is measured. Of each workload: the name on the command line; `work`, what the client is
-- told; the mode of the server; connections open at a time; operations in a full, a quick and a
-- guard run; rounds; and how a cost is told. In a bulk run an operation is a byte.
local MILLION, GIB = 1000000, 1073741824

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
    operations = { full = 400000, quick = 100000, guard = 100000 },
    rounds = { full = rounds, quick = 3 },
    unit = "µs/message",
    scale = MILLION,
  }
end

local function bulk(connections)
  return {
    name = "bulk-" .. connections,
    title = ("bulk, %d connection%s receiving"):format(connections, connections > 1 and "s" or ""),
    work = "bulk",
    server = "bulk",
    connections = connections,
    operations = { full = 4 * GIB, quick = GIB },
    rounds = { full = 5, quick = 3 },
    unit = "s/GiB",
    scale = GIB,
  }
end

return {
  {
    name = "storm",
    title = "storm: connect, send a line, receive it, close; 1000 at a time",
    work = "storm",
    server = "echo",
    connections = 1000,
    operations = { full = 100000, quick = 20000, guard = 20000 },
    rounds = { full = 5, quick = 3 },
    unit = "µs/connection",
    scale = MILLION,
  },
  pingpong(1000, 5),
  pingpong(1000, 5, 0),
  pingpong(10000, 5),
  pingpong(19000, 5),
  {
    name = "idle",
    title = "idle: memory in user space with 15000 connections open, timeouts armed",
    work = "idle",
    server = "hold",
    connections = 15000,
    rounds = { full = 3, quick = 1 },
    unit = "bytes/connection",
    memory = true,
  },
  bulk(1),
  bulk(100),
  {
    name = "lines",
    title = "lines: 40 bytes each, all different, through the line filter to a handler",
    work = "lines",
    server = "lines",
    connections = 1,
    operations = { full = 10 * MILLION, quick = 2 * MILLION },
    rounds = { full = 5, quick = 3 },
    unit = "ns/line",
    scale = 1000 * MILLION,
  },
}
