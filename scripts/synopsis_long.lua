-- SPDX-License-Identifier: MIT
-- synopsis_long.lua: the long program of the Perl module's manual, with the names of this library:
-- events, timeouts, filters, states and heaps, each once. The program in the manual talks for ever;
-- this program hangs up after three records.
--
-- usage: tcpmulti-lua [--peer echo] scripts/synopsis_long.lua [ADDRESS [PORT]]   (127.0.0.1 25)
--
--   2: connected to 127.0.0.1:45613
--   2: record 1: Some Data
--   2: record 2: Some Stuff
--   2: record 3: Some Stuff
--   2: disconnected: shutdown
local tcpmulti = require "tcpmulti"

local peer = type(tcpmulti.peer) == "table" and tcpmulti.peer or {}
local target = { arg[1] or peer.addr or "127.0.0.1", tonumber(arg[2] or peer.port or 25) }
if not target[2] or target[1]:find "^%-" or arg[3] then
  io.stderr:write("usage: tcpmulti-lua scripts/synopsis_long.lua [ADDRESS [PORT]]\n")
  os.exit(2)
end

local function handle_error(cheap, op, errnum, errstr, _, errname)
  print(("%d: %s: %s (%d, %s)"):format(cheap.number, op, errstr, errnum, errname))
end

local printer = {} -- an object and a package whose functions serve as states of the session
function printer:show(_, text) print(self.prefix .. tcpmulti.escape(text)) end
printer.prefix = ""
local counter = {}
function counter.count_record(session) session.heap.records = session.heap.records + 1 end

tcpmulti.create {
  on_initialize = function(cheap) cheap:input_filter("block", { block_size = 4 }) end,
  on_success = function(cheap, _, addr, port, _, id)
    cheap:filter("line")
    cheap:timeout(350) -- the input timeout of this connection, in seconds
    cheap.records = 0
    local session = cheap:session()
    session:yield("show", ("%d: connected to %s:%d"):format(cheap.number, addr, port))
    session:yield("send", id, "Some Data") -- this state is part of the session's interface
  end,
  on_input = function(cheap, record, id)
    cheap.records = cheap.records + 1
    cheap:session():yield("count_record")
    cheap:session():yield("show", ("%d: record %d: %s"):format(cheap.number, cheap.records, record))
    if cheap.records < 3 then cheap:session():yield("send", id, "Some Stuff") end
    if cheap.records == 3 then cheap:session():yield("shutdown", id) end
  end,
  on_failure = handle_error,
  on_error = handle_error,
  on_timeout = function(cheap, _, timer) print(("%d: timeout: %s"):format(cheap.number, timer)) end,
  on_disconnected = function(cheap, _, reason)
    print(("%d: disconnected: %s"):format(cheap.number, reason))
  end,

  domain = "inet", alias = "my session", filter = "line",
  input_timeout = 360, connect_timeout = 30, -- seconds
  heap = { records = 0 },                    -- the session's own table: session.heap
  args = target,                             -- the arguments of _start
  object_states = { printer, { "show" } },
  package_states = { counter, { "count_record" } },
  inline_states = {
    _start = function(session, addr, port)
      session:yield("connect", { number = 1 }, addr, port) -- a heap filled beforehand
      session:yield("connect_another", addr, port)
    end,
    connect_another = function(_, addr, port) -- connect with settings: only inside a state
      tcpmulti.connect {
        remote_address = addr, remote_port = port, bind_address = "127.0.0.1", bind_port = 0,
        connect_timeout = 50, input_timeout = 300, heap = { number = 2 },
      }
    end,
    _stop = function(session) print(("%d records in all"):format(session.heap.records)) end,
  },
}
tcpmulti.run()
