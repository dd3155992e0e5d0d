-- SPDX-License-Identifier: MIT
-- Options of create, connect{…} and run{…}: each option is checked once, here, and handed to C in
-- the units of the core (milliseconds, -1 for none).
local shared, tcpmulti = ...
local check = shared.check
local find, format, match = string.find, string.format, string.match

local CONNECT_EXAMPLE = "remote_address = a, remote_port = p; without names: connect(a, p)"
local PRIVATE = shared.PRIVATE

local session_options = {
  alias = check.name,
  args = check.table,
  heap = check.table,
  connect_timeout = check.seconds,
  input_timeout = check.seconds,
  shutdown_timeout = check.seconds,
  deadline = check.seconds,
  timeout = check.seconds,
  filter = check.any,
  input_filter = check.any,
  output_filter = check.any,
  domain = check.choice { any = 0, inet = 4, inet6 = 6 },
  max_connections = check.whole(1),
  max_per_address = check.whole(1),
  connect_rate = check.rate,
  high_mark = check.whole(1),
  low_mark = check.whole(1),
  max_queued = check.whole(1),
  nodelay = check.boolean,
  cork = check.boolean,
  half_open = check.boolean,
  keepalive = check.whole(0, 32767),
  times = check.boolean,
  dns = check.resolver,
  resolve = check.resolve,
  deny = check.deny,
  attempt_delay = check.step,
  resolution_delay = check.step,
  bind_address = check.sources,
  bind_port = check.whole(0, 65535),
  bind_device = check.device,
  tls = check.any,
  proxy = check.proxy,
  send_proxy = check.send_proxy,
  inline_states = check.table,
  object_states = check.table,
  package_states = check.table,
  options = check.table,
}

local flags = { trace = check.boolean, default = check.boolean, assert = check.boolean }

local connect_options = {
  remote_address = check.string, -- C checks the rest: a bad one is an event in the pull form
  remote_port = check.any,
  bind_address = check.source_list,
  bind_port = check.any,
  bind_device = check.device,
  dns = check.resolver,
  resolve = check.resolve,
  deny = check.deny,
  attempt_delay = check.step,
  resolution_delay = check.step,
  tls = check.any,
  proxy = check.proxy,
  send_proxy = check.send_proxy,
  connect_timeout = check.seconds,
  input_timeout = check.seconds,
  shutdown_timeout = check.seconds,
  deadline = check.seconds,
  half_open = check.boolean,
  filter = check.any,
  input_filter = check.any,
  output_filter = check.any,
  heap = check.table,
}

-- Handlers of one connection alone: all but on_exception.
local own_handlers = {}
for _, name in ipairs(shared.handler_names) do
  session_options[name] = check.callable
  if name ~= "on_exception" then
    connect_options[name] = check.callable
    own_handlers[#own_handlers + 1] = name
  end
end

local run_options = { seconds = check.milliseconds }
local RUN_EXAMPLE = "{ seconds = 5 }"

check.add_place("create", session_options)
check.add_place("connect", connect_options)
check.add_place("tcpmulti.dns", shared.dns_options)
check.add_place("create's options: options = { trace = true }", flags)

-- Replaces the three filter options by two filters; nil, message if one is wrong.
local function read_filters(what, options)
  local filter = options.filter
  if filter ~= nil then
    local direction = "both"
    if options.input_filter ~= nil then direction = "output" end
    if options.output_filter ~= nil then
      direction = direction == "both" and "input" or "neither"
    end
    local made, message = shared.read_filter(what .. ": filter", filter, nil, direction)
    if not made then return nil, message end
    filter = made
  end
  for _, direction in ipairs { "input", "output" } do
    local name = direction .. "_filter"
    local given = options[name]
    if given == nil then
      options[name] = filter
    else
      local made, message = shared.read_filter(what .. ": " .. name, given, nil, direction)
      if not made then return nil, message end
      options[name] = made
    end
  end
  return true
end

-- ---- create ----

-- Options whose names a script may well use for fields of its own: no mistake then.
local PLAIN = { alias = true, args = true, cork = true, deadline = true, deny = true, dns = true,
  domain = true, filter = true, heap = true, options = true, proxy = true, resolve = true,
  timeout = true, times = true, tls = true }

-- [name of a session's new field] = the option that the script may have meant. Nothing else would
-- tell the mistake: only create reads options, so a handler that is set later is never called.
local given_to_create = {}
for name in pairs(session_options) do given_to_create[name] = not PLAIN[name] and name or nil end
for perl, name in pairs(shared.aliases.options) do given_to_create[perl] = given_to_create[name] end
for word, names in pairs(shared.synonyms.options) do
  if find(word, "^on_") then given_to_create[word] = match(names, "%S+") end
end

-- The message for a field of a session that has no effect; nil: the field is the script's own.
function shared.misplaced(key, value)
  local name = given_to_create[key]
  if not name or name ~= key and type(value) ~= "function" then return nil end
  if not find(name, "^on_") then
    return format("%s: an option of tcpmulti.create; set afterwards it has no effect", key)
  end
  return format("%s: handlers are given to tcpmulti.create { %s = f }; set afterwards it is never "
    .. "called", key, name)
end

local function read_create(options)
  if options == tcpmulti then return nil, check.colon "create" end
  if type(options) ~= "table" then
    return nil, "tcpmulti.create: a table of options expected, not " .. check.describe(options)
  end
  local o, message = check.read("tcpmulti.create", options, session_options, "on_input = f")
  if not o then return nil, message end
  local f
  f, message = check.read("tcpmulti.create: options", o.options or {}, flags, "trace = true")
  if not f then return nil, message end
  o.trace, o.warn, o.assert = f.trace, f.default, f.assert
  o.connect_timeout = o.connect_timeout or o.timeout
  if o.low_mark and o.high_mark and o.low_mark > o.high_mark then
    return nil, format("tcpmulti.create: low_mark must be at most high_mark, %.0f, not %.0f",
      o.high_mark, o.low_mark)
  end
  o.no_nodelay = o.nodelay == false and 1 or 0
  o.cork = o.cork and 1 or 0
  o.connect_interval = o.connect_rate and math.floor(1e9 / o.connect_rate + 0.5)
  if o.half_open and not o.on_eof then
    return nil, "tcpmulti.create: half_open needs on_eof, which tells of the peer's end"
  end
  if o.alias and shared.find_alias(o.alias) then
    return nil, format("tcpmulti.create: alias %s is taken", check.describe(o.alias))
  end
  local ok
  ok, message = read_filters("tcpmulti.create", o)
  if not ok then return nil, message end
  ok, message = shared.read_tls("tcpmulti.create", o)
  if not ok then return nil, message end
  ok, message = shared.read_proxy("tcpmulti.create", o)
  if not ok then return nil, message end
  o.states, message = shared.read_states(o)
  if not o.states then return nil, message end
  return o
end

function tcpmulti.create(options)
  local o, message = read_create(options)
  if not o then error(message, 2) end
  local session = setmetatable({
    [0] = 0,
    [PRIVATE] = {
      states = o.states,
      trace = o.trace,
      warn = o.warn,
      names = {},
      alarms = {},
    },
    heap = o.heap or {},
  }, shared.session_metatable)
  local ok, problem, errname = shared.create(o, session, session[PRIVATE])
  if errname == "EOPNOTSUPP" then error("tcpmulti.create: dns: " .. shared.NO_ARES, 2) end
  if errname == "EINVAL" then error("tcpmulti.create: " .. shared.IMPOSSIBLE, 2) end
  if not ok then return nil, problem, errname end
  session[PRIVATE].number = -session[0]
  if o.alias then shared.set_alias(session, o.alias) end
  local start = o.states._start
  if start then
    local args = o.args or {}
    shared.start(session, start, session, unpack(args, 1, args.n or #args))
  end
  return session
end

-- ---- connect{…} ----

local function read_connect(options)
  local o, message = check.read("connect", options, connect_options, CONNECT_EXAMPLE)
  if not o then return nil, message end
  if o.remote_address == nil then return nil, "connect: remote_address is missing" end
  if o.remote_port == nil then return nil, "connect: remote_port is missing" end
  local ok
  ok, message = read_filters("connect", o)
  if not ok then return nil, message end
  ok, message = shared.read_tls("connect", o)
  if not ok then return nil, message end
  ok, message = shared.read_proxy("connect", o)
  if not ok then return nil, message end
  for _, name in ipairs(own_handlers) do
    if o[name] then return o, true end
  end
  return o, false
end

-- C calls this function for connect{…}, and the script has called C, so errors are of level 3.
-- Gives a checked copy of the options, and whether there are handlers among them.
function shared.check_connect(options)
  local o, has_handlers = read_connect(options)
  if not o then error(has_handlers, 3) end
  return o, has_handlers
end

-- ---- run{…} ----

-- C calls this function for run{…}, so errors are of level 3. Gives milliseconds, -1 for no limit.
function shared.read_run(options)
  if type(options) ~= "table" then
    error(format("tcpmulti.run: a table of options expected, like %s, not %s", RUN_EXAMPLE,
      check.describe(options)), 3)
  end
  local o, message = check.read("tcpmulti.run", options, run_options, RUN_EXAMPLE)
  if not o then error(message, 3) end
  return o.seconds or -1
end
