-- SPDX-License-Identifier: MIT
-- A script that does not require tcpmulti.co has nothing of it: no method is added to cheaps and
-- sessions, so no field of its own is hidden. Nothing here, or in what is required here, may load
-- that module before.
local lu = require "luaunit"
local support = require "behaviour.support"

local cases = support.cases "CoOptIn"

local ADDED = {
  cheap = { "receive", "expect", "records", "write", "close" },
  session = { "spawn", "open", "tasks" },
}

local function kinds_of_added(object, names)
  local kinds = {}
  for i, name in ipairs(names) do kinds[i] = type(object[name]) end
  return table.concat(kinds, " ")
end

function cases.Y122_no_new_method_is_there_before_the_module_is_required()
  local seen, heard = {}, nil
  local session = support.session {
    on_success = function(cheap)
      seen[1] = kinds_of_added(cheap, ADDED.cheap)
      cheap.records = { "a field of the script's own" }
      cheap:send "line"
    end,
    on_input = function(cheap, record)
      heard = record
      seen[2] = kinds_of_added(cheap, ADDED.cheap)
      require "tcpmulti.co"
      seen[3] = kinds_of_added(cheap, ADDED.cheap)
      cheap:shutdown()
    end,
  }
  lu.assertNil(package.loaded["tcpmulti.co"])
  lu.assertEquals(kinds_of_added(session, ADDED.session), "nil nil nil")
  session:connect("127.0.0.1", support.peer("echo"):port())
  support.run()
  lu.assertEquals(heard, "line")
  lu.assertEquals(seen, {
    "nil nil nil nil nil",
    "nil nil table nil nil",
    "function function table function function",
  })
  lu.assertEquals(kinds_of_added(session, ADDED.session), "function function function")
end

support.main(cases)
