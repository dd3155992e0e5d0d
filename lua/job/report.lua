-- SPDX-License-Identifier: MIT
-- A report as one HTML file: static SVG, no script, no reference to anything outside. Everything
-- that came from outside is escaped. The file is well-formed XML too.
local os = require "os"
local charts = require "tcpmulti.report.charts"
local cli = require "tcpmulti.cli"
local json = require "tcpmulti.json"
local summary_text = require "tcpmulti.summary.text"
local threshold = require "tcpmulti.summary.threshold"
local concat, find, format, gsub = table.concat, string.find, string.format, string.gsub

local report = {}

local MAX_KINDS = 50
local BAR_WIDTH = 160

local STYLE = [[
body{font:15px/1.5 system-ui,sans-serif;max-width:960px;margin:2em auto;padding:0 1em;color:#222;
background:#fff}
h1{margin:0 0 .2em;font-size:1.6em;overflow-wrap:anywhere}
h2{margin:1.6em 0 .3em;font-size:1.2em}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:.2em 1.2em .2em 0;text-align:right;border-bottom:1px solid #ddd;vertical-align:top}
th{font-weight:600}
.text{text-align:left}
.verdict{font-size:1.15em;font-weight:600;margin:.4em 0}
.good{color:#005a8c}
.bad{color:#b23a00}
.note{color:#555}
code{overflow-wrap:anywhere}
svg{max-width:100%;height:auto}
.scroll{overflow-x:auto}
@media print{body{margin:0;max-width:none;font-size:11pt}h2{break-after:avoid}
svg,table{break-inside:avoid}*{print-color-adjust:exact}}]]

-- Meanings of phases, for readers who know none of them.
local meanings = {
  queue = "waiting here for a free place",
  resolve = "looking up the name",
  connect = "until the connection stood",
  proxy = "the dialogue with proxies",
  tls = "the handshake of TLS",
  first_byte = "from then to the first byte received",
  total = "the whole attempt, without the queue",
  service = "from sending a request to its answer",
  response = "from when the request was due to its answer",
  late = "how late this machine itself was",
}

-- Meanings of frequent errors, by the name at the end of their kind.
local explanations = {
  ECONNREFUSED = "nobody listens on the port, or a firewall says so",
  ECONNRESET = "the peer broke the connection",
  EHOSTUNREACH = "no way to the host",
  EMSGSIZE = "the peer sent too much",
  ENETUNREACH = "no way to the network",
  ENOENT = "the name does not exist",
  EOF = "the peer closed too early",
  EPROTO = "the peer broke the protocol",
  ESCRIPT = "an error in the script",
  ETIMEDOUT = "no answer in time",
}

-- ---- escaping ----

local entities = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;",
  ["'"] = "&#39;" }
local REPLACEMENT = "\239\191\189" -- U+FFFD

-- Text for HTML, without characters that XML forbids or that a terminal obeys.
local function escape(text)
  text = tostring(text)
  if not json.is_utf8(text) then text = gsub(text, "[\128-\255]", REPLACEMENT) end
  text = gsub(gsub(text, "%c", REPLACEMENT), "\194[\128-\159]", REPLACEMENT)
  text = gsub(text, "\239\191[\190\191]", REPLACEMENT)
  return (gsub(text, "[&<>\"']", entities))
end

local function cell(text, class)
  return class and format('<td class="%s">%s</td>', class, text) or "<td>" .. text .. "</td>"
end

local function row(...) return "<tr>" .. concat { ... } .. "</tr>" end

local function head(list)
  local cells = {}
  for i, title in ipairs(list) do
    local is_text = find(title, "^<") ~= nil
    cells[i] = format('<th%s scope="col">%s</th>', is_text and ' class="text"' or "",
      (gsub(title, "^<", "")))
  end
  return "<thead><tr>" .. concat(cells) .. "</tr></thead>"
end

local function table_of(titles, rows)
  return '<div class="scroll"><table>' .. head(titles) .. "<tbody>" .. concat(rows)
    .. "</tbody></table></div>"
end

-- ---- the parts of the page ----

local function paragraph(class, ...)
  return format('<p class="%s">%s</p>', class, format(...))
end

-- The verdict of the run in one sentence, which a reader wants first.
local function verdict(summary, extra)
  local failed = 0
  for _, one in ipairs(extra.thresholds or {}) do
    if one.failed then failed = failed + 1 end
  end
  local partial = extra.partial and paragraph("verdict bad", "Incomplete: %s",
    escape(summary_text.cut_short(summary, extra))) or ""
  if failed > 0 then
    return partial .. paragraph("verdict bad", "Failed: %d of %d conditions for failure hold%s",
      failed, #extra.thresholds, failed == 1 and "s" or "")
  end
  if extra.thresholds and #extra.thresholds > 0 then
    return partial .. paragraph("verdict good", "Passed: none of the conditions for failure holds")
  end
  return partial
end

local function counts_text(summary, extra)
  local share = summary.done > 0 and format(" (%.3g %%)", 100 * summary.failed / summary.done) or ""
  return format("%s: %.0f ok, %.0f failed%s", summary_text.finished(summary, extra), summary.ok,
    summary.failed, share)
end

local function load_part(summary)
  local sentences = summary_text.of_load(summary)
  return #sentences > 0 and paragraph("note", "%s", concat(sentences, " ")) or ""
end

local function notes_part(extra)
  local notes = summary_text.notes(extra)
  return notes ~= "" and paragraph("note", "Also: %s", notes) or ""
end

-- The command line as a shell would take it, without credentials.
local function command_text(script, argv)
  local words = cli.hide_credentials(argv)
  if script and words[1] ~= script then table.insert(words, 1, script) end
  for i, word in ipairs(words) do
    if find(word, "[^%w@%%+=:,./_-]") or word == "" then
      words[i] = "'" .. gsub(word, "'", "'\\''") .. "'"
    end
  end
  return concat(words, " ")
end

local function origin_text(summary, extra)
  local parts = {}
  local function part(label, value)
    if value then parts[#parts + 1] = label .. " " .. escape(value) end
  end
  local started = extra.started or summary.first
  part("started", started and os.date("!%Y-%m-%d %H:%M:%S UTC", started))
  part("part", extra.part)
  part("plan", extra.plan)
  local command = extra.argv and format("<p><code>%s</code></p>",
    escape(command_text(extra.script, extra.argv)))
  return paragraph("note", "%s", concat(parts, ", ")) .. (command or "")
end

local function thresholds_table(thresholds)
  if not thresholds or #thresholds == 0 then return "" end
  local rows = {}
  for i, one in ipairs(thresholds) do
    local found = gsub(threshold.show(one.fail_if, one.value), " us$", " \194\181s")
    rows[i] = row(cell("<code>" .. escape(one.fail_if) .. "</code>", "text"), cell(escape(found)),
      one.failed and cell("holds: failed", "text bad")
        or cell("does not hold: passed", "text good"))
  end
  return "<h2>Conditions for failure</h2>" .. table_of({ "<Condition", "Found", "<Verdict" }, rows)
end

local function phases_of(summary)
  local phases = {}
  for _, phase in ipairs(threshold.phases) do
    if summary.us[phase] and summary.us[phase].count > 0 then phases[#phases + 1] = phase end
  end
  return phases
end

local function phase_row(phase, values)
  local function at(percentile) return cell(charts.time(values:percentile(percentile))) end
  return row(cell(phase, "text"), cell(format("%.0f", values.count)), at(0), at(50), at(90), at(99),
    at(99.9), at(100), cell(meanings[phase], "text note"))
end

-- How to read the chart of times.
local READING = paragraph("note", "%s", "Each line is of those that got so far. At 99 % it shows "
  .. "the time that one in a hundred exceeded. It ends where it would stand for less than one. "
  .. "Times below the lowest line of the grid are drawn on it.")

local function times_part(summary)
  local phases, rows = phases_of(summary), {}
  if #phases == 0 then return "" end
  for i, phase in ipairs(phases) do rows[i] = phase_row(phase, summary.us[phase]) end
  return "<h2>Times</h2>" .. charts.percentiles(summary, phases) .. READING .. table_of({ "<Phase",
    "Count", "Least", "Median", "90 %", "99 %", "99.9 %", "Longest", "<What it is" }, rows)
end

-- How to read the chart of finished targets.
local BARS = paragraph("note", "%s", "Bars begin with whole seconds of the clock, so the first and "
  .. "the last may be short.")

local function series_part(summary)
  if summary.entries == 0 then return "" end
  return format("<h2>%ss per second</h2>", summary_text.noun(summary):gsub("^%l", string.upper))
    .. charts.over_time(summary) .. BARS
end

local function kind_row(kind, count, failed)
  local bar = format('<svg width="%d" height="12"><rect width="%.1f" height="12" fill="%s"/></svg>',
    BAR_WIDTH, BAR_WIDTH * count / failed, charts.failed_colour)
  return row(cell(escape(kind), "text"), cell(format("%.0f", count)),
    cell(format("%.1f %%", 100 * count / failed)), cell(bar, "text"),
    cell(explanations[string.match(kind, "%u+$")] or "", "text note"))
end

local function errors_part(summary)
  local kinds, rows = summary:kinds(), {}
  if #kinds == 0 then return "" end
  for i = 1, math.min(#kinds, MAX_KINDS) do
    rows[i] = kind_row(kinds[i], summary.errors[kinds[i]], summary.failed)
  end
  local more = #kinds > MAX_KINDS and paragraph("note", "%d further kinds are in the summary",
    #kinds - MAX_KINDS) or ""
  return format("<h2>Failed %ss</h2>", summary_text.noun(summary)) .. table_of({ "<Kind", "Count",
    "Share", "<", "<" }, rows) .. more
end

-- summary: of tcpmulti.summary. extra: the fields that belong to the run, as in the encoded form.
function report.html(summary, extra)
  extra = extra or {}
  local title = escape(extra.script or "tcpmulti")
  return concat { '<!DOCTYPE html>\n<html lang="en" xmlns="http://www.w3.org/1999/xhtml"><head>',
    '<meta charset="utf-8"/><meta name="viewport" content="width=device-width"/><title>', title,
    "</title><style>", STYLE, "</style></head><body>\n<h1>", title, "</h1>",
    verdict(summary, extra), "<p>", counts_text(summary, extra), "</p>", load_part(summary),
    notes_part(extra), origin_text(summary, extra), thresholds_table(extra.thresholds),
    series_part(summary),
    times_part(summary), errors_part(summary), "</body></html>\n" }
end

return report
