-- SPDX-License-Identifier: MIT
-- The real servers that the scripts are tested against: each started on a free port of 127.0.0.1
-- with a configuration and data of its own in a directory that is removed afterwards.
local lu = require "luaunit"
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

-- Gives files to nobody if we are root.
local function give_to_nobody(paths)
  if uv.getuid() ~= 0 then return end
  for _, path in ipairs(paths) do assert(uv.fs_chown(path, 65534, 65534)) end
end

-- Writes a certificate and its key, { chain, key }, to files; their paths.
local function write_pair(directory, pair)
  local chain, key = directory .. "/chain.pem", directory .. "/key.pem"
  harness.write_file(chain, pair[1])
  harness.write_file(key, pair[2])
  assert(uv.fs_chmod(key, tonumber("600", 8)))
  return chain, key
end

-- With a pair: only TLS.
function servers.nginx(files, pair)
  return harness.server(function(port, directory)
    for name, text in pairs(files) do harness.write_file(directory .. "/" .. name, text) end
    local tls = pair and ("ssl_certificate %s; ssl_certificate_key %s;"):format(
      write_pair(directory, pair)) or ""
    harness.write_file(directory .. "/nginx.conf", ([[
      daemon off; master_process off; worker_processes 1;
      pid nginx.pid; error_log stderr warn;
      events { worker_connections 1024; }
      http {
        access_log off; client_body_temp_path body; proxy_temp_path proxy;
        fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
        server { listen 127.0.0.1:%d backlog=1024%s; root %s; %s }
      }]]):format(port, pair and " ssl" or "", directory, tls))
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

-- An MQTT broker that tells on standard error what it receives. On the given port, if any.
function servers.mosquitto(given_port)
  return harness.server(function(port)
    return "/usr/sbin/mosquitto", { "-v", "-p", port }
  end, given_port)
end

function servers.sshd()
  return harness.server(function(port, directory)
    local key = directory .. "/key"
    local made = harness.run("ssh-keygen", { "-q", "-t", "ed25519", "-N", "", "-f", key })
    lu.assertEquals(made.code, 0, "ssh-keygen " .. made.errors())
    give_to_nobody { directory, key }
    harness.write_file(directory .. "/sshd_config", ("ListenAddress 127.0.0.1:%d\nHostKey %s\n"
      .. "PidFile none\nUsePAM no\nMaxStartups 100\n"):format(port, key))
    return as_nobody("/usr/sbin/sshd", { "-D", "-e", "-f", directory .. "/sshd_config" })
  end)
end

-- Takes mail for postmaster only, and delivers none. With a pair: it offers STARTTLS.
function servers.exim(pair)
  return harness.server(function(port, directory)
    local tls = "tls_advertise_hosts ="
    if pair then
      tls = ("tls_advertise_hosts = *\ntls_certificate = %s\ntls_privatekey = %s"):format(
        write_pair(directory, pair))
    end
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
%s
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
]]):format(directory, directory, directory, uv.getuid(), uv.getgid(), port,
      tls))
    return "/usr/sbin/exim4", { "-C", directory .. "/exim.conf", "-bdf" }
  end)
end

-- What differs between the configurations of 2.4 and of 2.3, which does not know a version on top.
-- With a password: that of all users, who share a home.
local function dovecot_settings(chain, key, password, home)
  local version = harness.run("/usr/sbin/dovecot", { "--version" }).output()
  local uid, gid = uv.getuid(), uv.getgid()
  if uid == 0 then uid, gid = 65534, 65534 end
  if version:match "^2%.3" then
    local users = ([[
passdb {
  driver = static
  args = password=%s
}
userdb {
  driver = static
  args = uid=%d gid=%d home=%s
}
mail_location = maildir:~/Maildir
]]):format(password or "", uid, gid, home)
    return ("ssl_cert = <%s\nssl_key = <%s\n"):format(chain, key) .. (password and users or "")
  end
  local users = ([[
passdb static {
  password = %s
}
userdb static {
  fields {
    uid = %d
    gid = %d
    home = %s
  }
}
mail_driver = maildir
mail_path = ~/Maildir
]]):format(password or "", uid, gid, home)
  return ([[
dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
ssl_server_cert_file = %s
ssl_server_key_file = %s
]]):format(chain, key) .. (password and users or "")
end

-- IMAP, or POP3, with STARTTLS. Not as root: all processes are ours. With a password: anybody can
-- log in with it, and all have the same mail.
function servers.dovecot(protocol, pair, password)
  return harness.server(function(port, directory)
    assert(uv.fs_chmod(directory, tonumber("755", 8))) -- processes of other users go through
    local own = ""
    if uv.getuid() ~= 0 then
      local name = harness.run("id", { "-un" }).output()
      local group = harness.run("id", { "-gn" }).output()
      own = ("default_internal_user = %sdefault_login_user = %sdefault_internal_group = %s")
        :format(name, name, group) .. "service anvil {\n chroot =\n}\n"
    end
    local home, chain, key = directory .. "/home", write_pair(directory, pair)
    assert(uv.fs_mkdir(home, tonumber("700", 8)))
    give_to_nobody { home }
    harness.write_file(directory .. "/dovecot.conf", dovecot_settings(chain, key, password, home)
      .. own .. ([[
base_dir = %s/run
state_dir = %s/state
log_path = /dev/stderr
protocols = %s
auth_mechanisms = %s
listen = 127.0.0.1
ssl = required
service %s-login {
  chroot =
  inet_listener %s {
    port = %d
  }
  inet_listener %ss {
    port = 0
  }
}
]]):format(directory, directory, protocol, password and "plain" or "anonymous", protocol, protocol,
      port, protocol))
    return "/usr/sbin/dovecot", { "-F", "-c", directory .. "/dovecot.conf" }
  end)
end

-- XMPP for the host localhost.
function servers.prosody(pair)
  return harness.server(function(port, directory)
    local chain, key = write_pair(directory, pair)
    harness.write_file(directory .. "/prosody.cfg.lua", ([[
run_as_root = true
data_path = "%s"
pidfile = "%s/pid"
log = { { levels = { min = "warn" }, to = "console" } }
modules_enabled = { "saslauth", "tls" }
modules_disabled = { "s2s", "offline" }
interfaces = { "127.0.0.1" }
c2s_ports = { %d }
VirtualHost "localhost"
  ssl = { certificate = "%s", key = "%s" }
]]):format(directory, directory, port, chain, key))
    return "/usr/bin/prosody", { "-F", "--config", directory .. "/prosody.cfg.lua" }
  end)
end

function servers.postgres(pair)
  local folder = harness.run("sh", { "-c", "ls -d /usr/lib/postgresql/*/bin | tail -n 1" })
  folder = folder.output():match "%S+" or error "no PostgreSQL is installed"
  return harness.server(function(port, directory)
    local chain, key = write_pair(directory, pair)
    local data = directory .. "/data"
    give_to_nobody { directory, chain, key }
    if not uv.fs_stat(data) then
      local words = { "-D", data, "-U", "test", "-A", "trust", "-E", "UTF8", "--locale=C", "-N" }
      local made = harness.run(as_nobody(folder .. "/initdb", words))
      lu.assertEquals(made.code, 0, "initdb " .. made.errors())
    end
    return as_nobody(folder .. "/postgres", { "-D", data, "-p", port, "-h", "127.0.0.1", "-k", "",
      "-c", "ssl=on", "-c", "ssl_cert_file=" .. chain, "-c", "ssl_key_file=" .. key,
      "-c", "fsync=off" })
  end)
end

return servers
