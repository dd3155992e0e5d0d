-- luacheck's settings: LuaJIT, 100 columns, nothing global.
std = "luajit"
max_line_length = 100
include_files = { "lua/**/*.lua", "scripts/*.lua", "tests/**/*.lua" }
exclude_files = { "lua/types/*.lua" } -- annotations: functions without bodies
