-- SPDX-License-Identifier: MIT
-- report.lua: the page of figures, from lines and from summaries.
local lu = require "luaunit"
local harness = require "scripts.harness"

local cases = harness.cases "ReportScript"

local function read_file(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "*a"
  file:close()
  return text
end

-- The folder of a job over 64 targets, half of which fail: out.jsonl, summary, page.
local function run_job()
  local folder = harness.directory()
  local port = harness.listen("0.0.0.0", nil, function(client) client:write "hello\n" end)
  local job = harness.script("banner.lua", { "-q", "-p", port .. ",9", "127.0.0.1-32", "-o",
    folder .. "/out.jsonl", "--summary", folder .. "/summary", "--report", folder .. "/page",
    "--fail-if", "failed > 99" })
  lu.assertEquals(job.code, 0, job.errors())
  return folder
end

local function report(folder, ...)
  local run = harness.script("report.lua", { "-o", folder .. "/again", ... })
  return run, run.code ~= 2 and read_file(folder .. "/again")
end

local function check_page(page)
  lu.assertStrContains(page, "64 targets in ")
  lu.assertStrContains(page, ": 32 ok, 32 failed (50 %)")
  lu.assertEquals(select(2, page:gsub('<svg class="chart"', "")), 2)
end

function cases.a_summary_gives_the_page_that_the_job_has_written()
  local folder = run_job()
  local run, page = report(folder, folder .. "/summary")
  lu.assertEquals({ run.code, run.errors() }, { 0, "" })
  lu.assertEquals(page, read_file(folder .. "/page"))
  check_page(page)
end

function cases.lines_give_the_figures_too()
  local folder = run_job()
  local run, page = report(folder, folder .. "/out.jsonl")
  lu.assertEquals({ run.code, run.errors() }, { 0, folder .. "/out.jsonl: 64 targets, 0 damaged "
    .. "lines\n" })
  check_page(page)
  run = harness.script("report.lua", { "-" }, { stdin = read_file(folder .. "/out.jsonl") })
  lu.assertEquals(run.code, 0, run.errors())
  check_page(run.output())
end

function cases.lines_of_targets_that_came_by_a_pipe_count()
  local folder = harness.directory()
  local job = harness.script("banner.lua", { "-q", "-o", folder .. "/out.jsonl" },
    { stdin = "127.0.0.1-4:9\n127.0.0.5:9\n" })
  lu.assertEquals(job.code, 0, job.errors())
  lu.assertStrContains(read_file(folder .. "/out.jsonl"), ':1.1"')
  local run = report(folder, folder .. "/out.jsonl")
  lu.assertEquals({ run.code, run.errors() }, { 0, folder .. "/out.jsonl: 5 targets, 0 damaged "
    .. "lines\n" })
end

function cases.several_files_are_one_page()
  local folder = run_job()
  local _, page = report(folder, folder .. "/summary", folder .. "/out.jsonl")
  lu.assertStrContains(page, "128 targets in ")
end

function cases.damaged_lines_are_named_and_the_rest_counts_exit_status_4()
  local folder = run_job()
  local text = read_file(folder .. "/out.jsonl")
  harness.write_file(folder .. "/out.jsonl", "nonsense\n" .. text .. '{"key":"00:1"}\ntorn')
  local run, page = report(folder, folder .. "/out.jsonl")
  lu.assertEquals(run.code, 4)
  check_page(page)
  for _, words in ipairs { ":1: damaged\n", ":66: damaged\n", ":67: damaged\n",
    "64 targets, 3 damaged lines\n" } do
    lu.assertStrContains(run.errors(), words)
  end
end

function cases.no_targets_make_a_page_too()
  local folder = harness.directory()
  harness.write_file(folder .. "/empty", "")
  local run, page = report(folder, folder .. "/empty")
  lu.assertEquals(run.code, 0)
  lu.assertStrContains(page, "0 targets in ")
end

function cases.what_cannot_be_is_named_exit_status_2()
  local folder = run_job()
  local summary = read_file(folder .. "/summary")
  harness.write_file(folder .. "/other", (summary:gsub('"version":1', '"version":99')))
  harness.write_file(folder .. "/bad", (summary:gsub('"argv":%b[]', '"argv":7')))
  for message, words in pairs {
    ["which file?"] = {}, ["-o: which file?"] = { "-o" }, ["--what: no such"] = { "--what" },
    ["/no/such: No such file"] = { "/no/such" }, ["/: Is a directory"] = { "/" },
    ["a summary of version 99"] = { folder .. "/other" },
    ["a field of the summary is wrong"] = { folder .. "/bad" },
    ["/no/folder/x: No such file"] = { "-o", "/no/folder/x", folder .. "/summary" },
    ["No space left on device"] = { "-o", "/dev/full", folder .. "/summary" },
  } do
    local run = harness.script("report.lua", words)
    lu.assertEquals({ run.code, run.output() }, { 2, "" }, message)
    lu.assertStrContains(run.errors(), message)
    lu.assertStrContains(run.errors(), "usage: tcpmulti-lua -m report")
  end
end

harness.main(cases)
