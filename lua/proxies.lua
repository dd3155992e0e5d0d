-- SPDX-License-Identifier: MIT
-- The options proxy and send_proxy of create and connect{…}. Messages never show a URL: there may
-- be a password in it.
local shared = ...
local check = shared.check
local format, match = string.format, string.match

local PROXY = "a URL like 'socks5://host:1080', '@' and the name of a file with one, or a list of "
  .. "these"

-- A text that may stand in a file; nil, message if it cannot be read.
function shared.read_secret(text)
  local path = match(text, "^@(.+)$")
  if not path then return text end
  return shared.first_line(path)
end

-- One text of URLs, from a text or a list.
function check.proxy(value)
  if value == false then return false end
  local hops = type(value) == "string" and { value } or value
  if type(hops) ~= "table" then return nil, PROXY end
  local urls, count = {}, 0
  for _ in pairs(hops) do count = count + 1 end
  if count ~= #hops then return nil, PROXY, "a table with names" end
  if count == 0 then return nil, PROXY, "an empty list" end
  for i, url in ipairs(hops) do
    if type(url) ~= "string" then return nil, PROXY, check.describe(url) end
    local text, message = shared.read_secret(url)
    if not text then return nil, PROXY, message end
    urls[i] = text
  end
  local text = table.concat(urls, " ")
  local looks_up, message, errname = shared.check_proxy(text)
  if looks_up == nil then return nil, PROXY, check.refusal(message, errname) end
  return text
end

function check.send_proxy(value)
  if value == false then return -1 end
  if value == 1 or value == 2 then return value end
  return nil, "1 or 2, a version of the PROXY protocol, or false"
end

-- Completes the options. True; nil, message if they do not go together.
function shared.read_proxy(what, o)
  if o.proxy == false then
    o.proxy, o.direct = nil, 1
  elseif o.proxy and o.deny and o.deny ~= "" and shared.check_proxy(o.proxy) then
    return nil, format("%s: deny cannot go with a proxy that looks the target up (socks5h, http); "
      .. "with socks5 the address is ours to check", what)
  end
  return true
end
