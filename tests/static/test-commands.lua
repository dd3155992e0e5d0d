-- SPDX-License-Identifier: MIT
-- The commands of the project itself: what tests/run counts, and what scripts/install-packages
-- says. They run on logs and programs made up here.
local check = require "static.check"

local directory = check.output("mktemp -d /tmp/tcpmulti-commands-XXXXXX")[1]

local function write(name, text)
  local file = assert(io.open(directory .. "/" .. name, "w"))
  file:write(text)
  file:close()
end

-- A command's output and its exit status, by a shell.
local function run(command)
  local lines = check.output(command .. " 2>&1; echo $?")
  local status = tonumber(table.remove(lines))
  return lines, status
end

-- One line of meson's log.
local function program(name, result, status, stdout)
  return ('{"name": "%s", "result": "%s", "returncode": %d, "stdout": "%s"}\n'):format(name, result,
    status, (stdout or ""):gsub("\n", "\\n"):gsub("\t", "\\t"))
end

-- log, or no log at all, must be counted as the last line and the status say.
local function count(found, looked, log, last, status, part)
  looked()
  os.remove(directory .. "/build.json")
  if log then write("build.json", log) end
  local lines, got = run(("python3 '%s/tests/summary.py' '%s' build"):format(check.root, directory))
  local text = table.concat(lines, "\n")
  if lines[#lines] ~= last then found("%q: expected %q in %s", log or "no log", last, text) end
  if got ~= status then found("%q: expected status %d, got %d", log or "no log", status, got) end
  if part and not text:find(part, 1, true) then found("%q: no %q in %s", log, part, text) end
end

check.case("tests/run counts cases", function(found, looked)
  local good = program("good", "OK", 0,
    "1..3\nok 1 - a\nok     2\tb\n# not ok\nok 3 - c # SKIP why\n")
  count(found, looked, good, "2 passed, 0 failed", 0, "1 skipped")
  count(found, looked, good .. program("plain", "OK", 0), "3 passed, 0 failed", 0)
  count(found, looked, good .. program("bad", "ERROR", 1, "1..2\nok 1 - a\nnot ok 2 - broken\n"),
    "3 passed, 1 failed", 1, "  broken")
  count(found, looked, program("cmocka", "FAIL", 0, "1..2\nok 1 - a\nnot ok 2 # SKIP b\n"),
    "1 passed, 0 failed", 0, "1 skipped")
  count(found, looked, good .. program("plain", "FAIL", 1, "said why\n"), "2 passed, 1 failed", 1,
    "said why")
end)

check.case("tests/run counts what crashed, hung or did nothing as failed", function(found, looked)
  count(found, looked, program("crash", "ERROR", -11, "1..2\nok 1 - a\n"), "1 passed, 1 failed", 1,
    "ERROR (exit status -11)")
  count(found, looked, program("hung", "TIMEOUT", -15, "1..2\nok 1 - a\n"), "1 passed, 1 failed", 1,
    "TIMEOUT")
  count(found, looked, program("end", "ERROR", 1, "1..1\nok 1 - a\n"), "1 passed, 1 failed", 1)
  count(found, looked, program("empty", "OK", 0, "1..0\n"), "0 passed, 1 failed", 1,
    "no case has run")
  count(found, looked, nil, "0 passed, 1 failed", 1, "no test has run")
  count(found, looked, program("skipped", "SKIP", 77), "0 passed, 0 failed", 1)
end)

local MISSED = "1..2\nok 1 - a\nnot ok 2 - on time\n"

-- What summary.py --again prints of this log.
local function again(log)
  write("build.json", log)
  return table.concat(run(("python3 '%s/tests/summary.py' --again '%s/build.json'"):format(
    check.root, directory)), "\n")
end

check.case("only cases that failed may run once more", function(found, looked)
  local function expect(log, titles)
    looked()
    local got = again(log)
    if got ~= titles then found("%q: expected %q, got %q", log, titles, got) end
  end
  local missed = program("tcpmulti:capi / a title", "ERROR", 1, MISSED)
  expect(program("good", "OK", 0, "1..1\nok 1 - a\n"), "")
  expect(missed, "a title")
  expect(missed .. program("tcpmulti:unit / b", "FAIL", 2, MISSED), "a title\nb")
  expect(missed:rep(5), ("a title\n"):rep(4) .. "a title")
  expect(missed:rep(6), "")
  expect(program("crash", "ERROR", -6, MISSED), "")
  expect(program("crash of a program of its own", "ERROR", 134, MISSED), "")
  expect(program("end", "ERROR", 1, "1..1\nok 1 - a\n"), "")
  expect(program("hung", "TIMEOUT", -15, MISSED), "")
  expect(program("leaks", "ERROR", 1, MISSED .. "# ERROR: LeakSanitizer: detected memory leaks\n"
    .. "# SUMMARY: AddressSanitizer: 8 byte(s) leaked in 1 allocation(s).\n"), "leaks")
  for _, words in ipairs { "ERROR: AddressSanitizer: heap", "x.c:1:1: runtime error: shift",
    "WARNING: ThreadSanitizer: data race" } do
    expect(program("sanitizer", "ERROR", 1, MISSED .. "# " .. words .. "\n"), "")
  end
end)

check.case("a program that passes alone is unsteady, not failed", function(found, looked)
  local missed = program("a / b", "ERROR", 1, MISSED)
  write("build-again.json", program("a / b", "OK", 0, "1..2\nok 1 - a\nok 2 - on time\n"))
  count(found, looked, missed, "2 passed, 0 failed", 0, "UNSTEADY, passed when it ran alone: build")
  count(found, looked, missed .. program("c", "FAIL", 1), "2 passed, 1 failed", 1)
  write("build-again.json", missed)
  count(found, looked, missed, "1 passed, 1 failed", 1, "FAILED: build: a / b")
  os.remove(directory .. "/build-again.json")
end)

-- Runs install-packages for two packages, of which dpkg-query knows those that are given.
local function install(known, programs)
  local path = directory .. "/bin"
  os.execute(("rm -rf '%s' && mkdir '%s'"):format(path, path))
  for _, name in ipairs { "grep", "find", "head", "env", "rm", "tee", "chmod" } do
    os.execute(("ln -s \"$(command -v %s)\" '%s/%s'"):format(name, path, name))
  end
  write("bin/dpkg-query", "#!/bin/sh\n" .. known)
  write("bin/id", "#!/bin/sh\necho 1000\n")
  write("bin/apt-get", "#!/bin/sh\necho apt-get \"$@\"\n")
  for name, text in pairs(programs or {}) do write("bin/" .. name, text) end
  os.execute(("chmod 755 '%s'/*"):format(path))
  return run(("PATH='%s' /bin/sh '%s/scripts/install-packages' first second"):format(path,
    check.root))
end

check.case("install-packages says and does nothing when all are there", function(found, looked)
  local lines, status = install "echo first installed\necho second installed\n"
  looked()
  if #lines > 0 or status ~= 0 then found("%d: %s", status, table.concat(lines, "\n")) end
end)

check.case("install-packages without root and sudo lists what is missing", function(found, looked)
  for _, programs in ipairs { {}, { sudo = "#!/bin/sh\nexit 1\n" } } do
    local lines, status = install("echo first installed\necho second deinstalled\n", programs)
    local text = table.concat(lines, "\n")
    looked()
    if status ~= 1 then found("status %d", status) end
    if not text:find("apt-get update && apt-get install second", 1, true) then found("%s", text) end
  end
end)

check.case("install-packages installs what is missing by sudo", function(found, looked)
  local sudo = [[#!/bin/sh
case $1 in env) shift; exec env "$@";; tee) exec tee /dev/null;; esac
]]
  local lines, status = install("echo second installed\n", { sudo = sudo })
  local text = table.concat(lines, "\n")
  looked()
  if status ~= 0 then found("status %d: %s", status, text) end
  if not text:match "apt%-get [^\n]*install %-%-no%-install%-recommends first\n?" then
    found("%s", text)
  end
  if text:match "install [^\n]*second" then found("second is there: %s", text) end
end)

check.main(function() os.execute(("rm -rf '%s'"):format(directory)) end)
