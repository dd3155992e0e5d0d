-- SPDX-License-Identifier: MIT
-- Where a job's targets come from: a plan, whose targets have numbers, or a pipe that is read only
-- as fast as its targets are used. Both are asked by next, and told by finish what is done.
local io, os = require "io", require "os"
local targets = require "tcpmulti.targets"
local dealing = require "tcpmulti.job.dealing"
local system = require "tcpmulti.job.system"
local format, gsub = string.format, string.gsub

local sources = {}

local MAX_LINE = 1048576
local ENOUGH = 256 -- targets that are read ahead of their use

-- ---- a plan ----

local Plan = {}
Plan.__index = Plan

-- The words of --exclude; nil: there are none, not even an empty file.
local function exclusions_of(options)
  return options.exclude and #options.exclude > 0 and options.exclude or nil
end

-- The number of this process, and how many share the targets. A supervisor has those of all
-- of its workers.
local function share_of(job)
  if job.is_supervisor then return job.part[1] - 1, job.part[2] end
  return job.process, job.processes
end

-- Says of words that are no targets, but files, where files belong.
local function hint_at_files(plan)
  for _, line in ipairs(plan.malformed) do
    local file = line.source == "argument" and io.open(line.text)
    if file then
      file:close()
      line.message = line.message .. "; a file of targets is given by --targets"
    end
  end
end

local function open_plan(list, job)
  local options = job.options
  local plan, message = targets.plan(list, {
    ports = options.ports,
    exclude = exclusions_of(options),
    order = options.order,
    seed = options.seed,
    duplicates = options.keep_duplicates and "keep" or "drop",
    reserved = options.reserved,
  })
  if not plan then return nil, (gsub(message, "^ports: ", "--ports: ")) end
  hint_at_files(plan)
  return setmetatable({ plan = plan, walker = plan:walker(share_of(job)), id = plan.id,
    hosts = plan.hosts, part = job.part, over = false }, Plan)
end

function Plan:next()
  local number, place = self.walker:next()
  if not number then
    self.over = true
    return nil
  end
  local host, port, input, network = self.plan:target(number)
  -- With all fields that a target gets later, since a table that grows is built again.
  return { key = format("%s:%d", self.id, number), place = place, host = host, port = port,
    input = input, network = network, attempts = 0, taken = false, begun = false, queued = false,
    queue = false, addr = nil }
end

function Plan:finish(target) self.walker:finish(target.place) end

-- How many targets there are; nil: not known.
function Plan:total() return self.walker.total end

function Plan:counts()
  local plan = self.plan
  return { total = plan.total, duplicates = plan.duplicates, excluded = plan.excluded,
    malformed = plan.malformed_count }
end

-- Target number g has a result already. Nil; false: it had one before; or a message: there is no
-- such target here.
function Plan:skip(g)
  local is_new, why = self.walker:skip(g)
  if why ~= "elsewhere" then return is_new end
  local owner = self.walker:owner(g, self.part[2])
  if not owner then return nil, format("it holds target %.0f, and the plan has none of it", g) end
  return nil, format("it holds results of part %d/%d, and this is part %d/%d", owner + 1,
    self.part[2], self.part[1], self.part[2])
end

function Plan:malformed() return self.plan.malformed, self.plan.malformed_count end

function Plan:denied() return self.plan:denied() end

-- ---- a pipe ----

local Stream = {}
Stream.__index = Stream

local function open_stream(job)
  local options = job.options
  local given = { ports = options.ports, exclude = exclusions_of(options), seed = options.seed,
    reserved = options.reserved, process = job.process, processes = job.processes }
  if job.is_supervisor then return dealing.open(given, job, MAX_LINE) end
  if job.is_worker then given.process, given.processes = nil, nil end
  local stream, message = targets.stream(given)
  if not stream then return nil, message end
  return setmetatable({ stream = stream, id = stream.id, over = false, is_read = false, lines = 0,
    is_dealt = job.is_worker, first = 1, last = 0, taken = 0, bad = 0, list = {} }, Stream)
end

local function reject(self, text, message)
  self.bad = self.bad + 1
  self.on_malformed(self.bad, { source = "standard input", line = self.lines, text = text,
    message = message })
end

local function add(self, line)
  local found, message = self.stream:line(line, self.lines)
  if not found then return reject(self, line, message) end
  for _, target in ipairs(found) do
    target.key = self.id .. ":" .. target.number
    self.last = self.last + 1
    self.list[self.last] = target
  end
end

-- Whether to go on reading, which costs nothing while there are targets enough.
local function hold_or_read(self)
  local reads = self.last - self.first < ENOUGH and not self.ended
  if reads == self.is_read then return end
  self.is_read = reads
  self.session:stdin(reads and self.on_line, reads and MAX_LINE or nil)
end

-- Begins to read. on_more(): there are targets, or the end. on_malformed(count, line): as the lines
-- of plan.malformed.
function Stream:start(session, on_more, on_malformed)
  self.session, self.on_malformed = session, on_malformed
  function self.on_line(_, line, message, errname)
    self.lines = self.lines + 1
    if line and self.is_dealt then
      self.lines, line = dealing.take(line)
      self.ended = not line
    end
    if line then
      add(self, line)
    elseif not self.ended then
      self.is_read = false -- a line that is too long ends the reading, too
      self.ended = errname ~= "ETOOLONG"
      if message then reject(self, "", message) end
    end
    hold_or_read(self)
    on_more()
  end
  hold_or_read(self)
end

function Stream:next()
  if self.first > self.last then
    self.over = self.ended
    return nil
  end
  local target = self.list[self.first]
  self.list[self.first] = nil
  self.first, self.taken = self.first + 1, self.taken + 1
  hold_or_read(self)
  return target
end

Stream.finish = function() end

function Stream:total() return self.over and self.taken or nil end

function Stream:counts()
  return { total = self.taken, duplicates = 0, excluded = self.stream.excluded,
    malformed = self.bad }
end

function Stream:malformed() return {}, self.bad end

function Stream:denied() return self.stream:denied() end

-- ---- which of both ----

local HINT = "usage: [OPTION...] [TARGET...]; --help shows all"
local PIPE = "standard input is a pipe; save it to a file, and give that by --targets"

-- Gives whether standard input is one of the sources, and the list of sources.
local function list_of(job)
  local list, reads, options = {}, false, job.options
  if #options.target > 0 then
    local words = {}
    for _, word in ipairs(options.target) do
      if word == "-" then reads = true else words[#words + 1] = word end
    end
    list[1] = { words = words }
  end
  for _, path in ipairs(options.targets or {}) do
    if path == "-" then reads = true else list[#list + 1] = { path = path } end
  end
  return reads, list
end

-- The supervisor's standard input, where that is a file, is one for its workers too.
local function input_path(job)
  if job.is_worker then return os.getenv "TCPMULTI_INPUT" or nil end
  return job.is_supervisor and format("/proc/%d/fd/0", system.pid()) or "-"
end

-- job: options, origins, and which process this is. Gives a source; nil, message, and a hint.
function sources.open(job)
  local options = job.options
  local reads, list = list_of(job)
  if #list == 0 and not reads then
    if system.input_is_terminal() then return nil, "which targets?", HINT end
    reads = true
  end
  local is_alone = #list == 0 or #list == 1 and list[1].words and #list[1].words == 0
  local path = reads and input_path(job)
  local is_stream = job.is_worker and not path or system.input_is_pipe() and not job.is_worker
  if not (reads and is_alone and is_stream) then
    if reads then list[#list + 1] = { path = path } end
    local source, message = open_plan(list, job)
    if source then source.input_path = path or nil end
    return source, message
  end
  for _, name in ipairs { "resume", "strict" } do
    if options[name] then return nil, format("--%s: %s", name, PIPE) end
  end
  if options.order == "random" and job.origins.order ~= "built in" then
    return nil, "--order random: " .. PIPE
  end
  return open_stream(job)
end

return sources
