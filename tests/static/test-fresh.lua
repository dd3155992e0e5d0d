-- SPDX-License-Identifier: MIT
-- The commands that need a machine of their own, tests/fresh and .ci/run: what they count and what
-- they say. Neither bootstraps anything here: the programs that they call are made up.
local check = require "static.check"

local directory = check.output("mktemp -d /tmp/tcpmulti-fresh-XXXXXX")[1]

-- An executable file, in a folder of the directory.
local function program(name, text)
  os.execute(("mkdir -p \"$(dirname '%s/%s')\""):format(directory, name))
  local path = directory .. "/" .. name
  local file = assert(io.open(path, "w"))
  file:write("#!/bin/sh\n" .. text .. "\n")
  file:close()
  os.execute(("chmod 755 '%s'"):format(path))
end

-- A command's last line, its whole output, and its exit status.
local function run(command)
  local lines = check.output(command .. " 2>&1; echo $?")
  local status = tonumber(table.remove(lines))
  return lines[#lines], table.concat(lines, "\n"), status
end

-- Two parts that say these last lines and end with these statuses.
local function count(found, looked, last, status, usual, fresh)
  looked()
  os.execute(("mkdir -p '%s/.ci' && cp '%s/.ci/run' '%s/.ci'"):format(directory, check.root,
    directory))
  program("tests/run", ("echo 1 passed, 1 failed\necho '%s'\nexit %d"):format(usual[1], usual[2]))
  program("tests/fresh", ("echo \"$@\"\necho '%s'\nexit %d"):format(fresh[1], fresh[2]))
  local command = "cd '%s' && { .ci/run unit peer >out 2>&1; status=$?; cat out; exit $status; }"
  local got_last, output, got_status = run(("(" .. command .. ")"):format(directory))
  if got_last ~= last then found("expected %q in %s", last, output) end
  if got_status ~= status then found("expected status %d in %s", status, output) end
  if not output:find "^1 passed, 1 failed\n.*\ntrixie %-%-no%-sanitize unit peer\n" then
    found("%s", output)
  end
end

check.case("the last line of .ci/run is the sum of both of its parts", function(found, looked)
  local good, skipped = { "10 passed, 0 failed", 0 }, { "tests/fresh: skipped: no packages", 0 }
  count(found, looked, "15 passed, 0 failed", 0, good, { "5 passed, 0 failed", 0 })
  count(found, looked, "10 passed, 0 failed", 0, good, skipped)
  count(found, looked, "14 passed, 1 failed", 1, good, { "4 passed, 1 failed", 1 })
  count(found, looked, "13 passed, 2 failed", 1, { "8 passed, 2 failed", 1 },
    { "5 passed, 0 failed", 0 })
  count(found, looked, "10 passed, 1 failed", 1, good, { "killed", 137 })
  count(found, looked, "11 passed, 1 failed", 1, good, { "1 passed, 0 failed", 1 })
  count(found, looked, "0 passed, 1 failed", 1, { "no such package", 100 }, skipped)
end)

local sources = [[
if [ "$1" = indextargets ]; then
  echo one://mirror/debian bookworm Debian main
  echo one://mirror/debian bookworm-updates Debian main
  echo two://mirror/security bookworm-security Debian main
  echo three://others/tools stable Others main
fi]]
-- The tree, and the sources that it was given.
local bootstrap = [[mkdir -p "$5/etc" "$5/root"; cat "$6"]]

-- unshare of the bootstrap, and of the two commands in the tree.
local outside = [[case "$*" in "--mount mmdebstrap"*) shift; exec "$@";; esac; ]]
local both = [[case "$*" in *tests/run*) echo "%s"; exit %d;; esac; exit %d]]

-- Runs tests/fresh with these programs in place of the real ones.
local function fresh(programs)
  os.execute(("rm -rf '%s/bin' '%s/scratch' && mkdir '%s/scratch'"):format(directory, directory,
    directory))
  program("bin/dpkg-query", [[for package; do echo "$package installed"; done]])
  program("bin/id", "echo 0")
  program("bin/apt-get", sources)
  program("bin/apt-config", "")
  program("bin/git", "")
  program("bin/mmdebstrap", bootstrap)
  program("bin/unshare", outside .. "echo 1 passed, 0 failed")
  for name, text in pairs(programs) do program("bin/" .. name, text) end
  return run(("TMPDIR='%s/scratch' PATH=\"%s/bin:$PATH\" '%s/tests/fresh' trixie unit"):format(
    directory, directory, check.root))
end

local function expect(found, looked, programs, last, status)
  looked()
  local got_last, output, got_status = fresh(programs)
  if not (got_last or ""):find(last) then found("expected %q in %s", last, output) end
  if got_status ~= status then found("expected status %d in %s", status, output) end
  local left = check.output(("ls '%s/scratch'"):format(directory))
  if #left > 0 then found("left behind: %s", table.concat(left, " ")) end
  return output
end

check.case("tests/fresh without a Debian to be had is skipped, and says so", function(found, looked)
  local skipped = "^tests/fresh trixie: skipped: %w"
  expect(found, looked, { id = "echo 1000" }, skipped, 0)
  expect(found, looked, { ["apt-get"] = "" }, skipped, 0)
  expect(found, looked, { mmdebstrap = "exit 1" }, skipped, 0)
  expect(found, looked, { ["dpkg-query"] = "", ["apt-get"] = "exit 100" }, skipped, 0)
end)

check.case("tests/fresh counts both commands, and fails with them", function(found, looked)
  local function unshare(last, status, tried)
    return { unshare = outside .. both:format(last, status, tried) }
  end
  expect(found, looked, unshare("3 passed, 0 failed", 0, 0), "^4 passed, 0 failed$", 0)
  expect(found, looked, unshare("3 passed, 1 failed", 1, 0), "^4 passed, 1 failed$", 1)
  expect(found, looked, unshare("3 passed, 0 failed", 0, 1), "^3 passed, 1 failed$", 1)
  expect(found, looked, unshare("no such package", 100, 0), "^1 passed, 1 failed$", 1)
end)

check.case("tests/fresh takes the packages of this machine's own sources", function(found, looked)
  local output = expect(found, looked, {}, "^2 passed", 0)
  for _, line in ipairs { "deb one://mirror/debian trixie main",
    "deb one://mirror/debian trixie-updates main", "deb two://mirror/security trixie-security main"
  } do
    if not output:find("\n" .. line .. "\n", 1, true) then found("no %q in %s", line, output) end
  end
  if output:find "three://" then found("%s", output) end
end)

check.case("tests/fresh without a release says how it is called", function(found, looked)
  for _, arguments in ipairs { "", "--no-sanitize", "13" } do
    looked()
    local _, output, status = run(("'%s/tests/fresh' %s"):format(check.root, arguments))
    if status ~= 2 or not output:find("usage: tests/fresh RELEASE", 1, true) then
      found("%q: %d: %s", arguments, status, output)
    end
  end
end)

-- A compiler's version in the name of a package ties it to one release of Debian.
check.case("no package is named after a release", function(found, looked)
  for _, path in ipairs { "tests/run", "tests/fresh", "scripts/try", ".ci/run" } do
    looked()
    for number, line in check.lines(path) do
      if line:find "%f[%w]clang%-?%a*%-?%d" or line:find "%f[%w]g[c+][c+]%-%d"
        or line:find "%f[%w]llvm%-%d" or line:find "%f[%w]python%d%.%d" then
        found("%s:%d: %s", path, number, line)
      end
    end
  end
end)

check.main(function() os.execute(("rm -rf '%s'"):format(directory)) end)
