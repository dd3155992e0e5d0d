-- SPDX-License-Identifier: MIT
-- Scenarios of tasks for test-tasks.c, which lets their memory fail. The chunk gets the ports of
-- the peers, and whether there is TLS; it returns a table of functions:
--   [scenario](session)   starts the scenario in that session
--   make()                gives a session for a scenario
--   check(is_fatal)       gives what is wrong once the loop has nothing left to do, or nil
--   check_left()          gives what is wrong once the collector has run too, or nil
--   again()               starts what has to succeed afterwards, with memory
--   check_again()         gives what is wrong then, or nil
-- What counts only writes numbers to fields that are there, which needs no memory. Each wait ends
-- by itself when what it waits for has failed: by the times of the session, or because its parent
-- cancels it.
local tcpmulti, co = require "tcpmulti", require "tcpmulti.co"
local ports, has_tls = ...
local try = co.try
local HOST = "127.0.0.1"

local begun, ended = 0, 0 -- tasks
local opened, closed = 0, 0 -- connections, by on_initialize and on_disconnected
local told = 0 -- errors of which on_exception heard, but for those on purpose
local kept = setmetatable({}, { __mode = "k" }) -- sessions
local client = has_tls and { verify = false }

-- ---- tasks that are counted ----

local function after(ok, ...)
  ended = ended + 1
  if ok then return ... end
  error((...), 0)
end

local function counted(f)
  return function(...)
    begun = begun + 1
    return after(pcall(f, ...))
  end
end

local function open(port) return try(co.open(HOST, port)) end

-- ---- a dialogue, by all ways of receiving and sending ----

local talk = counted(function()
  local cheap = open(ports.echo)
  try(cheap:send "one")
  try(cheap:receive(nil, 5))
  try(cheap:write("two", "three"))
  try(cheap:expect { "^nothing", three = "^thr(.*)", reject = "^no", timeout = 5 })
  try(cheap:send "four five")
  try(cheap:receive(5))
  try(cheap:receive "line")
  cheap:receive(nil, 0.0005)
  cheap:filter "stream"
  try(cheap:send "login: ")
  try(cheap:expect("n: ", 5))
  try(cheap:close(5))
end)

local read_all = counted(function()
  local cheap = open(ports.page)
  for _ in cheap:records() do co.sleep(0) end
  open(ports.page):receive "all"
end)

local function dialogue(session)
  session:spawn(talk)
  session:spawn(read_all)
end

-- ---- tasks among themselves ----

local box, gate -- a queue, a semaphore

local produce = counted(function()
  for i = 1, 3 do try(box:put(i, 5)) end
  box:close()
end)

local consume = counted(function()
  local sum = 0
  for value in box:values() do sum = sum + value end
  return sum
end)

local enter_gate = counted(function() return gate:with(co.sleep, 0.0002) end)
local nap = counted(function() return co.sleep(0.0002) end)
local sleep_long = counted(function() co.sleep(3600) end)
local refused = counted(function() return co.open(HOST, ports.refused) end)
local fail = counted(function() try(nil, "on purpose") end)
local function nothing() end
local retried = { min = 0.0001, max = 0.0002, attempts = 3 }

local family = counted(function()
  local consumer = co.spawn(consume)
  co.spawn(produce)
  co.daemon(sleep_long)
  co.every(0.0001, nothing)
  co.spawn(enter_gate)
  co.spawn(enter_gate)
  consumer:join(5)
  co.all { nap, nap }
  co.any { nap, sleep_long }
  co.each({ 1, 2, 3 }, 2, nap, nothing)
  co.retry(retried, refused)
  co.deadline(0.0002, function()
    co.spawn(sleep_long)
    co.spawn(nap):cancel "not needed"
  end)
  co.protect(co.scope)(function()
    co.spawn(sleep_long)
    co.spawn(fail)
  end)
end)

local function company(session)
  box, gate = co.queue(1, "box"), co.semaphore(1, "gate")
  session:spawn(family)
end

-- ---- ends of all kinds ----

local time_out = counted(function() open(ports.freeze):receive() end)
local much = ("x"):rep(2 ^ 22)
local write_much = counted(function()
  local cheap = open(ports.freeze)
  co.deadline(0.001, cheap.write, cheap, much)
end)
local meet_reset = counted(function()
  local cheap = open(ports.reset)
  cheap:send "x"
  for _ in cheap:records() do end
end)
local cancelled = counted(function() co.deadline(0.0005, co.open, HOST, ports.silent) end)
local raise = counted(function()
  open(ports.echo)
  error "on purpose"
end)
local say_goodbye = counted(function()
  local cheap = open(ports.echo)
  local ok, err = pcall(co.sleep, 3600)
  co.shield(1, function()
    cheap:send "QUIT"
    cheap:receive()
  end)
  if not ok then error(err, 0) end
end)
local await = counted(function()
  co.await(function() return nothing end, 0.0005)
  co.signal("USR2", 0.0005)
end)
local hand_over = counted(function()
  local cheap = open(ports.echo)
  try(cheap:send("to a task", "to a handler"))
  try(cheap:receive())
  try(co.release(cheap))
end)

local die_soon = counted(function(session)
  pcall(co.sleep, 0.004)
  session:die()
end)

-- The first one ends the others, if there was no memory for all.
local function ends(session)
  session:spawn(die_soon, session)
  for _, f in ipairs { time_out, write_much, meet_reset, cancelled, raise, say_goodbye, await,
    hand_over, fail } do
    session:spawn(f)
  end
end

-- ---- TLS in the middle of a dialogue ----

local upgrade = counted(function()
  local cheap = open(ports.starttls)
  try(cheap:receive())
  try(cheap:send "STARTTLS")
  try(co.starttls(cheap, client, 5))
  try(cheap:receive())
  try(cheap:close())
end)

local function starttls(session) session:spawn(upgrade) end

-- ---- sessions, and what must hold ----

local function make(patience)
  local session = tcpmulti.create {
    connect_timeout = patience or 0.3,
    input_timeout = patience or 0.01,
    shutdown_timeout = patience or 0.01,
    high_mark = 65536,
    on_exception = function(_, message)
      if not string.find(message, "on purpose", 1, true) then told = told + 1 end
    end,
    on_initialize = function() opened = opened + 1 end,
    on_input = function(cheap) cheap:shutdown() end, -- of the one that is released
    on_disconnected = function() closed = closed + 1 end,
  }
  kept[session] = true
  return session
end

local function check(is_fatal)
  if not is_fatal and begun ~= ended then return begun - ended .. " tasks have not ended" end
  if opened ~= closed and not is_fatal and told == 0 then
    return opened - closed .. " connections have not ended"
  end
  if co.current() then return "a task runs" end
  box, gate = nil, nil
end

-- After the collector and the loop have run.
local function check_left()
  if next(kept) then return "a session is left" end
end

local done

local function again()
  done = 0
  local session = make(20)
  company(session)
  session:spawn(function()
    co.scope(function()
      local one = co.spawn(talk)
      one:join()
      co.sleep(0.0001)
      done = done + 1
    end)
    done = done + 1
  end)
end

local function check_again()
  if done ~= 2 then return "tasks do not come to their end any more: " .. done end
  box, gate = nil, nil
end

return {
  dialogue = dialogue,
  company = company,
  ends = ends,
  starttls = starttls,
  make = make,
  check = check,
  check_left = check_left,
  again = again,
  check_again = check_again,
}
