-- SPDX-License-Identifier: MIT
-- The practice peer: each mode, its addresses, and that it ends with the script whatever happens.
local lu = require "luaunit"
local harness = require "scripts.harness"
local support = require "runner.support"
local uv = require "luv"
local expect = support.expect

local cases = harness.cases "Peer"

local function run(mode, text) return support.run { "--peer", mode, support.script(text) } end

function cases.tcpmulti_peer_says_where_it_is()
  expect(run("echo", [[
    local peer = require "tcpmulti".peer
    print(peer.addr, #peer.addrs, peer.addrs[1], peer.addrs[32], peer.mode)
    assert(peer.port > 0 and peer.port < 65536)]]), 0,
    "127.0.0.1\t32\t127.0.0.1\t127.0.0.32\techo\n", "")
end

function cases.tcpmulti_peer_cheap_works_as_without_it()
  expect(run("echo", [[
    local tcpmulti = require "tcpmulti"
    local session = tcpmulti.create { on_success = function(cheap)
      local addr, port = tcpmulti.peer(cheap)
      assert(addr == "127.0.0.9" and port == tcpmulti.peer.port)
      addr, port = cheap:peer()
      assert(addr == "127.0.0.9" and port == tcpmulti.peer.port)
      tcpmulti.shutdown(cheap)
      print "same"
    end }
    session:connect(tcpmulti.peer.addrs[9], tcpmulti.peer.port)]]), 0, "same\n", "")
end

function cases.it_listens_on_all_32_addresses()
  expect(run("echo", [[
    local tcpmulti = require "tcpmulti"
    local seen = 0
    local session = tcpmulti.create {
      on_success = function(cheap) tcpmulti.send(cheap, cheap.addr) end,
      on_input = function(cheap, line)
        assert(line == cheap.addr)
        seen = seen + 1
        tcpmulti.shutdown(cheap)
      end }
    for _, addr in ipairs(tcpmulti.peer.addrs) do
      session:connect({ addr = addr }, addr, tcpmulti.peer.port)
    end
    tcpmulti.run()
    print(seen)]]), 0, "32\n", "")
end

-- Receives all bytes until the end, and prints how many came and how it ended.
local receive = [[
  local tcpmulti = require "tcpmulti"
  local parts, session = {}, nil
  session = tcpmulti.create { filter = "stream",
    on_success = function(cheap) %s end,
    on_input = function(cheap, bytes) parts[#parts + 1] = bytes %s end,
    on_disconnected = function(_, _, reason) print(reason, #table.concat(parts)) end }
  session:connect(tcpmulti.peer.addr, tcpmulti.peer.port)
  tcpmulti.run()
  local all = table.concat(parts)
]]

function cases.echo_20_mb_come_back_as_they_were()
  expect(run("echo", receive:format([[
      sent = ("0123456789abcdef\n"):rep(20 * 1024 * 1024 / 17)
      tcpmulti.send(cheap, sent)
      cheap:shutdown "output"]], "") .. "print(all == sent)"), 0, "eof\t20971506\ntrue\n", "")
end

function cases.discard_takes_all_and_answers_nothing()
  expect(run("discard", receive:format([[
      tcpmulti.send(cheap, ("x"):rep(5000000))
      cheap:shutdown "output"]], "")), 0, "eof\t0\n", "")
end

function cases.chargen_lines_of_rfc_864_without_end()
  expect(run("chargen", receive:format("", [[
      received = (received or 0) + #bytes
      if received > 10000000 then cheap:reset() end]]) .. [[
    local first, second = all:match "^([^\r\n]*)\r\n([^\r\n]*)\r\n"
    assert(#first == 72 and first:byte(1) == 32 and first:sub(2) == second:sub(1, 71))
    local lines = 0
    for line in all:gmatch "([^\r\n]+)\r\n" do
      assert(#line == 72)
      lines = lines + 1
    end
    print(lines > 100000)]]), 0, nil, "")
end

function cases.banner_sends_its_text_with_escapes_and_takes_the_rest()
  expect(run([[banner=220 hello\x1b[0m]], receive:format("", "tcpmulti.shutdown(cheap)")
    .. "print(all == '220 hello\\27[0m\\r\\n')"), 0, "shutdown\t15\ntrue\n", "")
  expect(run([[banner=two\nlines\r\n]], receive:format("", "tcpmulti.shutdown(cheap)")
    .. "print(all == 'two\\nlines\\r\\n')"), 0, "shutdown\t11\ntrue\n", "")
end

function cases.http_head_and_get_pipelined_then_close()
  expect(run("http", receive:format([[
      tcpmulti.send(cheap, "HEAD / HTTP/1.1\r\nHost: peer\r\n\r\n")
      tcpmulti.send(cheap, "GET / HTTP/1.1\r\nHost: peer\r\n\r")
      session:delay(function()
        tcpmulti.send(cheap, "\nGET /x HTTP/1.1\r\nHost: peer\r\nConnection: close\r\n\r\n")
      end, 0.05)]], "") .. [[
    local count = select(2, all:gsub("HTTP/1.1 200 OK\r\n", ""))
    local bodies = select(2, all:gsub("\r\n\r\nHello from the practice peer.\n", ""))
    print(count, bodies)]]), 0, nil, "")
end

function cases.http_what_is_no_get_or_head_is_refused()
  local post = [[tcpmulti.send(cheap, "POST / HTTP/1.1\r\n\r\n")]]
  local refused = run("http", receive:format(post, "") .. "print(all:match '^[^\\r]*')")
  expect(refused, 0, nil, "")
  lu.assertStrContains(refused.output(), "HTTP/1.1 405 Method Not Allowed")
end

function cases.it_carries_15_000_connections()
  expect(run("echo", [[
    local tcpmulti = require "tcpmulti"
    local peer, open, echoed, failed = tcpmulti.peer, 0, 0, 0
    local session
    session = tcpmulti.create {
      on_success = function() open = open + 1
        if open == 15000 then
          for _, cheap in session:connections() do tcpmulti.send(cheap, "line") end
        end
      end,
      on_input = function(cheap) echoed = echoed + 1 tcpmulti.shutdown(cheap) end,
      on_failure = function() failed = failed + 1 end }
    for i = 1, 15000 do session:connect(peer.addrs[i % 32 + 1], peer.port) end
    tcpmulti.run()
    print(open, echoed, failed)]]), 0, "15000\t15000\t0\n", "")
end

-- The pid of the practice peer of a process that runs.
local function peer_of(process)
  local list = ("/proc/%d/task/%d/children"):format(process.pid, process.pid)
  return assert(tonumber(io.open(list):read "*a":match "^(%d+)"))
end

-- Ended, or ended and not yet reaped by whoever inherits it.
local function has_ended(pid)
  local file = io.open(("/proc/%d/stat"):format(pid))
  local state = file and file:read "*a":match "%) (%a)"
  if file then file:close() end
  return not state or state == "Z"
end

for how, text in pairs {
  ["when it returns"] = "tcpmulti.stop()",
  ["when it raises"] = "error 'raised'",
  ["when it exits"] = "os.exit(0)",
  ["when it is killed"] = "io.open('/proc/self/fd/0'):read() require 'ffi'.cdef 'int raise(int);' "
    .. "require 'ffi'.C.raise(9)",
  ["when it aborts"] = "require 'ffi'.cdef 'void abort(void);' require 'ffi'.C.abort()",
} do
  cases["it ends with the script " .. how] = function()
    local path = support.script("local tcpmulti = require 'tcpmulti' print(tcpmulti.peer.port) "
      .. "io.stdout:flush() local ends = os.clock() + 0.3 while os.clock() < ends do end " .. text)
    local process = support.start { "--peer", "discard", path }
    support.await_output(process, "\n")
    local pid = peer_of(process)
    harness.finish(process)
    harness.wait_until(10, "the peer's end", function() return has_ended(pid) end)
  end
end

function cases.it_holds_nobodys_standard_output_open()
  local process = support.start { "--peer", "echo", "-e", "print 'out'" }
  local begin = uv.hrtime()
  harness.finish(process)
  expect(process, 0, "out\n", "")
  assert(uv.hrtime() - begin < 10e9)
end

harness.main(cases, 60)
