-- SPDX-License-Identifier: MIT
-- http_head.lua against nginx, and against servers that do not keep to HTTP.
local lu = require "luaunit"
local harness = require "scripts.harness"
local servers = require "scripts.servers"

local cases = harness.cases "HttpHead"

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

-- The lines for people. targets: HOST:PORT/PATH each, as lines of JSON.
local function run(targets, ...)
  local lines = {}
  for i, target in ipairs(targets) do
    local place, path = target:match "^([^/]*)(.*)$"
    path = path ~= "" and (',"path":"%s"'):format(path) or ""
    lines[i] = ('{"target":"%s"%s}'):format(place, path)
  end
  return harness.script("http_head.lua", { "-q", "-f", "text", "-r", "0", "--per-host", "0", ... },
    { stdin = table.concat(lines, "\n") })
end

function cases.J82_nginx_status_and_headers_of_a_page_a_missing_page_a_path_by_default()
  local port = servers.nginx { ["index.html"] = ("x"):rep(615), ["a.txt"] = "abc" }
  local host = "127.0.0.1:" .. port
  local head = run { host .. "/a.txt", host .. "/missing", host, host .. "/index.html" }
  lu.assertEquals(head.errors(), "", "standard error")
  lu.assertEquals(head.code, 0, "exit status")
  for _, line in ipairs { "/a.txt 200 OK\n", "/missing 404 Not Found\n", "/ 200 OK\n",
    "/index.html 200 OK\n" } do
    lu.assertStrContains("\n" .. head.output(), "\n" .. host .. line)
  end
  local line = harness.script("http_head.lua", { "-q", host, "--path", "/a.txt" }).output()
  for _, text in ipairs { '"content-length":"3"', '"content-type":"text/plain"',
    '"connection":"close"', '"status":200', '"url":"' .. host .. '/a.txt"' } do
    lu.assertStrContains(line, text)
  end
end

function cases.URLs_of_one_scheme()
  local host = "127.0.0.1:" .. servers.nginx { ["index.html"] = "x", ["a.txt"] = "abc" }
  local url = "http://" .. host
  local head = harness.script("http_head.lua", { "-q", "-f", "text", url, url .. "/a.txt?b" })
  lu.assertEquals(head.code, 0, "exit status " .. head.errors())
  lu.assertStrContains(head.output(), host .. "/ 200 OK\n")
  lu.assertStrContains(head.output(), host .. "/a.txt?b 200 OK\n")
  local mixed = harness.script("http_head.lua", { url, "https://" .. host })
  lu.assertEquals(mixed.code, 2, "exit status")
  lu.assertStrContains(mixed.errors(), "http:// and https:// need a job each")
end

function cases.nginx_300_requests_at_once()
  local port = servers.nginx { ["index.html"] = "hello" }
  local urls = {}
  for i = 1, 300 do urls[i] = ("127.0.0.1:%d/?%d"):format(port, i) end
  local head = run(urls)
  lu.assertEquals(head.code, 0, "exit status " .. head.errors())
  for _, url in ipairs(urls) do lu.assertStrContains(head.output(), url .. " 200 OK\n") end
end

function cases.the_practice_peer_in_its_mode_http()
  local script = os.getenv("TCPM_SOURCE") .. "/scripts/http_head.lua"
  local chunk = ([[local tcpmulti = require "tcpmulti"
    arg = { [0] = arg[0], tcpmulti.peer.addr .. ":" .. tcpmulti.peer.port, "-f", "text", "-q" }
    dofile(%q)]]):format(script)
  local head = harness.run(arg[1], { "--peer", "http", "-e", chunk })
  lu.assertEquals(head.code, 0, "exit status " .. head.errors())
  lu.assertStrContains(head.output(), "/ 200 OK\n")
end

function cases.bare_line_feeds_an_interim_reply_a_head_in_single_bytes_control_bytes()
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
  local status = { "200 OK", "200 OK", "204 No Content", "200 \\u001B[2J" }
  local urls = {}
  for i, port in ipairs(ports) do urls[i] = address .. ":" .. port .. "/" end
  local head = run(urls)
  lu.assertEquals(head.code, 0, "exit status " .. head.errors())
  for i, url in ipairs(urls) do
    lu.assertStrContains(head.output(), url .. " " .. status[i] .. "\n")
  end
end

function cases.a_path_cannot_add_a_line_to_the_request()
  local heard, address = "", harness.address()
  local port = harness.listen(address, nil, function(client)
    client:read_start(function(_, bytes)
      heard = heard .. (bytes or "")
      if heard:find "\r\n\r\n" then client:write "HTTP/1.1 200 OK\r\n\r\n" client:shutdown() end
    end)
  end)
  local head = run({ address .. ":" .. port }, "--path", "a b\r\nX: y")
  lu.assertEquals(head.code, 0, "exit status " .. head.errors())
  local words = "HEAD /a%%20b%%0D%%0AX:%%20y HTTP/1%.1\r\n.*Host: " .. address .. ":%d+\r\n.*"
  lu.assertStrMatches(heard, words)
  lu.assertNil(heard:find "\nX:")
end

function cases.no_http_a_head_cut_off_an_endless_line_nobody_there()
  local address = harness.address()
  local ports = {
    harness.listen(address, nil, function(client) client:write("220 mail.example\r\n") end),
    web_server(address, { "HTTP/1.1 200 OK\r\nA: b\r\n" }),
    web_server(address, { "HTTP/1.1 200 OK\r\nA: " .. ("b"):rep(70000) }),
    9,
  }
  local expected = { "not HTTP: 220 mail.example\n", "end of file", "a head is longer than ",
    "Connection refused" }
  local urls = {}
  for i, port in ipairs(ports) do urls[i] = address .. ":" .. port end
  local head = run(urls, "--fail-if", "failed >= 4")
  lu.assertEquals(head.code, 3, "exit status")
  for i, url in ipairs(urls) do
    local text = head.output():match(url:gsub("%.", "%%.") .. ": ([^\n]*\n)")
    lu.assertStrContains(text or head.output(), expected[i])
  end
end

function cases.all_targets_are_looked_at_before_the_first_connection()
  local address, asked = harness.address(), 0
  local port = harness.listen(address, nil, function(client)
    asked = asked + 1
    client:close()
  end)
  for _, words in ipairs { { "https:///" }, { "/path" }, { "127.0.0.1:0" }, { "a b" },
    { "ftp://127.0.0.1/" } } do
    local head = harness.script("http_head.lua", { address .. ":" .. port, "--strict", words[1] })
    lu.assertEquals(head.code, 2, "exit status of " .. words[1])
    lu.assertStrContains(head.errors(), "argument:2: " .. words[1] .. ": ")
  end
  lu.assertEquals(asked, 0)
end

harness.main(cases)
