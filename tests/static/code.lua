-- SPDX-License-Identifier: MIT
-- Reads C code that clang-format has laid out: its text without comments, its comments, the
-- functions that it defines and declares. Layout stands in for a parser: a function's braces are
-- alone in the first column.
local check = require "static.check"

local code = {}

local function blank(text) return (text:gsub("[^\n]", " ")) end

-- Calls on_text, on_comment, on_string with each piece of a C file in order.
local function scan(text, on_text, on_comment, on_string)
  local at = 1
  while at <= #text do
    local start = text:find("[/\"']", at) or #text + 1
    if start > at then on_text(text:sub(at, start - 1)) end
    if start > #text then break end
    local mark, stop = text:sub(start, start), start
    if text:sub(start, start + 1) == "/*" then
      stop = select(2, text:find("*/", start + 2, true)) or #text
      on_comment(text:sub(start, stop), start)
    elseif mark == "/" then
      on_text "/"
    else
      stop = start + 1
      while stop < #text and text:sub(stop, stop) ~= mark do
        stop = stop + (text:sub(stop, stop) == "\\" and 2 or 1)
      end
      on_string(text:sub(start, stop))
    end
    at = stop + 1
  end
end

local texts = {}

-- The file without comments and without what strings hold; every character keeps its place.
function code.text(path)
  if not texts[path] then
    local parts = {}
    local function keep(piece) parts[#parts + 1] = piece end
    scan(check.read(path), keep, function(comment) keep(blank(comment)) end, function(piece)
      keep(piece:sub(1, 1) .. ("_"):rep(#piece - 2) .. piece:sub(-1))
    end)
    texts[path] = table.concat(parts)
  end
  return texts[path]
end

function code.lines(path)
  local lines = {}
  for line in code.text(path):gmatch "([^\n]*)\n" do lines[#lines + 1] = line end
  return lines
end

-- The number of the line in which a place in a text is.
function code.line_at(text, place)
  local _, count = text:sub(1, place - 1):gsub("\n", "")
  return count + 1
end

-- The comments of a C file: line number, words on one line, and whether code stands before them.
function code.comments(path)
  local list, text = {}, check.read(path)
  scan(text, function() end, function(comment, start)
    local before = text:sub(1, start - 1):match "[^\n]*$"
    local words = comment:sub(3, -3):gsub("\n[ %*]*", " "):gsub("%s+", " ")
    list[#list + 1] = {
      number = code.line_at(text, start),
      words = words:match "^[%s*]*(.-)%s*$",
      trailing = before:find "%S" ~= nil,
    }
  end, function() end)
  return list
end

-- Splits at commas that are in no brackets.
function code.split(list)
  local parts, depth, from = {}, 0, 1
  for at = 1, #list do
    local mark = list:sub(at, at)
    if mark:find "[%(%[{]" then depth = depth + 1 end
    if mark:find "[%)%]}]" then depth = depth - 1 end
    if mark == "," and depth == 0 then
      parts[#parts + 1] = list:sub(from, at - 1)
      from = at + 1
    end
  end
  parts[#parts + 1] = list:sub(from)
  return parts
end

-- The name that a declarator declares: of "const char *text[2]" text, of "void (*f)(int)" f.
local function declared_name(declarator)
  local pointer = declarator:match "%(%s*%*+%s*([%a_][%w_]*)"
  if pointer then return pointer end
  local name = declarator:gsub("%b[]", ""):match "([%a_][%w_]*)%s*$"
  return name
end

-- The names of a function's parameters; "" for one without a name.
local function parameter_names(list)
  local names = {}
  for _, declarator in ipairs(code.split(list)) do
    local plain = declarator:gsub("^%s+", "")
    if plain ~= "void" and plain ~= "" and plain ~= "..." then
      local has_name = plain:find "[%w_]+[%s%*]+[%w_]+" or plain:find "%(%s*%*"
      names[#names + 1] = has_name and declared_name(plain) or ""
    end
  end
  return names
end

-- A function's name and parameters in the head of a definition or declaration; nil: it is none.
local function parse_head(head)
  local type, name, list = head:match "^(.-)([%a_][%w_]*)%s*(%b())%s*$"
  if not name or type:find "[=%(]" or not type:find "[%w_]" then return nil end
  return name, parameter_names(list:sub(2, -2)), type:match "^%s*(.-)%s*$"
end

-- ---- statements ----

local function is_block_brace(before)
  local last = before:match "(%S)%s*$"
  if not last or last:find "[;{}:]" then return true end
  return before:find "%) $" or before:find "%f[%w]else%s*$" or before:find "%f[%w]do%s*$"
end

-- The statements of a function's body, in order: text (on one line, without labels), first and last
-- line; statements (of its braces), if it has some. Text is then what stands before the brace.
function code.statements(path, body)
  local text = table.concat(code.lines(path), "\n", body.first, body.last) .. "\n"
  local block, stack = {}, {}
  local from, line, first_line, depth = 1, body.first, nil, 0
  local function finish(stop, statements)
    local words = text:sub(from, stop):gsub("%s+", " "):match "^ ?(.-) ?$"
    local label = words:match "^case [^:?]+: ?" or words:match "^[%a_][%w_]* ?: ?"
    words = label and words:sub(#label + 1) or words
    if words ~= "" or statements then
      block[#block + 1] = { text = words, first = first_line or line, last = line,
        statements = statements }
    end
    from, first_line = stop + 1, nil
  end
  for at = 1, #text do
    local mark = text:sub(at, at)
    if mark == "\n" then
      line = line + 1
    elseif mark:find "%S" then
      first_line = first_line or line
      if mark:find "[%(%[]" then depth = depth + 1 end
      if mark:find "[%)%]]" then depth = depth - 1 end
      if mark == "{" and depth == 0 and is_block_brace(text:sub(from, at - 1)) then
        local inner = {}
        finish(at - 1, inner)
        from = at + 1
        stack[#stack + 1] = block
        block = inner
      elseif mark == "{" then
        depth = depth + 1
      elseif mark == "}" and depth == 0 then
        finish(at - 1)
        from = at + 1
        block = table.remove(stack)
        block[#block].last = line
      elseif mark == "}" then
        depth = depth - 1
      elseif mark == ";" and depth == 0 then
        finish(at)
      end
    end
  end
  return block
end

local no_type = { ["return"] = true, ["goto"] = true, ["else"] = true, ["case"] = true,
  ["do"] = true, ["sizeof"] = true, ["typedef"] = true, ["if"] = true, ["while"] = true,
  ["for"] = true, ["switch"] = true }

-- What a statement declares: a list of name and value (nil: without); nil: it is no declaration.
function code.declared(statement)
  local text = statement.text:gsub(";$", "")
  local rest = text:gsub("^static ", ""):gsub("^const ", ""):gsub("^struct ", "")
    :gsub("^enum ", ""):gsub("^union ", ""):gsub("^unsigned ", ""):gsub("^const ", "")
  local type, declarators = rest:match "^([%a_][%w_]*) (.*)$"
  if statement.statements or not type or no_type[type] then return nil end
  if not declarators:find "^const [%a_*]" and not declarators:find "^%**[%a_]"
    and not declarators:find "^%(%*" then return nil end
  local list = {}
  for _, declarator in ipairs(code.split(declarators)) do
    local left, value = declarator:match "^(.-) = (.*)$"
    left = left or declarator
    local name = left:match "([%a_][%w_]*)%s*[%[%)]" or left:match "([%a_][%w_]*)%s*$"
    list[#list + 1] = { name = name, value = value, is_array = left:find "%[" ~= nil }
  end
  return list
end

local function without_directives(text)
  local lines, continued = {}, false
  for line in text:gmatch "([^\n]*)\n" do
    local directive = continued or line:find "^%s*#"
    continued = directive and line:sub(-1) == "\\"
    lines[#lines + 1] = directive and "" or line
  end
  return lines
end

local function drop_attributes(head)
  return (head:gsub("__attribute__%s*%b()", ""):gsub("TCPM_API", ""))
end

-- The functions of a C file, in order: name, parameters, type (all before the name), line (of the
-- head); first and last lines of the body, between the braces; none of a mere declaration.
function code.functions(path)
  local list, lines = {}, without_directives(code.text(path))
  local head, head_line, body = "", 0, nil
  for number, line in ipairs(lines) do
    if body then
      if line:find "^}" then
        body.last = number - 1
        body = nil
      end
    elseif line == "{" then
      local name, parameters, type = parse_head(drop_attributes(head))
      body = { name = name, parameters = parameters, type = type, line = head_line,
        first = number + 1 }
      if name then list[#list + 1] = body end
      head = ""
    else
      if not head:find "%S" then head_line = number end
      head = head .. line .. " "
      while head:find "[;{}]" do
        local declaration, mark, rest = head:match "^([^;{}]*)([;{}])(.*)$"
        if mark == ";" then
          local name, parameters, type = parse_head(drop_attributes(declaration))
          if name and not type:find "typedef" then
            list[#list + 1] = { name = name, parameters = parameters, type = type,
              line = head_line }
          end
        end
        head, head_line = rest:match "^%s*(.-)%s*$", number
        if head ~= "" then head = head .. " " end
      end
    end
  end
  return list
end

return code
