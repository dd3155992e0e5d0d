-- SPDX-License-Identifier: MIT
-- http_head.lua against nginx, and against servers that do not keep to HTTP.
local harness = require "scripts.harness"
local servers = require "scripts.servers"

-- Answers each request head with `reply`, in the pieces of a list, and closes.
local function web_server(address, reply)
  return harness.listen(address, nil, function(client)
    local head = ""
    client:read_start(function(_, bytes)
      if not bytes then return client:is_closing() or client:close() end
      head = head .. bytes
      if not head:find("\r\n\r\n", 1, true) then return end
      for _, piece in ipairs(reply) do client:write(piece) end
      client:shutdown()
    end)
  end)
end

harness.case("nginx: status and headers of a page, a missing page, a path by default", function()
  local port = servers.nginx { ["index.html"] = ("x"):rep(615), ["a.txt"] = "abc" }
  local host = "127.0.0.1:" .. port
  local head = harness.script("http_head.lua", {
    host .. "/a.txt", host .. "/missing", host, "http://" .. host .. "/index.html",
  })
  harness.equal("", head.errors(), "standard error")
  harness.equal(0, head.code, "exit status")
  local text = "\n" .. head.output()
  local page = text:match("\n" .. host .. "/a%.txt: HTTP/1%.1 200 OK\n(.-\n)%S")
    or text:match("\n" .. host .. "/a%.txt: HTTP/1%.1 200 OK\n(.*)$")
  assert(page, text)
  harness.contains(page, "  Content-Length: 3\n", "headers")
  harness.contains(page, "  Content-Type: text/plain\n", "headers")
  harness.contains(page, "  Connection: close\n", "headers")
  harness.contains(text, "\n" .. host .. "/missing: HTTP/1.1 404 Not Found\n", "output")
  harness.contains(text, "\n" .. host .. ": HTTP/1.1 200 OK\n", "output")
  harness.contains(text, "\nhttp://" .. host .. "/index.html: HTTP/1.1 200 OK\n", "output")
end)

harness.case("nginx: 300 requests at once", function()
  local port = servers.nginx { ["index.html"] = "hello" }
  local urls = {}
  for i = 1, 300 do urls[i] = ("127.0.0.1:%d/?%d"):format(port, i) end
  local head = harness.script("http_head.lua", urls)
  harness.equal(0, head.code, "exit status " .. head.errors())
  for _, url in ipairs(urls) do
    harness.contains(head.output(), url .. ": HTTP/1.1 200 OK\n", "output")
  end
end)

harness.case("the practice peer in its mode http", function()
  local script = os.getenv("TCPMULTI_SOURCE") .. "/scripts/http_head.lua"
  local chunk = ([[local tcpmulti = require "tcpmulti"
    arg = { [0] = arg[0], tcpmulti.peer.addr .. ":" .. tcpmulti.peer.port .. "/x" }
    dofile(%q)]]):format(script)
  local head = harness.run(arg[1], { "--peer", "http", "-e", chunk })
  harness.equal(0, head.code, "exit status " .. head.errors())
  harness.contains(head.output(), "/x: HTTP/1.1 200 OK\n", "output")
end)

harness.case("bare line feeds, an interim reply, a head in single bytes, control bytes", function()
  local address = harness.address()
  local bytes = {}
  for byte in ("HTTP/1.1 204 No Content\r\nA: b\r\n\r\n"):gmatch(".") do
    bytes[#bytes + 1] = byte
  end
  local ports = {
    web_server(address, { "HTTP/1.1 200 OK\nA: b\n\nbody" }),
    web_server(address, {
      "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nA: b\r\n\r\n",
    }),
    web_server(address, bytes),
    web_server(address, { "HTTP/1.1 200 \27[2J\r\nA: \155b\r\n\r\n" }),
  }
  local status = { "200 OK\n  A: b\n", "200 OK\n  A: b\n", "204 No Content\n  A: b\n",
    "200 \\u001B[2J\n  A: \\u009Bb\n" }
  local urls = {}
  for i, port in ipairs(ports) do urls[i] = address .. ":" .. port .. "/" end
  local head = harness.script("http_head.lua", urls)
  harness.equal(0, head.code, "exit status " .. head.errors())
  for i, url in ipairs(urls) do
    harness.contains(head.output(), url .. ": HTTP/1.1 " .. status[i], "output")
  end
end)

harness.case("no HTTP, a head cut off, an endless line, nobody there: exit status 1", function()
  local address = harness.address()
  local ports = {
    harness.listen(address, nil, function(client) client:write("220 mail.example\r\n") end),
    web_server(address, { "HTTP/1.1 200 OK\r\nA: b\r\n" }),
    web_server(address, { "HTTP/1.1 200 OK\r\nA: " .. ("b"):rep(9000) }),
    9,
  }
  local expected = { "error: fail: not an HTTP reply\n", "eof: read: EOF\n", "error: filter: ",
    "failure: connect: " }
  local urls = {}
  for i, port in ipairs(ports) do urls[i] = address .. ":" .. port end
  local head = harness.script("http_head.lua", urls)
  harness.equal(1, head.code, "exit status")
  for i, url in ipairs(urls) do
    harness.contains(head.output(), url .. ": " .. expected[i], "output")
  end
end)

harness.case("what cannot be: named, with the usage, exit status 2", function()
  local wrong = { {}, { "https://127.0.0.1/" }, { "/path" }, { "127.0.0.1:0" }, { "a b" } }
  for _, words in ipairs(wrong) do
    local head = harness.script("http_head.lua", words)
    harness.equal(2, head.code, "exit status of " .. table.concat(words, " "))
    harness.contains(head.errors(), "usage: tcpmulti-lua scripts/http_head.lua", "error")
    if words[1] then harness.contains(head.errors(), words[1], "error") end
  end
end)

harness.main()
