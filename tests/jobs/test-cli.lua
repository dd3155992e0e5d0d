-- SPDX-License-Identifier: MIT
-- The command line of a job: values with units, where they come from, and what a mistake is told.
local cli = require "tcpmulti.cli"
local lu = require "luaunit"
local rows = require "tcpmulti.cli.options"
local support = require "jobs.support"
local units = require "tcpmulti.units"

local cases = support.cases "Cli"

local function nothing() return nil end

local function parse(args, spec, environment)
  return cli.parse(spec or {}, args, function(name) return (environment or {})[name] end)
end

-- ---- help ----

local own = { name = "banner", about = "The first bytes.", total_timeout = "12s",
  options = { { "lines", "-L --lines", "count", 3, "that are kept" } } }

function cases.J62_help_has_one_line_for_each_option_with_its_default()
  local options, origins = parse({ "-h" }, own)
  lu.assertEquals(origins, {})
  local help = options.help
  lu.assertStrContains(help, "usage: banner [OPTION...] [TARGET...]\n\nThe first bytes.\n")
  for _, row in ipairs(rows.common) do
    local long = row[2] and row[2]:match "%-%-[%w-]+"
    local lines = 0
    for line in help:gmatch "[^\n]+" do
      if long and line:find("^  [ ,%-%a]*" .. long:gsub("%-", "%%-") .. "%f[ \n%z]") then
        lines = lines + 1
      end
    end
    lu.assertEquals(lines, long and 1 or 0, row[1])
  end
  for _, part in ipairs { "  -c, --concurrency N ", "of all processes (1000)\n",
    "  -r, --rate N/s ", "no limit (1000/s)\n", "one attempt at one target (12s)\n",
    "received from one target (1M)\n", "  -L, --lines N ", "that are kept (3)\n",
    "Of this script:\n", "      --order random|sequential  " } do
    lu.assertStrContains(help, part)
  end
end

function cases.J62_help_is_at_most_100_columns_wide()
  local spec = { options = { { "own", "--own", "text", ("d"):rep(30), ("words "):rep(30) } } }
  for _, help in ipairs { parse({ "--help" }, spec).help, parse({ "-h" }, { load = {} }).help } do
    for line in help:gmatch "[^\n]+" do lu.assertTrue(#line <= 100, line) end
  end
  lu.assertStrContains(parse({ "-h" }, spec).help, "... (" .. ("d"):rep(30) .. ")\n")
  for _, list in ipairs { rows.common, rows.load } do
    for _, row in ipairs(list) do lu.assertNil((row[5] or ""):find "%.%.%.", row[1]) end
  end
  lu.assertNil(parse({ "-h" }, {}).help:find "%w%.%.%.\n")
end

function cases.J62_help_is_given_whatever_else_is_wrong()
  lu.assertIsString(parse({ "-h" }, nil, { TCPMULTI_RATE = "5x" }).help)
end

function cases.completion_comes_from_the_parser()
  for _, shell in ipairs { "bash", "zsh", "fish" } do
    lu.assertStrContains(parse({ "--completion", shell }).completion, "concurrency")
  end
end

-- ---- mistakes ----

for _, row in ipairs {
  { "--concurency 5", "unknown option '--concurency' (did you mean '--concurrency'?)" },
  { "--totl-timeot 5s", "unknown option '--totl-timeot' (did you mean '--total-timeout'?)" },
  { "--frobnicate", "unknown option '--frobnicate'" },
  { "-r 5x", "--rate: '5x': expected a rate like 5k/s, 100/m or 250" },
  { "--grace soon", "--grace: 'soon': expected a time like 500ms, 5s or 2m, at most 49d" },
  { "--max-time=-1s", "--max-time: '-1s': expected a time" },
  { "--grace -1s", "--grace: '-1s': expected a time like 500ms, 5s or 2m, at most 49d" },
  { "-c -5", "--concurrency: '-5': expected a whole number like 500 or 20k" },
  { "--retries 3 --per-host -1", "--per-host: '-1': expected a whole number" },
  { "--seed -Q7", "--seed: a value that begins with '-' is given as --seed='-Q7'" },
  { "--strict -5", "unknown option '-5'" },
  { "-c 0", "--concurrency: '0': expected 1 or more" },
  { "-c 1.5", "--concurrency: '1.5': expected a whole number like 500 or 20k" },
  { "--max-bytes 1KB", "--max-bytes: '1KB': expected a size like 4096, 64K or 1M" },
  { "--order rnadom", "--order: 'rnadom': expected random or sequential (did you mean 'random'?)" },
  { "--progress x", "--progress: 'x': expected auto, line, log, json or none" },
  { "--retry-on reset,refusd", "expected some of timeout,reset,unreachable,refused (did you mean" },
  { "--shard 0/4", "--shard: '0/4': expected I/N with I from 1 to N, auto, or auto/N" },
  { "--shard 5/4", "--shard: '5/4': expected I/N" },
  { "--shard 1/0", "--shard: '1/0': expected I/N" },
  { "--shard x", "--shard: 'x': expected I/N" },
  { "--shard 0x1/4", "--shard: '0x1/4': expected I/N" },
  { "-w 0", "--workers: '0': expected a number from 1 to 256, or auto" },
  { "-w 257", "--workers: '257': expected a number" },
  { "--start-at 25:00", "--start-at: '25:00': expected seconds since 1970, or a time like 14:30" },
  { "--strict=1", "does not take arguments" },
  { "--resume --overwrite", "--resume and --overwrite exclude each other" },
  { "--resume -f text", "--resume needs --format jsonl and --only all" },
  { "--resume --only ok", "--resume needs --format jsonl and --only all" },
  { "-c", "requires an argument" },
} do
  cases["J63_the mistake in " .. row[1] .. " is told"] = function()
    local words = units.split(row[1], " ")
    local options, message, usage = parse(words)
    lu.assertNil(options)
    lu.assertStrContains(message, row[2])
    lu.assertNil(message:find "\n")
    lu.assertStrContains(usage, "usage: job [OPTION...]")
  end
end

function cases.J63_a_wrong_value_of_the_environment_names_the_variable()
  local options, message = parse({}, nil, { TCPMULTI_GRACE = "soon\27[31m" })
  lu.assertNil(options)
  lu.assertEquals(message,
    "TCPMULTI_GRACE: 'soon?[31m': expected a time like 500ms, 5s or 2m, at most 49d")
  options, message = parse({}, nil, { TCPMULTI_STRICT = "maybe" })
  lu.assertNil(options)
  lu.assertEquals(message, "TCPMULTI_STRICT: 'maybe': expected 1 or 0")
end

for name, row in pairs {
  ["a wrong text"] = { { grace = "soon" }, "the script's grace: 'soon': expected a time" },
  ["a negative number"] = { { grace = -1 }, "the script's grace: expected a time" },
  ["not a number"] = { { grace = 0 / 0 }, "the script's grace: expected a time" },
  ["a number below the least"] = { { concurrency = 0 }, "concurrency: expected 1 or more" },
  ["half a connection"] = { { concurrency = 0.5 }, "concurrency: expected a whole number" },
  ["a wrong type"] = { { rate = {} }, "the script's rate: expected a rate" },
  ["an option every job has"] = { { options = { { "rate", "--pace", "rate" } } },
    "the script's option 'rate': every job has a 'rate'" },
  ["a flag every job has"] = { { options = { { "exes", "-x --exes", "text" } } },
    "the script's option 'exes': every job has a '-x'" },
  ["an unknown kind"] = { { options = { { "own", "--own", "date" } } }, "has an unknown kind" },
} do
  cases["J63_a script with " .. name .. " is an error"] = function()
    lu.assertErrorMsgContains(row[2], cli.parse, row[1], {}, nothing)
  end
end

function cases.a_missing_package_is_named()
  local path, loaded = package.path, package.loaded.argparse
  package.path, package.loaded.argparse = "", nil
  local options, message, usage = parse {}
  package.path, package.loaded.argparse = path, loaded
  lu.assertEquals({ options, message }, { nil, "the package lua-argparse is needed" })
  lu.assertStrContains(usage, "usage: job")
end

-- ---- values and origins ----

local spec = { concurrency = 200, grace = "20s", exclude = { "a.txt" }, strict = true }
local environment = { TCPMULTI_CONCURRENCY = "300", TCPMULTI_GRACE = "30s",
  TCPMULTI_EXCLUDE = "b.txt\nc d.txt", TCPMULTI_STRICT = "0" }

for _, row in ipairs {
  { "built in", {}, {}, {}, { 1000, 10, {}, false }, "built in" },
  { "script", {}, spec, {}, { 200, 20, { "a.txt" }, true }, "script" },
  { "environment", {}, spec, environment, { 300, 30, { "b.txt", "c d.txt" }, false },
    "environment TCPMULTI_" },
  { "command line", { "-c", "400", "--grace", "40s", "-x", "d.txt", "-x", "e.txt", "--strict" },
    spec, environment, { 400, 40, { "d.txt", "e.txt" }, true }, "command line" },
} do
  cases["J64_what the " .. row[1] .. " says goes before what is below"] = function()
    local options, origins = parse(row[2], row[3], row[4])
    for i, name in ipairs { "concurrency", "grace", "exclude", "strict" } do
      lu.assertEquals(options[name], row[5][i], name)
      lu.assertStrContains(origins[name], row[6])
    end
  end
end

function cases.credentials_are_neither_in_the_help_nor_in_the_config()
  local open = { proxy = "socks5://me:pw@host:1", options = { { "password", "--password", "text",
    "hush", "for the server" } } }
  lu.assertStrContains(parse({ "--print-config" }, open).print_config, "socks5://***@host:1")
  for _, text in ipairs { parse({ "--help" }, open).help,
    parse({ "--print-config" }, open).print_config } do
    lu.assertNotStrContains(text, "pw")
    lu.assertNotStrContains(text, "hush")
  end
end

function cases.J64_print_config_names_the_origins()
  local text = parse({ "--print-config", "-c", "400", "--shard", "auto/4" }, { grace = "20s" },
    { TCPMULTI_RATE = "2k/s" }).print_config
  for _, pattern in ipairs { "concurrency +400 +command line\n", "shard +auto/4 +command line\n",
    "grace +20 +script\n", "rate +2000 +environment TCPMULTI_RATE\n", "order +random +built in\n",
    "seed +none +built in\n", "strict +no +built in\n",
    "retry_on +timeout reset unreachable +built in\n" } do
    lu.assertNotNil(text:find("%f[%w_]" .. pattern), pattern)
  end
end

function cases.targets_and_options_may_be_mixed()
  local options = parse { "10.0.0.0/8", "-p", "22", "host:80", "-t", "-", "-", "--", "-x" }
  lu.assertEquals(options.target, { "10.0.0.0/8", "host:80", "-", "-x" })
  lu.assertEquals({ options.ports, options.targets }, { "22", { "-" } })
end

function cases.G4_parts_and_workers_are_read()
  local options = parse { "--shard", "2/4", "-w", "auto", "--start-at", "14:30" }
  lu.assertEquals(options.shard, { 2, 4 })
  lu.assertEquals(options.workers, "auto")
  lu.assertEquals(options.start_at, { hour = 14, min = 30, sec = 0 })
  options = parse { "--shard", "auto", "-w", "3", "--start-at", "1795934863.5" }
  lu.assertEquals({ options.shard, options.workers, options.start_at },
    { "auto", 3, 1795934863.5 })
  lu.assertEquals(parse({ "--shard", "auto/8" }).shard, { auto = 8 })
end

function cases.a_load_has_options_of_its_own()
  local options = parse({ "h:80", "-d", "1m" }, { load = {} })
  lu.assertEquals({ options.concurrency, options.duration, options.arrivals },
    { 50, 60, "even" })
  local none, message = parse { "-d", "1m" }
  lu.assertNil(none)
  lu.assertStrContains(message, "unknown option '-d'")
end

function cases.what_belongs_to_create_goes_through_as_it_is()
  local tls, proxy = { ca = "x.pem" }, { "socks5://a:1", "http://b:2" }
  local options = parse({ "--print-config" }, { tls = tls, proxy = proxy })
  lu.assertTrue(options.tls == tls and options.proxy == proxy)
end

-- ---- units ----

for _, row in ipairs {
  { "count", { ["0"] = 0, ["500"] = 500, ["20k"] = 20000, ["2.3k"] = 2300, ["1.001k"] = 1001,
    ["4M"] = 4e6, ["9007199254740992"] = 2 ^ 53 },
    { "", "k", "-1", "1e3", "0x10", "1.5", "5K", "1 k", "9007199254740993000", ".5k", "1.k", "1,5",
      "inf", "nan", "5kk" } },
  { "size", { ["4096"] = 4096, ["64K"] = 65536, ["1M"] = 1048576, ["1.5K"] = 1536,
    ["1G"] = 2 ^ 30 }, { "", "64k", "1KB", "0.3K", "-1" } },
  { "time", { ["500ms"] = 0.5, ["5s"] = 5, ["2m"] = 120, ["3"] = 3, ["0.1"] = 0.1,
    ["100us"] = 0.0001, ["1.5h"] = 5400, ["49d"] = 4233600, ["0"] = 0, ["200ms"] = 0.2 },
    { "", "s", "5 s", "50d", "1e9", "-5s", "5sec", "5S" } },
  { "rate", { ["5k/s"] = 5000, ["100/m"] = 100 / 60, ["250"] = 250, ["0"] = 0, ["36/h"] = 0.01,
    ["1M"] = 1e6 }, { "", "/s", "5/d", "5x", "5k/", "1e3", "-1", "2G" } },
  { "share", { ["5%"] = 0.05, ["0.05"] = 0.05, ["0.1%"] = 0.001, ["100%"] = 1 },
    { "", "%", "5 %", "5%%", "5k" } },
} do
  cases["values of the kind " .. row[1] .. " are read"] = function()
    for text, value in pairs(row[2]) do lu.assertEquals(units[row[1]](text), value, text) end
    for _, text in ipairs(row[3]) do
      local value, expected = units[row[1]](text)
      lu.assertNil(value, text)
      lu.assertStrContains(expected, " like ")
    end
  end
end

-- Any number of digits: the reader gives what tonumber gives, times the unit.
function cases.random_values_are_those_of_a_plain_model()
  local multiples = { us = 1e-6, ms = 1e-3, s = 1, m = 60, h = 3600, [""] = 1 }
  for _ = 1, 5000 do
    local text = tostring(math.random(0, 99999))
    if math.random(2) == 1 then text = text .. "." .. math.random(0, 9999) end
    for unit, multiple in pairs(multiples) do
      local value = tonumber(text) * multiple
      local read = units.time(text .. unit)
      if value <= 4294967 * (1 - 1e-9) then lu.assertAlmostEquals(read, value, value * 1e-14) end
      if value > 4294967 * (1 + 1e-9) then lu.assertNil(read) end
    end
  end
end

for _, row in ipairs {
  { "show_time", { [0] = "0 us", [999.4] = "999 us", [999.6] = "1.00 ms", [12345] = "12.3 ms",
    [999499] = "999 ms", [999600] = "1.00 s", [1234567] = "1.23 s", [2e9] = "2000 s",
    [9996] = "10.0 ms" } },
  { "show_count", { [0] = "0", [999] = "999", [1000] = "1.0k", [9400] = "9.4k", [20000] = "20.0k",
    [999949] = "999.9k", [999951] = "1.0M", [1.5e9] = "1.5G" } },
  { "show_duration", { [0] = "0s", [5.4] = "5s", [89] = "89s", [90] = "1m30s", [250] = "4m10s",
    [7500] = "2h05m", [200000] = "2d07h" } },
} do
  cases["values are shown by " .. row[1]] = function()
    for value, text in pairs(row[2]) do lu.assertEquals(units[row[1]](value), text) end
  end
end

-- ---- credentials ----

function cases.J58_credentials_are_hidden()
  lu.assertEquals(cli.hide_credentials { "--proxy", "socks5://me:pw@host:1", "--password", "x",
    "--api-token=y", "-p", "22", "http://h/@x", "--passwords-file" }, { "--proxy",
    "socks5://***@host:1", "--password", "***", "--api-token=***", "-p", "22", "http://h/@x",
    "--passwords-file" })
end

support.main(cases)
