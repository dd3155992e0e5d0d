/* SPDX-License-Identifier: MIT */
/* Filters of whole protocols, as Lua sees them: a stream that is cut anywhere gives the records,
   the error and the rest that it gives in one piece, also where the bytes and the question for a
   record come in one call. The first byte chooses the filter, the second one how long the pieces
   are; the rest is the stream. */
#include "fuzz.h"

#include <lauxlib.h>
#include <lualib.h>

int luaopen_tcpmulti(lua_State *L);

/* Gives compare(which, step, stream), which raises if the two differ. */
static const char script[] =
    "local tcpmulti = require 'tcpmulti'\n"
    "local f = tcpmulti.filters\n"
    "local makers = {\n"
    "  function() return f.resp() end,\n"
    "  function() return f.resp { max_length = 40 } end,\n"
    "  function() return f.resp { max_elements = 5 } end,\n"
    "  function() return f.reply() end,\n"
    "  function() return f.reply { max_length = 20 } end,\n"
    "  function() return f.dot() end,\n"
    "  function() return f.dot { max_length = 10 } end,\n"
    "  function() return f.http() end,\n"
    "  function() return f.http { max_length = 10, max_head = 60 } end,\n"
    "  function() return f.http { stream = true } end,\n"
    "}\n"
    "local dump\n"
    "function dump(value)\n"
    "  if type(value) ~= 'table' then return type(value) .. ' ' .. tostring(value) end\n"
    "  if tcpmulti.is_error(value) then return 'error ' .. tostring(value) end\n"
    "  local parts = {}\n"
    "  for key, one in pairs(value) do\n"
    "    parts[#parts + 1] = dump(key) .. '=' .. dump(one)\n"
    "  end\n"
    "  table.sort(parts)\n"
    "  return '{' .. table.concat(parts, ',') .. '}'\n"
    "end\n"
    "local function cut(filter, stream, step, at_once)\n"
    "  local one, list, body = filter:clone(), {}, ''\n"
    "  local feed_one = at_once and one.__feed_one\n"
    "  if one.stream ~= nil or one.max_head then one:put { method = 'HEAD' } end\n"
    "  for at = 1, #stream, step do\n"
    "    local piece, is_fed = stream:sub(at, at + step - 1), not feed_one\n"
    "    if is_fed then one:feed(piece) end\n"
    "    while true do\n"
    "      local record, message, errname\n"
    "      if is_fed then\n"
    "        record, message, errname = one:get_one()\n"
    "      else\n"
    "        record, message, errname = feed_one(one, piece)\n"
    "      end\n"
    "      is_fed = true\n"
    "      if record == nil and message ~= nil then\n"
    "        list[#list + 1] = body .. tostring(errname) .. ': ' .. message\n"
    "        return table.concat(list, '\\n')\n"
    "      end\n"
    "      if record == nil then break end\n"
    "      if one.stream and type(record) == 'string' and record ~= '' then\n"
    "        body = body .. record\n"
    "      else\n"
    "        list[#list + 1], body = body .. dump(record), ''\n"
    "      end\n"
    "    end\n"
    "  end\n"
    "  list[#list + 1] = body .. 'rest ' .. one:pending()\n"
    "  if one.finish then list[#list + 1] = dump(one:finish()) end\n"
    "  return table.concat(list, '\\n')\n"
    "end\n"
    "return function(which, step, stream)\n"
    "  local filter = makers[which % #makers + 1]()\n"
    "  local whole = cut(filter, stream, #stream + 1)\n"
    "  for _, at_once in ipairs { false, true } do\n"
    "    for _, size in ipairs { step, #stream + 1 } do\n"
    "      local pieces = cut(filter, stream, size, at_once)\n"
    "      if whole ~= pieces then error(whole .. '\\n-- is not --\\n' .. pieces, 0) end\n"
    "    end\n"
    "  end\n"
    "end\n";

static lua_State *state;

static void close_state(void)
{
    lua_close(state);
}

static void open_state(void)
{
    state = luaL_newstate();
    FUZZ_CHECK(state != NULL);
    atexit(close_state);
    luaL_openlibs(state);
    lua_getfield(state, LUA_GLOBALSINDEX, "package");
    lua_getfield(state, -1, "preload");
    lua_pushcfunction(state, luaopen_tcpmulti);
    lua_setfield(state, -2, "tcpmulti");
    lua_settop(state, 0);
    FUZZ_CHECK(luaL_dostring(state, script) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    unsigned which = fuzz_byte(&input), piece = 1 + fuzz_byte(&input) % 9;

    if (state == NULL)
        open_state();
    lua_pushvalue(state, 1);
    lua_pushinteger(state, (lua_Integer) which);
    lua_pushinteger(state, (lua_Integer) piece);
    lua_pushlstring(state, (const char *) input.at, input.left);
    if (lua_pcall(state, 3, 0, 0) != 0) {
        fprintf(stderr, "%s\n", lua_tostring(state, -1));
        abort();
    }
    return 0;
}
