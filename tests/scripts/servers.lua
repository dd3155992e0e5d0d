-- SPDX-License-Identifier: MIT
-- The real servers that the scripts are tested against: each started on a free port of 127.0.0.1
-- with a configuration and data of its own in a directory that is removed afterwards.
local harness = require "scripts.harness"
local uv = require "luv"

local servers = {}

-- Runs as nobody if we are root: then sshd needs no directory of the system's.
local function as_nobody(command, args)
  if uv.getuid() ~= 0 then return command, args end
  local words = { "--reuid", "65534", "--regid", "65534", "--clear-groups", "--pdeathsig", "KILL" }
  words[#words + 1] = command
  for _, word in ipairs(args) do words[#words + 1] = word end
  return "setpriv", words
end

function servers.nginx(files)
  return harness.server(function(port, directory)
    for name, text in pairs(files) do harness.write_file(directory .. "/" .. name, text) end
    harness.write_file(directory .. "/nginx.conf", ([[
      daemon off; master_process off; worker_processes 1;
      pid nginx.pid; error_log stderr warn;
      events { worker_connections 1024; }
      http {
        access_log off; client_body_temp_path body; proxy_temp_path proxy;
        fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
        server { listen 127.0.0.1:%d backlog=1024; root %s; }
      }]]):format(port, directory))
    return "/usr/sbin/nginx", { "-p", directory, "-c", directory .. "/nginx.conf", "-e", "stderr" }
  end)
end

function servers.redis(settings)
  return harness.server(function(port, directory)
    local args = { "--port", port, "--bind", "127.0.0.1", "--dir", directory, "--save", "" }
    for name, value in pairs(settings or {}) do
      args[#args + 1], args[#args + 2] = "--" .. name, value
    end
    return "/usr/bin/redis-server", args
  end)
end

function servers.sshd()
  return harness.server(function(port, directory)
    local key = directory .. "/key"
    local made = harness.run("ssh-keygen", { "-q", "-t", "ed25519", "-N", "", "-f", key })
    harness.equal(0, made.code, "ssh-keygen " .. made.errors())
    if uv.getuid() == 0 then
      for _, path in ipairs { directory, key } do assert(uv.fs_chown(path, 65534, 65534)) end
    end
    harness.write_file(directory .. "/sshd_config", ("ListenAddress 127.0.0.1:%d\nHostKey %s\n"
      .. "PidFile none\nUsePAM no\nMaxStartups 100\n"):format(port, key))
    return as_nobody("/usr/sbin/sshd", { "-D", "-e", "-f", directory .. "/sshd_config" })
  end)
end

-- Takes mail for postmaster only, and delivers none.
function servers.exim()
  return harness.server(function(port, directory)
    harness.write_file(directory .. "/exim.conf", ([[
spool_directory = %s
log_file_path = %s/log-%%s
pid_file_path = %s/pid
exim_user = %d
exim_group = %d
never_users =
keep_environment =
primary_hostname = mail.example
local_interfaces = 127.0.0.1
daemon_smtp_ports = %d
tls_advertise_hosts =
host_lookup =
rfc1413_hosts =
queue_only = true
smtp_accept_max = 200
smtp_connect_backlog = 200
acl_smtp_rcpt = check_rcpt
begin acl
check_rcpt:
  accept local_parts = postmaster
  deny message = relay not permitted
]]):format(directory, directory, directory, uv.getuid(), uv.getgid(), port))
    return "/usr/sbin/exim4", { "-C", directory .. "/exim.conf", "-bdf" }
  end)
end

return servers
