-- SPDX-License-Identifier: MIT
---@meta tcpmulti.progress
-- The reference of the module tcpmulti.progress: how far a run is.

---@class tcpmulti.progress
local progress = {}

-- line: one line of a terminal, five times a second; log: a line in ten seconds; json: an object a
-- second.
---@param options { mode: "line"|"log"|"json"|"none", write: fun(text: string), columns?: integer }
---@return tcpmulti.progress.Progress
function progress.new(options) end

---@class tcpmulti.progress.State
---@field done integer
---@field total? integer nil: it is not known, so neither percent nor the time left are told.
---@field ok integer
---@field failed integer
---@field open integer
---@field errors? table<string, integer> By kind.

---@class tcpmulti.progress.Progress
---@field interval number Seconds between two lines.
---@field columns integer
local Progress = {}

-- Writes if it is time. now: monotonic seconds.
---@param now number
---@param state tcpmulti.progress.State
function Progress:update(now, state) end

-- Erases the line of a terminal, before anything else is written there.
function Progress:clear() end

return progress
