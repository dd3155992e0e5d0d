-- SPDX-License-Identifier: MIT
-- Jobs over TLS and through proxies, by handlers and by tasks: the times of those steps, and what
-- is said of a target that is not trusted or not reached.
local co = require "tcpmulti.co"
local lu = require "luaunit"
local proxies = require "proxies.support"
local support = require "behaviour.support"
local tls = require "secure.support"
local tcpmulti = require "tcpmulti"
local whole = require "jobs.whole"

local cases = support.cases "JobRoutes"

local ECHO = 'recv line; send "hello\\n"; recv all'

-- Asks a target for a line, once by a task and once by handlers: specs by their style.
local function specs(more)
  local by = {
    task = { filter = "line", each = function(cheap)
      cheap:send "line"
      return { line = co.try(cheap:receive()) }
    end },
    handlers = { filter = "line", on_success = function(cheap) cheap:send "line" end,
      on_input = function(cheap, line)
        cheap.line = line
        cheap:shutdown()
      end, result = function(cheap) return { line = cheap.line } end },
  }
  for _, spec in pairs(by) do
    for key, value in pairs(more or {}) do spec[key] = value end
  end
  return by
end

local function check(record, result, phases)
  lu.assertEquals({ result.status, record.ok, record.data and record.data.line },
    { 0, true, "hello" }, result.lines[1])
  for _, phase in ipairs { "proxy", "tls" } do
    local expected = phases:find(phase) ~= nil
    lu.assertEquals((record.us[phase] or 0) > 0, expected, result.lines[1])
    local values = result.figures.us[phase]
    lu.assertEquals(values and values.count, expected and 1 or nil)
  end
end

-- The file of the authority that the peers' certificates are from.
local function root()
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write(tls.root)
  file:close()
  support.finally(function() os.remove(path) end)
  return path
end

for style, spec in pairs(specs()) do
  cases["TLS by " .. style] = function()
    local record, result = whole.one(spec, "--tls", "--ca", root(),
      whole.target(ECHO, { tls = tls.server "good" }))
    check(record, result, "tls")
  end

  cases["TLS that is not trusted, by " .. style] = function()
    local target = whole.target(ECHO, { tls = tls.server "expired" })
    local record = whole.one(spec, "--tls", "--ca", root(), target)
    lu.assertEquals({ record.ok, record["end"], record.error.op, record.error.name, record.data },
      { false, "failure", "tls", "ECERT", nil })
    record = whole.one(spec, "--tls", "--insecure", whole.target(ECHO,
      { tls = tls.server "expired" }))
    lu.assertEquals({ record.ok, record.data.line }, { true, "hello" })
  end

  cases["a proxy by " .. style] = function()
    local one = support.peer(proxies.socks("target.test", 7, ECHO))
    local record, result = whole.one(spec, "--proxy", proxies.url("socks5h", one), "target.test:7")
    check(record, result, "proxy")
  end

  cases["TLS behind a proxy by " .. style] = function()
    local one = support.peer(proxies.socks("peer.test", 7, "starttls; " .. ECHO),
      { tls = tls.server "good" })
    local record, result = whole.one(spec, "--proxy", proxies.url("socks5h", one), "--tls", "--ca",
      root(), "peer.test:7")
    check(record, result, "proxy and tls")
  end

  cases["a proxy that refuses, by " .. style] = function()
    local refusal = "\5\5\0\1\0\0\0\0\0\0"
    local one = support.peer(proxies.socks("target.test", 7, "", refusal))
    local record = whole.one(spec, "--proxy", proxies.url("socks5h", one), "target.test:7")
    lu.assertEquals({ record.ok, record["end"], record.error.op }, { false, "failure", "proxy" })
  end
end

function cases.TLS_is_begun_by_a_task_in_the_middle_of_its_dialogue()
  local context = tcpmulti.tls(tls.client())
  local record = whole.one({ filter = "line", each = function(cheap)
    cheap:send "STARTTLS"
    co.try(cheap:expect "^220")
    co.try(co.starttls(cheap, context))
    cheap:send "line"
    return { line = co.try(cheap:receive()), version = cheap:tls().version }
  end }, whole.target('recv line; send "220 go\\n"; starttls; ' .. ECHO,
    { tls = tls.server "good" }))
  lu.assertEquals({ record.ok, record.data and record.data.line }, { true, "hello" })
  lu.assertStrContains(record.data.version, "TLSv1.")
end

support.main(cases)
