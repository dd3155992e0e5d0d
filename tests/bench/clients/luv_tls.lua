-- SPDX-License-Identifier: MIT
-- TLS for luv.lua, the usual way where a loop has streams of its own: OpenSSL between two memory
-- BIOs, what is received goes into one, what comes out of the other is written to the stream.
-- luaossl makes the context: the root, the name, what is verified. It has no calls that move bytes,
-- those are OpenSSL's, by LuaJIT's ffi; SSL objects are freed by hand, not by the collector.
local ffi = require "ffi"
local context_of = require "openssl.ssl.context"
local ssl_of = require "openssl.ssl"
local store_of = require "openssl.x509.store"
local verify_param_of = require "openssl.x509.verify_param"

ffi.cdef [[
typedef struct ssl_st SSL;
typedef struct ssl_ctx_st SSL_CTX;
typedef struct bio_st BIO;
SSL_CTX *SSL_CTX_new(const void *method);
const void *TLS_client_method(void);
long SSL_CTX_ctrl(SSL_CTX *context, int command, long number, void *pointer);
SSL *SSL_new(SSL_CTX *context);
void SSL_free(SSL *ssl);
void SSL_set_bio(SSL *ssl, BIO *input, BIO *output);
void SSL_set_connect_state(SSL *ssl);
long SSL_ctrl(SSL *ssl, int command, long number, void *pointer);
int SSL_do_handshake(SSL *ssl);
int SSL_read(SSL *ssl, char *text, int size);
int SSL_write(SSL *ssl, const char *text, int length);
int SSL_shutdown(SSL *ssl);
int SSL_get_error(const SSL *ssl, int result);
BIO *BIO_new(const void *method);
const void *BIO_s_mem(void);
int BIO_read(BIO *bio, char *bytes, int size);
int BIO_write(BIO *bio, const char *bytes, int length);
void ERR_clear_error(void);
]]
local C = ffi.load "ssl" -- and libcrypto, on which it depends

local SET_MODE, RELEASE_BUFFERS = 33, 0x10
local SET_HOST_NAME = 55
local WANT_READ, ZERO_RETURN = 2, 6
local SERVER_NAME = "peer.test"
local RECORD_SIZE, WIRE_SIZE = 16384, 65536

local text = ffi.new("char[?]", RECORD_SIZE)
local wire = ffi.new("char[?]", WIRE_SIZE)
local name = ffi.new("char[?]", #SERVER_NAME + 1, SERVER_NAME)

local M = {}

local Stream = {}
Stream.__index = Stream

-- The context keeps no session and asks for no ticket.
function M.context(root_path)
  local pointer = C.SSL_CTX_new(C.TLS_client_method())
  C.SSL_CTX_ctrl(pointer, SET_MODE, RELEASE_BUFFERS, nil)
  local context, store, param = context_of.pushffi(pointer), store_of.new(), verify_param_of.new()
  store:add(root_path)
  param:setHost(SERVER_NAME)
  context:setStore(store)
  context:setParam(param)
  context:setVerify(ssl_of.VERIFY_PEER)
  context:setOptions(ssl_of.OP_NO_TICKET)
  return { pointer = pointer, object = context }
end

local function flush(stream)
  local n = C.BIO_read(stream.output, wire, WIRE_SIZE)
  while n > 0 do
    stream.tcp:write(ffi.string(wire, n))
    n = C.BIO_read(stream.output, wire, WIRE_SIZE)
  end
end

function Stream:write(line)
  C.SSL_write(self.ssl, line, #line)
  flush(self)
end

-- Says close_notify; the socket is closed by its owner.
function Stream:close()
  if self.ssl == nil then
    return
  end
  if self.is_open then
    C.SSL_shutdown(self.ssl)
    flush(self)
  end
  C.SSL_free(self.ssl)
  self.ssl = nil
end

-- After a call that gave nothing: OpenSSL waits for more, the peer has ended, or it is an error.
local function take_nothing(stream, result)
  local code = C.SSL_get_error(stream.ssl, result)
  if code == WANT_READ then
    flush(stream)
  elseif code == ZERO_RETURN then
    stream.on_read(nil, nil)
  else
    C.ERR_clear_error()
    stream.on_read(("error %d of TLS"):format(code))
  end
end

local function shake(stream)
  local result = C.SSL_do_handshake(stream.ssl)
  if result ~= 1 then
    take_nothing(stream, result)
    return
  end
  stream.is_open = true
  flush(stream)
  stream.on_open()
end

local function read_all(stream)
  while stream.ssl ~= nil do
    local n = C.SSL_read(stream.ssl, text, RECORD_SIZE)
    if n <= 0 then
      take_nothing(stream, n)
      return
    end
    stream.on_read(nil, ffi.string(text, n))
  end
end

local function on_wire(stream, err, chunk)
  if err or not chunk then
    stream.on_read(err or "an end without close_notify")
    return
  end
  C.BIO_write(stream.input, chunk, #chunk)
  if not stream.is_open then
    shake(stream)
  end
  if stream.is_open then
    read_all(stream)
  end
end

-- On a tcp handle that is connected; `on_read` is called as that of read_start is.
function M.start(context, tcp, on_open, on_read)
  local stream = setmetatable({ tcp = tcp, on_open = on_open, on_read = on_read }, Stream)
  stream.ssl = C.SSL_new(context.pointer)
  stream.input, stream.output = C.BIO_new(C.BIO_s_mem()), C.BIO_new(C.BIO_s_mem())
  C.SSL_set_bio(stream.ssl, stream.input, stream.output)
  C.SSL_ctrl(stream.ssl, SET_HOST_NAME, 0, name)
  C.SSL_set_connect_state(stream.ssl)
  tcp:read_start(function(err, chunk)
    if stream.ssl ~= nil then
      on_wire(stream, err, chunk)
    end
  end)
  shake(stream)
  return stream
end

return M
