-- SPDX-License-Identifier: MIT
-- Which part of the work is whose: shares, engines, processors, and plans divided over processes.
local lu = require "luaunit"
local cores = require "tcpmulti.fleet.cores"
local fleet = require "tcpmulti.fleet"
local support = require "jobs.support"
local targets = require "tcpmulti.targets"

local cases = support.cases "Parts"

-- ---- shares ----

function cases.G1_shares_add_up_and_differ_by_one_at_most()
  for _ = 1, 20000 do
    local total, J = math.random(0, 1000000), math.random(1, 300)
    local sum, least, most = 0, math.huge, 0
    for j = 0, J - 1 do
      local share = fleet.share(total, j, J)
      sum, least, most = sum + share, math.min(least, share), math.max(most, share)
    end
    if sum ~= total or most - least > 1 then lu.fail(("%d in %d parts"):format(total, J)) end
  end
end

function cases.limits_are_divided_but_for_those_of_a_host()
  local limits = { concurrency = 10, rate = 1000, per_network = 2, per_host = 8, grace = 5 }
  local connections, tokens = 0, {}
  for j = 0, 3 do
    local own = fleet.divide(limits, j, 4)
    connections = connections + own.concurrency
    tokens[#tokens + 1] = own.rate_phase
    lu.assertEquals({ own.rate, own.per_network, own.per_host, own.grace }, { 250, 1, 8, 5 })
  end
  lu.assertEquals(connections, 10)
  lu.assertEquals(tokens, { 1, 0.75, 0.5, 0.25 })
  lu.assertEquals(limits.rate, 1000)
  local own, message = fleet.divide(limits, 0, 11)
  lu.assertNil(own)
  lu.assertEquals(message, "--concurrency 10 is less than one for each of the 11 processes")
end

function cases.a_process_that_is_none_raises()
  for _, wrong in ipairs { { 4, 4 }, { -1, 4 }, { 0.5, 4 }, { 0, 0 }, { "0", 4 } } do
    lu.assertErrorMsgContains("process j of J", fleet.share, 10, unpack(wrong))
    lu.assertErrorMsgContains("process j of J", fleet.divide, {}, unpack(wrong))
  end
end

-- ---- plans ----

-- A random plan of networks, ranges, names, and ports.
local function random_plan()
  local words = {}
  for i = 1, math.random(1, 6) do
    local network = ("127.%d.%d.0"):format(math.random(0, 3), math.random(0, 255))
    local ports = ({ "80", "80-82", "1,5,9" })[math.random(3)]
    local form = ({ network .. "/2" .. math.random(4, 9), ("name%d.test"):format(math.random(3)),
      network:gsub("0$", "7") })[math.random(3)]
    words[i] = form .. ":" .. ports
  end
  return assert(targets.plan(support.words(unpack(words)), {}))
end

-- Marks all targets of process j of J, and which process a host is in.
local function walk(plan, j, J, seen, owners)
  local walker = plan:walker(j, J)
  local g = walker:next()
  while g do
    local host = plan:target(g)
    lu.assertNil(seen[g])
    lu.assertTrue(owners[host] == nil or owners[host] == j)
    lu.assertEquals(walker:owner(g, J), j)
    seen[g], owners[host] = true, j
    g = walker:next()
  end
end

function cases.G2_parts_and_workers_are_disjoint_and_complete()
  for _ = 1, 40 do
    local plan, n, W = random_plan(), math.random(1, 9), math.random(1, 4)
    local seen, owners, count = {}, {}, 0
    for i = 1, n do
      for w = 0, W - 1 do walk(plan, i - 1 + n * w, n * W, seen, owners) end
    end
    for _ in pairs(seen) do count = count + 1 end
    lu.assertEquals(count, plan.total)
  end
end

function cases.G2_a_part_is_the_union_of_its_workers()
  local plan = random_plan()
  for i = 1, 3 do
    local whole, own = {}, {}
    walk(plan, i - 1, 3, whole, {})
    for w = 0, 2 do walk(plan, i - 1 + 3 * w, 9, own, {}) end
    lu.assertEquals(own, whole)
  end
end

function cases.G3_machines_agree_whatever_the_order_of_words()
  local words = { "10.0.0.0/28:80", "10.1.0.1-10.1.0.9:22", "10.2.0.1:1-4" }
  local a = assert(targets.plan(support.words(unpack(words)), {}))
  local b = assert(targets.plan(support.words(words[3], words[1], words[2]), {}))
  lu.assertEquals(b.id, a.id)
  for j = 0, 4 do
    local one, other = a:walker(j, 5), b:walker(j, 5)
    repeat
      local g = one:next()
      lu.assertEquals(other:next(), g)
    until not g
  end
end

-- ---- engines ----

local function detect(variables, parts)
  return fleet.detect(function(name) return variables[name] end, parts)
end

local function assert_part(variables, parts, part, count, name)
  local found, engine = detect(variables, parts)
  lu.assertEquals({ found, engine }, { { part, count }, name })
end

local function array(index, first, last, step, count)
  return { SLURM_ARRAY_TASK_ID = tostring(index), SLURM_ARRAY_TASK_MIN = tostring(first),
    SLURM_ARRAY_TASK_MAX = tostring(last), SLURM_ARRAY_TASK_STEP = tostring(step),
    SLURM_ARRAY_TASK_COUNT = tostring(count) }
end

function cases.G8_engines_tell_index_and_count()
  assert_part(array(0, 0, 3, 1, 4), nil, 1, 4, "Slurm array")
  assert_part(array(3, 0, 3, 1, 4), nil, 4, 4, "Slurm array")
  assert_part(array(10, 5, 20, 5, 4), nil, 2, 4, "Slurm array")
  local job = "Kubernetes Indexed Job"
  assert_part({ JOB_COMPLETION_INDEX = "7", TCPMULTI_SHARDS = "8" }, nil, 8, 8, job)
  assert_part({ JOB_COMPLETION_INDEX = "7" }, 8, 8, 8, job)
  assert_part({ SLURM_PROCID = "2", SLURM_NTASKS = "3" }, nil, 3, 3, "srun")
  assert_part({ PARALLEL_SEQ = "1", TCPMULTI_SHARDS = "4" }, nil, 1, 4, "GNU parallel")
  assert_part({ PARALLEL_SEQ = "4" }, 4, 4, 4, "GNU parallel")
  local both = array(1, 0, 3, 1, 4)
  both.SLURM_PROCID, both.SLURM_NTASKS = "0", "1"
  assert_part(both, nil, 2, 4, "Slurm array")
end

local function assert_refused(variables, parts, ...)
  local found, message = detect(variables, parts)
  lu.assertNil(found)
  for _, word in ipairs { ... } do lu.assertStrContains(message, word) end
end

function cases.G8_an_index_that_is_outside_or_alone_is_refused()
  assert_refused({ JOB_COMPLETION_INDEX = "0" }, nil, "JOB_COMPLETION_INDEX", "TCPMULTI_SHARDS")
  assert_refused({ JOB_COMPLETION_INDEX = "8", TCPMULTI_SHARDS = "8" }, nil,
    "JOB_COMPLETION_INDEX is 8", "8 parts")
  assert_refused({ SLURM_PROCID = "0" }, nil, "SLURM_NTASKS")
  assert_refused({ PARALLEL_SEQ = "0" }, 4, "PARALLEL_SEQ is 0")
  assert_refused({ PARALLEL_SEQ = "x" }, 4, "PARALLEL_SEQ is 'x'")
  assert_refused(array(7, 5, 20, 5, 4), nil, "SLURM_ARRAY_TASK_ID is 7")
  assert_refused({}, nil, "no engine", "--shard I/N")
end

function cases.G9_a_list_with_gaps_is_refused_but_for_a_given_count()
  assert_refused(array(7, 1, 9, 1, 4), nil, "gaps", "SLURM_ARRAY_TASK_COUNT", "auto/N")
  assert_part(array(7, 1, 9, 1, 4), 10, 8, 10, "Slurm array")
  assert_part(array(2, 2, 2, 1, 1), 4, 3, 4, "Slurm array")
end

-- ---- processors ----

local function with_groups(limits, f)
  local folder = os.tmpname()
  os.remove(folder)
  for path, text in pairs(limits) do
    os.execute(("mkdir -p '%s%s'"):format(folder, path))
    local file = assert(io.open(folder .. path .. "/cpu.max", "w"))
    file:write(text)
    file:close()
  end
  local good, message = pcall(f, folder)
  os.execute(("rm -r '%s'"):format(folder))
  if not good then error(message, 0) end
end

function cases.G12_a_quota_counts_whole_processors()
  with_groups({ ["/a/b"] = "250000 100000\n", ["/a"] = "max 100000\n" }, function(groups)
    lu.assertEquals(cores.quota(groups, "/a/b"), 2.5)
    lu.assertEquals(cores.count(groups, "/a/b"), math.min(2, #cores.allowed()))
  end)
  with_groups({ ["/a/b"] = "max 100000\n", ["/a"] = "150000 100000\n" }, function(groups)
    lu.assertEquals(cores.quota(groups, "/a/b"), 1.5)
    lu.assertEquals(cores.count(groups, "/a/b"), 1)
  end)
  with_groups({ ["/a"] = "20000 100000\n" }, function(groups)
    lu.assertEquals(cores.count(groups, "/a"), 1)
  end)
  lu.assertNil(cores.quota("/nonexistent", "/a/b"))
end

function cases.G12_the_affinity_counts()
  local first = cores.allowed()[1]
  cores.pin(first)
  lu.assertEquals(cores.allowed(), { first })
  lu.assertEquals(cores.count(), 1)
end

support.main(cases)
