-- SPDX-License-Identifier: MIT
-- The option tls of create, connect{…} and starttls, and tcpmulti.tls: each option is checked here,
-- and handed to C in the words of the core.
local shared, tcpmulti = ...
local check = shared.check
local format = string.format

local EXAMPLE = "ca = '/etc/ssl/my-ca.pem'"
local VALUES = "true, a table of options like { " .. EXAMPLE .. " }, or what tcpmulti.tls gives"
local VERSIONS = { ["1.0"] = 0x301, ["1.1"] = 0x302, ["1.2"] = 0x303, ["1.3"] = 0x304 }
local ALPN = "a list of protocols like { 'h2', 'http/1.1' }, each of 1 to 255 bytes without commas"

-- The protocols as one text.
local function protocols(value)
  if type(value) == "string" then value = { value } end
  if type(value) ~= "table" or #value == 0 then return nil, ALPN end
  for _, protocol in ipairs(value) do
    if type(protocol) ~= "string" or #protocol < 1 or #protocol > 255
      or protocol:find "[%c,]" then
      return nil, ALPN, check.describe(protocol)
    end
  end
  return table.concat(value, ",")
end

-- A password; "@FILE" stands for the first line of that file.
local function password(value)
  if type(value) ~= "string" then return nil, "a password, or '@' and the name of its file" end
  local line, message = shared.read_secret(value)
  if line then return line end
  return nil, "a password, or '@' and the name of its file", message
end

local function server_name(value)
  if type(value) == "string" and #value > 0 and #value <= 253 and not value:find "^%."
    and not value:find "[%[%]%c%s]" then return value end
  return nil, "the name of a host, or an address without brackets"
end

local tls_options = {
  server_name = server_name,
  verify = check.boolean,
  ca = check.string,
  ca_path = check.string,
  cert = check.string,
  key = check.string,
  key_password = password,
  alpn = protocols,
  min_version = check.choice(VERSIONS),
  max_version = check.choice(VERSIONS),
  ciphers = check.string,
  ciphersuites = check.string,
  fingerprint = check.string,
  resumption = check.boolean,
  allow_truncation = check.boolean,
  legacy = check.boolean,
  sni = check.boolean,
}
check.add_place("tls", tls_options)

-- Makes a specification; nil, message if an option is wrong.
local function make(what, options)
  local o, message = check.read(what, options, tls_options, EXAMPLE)
  if not o then return nil, message end
  o.no_verify = o.verify == false and 1 or 0
  o.no_resumption = o.resumption == false and 1 or 0
  o.no_sni = o.sni == false and 1 or 0
  o.allow_truncation = o.allow_truncation and 1 or 0
  o.legacy = o.legacy and 1 or 0
  local made, problem, errname = shared.tls_make(o)
  if made then return made end
  return nil, format("%s: %s", what, check.refusal(problem, errname))
end

-- The specification that a value stands for; nil, message if it stands for none.
local function read(what, value)
  if value == true then
    local made, message = shared.default_tls, nil
    if not made then made, message = make(what, {}) end
    shared.default_tls = made
    return made, message
  end
  if shared.is_tls(value) then return value end
  if type(value) == "table" and value ~= tcpmulti then return make(what, value) end
  return nil, format("%s: %s expected, not %s", what, VALUES, check.describe(value))
end

-- Replaces the option tls, a specification afterwards; false takes that of the session away. True;
-- nil, message if it is wrong.
function shared.read_tls(what, o)
  local value = o.tls
  o.tls = nil
  if value == nil then return true end
  if value == false then
    o.plain = 1
    return true
  end
  local message
  o.tls, message = read(what .. ": tls", value)
  return o.tls ~= nil, message
end

-- C calls this function for starttls, and the script has called C, so errors are of level 3.
function shared.starttls_specification(value)
  if value == nil then value = true end
  local made, message = read("starttls", value)
  if not made then error(message, 3) end
  return made
end

function tcpmulti.tls(options)
  if options == tcpmulti then error(check.colon "tls", 2) end
  if options ~= nil and type(options) ~= "table" then
    error("tcpmulti.tls: a table of options expected, not " .. check.describe(options), 2)
  end
  local made, message = make("tcpmulti.tls", options or {})
  if not made then error(message, 2) end
  return made
end
