-- SPDX-License-Identifier: MIT
-- Other names for ours. First the spellings of the Perl module, which are accepted: options of
-- create, connect and filters, methods of cheaps, names of filters. An option that is lower-case in
-- Perl too (inline_states, args, …) needs no entry. Then words of other libraries, which only serve
-- error messages.
local shared = ...

shared.aliases = {
  options = {
    -- Options for events.
    Initialize = "on_initialize",
    SuccessEvent = "on_success",
    InputEvent = "on_input",
    FlushedEvent = "on_flushed",
    FailureEvent = "on_failure",
    ErrorEvent = "on_error",
    TimeoutEvent = "on_timeout",
    Disconnected = "on_disconnected",
    EofEvent = "on_eof",
    SecureEvent = "on_secure",
    HandlerError = "on_exception",
    -- Options of create and connect.
    Alias = "alias",
    Args = "args",
    Heap = "heap",
    Domain = "domain",
    Timeout = "timeout",
    ConnectTimeout = "connect_timeout",
    InputTimeout = "input_timeout",
    ShutdownTimeout = "shutdown_timeout",
    Deadline = "deadline",
    Filter = "filter",
    InputFilter = "input_filter",
    OutputFilter = "output_filter",
    RemoteAddress = "remote_address",
    RemotePort = "remote_port",
    BindAddress = "bind_address",
    BindPort = "bind_port",
    MaxConnections = "max_connections",
    ConnectRate = "connect_rate",
    HighMark = "high_mark",
    LowMark = "low_mark",
    MaxQueued = "max_queued",
    NoDelay = "nodelay",
    Cork = "cork",
    HalfOpen = "half_open",
    KeepAlive = "keepalive",
    Times = "times",
    Dns = "dns",
    Resolve = "resolve",
    Deny = "deny",
    AttemptDelay = "attempt_delay",
    ResolutionDelay = "resolution_delay",
    BindDevice = "bind_device",
    Tls = "tls",
    Proxy = "proxy",
    SendProxy = "send_proxy",
    ServerName = "server_name",
    -- Options of filters.
    Literal = "literal",
    InputLiteral = "input_literal",
    OutputLiteral = "output_literal",
    Ends = "ends",
    MaxLength = "max_length",
    BlockSize = "block_size",
    Length = "length",
    LengthCodec = "length_codec",
    Offset = "offset",
    Adjust = "adjust",
    Header = "header",
    Get = "get",
    Put = "put",
    Code = "code",
    Filters = "filters",
    CheckPut = "check_put",
  },
  methods = {
    ID = "id",
    ADDR = "addr",
    PORT = "port",
  },
  filters = {
    ["POE::Filter::Line"] = "line",
    ["POE::Filter::Block"] = "block",
    ["POE::Filter::Stream"] = "stream",
    ["POE::Filter::Map"] = "map",
    ["POE::Filter::Grep"] = "grep",
    ["POE::Filter::RecordBlock"] = "record_block",
    ["POE::Filter::Stackable"] = "stack",
  },
}

-- Words of other libraries for our options. They are not accepted, but the message about such a
-- word names our option. Turns { our_name = "word word" } into { word = "our_name our_name" }.
local function by_word(lists)
  local names = {}
  for name, words in pairs(lists) do
    for word in string.gmatch(words, "%S+") do
      names[word] = names[word] and names[word] .. " " .. name or name
    end
  end
  return names
end

shared.synonyms = {
  -- Units at the end of a word. "ms": the script's number has to be divided by 1000.
  units = {
    ms = "ms", msec = "ms", msecs = "ms", millis = "ms", milliseconds = "ms",
    s = "s", sec = "s", secs = "s", seconds = "s",
  },
}
shared.synonyms.options = by_word {
  -- Options for events.
  on_initialize = "on_init on_start on_begin on_create on_new on_connecting",
  on_success = [[on_connect on_connected on_connection on_open on_opened on_ready on_established
    connect connected success]],
  on_input = [[on_data on_read on_receive on_received on_recv on_message on_line on_record
    on_response on_reply on_packet on_readable input]],
  on_batch = "on_records on_records_end on_read_end on_batch_end",
  on_flushed = "on_drain on_drained on_flush on_write on_written on_writable on_send on_sent",
  on_failure = [[on_fail on_failed on_connect_error on_connect_fail on_connect_failed
    on_connect_failure on_connection_failed on_refused failure]],
  on_error = "on_err error",
  on_timeout = "on_idle on_timed_out on_time_out",
  on_disconnected = [[on_close on_closed on_disconnect on_end on_ended on_finish on_finished on_done
    on_shutdown on_terminate on_terminated close closed disconnected]],
  ["on_eof on_disconnected"] = "on_fin on_half_close on_peer_close on_remote_close",
  on_exception = "on_raise on_throw on_crash on_panic",
  -- Options of create.
  alias = "name session_name",
  args = "arguments params argv",
  domain = "family address_family ip_version",
  deadline = "total_timeout overall_timeout max_time time_limit",
  input_timeout = [[read_timeout receive_timeout recv_timeout idle_timeout inactivity_timeout
    idle]],
  shutdown_timeout = "close_timeout linger linger_timeout flush_timeout drain_timeout",
  max_connections = [[concurrency max_conns max_sockets max_open max_parallel parallel
    connection_limit max_concurrency pool_size]],
  max_per_address = [[per_host max_per_host max_per_ip max_per_target max_connections_per_host
    connections_per_host limit_per_host]],
  connect_rate = "rate rate_limit max_rate connections_per_second cps",
  high_mark = "high_water high_water_mark highwater highwatermark",
  low_mark = "low_water low_water_mark lowwater lowwatermark",
  max_queued = "max_buffer max_buffered max_queue buffer_size send_buffer max_send_buffer",
  nodelay = "no_delay tcp_nodelay tcp_no_delay",
  keepalive = "keep_alive so_keepalive tcp_keepalive",
  inline_states = "states state inline",
  times = "time timing timings timestamps measure",
  dns = "resolver dns_resolver name_resolver getaddrinfo",
  resolve = "hosts host_map overrides dns_overrides static_hosts",
  deny = "denied deny_list denylist blacklist blocklist block blocked exclude forbid ssrf",
  attempt_delay = [[connection_attempt_delay happy_eyeballs_delay happy_eyeballs_timeout
    fallback_delay]],
  options = "debug verbose strict flags",
  filter = "codec framing parser framer protocol",
  -- Options of connect.
  connect_timeout = "timeout connection_timeout",
  remote_address = [[host hostname host_name address addr ip ip_address remote_host remote_addr
    remote_ip peer peer_address target server destination dest url uri]],
  remote_port = "port peer_port service dest_port destination_port target_port",
  bind_address = [[local_address local_addr local_host local_ip source_address source_ip source src
    bind bind_addr bind_host bind_ip]],
  bind_port = "local_port source_port src_port",
  bind_device = "interface iface device local_interface bind_interface",
  heap = "data userdata user_data user context ctx",
  -- Options of filters.
  max_length = "max max_len maxlen max_size limit max_line max_line_length max_record size_limit",
  literal = [[delimiter delim separator sep eol newline line_end line_ending terminator ending
    input_record_separator]],
  ["block_size max_length"] = "size blocksize block_len",
  length = "prefix length_prefix length_type len",
  header = "keep_header include_header",
  length_codec = "encode decode length_decoder",
  ["code get"] = "f fn func map predicate callback",
}
