-- SPDX-License-Identifier: MIT
-- How a host may be spelled, and what is asked for it: lengths, bytes that no name of a host has,
-- names beyond ASCII, and texts that would become another host by guessing.
local lu = require "luaunit"
local support = require "names.support"

local cases = support.cases "Spelling"
local server = support.server()

local function refused(name, how)
  local before = server:count()
  local log = support.look(name)
  lu.assertEquals(log:list(), { "initialize", "failure " .. how, "disconnected failure" }, name)
  lu.assertEquals(server:count(), before, name)
  return log.messages[1]
end

local function asked(name, as)
  support.reached(support.look(name), "127.0.0.1")
  lu.assertEquals({ server:count(as or name, "A"), server:count(as or name, "AAAA") }, { 1, 1 })
end

-- A name of so many bytes, whose address is 127.0.0.1.
local function long_name(bytes)
  local name = support.name "a-1"
  while bytes - #name > 64 do name = ("f"):rep(50) .. "." .. name end
  return ("f"):rep(bytes - #name - 1) .. "." .. name
end

function cases.N33_253_bytes_are_asked_for()
  local name = long_name(253)
  lu.assertEquals(#name, 253)
  asked(name)
end

function cases.N33_254_bytes_raise()
  local session = support.session()
  lu.assertErrorMsgContains("address", function() session:connect(long_name(254), 1) end)
end

function cases.N33_labels_of_63_bytes_and_with_underscores_are_asked_for()
  asked(("l"):rep(63) .. "." .. support.name "a-1")
  asked("_dmarc." .. support.name "a-1")
  asked("under_score." .. support.name "a-1")
end

function cases.N33_labels_that_no_host_has()
  for _, name in ipairs {
    ("l"):rep(64) .. ".test", "a-1..test", ".a-1.test", "a-1\\.b.test", "a@b.test",
    "a-1.test..", ".",
  } do
    refused(name, "resolve EBADNAME")
  end
end

-- In a build without libidn2 (tests/meson.build tells) nothing beyond ASCII is a name.
local function has_idn()
  return not (os.getenv "TCPMULTI_WITHOUT" or ""):find("libidn2", 1, true)
end

function cases.N34_names_beyond_ascii_are_asked_for_in_ascii()
  if not has_idn() then return refused("b\195\188cher.a-1.test", "resolve EOPNOTSUPP") end
  local rest = support.name "a-1"
  asked("b\195\188cher." .. rest, "xn--bcher-kva." .. rest)
  rest = support.name "a-1"
  asked("B\195\156CHER." .. rest, "xn--bcher-kva." .. rest)
  rest = support.name "a-1"
  asked("stra\195\159e." .. rest, "xn--strae-oqa." .. rest)
end

function cases.N34_a_snowman_is_no_name()
  if not has_idn() then return refused("\226\152\131.test", "resolve EOPNOTSUPP") end
  refused("\226\152\131.test", "resolve EBADNAME")
end

function cases.N35_onion_is_never_asked_for()
  refused("x.onion", "resolve ENOTFOUND")
  refused("a.b.ONION.", "resolve ENOTFOUND")
end

function cases.N36_what_reads_as_a_number_is_no_name()
  for _, name in ipairs {
    "127.1", "0x7f.1", "1", "1.2.3", "127.0.0.1.", "127\227\128\1301",
    "127.0\239\189\1610\239\189\1611", "\239\188\145\239\188\146\239\188\151.1",
  } do
    local ascii = not name:find "[\128-\255]"
    refused(name, (ascii or has_idn()) and "resolve ENOTFOUND" or "resolve EOPNOTSUPP")
  end
end

support.main(cases)
