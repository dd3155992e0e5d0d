-- SPDX-License-Identifier: MIT
-- The search list of resolv.conf. Its domains are labels that tell the name server what to say, so
-- one short name has an answer of its own in each domain.
local lu = require "luaunit"
local support = require "names.support"

local cases = support.cases "Search"
local server = support.server()

-- Looks a name up in an engine of its own, with this resolv.conf. Gives what the script printed,
-- and the questions in the order of their coming: "A db.first.test".
local function look(conf, name, options)
  support.write("/etc/resolv.conf", "nameserver 127.0.0.1\n" .. conf)
  server:forget()
  local output = support.script([[
    tcpmulti.dns(load("return " .. options)())
    session():connect(name, port)
    tcpmulti.run()
  ]], {
    name = name,
    options = options or "{ timeout = 0.3, tries = 1 }",
    port = support.peer("close"):port(),
  })
  local asked = {}
  for i, one in ipairs(server:asked()) do asked[i] = one.type .. " " .. one.name end
  return output, asked
end

-- The questions for both families of each name, sorted within each.
local function both(...)
  local list = {}
  for _, name in ipairs { ... } do
    list[#list + 1] = "A " .. name
    list[#list + 1] = "AAAA " .. name
  end
  return list
end

-- The same questions, those of each two sorted: the order of two families is open.
local function in_pairs(asked)
  local list = {}
  for i = 1, #asked, 2 do
    local two = { asked[i], asked[i + 1] }
    table.sort(two)
    for _, one in ipairs(two) do list[#list + 1] = one end
  end
  return list
end

-- Asserts what the script prints for a name with this search list, where a name needs two dots to
-- come first alone, and that just the names given behind that are asked for, in this order.
local function check(search, name, output, ...)
  local printed, asked = look("options ndots:2\nsearch " .. search .. "\n", name)
  lu.assertEquals(printed, output)
  lu.assertEquals(in_pairs(asked), both(...))
end

function cases.N29_both_families_of_a_candidate_before_the_next_one()
  check("nx.one.test a-1.two.test", "db", "db 127.0.0.1\n", "db.nx.one.test", "db.a-1.two.test")
end

function cases.N29_in_the_end_the_name_alone()
  check("nx.one.test nodata.two.test", "a-1.db", "a-1.db 127.0.0.1\n",
    "a-1.db.nx.one.test", "a-1.db.nodata.two.test", "a-1.db")
end

function cases.N29_a_name_with_enough_dots_comes_first_alone()
  check("a-1.one.test", "nx.db.test", "nx.db.test resolve ENOTFOUND\n",
    "nx.db.test", "nx.db.test.a-1.one.test")
end

function cases.N29_without_search_nothing_is_appended()
  local output, asked = look("search a-1.one.test\n", "nx", "{ search = false }")
  lu.assertEquals(output, "nx resolve ENOTFOUND\n")
  lu.assertEquals(in_pairs(asked), both "nx")
end

function cases.N30_one_family_of_a_candidate_is_enough()
  check("a-1.one.test aaaa-1.two.test", "db", "db 127.0.0.1\n", "db.a-1.one.test")
end

function cases.N31_after_a_candidate_without_an_answer_there_is_no_other()
  check("silent.one.test a-1.two.test", "db", "db resolve ETIMEDOUT\n", "db.silent.one.test")
end

function cases.N32_a_name_with_a_dot_at_its_end_stays_as_it_is()
  check("a-1.one.test", "nx.", "nx. resolve ENOTFOUND\n", "nx")
end

support.main(cases)
