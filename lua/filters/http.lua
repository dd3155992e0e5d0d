-- SPDX-License-Identifier: MIT
-- The filter http: HTTP/1.1 for clients (RFC 9112). Out: requests, as tables or as text. In: whole
-- replies; with the option stream the head, the pieces of the body, and "" for its end.
--
-- How long a body is depends on the request: a reply to HEAD has none. So the methods of requests
-- that were put wait in a queue. Where two readers could take different bytes for the body, the
-- reply is refused: both Transfer-Encoding and Content-Length, different lengths, a blank before a
-- colon, a CR inside of a line.
--
-- Stages: head -> none, length, chunk or rest; chunk -> data -> data_end -> chunk; chunk ->
-- trailer. A stage returns true if it goes on, nil if it needs more bytes, nil, message, errname
-- for a refusal. Bytes that are read stay until the record is complete, so that pending can show
-- all of it; with stream, until a piece is.
local shared = ...
local find, format, lower, match, sub =
  string.find, string.format, string.lower, string.match, string.sub
local heads, pieces = shared.http_heads, shared.pieces
local trim = heads.trim

local http = {}
http.__index = http
function http.__tostring() return "tcpmulti filter http" end

local MAX_LENGTH, MAX_HEAD = 16777216, 65536
local CHUNK_LINE = 4096 -- bytes of the line in front of a chunk, at most
local PIECE = 65536     -- bytes of a piece of a body, at most
local TOKEN = "[!#$%%&'*+%-.^_`|~%w]+"
local DIGITS, HEX_DIGITS = 15, 12 -- a length of so many is a number that Lua holds

-- ---- heads ----

-- Takes a head that is the known one as a whole. Its text, where it lies in one piece, is kept in
-- any case, for end_head.
local function read_known_head(self)
  local text = pieces.find_head(self.bytes, self.max_head)
  self.head = text
  self.reply = text and heads.known_reply(text)
  if not self.reply then return false end
  pieces.read_bytes(self.bytes, #text)
  return true
end

local function add_head_line(self, line)
  if self.reply then return heads.add_field(self.fields, line) end
  local version, status, rest = match(line, "^HTTP/(1%.[01]) ([1-9]%d%d)(.*)$")
  if not version or find(rest, "[%z\r]") or rest ~= "" and not find(rest, "^ ") then
    return false
  end
  self.reply = { version = version, status = tonumber(status), reason = sub(rest, 2) }
  self.fields = heads.new_fields()
  return true
end

-- ---- how long a body is ----

-- The one length that all fields give; nil, message, errname: they give none.
local function content_length(self, text)
  local length = #text <= DIGITS and find(text, "^%d+$") and tonumber(text)
  if length and length <= self.most then return length end
  length = nil
  for part in string.gmatch(text .. ",", "([^,]*),") do
    part = trim(part, 1)
    if not find(part, "^%d+$") or length and part ~= length then
      return nil, "bad Content-Length: " .. sub(text, 1, 64)
    end
    length = part
  end
  length = match(length, "^0*(%d+)$")
  local number = #length <= DIGITS and tonumber(length) or 2 ^ 53
  if number > self.most then
    return nil, format("a body is longer than %.0f bytes", self.most), "ETOOLONG"
  end
  return number
end

-- The stage for a body with a Transfer-Encoding: chunked must be the last coding, and stand once.
local function stage_of_coding(reply, text)
  if reply.version ~= "1.1" then return nil, "Transfer-Encoding in HTTP/1.0" end
  local last, chunked = nil, 0
  for part in string.gmatch(lower(text) .. ",", "([^,]*),") do
    last = trim(part, 1)
    if last == "chunked" then chunked = chunked + 1 end
  end
  if chunked == 0 then return "rest" end
  if chunked > 1 or last ~= "chunked" then
    return nil, "bad Transfer-Encoding: " .. sub(text, 1, 64)
  end
  return "chunk"
end

local function has_no_body(method, status)
  return method == "HEAD" or status == 204 or status == 304 or status == 101
    or method == "CONNECT" and status < 300
end

-- Decides the stage behind a head: true; or nil, message, errname.
local function choose_stage(self)
  local reply = self.reply
  local coding, length = reply.headers["transfer-encoding"], reply.headers["content-length"]
  if coding and length then return nil, "both Transfer-Encoding and Content-Length" end
  local stage, message, errname = "rest", nil, nil
  if has_no_body(self.methods[self.first], reply.status) then
    stage = "none"
  elseif coding then
    stage, message = stage_of_coding(reply, coding)
  elseif length then
    self.left, message, errname = content_length(self, length)
    stage = self.left and "length"
  end
  if not stage then return nil, message, errname end
  self.stage = stage
  return true
end

-- ---- stages ----

local function begin(self)
  self.stage, self.reply, self.fields, self.parts, self.total = "head", nil, nil, nil, 0
  self.added, self.trailer_length = 0, 0
end

-- The request whose reply is complete leaves the queue.
local function forget_method(self)
  if self.first > self.last then return end
  self.methods[self.first] = nil
  self.first = self.first + 1
end

-- The reply is complete: its record.
local function complete(self, body)
  local reply = self.reply
  forget_method(self)
  begin(self)
  pieces.take(self.bytes)
  if self.stream then return "" end
  reply.body = body
  return reply
end

-- With stream the head is a record of its own.
local function end_head(self)
  local reply = self.reply
  if not reply.headers then
    reply.headers = heads.headers_of(self.fields)
    if self.head and #self.head == self.bytes.read then
      heads.learn(self.head, reply, self.fields)
    end
  end
  self.fields = nil
  if reply.status < 200 and reply.status ~= 101 then
    begin(self)
    pieces.take(self.bytes)
    return true
  end
  local chosen, message, errname = choose_stage(self)
  if not chosen then return nil, message, errname end
  if self.stage == "length" then heads.learn_length(self.head, self.left) end
  if not self.stream then return true end
  pieces.take(self.bytes)
  return true, reply
end

local stages = {}

function stages.head(self)
  local bytes = self.bytes
  if bytes.read == 0 and read_known_head(self) then return end_head(self) end
  local whole = pieces.read_line(bytes)
  if bytes.read > self.max_head then
    return nil, format("a head is longer than %.0f bytes", self.max_head), "ETOOLONG"
  end
  if not whole then return nil end
  local line = pieces.line(bytes)
  if line == "" and self.reply then return end_head(self) end
  if add_head_line(self, line) then return true end
  return nil, "not HTTP: " .. sub(line, 1, 64)
end

function stages.none(self) return true, complete(self, "") end

-- A piece of at most count bytes, of those that are there; nil: none is.
local function read_piece(self, count)
  local bytes = self.bytes
  count = math.min(count, bytes.length - bytes.read, PIECE)
  if count == 0 then return nil end
  local piece = pieces.read_bytes(bytes, count)
  pieces.take(bytes)
  return piece
end

function stages.length(self)
  if self.left == 0 then return true, complete(self, "") end
  if self.stream then
    local piece = read_piece(self, self.left)
    if not piece then return nil end
    self.left = self.left - #piece
    return true, piece
  end
  local body = pieces.read_bytes(self.bytes, self.left)
  if not body then return nil end
  return true, complete(self, body)
end

function stages.rest(self)
  if self.stream then
    local piece = read_piece(self, PIECE)
    return piece and true, piece
  end
  if self.bytes.length - self.bytes.read > self.most then
    return nil, format("a body is longer than %.0f bytes", self.most), "ETOOLONG"
  end
  return nil
end

-- Counts the bytes of a body, with what chunks add to it: nil, message, errname if it is too long.
local function count_bytes(self, length, added)
  self.total, self.added = self.total + length, self.added + added
  if self.total > self.most or self.added > self.most + MAX_HEAD then
    return nil, format("a body is longer than %.0f bytes", self.most), "ETOOLONG"
  end
  return true
end

-- The size that the line in front of a chunk gives; nil: it gives none.
local function chunk_size(line)
  local digits, at = match(line, "^0*(%x*)()")
  local rest = trim(line, at)
  if at == 1 or rest ~= "" and sub(rest, 1, 1) ~= ";" or find(line, "[%z\r]") then return nil end
  if digits == "" then return 0 end
  return #digits <= HEX_DIGITS and tonumber(digits, 16) or 2 ^ 53
end

function stages.chunk(self)
  local bytes = self.bytes
  local whole = pieces.read_line(bytes)
  if bytes.line_length > CHUNK_LINE then return nil, "the line of a chunk is too long" end
  if not whole then return nil end
  local line = pieces.line(bytes)
  local size = chunk_size(line)
  if not size then return nil, "not a chunk: " .. sub(line, 1, 64) end
  local fits, message, errname = count_bytes(self, size, bytes.line_length)
  if not fits then return nil, message, errname end
  self.left, self.stage = size, size == 0 and "trailer" or "data"
  self.fields = size == 0 and heads.new_fields() or nil
  if self.stream then pieces.take(bytes) end
  return true
end

function stages.data(self)
  local bytes = self.bytes
  if self.stream then
    local piece = read_piece(self, self.left)
    if not piece then return nil end
    self.left = self.left - #piece
    if self.left == 0 then self.stage = "data_end" end
    return true, piece
  end
  local data = pieces.read_bytes(bytes, self.left)
  if not data then return nil end
  self.parts = self.parts or {}
  self.parts[#self.parts + 1] = data
  self.stage = "data_end"
  return true
end

function stages.data_end(self)
  local bytes = self.bytes
  local whole = pieces.read_line(bytes)
  if bytes.line_length > (whole and 2 or 1) or whole and pieces.line(bytes) ~= "" then
    return nil, "no line end behind a chunk"
  end
  if not whole then return nil end
  self.stage = "chunk"
  if self.stream then pieces.take(bytes) end
  return true
end

function stages.trailer(self)
  local bytes = self.bytes
  local whole = pieces.read_line(bytes)
  if self.trailer_length + bytes.line_length > self.max_head then
    return nil, format("a trailer is longer than %.0f bytes", self.max_head), "ETOOLONG"
  end
  if not whole then return nil end
  self.trailer_length = self.trailer_length + bytes.line_length
  local line = pieces.line(bytes)
  if line == "" then
    if #self.fields.names > 0 then self.reply.trailers = heads.headers_of(self.fields) end
    return true, complete(self, table.concat(self.parts or {}))
  end
  if not heads.add_field(self.fields, line) then return nil, "not HTTP: " .. sub(line, 1, 64) end
  if self.stream then pieces.take(bytes) end
  return true
end

-- ---- the filter ----

function http:feed(bytes) pieces.add(self.bytes, bytes) end

-- A whole reply with the known head, which most are, and where the bytes behind it begin, if it
-- stands at a place of the piece, in front of which nothing is unread; else nil.
local function find_known_reply(self, piece, at)
  local method = self.methods[self.first]
  if self.stage ~= "head" or self.stream or method == "HEAD" or method == "CONNECT" then
    return nil
  end
  return heads.known_whole(piece, at, self.max_head, self.most)
end

local function read_known_reply(self)
  local bytes = self.bytes
  local piece, at = bytes[bytes.first], bytes.position
  if bytes.read > 0 or not piece then return nil end
  local reply, behind = find_known_reply(self, piece, at)
  if not reply then return nil end
  pieces.take_front(bytes, behind - at)
  forget_method(self)
  return reply
end

-- Behind a record, false: there is no further one yet.
local function end_of(bytes)
  if bytes.length == 0 then return false end
end

function http:get_one()
  local reply = read_known_reply(self)
  if reply then return reply, end_of(self.bytes) end
  while true do
    local goes_on, record, errname = stages[self.stage](self)
    if not goes_on then return nil, record, errname end
    if record ~= nil then return record end
  end
end

-- Takes bytes, and gives the next record. A reply that comes alone need not become a piece.
function http:__feed_one(bytes)
  if self.bytes.length == 0 then
    local reply, behind = find_known_reply(self, bytes, 1)
    if reply and behind > #bytes then
      forget_method(self)
      return reply, false
    end
  end
  pieces.add(self.bytes, bytes)
  return self:get_one()
end

-- The connection has ended in order: so has a body that has no other end.
function http:finish()
  if self.stage ~= "rest" then return nil end
  local bytes = self.bytes
  return complete(self, pieces.read_bytes(bytes, bytes.length - bytes.read))
end

function http:pending() return pieces.pending(self.bytes) end

-- With stream, what was delivered stays delivered, and only the bytes behind it go.
function http:__release()
  self.bytes = pieces.new()
  if not self.stream or self.stage == "head" then begin(self) end
end

function http:clone()
  local made = setmetatable({
    stream = self.stream,
    max_length = self.max_length,
    max_head = self.max_head,
    most = self.stream and 2 ^ 53 - 1 or self.max_length,
    bytes = pieces.new(),
    methods = {}, first = 1, last = 0, -- the queue of requests without a reply
  }, http)
  begin(made)
  return made
end

function shared.http_filter(options)
  return http.clone {
    stream = options.stream,
    max_length = options.max_length or MAX_LENGTH,
    max_head = options.max_head or MAX_HEAD,
  }
end

-- ---- requests ----

local function remember(self, method)
  self.last = self.last + 1
  self.methods[self.last] = method
end

function http:put(request)
  if type(request) == "table" then
    local text, method, errname = shared.http_request(request)
    if not text then return nil, method, errname end
    remember(self, method)
    return text
  end
  if type(request) ~= "string" then
    return nil, format("a table or a string expected, not a %s", type(request))
  end
  local method = match(request, "^(" .. TOKEN .. ") %S+ HTTP/1%.[01]\r\n")
  if method then remember(self, method) end
  return request
end
