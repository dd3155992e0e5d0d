-- SPDX-License-Identifier: MIT
---@meta tcpmulti.units
-- The reference of the module tcpmulti.units: numbers with units, as people write and read them.
-- Readers take the whole text, and give nil and what was expected if it is none.

---@class tcpmulti.units
local units = {}

-- "500", "20k": whole; k M G.
---@param text string
---@return integer? count, string? expected
function units.count(text) end

-- "4096", "64K": bytes; K M G of 1024.
---@param text string
---@return integer? bytes, string? expected
function units.size(text) end

-- "500ms", "5s", "2m": us ms s m h d; without a unit seconds; at most 49 days.
---@param text string
---@return number? seconds, string? expected
function units.time(text) end

-- "5k/s", "100/m", "250": k M G, /s /m /h; without a unit per second.
---@param text string
---@return number? per_second, string? expected
function units.rate(text) end

-- "5%", "0.05".
---@param text string
---@return number? share, string? expected
function units.share(text) end

-- "412 us", "12.3 ms", "1.20 s".
---@param us number
---@return string
function units.show_time(us) end

-- "961", "9.4k".
---@param count number
---@return string
function units.show_count(count) end

-- "1 target", "2 targets".
---@param count number
---@param noun string
---@return string
function units.count_of(count, noun) end

-- "5s", "4m10s".
---@param seconds number
---@return string
function units.show_duration(seconds) end

-- The word of the list that was probably meant.
---@param word string
---@param list string[]
---@return string?
function units.nearest(word, list) end

-- " (did you mean 'x'?)", or "".
---@param word string
---@param list string[]
---@return string
function units.hint(word, list) end

-- A text from outside as a message shows it: in quotes, cut, safe on a terminal.
---@param text string
---@return string
function units.shown(text) end

-- The parts of a text between a character, trimmed, without empty ones.
---@param text string
---@param character string
---@return string[]
function units.split(text, character) end

return units
