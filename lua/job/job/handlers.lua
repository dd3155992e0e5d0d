-- SPDX-License-Identifier: MIT
-- The handlers of a job around those of its script, where jobs and loads need the same: an error of
-- the script is told, and what the job itself has to do is done in any case.
local verdict = require "tcpmulti.job.verdict"

local handlers = {}

-- Calls follow(cheap, id, reason) behind the script's on_disconnected, whatever becomes of that.
function handlers.add_disconnected(all, follow)
  local handler = all.on_disconnected
  function all.on_disconnected(cheap, id, reason)
    if handler then
      local good, message = xpcall(handler, verdict.traceback, cheap, id, reason)
      if not good then all.on_exception(cheap:session(), message, cheap) end
    end
    return follow(cheap, id, reason)
  end
end

-- Calls tell(message, cheap) in front of the script's on_exception.
function handlers.add_exception(all, tell)
  local handler = all.on_exception
  function all.on_exception(session, message, cheap)
    tell(message, cheap)
    if handler then return handler(session, message, cheap) end
  end
end

return handlers
