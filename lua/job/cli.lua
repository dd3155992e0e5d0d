-- SPDX-License-Identifier: MIT
-- The command line of a job: lua-argparse takes it apart; units, precedence and origins are decided
-- here. An option is looked for on the command line, then in the environment as TCPMULTI_NAME, then
-- in the script; else its built-in default counts. Nothing is printed, and nobody's process ends.
local os = require "os"
local kinds = require "tcpmulti.cli.kinds"
local options_of_jobs = require "tcpmulti.cli.options"
local units = require "tcpmulti.units"
local find, format, gmatch, gsub = string.find, string.format, string.gmatch, string.gsub
local match, rep, sub, upper = string.match, string.rep, string.sub, string.upper

local cli = {}

local MAX_COLUMNS = 100
local HELP_COLUMN = 33

-- ---- the rows of a script ----

-- Takes rows into the list; a row replaces an earlier one of its name.
local function add_rows(list, by_name, rows)
  for _, row in ipairs(rows) do
    local known = #row > 1 and by_name[row[1]]
    if known then
      list[known] = row
    else
      list[#list + 1] = row
      by_name[row[1]] = #row > 1 and #list or nil
    end
  end
end

-- Options of the script's own must not hide others.
local function check_own(own, list)
  local taken = {}
  for _, row in ipairs(list) do
    for name in gmatch(row[1] .. " " .. (row[2] or ""), "%S+") do taken[name] = true end
  end
  for _, row in ipairs(own) do
    kinds.of(row)
    for name in gmatch(row[1] .. " " .. row[2], "%S+") do
      if taken[name] then
        error(format("the script's option '%s': every job has a '%s'", row[1], name), 0)
      end
    end
  end
end

local function rows_without(rows, names)
  local left_out, left = {}, {}
  for _, name in ipairs(names) do left_out[name] = true end
  for _, row in ipairs(rows) do
    if not left_out[row[1]] then left[#left + 1] = row end
  end
  return left
end

local function rows_of(spec)
  if spec.rows then return spec.rows end
  local list, by_name = {}, {}
  add_rows(list, by_name, spec.load and rows_without(options_of_jobs.common,
    options_of_jobs.not_of_loads) or options_of_jobs.common)
  if spec.load then add_rows(list, by_name, options_of_jobs.load) end
  if spec.options then
    check_own(spec.options, list)
    add_rows(list, by_name, { { "Of this script" } })
    add_rows(list, by_name, spec.options)
  end
  return list
end

local function is_option(row) return #row > 1 end

-- The long name, as messages show it.
local function long_name(row) return match(row[2], "%-%-[%w-]+") or row[2] end

-- ---- values and where they come from ----

local function check_least(row, value)
  if row.least and value < row.least then return nil, format("%d or more", row.least) end
  return value
end

-- From a text; nil, message. where: what the message names.
local function read_text(row, text, where)
  local value, expected = kinds.of(row).read(text)
  if value ~= nil then value, expected = check_least(row, value) end
  if value ~= nil then return value end
  return nil, format("%s: %s: expected %s", where, units.shown(text), expected)
end

-- Whether a script may give the value as it is.
local function accepts(kind, value)
  if type(value) ~= kind.accepts then return false end
  if type(value) ~= "number" then return true end
  return value >= 0 and value < math.huge and (not kind.is_whole or value % 1 == 0)
end

-- From a script: a text with a unit, or the value itself.
local function read_own(row, value)
  local kind = kinds.of(row)
  if type(value) == "string" then return read_text(row, value, row[1]) end
  if row.takes_any then return value end
  if accepts(kind, value) then
    local checked, expected = check_least(row, value)
    if checked ~= nil then return checked end
    return nil, format("%s: expected %s", row[1], expected)
  end
  local _, expected = kind.read "?"
  return nil, format("%s: expected %s, not %s", row[1], expected or "a text", tostring(value))
end

-- From the command line: a text, true for a flag, a list of texts.
local function read_given(row, value)
  if row[3] == "flag" or row[3] == "list" then return value end
  return read_text(row, value, long_name(row))
end

local function was_given(row, value)
  return value ~= nil and not (row[3] == "list" and #value == 0)
end

-- Gives value, origin; nil, nil, message.
local function find_value(row, given, spec, getenv)
  local name, origin, value, message = row[1], "built in", nil, nil
  local variable = "TCPMULTI_" .. upper(name)
  local in_environment = getenv(variable)
  if was_given(row, given[name]) then
    value, message = read_given(row, given[name])
    origin = "command line"
  elseif in_environment then
    value, message = read_text(row, in_environment, variable)
    origin = "environment " .. variable
  elseif spec[name] ~= nil then
    value, message = read_own(row, spec[name])
    if message then error("the script's " .. message, 0) end
    origin = "script"
  elseif row[4] ~= nil then
    value = read_own(row, row[4])
  elseif row[3] == "list" then
    value = {}
  end
  return value, origin, message
end

local function find_values(rows, given, spec, getenv)
  local options, origins = { target = given.target }, {}
  for _, row in ipairs(rows) do
    if is_option(row) then
      local value, origin, message = find_value(row, given, spec, getenv)
      if message then return nil, message end
      options[row[1]], origins[row[1]] = value, origin
    end
  end
  return options, origins
end

-- Gives a message if options do not go together.
local function check_together(options)
  if not options.resume then return nil end
  if options.overwrite then return "--resume and --overwrite exclude each other" end
  if options.format ~= "jsonl" or options.only ~= "all" then
    return "--resume needs --format jsonl and --only all, where the lines tell what is done"
  end
end

-- ---- credentials ----

local function hide_in_url(word) return (gsub(word, "(%w+://)[^/@%s]*@", "%1***@")) end

local function names_secret(option)
  return find(option, "^%-%-") and (find(option, "pass") or find(option, "secret")
    or find(option, "token"))
end

local function shown_value(row, value)
  if value ~= nil and names_secret(long_name(row)) then return "***" end
  return hide_in_url(kinds.show(value))
end

-- ---- help ----

-- "-c, --concurrency N".
local function label(row)
  local flags = gsub(row[2], "%s+", ", ")
  if not find(flags, "^%-%a,") then flags = "    " .. flags end
  local metavariable = row.metavariable or kinds.of(row).metavariable
  return "  " .. flags .. (row[3] ~= "flag" and metavariable and " " .. metavariable or "")
end

local suffixes = { rate = "/s", time = "s" }

local function show_size(bytes)
  if bytes % 1048576 == 0 then return format("%.0fM", bytes / 1048576) end
  if bytes % 1024 == 0 then return format("%.0fK", bytes / 1024) end
  return kinds.show(bytes)
end

-- " (1000/s)": the default, with its unit.
local function default_text(row, spec)
  local value = spec[row[1]]
  if value == nil then value = row[4] end
  if value == nil or value == "" or row[3] == "flag" then return "" end
  if type(value) == "number" then
    if row[3] == "size" then return " (" .. show_size(value) .. ")" end
    return " (" .. kinds.show(value) .. (value > 0 and suffixes[row[3]] or "") .. ")"
  end
  return " (" .. shown_value(row, value) .. ")"
end

local function help_line(row, spec)
  local start, default = label(row), default_text(row, spec)
  start = start .. rep(" ", math.max(HELP_COLUMN - #start, 2))
  local words, room = row[5] or "", MAX_COLUMNS - #start - #default
  if #words > room then words = sub(words, 1, math.max(room - 3, 0)) .. "..." end
  return start .. words .. default
end

local function usage_of(spec)
  return format("usage: %s [OPTION...] %s", spec.name or "job",
    spec.words or spec.load and "HOST:PORT" or "[TARGET...]")
end

local TARGETS = [[
TARGET: host, host:port, network/bits, first-last, [v6]:port, name. Without any, and without
--targets: standard input. Times: us ms s m h d. Counts and rates: k M G. Sizes: K M G of 1024.
Each option may also be given in the environment, as TCPMULTI_NAME.]]

local function help_text(rows, spec)
  local lines = { usage_of(spec), "" }
  if spec.about then lines[#lines + 1] = spec.about end
  if not spec.rows then lines[#lines + 1] = (spec.about and "\n" or "") .. TARGETS end
  for _, row in ipairs(rows) do
    lines[#lines + 1] = is_option(row) and help_line(row, spec) or "\n" .. row[1] .. ":"
  end
  return table.concat(lines, "\n") .. "\n"
end

local function config_text(rows, options, origins)
  local lines = {}
  for _, row in ipairs(rows) do
    if is_option(row) then
      lines[#lines + 1] = format("%-16s %-28s %s", row[1], shown_value(row, options[row[1]]),
        origins[row[1]])
    end
  end
  return table.concat(lines, "\n") .. "\n"
end

-- ---- parsing ----

local function add_to_parser(parser, row, with_choices)
  if row[3] == "flag" then return parser:flag(row[2], row[5]):target(row[1]) end
  local option = parser:option(row[2], row[5]):target(row[1])
  if row[3] == "list" then option:count "*" end
  if with_choices and type(row[3]) == "table" then option:choices(row[3]) end
end

-- with_choices: for completion; the parser's own messages about them would name no near word.
local function parser_of(argparse, rows, spec, with_choices)
  local parser = argparse(spec.name or "job", spec.about or ""):add_help(false)
  parser:argument("target"):args "*"
  for _, row in ipairs(rows) do
    if is_option(row) then add_to_parser(parser, row, with_choices) end
  end
  return parser
end

local function has_flag(row, word)
  for flag in gmatch(row[2], "%S+") do
    if flag == word then return true end
  end
  return false
end

-- The message about a value that the parser takes for an option, since it begins with "-"; nil: no
-- option that has a value stands in front of it. word: its beginning, as the parser names it.
local function word_value(word, rows, args)
  for i = 2, #args do
    local value = args[i]
    for _, row in ipairs(sub(value, 1, #word) == word and rows or {}) do
      if is_option(row) and row[3] ~= "flag" and has_flag(row, args[i - 1]) then
        local _, message = read_text(row, value, long_name(row))
        return message or format("%s: a value that begins with '-' is given as %s=%s",
          long_name(row), long_name(row), units.shown(value))
      end
    end
  end
end

-- The message of the parser, in one line, and with a hint in our words.
local function word_error(message, rows, args)
  local unknown = match(message, "^unknown option '(.-)'")
  if not unknown then return (gsub(message, "\n.*", "")) end
  local about_value = word_value(unknown, rows, args)
  if about_value then return about_value end
  local names = {}
  for _, row in ipairs(rows) do
    if is_option(row) then names[#names + 1] = long_name(row) end
  end
  return format("unknown option %s%s", units.shown(unknown), units.hint(unknown, names))
end

local function completion_text(argparse, rows, spec, shell)
  local parser = parser_of(argparse, rows, spec, true)
  return parser["get_" .. shell .. "_complete"](parser)
end

-- A program that is no job gives rows of its own, and words, what usage says of those that are no
-- options.
-- Gives options, origins; nil, message, usage. What is printed instead of a run comes as a text:
-- options.help, alone; options.completion, options.print_config.
function cli.parse(spec, args, getenv)
  local found, argparse = pcall(require, "argparse")
  if not found then return nil, "the package lua-argparse is needed", usage_of(spec) end
  local rows = rows_of(spec)
  local parser = parser_of(argparse, rows, spec)
  local ok, given = parser:pparse(args)
  if not ok then return nil, word_error(given, rows, args), usage_of(spec) end
  if given.help then return { help = help_text(rows, spec) }, {} end
  local options, origins = find_values(rows, given, spec, getenv or os.getenv)
  if not options then return nil, origins, usage_of(spec) end
  local message = check_together(options)
  if message then return nil, message, usage_of(spec) end
  if options.completion then
    options.completion = completion_text(argparse, rows, spec, options.completion)
  end
  options.print_config = options.print_config and config_text(rows, options, origins)
  return options, origins
end

-- ---- what summaries and reports show of a command line ----

-- The words of a command line without credentials: those of URLs, and values of options whose name
-- says that they are secret.
function cli.hide_credentials(args)
  local shown, hides_next = {}, false
  for i, word in ipairs(args) do
    local name = match(word, "^(%-%-[^=]+)=")
    shown[i] = hides_next and "***" or name and names_secret(name) and name .. "=***"
      or hide_in_url(word)
    hides_next = not hides_next and not name and names_secret(word)
  end
  return shown
end

return cli
