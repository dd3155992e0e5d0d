-- SPDX-License-Identifier: MIT
---@meta tcpmulti.json
-- The reference of the module tcpmulti.json: values as JSON on one line, without the loss of a
-- byte. A string that is not UTF-8 is the field NAME_b64 instead of NAME, in a list
-- { "b64": … }, as a key b64:…. Control characters are escaped, so that a line does nothing to a
-- terminal.

---@class tcpmulti.json
local json = {}

-- What stands for null in a table; decode gives it too.
json.null = {}

-- What stands for a list without elements; an empty table is an object.
json.empty_array = {}

-- A table with the keys 1 to n is a list, any other one an object, whose keys are sorted. NaN,
-- infinities and nil are null. Raises for a function, userdata, cdata, a thread, a cycle, and more
-- than 16 tables in each other.
---@param value any
---@return string
function json.encode(value) end

-- One field of an object: "NAME":VALUE.
---@param key string
---@param value any
---@return string
function json.field(key, value) end

-- The text in quotes; nil: it is not UTF-8.
---@param text string
---@return string?
function json.quote(text) end

-- Reads by lua-cjson. nil, message, "EINVAL": the text is no JSON; "EOPNOTSUPP": lua-cjson is not
-- installed.
---@param text string
---@return any value, string? message, string? errname
function json.decode(text) end

---@param bytes string
---@return string
function json.base64(bytes) end

-- nil, message, "EINVAL": the text is no base64.
---@param text string
---@return string? bytes, string? message, string? errname
function json.unbase64(text) end

---@param bytes string
---@return boolean
function json.is_utf8(bytes) end

return json
