-- SPDX-License-Identifier: MIT
-- Engines that start many processes and number them, and what each says in the environment: the
-- index of a process, and how many there are.
local floor, format = math.floor, string.format

local engines = {}

-- Fields. index, count: variables. base: the first index. first, last, step: variables about a list
-- of indices.
local known = {
  { name = "Slurm array", index = "SLURM_ARRAY_TASK_ID", count = "SLURM_ARRAY_TASK_COUNT",
    base = 0, first = "SLURM_ARRAY_TASK_MIN", last = "SLURM_ARRAY_TASK_MAX",
    step = "SLURM_ARRAY_TASK_STEP" },
  { name = "Kubernetes Indexed Job", index = "JOB_COMPLETION_INDEX", count = "TCPMULTI_SHARDS",
    base = 0 },
  { name = "srun", index = "SLURM_PROCID", count = "SLURM_NTASKS", base = 0 },
  { name = "GNU parallel", index = "PARALLEL_SEQ", count = "TCPMULTI_SHARDS", base = 1 },
}

local function whole(text)
  local value = tonumber(text or "")
  if value and value >= 0 and value == floor(value) then return value end
end

-- The part with this place, from 0 on, of so many.
local function part_of(engine, place, count, index)
  if place >= 0 and place < count and place == floor(place) then
    return { place + 1, count }, engine.name
  end
  return nil, format("%s: %s is %.0f, which is none of the %.0f parts", engine.name, engine.index,
    index, count)
end

-- With the number of parts from the engine, too.
local function counted(engine, index, getenv)
  local count = whole(getenv(engine.count))
  if not count or count < 1 then
    return nil, format("%s: %s is %.0f, and %s does not say of how many; give --shard auto/N",
      engine.name, engine.index, index, engine.count)
  end
  if not engine.first then return part_of(engine, index - engine.base, count, index) end
  local first, step = whole(getenv(engine.first)) or 0, whole(getenv(engine.step)) or 1
  local last = whole(getenv(engine.last))
  if last and (last - first) / step + 1 ~= count then
    return nil, format("%s: the list of indices has gaps: %s says %.0f from %.0f to %.0f; give "
      .. "--shard auto/N", engine.name, engine.count, count, first, last)
  end
  return part_of(engine, (index - first) / step, count, index)
end

-- The part that this process is: { part, parts }, from 1 on, and the engine's name; nil, message.
-- parts: how many there are, where the index counts from the engine's first on, whatever the engine
-- says of a number: so a part that is submitted again alone is the same part.
function engines.detect(getenv, parts)
  for _, engine in ipairs(known) do
    local text = getenv(engine.index)
    if text then
      local index = whole(text)
      if not index then
        return nil, format("%s: %s is '%s', and no whole number", engine.name, engine.index, text)
      end
      if parts then return part_of(engine, index - engine.base, parts, index) end
      return counted(engine, index, getenv)
    end
  end
  return nil, "--shard auto: no engine has numbered this process (looked for "
    .. "SLURM_ARRAY_TASK_ID, JOB_COMPLETION_INDEX, SLURM_PROCID, PARALLEL_SEQ); give --shard I/N"
end

return engines
