-- SPDX-License-Identifier: MIT
-- Charts of a report, as SVG without scripts and without references to anything outside. Each is
-- complete by itself. Colours are those of Okabe and Ito, which colour-blind people tell apart, and
-- lines differ by their dashes too.
local units = require "tcpmulti.units"
local concat, format = table.concat, string.format
local ceil, floor, huge, log10 = math.ceil, math.floor, math.huge, math.log10
local max, min = math.max, math.min

local charts = {}

local WIDTH, HEIGHT = 760, 300
local LEFT, RIGHT, TOP, BOTTOM = 76, 640, 14, 244 -- the field inside the axes
local GREY, INK = "#767676", "#222222"
local MAX_BARS = 160
local MAX_NINES = 6
local STEPS_PER_NINE = 20

local OK_COLOUR, FAILED_COLOUR = "#56B4E9", "#B23A00"
charts.failed_colour = FAILED_COLOUR

-- Colour and dashes by phase.
local styles = {
  queue = { "#999999", "2 3" },
  resolve = { "#CC79A7", "8 3" },
  connect = { "#0072B2", "" },
  proxy = { "#B8860B", "8 3 2 3" },
  tls = { "#009E73", "5 2" },
  first_byte = { "#D55E00", "3 2" },
  total = { "#000000", "" },
  service = { "#0072B2", "6 3" },
  response = { "#D55E00", "" },
  late = { "#999999", "1 3" },
}

-- "µ" as UTF-8: pages say it so.
function charts.time(us) return (string.gsub(units.show_time(us), " us$", " \194\181s")) end

-- ---- pieces ----

-- options: anchor, rotate, colour.
local function text_at(x, y, text, options)
  options = options or {}
  local turned = options.rotate and format(' transform="rotate(-90 %g %g)"', x, y) or ""
  return format('<text x="%.1f" y="%.1f" text-anchor="%s" fill="%s"%s>%s</text>', x, y,
    options.anchor or "middle", options.colour or INK, turned, text)
end

local function line_between(x1, y1, x2, y2, colour)
  return format('<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s"/>', x1, y1, x2, y2,
    colour)
end

local GRID = "#DDDDDD"

local function tick_x(x, label)
  return line_between(x, TOP, x, BOTTOM, GRID) .. text_at(x, BOTTOM + 17, label)
end

local function tick_y(y, label)
  return line_between(LEFT, y, RIGHT, y, GRID)
    .. text_at(LEFT - 7, y + 4, label, { anchor = "end" })
end

local function axes(x_title, y_title)
  return line_between(LEFT, BOTTOM, RIGHT, BOTTOM, GREY) .. line_between(LEFT, TOP, LEFT, BOTTOM,
    GREY) .. text_at((LEFT + RIGHT) / 2, HEIGHT - 14, x_title)
    .. text_at(15, (TOP + BOTTOM) / 2, y_title, { rotate = true })
end

local function whole(label, parts)
  return format('<svg class="chart" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" '
    .. 'width="%d" height="%d" role="img" font-family="sans-serif" font-size="12"><title>%s</title>'
    .. '%s</svg>', WIDTH, HEIGHT, WIDTH, HEIGHT, label, concat(parts))
end

-- ---- times by percentile ----

-- The decades of microseconds that hold all times: exponents of ten.
local function decades(summary, phases)
  local least, most = huge, 1
  for _, phase in ipairs(phases) do
    local values = summary.us[phase]
    least, most = min(least, max(values:percentile(1), 1)), max(most, values.max)
  end
  local low = floor(log10(least))
  return low, max(ceil(log10(most) - 1e-9), low + 1)
end

-- How many nines the largest histogram can show: 2 for 99 %.
local function count_nines(summary, phases)
  local count = 1
  for _, phase in ipairs(phases) do count = max(count, summary.us[phase].count) end
  return min(max(ceil(log10(count) - 1e-9), 1), MAX_NINES)
end

-- The line of a phase, up to where less than one value is left. A single value is all shares' up to
-- the median, so that there is a line to see.
local function curve(values, x_of, y_of, nines)
  local points, last = {}, min(log10(values.count), nines)
  for step = 0, ceil(last * STEPS_PER_NINE) do
    local at = min(step / STEPS_PER_NINE, last)
    local time = values:percentile(100 * (1 - 10 ^ -at))
    points[#points + 1] = format("%.1f,%.1f", x_of(at), y_of(time))
  end
  if last == 0 then points[2] = format("%.1f,%.1f", x_of(log10(2)), y_of(values.max)) end
  return concat(points, " ")
end

local function draw_curve(phase, points)
  local colour, dashes = unpack(styles[phase])
  return format('<polyline fill="none" stroke="%s" stroke-width="2"%s points="%s"/>', colour,
    dashes ~= "" and format(' stroke-dasharray="%s"', dashes) or "", points)
end

local function legend_entry(number, phase)
  local y = TOP + 10 + 20 * number
  return draw_curve(phase, format("%d,%d %d,%d", RIGHT + 14, y - 4, RIGHT + 46, y - 4))
    .. text_at(RIGHT + 52, y, phase, { anchor = "start" })
end

-- "100 µs", "1 ms" for a power of ten of microseconds.
local function decade_label(exponent)
  local unit = min(floor(exponent / 3), 2)
  return format("%.0f %s", 10 ^ (exponent - 3 * unit), ({ "\194\181s", "ms", "s" })[unit + 1])
end

-- "90 %", "99.9 %" for a number of nines; between 0 and 1 there is the median too.
local function share_label(nines)
  if nines == 0 then return "0 %" end
  return format("%." .. max(nines - 2, 0) .. "f %%", 100 * (1 - 10 ^ -nines))
end

-- phases: those with values.
function charts.percentiles(summary, phases)
  local low, high = decades(summary, phases)
  local nines = count_nines(summary, phases)
  local function x_of(at) return LEFT + at / nines * (RIGHT - LEFT) end
  local function y_of(us)
    return BOTTOM - max(log10(max(us, 1)) - low, 0) / (high - low) * (BOTTOM - TOP)
  end
  local parts = {}
  for exponent = low, high do
    parts[#parts + 1] = tick_y(y_of(10 ^ exponent), decade_label(exponent))
  end
  for at = 0, nines do parts[#parts + 1] = tick_x(x_of(at), share_label(at)) end
  parts[#parts + 1] = tick_x(x_of(log10(2)), "50 %")
  parts[#parts + 1] = axes("share of all that took at most this time", "time, logarithmic")
  for number, phase in ipairs(phases) do
    parts[#parts + 1] = draw_curve(phase, curve(summary.us[phase], x_of, y_of, nines))
      .. legend_entry(number, phase)
  end
  return whole("Times by percentile, for each phase", parts)
end

-- ---- finished and failed over time ----

-- A round number of about the given size: 1, 2 or 5 times a power of ten.
local function round_step(size)
  local power = 10 ^ floor(log10(size))
  for _, factor in ipairs { 1, 2, 5 } do
    if factor * power >= size * 0.999 then return factor * power end
  end
  return 10 * power
end

-- Bars of equal width. Gives the first second, the width of a bar in seconds, and a list of
-- { finished, failed } with 0 where nothing finished.
local function bars_of(series, step)
  local first, last = huge, -huge
  for second in pairs(series) do first, last = min(first, second), max(last, second) end
  local width = step * ceil((last - first + step) / step / MAX_BARS)
  local bars = {}
  for i = 1, floor((last - first) / width) + 1 do bars[i] = { 0, 0 } end
  for second, entry in pairs(series) do
    local bar = bars[floor((second - first) / width) + 1]
    bar[1], bar[2] = bar[1] + entry[1], bar[2] + entry[2]
  end
  return first, width, bars
end

local function box(x, width, top, bottom)
  return format("M%.1f %.1fh%.1fV%.1fh-%.1fz", x, bottom, width, top, width)
end

-- Two paths: all bars of those that are ok, all bars of those that failed, which stand below.
local function draw_bars(bars, x_of, y_of, seconds)
  local good, bad = {}, {}
  local width = x_of(seconds) - x_of(0)
  width = width > 3 and width - 1 or width
  for i, bar in ipairs(bars) do
    local x = x_of((i - 1) * seconds)
    local failed_top, top = y_of(bar[2] / seconds), y_of(bar[1] / seconds)
    if bar[1] > bar[2] then good[#good + 1] = box(x, width, top, failed_top) end
    if bar[2] > 0 then bad[#bad + 1] = box(x, width, failed_top, BOTTOM) end
  end
  return format('<path fill="%s" d="%s"/><path fill="%s" d="%s"/>', OK_COLOUR, concat(good),
    FAILED_COLOUR, concat(bad))
end

local function bar_legend()
  local parts = {}
  for number, entry in ipairs { { OK_COLOUR, "ok" }, { FAILED_COLOUR, "failed" } } do
    local y = TOP + 10 + 20 * number
    parts[number] = format('<rect x="%d" y="%d" width="12" height="12" fill="%s"/>', RIGHT + 14,
      y - 10, entry[1]) .. text_at(RIGHT + 32, y, entry[2], { anchor = "start" })
  end
  return concat(parts)
end

-- The unit of a time axis that is so many seconds long: its name, its seconds.
local function time_unit(seconds)
  if seconds <= 300 then return "seconds", 1 end
  if seconds <= 18000 then return "minutes", 60 end
  return "hours", 3600
end

local function highest_rate(bars, seconds)
  local most = 0
  for _, bar in ipairs(bars) do most = max(most, bar[1] / seconds) end
  return most
end

function charts.over_time(summary)
  local _, width, bars = bars_of(summary.series, summary.step)
  local name, unit = time_unit(#bars * width)
  local length, most = #bars * width / unit, highest_rate(bars, width)
  local function x_of(seconds) return LEFT + seconds / unit / length * (RIGHT - LEFT) end
  local y_step, parts = round_step(most / 5), {}
  local top = ceil(most / y_step) * y_step
  local function y_of(rate) return BOTTOM - rate / top * (BOTTOM - TOP) end
  for value = 0, top + y_step / 2, y_step do
    parts[#parts + 1] = tick_y(y_of(value), format("%.10g", value))
  end
  local x_step = round_step(length / 8)
  if unit == 1 then x_step = max(x_step, 1) end
  for value = 0, length + x_step / 1000, x_step do
    parts[#parts + 1] = tick_x(x_of(value * unit), format("%.10g", value))
  end
  parts[#parts + 1] = draw_bars(bars, x_of, y_of, width)
  parts[#parts + 1] = axes(name .. " since the first result", "finished per second")
  parts[#parts + 1] = bar_legend()
  return whole("Finished per second", parts)
end

return charts
