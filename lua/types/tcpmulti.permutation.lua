-- SPDX-License-Identifier: MIT
---@meta tcpmulti.permutation
-- The reference of the module tcpmulti.permutation: a keyed permutation of 0 to count - 1, in
-- constant memory, both ways. It spreads numbers evenly; it keeps no secret.

---@class tcpmulti.permutation
local permutation = {}

-- Raises for a count or a key that cannot be.
---@param count integer From 1 to 2^53.
---@param k0 integer A key, below 2^32.
---@param k1 integer Another one, below 2^32.
---@return tcpmulti.permutation.Permutation
function permutation.new(count, k0, k1) end

-- A keyed number below 2^32 for a number, always the same for the same keys.
---@param number integer
---@param k0 integer
---@param k1 integer
---@return integer
function permutation.hash(number, k0, k1) end

---@class tcpmulti.permutation.Permutation
local Permutation = {}

-- The number at a place. Raises if there is no such place.
---@param place integer From 0 to count - 1.
---@return integer number
function Permutation:at(place) end

-- The place of a number: place(at(x)) is x.
---@param number integer From 0 to count - 1.
---@return integer place
function Permutation:place(number) end

return permutation
