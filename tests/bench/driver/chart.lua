-- SPDX-License-Identifier: MIT
-- The two charts of RESULTS.md as SVG: ratios to the floor as bars, and what a timer costs by the
-- number of timers as lines. Plain shapes and text, readable on a light and on a dark page.
local M = {}

local FONT = 'font-family="sans-serif" font-size="12"'
local COLOURS = {
  libuv = "#7f8c9b",
  ["tcpmulti-c"] = "#1f6fb4",
  ["tcpmulti-lua"] = "#d9541e",
  ["tcpmulti-co"] = "#f0a04b",
  cqueues = "#5c8a8a",
  luv = "#8a6fb0",
  node = "#4f9a57",
  poe = "#b8a13a",
}

local function document(width, height, parts)
  local head = '<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" %s>'
  local paper = '<rect width="100%" height="100%" fill="#ffffff"/>'
  return head:format(width, height, FONT)
    .. "\n"
    .. paper
    .. "\n"
    .. table.concat(parts, "\n")
    .. "\n</svg>\n"
end

local function text(x, y, words, anchor)
  return ('<text x="%.0f" y="%.0f" text-anchor="%s" fill="#222222">%s</text>'):format(
    x,
    y,
    anchor or "start",
    words
  )
end

local function line(x1, y1, x2, y2, colour)
  return ('<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s"/>'):format(
    x1,
    y1,
    x2,
    y2,
    colour
  )
end

local function bar(x, y, width, height, colour)
  return ('<rect x="%.0f" y="%.0f" width="%.1f" height="%.0f" fill="%s"/>'):format(
    x,
    y,
    width,
    height,
    colour
  )
end

-- ---- ratios ----

local LEFT, UNIT, MOST, BAR, GAP = 150, 180, 3, 13, 12

local function draw_group(parts, result, y)
  parts[#parts + 1] = text(LEFT - 10, y + BAR, result.workload, "end")
  for _, row in ipairs(result.rows) do
    local colour = COLOURS[row.competitor]
    if colour and row.ratio then
      local ratio = row.ratio.median
      local width = math.min(ratio, MOST) * UNIT
      parts[#parts + 1] = bar(LEFT, y, width, BAR - 2, colour)
      local label = (ratio > MOST and "%.1f, cut off: %s" or "%.2f %s"):format(ratio, row.title)
      parts[#parts + 1] = text(LEFT + width + 5, y + BAR - 3, label)
      y = y + BAR
    end
  end
  return y + GAP
end

-- Bars from zero, one group for each workload that has ratios; a line stands at the floor.
function M.ratios(results)
  local parts, y = {}, 34
  for _, result in ipairs(results) do
    local ours = result.rows[2] and result.rows[2].ratio
    if ours and not result.memory then
      y = draw_group(parts, result, y)
    end
  end
  parts[#parts + 1] = line(LEFT + UNIT, 24, LEFT + UNIT, y - GAP, "#222222")
  parts[#parts + 1] = text(LEFT + UNIT, 18, "1: epoll in C, hand-tuned", "middle")
  return document(LEFT + MOST * UNIT + 290, y, parts)
end

-- ---- timers ----

local WIDTH, HEIGHT, MARGIN = 560, 240, 60

local function ceiling_of(list)
  local most = 0
  for _, point in ipairs(list) do
    most = math.max(most, point.arm_ns, point.cancel_ns)
  end
  return math.ceil(most / 50) * 50
end

local function place(count, ns, ceiling)
  local x = MARGIN + (math.log10(count) - 3) / 3 * WIDTH
  return x, MARGIN / 2 + HEIGHT * (1 - ns / ceiling)
end

-- The values stand `above` the points, which below is less than 0.
local function draw_line(parts, list, key, colour, ceiling, above)
  local last_x, last_y
  for _, point in ipairs(list) do
    local x, y = place(point.count, point[key], ceiling)
    if last_x then
      parts[#parts + 1] = line(last_x, last_y, x, y, colour)
    end
    local circle = '<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>'
    parts[#parts + 1] = circle:format(x, y, colour)
    parts[#parts + 1] = text(x, y - above, ("%.0f"):format(point[key]), "middle")
    last_x, last_y = x, y
  end
end

-- `list`: what extras.wheel_results gives.
function M.wheel(list)
  local parts, ceiling = {}, ceiling_of(list)
  for exponent = 3, 6 do
    local x, y = place(10 ^ exponent, 0, ceiling)
    parts[#parts + 1] = line(x, MARGIN / 2, x, y, "#dddddd")
    parts[#parts + 1] = text(x, y + 28, ("%.0f"):format(10 ^ exponent), "middle")
  end
  for ns = 0, ceiling, ceiling / 5 do
    local _, y = place(1000, ns, ceiling)
    parts[#parts + 1] = line(MARGIN, y, MARGIN + WIDTH, y, "#dddddd")
    parts[#parts + 1] = text(MARGIN - 8, y + 4, ("%.0f"):format(ns), "end")
  end
  draw_line(parts, list, "arm_ns", COLOURS["tcpmulti-c"], ceiling, 8)
  draw_line(parts, list, "cancel_ns", COLOURS["tcpmulti-lua"], ceiling, -14)
  local bottom = MARGIN / 2 + HEIGHT + 48
  parts[#parts + 1] = bar(MARGIN, bottom - 9, 12, 10, COLOURS["tcpmulti-c"])
  parts[#parts + 1] = text(MARGIN + 18, bottom, "ns to arm anew one of so many timers, at random")
  parts[#parts + 1] = bar(MARGIN + 360, bottom - 9, 12, 10, COLOURS["tcpmulti-lua"])
  parts[#parts + 1] = text(MARGIN + 378, bottom, "ns to cancel one")
  return document(WIDTH + 2 * MARGIN, bottom + 16, parts)
end

return M
