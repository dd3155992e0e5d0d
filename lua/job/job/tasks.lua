-- SPDX-License-Identifier: MIT
-- Targets that are asked by a task each: the function `each` of a job gets the open connection as a
-- dialogue. What it returns are the data of the target, its failure is the target's error.
local json = require "tcpmulti.json"

local tasks = {}

local co -- tcpmulti.co, loaded for the first job that has tasks

-- Several values as a list; one table as it is.
local function data_of(first, ...)
  local count = select("#", ...)
  if count == 0 and (first == nil or type(first) == "table") then return first end
  local list = { first, ... }
  for i = 1, count + 1 do
    if list[i] == nil then list[i] = json.null end
  end
  return list
end

-- From the results of pcall: { data = }, { failed = true, message =, errname = }, or
-- { exception = }, a text with its traceback.
local function outcome_of(ok, ...)
  local first, message, errname = ...
  if not ok then
    local err = first
    first, message, errname = co.failure(err)
    if not message then return { exception = tostring(err) } end
  end
  if first == nil and type(message) == "string" then
    return { failed = true, message = message, errname = errname }
  end
  return { data = data_of(...) }
end

local function attend(each, cheap, target)
  co.try(co.adopt(cheap))
  return each(cheap, target)
end

-- Begins a task for a connection that has just opened. on_end(outcome) is called when it is over.
function tasks.start(session, each, cheap, on_end)
  co = co or require "tcpmulti.co"
  return session:spawn(function()
    on_end(outcome_of(pcall(co.scope, attend, each, cheap, cheap.target)))
  end)
end

return tasks
