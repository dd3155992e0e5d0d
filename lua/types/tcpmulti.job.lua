-- SPDX-License-Identifier: MIT
---@meta tcpmulti.job
-- The reference of the module tcpmulti.job: whole jobs. A job is an ordinary session with targets,
-- limits, results, progress, figures and an exit status around its handlers; job.main { … } is a
-- complete program, whose --help shows all options.

---@class tcpmulti.job
local job = {}

-- What was parsed: values of all options by their long names, with "_" for "-". Empty until a job
-- begins.
---@type table<string, any>
job.options = {}

-- This process, from 0 on, and the number of processes.
---@type { [1]: integer, [2]: integer }
job.worker = { 0, 1 }

-- This part, from 1 on, and the number of parts.
---@type { [1]: integer, [2]: integer }
job.part = { 1, 1 }

-- The target of a connection, the same over all of its attempts.
---@class tcpmulti.job.Target
---@field host string
---@field port integer
---@field network string The key of its /24 or /48, or the name.
---@field input? table The object of its line, where that is JSON.
---@field attempts integer

-- What a result line says, as `text` gets it.
---@class tcpmulti.job.Record
---@field key string
---@field host string
---@field port integer
---@field addr? string The numeric address, once connected.
---@field id? any That of the target's line.
---@field ok boolean
---@field end "shutdown"|"eof"|"failure"|"error"|"timeout"
---@field error? { op: string, name: string, text: string, timer: string?, local: boolean? }
---@field attempts integer
---@field time number Seconds since 1970, at the end.
---@field us table<string, integer> Whole microseconds by phase: queue resolve connect proxy tls first_byte total.
---@field in integer Bytes received.
---@field out integer Bytes sent.
---@field data? table

-- The table for job.main: the fields below, every option of tcpmulti.create but those that a job
-- sets itself (max_connections, connect_rate, max_per_address, bind_address and the timeouts), and
-- a default for any option of the command line, under its long name with "_". `filter` is "stream"
-- if it is not given. Each connection of a target has `cheap.target`.
---@class tcpmulti.job.Spec: tcpmulti.CreateOptions
---@field about? string One sentence for --help.
---@field name? string In messages. Default: that of the script.
---@field result? fun(cheap: tcpmulti.Cheap, ok: boolean): table?, boolean?, string? The data of the target's line; then, to overrule the verdict, ok and a message. Called once, after on_disconnected of the last attempt.
---@field text? fun(record: tcpmulti.job.Record): string? The line of --format text; nil: none.
---@field eof? "ok"|"error" Whether the peer may be the first to end. Default: "ok".
---@field each? fun(cheap: tcpmulti.Cheap, target: tcpmulti.job.Target): ... A task for each open connection, instead of handlers. One table that it returns is the data; other values are a list. Its failure, or nil and a message, is the target's error.
---@field prepare? fun(options: table<string, any>): string? Called before the first connection with the values of all options, which it may complete. A text says what is wrong with them: exit status 2.
---@field load? tcpmulti.job.Load
---@field options? table[] Options of the script's own: { name, "-x --long", kind, default, help }; kind: "count" "rate" "time" "size" "text" "flag" "list".

-- What makes a job a load: requests at a rate (--rate, --duration, --pipeline …) over connections
-- that are kept open to the targets, instead of one dialogue with each. Its table has on_input,
-- which calls job.reply for each answer.
---@class tcpmulti.job.Load
---@field request string|fun(cheap: tcpmulti.Cheap): any The record that is one request.
---@field waits? boolean No request is sent on a connection before job.ready. Default: false.

-- Runs a job to its end, and the loop with it. Raises in a host, and for a wrong table.
---@param spec tcpmulti.job.Spec
---@param args? string[] Words of a command line. Default: those of the script.
---@return integer status, tcpmulti.summary.Summary? summary The exit status; no summary: the job has not begun.
function job.run(spec, args) end

-- Runs a job, and ends the process with its exit status, or by the signal that has ended the job: 0
-- done, 1 an error in the script, 2 usage, 3 a --fail-if holds, 4 done but some lines were
-- malformed, 74 the output could not be written, 75 cut short and the same command with --resume
-- goes on, 141 the reader of standard output has gone.
---@param spec tcpmulti.job.Spec
function job.main(spec) end

-- In a load: the oldest request of this connection has its answer. Answers come in the order of the
-- requests; one that nobody has asked for ends the connection. ok: whether the answer is good.
-- Default: true. kind: what to count an answer by that is not, like "status 503".
---@param cheap tcpmulti.Cheap
---@param ok? boolean
---@param kind? string
function job.reply(cheap, ok, kind) end

-- In a load whose `waits` is true: the connection may now get requests.
---@param cheap tcpmulti.Cheap
function job.ready(cheap) end

return job
