-- SPDX-License-Identifier: MIT
-- Requests of HTTP/1.1 as text, for the filter http: whatever a table has, the request is one and
-- no more.
local shared = ...
local find, format, lower = string.find, string.format, string.lower

local TOKEN = "[!#$%%&'*+%-.^_`|~%w]+"

-- Adds a field to the lines: true; or nil, message.
local function put_field(lines, name, value)
  if type(name) ~= "string" or not find(name, "^" .. TOKEN .. "$") then
    return nil, "a header has no name that it may have"
  end
  if type(value) == "table" then
    for _, one in ipairs(value) do
      local added, message = put_field(lines, name, one)
      if not added then return nil, message end
    end
    return true
  end
  if type(value) ~= "string" and type(value) ~= "number" then
    return nil, format("header %s: a string expected, not a %s", name, type(value))
  end
  if find(value, "[%z\r\n]") then
    return nil, format("header %s: a line end or NUL in the value", name)
  end
  lines[#lines + 1] = name .. ": " .. value
  return true
end

local function put_fields(lines, headers)
  local names = {}
  for name in pairs(headers) do names[#names + 1] = name end
  table.sort(names, function(a, b) return tostring(a) < tostring(b) end)
  for _, name in ipairs(names) do
    local added, message = put_field(lines, name, headers[name])
    if not added then return nil, message end
  end
  return true
end

local needs_length = { POST = true, PUT = true, PATCH = true }

local function has_field(headers, wanted)
  for name in pairs(headers) do
    if type(name) == "string" and lower(name) == wanted then return true end
  end
  return false
end

-- The lines of the head; nil, message: they would not be one.
local function head_lines(request, method, body)
  local path, headers = request.path or "/", request.headers or {}
  if type(method) ~= "string" or not find(method, "^" .. TOKEN .. "$") then
    return nil, "method: a word expected"
  end
  if type(path) ~= "string" or path == "" or find(path, "[%z\1-\32\127]") then
    return nil, "path: a string without blanks and line ends expected"
  end
  if type(headers) ~= "table" then return nil, "headers: a table expected" end
  local lines = { method .. " " .. path .. " HTTP/1.1" }
  local added, message = put_fields(lines, headers)
  if not added then return nil, message end
  local is_framed = has_field(headers, "transfer-encoding") or has_field(headers, "content-length")
  if body and is_framed then
    return nil, "a body comes with the Content-Length that is set for it"
  end
  if body or needs_length[method] and not is_framed then
    lines[#lines + 1] = "Content-Length: " .. #(body or "")
  end
  return lines
end

-- The text of a request that is a table, and its method; nil, message, errname.
function shared.http_request(request)
  local method, body = request.method or "GET", request.body
  if body ~= nil and type(body) ~= "string" then return nil, "body: a string expected", "EINVAL" end
  local lines, message = head_lines(request, method, body)
  if not lines then return nil, message, "EINVAL" end
  return table.concat(lines, "\r\n") .. "\r\n\r\n" .. (body or ""), method
end
