-- SPDX-License-Identifier: MIT
-- What a page of results says about the machine, the versions and the run.
local M = {}

function M.first_line(command)
  local pipe = io.popen(command)
  local line = pipe:read "*l"
  pipe:close()
  return line or ""
end

local VERSIONS = {
  { "system", "sed -n 's/^PRETTY_NAME=\"\\(.*\\)\"/\\1/p' /etc/os-release" },
  { "kernel", "uname -r" },
  { "congestion control", "cat /proc/sys/net/ipv4/tcp_congestion_control" },
  { "compiler", "cc --version" },
  { "libuv", "pkg-config --modversion libuv" },
  { "LuaJIT", "luajit -v" },
  { "luv", "luajit -e 'print(require(\"luv\").version_string())' 2>/dev/null" },
  { "cqueues", "luajit -e 'print(require(\"cqueues\").VERSION)' 2>/dev/null" },
  { "Node", "node --version 2>/dev/null" },
  { "OpenSSL", "pkg-config --modversion openssl" },
  { "Go", "go version 2>/dev/null" },
  { "wrk", "wrk -v 2>&1 | sed -n 's/^wrk \\([^ ]*\\).*/\\1/p'" },
  { "Perl", "perl -e 'print \"$^V\\n\"' 2>/dev/null" },
  { "POE", "perl -MPOE::Kernel -e 'print \"$POE::Kernel::VERSION\\n\"' 2>/dev/null" },
}

-- A list of { name, value }. `seconds`: how long the run took, nil when it was resumed.
function M.collect(root, setting, seconds)
  local duration = seconds and ("%.0f minutes"):format(seconds / 60) or "resumed"
  local cores = M.first_line "nproc"
  local pinned = setting.cores and "client and server on one each" or "shared by client and server"
  local list = {
    { "date", os.date "!%Y-%m-%d %H:%M UTC" },
    { "commit", M.first_line(("git -C '%s' rev-parse --short HEAD 2>/dev/null"):format(root)) },
    { "run", ("%s, %s"):format(setting.size, duration) },
    { "processor", M.first_line "sed -n 's/^model name[^:]*: //p' /proc/cpuinfo" },
    { "cores", ("%s, %s"):format(cores, pinned) },
    { "load averages at the end", M.first_line "cut -d' ' -f1-3 /proc/loadavg" },
  }
  for _, version in ipairs(VERSIONS) do
    local value = M.first_line(version[2])
    list[#list + 1] = { version[1], value ~= "" and value or "not installed" }
  end
  return list
end

return M
