-- SPDX-License-Identifier: MIT
-- The exit status of a job, from a table: what goes before what.
local ending = require "tcpmulti.job.ending"
local lu = require "luaunit"
local support = require "jobs.support"

local cases = support.cases "JobEnding"

for _, row in ipairs {
  { "all is done", {}, 0 },
  { "an error in the script", { exceptions = 1 }, 1 },
  { "a threshold holds", { is_over = true }, 3 },
  { "malformed lines", { malformed = 1 }, 4 },
  { "the output could not be written", { has_failed = true }, 74 },
  { "cut short, with a file", { is_partial = true, can_resume = true, signal = "INT" }, 75 },
  { "cut short by a time, without a file", { is_partial = true }, 75 },
  { "cut short by SIGINT, without a file", { is_partial = true, signal = "INT" }, 130 },
  { "cut short by SIGTERM, without a file", { is_partial = true, signal = "TERM" }, 143 },
  { "a signal that came when all was done", { signal = "TERM" }, 0 },
  { "74 goes before 1", { has_failed = true, exceptions = 1 }, 74 },
  { "1 goes before 75", { exceptions = 1, is_partial = true, can_resume = true }, 1 },
  { "75 goes before 3", { is_partial = true, is_over = true }, 75 },
  { "3 goes before 4", { is_over = true, malformed = 1 }, 3 },
} do
  local name, facts, status = unpack(row)
  cases["J69_" .. name] = function()
    facts.exceptions, facts.malformed = facts.exceptions or 0, facts.malformed or 0
    lu.assertEquals(ending.status(facts), status)
  end
end

support.main(cases)
