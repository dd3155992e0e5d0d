-- SPDX-License-Identifier: MIT
---@meta tcpmulti.fleet
-- The reference of the module tcpmulti.fleet: from one process to many, on one machine and on many.
-- Nobody coordinates: which targets are whose, and how much of a limit, follows from the number of
-- a process and how many there are.

---@class tcpmulti.fleet
local fleet = {}

-- Which part this process is, by what an engine says in the environment: a Slurm array, an Indexed
-- Job of Kubernetes, srun, GNU parallel. nil, message: none says it, or what it says is no part.
---@param getenv fun(name: string): string?
---@param parts? integer How many there are; then the index counts from the engine's first on, so that a part that is submitted again alone stays the same. Default: the engine says it.
---@return { [1]: integer, [2]: integer }? part, string engine_or_message { part, parts }, from 1 on.
function fleet.detect(getenv, parts) end

-- The part of a whole number that process j has, from 0 on, of J processes. All add up.
---@param total integer
---@param j integer
---@param J integer
---@return integer
function fleet.share(total, j, J) end

-- The options of a job with the limits of one process: concurrency, rate (and rate_phase, the
-- tokens that it begins with) and per_network. What is limited by host stays, as a host belongs to
-- one process. nil, message: there are more processes than connections.
---@param options table
---@param j integer
---@param J integer
---@return table? divided, string? message
function fleet.divide(options, j, J) end

---@class tcpmulti.fleet.Merged
---@field plan? string The id of all lines.
---@field files integer
---@field lines integer Targets.
---@field duplicates integer Lines beyond one for each target.
---@field damaged integer Lines that are no results.
---@field summary tcpmulti.summary.Summary Of the lines; without lines, of the summaries.
---@field expected? integer How many targets there should be.
---@field missing integer
---@field parts? integer How many the summaries tell of.
---@field missing_parts integer[] Parts without a summary, or whose summary lacks targets.
---@field twice integer[] Parts with different summaries, of which the fullest counts.

-- Merges files of result lines: one line for each target, of several the one that results.better
-- says, so that merging is commutative, associative and idempotent. Files of summaries add up. The
-- files are read twice, with one bit of memory for each target. nil, message, errname: ENOENT, EIO,
-- EINVAL (files of two plans), or what write has given.
---@param paths string[]
---@param write fun(line: string): true?, string?, string?
---@param options? { expect: integer?, on_damaged: fun(path: string, number: integer, line: string)? }
---@return tcpmulti.fleet.Merged? merged, string? message, string? errname
function fleet.merge(paths, write, options) end

-- The program merge, with these words of a command line. Gives its exit status.
---@param args string[]
---@return integer status
function fleet.main(args) end

-- How a worker has ended.
---@class tcpmulti.fleet.End
---@field status integer
---@field signal integer
---@field message? string It could not be started again.

-- Each function gets the number of a worker, from 0 on. What a worker writes are lines: "=LINE", a
-- result; "#{JSON}", its status, the last one with finished; "!{JSON}", a message; others are text.
---@class tcpmulti.fleet.SuperviseOptions
---@field workers integer
---@field command string[]
---@field env? table<string, string|false> Changes to the environment; TCPMULTI_WORKER is set besides.
---@field on_line? fun(worker: integer, line: string) With its end.
---@field on_status? fun(worker: integer, status: table)
---@field on_message? fun(worker: integer, message: table)
---@field on_text? fun(worker: integer, line: string)
---@field on_loss? fun(worker: integer, how: tcpmulti.fleet.End) It has ended and had not finished.
---@field may_restart? fun(worker: integer): boolean Default: yes, unless it has been started three times without a result, has ended with exit status 2, or all are being stopped.
---@field on_incomplete? fun(worker: integer, how: tcpmulti.fleet.End) It is not started again.
---@field on_over? fun(incomplete: integer) All have ended, and so many are incomplete.

---@class tcpmulti.fleet.Supervisor
local Supervisor = {}

-- Sends SIGTERM to all workers, of which none is started again.
function Supervisor:stop() end

-- Sends SIGKILL.
function Supervisor:kill() end

-- Reads nothing more from the workers, until resume.
function Supervisor:pause() end

function Supervisor:resume() end

-- Writes a line to the standard input of a worker; as tcpmulti.Child.send.
---@param worker integer
---@param line string
---@return true? ok, integer|string? waiting_or_message, string? errname
function Supervisor:send(worker, line) end

-- The most bytes that wait for any worker to read them.
---@return integer
function Supervisor:queued() end

-- Starts so many processes of one command, and starts them again when they end before they have
-- finished. nil, message: none can be started.
---@param options tcpmulti.fleet.SuperviseOptions
---@return tcpmulti.fleet.Supervisor? supervisor, string? message
function fleet.supervise(options) end

return fleet
