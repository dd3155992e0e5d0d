-- SPDX-License-Identifier: MIT
-- The options that every job has. One table of names, kinds and defaults feeds the parser, --help,
-- the environment and --print-config.
local options = {}

-- Each row: { name, flags, kind, default, help }. A row of one text begins a group of --help. kind:
-- one of kinds.lua, or a list of words to choose from. metavariable: the value in --help, where the
-- kind has no word for it. least: the lowest number. takes_any: a script may give a value of any
-- type, which goes to tcpmulti.create as it is.
options.common = {
  { "Targets" },
  { "targets", "-t --targets", "list", nil, "a target on each line; - is standard input",
    metavariable = "FILE" },
  { "ports", "-p --ports", "text", nil, "for targets that name none: 22,80,8000-8100,https",
    metavariable = "PORTS" },
  { "exclude", "-x --exclude", "list", nil, "never connected to; may be given several times",
    metavariable = "FILE|TARGET" },
  { "order", "--order", { "random", "sequential" }, "random", "in which targets are taken" },
  { "seed", "--seed", "text", nil, "for another random order" },
  { "keep_duplicates", "--keep-duplicates", "flag", false, "ask equal names as often as named" },
  { "reserved", "--reserved", "flag", false, "do not leave out 0.0.0.0/8 and 224.0.0.0/3" },
  { "strict", "--strict", "flag", false, "end before the first connection if a line is malformed" },
  { "Limits" },
  { "concurrency", "-c --concurrency", "count", 1000, "connections at once, of all processes",
    least = 1 },
  { "rate", "-r --rate", "rate", 1000, "attempts, of all processes; 0: no limit" },
  { "per_host", "--per-host", "count", 8, "connections to one host at once; 0: no limit" },
  { "per_host_rate", "--per-host-rate", "rate", 0, "attempts at one host; 0: no limit" },
  { "per_network", "--per-network", "count", 64,
    "connections to one /24 or /48 at once; 0: no limit" },
  { "connect_timeout", "--connect-timeout", "time", 5, "from the attempt to success" },
  { "idle_timeout", "--idle-timeout", "time", 10, "without a byte received" },
  { "total_timeout", "--total-timeout", "time", 30, "for one attempt at one target" },
  { "max_bytes", "--max-bytes", "size", 1048576, "received from one target", least = 1 },
  { "retries", "--retries", "count", 0, "further attempts after a failure that may pass" },
  { "retry_delay", "--retry-delay", "time", 1, "before the first of them; doubled each time" },
  { "retry_on", "--retry-on", "retry_on", "timeout,reset,unreachable",
    "that may pass; another is refused", metavariable = "WORDS" },
  { "max_time", "--max-time", "time", nil, "stop in order after that" },
  { "grace", "--grace", "time", 10, "for open connections, when stopping in order" },
  { "max_exceptions", "--max-exceptions", "count", 100, "errors in the script; more: stop",
    least = 1 },
  { "Results" },
  { "output", "-o --output", "text", "-", "result lines", metavariable = "FILE" },
  { "format", "-f --format", { "jsonl", "text" }, "jsonl", "of the result lines" },
  { "only", "--only", { "all", "ok", "failed" }, "all", "which targets get a line" },
  { "resume", "--resume", "flag", false, "go on where the output file ends" },
  { "overwrite", "--overwrite", "flag", false, "throw away what is in the output file" },
  { "summary", "--summary", "text", nil, "the figures, in JSON", metavariable = "FILE" },
  { "report", "--report", "text", nil, "the figures, in HTML", metavariable = "FILE" },
  { "fail_if", "--fail-if", "list", nil, "exit status 3 if so, as 'p99(connect) > 200ms'",
    metavariable = "EXPR" },
  { "progress", "--progress", { "auto", "line", "log", "json", "none" }, "auto",
    "on standard error" },
  { "quiet", "-q --quiet", "flag", false, "neither progress nor summary on standard error" },
  { "trace", "--trace", "text", nil, "a line for each change of phase", metavariable = "FILE" },
  { "Connections" },
  { "tls", "--tls", "flag", false, "speak TLS", takes_any = true },
  { "insecure", "--insecure", "flag", false, "do not verify certificates" },
  { "ca", "--ca", "text", nil, "authorities to trust instead of the system's",
    metavariable = "FILE" },
  { "proxy", "--proxy", "text", nil, "go through it: socks5://host:1080",
    metavariable = "URL", takes_any = true },
  { "source", "--source", "text", nil, "local address, several, or a range",
    metavariable = "ADDRESS" },
  { "Processes" },
  { "workers", "-w --workers", "workers", 1, "processes on this machine; auto: one per core" },
  { "shard", "--shard", "shard", nil, "this is part I of N; auto: ask the batch system" },
  { "start_at", "--start-at", "clock", nil, "wait for that time before the first connection" },
  { "Help" },
  { "dry_run", "--dry-run", "flag", false, "tell what would be done" },
  { "print_config", "--print-config", "flag", false, "tell each option and where it is from" },
  { "completion", "--completion", { "bash", "zsh", "fish" }, nil, "for this shell, to standard "
    .. "output" },
  { "help", "-h --help", "flag", false, "this text" },
}

-- Options of a load: each replaces the common one of its name, or is a further one.
options.load = {
  { "Load" },
  { "concurrency", "-c --concurrency", "count", 50, "connections, of all processes", least = 1 },
  { "rate", "-r --rate", "rate", 1000,
    "requests, of all processes; 0: as fast as answers come" },
  { "duration", "-d --duration", "time", 10, "of what is measured" },
  { "warm_up", "--warm-up", "time", 1, "before that; not measured" },
  { "arrivals", "--arrivals", { "even", "poisson" }, "even", "how requests are spaced" },
  { "seed", "--seed", "text", nil, "for other arrivals of --arrivals poisson" },
  { "pipeline", "--pipeline", "count", 1, "requests under way on one connection", least = 1 },
  { "max_backlog", "--max-backlog", "time", 1, "how late a request may start; later: dropped" },
  { "idle_timeout", "--idle-timeout", "time", 10, "for an answer; 0: no limit" },
  { "workers", "-w --workers", "workers", 1, "no more: a load is one process; see --shard" },
  { "grace", "--grace", "time", 10, "for answers, after the last request" },
}

-- Common options that a load does not have: it has no results by target, and no attempts.
options.not_of_loads = { "order", "keep_duplicates", "strict", "per_host", "per_host_rate",
  "per_network", "total_timeout", "max_bytes", "retries", "retry_delay", "retry_on", "output",
  "format", "only", "resume", "overwrite" }

return options
