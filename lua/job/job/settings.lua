-- SPDX-License-Identifier: MIT
-- The argument of job.main, taken apart: fields of jobs, defaults of options, and options of
-- the session; and the options of the session that follow from those of the command line.
local options_of_jobs = require "tcpmulti.cli.options"
local units = require "tcpmulti.units"
local find, format, gsub = string.find, string.format, string.gsub

local settings = {}

-- Fields that are jobs' own, with their types.
local fields = { about = "string", name = "string", result = "function", text = "function",
  eof = "string", options = "table", each = "function", prepare = "function", load = "table" }

-- Options of sessions that a job sets itself, and the option to give instead.
local replaced = { max_connections = "concurrency", connect_rate = "rate",
  timeout = "connect_timeout", input_timeout = "idle_timeout", deadline = "total_timeout",
  max_per_address = "per_host", bind_address = "source" }

-- Handlers whose events go to the task of `each` instead.
local of_tasks = { "on_success", "on_input", "on_flushed", "on_eof", "on_error", "result" }

-- Fields of a job that a load has no use for.
local not_of_loads = { "each", "result", "text", "eof" }

local is_option = {}
for _, rows in ipairs { options_of_jobs.common, options_of_jobs.load } do
  for _, row in ipairs(rows) do is_option[row[1]] = #row > 1 end
end

-- ---- checks ----

local function check_fields(spec)
  for name, kind in pairs(fields) do
    local value = spec[name]
    if value ~= nil and type(value) ~= kind then
      error(format("job: '%s' must be a %s, not a %s", name, kind, type(value)), 0)
    end
  end
  if spec.eof and spec.eof ~= "ok" and spec.eof ~= "error" then
    error(format("job: eof must be \"ok\" or \"error\", not %s", units.shown(spec.eof)), 0)
  end
end

local function check_load(spec)
  local request = spec.load.request
  if type(request) ~= "function" and type(request) ~= "string" then
    error("job: load = { request = … } must have a function, or a text that is sent each time", 0)
  end
  if not spec.on_input then
    error("job: a load needs on_input, which calls job.reply(cheap) for each answer", 0)
  end
  for _, names in ipairs { not_of_loads, options_of_jobs.not_of_loads } do
    for _, name in ipairs(names) do
      if spec[name] then error(format("job: 'load' and '%s' exclude each other", name), 0) end
    end
  end
end

-- Raises what is wrong with the table that a script gives.
function settings.check(spec)
  if type(spec) ~= "table" then
    error("job: a table expected, like job.main { on_input = function(cheap, bytes) … end }", 0)
  end
  check_fields(spec)
  for name, instead in pairs(replaced) do
    if spec[name] ~= nil then
      error(format("job: '%s' is set by the job; give '%s' instead", name, instead), 0)
    end
  end
  for _, name in ipairs(of_tasks) do
    if spec.each and spec[name] then
      error(format("job: 'each' and '%s' exclude each other", name), 0)
    end
  end
  if spec.load then check_load(spec) end
end

-- The spec for cli.parse: tls and proxy may be tables for the session, which no command line has.
function settings.of_command_line(spec, name)
  local copy = {}
  for key, value in pairs(spec) do copy[key] = value end
  copy.name = spec.name or name
  copy.tls = spec.tls ~= nil and spec.tls ~= false
  if type(spec.proxy) ~= "string" then copy.proxy = nil end
  return copy
end

-- Nil, or a message: an option of the command line would do nothing. The script has completed the
-- options already. One that begins TLS itself may use them all.
function settings.useless(spec, options, origins)
  if options.tls or spec.on_secure then return nil end
  for _, name in ipairs { "ca", "insecure" } do
    if origins[name] == "command line" then
      return format("--%s: no certificate is looked at without --tls", name)
    end
  end
end

-- ---- options of the session ----

local function tls_of(spec, options)
  if not options.tls then return nil end
  local given = spec.tls
  if given == nil or given == false then given = true end
  if not options.insecure and not options.ca then return given end
  if given == true then given = {} end
  if type(given) ~= "table" then
    error("job: --insecure and --ca need a table as the script's tls", 0)
  end
  local tls = {}
  for key, value in pairs(given) do tls[key] = value end
  if options.insecure then tls.verify = false end
  tls.ca = options.ca or tls.ca
  return tls
end

-- The networks that the script denies, and those that no name may lead to.
local function denials(given, denied)
  local list = {}
  for _, network in ipairs(given or {}) do list[#list + 1] = network end
  for _, network in ipairs(denied) do list[#list + 1] = network end
  return list
end

-- The options of tcpmulti.create. denied: networks that no name may lead to.
function settings.of_session(spec, options, denied)
  local session = {}
  for key, value in pairs(spec) do
    if fields[key] == nil and not is_option[key] then session[key] = value end
  end
  if not (spec.input_filter and spec.output_filter) then
    session.filter = spec.filter or "stream"
  end
  session.connect_timeout = options.connect_timeout
  session.input_timeout = options.idle_timeout
  session.deadline = options.total_timeout
  session.max_connections = options.concurrency
  session.max_per_address = options.per_host > 0 and options.per_host or nil
  session.times = true
  session.tls = tls_of(spec, options)
  session.proxy = options.proxy or spec.proxy
  session.bind_address = options.source
  if not session.proxy then session.deny = denials(spec.deny, denied) end
  return session
end

-- Options of the command line, and the options of the session that they lead to.
local sources = { proxy = "proxy", source = "bind_address", ca = "tls", insecure = "tls",
  tls = "tls" }

-- An error that create has raised, as a message about the command line. Raises the error where the
-- script is to blame.
function settings.refusal(message, origins)
  local reason = gsub(gsub(message, "^[^:]*:%d+: ", ""), "^tcpmulti%.create: ", "")
  for option, name in pairs(sources) do
    local is_given = origins[option] ~= "script" and origins[option] ~= "built in"
    if is_given and find(reason, name, 1, true) then return "--" .. option .. ": " .. reason end
  end
  error("job: " .. reason, 0)
end

return settings
