-- SPDX-License-Identifier: MIT
-- Dialogue connections, those whose records go to tasks: their methods that wait.
--
-- cheap[LINK] is the table of such a connection. Its fields, each absent until it is needed:
--   [PLENTY]    true: the record before came without a wait
--   [READER]    the one task that waits for a record, for success or for TLS
--   [APART]     true: the next record is not just the next one of the connection's own filter,
--               because stand_in, order, held or over is set
--   [WRITERS]   the tasks that wait for room in the queue
--   [OWNER]     the scope that it belongs to
--   closer      the task that waits for the end
--   own         the connection's own input filter, while another one stands in (stand_in)
--   order       so many bytes are ordered as the next record
--   held        records that came although nobody reads: while a task waits to write, or because
--               the script has called resume
--   over        true: the input has ended; message, errname, partial: how
--   ended       true: the connection has ended; clean: with all that was sent acknowledged
-- C (dialogue.c) keeps what is asked with each event: whether the input is held, whether there are
-- writers, and the coroutine that it can give a record to. An end that no task waits for it does
-- not tell: see has_ended.
--
-- What always holds: while there is no reader and the input has not ended, the input is held. Only
-- while a task waits to write the input goes on, for up to HELD_MOST records, so that a reset is
-- noticed.
local shared, tcpmulti, co = ...
local inner = shared.co
local THREAD, WAIT, OBJECT, RUNNING = inner.THREAD, inner.WAIT, inner.OBJECT, inner.RUNNING
local TASK_APART, DUE = inner.APART, inner.DUE
local floor, format = math.floor, string.format
local now = tcpmulti.now
local here, arm, trace = inner.here, inner.arm, inner.trace
local begin_wait, suspend, end_of_wait = inner.begin_wait, inner.suspend, inner.end_of_wait
local await_record, let_input_go_on = shared.await_record, shared.let_input_go_on
local take_record = shared.take_record
local end_dialogue = shared.end_dialogue
local yield = coroutine.yield
local failure = inner.failure
local CANCEL, TIMEOUT, ENDED = inner.CANCEL, inner.TIMEOUT, inner.ENDED
local unlink = inner.unlink

local PLENTY, READER, APART, WRITERS, OWNER = 0, 1, 2, 3, 4
inner.READER, inner.WRITERS, inner.OWNER = READER, WRITERS, OWNER
local LINK = shared.LINK -- the key of a cheap's link: a string, which is found fastest
local ALL_MOST = 16 * 1048576 -- bytes of receive "all"
local HELD_MOST = 16 -- records that are held while a task waits to write
local ANSWERS_MOST = 1000 -- answers of an ended connection: a loop that ignores them would spin
inner.LINK = LINK

-- The methods that the library has. A loading of these parts that has failed has replaced some.
local function keep_methods()
  local kept = {}
  for name, method in pairs(shared.cheap_methods) do kept[name] = method end
  shared.methods_without_tasks = kept
  return kept
end

local raw = shared.methods_without_tasks or keep_methods()
local methods = {} -- methods that wait
inner.raw = raw

-- ---- the link ----

-- The id of a cheap. Raises at that level, as the function of this name, if it is none.
local function id_of(cheap, name, level)
  local ok, id = pcall(raw.id, cheap)
  if ok then return id end
  error((string.gsub(id, "^id:", name .. ":")), level + 1)
end

inner.id_of = id_of

-- The link of a dialogue connection.
local function link_of(cheap, name)
  local id = id_of(cheap, name, 3)
  local link = rawget(cheap, LINK)
  if link then return link end
  error(format("%s: connection %.0f belongs to its handlers; see co.adopt", name, id), 3)
end

inner.link_of = link_of

-- A link takes no more memory than its fields, because none of the values is a constant.
function inner.new_link(reader)
  local none = nil
  return { reader, none, none, none }
end

-- Called after each change of these fields.
local function set_apart(link)
  link[APART] = (link.stand_in or link.order or link.held or link.over) and true or nil
end
inner.set_apart = set_apart

-- Whether the input of the connection has ended; how stands in the link then. Where nothing does,
-- the end was one that C does not tell.
local function has_ended(cheap, link)
  if link.ended or shared.is_dialogue(cheap) then return link.over end
  link.over, link.ended, link.clean = true, true, true
  link.message, link.errname = "it was shut down", "ESHUTDOWN"
  link.partial = link.partial or ""
  set_apart(link)
  return true
end
inner.has_ended = has_ended

local function check_free(cheap, link, name)
  local task = link[READER] or link.closer or link[WRITERS] and link[WRITERS][1]
  if task then
    error(format("%s: connection %.0f is busy: %s waits to %s", name, raw.id(cheap),
      inner.label(task), task[WAIT]), 3)
  end
end
inner.check_free = check_free

-- The answer of a connection whose input has ended.
local function answer_end(link)
  link.told = (link.told or 0) + 1
  if link.told > ANSWERS_MOST then
    error(format("the connection has ended (%s) and was used %d times since", link.message,
      ANSWERS_MOST), 3)
  end
  return nil, link.message, link.errname, link.partial
end
inner.answer_end = answer_end

-- Whether one more record may be held while a task waits to write.
local function may_hold(link) return not link.held or #link.held < HELD_MOST end
inner.may_hold = may_hold

local function hold_unless_read(cheap, link)
  if link[READER] or link.over or rawget(cheap, LINK) ~= link then return end
  if link[WRITERS] and may_hold(link) then return end
  shared.hold_input(cheap)
end
inner.hold_unless_read = hold_unless_read

function unlink.receive(_, cheap)
  local link = cheap[LINK]
  link[READER] = nil
  shared.forget_reader(cheap)
  hold_unless_read(cheap, link)
end

-- A scope is left that the connection belongs to. What shuts down already goes on.
function inner.end_connection(cheap, in_order)
  local link = cheap[LINK]
  link[OWNER] = nil
  end_dialogue(cheap, in_order, link.closer)
end

-- ---- filters ----

local stand_ins = setmetatable({}, { __mode = "v" }) -- [name] = a filter made before

local function make_filter(spec)
  local made = stand_ins[spec]
  if made then return made end
  if type(spec) ~= "string" or not tcpmulti.filters[spec] then return spec end
  made = tcpmulti.filters[spec]()
  stand_ins[spec] = made
  return made
end

-- The next record is one of this filter; nil: of the connection's own. Raises what is no filter.
local function use_filter(cheap, link, spec)
  if spec == link.stand_in then return true end
  local own_filter = link.own or raw.input_filter(cheap)
  local ok, message, errname = inner.raising(3, raw.input_filter, cheap,
    spec == nil and own_filter or make_filter(spec))
  if not ok then return nil, message, errname end
  link.stand_in = spec
  link.own = spec ~= nil and own_filter or nil
  set_apart(link)
  return true
end

inner.use_filter = use_filter

-- The next record is so many bytes, whatever the filter; false: one of the filter after all.
local function order_bytes(cheap, link, count)
  local ok, message, errname = raw.take(cheap, count)
  if ok then
    link.order = count or nil
    set_apart(link)
  end
  return ok, message, errname
end

-- The next record is what the script has asked for.
local function prepare(cheap, link, what)
  if type(what) == "number" then return order_bytes(cheap, link, what) end
  if link.order then
    local ok, message, errname = order_bytes(cheap, link, false)
    if not ok then return nil, message, errname end
  end
  return use_filter(cheap, link, what)
end

-- Whether the connection's own filter gives bytes as they come.
function inner.is_stream(cheap, link)
  return shared.filter_kind(link.own or raw.input_filter(cheap)) == "stream"
end

-- The connection's own filter, where another one stands in.
local function own_filters(cheap, input, ...)
  local link = input and rawget(cheap, LINK)
  return link and link.own or input, ...
end

-- Filters that the script sets are the connection's own from then on.
for _, name in ipairs { "filter", "input_filter" } do
  methods[name] = function(cheap, ...)
    if select("#", ...) == 0 then return own_filters(cheap, raw[name](cheap)) end
    local ok, message, errname = inner.raising(2, raw[name], cheap, ...)
    local link = ok and rawget(cheap, LINK)
    if link and link.stand_in then
      link.own, link.stand_in = nil, nil
      set_apart(link)
    end
    return ok, message, errname
  end
end

-- ---- receive ----

local function take_held(link)
  local record = table.remove(link.held, 1)
  if link.held[1] == nil then
    link.held = nil
    set_apart(link)
  end
  return record
end

-- The task becomes the reader, and waits for something of this kind; the input goes on.
function inner.wait_as_reader(cheap, link, task, kind, seconds)
  begin_wait(task, kind, seconds)
  link[READER] = task
  let_input_go_on(cheap)
  return suspend(task, kind, cheap)
end

-- The results of receive for what has ended its wait.
local function after_wait(cheap, link, task, seconds, got)
  if got == CANCEL then error(task.broken, 0) end
  if got == ENDED then return answer_end(link) end
  if got == TIMEOUT then
    local ms = floor(seconds * 1000 + 0.5)
    return nil, format("nothing received for %g s", ms / 1000), "ETIME", raw.pending(cheap)
  end
  if link.order then
    link.order = nil
    set_apart(link)
  end
  return got
end

-- The next record of the filter what, or of the connection's own: whole, or nothing is taken.
local function receive_one(cheap, link, task, what, seconds)
  if link.held then return take_held(link) end
  if has_ended(cheap, link) then return answer_end(link) end
  if what ~= link.stand_in or link.order then
    local ok, message, errname = prepare(cheap, link, what)
    if not ok then return nil, message, errname end
  end
  if seconds then arm(task, seconds) end
  if task.traced then trace(task, "waits for receive") end
  link[READER], task[WAIT], task[OBJECT] = task, "receive", cheap
  local got = await_record(cheap[0], nil, task[THREAD])
  if got == nil then -- a task of another session
    let_input_go_on(cheap)
    got = yield()
  elseif task[WAIT] then
    link[READER], shared[RUNNING] = nil, task
    end_of_wait(task)
  end
  return after_wait(cheap, link, task, seconds, got)
end

local function left(due) return due and math.max(due - now(), 0) end

local function is_all(what)
  return what == "all" or type(what) == "table" and what[1] == "all"
end

-- Puts back what was taken, unless the connection has ended: then it is only shown.
local function give_back(cheap, link, parts, message, errname, partial)
  local got = table.concat(parts)
  if has_ended(cheap, link) then return nil, message, errname, got .. partial end
  raw.unread(cheap, got)
  return nil, message, errname, got
end

local function receive_all(cheap, link, task, what, seconds)
  local most = type(what) == "table" and what.max_length or ALL_MOST
  local parts, length, due = {}, 0, seconds and now() + seconds
  while true do
    local ok, bytes, message, errname, partial =
      pcall(receive_one, cheap, link, task, "stream", left(due))
    if not ok then -- a cancelled wait has taken nothing
      give_back(cheap, link, parts, nil, nil, "")
      error(bytes, 0)
    elseif bytes then
      length, parts[#parts + 1] = length + #bytes, bytes
    elseif errname == "EOF" then
      return table.concat(parts) .. partial
    end
    if length > most then message, errname = format("more than %d bytes", most), "ETOOLONG" end
    if errname then return give_back(cheap, link, parts, message, errname, partial or "") end
  end
end

local function check_what(what, name)
  if type(what) == "table" and what[1] == "all" then
    inner.check_length(what.max_length, name .. ": max_length", 3)
  elseif type(what) == "number" and not (what >= 0 and what == math.floor(what)) then
    error(format("%s: a whole number of bytes, 0 or more, expected, not %g", name, what), 3)
  end
end

-- Checks what each record of a loop is to be, before the loop begins; makes a filter that is not
-- known by its name.
local function check_records(what)
  if type(what) == "number" or is_all(what) then
    check_what(what, "records")
  elseif not tcpmulti.filters[what] then
    what = shared.filter_argument(what, nil, "input")
  end
  return what
end

local function receive_specially(cheap, link, what, seconds)
  check_what(what, "receive")
  local task = here "receive"
  if what == 0 then return "" end
  if link[READER] then check_free(cheap, link, "receive") end
  if is_all(what) then return receive_all(cheap, link, task, what, seconds) end
  return receive_one(cheap, link, task, what, seconds)
end

-- C has not given a record: it left the wait to Lua, or something else has ended the wait.
local function not_received(cheap, link, task, what, seconds, got)
  if got == nil then
    link[READER] = nil
    end_of_wait(task)
    return receive_specially(cheap, link, what, seconds)
  end
  if what ~= nil then -- the bytes are still ordered
    link.order = what
    set_apart(link)
  end
  return after_wait(cheap, link, task, seconds, got)
end

-- Records come without a wait, but no further one is there now.
local function no_more(cheap, link, what, seconds)
  link[PLENTY] = false
  if what ~= nil then -- the bytes are ordered already
    link.order = what
    set_apart(link)
  end
  return receive_specially(cheap, link, what, seconds)
end

-- The common case, in which C gives the record: the next one of the connection's own filter, or so
-- many bytes.
function methods.receive(cheap, what, seconds)
  local link, task = type(cheap) == "table" and rawget(cheap, LINK), shared[RUNNING]
  if not link then link = link_of(cheap, "receive") end
  if seconds ~= nil then inner.check_seconds(seconds, "receive", 2) end
  if not task or task[TASK_APART] or link[READER] or link[APART] then
    return receive_specially(cheap, link, what, seconds)
  end
  if link[PLENTY] then
    local record = take_record(cheap[0], what, task[THREAD])
    if record ~= nil then return record end
    return no_more(cheap, link, what, seconds)
  end
  if seconds then arm(task, seconds) end
  link[READER], task[WAIT], task[OBJECT] = task, "receive", cheap
  local got, at_once = await_record(cheap[0], what, task[THREAD])
  if got ~= nil and task[WAIT] then -- a record
    if at_once then link[PLENTY] = true end
    link[READER], task[WAIT], task[OBJECT] = nil, false, false
    shared[RUNNING] = task
    if seconds then task[DUE] = false end
    return got
  end
  return not_received(cheap, link, task, what, seconds, got)
end
local receive = methods.receive

-- Records up to the end of input, for a loop. Any other end is raised as by try.
function methods.records(cheap, what, seconds)
  link_of(cheap, "records")
  inner.check_seconds(seconds, "records", 2)
  if what ~= nil then what = inner.raising(2, check_records, what) end
  local reader
  return function()
    if not reader or reader ~= shared[RUNNING] then reader = here "records" end
    local record, message, errname, partial = receive(cheap, what, seconds)
    if record ~= nil then return record end
    if errname == "EOF" and partial == "" then return nil end
    error(failure(message, errname, partial), 0)
  end
end

-- ---- the methods ----

for name, method in pairs(methods) do
  shared.cheap_methods[name] = method
  if not raw[name] then co[name] = method end
end
