-- SPDX-License-Identifier: MIT
---@meta tcpmulti.cli
-- The reference of the module tcpmulti.cli: the command line of a job.

---@class tcpmulti.cli
local cli = {}

-- A script's own option: name, flags ("-x --long"), kind ("count" "rate" "time" "size" "text"
-- "flag" "list", or a list of words), default, help.
---@alias tcpmulti.cli.Option { [1]: string, [2]: string, [3]: string|string[], [4]: any, [5]: string }

-- Options by name, as the command line, the environment (TCPMULTI_NAME), the script or the default
-- has them, in this order; options.target has the words that are no options. Texts to print instead
-- of a run: options.help, which comes alone; options.completion, options.print_config. nil,
-- message, usage: the command line or the environment is wrong, or lua-argparse is not installed.
-- Raises if the script is wrong. A program that is no job gives rows, which are all of its options,
-- and words, like "FILE...", for its usage.
---@param spec { name?: string, about?: string, options?: tcpmulti.cli.Option[], load?: table, rows?: table[], words?: string, [string]: any }
---@param args string[]
---@param getenv? fun(name: string): string? Default: os.getenv.
---@return table<string, any>? options, table<string, string>|string origins_or_message, string? usage
function cli.parse(spec, args, getenv) end

-- The words of a command line without credentials: those in URLs, and values of options whose name
-- says that they are secret.
---@param args string[]
---@return string[]
function cli.hide_credentials(args) end

return cli
