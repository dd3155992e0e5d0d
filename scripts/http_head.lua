-- SPDX-License-Identifier: MIT
-- http_head.lua: the status and the headers of web servers (HTTP/1.1, HEAD), by a task for each.
-- usage: tcpmulti-lua -m http_head [--path /PATH] [--tls -p 443] [OPTION...] [TARGET|URL...]
--   $ tcpmulti-lua -m http_head -q -f text http://127.0.0.1:8080/a
--   127.0.0.1:8080/a 200 OK
local co, job, json = require "tcpmulti.co", require "tcpmulti.job", require "tcpmulti.json"
local function encode(byte) return ("%%%02X"):format(byte:byte()) end
local function place_of(target)
  return (target.host:find(":", 1, true) and "[%s]:%d" or "%s:%d"):format(target.host, target.port)
end

-- URLs become targets of JSON, and say whether TLS is spoken.
local function prepare(options)
  local first
  for i, text in ipairs(options.target) do
    local scheme, place, path = text:match "^(https?)://([^/]+)(.*)$"
    first = first or scheme
    if scheme ~= (scheme and first) then return "http:// and https:// need a job each" end
    if scheme then
      place = place:find ":%d+$" and place or place .. (scheme == "https" and ":443" or ":80")
      options.target[i] = json.encode { target = place, path = path ~= "" and path or "/" }
    end
  end
  options.tls = options.tls or first == "https"
end

job.main {
  about = "The status and the headers of web servers.",
  options = { { "path", "--path", "text", "/", "to ask for; or \"path\" in a target of JSON" } },
  ports = "80", filter = "http", prepare = prepare,
  each = function(cheap, target)
    local path = tostring(target.input and target.input.path or job.options.path)
    local place = place_of(target)
    path = path:gsub("^/*", "/", 1):gsub("[^!-~]", encode)
    cheap:send { method = "HEAD", path = path, headers = { Host = place, Connection = "close" } }
    local reply = co.try(cheap:receive())
    return { url = place .. path, status = reply.status, reason = reply.reason,
      headers = reply.headers }
  end,
  text = function(r) return r.ok and r.data.url .. " " .. r.data.status .. " " .. r.data.reason
    or place_of(r) .. ": " .. r.error.text end,
}
