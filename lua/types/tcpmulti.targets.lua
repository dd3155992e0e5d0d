-- SPDX-License-Identifier: MIT
---@meta tcpmulti.targets
-- The reference of the module tcpmulti.targets: texts that name hosts and ports, one by one, as a
-- plan (a numbered set) or as a stream (lines of a pipe).
--
--   target = host [":" ports] | "[" v6 ["/" bits] | v6 "%" scope "]" [":" ports] | v6 ["/" bits]
--   host   = v4 ["/" bits] | v4 "-" v4 | v4 "-" last octet | name
--   line   = target | JSON object with "target", or "host" and "port"
--
-- In files "#" begins a comment. Errors of the world: nil, message, errname; a wrong argument
-- raises. Texts in messages are as they were written: escape them before they go to a terminal.

---@class tcpmulti.targets
local targets = {}

-- "22,80,8000-8100,https" -> a sorted list of ports. nil, message, "EINVAL".
---@param text string
---@return integer[]? ports, string? message, string? errname
function targets.ports(text) end

-- A network or range has its first and its last address. ports: nil if the text names none.
---@class tcpmulti.targets.Parsed
---@field family? 4|6 nil: it is a name.
---@field first? string
---@field last? string
---@field name? string
---@field ports? integer[]

-- One target as it is written. nil, message, "EINVAL".
---@param text string
---@return tcpmulti.targets.Parsed? parsed, string? message, string? errname
function targets.parse(text) end

---@class tcpmulti.targets.Source
---@field words? string[] Lines, one by one.
---@field path? string A file of lines; "-": standard input.

---@class tcpmulti.targets.PlanOptions
---@field ports? string For targets that name none.
---@field exclude? string[] Targets, and names of files with targets, that are never connected to.
---@field order? "random"|"sequential" Default: "random".
---@field seed? string Another seed is another order, and another plan. Default: the order follows from the targets.
---@field duplicates? "drop"|"keep" What happens to equal names and lines of JSON. Default: "drop".
---@field reserved? boolean true: 0.0.0.0/8 and 224.0.0.0/3 are not left out.

-- Reads all targets. Numeric ones are a set: united, exclusions cut out. Names and lines of JSON
-- are kept as they are written; equal ones are dropped. All lines of one name are one host, whose
-- ports belong to one process. nil, message, errname: a file cannot be
-- read ("ENOENT", …); ports or an exclusion are wrong, or more than 65,536 public addresses are
-- asked without an exclusion ("EINVAL"); more than 2^53 - 1 targets ("E2BIG").
---@param sources tcpmulti.targets.Source[]
---@param options? tcpmulti.targets.PlanOptions
---@return tcpmulti.targets.Plan? plan, string? message, string? errname
function targets.plan(sources, options) end

-- A line that is no target. text: its first 256 bytes.
---@class tcpmulti.targets.Malformed
---@field source string The file, "standard input", or "argument".
---@field line integer
---@field text string
---@field message string

---@class tcpmulti.targets.Plan
---@field id string 16 hexadecimal digits, the same for the same targets, order and seed.
---@field total integer Targets.
---@field hosts integer Addresses and names, on however many lines each of them stands.
---@field duplicates integer Targets that were named once more.
---@field excluded integer Targets that were named and are excluded.
---@field malformed_count integer
---@field malformed tcpmulti.targets.Malformed[] The first 100.
local Plan = {}

-- Target number g, from 0 to total - 1. input: the object of its line of JSON. network: the key of
-- its /24 or /48, or its name. Raises if there is no such target.
---@param g integer
---@return string host, integer port, table? input, string network
function Plan:target(g) end

-- All excluded addresses as a list of networks, for the option deny of sessions.
---@return string[]
function Plan:denied() end

-- The targets of process j, from 0 on, of J processes. All ports of a host belong to one process.
---@param j integer
---@param J integer
---@return tcpmulti.targets.Walker
function Plan:walker(j, J) end

---@class tcpmulti.targets.Walker
---@field total integer Targets of this process.
---@field done integer Of these, skipped or finished.
local Walker = {}

-- The next target that is not done, and its place; nil: there is none.
---@return integer? g, integer? place
function Walker:next() end

-- The target at a place is done.
---@param place integer
function Walker:finish(place) end

-- Target g is done already, so next passes over it. false, "done": that was known. false,
-- "elsewhere": another process has it, or there is none.
---@param g integer
---@return boolean skipped, "done"|"elsewhere"|nil why
function Walker:skip(g) end

-- The process that owns target g, from 0 on, of so many; nil: there is no such target.
---@param g integer
---@param processes integer
---@return integer?
function Walker:owner(g, processes) end

---@class tcpmulti.targets.StreamOptions
---@field ports? string As for a plan.
---@field exclude? string[] As for a plan.
---@field reserved? boolean As for a plan.
---@field seed? string Part of the id.
---@field process? integer With processes: only lines whose host belongs to this one, from 0 on. Default: all lines.
---@field processes? integer Default: 1.

-- For a pipe: lines in their order, as they come; equal ones are kept. nil, message, errname: as
-- for a plan.
---@param options? tcpmulti.targets.StreamOptions
---@return tcpmulti.targets.Stream? stream, string? message, string? errname
function targets.stream(options) end

---@class tcpmulti.targets.Target
---@field host string
---@field port integer
---@field number integer|string That of the line; "LINE.1", "LINE.2", … where it has several targets.
---@field network string
---@field input? table

---@class tcpmulti.targets.Stream
---@field id string 16 hexadecimal digits, of the options.
---@field excluded integer
local Stream = {}

-- The targets of a line, at most 65,536; an empty list if there are none. nil, message: the line is
-- malformed.
---@param text string
---@param number integer
---@return tcpmulti.targets.Target[]? list, integer|string|nil process_or_message The process that owns the line, from 0 on.
function Stream:line(text, number) end

-- As Plan:denied.
---@return string[]
function Stream:denied() end

return targets
