-- SPDX-License-Identifier: MIT
-- Comments of Lua that break a rule, and one that does not.
local size = 1 -- of the window

-- It is wrong.
local function double() return 2 * size end

-- these go on from something
return double
