-- SPDX-License-Identifier: MIT
-- The report: one file, complete by itself, whose pictures show something.
local lu = require "luaunit"
local report = require "tcpmulti.report"
local support = require "jobs.support"
local summary = require "tcpmulti.summary"

local cases = support.cases "Report"

local START = 1795934863

-- The summary of a run of so many targets over so many seconds, as from lines that were read.
local function run(targets, seconds, problem)
  local sum = summary.new()
  for i = 1, targets do
    local ok = i % 7 ~= 0
    sum:add { ok = ok, ["end"] = ok and "shutdown" or "error", attempts = 1,
      error = not ok and (problem or { op = "read", name = "ETIMEDOUT", text = "" }) or nil,
      time = START + i / targets * seconds, ["in"] = 20, out = 0,
      us = { queue = i % 50, connect = 200 + i * 7919 % 800 + (i % 97 == 0 and 200000 or 0),
        first_byte = i % 5 ~= 0 and 900 + i * 104729 % 9000 or nil,
        total = 1500 + i * 7919 % 11000 } }
  end
  return sum
end

local extra = { script = "banner.lua", plan = "131b1a2d3f09dc74", part = "1/1", seconds = 12.3,
  started = START, argv = { "banner.lua", "--proxy", "socks5://me:pw@h:1", "<script>" },
  targets = { malformed = 2, excluded = 40 }, thresholds = {
    { fail_if = "p99(connect) > 10ms", value = 0.201, failed = true },
    { fail_if = "error_rate > 50%", value = 0.14, failed = false } } }

-- Gives what a command prints for a text on its standard input, and whether it succeeded.
local function pipe_through(command, text)
  local name = os.tmpname()
  local file = assert(io.open(name, "wb"))
  file:write(text)
  file:close()
  local pipe = assert(io.popen(("{ %s; } <%s 2>&1; echo \"status $?\""):format(command, name)))
  local output, status = pipe:read "*a":match "^(.*)status (%d+)\n$"
  pipe:close()
  os.remove(name)
  return output, status == "0"
end

local function charts_of(html)
  local charts = {}
  for chart in html:gmatch '<svg class="chart".-</svg>' do charts[#charts + 1] = chart end
  return charts
end

function cases.J58_a_report_refers_to_nothing_outside_and_runs_nothing()
  local html = report.html(run(2000, 12), extra)
  for _, word in ipairs { "href", "src=", "url%(", "<script", "@import", "<link", "<iframe",
    " on%a+=" } do
    lu.assertNil(html:lower():find(word), word)
  end
  lu.assertStrContains(html, "banner.lua")
  lu.assertStrContains(html, "&lt;script&gt;")
end

function cases.J58_what_comes_from_outside_is_escaped()
  local name = "<script>alert(1)</script>\"'&\27[31m\255\194\155"
  local html = report.html(run(100, 2, { op = "fail", name = name, text = "" }),
    { script = name, argv = { name }, part = name, plan = name, reason = name, partial = true,
      thresholds = { { fail_if = name, failed = true } } })
  lu.assertNil(html:find "<script")
  lu.assertNil(html:gsub("\n", ""):find "[%c\255]")
  lu.assertNil(html:find "\194[\128-\159]")
  lu.assertStrContains(html, "&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;")
  lu.assertEquals({ pipe_through("xmllint --noout -", html) }, { "", true })
end

function cases.J58_the_file_and_its_pictures_are_well_formed()
  for _, sum in ipairs { summary.new(), run(1, 1), run(50, 0.2), run(2000, 12),
    run(20000, 9000) } do
    local html = report.html(sum, extra)
    lu.assertEquals({ pipe_through("xmllint --noout -", html) }, { "", true })
    for _, chart in ipairs(charts_of(html)) do
      lu.assertEquals({ pipe_through("xmllint --noout -", chart) }, { "", true })
    end
  end
  lu.assertEquals(#charts_of(report.html(summary.new())), 0)
  lu.assertEquals(#charts_of(report.html(run(1, 1))), 2)
end

function cases.J58_credentials_are_not_in_it()
  local html = report.html(run(10, 1), extra)
  lu.assertNil(html:find("me:pw", 1, true))
  lu.assertStrContains(html, "<code>banner.lua --proxy &#39;socks5://***@h:1&#39;")
end

function cases.the_command_begins_with_the_script()
  local html = report.html(run(10, 1), { script = "x.lua", argv = { "-p", "22", "a b" } })
  lu.assertStrContains(html, "<code>x.lua -p 22 &#39;a b&#39;</code>")
end

function cases.J58_a_million_results_make_less_than_64_KiB()
  local sum = run(10000, 3599)
  for name in pairs(sum.us) do sum.us[name]:merge(sum.us[name]) end
  for _ = 1, 7 do sum:merge(summary.decode(sum:encode())) end
  lu.assertTrue(sum.done > 1e6)
  local html = report.html(sum, extra)
  lu.assertTrue(#html < 65536, #html)
end

function cases.J57_thresholds_are_in_the_report()
  local html = report.html(run(2000, 12), extra)
  for _, part in ipairs { "Failed: 1 of 2 conditions for failure holds",
    "<code>p99(connect) &gt; 10ms</code>", "201 ms", "holds: failed",
    "<code>error_rate &gt; 50%</code>", "14 %",
    "does not hold: passed" } do
    lu.assertStrContains(html, part)
  end
  local passed = report.html(run(10, 1), { thresholds = { { fail_if = "done > 99", value = 10,
    failed = false } } })
  lu.assertStrContains(passed, "Passed: none of the conditions")
end

function cases.a_run_that_was_cut_short_says_so_first()
  local html = report.html(run(10, 1), { partial = true, reason = "signal", cut = 4 })
  lu.assertStrContains(html, "Incomplete: cut short by a signal: 4 cut")
end

-- ---- the pictures ----

local COUNT_COLOURS = [[
import sys, PIL.Image
picture = PIL.Image.open(sys.argv[1]).convert("RGB")
for count, (red, green, blue) in picture.getcolors(picture.width * picture.height):
    print("#%02X%02X%02X %d" % (red, green, blue, count))
]]

-- How many pixels of a picture have each colour, when rsvg-convert has drawn it on white.
local function pixels_of(chart)
  local program, picture = os.tmpname(), os.tmpname()
  local file = assert(io.open(program, "w"))
  file:write(COUNT_COLOURS)
  file:close()
  local command = ("rsvg-convert -b white -o %s && /usr/bin/python3 %s %s"):format(picture, program,
    picture)
  local output, ok = pipe_through(command, chart)
  os.remove(program)
  os.remove(picture)
  lu.assertTrue(ok, output)
  local counts = {}
  for colour, count in output:gmatch "(#%x+) (%d+)" do counts[colour] = tonumber(count) end
  return counts
end

function cases.the_pictures_are_not_empty()
  local charts = charts_of(report.html(run(20000, 40), extra))
  lu.assertEquals(#charts, 2)
  local bars, curves = pixels_of(charts[1]), pixels_of(charts[2])
  lu.assertTrue(bars["#56B4E9"] > 20000, bars["#56B4E9"])
  lu.assertTrue(bars["#B23A00"] > 4000, bars["#B23A00"])
  for colour in charts[2]:gmatch '<polyline fill="none" stroke="(#%x+)"' do
    lu.assertTrue((curves[colour] or 0) > 100, colour)
  end
end

function cases.a_single_result_is_a_line_too()
  local chart = charts_of(report.html(run(1, 1)))[2]
  local lines = 0
  for points in chart:gmatch ' points="([^"]*)"' do
    local first, second = points:match "^([%d.]+),[%d.]+ ([%d.]+),"
    lu.assertTrue(first and tonumber(second) - tonumber(first) > 10, points)
    lines = lines + 1
  end
  lu.assertTrue(lines >= 4) -- with those of the legend
end

-- The box of each upright text, by a generous guess of its width.
local function boxes_of(chart)
  local boxes = {}
  for x, y, anchor, text in chart:gmatch
    '<text x="([%d.-]+)" y="([%d.-]+)" text%-anchor="(%l+)" fill="#%x+">(.-)</text>' do
    local _, characters = text:gsub("[^\128-\191]", "")
    local width = characters * 6.5
    local left = x - (anchor == "middle" and width / 2 or anchor == "end" and width or 0)
    boxes[#boxes + 1] = { left = left, right = left + width, top = y - 10, bottom = y + 3,
      text = text }
  end
  return boxes
end

local function overlap(a, b)
  return a.left < b.right and b.left < a.right and a.top < b.bottom and b.top < a.bottom
end

function cases.no_text_of_a_picture_lies_on_another_or_outside()
  for _, sum in ipairs { run(1, 1), run(9, 0.2), run(100, 3), run(2000, 12), run(20000, 9000),
    run(200000, 90000) } do
    for _, chart in ipairs(charts_of(report.html(sum))) do
      local boxes = boxes_of(chart)
      lu.assertTrue(#boxes > 6)
      for i, a in ipairs(boxes) do
        lu.assertTrue(a.left >= 0 and a.right <= 760 and a.top >= 0 and a.bottom <= 300, a.text)
        for j = 1, i - 1 do
          lu.assertFalse(overlap(a, boxes[j]), a.text .. " on " .. boxes[j].text)
        end
      end
    end
  end
end

support.main(cases)
