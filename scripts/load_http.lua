-- SPDX-License-Identifier: MIT
-- load_http.lua: requests to web servers at a rate, over connections that are kept; --tls: https.
--
-- usage: tcpmulti-lua -m load_http HOST[:PORT]... [-r RATE] [-d TIME] [--path PATH]
--
--   9995 requests in 10.00 s, 1000/s: 9995 ok, 5 failed
--          5  status 503
local job = require "tcpmulti.job"

job.main {
  about = "HTTP requests at a rate, over connections that are kept.",
  ports = "80", input_filter = "http", output_filter = "stream",
  options = { { "path", "--path", "text", "/", "what to ask for" } },
  load = { request = function(cheap)
    cheap.request = cheap.request or ("GET %s HTTP/1.1\r\nHost: %s\r\n\r\n"):format(
      job.options.path, cheap.target.host)
    return cheap.request
  end },
  on_input = function(cheap, reply)
    if reply.headers.connection == "close" then cheap:shutdown() end
    job.reply(cheap, reply.status < 400, reply.status >= 400 and "status " .. reply.status)
  end,
}
